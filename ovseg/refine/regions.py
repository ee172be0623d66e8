"""Connected regions of a label map, and where to point at them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Scores that differ by less than this share are equal: which is the largest must not depend on
#: rounding, and enlarged maps repeat values at their borders.
_TIE = 1e-5


@dataclass(frozen=True)
class Regions:
    """R connected regions of one class each, in rising order of their classes.

    Attributes:
        classes: (R,) int64.
        boxes: (R, 4) float32 x1, y1, x2, y2: first and last column and row, in pixels.
        points: (R, 2) float32 x, y of the first pixel with the highest score.
        index: (H, W) int32, the region of each pixel, -1 where there is none.
    """

    classes: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


def find_regions(labels: np.ndarray, scores: np.ndarray, minimal_area: int = 0) -> Regions:
    """Find regions of one class that touch, corners included.

    Args:
        labels: (H, W) int64 classes; -1 where there is none.
        scores: (H, W) float32 of the class at each pixel.
        minimal_area: smaller regions are left out, in pixels.
    """
    classes, boxes, points = [], [], []
    index = np.full(labels.shape, -1, np.int32)
    for label, (rows, columns) in _extents(labels).items():
        window = (slice(*rows), slice(*columns))
        mask = (labels[window] == label).astype(np.uint8)
        count, numbered, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for number in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[number])
            if area < minimal_area:
                continue
            box = (slice(top, top + height), slice(left, left + width))
            inside = numbered[box] == number
            index[window][box][inside] = len(classes)
            here = np.where(inside, scores[window][box], -np.inf)
            best = (here >= here.max() * (1 - _TIE)).argmax()
            left, top = left + columns[0], top + rows[0]
            classes.append(label)
            boxes.append((left, top, left + width - 1, top + height - 1))
            points.append((left + best % width, top + best // width))
    return Regions(
        np.array(classes, np.int64),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(points, np.float32).reshape(-1, 2),
        index,
    )


def _extents(labels: np.ndarray) -> dict[int, tuple[tuple[int, int], tuple[int, int]]]:
    """Of each class its (first row, row behind the last) and the same of columns."""
    count = int(labels.max()) + 2  # -1 is the last of these
    ends = []
    for lines in (labels, labels.T):
        seen = np.zeros((count, len(lines)), bool)
        seen[lines, np.arange(len(lines))[:, None]] = True
        ends.append((seen.argmax(1), len(lines) - seen[:, ::-1].argmax(1), seen.any(1)))
    (top, bottom, present), (left, right, _) = ends
    return {
        label: ((int(top[label]), int(bottom[label])), (int(left[label]), int(right[label])))
        for label in np.flatnonzero(present[:-1]).tolist()
    }
