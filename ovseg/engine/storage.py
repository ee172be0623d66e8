"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ovseg.errors import SaveError

__all__ = ["open_draft", "remove_drafts", "save_whole", "write_whole"]

_DRAFT = ".part"


@contextlib.contextmanager
def open_draft(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path`` to write to; it must be on the disk before it takes that name."""
    with open(path, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that at every moment the old one or the new one is there.

    Raises:
        SaveError: It cannot be written; what was there before is still there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}{_DRAFT}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_draft(draft) as file:
            file.write(content)
        os.replace(draft, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SaveError(
            f"Cannot write {path} ({reason}); free space or choose another --work-dir, then go on "
            "with --resume: files written earlier are whole."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def save_whole(content: Any, path: Path) -> None:
    """`torch.save` by way of `write_whole`."""
    with io.BytesIO() as buffer:
        torch.save(content, buffer)
        with buffer.getbuffer() as view:
            write_whole(path, view)


def remove_drafts(folder: Path) -> None:
    """Remove what an interrupted run left half written."""
    for draft in folder.glob(f".*{_DRAFT}"):
        with contextlib.suppress(OSError):
            draft.unlink()
