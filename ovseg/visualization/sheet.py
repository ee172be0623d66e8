"""Comparison sheets: pictures side by side, each under its title."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from ovseg.visualization.fonts import clean_text, fit_text, font_for
from ovseg.visualization.legend import INK, PAPER

__all__ = ["comparison_sheet"]


def comparison_sheet(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    cell_height: int = 360,
) -> np.ndarray:
    """Lay pictures out in rows, scaled to one height, each under its title.

    Args:
        pictures: (H, W, 3) uint8 RGB each, of any sizes; at least one.
        titles: one for each picture, or None for no titles.
        columns: pictures in a row; all of them by default.
        cell_height: height of every picture on the sheet, in pixels. A picture wider than three
            times this is made smaller.

    Returns:
        (H', W', 3) uint8 RGB.

    Raises:
        ValueError: no pictures, another number of titles than of pictures, or a bad shape.
    """
    if not pictures:
        raise ValueError("A comparison sheet needs at least one picture.")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures need as many titles, not {len(titles)}.")
    for picture in pictures:
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(
                f"Pictures must be uint8 (H, W, 3), not {picture.shape} {picture.dtype}."
            )
    columns = min(columns or len(pictures), len(pictures))
    cells = [_fit(picture, cell_height) for picture in pictures]
    rows = math.ceil(len(cells) / columns)
    font = max(13, cell_height // 22)
    pad, title_height = font, 2 * font if titles is not None else 0
    widths = [max(c.shape[1] for c in cells[i::columns]) for i in range(columns)]
    heights = [max(c.shape[0] for c in cells[r * columns :][:columns]) for r in range(rows)]
    size = (sum(widths) + pad * (columns + 1), sum(heights) + (pad + title_height) * rows + pad)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for n, cell in enumerate(cells):
        row, column = divmod(n, columns)
        x = pad + sum(widths[:column]) + pad * column
        y = pad + sum(heights[:row]) + (pad + title_height) * row
        if titles is not None:
            title = fit_text(clean_text(titles[n]), font, widths[column])
            draw.text((x, y + font), title, INK, font_for(title, font), anchor="lm")
        sheet.paste(Image.fromarray(cell), (x, y + title_height))
    return np.asarray(sheet)


def _fit(picture: np.ndarray, cell_height: int) -> np.ndarray:
    height, width = picture.shape[:2]
    factor = min(cell_height / height, 3 * cell_height / width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if factor < 1:
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    small = max(height, width) < 64
    return cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST if small else cv2.INTER_CUBIC)
