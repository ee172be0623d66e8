"""Pictures brought to a square without changing their shape, as CLIPSelf reads them.

Everything goes through Pillow's bicubic resizing on 8-bit pixels and is filled with black, as in
the authors' code; what is trained and what is scored see the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

__all__ = ["crop_boxes", "enlarged_box", "letterbox", "mask_box"]


def letterbox(image: Image.Image, side: int, center: bool = False) -> Image.Image:
    """Resize so that the longer side is ``side``, and fill up to a square with black.

    Args:
        image: Any mode Pillow resizes.
        side: Pixels.
        center: Put the picture in the middle, as crops; else at the top left, as whole images.
    """
    width, height = image.size
    scale = side / max(width, height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    resized = image.resize(size, Image.Resampling.BICUBIC)
    if size == (side, side):
        return resized
    square = Image.new(image.mode, (side, side))
    corner = ((side - size[0]) // 2, (side - size[1]) // 2) if center else (0, 0)
    square.paste(resized, corner)
    return square


def enlarged_box(
    box: Iterable[float], size: tuple[int, int], context: float
) -> tuple[float, float, float, float]:
    """A box (x0, y0, x1, y1) in pixels, enlarged about its middle and cut at the picture's edge.

    Args:
        box: Corners.
        size: (width, height) of the picture.
        context: Factor on both sides; 1 changes nothing.
    """
    x0, y0, x1, y1 = box
    if context == 1:
        return x0, y0, x1, y1
    x, y, half_w, half_h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
    half_w, half_h = half_w * 0.5 * context, half_h * 0.5 * context
    return (
        max(x - half_w, 0),
        max(y - half_h, 0),
        min(x + half_w, size[0]),
        min(y + half_h, size[1]),
    )


def crop_boxes(image: Image.Image, boxes: np.ndarray, side: int, context: float = 1) -> np.ndarray:
    """What lies under boxes, each as a picture of its own.

    Args:
        image: RGB.
        boxes: (n, 4) corners in pixels.
        side: Of the pictures, which are filled with black on both sides.
        context: See `enlarged_box`.

    Returns:
        (n, side, side, 3) uint8.
    """
    crops = np.zeros((len(boxes), side, side, 3), np.uint8)
    for crop, box in zip(crops, np.asarray(boxes).tolist(), strict=True):
        x0, y0, x1, y1 = map(round, enlarged_box(box, image.size, context))
        # A sliver is widened to a pixel, within the picture.
        x0, y0 = min(x0, image.width - 1), min(y0, image.height - 1)
        window = image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
        crop[:] = np.asarray(letterbox(window, side, center=True))
    return crops


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The least box (x0, y0, x1, y1) around a mask (H, W) that is not empty; ends are exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
