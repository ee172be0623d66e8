from __future__ import annotations

import pytest

from ovseg.datasets.layouts import Layout, find_layout

FIRST = Layout("images", "masks", ann_file="list.txt")
SECOND = Layout("images", "masks", seg_map_suffix=".tif")
THIRD = Layout("images", "labels/val")


@pytest.mark.parametrize(
    "files, expected",
    [
        (["images/a.jpg", "masks/a.png", "list.txt", "labels/val/a.png"], FIRST),
        (["images/a.jpg", "masks/a.png", "masks/a.tif"], SECOND),
        (["images/a.jpg", "masks/a.png", "labels/val/city/a.png"], THIRD),
        (["masks/a.tif", "labels/val/a.png"], FIRST),  # no images: none of them
        (["images/a.jpg", "labels/val/a.txt"], FIRST),
        ([], FIRST),
    ],
)
def test_the_first_that_is_there(tmp_path, files, expected):
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_layout((FIRST, SECOND, THIRD), tmp_path) is expected


def test_without_a_root_the_first_is_spoken_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_layout((SECOND, THIRD), None) is SECOND
