"""Writing PNGs whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from ovseg.errors import SaveError

__all__ = ["write_png"]


def write_png(path: Path, array: np.ndarray) -> None:
    """Write a PNG whole or not at all; folders are made.

    Raises:
        SaveError: It cannot be written (disk full, folder not writable).
    """
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    draft = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(buffer.getvalue())
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
