"""What the converters share: whole files or none, going on after an interruption, progress.

A folder of label files carries a small record of what they were made of, so that files of two
origins are never mixed without notice.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ovseg.apis.storage import write_files
from ovseg.errors import DatasetError, OvsegError


@dataclass(frozen=True)
class Job:
    """One step of a conversion.

    Attributes:
        targets: Files that it makes; it is done where all of them exist.
        arguments: What the function that gives their bytes is called with; picklable.
    """

    targets: tuple[Path, ...]
    arguments: tuple


def convert_all(
    jobs: Sequence[Job],
    make: Callable[..., Sequence[bytes]],
    record: Path,
    settings: dict,
    workers: int = 0,
    overwrite: bool = False,
) -> int:
    """Run all jobs whose files are not there yet.

    Args:
        jobs: What to do.
        make: Gives the bytes of each target of a job; a function of a module, so that other
            processes can run it.
        record: File beside the targets that keeps the settings; jobs of one record belong together.
        settings: What the label files depend on.
        workers: Processes to use; 0 works in this one.
        overwrite: Remove the files of all jobs first.

    Returns:
        How many jobs were done; those of an earlier run are not counted.

    Raises:
        DatasetError: The folder holds label files of another origin, or an input is not usable.
        SaveError: A file cannot be written.
    """
    if overwrite:
        for target in (t for job in jobs for t in job.targets):
            target.unlink(missing_ok=True)
    _check_origin(record, settings, sum(job.targets[-1].exists() for job in jobs))
    left = [job for job in jobs if not all(target.exists() for target in job.targets)]
    if left:
        write_files({record: (json.dumps(settings, indent=2) + "\n").encode()})
    with runner(workers if len(left) > 1 else 0) as run, tqdm(total=len(left)) as bar:
        for _ in run(partial(_do, make), left):
            bar.update()
    return len(left)


def _do(make: Callable[..., Sequence[bytes]], job: Job) -> None:
    write_files(dict(zip(job.targets, make(*job.arguments), strict=True)))


def _check_origin(record: Path, settings: dict, done: int) -> None:
    if not done:
        return
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    except ValueError as error:
        raise DatasetError(
            f"{record} cannot be read ({error}); make all files again with --overwrite."
        ) from error
    if found != settings:
        raise DatasetError(
            f"{record.parent} holds {done} label files that "
            + (f"were made with {found}, not {settings}" if found else "this tool did not write")
            + "; use them as they are, or replace them with --overwrite."
        )


@contextmanager
def runner(workers: int) -> Iterator[Callable]:
    """`map`, in this process or in others that leave Ctrl-C to this one."""
    if not workers:
        yield map
        return
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(workers, initializer=ignore)
    try:
        yield partial(pool.map, chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)


# ------------------------------------------------------------ files


def image_bytes(array: np.ndarray, kind: str = "PNG") -> bytes:
    """An image file of an array: (H, W) of 8 or 16 bits, or (H, W, 3) of 8 bits."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def write_names(path: Path, names: Sequence[str]) -> None:
    """Write a list of images, one name a line in order; a list that is there is left alone."""
    if not path.exists():
        write_files({path: "".join(f"{name}\n" for name in sorted(names)).encode()})


def read_json(path: Path, keys: Sequence[str]) -> dict:
    """Content of an annotation file.

    Raises:
        DatasetError: It is not JSON, or one of the keys is missing.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            content[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"Annotation file {path} cannot be used ({error!r}); it needs {', '.join(keys)}. "
            "Fetch it again."
        ) from error
    return content


# ------------------------------------------------------------ command line


def parser_of(
    description: str, overwrite: bool = True, name: bool = False
) -> argparse.ArgumentParser:
    """Parser with what every converter takes; the description says where the data comes from."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if name:
        parser.add_argument("name", metavar="NAME", help="of the dataset")
    parser.add_argument("root", type=Path, help="folder of the dataset")
    parser.add_argument(
        "--workers",
        type=_count,
        default=min(8, os.cpu_count() or 1),
        help="processes to use; 0 works in this one (default: %(default)s)",
    )
    if overwrite:
        parser.add_argument(
            "--overwrite",
            action="store_true",
            help="make all files again; without it, those that are there are kept",
        )
    return parser


def _count(text: str) -> int:
    if int(text) < 0:
        raise ValueError
    return int(text)


def run_tool(run: Callable[[], int | None]) -> int:
    """Run a tool: mistakes a user can mend end in one line and exit code 2."""
    try:
        return run() or 0
    except OvsegError as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def need_folder(path: Path, what: str) -> Path:
    """A folder made sure to exist, else an error that says what belongs there."""
    if not path.is_dir():
        raise DatasetError(f"Folder {path} does not exist; {what}")
    return path
