"""Each dataset reads its published layout, in miniature and on the real samples."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.builtin import (
    ADE20K150,
    ADE20K847,
    Cityscapes19,
    COCOObject81,
    COCOPanoptic133,
    COCOStuff171,
    FolderDataset,
)
from ovseg.errors import DatasetError
from tests.datasets.files import PIPELINE, image, mask, rows


def ade20k(root):
    image(root / "images/validation/ADE_val_1.jpg")
    mask(root / "annotations/validation/ADE_val_1.png", rows(0, 1, 2, 150))
    return ADE20K150(data_root=str(root), pipeline=PIPELINE), [255, 0, 1, 149]


def ade20k_847(root):
    image(root / "images_detectron2/validation/ADE_val_1.jpg")
    values = rows(65535, 0, 255, 846, dtype=np.uint16)
    mask(root / "annotations_detectron2/validation/ADE_val_1.tif", values)
    return ADE20K847(data_root=str(root), pipeline=PIPELINE), [65535, 0, 255, 846]


def ade20k_847_with_its_list(root):
    image(root / "images_detectron2/validation/ADE_val_2.jpg")  # not of the list
    (root / "validation.txt").write_text("ADE_val_1\n")
    return ade20k_847(root)


def coco_panoptic(root):
    image(root / "val2017/7.jpg")
    ids = rows(0, 1000, 2, 70000, dtype=np.int64)
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    mask(root / "annotations/panoptic_val2017/7.png", rgb)
    segments = [dict(id=1000, category_id=90), dict(id=2, category_id=1)]
    segments.append(dict(id=70000, category_id=200, iscrowd=1))
    content = dict(
        categories=[
            dict(id=1, name="person", isthing=1, color=[1, 2, 3]),
            dict(id=90, name="toothbrush", isthing=1, color=[4, 5, 6]),
            dict(id=200, name="rug-merged", isthing=0, color=[7, 8, 9]),
        ],
        images=[dict(id=7, file_name="7.jpg")],
        annotations=[dict(image_id=7, file_name="7.png", segments_info=segments)],
    )
    (root / "annotations/panoptic_val2017.json").write_text(json.dumps(content))
    return COCOPanoptic133(data_root=str(root), pipeline=PIPELINE), [255, 1, 0, 2]


def coco_stuff(root):
    image(root / "val2017/7.jpg")
    mask(root / "stuffthingmaps/val2017/7.png", rows(255, 0, 12, 181))
    return COCOStuff171(data_root=str(root), pipeline=PIPELINE), [255, 0, 11, 170]


def coco_stuff_of_mmseg(root):
    image(root / "images/val2017/7.jpg")
    mask(root / "annotations/val2017/7.png", rows(255, 0, 12, 181))
    mask(root / "annotations/val2017/7_labelTrainIds.png", rows(255, 0, 11, 170))
    return COCOStuff171(data_root=str(root), pipeline=PIPELINE), [255, 0, 11, 170]


def coco_stuff_of_mmseg_not_converted(root):
    image(root / "images/val2017/7.jpg")
    mask(root / "annotations/val2017/7.png", rows(255, 0, 12, 181))
    return COCOStuff171(data_root=str(root), pipeline=PIPELINE), [255, 0, 11, 170]


def coco_object(root):
    image(root / "images/val2017/7.jpg")
    mask(root / "annotations/val2017/7.png", rows(255, 0, 12, 181))  # what it was made of
    mask(root / "annotations/val2017/7_instanceTrainIds.png", rows(0, 1, 11, 80))
    return COCOObject81(data_root=str(root), pipeline=PIPELINE), [0, 1, 11, 80]


def coco_object_in_the_folder_of_coco(root):
    image(root / "val2017/7.jpg")
    mask(root / "stuffthingmaps/val2017/7.png", rows(0, 0, 0, 0))  # gives way
    mask(root / "annotations/val2017/7_instanceTrainIds.png", rows(0, 1, 11, 80))
    return COCOObject81(data_root=str(root), pipeline=PIPELINE), [0, 1, 11, 80]


def coco_object_from_pixel_maps(root):
    image(root / "val2017/7.jpg")
    mask(root / "stuffthingmaps/val2017/7.png", rows(255, 89, 12, 91))  # a thing, a thing, stuff
    return COCOObject81(data_root=str(root), pipeline=PIPELINE), [0, 80, 12, 0]


def coco_object_from_pixel_maps_of_mmseg(root):
    image(root / "images/val2017/7.jpg")
    mask(root / "annotations/val2017/7.png", rows(255, 0, 181, 1))
    return COCOObject81(data_root=str(root), pipeline=PIPELINE), [0, 1, 0, 2]


def coco_stuff_converted(root):
    image(root / "val2017/7.jpg")
    mask(root / "stuffthingmaps/val2017/7_labelTrainIds.png", rows(255, 0, 11, 170))
    dataset = COCOStuff171(
        data_root=str(root),
        seg_map_suffix="_labelTrainIds.png",
        converted=True,
        pipeline=PIPELINE,
    )
    return dataset, [255, 0, 11, 170]


def cityscapes_train_ids(root):
    image(root / "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png")
    mask(root / "gtFine/val/ulm/ulm_1_gtFine_labelTrainIds.png", rows(255, 0, 18, 3))
    return Cityscapes19(data_root=str(root), pipeline=PIPELINE), [255, 0, 18, 3]


def cityscapes_label_ids(root):
    image(root / "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png")
    mask(root / "gtFine/val/ulm/ulm_1_gtFine_labelIds.png", rows(0, 7, 33, 12))
    return Cityscapes19(data_root=str(root), pipeline=PIPELINE), [255, 0, 18, 3]


def folder(root):
    image(root / "images/a/x.png")
    mask(root / "masks/a/x.png", rows(0, 1, 2, 255))
    (root / "classes.txt").write_text("cat; kitten\n\nsofa ;couch\nwall\n", encoding="utf-8")
    dataset = FolderDataset(data_root=str(root), classes="classes.txt", pipeline=PIPELINE)
    assert dataset.metainfo["classes"] == ("cat", "sofa", "wall")
    assert dataset.metainfo["vocabulary"] == str(root / "classes.txt")
    return dataset, [0, 1, 2, 255]


def folder_of_many_classes(root):
    image(root / "images/x.tiff")
    mask(root / "masks/x.png", rows(0, 255, 999, 65535, dtype=np.uint16))
    names = [f"class {i}" for i in range(1000)]
    dataset = FolderDataset(
        data_root=str(root), classes=names, ignore_index=65535, pipeline=PIPELINE
    )
    return dataset, [0, 255, 999, 65535]


LAYOUTS = [
    ade20k,
    ade20k_847,
    ade20k_847_with_its_list,
    coco_panoptic,
    coco_stuff,
    coco_stuff_of_mmseg,
    coco_stuff_of_mmseg_not_converted,
    coco_stuff_converted,
    coco_object,
    coco_object_in_the_folder_of_coco,
    coco_object_from_pixel_maps,
    coco_object_from_pixel_maps_of_mmseg,
    cityscapes_train_ids,
    cityscapes_label_ids,
    folder,
    folder_of_many_classes,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_layouts(tmp_path, layout):
    dataset, expected = layout(tmp_path)
    dataset.check_masks()
    assert len(dataset) == 1
    sample = dataset[0]
    assert sample["inputs"].shape == (3, 16, 32)  # the image is resized, in RGB
    assert sample["inputs"][0].float().mean() > 190 > 10 > sample["inputs"][2].float().mean() - 10
    truth = sample["data_samples"].gt_sem_seg.data
    assert truth.shape == (1, 4, 8)  # the mask is not
    assert truth[0, :, 0].tolist() == expected
    info = dataset.metainfo
    assert info["ignore_index"] in (255, 65535) and len(info["palette"]) == len(info["classes"])
    assert sample["data_samples"].img_path.startswith(info["image_root"])


@pytest.mark.parametrize(
    "dataset, vocabulary, classes, things",
    [
        (ADE20K150, "ade20k-150", 150, None),
        (ADE20K847, "ade20k-847", 847, None),
        (COCOObject81, "coco-object-81", 81, None),
        (COCOStuff171, "coco-stuff-171", 171, 80),
        (Cityscapes19, "cityscapes-19", 19, None),
    ],
)
def test_metainfo(dataset, vocabulary, classes, things):
    info = dataset(lazy_init=True).metainfo
    assert info["vocabulary"] == vocabulary and len(info["classes"]) == classes
    if things:
        assert len(info["groups"]["thing"]) == things
        assert sorted(info["groups"]["thing"] + info["groups"]["stuff"]) == list(range(classes))


def test_a_subset_of_the_classes(tmp_path):
    ade20k(tmp_path)
    dataset = ADE20K150(
        data_root=str(tmp_path),
        metainfo=dict(classes=("building", "wall")),  # raw 2 and 1
        pipeline=PIPELINE,
    )
    truth = dataset[0]["data_samples"].gt_sem_seg.data[0, :, 0]
    assert truth.tolist() == [255, 1, 0, 255]
    assert len(dataset.metainfo["palette"]) == 2


def test_cityscapes_has_34_label_ids(tmp_path):
    cityscapes_label_ids(tmp_path)
    path = tmp_path / "gtFine/val/ulm/ulm_1_gtFine_labelIds.png"
    mask(path, np.array([[*range(34), 255]], np.uint8))
    dataset = Cityscapes19(data_root=str(tmp_path))
    info = dataset.get_data_info(0)
    labels = info["label_reader"].read(path, None, info["label_lookup"])[0].tolist()
    assert [label for label in labels if label != 255] == list(range(19))
    assert labels[7] == 0 and labels[33] == 18 and labels[29] == labels[30] == labels[34] == 255


def test_a_list_of_images(tmp_path):
    for name in ("a", "b", "c"):
        image(tmp_path / f"images/{name}.jpg")
        mask(tmp_path / f"masks/{name}.png", rows(0, 0, 0, 0))
    (tmp_path / "some.txt").write_text("c.jpg\na.jpg\n")
    dataset = FolderDataset(data_root=str(tmp_path), classes=["x"], ann_file="some.txt")
    assert [dataset[i]["img_path"][-5:] for i in range(2)] == ["c.jpg", "a.jpg"]


def test_rotated_photograph_keeps_the_orientation_of_its_mask(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    path = tmp_path / "images/x.jpg"
    path.parent.mkdir()
    Image.new("RGB", (8, 4)).save(path, exif=tags)
    mask(tmp_path / "masks/x.png", rows(0, 0, 0, 0))
    dataset = FolderDataset(data_root=str(tmp_path), classes=["x"], pipeline=PIPELINE)
    assert dataset[0]["data_samples"].ori_shape == (4, 8)


def no_folder(root):
    return ADE20K150(data_root=str(root))


def no_masks(root):
    image(root / "images/validation/a.jpg")
    return ADE20K150(data_root=str(root))


def one_mask_missing(root):
    for name in ("a", "b"):
        image(root / f"images/{name}.jpg")
    mask(root / "masks/a.png", rows(0, 0, 0, 0))
    return FolderDataset(data_root=str(root), classes=["x"])


def empty_folder(root):
    (root / "images").mkdir()
    (root / "masks").mkdir()
    return FolderDataset(data_root=str(root), classes=["x"])


def same_stem(root):
    image(root / "images/a.jpg")
    image(root / "images/a.png")
    mask(root / "masks/a.png", rows(0, 0, 0, 0))
    return FolderDataset(data_root=str(root), classes=["x"])


def no_class_file(root):
    return FolderDataset(data_root=str(root / "here"), classes="names.txt")


def empty_class_file(root):
    (root / "names.txt").write_text("\n\n")
    return FolderDataset(data_root=str(root), classes="names.txt")


def no_classes(root):
    return FolderDataset(data_root=str(root), classes=[])


def no_annotations(root):
    return COCOPanoptic133(data_root=str(root))


def broken_annotations(root):
    (root / "annotations").mkdir()
    (root / "annotations/panoptic_val2017.json").write_text("{}")
    return COCOPanoptic133(data_root=str(root))


def no_cityscapes_masks(root):
    image(root / "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png")
    (root / "gtFine/val").mkdir(parents=True)
    return Cityscapes19(data_root=str(root))


def unknown_list(root):
    empty_folder_root = root
    for name in ("images", "masks"):
        (empty_folder_root / name).mkdir()
    return FolderDataset(data_root=str(root), classes=["x"], ann_file="missing.txt")


def empty_list(root):
    listed_847(root, "")


def list_with_a_name_twice(root):
    listed_847(root, "ADE_val_1\nADE_val_1\n")


def listed_847(root, names):
    image(root / "images_detectron2/validation/ADE_val_1.jpg")
    mask(root / "annotations_detectron2/validation/ADE_val_1.tif", rows(0, 0, 0, 0))
    (root / "validation.txt").write_text(names)
    return ADE20K847(data_root=str(root))


def too_many_labels(root):
    image(root / "images/a.jpg")
    mask(root / "masks/a.png", rows(0, 1, 2, 3))
    dataset = FolderDataset(data_root=str(root), classes=["x", "y"])
    dataset.check_masks()


def other_size(root):
    image(root / "images/a.jpg", size=(5, 8))
    mask(root / "masks/a.png", rows(0, 0, 0, 0))
    return FolderDataset(data_root=str(root), classes=["x"], pipeline=PIPELINE)[0]


def unfinished_conversion(root):
    listed_847(root, "ADE_val_1\nADE_val_2\n")


def label_id_that_is_none(root):
    cityscapes_label_ids(root)
    mask(root / "gtFine/val/ulm/ulm_1_gtFine_labelIds.png", rows(0, 7, 33, 99))
    Cityscapes19(data_root=str(root)).check_masks()


def pixel_map_of_another_set(root):
    image(root / "val2017/7.jpg")
    mask(root / "stuffthingmaps/val2017/7.png", rows(0, 11, 182, 254))
    COCOObject81(data_root=str(root)).check_masks()


WRONG = {
    no_folder: r"images/validation of ADE20K150 does not exist; set data_root.*2016\.zip is at",
    unfinished_conversion: r"1 of 2 images of ADE20K847 are missing.*ADE_val_2\.jpg; complete",
    label_id_that_is_none: r"labelIds\.png holds the label\(s\) 99, which none of the 19 classes",
    pixel_map_of_another_set: r"7\.png holds the label\(s\) 11, 182, 254, which none of the 81",
    no_masks: r"Folder of masks .*annotations/validation",
    one_mask_missing: r"1 of 2 masks of FolderDataset are missing, the first is .*b\.png",
    empty_folder: r"found no images",
    same_stem: r"a\.jpg and .*a\.png share the mask",
    no_class_file: r"here/names\.txt does not exist; write one class a line",
    empty_class_file: r"names\.txt has no name",
    no_classes: r"has no classes",
    no_annotations: r"panoptic_val2017\.json of COCOPanoptic133 does not exist",
    broken_annotations: r"panoptic_val2017\.json is not a COCO panoptic file",
    no_cityscapes_masks: r"Neither .*labelTrainIds\.png nor .*labelIds\.png",
    empty_list: r"validation\.txt is empty",
    list_with_a_name_twice: r"validation\.txt names 1 images more than once",
    unknown_list: r"missing\.txt of FolderDataset does not exist",
    too_many_labels: r"a\.png holds the label\(s\) 2, 3",
    other_size: r"a\.png is 8 x 4 pixels but its image .*a\.jpg is 8 x 5",
}


@pytest.mark.parametrize("build", WRONG, ids=lambda f: f.__name__)
def test_one_clear_error(tmp_path, build):
    with pytest.raises(DatasetError, match=WRONG[build]):
        build(tmp_path)


def test_real_ade20k(sample_data):
    dataset = ADE20K150(data_root=str(sample_data / "ADEChallengeData2016"), pipeline=PIPELINE)
    dataset.check_masks()
    assert len(dataset) == 3
    first = dataset[0]["data_samples"]
    labels, counts = first.gt_sem_seg.data.unique(return_counts=True)
    named = {dataset.metainfo["classes"][i] for i in labels.tolist() if i < 150}
    assert {"sky", "building", "tree"} <= named and counts.sum() == 512 * 683


def test_real_coco_panoptic(sample_data):
    dataset = COCOPanoptic133(data_root=str(sample_data / "coco"), pipeline=PIPELINE)
    assert len(dataset) == 60 and len(dataset.metainfo["classes"]) == 133
    assert len(dataset.metainfo["groups"]["thing"]) == 80
    content = json.loads((sample_data / "coco/annotations/panoptic_val2017.json").read_text())
    order = [category["id"] for category in content["categories"]]
    annotations = {a["file_name"]: a["segments_info"] for a in content["annotations"]}
    for index in (0, 30, 59):
        sample = dataset[index]["data_samples"]
        areas = np.bincount(sample.gt_sem_seg.data.numpy().ravel(), minlength=256)[:133]
        expected = np.zeros(133, int)
        for segment in annotations[sample.seg_map_path.rsplit("/", 1)[1]]:
            expected[order.index(segment["category_id"])] += segment["area"]
        np.testing.assert_array_equal(areas, expected)
