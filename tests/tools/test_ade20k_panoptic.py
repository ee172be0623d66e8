"""Panoptic masks of ADE20K from semantic and instance masks, read back by the dataset."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ovseg.datasets.builtin import ADE20KPanoptic150
from tests.datasets.files import image, mask, rows
from tests.tools.converters import ade20k_panoptic


def write(root, classes=(0, 1, 8, 8), kind=1, name="A"):
    """A wall (1), and two beds (8 in the semantic mask, 1 in the masks of instances)."""
    image(root / f"images/validation/{name}.jpg")
    mask(root / f"annotations/validation/{name}.png", rows(*classes))
    instances = np.zeros((4, 8, 3), np.uint8)
    instances[2:, :4] = (kind, 1, 0)
    instances[1:, 6:] = (1, 2, 0)  # lies on the wall as well
    mask(root / f"annotations_instance/validation/{name}.png", instances)


def run(root, *arguments):
    return ade20k_panoptic.main([str(root), "--workers", "0", *arguments])


def test_stuff_then_instances(tmp_path):
    write(tmp_path)
    write(tmp_path, classes=(0, 0, 0, 0), name="B")
    assert run(tmp_path) == 0 == run(tmp_path)
    pipeline = [dict(type="LoadImage"), dict(type="LoadPanoptic"), dict(type="PackPanoptic")]
    dataset = ADE20KPanoptic150(data_root=str(tmp_path), pipeline=pipeline)
    dataset.check_masks()
    sample = dataset[0]["data_samples"]
    ids = sample.gt_panoptic.data[0].numpy()
    assert ids[0].tolist() == [0] * 8  # void
    assert ids[1].tolist() == [1] * 6 + [3] * 2  # wall, the second bed
    assert ids[2].tolist() == [2] * 4 + [0] * 2 + [3] * 2  # a bed that is no instance is void
    found = [(s["category_id"], s["isthing"], s["area"]) for s in sample.segments_info]
    assert found == [(0, False, 8), (7, True, 8), (7, True, 6)]  # all of the wall counts
    content = json.loads((tmp_path / "ade20k_panoptic_val.json").read_text())
    assert sum(c["isthing"] for c in content["categories"]) == 100
    assert content["annotations"][0]["segments_info"][0]["bbox"] == [0, 1, 8, 1]
    assert len(dataset) == 2 and len(dataset[1]["data_samples"].segments_info) == 2


def no_instances(root):
    write(root)
    next(root.glob("annotations_instance/*/*.png")).unlink()


def no_folder_of_instances(root):
    mask(root / "annotations/validation/A.png", rows(0, 0, 0, 0))


def two_classes(root):
    write(root, kind=2)
    path = next(root.glob("annotations_instance/*/*.png"))
    both = np.zeros((4, 8, 3), np.uint8)
    both[0], both[1] = (1, 1, 0), (2, 1, 0)
    mask(path, both)


def class_101(root):
    write(root, kind=101)


def grey(root):
    write(root)
    mask(next(root.glob("annotations_instance/*/*.png")), rows(1, 1, 1, 1))


def damaged(root):
    write(root)
    path = next(root.glob("annotations_instance/*/*.png"))
    path.write_bytes(path.read_bytes()[:60])


WRONG = {
    damaged: "A.png cannot be read",
    no_instances: "1 masks of instances are missing",
    no_folder_of_instances: "unpack annotations_instance.tar there",
    two_classes: "has the classes [1, 2], not one",
    class_101: "holds a class that ADE20K has not",
    grey: "instance masks of ADE20K are RGB: unpack annotations_instance.tar again",
}


@pytest.mark.parametrize("prepare", WRONG, ids=lambda f: f.__name__)
def test_mistakes_end_in_one_line(tmp_path, prepare, capsys):
    prepare(tmp_path)
    assert run(tmp_path) == 2
    assert WRONG[prepare] in capsys.readouterr().err
    assert not (tmp_path / "ade20k_panoptic_val.json").exists()


@pytest.mark.parametrize("content", [b"", b"no image", -30, 60], ids=str)
def test_a_damaged_file_of_an_earlier_run(tmp_path, capsys, content):
    write(tmp_path)
    assert run(tmp_path) == 0
    path = tmp_path / "ade20k_panoptic_val/A.png"
    before = path.read_bytes()
    path.write_bytes(before[:content] if isinstance(content, int) else content)
    assert run(tmp_path) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{path} is damaged" in error and "delete it and run the same command again" in error
    path.unlink()
    assert run(tmp_path) == 0 and path.read_bytes() == before
