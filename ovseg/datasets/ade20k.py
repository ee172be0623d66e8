"""ADE20K with 150 classes, in the layout of ADEChallengeData2016."""

from __future__ import annotations

from typing import ClassVar

from mmseg.datasets import ADE20KDataset

from ovseg.datasets.base import SegmentationDataset
from ovseg.registry import DATASETS

__all__ = ["ADE20K150"]


@DATASETS.register_module()
class ADE20K150(SegmentationDataset):
    """ADE20K, 150 classes: ``images/validation/*.jpg``, ``annotations/validation/*.png``.

    Raw 0 is void, raw k is class k - 1.
    """

    METAINFO: ClassVar[dict] = dict(**ADE20KDataset.METAINFO, vocabulary="ade20k-150")

    def __init__(
        self,
        *,
        data_prefix: dict | None = None,
        img_suffix: str = ".jpg",
        reduce_zero_label: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(
            data_prefix=data_prefix
            or dict(img_path="images/validation", seg_map_path="annotations/validation"),
            img_suffix=img_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs,
        )
