"""The legend: a panel beside the picture that names its regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ovseg.visualization.fonts import clean_text, fit_text, font_for

__all__ = ["LegendEntry", "add_legend", "display_size"]

PAPER = (255, 255, 255)
INK = (33, 37, 41)
SOFT_INK = (120, 126, 134)
_MIN_LONG, _MAX_LONG, _MIN_SHORT = 384, 4096, 48
_WIDE = 1.5  # from this aspect on the legend goes below


class LegendEntry(NamedTuple):
    """One line of a legend: name, color (R, G, B) and share of the image, 0..1."""

    name: str
    color: tuple[int, int, int]
    share: float


class _Measures(NamedTuple):
    """Sizes in pixels of a legend whose font is ``font`` pixels high."""

    font: int
    pad: int
    row: int
    swatch: int
    gap: int
    name: int
    percent: int

    @property
    def entry(self) -> int:
        return self.swatch + self.gap + self.name + self.gap + self.percent


def display_size(height: int, width: int) -> tuple[int, int]:
    """Size (height, width) at which an image is shown beside a legend.

    Images whose longer side is below 384 pixels are enlarged by a whole factor, those above 4096
    reduced; a side that would then be thinner than 48 pixels is widened (no longer to scale).
    """
    longer = max(height, width)
    if longer < _MIN_LONG:
        factor = math.ceil(_MIN_LONG / longer)
        height, width = height * factor, width * factor
    elif longer > _MAX_LONG:
        height, width = (round(side * _MAX_LONG / longer) for side in (height, width))
    return max(height, _MIN_SHORT), max(width, _MIN_SHORT)


def add_legend(
    picture: np.ndarray,
    entries: Sequence[LegendEntry],
    max_legend: int = 20,
    room_for: Sequence[str] = (),
) -> np.ndarray:
    """Put a legend panel beside a picture.

    Args:
        picture: (H, W, 3) uint8 RGB; it is copied unchanged into the upper left corner.
        entries: what to list, in this order.
        max_legend: most entries to list; the rest become one line "+ n more".
        room_for: names of all entries there may ever be; the panel then has the same size
            whichever of them are listed, as the frames of a video need it.

    Returns:
        (H', W', 3) uint8 RGB with H' >= H and W' >= W, one of them larger.
    """
    height, width = picture.shape[:2]
    listed, more = list(entries[:max_legend]), list(entries[max_legend:])
    names = [clean_text(entry.name) for entry in listed]
    if more:
        names.append(f"+ {len(more)} more")
    if not names:
        names.append("nothing found")
    sizes = _measure(height, width, [*names, *map(clean_text, room_for)])
    count = max(len(names), min(len(room_for), max_legend + 1))
    below = width / height >= _WIDE
    if below:
        columns = max(1, width // (sizes.entry + 2 * sizes.pad))
        columns = min(columns, count)
    else:
        fitting = max(1, (height - 2 * sizes.pad) // sizes.row)
        columns = min(2, math.ceil(count / fitting))
    rows = math.ceil(count / columns)
    panel_width = columns * (sizes.entry + 2 * sizes.pad)
    panel_height = rows * sizes.row + 2 * sizes.pad
    if below:
        size, corner = (max(width, panel_width), height + panel_height), (0, height)
    else:
        size, corner = (width + panel_width, max(height, panel_height)), (width, 0)
    canvas = Image.new("RGB", size, PAPER)
    canvas.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for n, name in enumerate(names):
        column, row = divmod(n, rows)
        left = corner[0] + sizes.pad + column * (sizes.entry + 2 * sizes.pad)
        middle = corner[1] + sizes.pad + row * sizes.row + sizes.row // 2
        if n < len(listed):
            _draw_entry(canvas, draw, sizes, left, middle, name, listed[n].color, listed[n].share)
        elif more:
            share = sum(entry.share for entry in more)
            _draw_entry(canvas, draw, sizes, left, middle, name, None, share)
        else:
            _draw_entry(canvas, draw, sizes, left, middle, name, None, None)
    return np.asarray(canvas)


def _measure(height: int, width: int, names: Sequence[str]) -> _Measures:
    font = math.sqrt(height * width) / 36
    font = int(min(max(font, max(height, width) / 110, 13), 96))
    longest = max(font_for(name, font).getlength(name) for name in names)
    widest = max(7 * font, min(15 * font, 0.6 * width))
    return _Measures(
        font=font,
        pad=font,
        row=round(1.75 * font),
        swatch=round(1.15 * font),
        gap=round(0.6 * font),
        name=math.ceil(min(longest, widest)) + 1,
        percent=math.ceil(font_for("100%", font).getlength("100%")),
    )


def _draw_entry(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    sizes: _Measures,
    left: int,
    middle: int,
    name: str,
    color: tuple[int, int, int] | None,
    share: float | None,
) -> None:
    if color is not None:
        swatch = _swatch(sizes.swatch, color)
        canvas.paste(swatch, (left, middle - sizes.swatch // 2))
    name = fit_text(name, sizes.font, sizes.name)
    where = left + sizes.swatch + sizes.gap
    font = font_for(name, sizes.font)
    draw.text((where, middle), name, INK if color else SOFT_INK, font, anchor="lm")
    if share is not None:
        draw.text(
            (left + sizes.entry, middle),
            _percent(share),
            SOFT_INK,
            font_for("0", sizes.font),
            anchor="rm",
        )


def _swatch(side: int, color: tuple[int, int, int]) -> Image.Image:
    """A square with rounded corners, drawn four times too large and reduced to be smooth."""
    large = Image.new("RGB", (4 * side, 4 * side), PAPER)
    box = (0, 0, 4 * side - 1, 4 * side - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, radius=side, fill=color)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def _percent(share: float) -> str:
    percent = 100 * share
    if percent < 0.95:
        return "<1%" if percent > 0 else "0%"
    # Never "100%" for what does not cover everything.
    return f"{min(round(percent), 99 if share < 1 else 100)}%"
