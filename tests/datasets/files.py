"""Miniature images and masks, in whatever layout a test needs."""

from __future__ import annotations

import numpy as np
from PIL import Image

PIPELINE = [
    dict(type="LoadImage"),
    dict(type="Resize", scale=(64, 16), keep_ratio=True),
    dict(type="LoadMask"),
    dict(type="PackSegInputs"),
]


def image(path, size=(4, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), (200, 100, 0), np.uint8)).save(path)


def mask(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows)).save(path)


def rows(*values, dtype=np.uint8):
    """A mask of 4 x 8 pixels, one row for each value."""
    return np.repeat(np.array(values, dtype)[:, None], 8, axis=1)
