"""Compiled loops of the metrics, together in one module."""

from __future__ import annotations

import numpy as np

from ovseg.utils.compiled import compiled

__all__ = ["boundary_areas", "class_areas", "segment_interior", "segment_overlaps"]


@compiled()
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


#: Pixels whose changes are looked for at once; so few that they stay near the processor.
_BLOCK = 4096


@compiled()
def _slot(value: int, slots: int) -> int:
    """Where to begin to look for a value among a power of two of slots (Fibonacci hashing)."""
    return ((value * 2654435769) >> 8) & (slots - 1)


@compiled()
def _table(ids: np.ndarray) -> np.ndarray:
    """Positions of ids in a hash table, most of whose slots are free and hold -1."""
    slots = 16
    while slots < 8 * len(ids):
        slots *= 2
    table = np.full(slots, -1, np.int64)
    for place in range(len(ids)):
        slot = _slot(ids[place], slots)
        while table[slot] >= 0:
            slot = (slot + 1) & (slots - 1)
        table[slot] = place
    return table


@compiled()
def _place(table: np.ndarray, ids: np.ndarray, value: int) -> int:
    """Position of a value in ids, -1 where it is none of them."""
    slot = _slot(value, len(table))
    while table[slot] >= 0 and ids[table[slot]] != value:
        slot = (slot + 1) & (len(table) - 1)
    return table[slot]


@compiled()
def _changes(
    prediction: np.ndarray,
    prediction_before: np.ndarray,
    truth: np.ndarray,
    truth_before: np.ndarray,
    changed: np.ndarray,
) -> None:
    """Where a pixel is of another segment than the one before it, into ``changed``."""
    for i in range(truth.size):  # without a branch, so that it runs on many pixels at once
        changed[i] = (prediction[i] != prediction_before[i]) | (truth[i] != truth_before[i])


@compiled()
def _first_byte(eight: np.uint64) -> int:
    """Which of eight bytes that are 0 or 1 is the first 1.

    The first in memory is the lowest, on processors that store numbers from their lowest byte on,
    as those do that torch runs on. The highest byte of the product counts the bytes below it.
    """
    one, ones = np.uint64(1), np.uint64(0x0101010101010101)
    below = (eight & (~eight + one)) - one
    return np.int64(((below & ones) * ones) >> np.uint64(56))


@compiled()
def _overlaps(
    prediction: np.ndarray, truth: np.ndarray, prediction_ids: np.ndarray, truth_ids: np.ndarray
) -> tuple[np.ndarray, int]:
    counts = np.zeros((len(truth_ids), len(prediction_ids)), np.int64)
    if truth.size == 0:
        return counts, -1
    # Neighbors mostly are of one segment: look up and count only where one changes.
    changed = np.zeros(_BLOCK, np.bool_)
    words = changed.view(np.uint64)
    prediction_table, truth_table = _table(prediction_ids), _table(truth_ids)
    start = 0
    p = _place(prediction_table, prediction_ids, prediction[0])
    t = _place(truth_table, truth_ids, truth[0])
    if p < 0 or t < 0:
        return counts, 0
    for block in range(1, truth.size, _BLOCK):
        end = min(block + _BLOCK, truth.size)
        changed[end - block :] = False
        _changes(
            prediction[block:end],
            prediction[block - 1 : end - 1],
            truth[block:end],
            truth[block - 1 : end - 1],
            changed,
        )
        for word in range((end - block + 7) // 8):
            eight = words[word]
            while eight != 0:
                i = block + 8 * word + _first_byte(eight)
                eight &= eight - np.uint64(1)
                counts[t, p] += i - start
                p = _place(prediction_table, prediction_ids, prediction[i])
                t = _place(truth_table, truth_ids, truth[i])
                if p < 0 or t < 0:
                    return counts, i
                start = i
    counts[t, p] += truth.size - start
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
        prediction_ids: (P,) ids that may occur in the prediction, each once.
        truth_ids: (T,) ids that may occur in the ground truth, each once.

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
    # Ids of 32 bits are the usual ones and need no copy; others are widened.
    kind = np.int32 if prediction.dtype == truth.dtype == np.int32 else np.int64
    return _overlaps(
        np.ascontiguousarray(prediction, kind).reshape(-1),
        np.ascontiguousarray(truth, kind).reshape(-1),
        np.ascontiguousarray(prediction_ids, np.int64),
        np.ascontiguousarray(truth_ids, np.int64),
    )


@compiled()
def _interior(labels: np.ndarray, width: int) -> np.ndarray:
    rows, columns = labels.shape
    inside = np.zeros((rows, columns), np.bool_)
    flat = np.zeros((rows, columns), np.bool_)  # as far as the row can tell
    for y in range(rows):
        start = 0
        for x in range(1, columns + 1):
            if x == columns or labels[y, x] != labels[y, start]:
                for inner in range(start + width, x - width):
                    flat[y, inner] = True
                start = x
    # Going down, `run` counts the rows for which a column has been flat and of one label.
    run = np.zeros(columns, np.int32)
    for y in range(rows):
        for x in range(columns):
            if not flat[y, x]:
                run[x] = 0
            elif run[x] > 0 and labels[y, x] == labels[y - 1, x]:
                run[x] += 1
            else:
                run[x] = 1
            if run[x] > 2 * width:
                inside[y - width, x] = True
    return inside


def segment_interior(labels: np.ndarray, width: int) -> np.ndarray:
    """Which pixels lie deeper in their segment than a given width, for all segments in one pass.

    A pixel is inside if the square of side ``2 * width + 1`` around it is of its own label and
    within the image: it survives ``width`` erosions of its segment by 3 x 3 pixels, beyond the
    borders of the image being nothing. Pixels that are not inside are the boundary of Boundary IoU
    (Cheng et al., "Boundary IoU", CVPR 2021, section 4).

    Args:
        labels: (H, W) integer labels.
        width: Width of the boundary in pixels, at least 1.

    Returns:
        (H, W) bool.
    """
    return _interior(np.ascontiguousarray(labels, np.int32), int(width))


@compiled()
def _count_boundary(
    prediction: np.ndarray,
    truth: np.ndarray,
    prediction_inside: np.ndarray,
    truth_inside: np.ndarray,
    num_classes: int,
) -> np.ndarray:
    areas = np.zeros((3, num_classes), np.int64)
    for i in range(truth.size):
        p, t = prediction[i], truth[i]
        on_prediction = 0 <= p < num_classes and not prediction_inside[i]
        on_truth = 0 <= t < num_classes and not truth_inside[i]
        if on_prediction:
            areas[1, p] += 1
        if on_truth:
            areas[2, t] += 1
            if on_prediction and p == t:
                areas[0, t] += 1
    return areas


def boundary_areas(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ignore_index: int, width: int
) -> np.ndarray:
    """Pixels on the boundaries of each class: of a prediction, of its ground truth, of both.

    The boundary of a class are those of its pixels that lie within ``width`` pixels of another
    class, of void or of the border of the image. Void pixels are of no class, in the prediction
    neither.

    Args:
        prediction: (H, W) integer class indices; values that are no class mean "no class".
        truth: (H, W) integer class indices and ``ignore_index``.
        num_classes: Number of classes C.
        ignore_index: Ground-truth label of pixels that do not count.
        width: Width of the boundaries in pixels, at least 1.

    Returns:
        (3, C) int64 pixels on both boundaries, on the predicted, on the true one: `class_areas` of
        the boundaries alone.

    Raises:
        ValueError: The shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"A prediction of shape {prediction.shape} cannot be scored against ground truth of "
            f"shape {truth.shape}; bring it to the size of the image."
        )
    truth = np.ascontiguousarray(truth, np.int32)
    void = truth == ignore_index
    truth = np.where(void | (truth < 0) | (truth >= num_classes), -1, truth).astype(np.int32)
    known = (prediction >= 0) & (prediction < num_classes) & ~void
    prediction = np.where(known, prediction, -1).astype(np.int32)
    return _count_boundary(
        prediction.reshape(-1),
        truth.reshape(-1),
        _interior(prediction, width).reshape(-1),
        _interior(truth, width).reshape(-1),
        num_classes,
    )
