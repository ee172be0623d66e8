"""COCO-Object from pixel maps, instances and panoptic masks; all three agree where they should."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from ovseg.datasets.builtin import COCOObject81
from ovseg.datasets.labels import read_panoptic_ids
from tests.datasets.files import PIPELINE, image, mask, rows
from tests.tools.converters import coco_object, shapes


def run(root, *arguments):
    return coco_object.main([str(root), "--workers", "0", *arguments])


def labels(root, name="7"):
    return np.asarray(Image.open(root / f"annotations/val2017/{name}_instanceTrainIds.png"))


def box(top, left, bottom, right):
    return [left, top, right, top, right, bottom, left, bottom]


def encoded(region):
    shape = rle.encode(np.asfortranarray(region.astype(np.uint8)))
    return dict(size=shape["size"], counts=shape["counts"].decode())


def write_instances(root, annotations, images=({"id": 7},)):
    content = dict(
        images=[dict(file_name=f"{i['id']}.jpg", height=6, width=8, **i) for i in images],
        annotations=[dict(id=n, image_id=7, **a) for n, a in enumerate(annotations)],
        categories=[],
    )
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations/instances_val2017.json").write_text(json.dumps(content))


def thing(category, segmentation, area, iscrowd=0):
    return dict(category_id=category, segmentation=segmentation, area=area, iscrowd=iscrowd)


def test_pixel_maps(tmp_path):
    mask(tmp_path / "stuffthingmaps/val2017/7.png", rows(255, 0, 89, 181))
    assert run(tmp_path) == 0
    assert labels(tmp_path)[:, 0].tolist() == [0, 1, 80, 0]


def test_pixel_maps_of_mmseg_lie_beside_the_labels(tmp_path):
    mask(tmp_path / "annotations/val2017/7.png", rows(255, 0, 12, 91))
    mask(tmp_path / "annotations/val2017/7_labelTrainIds.png", rows(9, 9, 9, 9))
    assert run(tmp_path) == 0 == run(tmp_path)
    assert labels(tmp_path)[:, 0].tolist() == [0, 1, 12, 0]
    assert len(list((tmp_path / "annotations/val2017").glob("*instanceTrainIds.png"))) == 1


def test_small_things_lie_on_large_ones_and_on_crowds(tmp_path):
    crowd = dict(size=[6, 8], counts=[0, 24, 24])  # the four columns at the left
    write_instances(
        tmp_path,
        [
            thing(90, [box(2, 2, 4, 6)], 8),  # toothbrush, small
            thing(1, [box(1, 1, 5, 7)], 24),  # person, large
            thing(3, crowd, 4, iscrowd=1),  # cars
            thing(2, encoded(np.indices((6, 8))[0] == 5), 30),  # the last row: a bicycle
        ],
    )
    assert run(tmp_path) == 0
    expected = np.zeros((6, 8), int)
    expected[:, :4] = 3
    expected[5] = 2
    expected[1:5, 1:7] = 1
    expected[2:4, 2:6] = 80
    np.testing.assert_array_equal(labels(tmp_path), expected)


def test_an_image_without_things_is_background(tmp_path):
    write_instances(tmp_path, [], images=[{"id": 7}, {"id": 8}])
    assert run(tmp_path) == 0
    assert labels(tmp_path, "8").shape == (6, 8) and not labels(tmp_path, "8").any()


def write_panoptic(root):
    ids = np.array([[0, 5, 300], [70000, 70000, 5]])
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    mask(root / "annotations/panoptic_val2017/7.png", rgb)
    segments = [dict(id=5, category_id=1), dict(id=300, category_id=200)]
    segments.append(dict(id=70000, category_id=90, iscrowd=1))
    entry = dict(image_id=7, file_name="7.png", segments_info=segments)
    content = dict(images=[dict(id=7, file_name="7.jpg")], annotations=[entry], categories=[])
    (root / "annotations/panoptic_val2017.json").write_text(json.dumps(content))


def test_panoptic(tmp_path):
    write_panoptic(tmp_path)
    assert run(tmp_path) == 0
    assert labels(tmp_path).tolist() == [[0, 1, 0], [80, 80, 1]]


def test_sources_are_not_mixed(tmp_path, capsys):
    write_panoptic(tmp_path)
    mask(tmp_path / "stuffthingmaps/val2017/7.png", rows(0, 0, 0, 0))
    assert run(tmp_path, "--source", "panoptic") == 0
    assert run(tmp_path) == 2
    assert "made with" in capsys.readouterr().err
    assert run(tmp_path, "--overwrite") == 0
    assert (labels(tmp_path) == 1).all()


def test_the_dataset_reads_what_is_written(tmp_path):
    image(tmp_path / "val2017/7.jpg", size=(2, 3))
    write_panoptic(tmp_path)
    assert run(tmp_path) == 0
    dataset = COCOObject81(data_root=str(tmp_path), pipeline=PIPELINE)
    truth = dataset[0]["data_samples"].gt_sem_seg.data[0]
    assert truth.tolist() == [[0, 1, 0], [80, 80, 1]]


def unknown_category(root):
    write_instances(root, [thing(12, [box(0, 0, 2, 2)], 4)])


def cut_short(root):
    write_instances(root, [])
    (root / "annotations/instances_val2017.json").write_text('{"images": [')


def not_a_mask(root):
    path = root / "stuffthingmaps/val2017/7.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no image")


def no_images(root):
    write_instances(root, [], images=[])


def image_without(key):
    def write(root):
        write_instances(root, [], images=[{"id": 7}, {"id": 8}])
        spoil(root, "instances", lambda content: content["images"][1].pop(key))

    return write


def drawn_by(segmentation):
    def write(root):
        write_instances(root, [thing(1, [box(0, 0, 2, 2)], 4), thing(1, segmentation, 4)])

    return write


def annotation_with(key, value):
    def write(root):
        drawn_by([box(0, 0, 2, 2)])(root)
        spoil(root, "instances", lambda content: content["annotations"][1].update({key: value}))

    return write


def spoil(root, source, change):
    path = root / f"annotations/{source}_val2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def no_panoptic_masks(root):
    write_panoptic(root)
    (root / "annotations/panoptic_val2017/7.png").unlink()


def no_panoptic_folder(root):
    no_panoptic_masks(root)
    (root / "annotations/panoptic_val2017").rmdir()


def no_panoptic_entries(root):
    write_panoptic(root)
    spoil(root, "panoptic", lambda content: content["annotations"].clear())


def panoptic_without_segments(root):
    write_panoptic(root)
    spoil(root, "panoptic", lambda content: content["annotations"].append({"image_id": 8}))


def panoptic_of_negative_category(root):
    write_panoptic(root)
    change = dict(category_id=-1)
    spoil(root, "panoptic", lambda c: c["annotations"][0]["segments_info"][0].update(change))


def whole(size, counts):
    return dict(size=size, counts=counts)


SPOILED = {
    "no images": (no_images, "FILE names no image; fetch it again"),
    "no name": (image_without("file_name"), "Entry 1 of images of FILE has no 'file_name'"),
    "no height": (image_without("height"), "Entry 1 of images of FILE has no 'height'"),
    "two numbers": (
        drawn_by([[1, 2]]),
        "Annotation 1 of FILE cannot be drawn: its polygons are not lists of three or more points",
    ),
    "no polygon": (drawn_by([]), "Annotation 1 of FILE cannot be drawn: its polygons"),
    "no counts": (drawn_by(dict(size=[6, 8])), "Annotation 1 of FILE cannot be drawn: it has nei"),
    "another size": (
        drawn_by(whole([8, 6], [48])),
        "its run-length encoding is of size [8, 6] but the image of [6, 8]",
    ),
    "too few runs": (drawn_by(whole([6, 8], [3, 4])), "Annotation 1 of FILE cannot be drawn: the"),
    "damaged": (drawn_by(whole([6, 8], "0\u00e9")), "its run-length encoding is damaged"),
    "area of text": (annotation_with("area", "4"), "Entry 1 of annotations of FILE has '4' as"),
    "a list": (annotation_with("category_id", [1]), "[1] as 'category_id', not a whole number"),
    "no masks": (
        no_panoptic_masks,
        "1 of 1 masks are missing in ROOT/annotations/panoptic_val2017, the first is 7.png; unpack "
        "panoptic_val2017.zip there",
    ),
    "no folder": (
        no_panoptic_folder,
        "Folder ROOT/annotations/panoptic_val2017 does not exist; unpack panoptic_val2017.zip",
    ),
    "no entries": (no_panoptic_entries, "panoptic_val2017.json names no image; fetch it again"),
    "no segments": (panoptic_without_segments, "Entry 1 of annotations of "),
    "negative": (panoptic_of_negative_category, "holds segment 5, which its annotation file gives"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_entries_that_are_not_whole(tmp_path, capsys, case):
    write, message = SPOILED[case]
    write(tmp_path)
    assert run(tmp_path) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    path = str(tmp_path / "annotations/instances_val2017.json")
    assert message in error.replace(path, "FILE").replace(str(tmp_path), "ROOT")
    assert not list((tmp_path).rglob("*_instanceTrainIds.png"))


def test_regions_are_those_of_pycocotools():
    generator = np.random.default_rng(0)
    for share in (0, 0.1, 0.5, 1):
        region = generator.random((6, 8)) < share
        packed = encoded(region)
        flat = region.ravel(order="F")
        cuts = np.flatnonzero(np.diff(flat, prepend=False))
        plain = np.diff(cuts, prepend=0, append=48).tolist()
        for shape in (packed, dict(size=[6, 8], counts=plain)):
            np.testing.assert_array_equal(shapes.region_of(shape, 6, 8), region)


WRONG = {
    unknown_category: "Annotation 0 is of category 12, which is none of COCO's 80",
    cut_short: "instances_val2017.json cannot be used",
    not_a_mask: "7.png cannot be read",
}


@pytest.mark.parametrize("write", WRONG, ids=lambda f: f.__name__)
def test_one_clear_error(tmp_path, capsys, write):
    write(tmp_path)
    assert run(tmp_path) == 2
    assert WRONG[write] in capsys.readouterr().err
    assert not list((tmp_path).rglob("*_instanceTrainIds.png"))


@pytest.mark.parametrize("source", coco_object.SOURCES)
def test_a_source_that_is_not_there(tmp_path, capsys, source):
    assert run(tmp_path, "--source", source) == 2
    assert "--help says where" in capsys.readouterr().err


def test_real_panoptic_masks_and_the_instances_in_them(sample_data, tmp_path):
    """Both ways give the same labels where things do not overlap, as in panoptic masks."""
    content = json.loads((sample_data / "coco/annotations/panoptic_val2017.json").read_text())
    (tmp_path / "annotations").mkdir()
    content["annotations"] = content["annotations"][:4]
    folder = "annotations/panoptic_val2017"
    (tmp_path / f"{folder}.json").write_text(json.dumps(content))
    (tmp_path / folder).symlink_to(sample_data / "coco" / folder)
    assert run(tmp_path, "--source", "panoptic", "--out", str(tmp_path / "of panoptic")) == 0

    annotations, areas = [], np.zeros(81, int)
    for entry in content["annotations"]:
        ids = read_panoptic_ids(tmp_path / folder / entry["file_name"])
        for segment in entry["segments_info"]:
            label = coco_object.CLASS_OF.get(segment["category_id"], 0)
            areas[label] += segment["area"] if label else 0
            if label:
                shape = encoded(ids == segment["id"])
                annotations.append(
                    {**segment, "image_id": entry["image_id"], "segmentation": shape}
                )
    used = {entry["image_id"] for entry in content["annotations"]}
    instances = dict(images=[i for i in content["images"] if i["id"] in used])
    path = tmp_path / "annotations/instances_val2017.json"
    path.write_text(json.dumps(instances | dict(annotations=annotations)))
    assert run(tmp_path, "--source", "instances", "--out", str(tmp_path / "of instances")) == 0

    found = np.zeros(81, int)
    for path in sorted((tmp_path / "of panoptic").glob("*.png")):
        one = np.asarray(Image.open(path))
        other = np.asarray(Image.open(tmp_path / "of instances" / path.name))
        np.testing.assert_array_equal(one, other)
        found += np.bincount(one.ravel(), minlength=81)
    assert areas[1:].sum() > 100_000
    np.testing.assert_array_equal(found[1:], areas[1:])
