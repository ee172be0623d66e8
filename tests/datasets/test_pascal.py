"""PASCAL VOC and PASCAL Context in the layouts their users have."""

from __future__ import annotations

import numpy as np
import pytest

from ovseg.datasets.builtin import VOC20, VOC21, PascalContext59, PascalContext60, PascalContext459
from ovseg.errors import DatasetError
from tests.datasets.files import PIPELINE, image, mask, rows

CONTEXT = "annotations_detectron2/pc459_val"


def write(root, masks, values, listed="", suffix=".png", images="JPEGImages"):
    """Two images, of which one is in the list, if there is one, and has a mask."""
    for name in ("2007_000033", "2007_000032"):
        image(root / f"{images}/{name}.jpg")
    mask(root / f"{masks}/2007_000033{suffix}", values)
    if listed:
        (root / listed).parent.mkdir(parents=True, exist_ok=True)
        (root / listed).write_text("2007_000033\n")


VOC = dict(masks="SegmentationClass", listed="ImageSets/Segmentation/val.txt")
MMSEG = dict(masks="SegmentationClassContext", listed="ImageSets/SegmentationContext/val.txt")
WIDE = rows(65535, 0, 256, 458, dtype=np.uint16)

LAYOUTS = {
    # dataset, files, values of the mask, labels
    "voc with background": (VOC21, VOC, rows(0, 1, 20, 255), [0, 1, 20, 255]),
    "voc without background": (VOC20, VOC, rows(0, 1, 20, 255), [255, 0, 19, 255]),
    "context with background": (PascalContext60, MMSEG, rows(0, 1, 2, 59), [0, 1, 2, 59]),
    "context without background": (PascalContext59, MMSEG, rows(0, 1, 2, 59), [255, 0, 1, 58]),
    "context without background, of CAT-Seg": (
        PascalContext59,
        dict(masks="annotations_detectron2/pc59_val"),
        rows(255, 0, 1, 58),
        [255, 0, 1, 58],
    ),
    "all of context, of CAT-Seg": (
        PascalContext459,
        dict(masks=CONTEXT, suffix=".tif"),
        WIDE,
        [65535, 0, 256, 458],
    ),
    "all of context, of Trident": (
        PascalContext459,
        dict(masks=CONTEXT, suffix=".tif", listed=MMSEG["listed"]),
        WIDE,
        [65535, 0, 256, 458],
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(tmp_path, case):
    kind, files, values, expected = LAYOUTS[case]
    write(tmp_path, values=values, **files)
    dataset = kind(data_root=str(tmp_path), pipeline=PIPELINE)
    dataset.check_masks()
    assert len(dataset) == 1
    sample = dataset[0]["data_samples"]
    assert sample.gt_sem_seg.data[0, :, 0].tolist() == expected
    assert sample.img_path.endswith("JPEGImages/2007_000033.jpg")


def test_all_of_context_as_fc_clip_lays_it_out(tmp_path):
    image(tmp_path / "images/validation/2008_000002.jpg")
    mask(tmp_path / "annotations_ctx459/validation/2008_000002.tif", WIDE)
    dataset = PascalContext459(data_root=str(tmp_path), pipeline=PIPELINE)
    truth = dataset[0]["data_samples"].gt_sem_seg.data[0, :, 0]
    assert truth.tolist() == [65535, 0, 256, 458]


@pytest.mark.parametrize(
    "kind, vocabulary, classes, first, background",
    [
        (VOC21, "voc-21", 21, "background", True),
        (VOC20, "voc-20", 20, "aeroplane", False),
        (PascalContext60, "pascal-context-60", 60, "background", True),
        (PascalContext59, "pascal-context-59", 59, "aeroplane", False),
        (PascalContext459, "pascal-context-459", 459, "accordion", False),
    ],
)
def test_metainfo(kind, vocabulary, classes, first, background):
    info = kind(lazy_init=True).metainfo
    assert info["vocabulary"] == vocabulary
    assert len(info["classes"]) == len(info["palette"]) == classes
    assert info["classes"][0] == first
    assert len(set(map(tuple, info["palette"]))) >= classes - 3  # mmseg repeats two of Context
    if background:
        assert "background" not in info["classes"][1:]


def test_colors_go_with_the_classes():
    for whole, part in ((VOC21, VOC20), (PascalContext60, PascalContext59)):
        assert part.METAINFO["classes"] == whole.METAINFO["classes"][1:]
        assert part.METAINFO["palette"] == whole.METAINFO["palette"][1:]


def test_another_list_and_other_masks(tmp_path):
    write(tmp_path, "SegmentationClassAug", rows(0, 1, 2, 3), "ImageSets/Segmentation/trainaug.txt")
    dataset = VOC21(
        data_root=str(tmp_path),
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClassAug"),
        ann_file="ImageSets/Segmentation/trainaug.txt",
    )
    assert len(dataset) == 1


WRONG = {
    # dataset, files that are there, error
    "nothing of voc": (
        VOC21,
        None,
        r"JPEGImages of VOC21 .*VOCtrainval_11-May-2012\.tar is at http",
    ),
    "no list": (
        VOC20,
        dict(masks="SegmentationClass"),
        r"List of images .*Segmentation/val\.txt of VOC20 does not exist; .*VOCtrainval",
    ),
    "context is not converted": (
        PascalContext60,
        dict(masks="SegmentationClass", listed=VOC["listed"]),
        r"Folder of masks .*SegmentationClassContext .*pascal_context_60\.py \S*here$",
    ),
    "all of context is not converted": (
        PascalContext459,
        dict(masks="SegmentationClass"),
        r"Folder of masks .*pc459_val of .*pascal_context_459\.py \S*here$",
    ),
    "masks of fewer classes": (
        PascalContext60,
        dict(MMSEG),
        r"000033\.png holds the label\(s\) 60, 254, which none of the 60 classes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_error(tmp_path, case):
    kind, files, message = WRONG[case]
    root = tmp_path / "here"
    root.mkdir()
    if files:
        write(root, values=rows(0, 1, 60, 254), **files)
    with pytest.raises(DatasetError, match=message):
        kind(data_root=str(root)).check_masks()
