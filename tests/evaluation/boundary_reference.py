"""Boundary IoU by its published definition, class by class with erosions, to compare with.

Written from Cheng et al., "Boundary IoU" (CVPR 2021, section 4): the boundary of a mask is what
``d`` erosions by 3 x 3 pixels take from it, beyond the borders of the image being nothing. It
shares nothing with the package's own code.
"""

from __future__ import annotations

import numpy as np


def erode(mask, times):
    """Erosion by 3 x 3 pixels, in numpy alone."""
    for _ in range(times):
        padded = np.pad(mask, 1)
        mask = np.logical_and.reduce(
            [
                padded[y : y + mask.shape[0], x : x + mask.shape[1]]
                for y in range(3)
                for x in range(3)
            ]
        )
    return mask


def boundary(mask, ratio=0.02):
    diagonal = np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)
    return mask & ~erode(mask, max(1, round(ratio * diagonal)))


def boundary_iou(pairs, classes, void, ratio=0.02):
    """IoU of each class in percent over all (prediction, truth); NaN where it is nowhere."""
    shared, union = np.zeros(classes), np.zeros(classes)
    for prediction, truth in pairs:
        for label in range(classes):
            found = boundary((prediction == label) & (truth != void), ratio)
            true = boundary(truth == label, ratio)
            shared[label] += np.count_nonzero(found & true)
            union[label] += np.count_nonzero(found | true)
    return np.where(union > 0, 100 * shared / np.maximum(union, 1), np.nan)
