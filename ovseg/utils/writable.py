"""Whether folders can be written to, found out before any work is done."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ovseg.errors import SaveError

__all__ = ["check_writable"]


def check_writable(folder: str | Path) -> None:
    """Make a folder, and a file in it that is gone again.

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
