"""What the converters share: whole files or none, going on after an interruption, progress.

A folder of label files carries a small record of what they were made of (`conversion_record`), so
that files of two origins are never mixed without notice.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from conversion_record import Record
from PIL import Image
from tqdm import tqdm
from workers import runner, terminated_as_interrupted

from ovseg.apis.storage import write_files
from ovseg.errors import DatasetError, OvsegError, SaveError


@dataclass(frozen=True)
class Job:
    """One step of a conversion.

    Attributes:
        targets: Files that it makes; it is done where all of them exist.
        arguments: What the function that gives their bytes is called with; picklable.
    """

    targets: tuple[Path, ...]
    arguments: tuple

    def is_done(self) -> bool:
        """Whether all of its files are there."""
        return all(target.exists() for target in self.targets)


def convert_all(
    jobs: Sequence[Job],
    make: Callable[..., Sequence[bytes]],
    record: Path,
    settings: dict,
    workers: int = 0,
    overwrite: bool = False,
    names: tuple[Path, Sequence[str]] | None = None,
) -> int:
    """Run all jobs whose files are not there yet.

    Args:
        jobs: What to do.
        make: Gives the bytes of each target of a job; a function of a module, so that other
            processes can run it.
        record: File beside the targets that keeps the settings; jobs of one record belong together.
        settings: What the label files depend on.
        workers: Processes to use; 0 works in this one.
        overwrite: Make the files of all jobs again, see `_overwrite_all`.
        names: A list of images to write along, and the names in it (see `Record.write_list`).

    Returns:
        How many jobs were done; those of an earlier run are not counted.

    Raises:
        DatasetError: The folder holds label files of another origin, an input is not usable, or
            there are no jobs.
        SaveError: A file cannot be written.
        PeerError: A worker was ended from outside.
    """
    if not jobs:
        raise DatasetError(f"There is nothing to make in {record.parent}; fetch the source again.")
    kept = Record(record)
    if kept.notes.get("replacing"):
        _replace(jobs, kept)
        # It was the last step of what the same command would do now.
        overwrite = overwrite and kept.settings != settings
    if overwrite:
        return _overwrite_all(jobs, make, kept, settings, workers, names)
    kept.check_origin(settings, sum(job.targets[-1].exists() for job in jobs))
    if names is not None:
        kept.write_list(*names)
    if "overwrite" in kept.notes:  # a run without it gives it up
        _forget_new(jobs)
    kept.write(settings, overwrite=None)
    return _run(jobs, make, workers)


def _overwrite_all(
    jobs: Sequence[Job],
    make: Callable[..., Sequence[bytes]],
    record: Record,
    settings: dict,
    workers: int,
    names: tuple[Path, Sequence[str]] | None,
) -> int:
    """Make all files beside the old ones, and put them in their places once all are there.

    So the old files stay whole until then, whatever interrupts it or cannot be read, and the same
    call goes on.
    """
    new = [Job(tuple(_new(target) for target in job.targets), job.arguments) for job in jobs]
    if record.notes.get("overwrite") != settings:
        _forget_new(jobs)
        record.write(overwrite=settings)
    elif count := sum(job.is_done() for job in new):
        print(
            f"Going on with an --overwrite that was interrupted: {count} of {len(jobs)} are made; "
            "a run without it would give it up.",
            file=sys.stderr,
        )
    done = _run(new, make, workers)
    if names is not None:
        record.write_list(*names, overwrite=True)
    record.write(replacing=True)
    _replace(jobs, record)
    return done


def _new(target: Path) -> Path:
    """Where a file is kept until it takes the place of an old one; no dataset reads the suffix."""
    return target.with_name(f"{target.name}.new")


def _forget_new(jobs: Sequence[Job]) -> None:
    for target in (t for job in jobs for t in job.targets):
        _new(target).unlink(missing_ok=True)


def _replace(jobs: Sequence[Job], record: Record) -> None:
    """Put all new files in the places of the old ones."""
    for target in (t for job in jobs for t in job.targets):
        if _new(target).exists():
            try:
                os.replace(_new(target), target)
            except OSError as error:
                raise SaveError(
                    f"Cannot write {target} ({error.strerror or error}); correct its permissions "
                    "and run the same command again."
                ) from error
    record.write(record.notes.get("overwrite"), overwrite=None, replacing=None)


def _run(jobs: Sequence[Job], make: Callable[..., Sequence[bytes]], workers: int) -> int:
    """Do the jobs that are not done; tells how many those were."""
    left = [job for job in jobs if not job.is_done()]
    with runner(workers if len(left) > 1 else 0) as run, tqdm(total=len(left)) as bar:
        for _ in run(partial(_do, make), left):
            bar.update()
    return len(left)


def _do(make: Callable[..., Sequence[bytes]], job: Job) -> None:
    write_files(dict(zip(job.targets, make(*job.arguments), strict=True)))


# ------------------------------------------------------------ files


def image_bytes(array: np.ndarray, kind: str = "PNG") -> bytes:
    """An image file of an array: (H, W) of 8 or 16 bits, or (H, W, 3) of 8 bits."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


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
            help="make all files again and then replace the old ones; without it, files that are "
            "there are kept",
        )
    return parser


def _count(text: str) -> int:
    return _at_least(0, text)


def positive(text: str) -> int:
    """A whole number of 1 or more, as the type of an argument."""
    return _at_least(1, text)


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"give a whole number of {least} or more, not {text!r}")
    return number


def run_tool(run: Callable[[], int | None]) -> int:
    """Run a tool: mistakes a user can mend end in one line and exit code 2."""
    try:
        with terminated_as_interrupted():
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
