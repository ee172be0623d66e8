"""PASCAL VOC 2012 with 20 and 21 classes; PASCAL Context with 59, 60 and 459."""

from __future__ import annotations

from typing import ClassVar

from mmseg.datasets import PascalContextDataset, PascalVOCDataset

from ovseg.datasets.base import SegmentationDataset
from ovseg.datasets.benchmark_names import benchmark_classes, benchmark_palette
from ovseg.datasets.layouts import Layout
from ovseg.registry import DATASETS

__all__ = ["VOC20", "VOC21", "PascalContext59", "PascalContext60", "PascalContext459"]


def _without_background(metainfo: dict) -> dict:
    return dict(classes=metainfo["classes"][1:], palette=metainfo["palette"][1:])


# ------------------------------------------------------------ VOC 2012


def _voc_layout(reduce_zero_label: bool) -> tuple[Layout, ...]:
    folders = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation/val.txt")
    return (Layout(*folders, reduce_zero_label=reduce_zero_label),)


_VOC_SOURCE = (
    "VOCtrainval_11-May-2012.tar is at http://host.robots.ox.ac.uk/pascal/VOC/voc2012/; unpack it "
    "and set data_root to its VOCdevkit/VOC2012."
)


@DATASETS.register_module()
class VOC21(SegmentationDataset):
    """PASCAL VOC 2012, background and 20 classes, in the layout of the devkit.

    ``JPEGImages/*.jpg``, ``SegmentationClass/*.png`` (0 background, 255 void: the outlines of
    objects), and of these the 1449 of ``ImageSets/Segmentation/val.txt``.
    """

    IMAGES = 1449
    METAINFO: ClassVar[dict] = dict(**PascalVOCDataset.METAINFO, vocabulary="voc-21")
    LAYOUTS = _voc_layout(reduce_zero_label=False)
    HOW_TO_GET = _VOC_SOURCE


@DATASETS.register_module()
class VOC20(SegmentationDataset):
    """PASCAL VOC 2012 without the background: its pixels are void, class k is raw k + 1."""

    IMAGES = 1449
    METAINFO: ClassVar[dict] = dict(
        **_without_background(PascalVOCDataset.METAINFO), vocabulary="voc-20"
    )
    LAYOUTS = _voc_layout(reduce_zero_label=True)
    HOW_TO_GET = _VOC_SOURCE


# ------------------------------------------------------------ Context

_IMAGES = "JPEGImages"
_LIST = "ImageSets/SegmentationContext/val.txt"
_VOC2010_SOURCE = (
    "VOCtrainval_03-May-2010.tar is at http://host.robots.ox.ac.uk/pascal/VOC/voc2010/, to be "
    "unpacked so that data_root is its VOCdevkit/VOC2010; "
)
_CONTEXT_SOURCE = (
    _VOC2010_SOURCE + "trainval_merged.json (https://sites.google.com/view/pasd) or the folder "
    "trainval of .mat files (https://www.cs.stanford.edu/~roozbeh/pascal-context/) belongs into "
    "it. Then run: python tools/dataset_converters/pascal_context_60.py {data_root}"
)


@DATASETS.register_module()
class PascalContext60(SegmentationDataset):
    """PASCAL Context, background and 59 classes, in mmseg's layout of VOC2010.

    ``JPEGImages/*.jpg``, ``SegmentationClassContext/*.png`` (0 background, then the classes in
    alphabetical order), and of these the images of ``ImageSets/SegmentationContext/val.txt``.
    `tools/dataset_converters/pascal_context_60.py` makes masks and list.
    """

    IMAGES = 5105
    METAINFO: ClassVar[dict] = dict(**PascalContextDataset.METAINFO, vocabulary="pascal-context-60")
    LAYOUTS = (Layout(_IMAGES, "SegmentationClassContext", _LIST),)
    HOW_TO_GET = _CONTEXT_SOURCE


@DATASETS.register_module()
class PascalContext59(SegmentationDataset):
    """PASCAL Context without the background: its pixels are void, class k is raw k + 1.

    Without ``SegmentationClassContext`` the masks of CAT-Seg's preparation are taken, in which that
    is done already: ``annotations_detectron2/pc59_val/*.png``.
    """

    IMAGES = 5105
    METAINFO: ClassVar[dict] = dict(
        **_without_background(PascalContextDataset.METAINFO), vocabulary="pascal-context-59"
    )
    LAYOUTS = (
        Layout(_IMAGES, "SegmentationClassContext", _LIST, reduce_zero_label=True),
        Layout(_IMAGES, "annotations_detectron2/pc59_val", from_masks=True),
    )
    HOW_TO_GET = _CONTEXT_SOURCE


@DATASETS.register_module()
class PascalContext459(SegmentationDataset):
    """PASCAL Context with all its 459 classes, as the preparations of detectron2 leave it.

    Masks are ``.tif`` of 16 bits with the class itself, 65535 is void:
    ``annotations_detectron2/pc459_val`` beside ``JPEGImages`` (CAT-Seg and, with
    ``ImageSets/SegmentationContext/val.txt``, Trident), or ``annotations_ctx459/validation`` beside
    ``images/validation`` (FC-CLIP). `tools/dataset_converters/pascal_context_459.py` makes the
    first.
    """

    IMAGES = 5105
    METAINFO: ClassVar[dict] = dict(
        classes=benchmark_classes("pascal-context-459"),
        palette=benchmark_palette(459),
        vocabulary="pascal-context-459",
    )
    LAYOUTS = (
        Layout(_IMAGES, "annotations_detectron2/pc459_val", _LIST, seg_map_suffix=".tif"),
        Layout(_IMAGES, "annotations_detectron2/pc459_val", seg_map_suffix=".tif", from_masks=True),
        Layout("images/validation", "annotations_ctx459/validation", seg_map_suffix=".tif"),
    )
    HOW_TO_GET = (
        _VOC2010_SOURCE + "the folder trainval of .mat files "
        "(https://www.cs.stanford.edu/~roozbeh/pascal-context/, trainval.tar.gz) belongs into it. "
        "Then run: python tools/dataset_converters/pascal_context_459.py {data_root}"
    )

    def __init__(self, *, ignore_index: int = 65535, **kwargs) -> None:
        super().__init__(ignore_index=ignore_index, **kwargs)
