"""Folders that can be written to, and files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ovseg.errors import SaveError

__all__ = ["check_writable", "write_whole"]


def check_writable(folder: str | Path) -> None:
    """Find out before any work is done: make a folder, and a file in it that is gone again.

    Raises:
        SaveError: The folder cannot be made, or nothing can be written to it.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SaveError(
            f"Cannot write to {folder} ({error.strerror or error}); choose another folder."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; folders are made.

    Raises:
        SaveError: It cannot be written (disk full, folder not writable).
    """
    draft = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        os.replace(draft, path)
    except OSError as error:
        try:
            draft.unlink(missing_ok=True)
        except OSError:
            pass  # its folder is not one, or is gone
        raise SaveError(
            f"Cannot write {path} ({error.strerror or error}); free space or choose another "
            "folder, files written earlier are kept."
        ) from error
