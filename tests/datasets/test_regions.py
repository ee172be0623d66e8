from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ovseg.datasets.draws import random_state_of
from ovseg.datasets.images import ImageFolder
from ovseg.datasets.regions import GivenBoxes, GridBoxes, PackRegions, grid_shapes
from ovseg.datasets.transforms import LoadImage
from ovseg.errors import DatasetError
from ovseg.utils.letterbox import crop_boxes, enlarged_box, letterbox


def picture(width=40, height=20):
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    return values.astype(np.uint8)


def test_grids_tile_the_picture():
    for seed in range(20):
        with random_state_of(seed):
            boxes = GridBoxes(max_split=4, max_boxes=16).transform({"img": picture()})["boxes"]
        assert (boxes[:, :2] >= 0).all() and (boxes <= [40, 20, 40, 20]).all()
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        assert area.sum() == pytest.approx(800, rel=1e-4)


def test_of_large_grids_some_cells_are_drawn():
    with random_state_of(1):
        counts = {len(GridBoxes(6, 5).transform({"img": picture()})["boxes"]) for _ in range(40)}
    assert max(counts) == 5
    assert grid_shapes(2) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_given_boxes_and_their_words():
    given = np.array([[0, 0, 20, 10], [0, 0, 2, 2], [5, 5, 25, 15]], np.float32)
    results = {"img": picture(), "given_boxes": given, "given_labels": np.array([4, 5, 6])}
    found = GivenBoxes(max_boxes=3, shuffle=False).transform(dict(results))
    assert found["boxes"].tolist() == given[[0, 2]].tolist()
    assert found["box_labels"].tolist() == [4, 6]
    results["given_boxes"] = given[1:2]
    results["given_labels"] = np.array([5])
    assert len(GivenBoxes().transform(dict(results))["boxes"]) == 0
    del results["given_labels"]  # without words there is always something to learn from
    assert GivenBoxes().transform(results)["boxes"].tolist() == [[0, 0, 10, 5]]
    with pytest.raises(DatasetError, match="came without boxes"):
        GivenBoxes().transform({"img": picture()})


def test_packed_regions():
    boxes = np.array([[0, 0, 20, 10], [20, 10, 40, 20]], np.float32)
    packed = PackRegions(32, 16).transform({"img": picture(), "boxes": boxes, "img_path": "a"})
    regions = packed["data_samples"].gt_regions
    assert packed["inputs"].shape == (3, 32, 32) and not packed["inputs"][:, 16:].any()
    assert regions.boxes.tolist() == [[0, 0, 0.5, 0.25], [0.5, 0.25, 1, 0.5]]
    assert regions.crops.shape == (2, 3, 16, 16)
    assert not regions.crops[:, :, :4].any() and not regions.crops[:, :, 12:].any()
    assert (
        "crops"
        not in PackRegions(32, None)
        .transform({"img": picture(), "boxes": boxes})["data_samples"]
        .gt_regions
    )


def test_letterboxes():
    image = Image.fromarray(np.full((10, 20, 3), 200, np.uint8))
    corner, center = (np.asarray(letterbox(image, 8, c))[..., 0] for c in (False, True))
    assert corner[:4].all() and not corner[4:].any()
    assert center[2:6].all() and not center[:2].any() and not center[6:].any()
    assert np.asarray(letterbox(Image.new("RGB", (400, 1)), 8)).shape == (8, 8, 3)


def test_context_ends_at_the_edge():
    assert enlarged_box((10, 10, 20, 30), (100, 35), 2) == (5, 0, 25, 35)
    assert enlarged_box((1, 2, 3, 4), (10, 10), 1) == (1, 2, 3, 4)


def test_slivers_are_a_pixel_wide():
    image = Image.fromarray(picture())
    crops = crop_boxes(image, np.array([[3.1, 0, 3.2, 20], [40, 20, 40, 20]]), 8)
    assert crops.shape == (2, 8, 8, 3) and crops.any((1, 2, 3)).all()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "more").mkdir(parents=True)
    for name in ("b.png", "a.JPG", "more/c.png"):
        Image.fromarray(picture()).save(tmp_path / "images" / name)
    (tmp_path / "images" / "note.txt").write_text("no image")
    content = {
        "images": [{"id": 1, "file_name": "b.png"}, {"id": 2, "file_name": "more/c.png"}],
        "annotations": [
            {"image_id": 1, "bbox": [1, 2, 30, 10], "category_id": 9},
            {"image_id": 1, "bbox": [0, 0, 10, 10], "category_id": 3},
        ],
        "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    return tmp_path


def test_a_folder_of_images(folder):
    dataset = ImageFolder(str(folder), "images", pipeline=[dict(type="LoadImage")])
    names = [dataset.get_data_info(i)["img_path"].rpartition("images/")[2] for i in range(3)]
    assert len(dataset) == 3 and names == ["a.JPG", "b.png", "more/c.png"]
    assert dataset[0]["img"].shape == (20, 40, 3)


def test_boxes_of_a_file(folder):
    dataset = ImageFolder(str(folder), "images", "boxes.json")
    assert [len(dataset.get_data_info(i)["given_boxes"]) for i in range(2)] == [2, 0]
    words = ImageFolder(str(folder), "images", "boxes.json", words=True)
    info = words.get_data_info(0)
    assert len(words) == 1 and info["given_labels"].tolist() == [1, 0]
    assert info["given_boxes"].tolist() == [[1, 2, 31, 12], [0, 0, 10, 10]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(img_path="nowhere"), "does not exist; set data_root"),
        (dict(img_path="images/more", ann_file="none.json"), "File of boxes .* does not exist"),
        (dict(ann_file="images/note.txt"), "not in the layout of COCO's instances"),
        (dict(words=True), "from a file named ann_file"),
        (dict(img_path="empty"), "There is no image in"),
    ],
)
def test_what_is_missing(folder, options, message):
    (folder / "empty").mkdir()
    with pytest.raises(DatasetError, match=message):
        ImageFolder(str(folder), **options)


@pytest.mark.parametrize(
    "build",
    [
        lambda: GridBoxes(max_split=0),
        lambda: GivenBoxes(min_size=9, max_size=3),
        lambda: PackRegions(size=0),
        lambda: PackRegions(context=0.5),
    ],
)
def test_settings_that_make_no_sense(build):
    with pytest.raises(ValueError, match=r"must be|no box fits|below 1"):
        build()


def test_images_are_read_as_they_are_stored(folder):
    assert LoadImage().transform({"img_path": str(folder / "images/b.png")})["img"].any()
