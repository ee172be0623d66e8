"""Boundary IoU: how well the outlines of classes are drawn.

Cheng, Girshick, Dollar, Berg, Kirillov, "Boundary IoU: Improving Object-Centric Image Segmentation
Evaluation", CVPR 2021.
"""

from __future__ import annotations

import math

import numpy as np

from ovseg.errors import ConfigError
from ovseg.evaluation.iou import SegmentationScores
from ovseg.evaluation.kernels import boundary_areas
from ovseg.registry import METRICS

__all__ = ["BoundaryScores", "boundary_width"]


def boundary_width(shape: tuple[int, int], ratio: float) -> int:
    """Width of the boundary in pixels: a share of the image's diagonal, rounded, at least 1.

    Args:
        shape: Height and width of the image.
        ratio: Share of the diagonal; the paper takes 0.02, for Cityscapes 0.005.
    """
    return max(1, round(ratio * math.hypot(*shape)))


@METRICS.register_module()
class BoundaryScores(SegmentationScores):
    """Boundary mIoU in percent, overall, by class, and by group of classes.

    IoU of what lies on the boundaries of each class: its pixels within a width of its outline,
    which the borders of the image belong to. Intersections and unions are summed over all images,
    as for mIoU; void pixels are of no class. Results are called ``boundary_mIoU`` and, of groups,
    ``boundary_mIoU_thing`` and so on.

    Args:
        ratio: Width of the boundary as a share of the image's diagonal, see `boundary_width`.
        **kwargs: As for `SegmentationScores`.

    Raises:
        ConfigError: ``ratio`` is none between 0 and 1.
    """

    kind = "boundary_"
    overall = ("mIoU",)

    def __init__(self, ratio: float = 0.02, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 < ratio < 1:
            raise ConfigError(f"BoundaryScores: ratio is a share between 0 and 1, not {ratio}.")
        self.ratio = ratio

    def count(self, prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, int]:
        """Areas of the boundaries, and the number of pixels of unknown classes."""
        known = (target >= 0) & (target < self.num_classes)
        unknown = np.count_nonzero(~known & (target != self.void))
        width = boundary_width(target.shape, self.ratio)
        return boundary_areas(prediction, target, self.num_classes, self.void, width), unknown
