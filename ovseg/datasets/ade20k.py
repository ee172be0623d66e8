"""ADE20K: the challenge with 150 classes, and the full release with 847."""

from __future__ import annotations

from typing import ClassVar

from mmseg.datasets import ADE20KDataset

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.benchmark_names import benchmark_classes, benchmark_palette
from ovseg.datasets.layouts import Layout
from ovseg.registry import DATASETS

__all__ = ["ADE20K150", "ADE20K847"]


@DATASETS.register_module()
class ADE20K150(SegmentationDataset):
    """ADE20K, 150 classes: ``images/validation/*.jpg``, ``annotations/validation/*.png``.

    Raw 0 is void, raw k is class k - 1.
    """

    METAINFO: ClassVar[dict] = dict(**ADE20KDataset.METAINFO, vocabulary="ade20k-150")
    LAYOUTS = (Layout("images/validation", "annotations/validation", reduce_zero_label=True),)
    HOW_TO_GET = (
        "ADEChallengeData2016.zip is at http://data.csail.mit.edu/places/ADEchallenge/ (see "
        "http://sceneparsing.csail.mit.edu); unpack it and set data_root to it."
    )


@DATASETS.register_module()
class ADE20K847(SegmentationDataset):
    """ADE20K, 847 classes, as MaskFormer's preparation leaves it.

    ``images_detectron2/validation/*.jpg`` with ``annotations_detectron2/validation/*.tif`` of 16
    bits: the class itself, 65535 is void. ``validation.txt`` tells the images where it exists.
    Images are not those of the release but smaller ones (short side 512), and so are the masks
    that scores count. `tools/dataset_converters/ade20k_847.py` makes all three.
    """

    METAINFO: ClassVar[dict] = dict(
        classes=benchmark_classes("ade20k-847"),
        palette=benchmark_palette(847),
        vocabulary="ade20k-847",
    )
    LAYOUTS = tuple(
        Layout(
            "images_detectron2/validation",
            "annotations_detectron2/validation",
            ann_file=names,
            seg_map_suffix=".tif",
        )
        for names in ("validation.txt", "")
    )
    HOW_TO_GET = (
        "Register at https://ade20k.csail.mit.edu for the full release (ADE20K_2021_17_01), unpack "
        "it, and run: python tools/dataset_converters/ade20k_847.py {data_root}"
    )

    def __init__(self, *, ignore_index: int = 65535, **kwargs) -> None:
        super().__init__(ignore_index=ignore_index, **kwargs)
