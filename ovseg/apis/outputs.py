"""Where the result of each input file goes, and whether it is already there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ovseg.apis.inputs import expand
from ovseg.apis.storage import FORMATS
from ovseg.errors import SaveError

__all__ = ["Job", "is_done", "plan_jobs", "source_of"]

_OWN_OUTPUT = re.compile(r"(.+)_(mask|overlay|sheet)\.(png|jpg)")


class Job(NamedTuple):
    """One input file, and the folder and stem of the files its result is written to."""

    source: Path
    folder: Path
    stem: str

    @property
    def record(self) -> Path:
        """The JSON file; it is written last, so it says that all is there."""
        return self.folder / f"{self.stem}.json"


def plan_jobs(
    inputs: str | os.PathLike | Iterable[str | os.PathLike],
    out: Path,
    recursive: bool,
    on_missing: Callable[[Path, str], None],
) -> list[Job]:
    """Find the input files and give each its own place below ``out``.

    Sub-folders of an input folder are kept; with several folders each gets its own. Where two files
    would still meet, their endings become part of the name (``a_jpg``, ``a_png``), then the path
    from their common parent. Results of earlier runs that lie among the inputs are left out.

    Args:
        inputs: files, folders and globs.
        out: the output folder.
        recursive: look into sub-folders of the folders.
        on_missing: told of an input where nothing is, when there are others.

    Raises:
        FileNotFoundError: there is no image at all.
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    missing: list[tuple[Path, FileNotFoundError]] = []
    found: list[tuple[Path | None, list[Path]]] = []
    for pattern in inputs:
        try:
            base, paths = expand(pattern, recursive)
        except FileNotFoundError as error:
            missing.append((Path(pattern), error))
            continue
        found.append((base, paths if base is None else [p for p in paths if not _is_own(p, out)]))
    several = sum(base is not None for base, _ in found) > 1
    relative: dict[str, Path] = {}  # absolute path of the source -> path below out
    sources: dict[str, Path] = {}
    for base, paths in found:
        for path in paths:
            below = Path(path.name) if base is None else path.relative_to(base)
            if base is not None and several:
                below = Path(base.resolve().name) / below
            absolute = os.path.abspath(path)
            relative.setdefault(absolute, below)
            sources.setdefault(absolute, path)
    if not sources:
        if missing:
            raise missing[0][1]
        raise FileNotFoundError("No images were given; name files, folders or globs.")
    for path, error in missing:
        on_missing(path, str(error))
    names = _distinct(list(relative), list(relative.values()))
    return [
        Job(source, out / name.parent, name.name)
        for source, name in zip(sources.values(), names, strict=True)
    ]


def _is_own(path: Path, out: Path) -> bool:
    """Whether the file was written by an earlier run into ``out``."""
    own = _OWN_OUTPUT.fullmatch(path.name)
    if own is None or not path.resolve().is_relative_to(out.resolve()):
        return False
    return (path.parent / f"{own[1]}.json").exists()


def _distinct(absolute: Sequence[str], relative: Sequence[Path]) -> list[Path]:
    """A different name without ending for each file, as short as may be."""
    parent = Path(os.path.commonpath([os.path.dirname(path) for path in absolute]))

    def with_ending(path: Path) -> Path:
        return path.parent / path.name.replace(".", "_") if path.suffix else path

    forms = [
        [path.with_suffix(""), with_ending(path), with_ending(Path(full).relative_to(parent))]
        for path, full in zip(relative, absolute, strict=True)
    ]
    names = [form[0] for form in forms]
    for level in (1, 2):
        # Case is ignored: the names must differ on any file system.
        times = Counter(str(name).casefold() for name in names)
        names = [
            form[level] if times[str(name).casefold()] > 1 else name
            for form, name in zip(forms, names, strict=True)
        ]
    used: set[str] = set()
    for n, name in enumerate(names):
        number, base = 1, name
        while str(name).casefold() in used:
            number += 1
            name = base.with_name(f"{base.name}_{number}")
        used.add(str(name).casefold())
        names[n] = name
    return names


def source_of(path: Path, data: bytes) -> dict[str, Any]:
    """What the record says of the input file, to recognize it later."""
    return {
        "path": os.path.abspath(path),
        "bytes": len(data),
        "mtime_ns": path.stat().st_mtime_ns,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def is_done(job: Job, digest: str, wanted: Iterable[str]) -> bool:
    """Whether the result of this very file with these settings is there and whole.

    Args:
        job: which file, and where its result goes.
        digest: of the settings.
        wanted: names of the files that must be there beside the record.

    Raises:
        SaveError: the place is taken by the result of another picture, or by a foreign file.
    """
    try:
        record = json.loads(job.record.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    if not isinstance(record, dict) or record.get("format") not in FORMATS:
        raise SaveError(
            f"{job.record} is not a result of this program and was left alone; choose another "
            "output folder or overwrite."
        )
    try:
        run, files = record["info"]["run"], record["files"]
        same_path, same_content = _compare(job.source, run["source"])
        if not same_path and not same_content:
            other = run["source"]["path"]
            raise SaveError(
                f"{job.record} holds the result of another picture, {other}; choose another output "
                "folder or overwrite."
            )
        whole = all((job.folder / f["name"]).stat().st_size == f["bytes"] for f in files.values())
        names = {f["name"] for f in files.values()}
        return same_content and whole and run["digest"] == digest and set(wanted) <= names
    except (KeyError, TypeError, FileNotFoundError):
        return False


def _compare(path: Path, source: dict[str, Any]) -> tuple[bool, bool]:
    """Whether a file has the path, and whether it has the content, that a record tells of."""
    same_path = source["path"] == os.path.abspath(path)
    stat = path.stat()
    if stat.st_size != source["bytes"]:
        return same_path, False
    if same_path and stat.st_mtime_ns == source["mtime_ns"]:
        return True, True
    return same_path, hashlib.sha256(path.read_bytes()).hexdigest() == source["sha256"]
