from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.draws import Draw, SeededSamples
from ovseg.datasets.images import ImageFolder
from ovseg.errors import DatasetError

PIPELINE = [
    dict(type="LoadImage"),
    dict(type="ClassAreaCrop", size=8),
    dict(type="PackSegInputs", meta_keys=("img_path", "ori_shape", "img_shape")),
]


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("b/1.png", "b/2.jpg", "a/3.JPEG", "4.png", ".5.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (10 + number, 9), (number, 0, 0)).save(path)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    return tmp_path


def names(dataset, root):
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    return [info["img_path"].removeprefix(f"{root}/") for info in infos]


def test_all_images_below_a_folder(folder):
    dataset = ImageFolder(str(folder))
    assert names(dataset, folder) == ["4.png", "a/3.JPEG", "b/1.png", "b/2.jpg"]


def test_some_of_them_always_the_same(folder):
    one, same = (names(ImageFolder(str(folder), length=2), folder) for _ in range(2))
    others = {tuple(names(ImageFolder(str(folder), length=2, seed=s), folder)) for s in range(3)}
    assert one == same == sorted(one)
    assert len(set(one)) == 2
    assert len(others) > 1


def test_samples(folder):
    dataset = SeededSamples(ImageFolder(str(folder), pipeline=PIPELINE))
    sample = dataset[Draw(2, seed=7)]
    assert sample["inputs"].shape == (3, 8, 8)
    assert sample["data_samples"].img_path.endswith("b/1.png")
    assert sample["data_samples"].ori_shape == (9, 10)


@pytest.mark.parametrize(
    ("place", "length", "message"),
    [
        ("nowhere", None, "nowhere does not exist; set data_root"),
        ("a", 2, "holds 1 images, and 2 are asked for"),
        ("a", 0, "and 0 are asked for"),
        ("empty", None, "There is no image in"),
    ],
)
def test_what_is_not_there(folder, place, length, message):
    (folder / "empty").mkdir()
    with pytest.raises(DatasetError, match=message):
        ImageFolder(str(folder / place), length=length)


def test_images_are_read_as_rgb(folder):
    dataset = ImageFolder(str(folder), pipeline=PIPELINE[:1])
    np.testing.assert_array_equal(dataset[2]["img"], np.zeros((9, 10, 3)))
