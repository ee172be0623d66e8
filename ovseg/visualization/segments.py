"""Segments painted over their image: one color a class, one shade an instance, counts beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from ovseg.visualization.legend import LegendEntry, add_legend, display_size
from ovseg.visualization.overlay import interpolation, paint
from ovseg.visualization.palette import class_colors

__all__ = ["draw_segments", "segment_colors"]

#: Shares of white (above 0) or black (below) that tell the instances of a class apart, in turn.
_SHADES = (0.0, 0.28, -0.26, 0.14, -0.14, 0.4, -0.38)


def segment_colors(class_of: Sequence[int], colors: np.ndarray) -> np.ndarray:
    """A color for each segment: that of its class, lighter or darker from one to the next.

    Args:
        class_of: class index of each of the n segments.
        colors: (C, 3) uint8 RGB of the classes.

    Returns:
        (n, 3) uint8 RGB.
    """
    seen: Counter[int] = Counter()
    found = np.zeros((len(class_of), 3))
    for i, label in enumerate(class_of):
        shade = _SHADES[seen[label] % len(_SHADES)]
        seen[label] += 1
        end = 255.0 if shade > 0 else 0.0
        found[i] = (1 - abs(shade)) * colors[label] + abs(shade) * end
    return np.rint(found).astype(np.uint8)


def draw_segments(
    image: np.ndarray | None,
    segments: np.ndarray,
    class_of: Sequence[int],
    counted: Sequence[bool],
    classes: Sequence[str],
    alpha: float = 0.5,
    colors: np.ndarray | Sequence[Sequence[int]] | None = None,
    legend: bool = True,
    max_legend: int = 20,
    steady: bool = False,
) -> np.ndarray:
    """Paint segments over their image, with their borders and a legend beside it.

    Every segment has a border, also towards another of its class. The legend lists the classes
    that occur, largest first, with their share of the image, and how many there are of things.

    Args:
        image: (H, W, 3) uint8 RGB; None paints the segments alone.
        segments: (H, W) integers: position of the segment in ``class_of``, -1 for none.
        class_of: class index of each of the n segments.
        counted: for each segment whether the legend counts it (things) or not (stuff).
        classes: the C class names.
        alpha: strength of the fill, 0..1.
        colors: (C, 3) RGB of the classes; by default from the names.
        legend: without one the picture has exactly the size of the image.
        max_legend: most classes to list.
        steady: for the frames of a video: the legend has the same size whatever occurs.

    Returns:
        (H', W', 3) uint8 RGB.

    Raises:
        ValueError: shapes or ranges are not as above.
    """
    if segments.ndim != 2 or segments.size == 0 or segments.max() >= len(class_of):
        raise ValueError(
            f"segments must be a non-empty (H, W) array below {len(class_of)}, not of shape "
            f"{segments.shape}."
        )
    if image is not None and (image.dtype != np.uint8 or image.shape != (*segments.shape, 3)):
        raise ValueError(
            f"The image must be uint8 of shape {(*segments.shape, 3)} to match the segments, "
            f"not {image.shape} {image.dtype}."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0..1, not {alpha}.")
    of_class = np.asarray(class_colors(classes) if colors is None else colors, np.uint8)
    if of_class.shape != (len(classes), 3):
        raise ValueError(f"colors must be {len(classes)} rows of R, G, B.")
    shades = segment_colors(class_of, of_class)
    labels = segments.astype(np.int32)
    if not legend:
        return paint(image, labels, shades, alpha)
    height, width = labels.shape
    areas = np.bincount(labels[labels >= 0].ravel(), minlength=len(class_of))
    shown = display_size(height, width)
    if shown != (height, width):
        labels = cv2.resize(labels, shown[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        if image is not None:
            how = interpolation((height, width), shown)
            image = cv2.resize(image, shown[::-1], interpolation=how)
    painted = paint(image, labels, shades, alpha)
    share, number = Counter(), Counter()
    for label, thing, area in zip(class_of, counted, areas.tolist(), strict=True):
        share[label] += area / segments.size
        number[label] += bool(thing)
    order = sorted(share, key=lambda label: (-share[label], label))
    if steady:
        order = sorted(order[:max_legend]) + order[max_legend:]
    entries = [
        LegendEntry(
            # The count comes first: long names are cut at their end.
            f"{number[label]} x {classes[label]}" if number[label] else classes[label],
            tuple(of_class[label].tolist()),
            min(share[label], 1.0),
        )
        for label in order
    ]
    room = [f"99 x {name}" for name in classes] if steady else ()
    return add_legend(painted, entries, max_legend, room_for=room)
