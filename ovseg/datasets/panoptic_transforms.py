"""Transforms that read panoptic ground truth and pack it for evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.datasets import PackSegInputs

from ovseg.datasets.transforms import check_size
from ovseg.errors import DatasetError
from ovseg.registry import TRANSFORMS

__all__ = ["LoadPanoptic", "PackPanoptic"]


@TRANSFORMS.register_module()
class LoadPanoptic(BaseTransform):
    """Read the segments of a sample through the ``panoptic_reader`` of its dataset.

    Needs ``panoptic_reader`` and ``panoptic_path`` (else ``seg_map_path``), which the panoptic
    datasets of this package provide, and ``segments`` where a file lists them. Adds ``gt_panoptic``
    (H, W) int32 segment ids, 0 for void, and ``segments_info``: for each segment its ``id``,
    ``category_id`` (class index), ``isthing``, ``iscrowd`` and ``area``.
    """

    def transform(self, results: dict) -> dict:
        """Read the segments; raises `DatasetError` naming the file where that fails."""
        reader = results.get("panoptic_reader")
        if reader is None:
            raise DatasetError(
                f"The dataset of {results.get('img_path')} has no panoptic ground truth; take a "
                "panoptic dataset, or leave LoadPanoptic out."
            )
        path = results.get("panoptic_path") or results["seg_map_path"]
        ids, segments = reader.read(path, results.get("segments"))
        check_size(path, ids.shape, results)
        results["gt_panoptic"], results["segments_info"] = ids, segments
        results.setdefault("seg_fields", []).append("gt_panoptic")
        return results

    def __repr__(self) -> str:
        return "LoadPanoptic()"


@TRANSFORMS.register_module()
class PackPanoptic(PackSegInputs):
    """`PackSegInputs` that keeps the panoptic ground truth as well, for evaluation.

    Adds ``gt_panoptic`` (PixelData, (1, H, W) int32) and ``segments_info`` (metainfo) to the data
    sample; both come of `LoadPanoptic`, or of `RenderScene` with ``panoptic=True``.

    Args:
        meta_keys: Other metainfo to keep.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            "img_path",
            "seg_map_path",
            "ori_shape",
            "img_shape",
            "reduce_zero_label",
            "image_id",
        ),
    ) -> None:
        super().__init__(meta_keys=(*meta_keys, "segments_info"))

    def transform(self, results: dict) -> dict:
        """Pack a sample.

        Raises:
            DatasetError: It has no panoptic ground truth.
        """
        if "gt_panoptic" not in results or "segments_info" not in results:
            raise DatasetError(
                f"Image {results.get('img_path')} came without panoptic ground truth; put "
                "LoadPanoptic (or RenderScene with panoptic=True) before PackPanoptic."
            )
        results["segments_info"] = [
            {"iscrowd": 0, **segment} for segment in results["segments_info"]
        ]
        packed = super().transform(results)
        ids = np.ascontiguousarray(results["gt_panoptic"], dtype=np.int32)
        packed["data_samples"].gt_panoptic = PixelData(data=torch.from_numpy(ids)[None])
        return packed
