"""Mapillary Vistas in the layout of its releases, in miniature."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.builtin import MapillaryPanoptic65, MapillaryVistas65
from ovseg.errors import DatasetError
from ovseg.text import Vocabulary
from tests.datasets.files import PIPELINE, image, mask, rows
from tests.datasets.test_panoptic import BOTH, rgb

NAME = "_0a1b2c3d4e5f6a7b8c9d0e"


def write(root, version="", categories=65):
    """An image with labels (a palette of 66 entries), and its panoptic annotation."""
    folder = root / "validation"
    image(folder / f"images/{NAME}.jpg")
    labels = Image.fromarray(rows(65, 0, 13, 55))  # unlabelled, bird, road, car
    labels.putpalette([k % 256 for k in range(66 * 3)])
    path = folder / version / f"labels/{NAME}.png"
    path.parent.mkdir(parents=True)
    labels.save(path)
    place = folder / version / "panoptic"
    ids = rgb(0, 1, 256, 512)
    ids[3, 4:] = (0, 3, 0)
    mask(place / f"{NAME}.png", ids)
    numbers = {1: 1, 256: 14, 512: 56, 768: 56}
    segments = [
        dict(id=i, category_id=c, area=4 if i > 500 else 8, iscrowd=0, bbox=[0, 0, 8, 1])
        for i, c in numbers.items()
    ]
    content = dict(
        images=[dict(id=NAME, file_name=f"{NAME}.jpg", width=8, height=4)],
        annotations=[dict(image_id=NAME, file_name=f"{NAME}.png", segments_info=segments)],
        categories=[dict(id=i + 1, name=f"object--{i}", isthing=1) for i in range(categories)],
    )
    (place / "panoptic_2018.json").write_text(json.dumps(content))


@pytest.mark.parametrize("version", ["", "v1.2"], ids=["release 1.2", "release 2.0"])
def test_both_releases(tmp_path, version):
    write(tmp_path, version)
    dataset = MapillaryVistas65(data_root=str(tmp_path), pipeline=PIPELINE)
    dataset.check_masks()
    truth = dataset[0]["data_samples"].gt_sem_seg.data[0]
    assert truth[:, 0].tolist() == [255, 0, 13, 55]

    dataset = MapillaryPanoptic65(data_root=str(tmp_path), pipeline=BOTH)
    dataset.check_masks()
    sample = dataset[0]["data_samples"]
    ids = sample.gt_panoptic.data[0].numpy()
    assert ids[:, 0].tolist() == [0, 1, 256, 512] and ids[3, 7] == 768
    found = {s["id"]: (s["category_id"], s["isthing"]) for s in sample.segments_info}
    assert found == {1: (0, True), 256: (13, False), 512: (55, True), 768: (55, True)}
    assert sample.image_id == NAME and dataset.metainfo["category_ids"][55] == 56
    np.testing.assert_array_equal(sample.gt_sem_seg.data[0], truth)


def test_classes_go_with_the_vocabulary():
    meta = MapillaryPanoptic65(lazy_init=True).metainfo
    vocabulary = Vocabulary.load(meta["vocabulary"])
    assert meta["classes"] == vocabulary.classes and len(meta["palette"]) == 65
    assert meta["classes"][55] == "car" and meta["classes"][27] == "sky"
    assert len(meta["groups"]["thing"]) == 37
    assert meta["groups"]["thing"] == np.flatnonzero(vocabulary.things).tolist()


def no_release(root):
    return MapillaryVistas65(data_root=str(root))


def no_panoptic_annotation(root):
    write(root)
    (root / "validation/panoptic/panoptic_2018.json").unlink()
    return MapillaryPanoptic65(data_root=str(root))


def other_version(root):
    write(root, categories=123)
    return MapillaryPanoptic65(data_root=str(root))


def labels_of_another_version(root):
    write(root)
    mask(root / f"validation/labels/{NAME}.png", rows(65, 0, 13, 122))
    MapillaryVistas65(data_root=str(root)).check_masks()


def no_png(root):
    write(root)
    (root / f"validation/panoptic/{NAME}.png").unlink()
    return MapillaryPanoptic65(data_root=str(root))


def spoiled(root, change):
    write(root)
    path = root / "validation/panoptic/panoptic_2018.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return MapillaryPanoptic65(data_root=str(root))


def second_entry_without_segments(root):
    return spoiled(root, lambda c: c["annotations"].append(dict(image_id="b", file_name="b.png")))


def segment_without_category(root):
    return spoiled(root, lambda c: c["annotations"][0]["segments_info"][2].pop("category_id"))


def category_without_id(root):
    return spoiled(root, lambda c: c["categories"][64].pop("id"))


def annotations_that_are_no_list(root):
    return spoiled(root, lambda c: c.update(annotations={"1": {}}))


def labels_of_version_2_alone(root):
    write(root, "v2.0")
    return MapillaryVistas65(data_root=str(root))


def segments_of_version_2_alone(root):
    write(root, "v2.0")
    return MapillaryPanoptic65(data_root=str(root))


MISTAKES = {
    labels_of_version_2_alone: r"Folder of masks .* masks of version 1\.2, .* or v1\.2/labels \(of",
    segments_of_version_2_alone: r"Folder of masks .*v1\.2/labels of MapillaryPanoptic65 does not",
    second_entry_without_segments: r"Entry 1 of annotations of .*2018\.json has no 'segments_info'",
    segment_without_category: rf"Entry 2 of segments_info of {NAME}\.png in .* no 'category_id'",
    category_without_id: r"Entry 64 of categories of .*panoptic_2018\.json has no 'id'",
    annotations_that_are_no_list: r"annotations of .*panoptic_2018\.json is not a list",
    no_release: "https://www.mapillary.com/dataset/vistas",
    no_panoptic_annotation: "unpack the whole release",
    other_version: "123 categories, not the 65 of version 1.2",
    labels_of_another_version: r"holds the label\(s\) 122",
    no_png: "1 of 1 masks of MapillaryPanoptic65 are missing",
}


@pytest.mark.parametrize("build", MISTAKES, ids=lambda f: f.__name__)
def test_one_clear_error(tmp_path, build):
    with pytest.raises(DatasetError, match=MISTAKES[build]):
        build(tmp_path)
