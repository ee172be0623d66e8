"""Ground truth as a mask transformer is trained on it: one mask and one class for each segment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmseg.datasets import PackSegInputs

from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS

__all__ = ["PackSegments", "segments_of_classes", "segments_of_panoptic"]

Segments = tuple[list[int], list[np.ndarray]]


def segments_of_panoptic(
    ids: np.ndarray, segments_info: Sequence[dict], least: int = 1
) -> Segments:
    """Classes and masks of segments; crowds and what cropping lost are left out.

    Args:
        ids: (H, W) segment ids.
        segments_info: Records with ``id``, ``category_id`` and maybe ``iscrowd``.
        least: Area in pixels from which on a segment counts.

    Returns:
        Class indices, and bool masks (H, W).
    """
    labels, masks = [], []
    for segment in segments_info:
        if segment.get("iscrowd"):
            continue
        mask = ids == segment["id"]
        if np.count_nonzero(mask) >= least:
            labels.append(int(segment["category_id"]))
            masks.append(mask)
    return labels, masks


def segments_of_classes(classes: np.ndarray, void: int = 255, least: int = 1) -> Segments:
    """Every class of a map as one segment, see `segments_of_panoptic`; void is none."""
    found, areas = np.unique(classes, return_counts=True)
    kept = [int(c) for c, area in zip(found, areas, strict=True) if c != void and area >= least]
    return kept, [classes == c for c in kept]


@TRANSFORMS.register_module()
class PackSegments(PackSegInputs):
    """Pack a picture with its segments for training.

    Needs ``img``, and ``gt_panoptic`` with ``segments_info``, or ``gt_seg_map`` alone, of which
    every class is one segment. The data sample gets ``gt_segments``: InstanceData with ``labels``
    (n,) int64 and ``masks`` (n, H, W) bool; n is 0 where nothing is annotated. Other than in the
    public code of FC-CLIP, segments of which cropping left nothing are not among them: there they
    teach queries to be empty.

    Args:
        least: Area in pixels, after all changes, from which on a segment counts.
        void: Label of void in ``gt_seg_map``.
        meta_keys: Metainfo to keep.
    """

    def __init__(
        self,
        least: int = 1,
        void: int = 255,
        meta_keys: Sequence[str] = ("img_path", "ori_shape", "img_shape", "flip"),
    ) -> None:
        super().__init__(meta_keys=tuple(meta_keys))
        self.least, self.void = least, void

    def transform(self, results: dict) -> dict:
        """Pack a sample.

        Raises:
            DatasetError: It has no ground truth, or segments of another size than the picture.
        """
        truth = results.get("gt_panoptic", results.get("gt_seg_map"))
        if truth is None:
            raise DatasetError(
                f"Sample {results.get('img_path')} has no ground truth to train on; put "
                "LoadPanoptic or LoadMask into the pipeline."
            )
        if truth.shape != results["img"].shape[:2]:
            raise DatasetError(
                f"The truth of {results.get('img_path')} is {truth.shape[1]} x {truth.shape[0]} "
                f"pixels but its picture is {results['img'].shape[1]} x {results['img'].shape[0]}; "
                "a transform changed only one of them."
            )
        if "gt_panoptic" in results:
            labels, masks = segments_of_panoptic(truth, results["segments_info"], self.least)
        else:
            labels, masks = segments_of_classes(truth, self.void, self.least)
        packed = super().transform(
            {key: results[key] for key in ("img", *self.meta_keys) if key in results}
        )
        stacked = np.stack(masks) if masks else np.zeros((0, *truth.shape), bool)
        packed["data_samples"].gt_segments = InstanceData(
            labels=torch.tensor(labels, dtype=torch.long), masks=torch.from_numpy(stacked)
        )
        return packed

    def __repr__(self) -> str:
        return f"PackSegments(least={self.least})"
