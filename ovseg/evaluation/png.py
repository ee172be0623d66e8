"""Writing PNGs whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ovseg.utils.writable import write_whole

__all__ = ["write_png"]


def write_png(path: Path, array: np.ndarray) -> None:
    """Write a PNG whole or not at all; folders are made.

    Raises:
        SaveError: It cannot be written (disk full, folder not writable).
    """
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
