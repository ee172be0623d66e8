"""Compiled loops of the metrics, together in one module so that they compile once."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

__all__ = ["class_areas", "segment_overlaps"]


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


@_compiled
def _place(ids: np.ndarray, value: int) -> int:
    """Position of a value in sorted ids, -1 where it is none of them."""
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if ids[middle] < value:
            low = middle + 1
        else:
            high = middle
    if low < len(ids) and ids[low] == value:
        return low
    return -1


@_compiled
def _overlaps(
    prediction: np.ndarray, truth: np.ndarray, prediction_ids: np.ndarray, truth_ids: np.ndarray
) -> tuple[np.ndarray, int]:
    counts = np.zeros((len(truth_ids), len(prediction_ids)), np.int64)
    p, t = -1, -1
    for i in range(truth.size):
        # Neighbors mostly are of one segment: look up only where it changes.
        if i == 0 or prediction[i] != prediction[i - 1]:
            p = _place(prediction_ids, prediction[i])
        if i == 0 or truth[i] != truth[i - 1]:
            t = _place(truth_ids, truth[i])
        if p < 0 or t < 0:
            return counts, i
        counts[t, p] += 1
    return counts, -1


def segment_overlaps(
    prediction: np.ndarray,
    truth: np.ndarray,
    prediction_ids: np.ndarray,
    truth_ids: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Pixels that each segment of the ground truth shares with each predicted one, in one pass.

    Args:
        prediction: (H, W) integer segment ids.
        truth: (H, W) integer segment ids.
        prediction_ids: (P,) ids that may occur in the prediction, ascending.
        truth_ids: (T,) ids that may occur in the ground truth, ascending.

    Returns:
        (T, P) int64 pixels; and the flat index of a pixel whose id is none of those (the counts
        are then worth nothing), else -1.

    Raises:
        ValueError: The shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"A prediction of shape {prediction.shape} cannot be scored against ground truth of "
            f"shape {truth.shape}; bring it to the size of the image."
        )
    return _overlaps(
        np.ascontiguousarray(prediction, np.int64).reshape(-1),
        np.ascontiguousarray(truth, np.int64).reshape(-1),
        np.ascontiguousarray(prediction_ids, np.int64),
        np.ascontiguousarray(truth_ids, np.int64),
    )
