"""Each panoptic dataset reads its own layout, and says what is wrong with another."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ovseg.datasets.builtin import (
    ADE20K150,
    ADE20KPanoptic150,
    CityscapesPanoptic19,
    COCOPanoptic133,
    FolderPanopticDataset,
    ScenesDataset,
)
from ovseg.errors import DatasetError
from tests.datasets.files import image, mask, rows

LOAD = [dict(type="LoadImage"), dict(type="LoadPanoptic"), dict(type="PackPanoptic")]
BOTH = [dict(type="LoadImage"), dict(type="LoadMask"), *LOAD[1:]]


def rgb(*ids):
    """A panoptic PNG of 4 x 8 pixels, one row for each id."""
    ids = rows(*ids, dtype=np.int64)
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)


def write(path, categories, segments, name="7", **changes):
    content = dict(
        categories=categories,
        images=[dict(id=name, file_name=f"{name}.jpg")],
        annotations=[dict(image_id=name, file_name=f"{name}.png", segments_info=segments)],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **changes}))


def category(number, name, isthing=1):
    return dict(id=number, name=name, isthing=isthing, color=[number, 2, 3])


COCO = [category(1, "person"), category(90, "toothbrush"), category(200, "rug-merged", 0)]
SEGMENTS = [
    dict(id=1000, category_id=90, area=8),
    dict(id=2, category_id=1, iscrowd=1, area=8),
    dict(id=70000, category_id=200, area=9),  # one pixel lies under another segment
]


def coco(root, segments=SEGMENTS, ids=(0, 1000, 2, 70000), pipeline=BOTH, **changes):
    image(root / "val2017/7.jpg")
    mask(root / "annotations/panoptic_val2017/7.png", rgb(*ids))
    write(root / "annotations/panoptic_val2017.json", COCO, segments, **changes)
    return COCOPanoptic133(data_root=str(root), pipeline=pipeline)


def ade20k(root, categories=None):
    image(root / "images/validation/A.jpg")
    mask(root / "annotations/validation/A.png", rows(0, 1, 8, 8))
    mask(root / "ade20k_panoptic_val/A.png", rgb(0, 5, 6, 7))
    segments = [dict(id=i, category_id=c) for i, c in ((5, 0), (6, 7), (7, 7))]
    names = ADE20K150.METAINFO["classes"]
    categories = categories or [category(i, name) for i, name in enumerate(names)]
    write(root / "ade20k_panoptic_val.json", categories, segments, "A")
    return ADE20KPanoptic150(data_root=str(root), pipeline=BOTH)


def cityscapes(root):
    stem = root / "gtFine/val/ulm/ulm_1_gtFine"
    image(root / "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png")
    mask(stem.parent / f"{stem.name}_labelIds.png", rows(4, 7, 26, 26))
    values = rows(4, 7, 26001, 26, dtype=np.uint16)  # static, road, a car, cars
    values[2, 4:] = 26000
    mask(stem.parent / f"{stem.name}_instanceIds.png", values)
    return CityscapesPanoptic19(data_root=str(root), pipeline=BOTH)


def folder_of_segments(root):
    image(root / "images/7.jpg")
    mask(root / "masks/7.png", rgb(0, 3, 4, 256))
    segments = [dict(id=i, category_id=c) for i, c in ((3, 11), (4, 11), (256, 12))]
    write(root / "segments.json", [category(12, "Lawn", 0), category(11, "dog")], segments)
    (root / "classes.txt").write_text("dog\ngrass; lawn\n")
    return FolderPanopticDataset(data_root=str(root), classes="classes.txt", pipeline=BOTH)


def folder_of_instances(root):
    image(root / "images/7.jpg")
    mask(root / "masks/7.png", rows(65535, 1, 0, 1000, dtype=np.uint16))
    names = dict(classes=["dog", "grass"], stuff=["grass"])
    return FolderPanopticDataset(data_root=str(root), masks="instances", pipeline=BOTH, **names)


def folder_of_classes(root):
    image(root / "images/7.jpg")
    values = rows(0, 255, 0, 1)
    values[:, 7] = 1
    mask(root / "masks/7.png", values)
    names = dict(classes=["dog", "grass"], stuff=["grass"])
    return FolderPanopticDataset(data_root=str(root), masks="classes", pipeline=BOTH, **names)


# First column of ids, of classes; (class, thing, crowd, area) by id; things of the dataset.
CASES = {
    coco: (
        [0, 1000, 2, 70000],
        [255, 1, 0, 2],
        {1000: (1, True, 0, 8), 2: (0, True, 1, 8), 70000: (2, False, 0, 9)},
        [0, 1],
    ),
    ade20k: (
        [0, 5, 6, 7],
        [255, 0, 7, 7],
        {5: (0, False, 0, 8), 6: (7, True, 0, 8), 7: (7, True, 0, 8)},
        None,
    ),
    cityscapes: (
        [0, 1, 4, 2],
        [255, 0, 13, 13],
        {1: (0, False, 0, 8), 2: (13, True, 1, 8), 3: (13, True, 0, 4), 4: (13, True, 0, 4)},
        list(range(11, 19)),
    ),
    folder_of_segments: (
        [0, 3, 4, 256],
        [255, 0, 0, 1],
        {3: (0, True, 0, 8), 4: (0, True, 0, 8), 256: (1, False, 0, 8)},
        [0],
    ),
    folder_of_instances: (
        [0, 2, 1, 3],
        [255, 0, 0, 1],
        {1: (0, True, 1, 8), 2: (0, True, 0, 8), 3: (1, False, 0, 8)},
        [0],
    ),
    folder_of_classes: (
        [1, 0, 2, 3],
        [0, 255, 0, 1],
        {1: (0, True, 0, 7), 2: (0, True, 0, 7), 3: (1, False, 0, 11)},
        [0],
    ),
}


@pytest.mark.parametrize("build", CASES, ids=lambda f: f.__name__)
def test_layouts(tmp_path, build):
    ids, labels, segments, things = CASES[build]
    dataset = build(tmp_path)
    dataset.check_masks()
    assert len(dataset) == 1
    sample = dataset[0]["data_samples"]
    truth = sample.gt_panoptic.data
    assert truth.shape == (1, 4, 8) and truth.dtype == torch.int32
    assert truth[0, :, 0].tolist() == ids
    assert sample.gt_sem_seg.data[0, :, 0].tolist() == labels
    found = {
        s["id"]: (s["category_id"], s["isthing"], s["iscrowd"], s["area"])
        for s in sample.segments_info
    }
    assert found == segments
    groups = dataset.metainfo["groups"]
    assert things is None or groups["thing"] == things
    assert sorted(groups["thing"] + groups["stuff"]) == list(
        range(len(dataset.metainfo["classes"]))
    )


def test_ade20k_has_a_hundred_things():
    groups = ADE20KPanoptic150(lazy_init=True).metainfo["groups"]
    assert len(groups["thing"]) == 100 and len(groups["stuff"]) == 50


def test_ids_of_images_and_categories_are_kept_for_results(tmp_path):
    dataset = coco(tmp_path)
    assert dataset[0]["data_samples"].image_id == "7"
    assert dataset.metainfo["category_ids"] == [1, 90, 200]


def test_scenes():
    pipeline = [dict(type="RenderScene", panoptic=True), dict(type="PackPanoptic")]
    sample = ScenesDataset(length=1, size=64, pipeline=pipeline)[0]["data_samples"]
    ids, segments = sample.gt_panoptic.data, sample.segments_info
    assert set(ids.unique().tolist()) - {0} == {s["id"] for s in segments}
    for segment in segments:
        region = ids == segment["id"]
        assert region.sum() == segment["area"] and segment["iscrowd"] == 0
        assert (sample.gt_sem_seg.data[region] == segment["category_id"]).all()


def id_that_is_not_listed(root):
    coco(root, ids=(0, 1000, 2, 9)).check_masks()


def category_that_is_none(root):
    coco(root, segments=[dict(id=1000, category_id=4, area=1)], ids=(0, 0, 0, 1000), pipeline=LOAD)[
        0
    ]


def negative_category(root):
    coco(root, segments=[dict(id=1000, category_id=-1)], ids=(0, 0, 0, 1000)).check_masks()


def categories_of_no_kind(root):
    coco(root)
    write(root / "annotations/panoptic_val2017.json", [dict(id=1, name="person")], SEGMENTS)
    COCOPanoptic133(data_root=str(root))


def image_without_name(root):
    coco(root, images=[dict(id="7")])


def segment_listed_twice(root):
    coco(root, segments=[*SEGMENTS, SEGMENTS[0]], pipeline=LOAD)[0]


def segment_zero(root):
    coco(root, segments=[*SEGMENTS, dict(id=0, category_id=1)], pipeline=LOAD)[0]


def other_size(root):
    dataset = coco(root, pipeline=LOAD)
    image(root / "val2017/7.jpg", size=(5, 8))
    dataset[0]


def grey_mask(root):
    dataset = coco(root, pipeline=LOAD)
    mask(root / "annotations/panoptic_val2017/7.png", rows(1, 2, 3, 4))
    dataset[0]


def no_panoptic_truth(root):
    image(root / "images/validation/A.jpg")
    mask(root / "annotations/validation/A.png", rows(0, 1, 8, 8))
    ADE20K150(data_root=str(root), pipeline=LOAD)[0]


def not_loaded(root):
    coco(root, pipeline=[LOAD[0], LOAD[2]])[0]


def ade20k_not_converted(root):
    ade20k(root)
    (root / "ade20k_panoptic_val.json").unlink()
    ADE20KPanoptic150(data_root=str(root))


def ade20k_without_a_png(root):
    ade20k(root)
    (root / "ade20k_panoptic_val/A.png").unlink()
    ADE20KPanoptic150(data_root=str(root))


def ade20k_of_other_categories(root):
    ade20k(root, categories=COCO)


def ade20k_split(root):
    ADE20KPanoptic150(data_root=str(root), split="test")


def cityscapes_of_unknown_ids(root):
    dataset = cityscapes(root)
    path = next(root.rglob("*instanceIds.png"))
    mask(path, rows(4, 7, 29003, 34001, dtype=np.uint16))  # 29, caravan, is void
    dataset.check_masks()


def cityscapes_of_negative_ids(root):
    dataset = cityscapes(root)
    path = next(root.rglob("*instanceIds.png"))
    Image.fromarray(rows(4, 7, 26, -1, dtype=np.int32)).save(path, "TIFF")
    dataset.check_masks()


def cityscapes_without_instances(root):
    cityscapes(root)
    next(root.rglob("*instanceIds.png")).unlink()
    CityscapesPanoptic19(data_root=str(root))


def folder_without_annotation(root):
    dataset = folder_of_segments(root)
    content = json.loads(dataset.segments_path.read_text())
    content["images"].append(dict(id="8", file_name="8.jpg"))
    dataset.segments_path.write_text(json.dumps(content))
    FolderPanopticDataset(data_root=str(root), classes="classes.txt")


def folder_of_foreign_categories(root):
    folder_of_segments(root)
    FolderPanopticDataset(data_root=str(root), classes=["dog", "cat"])


def folder_without_json(root):
    FolderPanopticDataset(data_root=str(root), classes=["dog"])


def folder_with_foreign_json(root):
    (root / "segments.json").write_text("[]")
    FolderPanopticDataset(data_root=str(root), classes=["dog"])


def folder_of_unknown_masks(root):
    FolderPanopticDataset(data_root=str(root), classes=["dog"], masks="boxes")


def folder_of_unknown_stuff(root):
    folder_of_instances(root)
    FolderPanopticDataset(data_root=str(root), classes=["dog"], stuff=["sky"], masks="instances")


def folder_of_too_many_classes(root):
    folder_of_instances(root)
    mask(root / "masks/7.png", rows(0, 1, 0, 2001, dtype=np.uint16))
    names = dict(classes=["dog", "grass"], masks="instances", pipeline=LOAD)
    FolderPanopticDataset(data_root=str(root), **names)[0]


WRONG = {
    id_that_is_not_listed: r"7\.png holds segment 9, which its annotation",
    category_that_is_none: r"Segment 1000 of .*7\.png is of category 4, which is none of the 3",
    negative_category: r"7\.png holds segment 1000, which its annotation file gives no known",
    categories_of_no_kind: r"Entry 0 of categories of .*val2017\.json has no 'isthing'",
    image_without_name: r"Entry 0 of images of .*panoptic_val2017\.json has no 'file_name'",
    segment_listed_twice: r"lists segment 1000 twice",
    segment_zero: r"lists segment 0 though 0 means",
    other_size: r"7\.png is 8 x 4 pixels but its image .*7\.jpg is 8 x 5",
    grey_mask: r"7\.png is an image of mode L; panoptic masks are RGB",
    no_panoptic_truth: r"A\.jpg has no panoptic ground truth; take a panoptic dataset",
    not_loaded: r"7\.jpg came without panoptic ground truth; put LoadPanoptic",
    ade20k_not_converted: r"ade20k_panoptic_val\.json .*python tools/dataset_converters/ade20k_pan",
    ade20k_without_a_png: r"1 of 1 masks of ADE20KPanoptic150 are missing.*panoptic_val/A\.png",
    ade20k_of_other_categories: r"has 3 categories, not the 150",
    ade20k_split: r"split is 'val' or 'train', not 'test'",
    cityscapes_of_unknown_ids: r"holds the value 34001, that is class 34, which is none of the 19",
    cityscapes_of_negative_ids: r"instanceIds\.png holds the value -1, which is no class",
    cityscapes_without_instances: r"1 of 1 masks of CityscapesPanoptic19 are missing",
    folder_without_annotation: r"lists the image 8\.jpg but has no annotation for it",
    folder_of_foreign_categories: r"Category 12 of .*segments\.json, 'Lawn', is none of the 2",
    folder_without_json: r"segments\.json does not exist",
    folder_with_foreign_json: r"segments\.json is not a COCO panoptic file",
    folder_of_unknown_masks: r"masks='boxes' is none of 'segments'",
    folder_of_unknown_stuff: r"'sky' is given as stuff but is none of the 1 classes",
    folder_of_too_many_classes: r"holds the value 2001, that is class 2, which is none of the 2",
}


@pytest.mark.parametrize("build", WRONG, ids=lambda f: f.__name__)
def test_one_clear_error(tmp_path, build):
    with pytest.raises(DatasetError, match=WRONG[build]):
        build(tmp_path)


def test_real_coco(sample_data):
    dataset = COCOPanoptic133(data_root=str(sample_data / "coco"), pipeline=LOAD)
    for index in (0, 30, 59):
        sample = dataset[index]["data_samples"]
        ids, counts = sample.gt_panoptic.data.unique(return_counts=True)
        pixels = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        pixels.pop(0, None)
        assert {s["id"]: s["area"] for s in sample.segments_info} == pixels
        assert {s["isthing"] for s in sample.segments_info} <= {True, False}
