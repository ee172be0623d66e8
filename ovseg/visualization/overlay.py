"""Label maps painted over their image, with a legend beside it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ovseg.visualization.legend import LegendEntry, add_legend, display_size
from ovseg.visualization.palette import class_colors

__all__ = ["draw_overlay", "paint"]


def draw_overlay(
    image: np.ndarray | None,
    mask: np.ndarray,
    classes: Sequence[str],
    alpha: float = 0.5,
    colors: np.ndarray | Sequence[Sequence[int]] | None = None,
    legend: bool = True,
    max_legend: int = 20,
    void: int | None = None,
    steady: bool = False,
) -> np.ndarray:
    """Paint a label map over its image: filled regions, thin contours and a legend beside it.

    The legend never covers the image: it is a panel to the right of it, or below a wide one. It
    lists the classes that occur, largest first, with their share of the image.

    Args:
        image: (H, W, 3) uint8 RGB; None paints the label map alone.
        mask: (H, W) integer labels, index into ``classes``; other values stay unpainted.
        classes: the C class names.
        alpha: strength of the fill, 0 (invisible) to 1 (opaque).
        colors: (C, 3) RGB of the classes, each 0..255; by default from the names.
        legend: without one, the picture has exactly the size of the image. With one, small images
            are enlarged until the legend can be read, very large ones reduced to 4096 pixels,
            and very thin ones widened.
        max_legend: most classes to list; the rest are summed up as "+ n more".
        void: a label that stays unpainted although it may be a valid index.
        steady: for the frames of a video: the legend has the same size whatever occurs, and lists
            the classes in their own order.

    Returns:
        (H', W', 3) uint8 RGB.

    Raises:
        ValueError: shapes, dtypes or ranges are not as above.
    """
    mask, colors = _checked(image, mask, classes, alpha, colors)
    areas = _areas(mask, len(classes), void)
    labels = _compact(mask, len(classes), void)
    if not legend:
        return paint(image, labels, colors, alpha)
    height, width = mask.shape
    shown = display_size(height, width)
    if shown != (height, width):
        size = shown[::-1]
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
        if image is not None:
            image = cv2.resize(image, size, interpolation=interpolation((height, width), shown))
    painted = paint(image, labels, colors, alpha)
    order = [c for c in np.argsort(-areas, kind="stable") if areas[c] > 0]
    if steady:
        order = sorted(order[:max_legend]) + order[max_legend:]
    entries = [
        LegendEntry(classes[c], tuple(colors[c].tolist()), float(areas[c] / mask.size))
        for c in order
    ]
    return add_legend(painted, entries, max_legend, room_for=classes if steady else ())


def paint(
    image: np.ndarray | None, labels: np.ndarray, colors: np.ndarray, alpha: float = 0.5
) -> np.ndarray:
    """Fill regions with their color and draw their contours, at the size of the labels.

    Args:
        image: (H, W, 3) uint8 RGB, or None for a plain ground with opaque regions.
        labels: (H, W) int32, -1 stays unpainted.
        colors: (C, 3) uint8 RGB.
        alpha: strength of the fill.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if image is None:
        image, alpha = np.full((*labels.shape, 3), 236, dtype=np.uint8), 1.0
    table = np.concatenate([colors, np.zeros((1, 3), np.uint8)])  # -1 reads the last row
    fill = table[labels]
    picture = cv2.addWeighted(image, 1 - alpha, fill, alpha, 0)
    unpainted = labels < 0
    if unpainted.any():
        picture[unpainted] = image[unpainted]
    if alpha == 0:
        return picture
    edge, halo = _contours(labels)
    # A light line between deepened bands of the regions' own colors shows on any ground.
    picture[halo] = (0.55 * picture[halo] + 0.45 * fill[halo]).astype(np.uint8)
    picture[edge] = (0.35 * picture[edge] + 0.65 * 255).astype(np.uint8)
    return picture


def _contours(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Border pixels between regions, and a band of the region's own color beside them, as masks."""
    edge = np.zeros(labels.shape, dtype=np.uint8)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    thickness = max(1, round(max(labels.shape) / 900))
    if thickness > 1:
        edge = cv2.dilate(edge, np.ones((thickness, thickness), np.uint8))
    band = 2 * thickness + 1
    halo = cv2.dilate(edge, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (band + 2, band + 2)))
    return edge.astype(bool), (halo & ~edge & 1).astype(bool) & (labels >= 0)


def interpolation(before: tuple[int, int], after: tuple[int, int]) -> int:
    if after[0] * after[1] < before[0] * before[1]:
        return cv2.INTER_AREA
    # Enlarged a lot, an image of a few pixels should show its pixels.
    return cv2.INTER_NEAREST if max(before) < 64 else cv2.INTER_CUBIC


def _areas(mask: np.ndarray, num_classes: int, void: int | None) -> np.ndarray:
    valid = mask[(mask >= 0) & (mask < num_classes)]
    areas = np.bincount(valid.astype(np.int64), minlength=num_classes)
    if void is not None and 0 <= void < num_classes:
        areas[void] = 0
    return areas


def _compact(mask: np.ndarray, num_classes: int, void: int | None) -> np.ndarray:
    """Labels as int32 with -1 for everything that is not painted."""
    outside = (mask < 0) | (mask >= num_classes)
    if void is not None:
        outside |= mask == void
    labels = mask.astype(np.int32)
    labels[outside] = -1
    return labels


def _checked(
    image: np.ndarray | None,
    mask: np.ndarray,
    classes: Sequence[str],
    alpha: float,
    colors: np.ndarray | Sequence[Sequence[int]] | None,
) -> tuple[np.ndarray, np.ndarray]:
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.size == 0 or not np.issubdtype(mask.dtype, np.integer):
        raise ValueError(
            f"The mask must be a non-empty (H, W) array of integers, not {mask.shape} {mask.dtype}."
        )
    if image is not None and (image.dtype != np.uint8 or image.shape != (*mask.shape, 3)):
        raise ValueError(
            f"The image must be uint8 of shape {(*mask.shape, 3)} to match the mask, "
            f"not {image.shape} {image.dtype}."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0..1, not {alpha}.")
    colors = class_colors(classes) if colors is None else np.asarray(colors)
    if colors.shape != (len(classes), 3) or (
        colors.size and not 0 <= colors.min() <= colors.max() < 256
    ):
        raise ValueError(
            f"colors must be {len(classes)} rows of R, G, B in 0..255, one for each class, "
            f"not an array of shape {colors.shape}."
        )
    return mask, colors.astype(np.uint8)
