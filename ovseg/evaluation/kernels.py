"""Compiled loops of the metrics, together in one module so that they compile once."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

__all__ = ["class_areas"]


def _compiled(function: Callable) -> Callable:
    """Compile at first use; the machine code is kept on disk where there is a place for it."""
    try:
        return numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # neither the package nor the user's cache folder can be written to
        return numba.njit(function, nogil=True)


@_compiled
def _count(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ignore_index: int
) -> tuple[np.ndarray, int]:
    areas = np.zeros((3, num_classes), np.int64)
    unknown = 0
    for i in range(truth.size):
        t = truth[i]
        if t == ignore_index:
            continue
        if t < 0 or t >= num_classes:
            unknown += 1
            continue
        areas[2, t] += 1
        p = prediction[i]
        if 0 <= p < num_classes:
            areas[1, p] += 1
            if p == t:
                areas[0, t] += 1
    return areas, unknown


def class_areas(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ignore_index: int
) -> tuple[np.ndarray, int]:
    """Pixels of each class in a prediction, in its ground truth, and in both, in one pass.

    Args:
        prediction: (H, W) integer class indices; values that are no class mean "no class".
        truth: (H, W) integer class indices and ``ignore_index``.
        num_classes: Number of classes C.
        ignore_index: Ground-truth label of pixels that do not count.

    Returns:
        (3, C) int64: pixels where both agree, predicted pixels, ground-truth pixels, void excepted;
        and the number of ground-truth pixels that are neither a class nor void.

    Raises:
        ValueError: The shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"A prediction of shape {prediction.shape} cannot be scored against ground truth of "
            f"shape {truth.shape}; bring it to the size of the image."
        )
    return _count(
        np.ascontiguousarray(prediction, np.int32).reshape(-1),
        np.ascontiguousarray(truth, np.int32).reshape(-1),
        num_classes,
        ignore_index,
    )
