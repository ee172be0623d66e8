"""SHA-256 of files, computed once: large ones are remembered on disk between runs."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from pathlib import Path

__all__ = ["sha256_of"]

_LARGE = 64 << 20  # bytes; below, hashing again is faster than it is worth remembering


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file (64 hexadecimal digits).

    Memoised by path, size and modification time; for files of 64 MiB and more also on disk, in
    ``$OVSEG_CACHE/digests`` or ``~/.cache/ovseg/digests``, where that can be written.
    """
    path = Path(path).resolve()
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int) -> str:
    if size < _LARGE:
        return _compute(path)
    key = {"path": str(path), "size": size, "modified": modified}
    name = hashlib.sha256(str(path).encode()).hexdigest()[:32]
    record = _folder() / f"{name}.json"
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["key"] == key:
            return known["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not readable: as if it were not there
    digest = _compute(path)
    _remember(record, {"key": key, "sha256": digest})
    return digest


def _folder() -> Path:
    root = os.environ.get("OVSEG_CACHE") or Path.home() / ".cache" / "ovseg"
    return Path(root) / "digests"


def _compute(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _remember(record: Path, content: dict) -> None:
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=record.parent, suffix=".tmp", delete=False
        ) as stream:
            json.dump(content, stream)
        os.replace(stream.name, record)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
