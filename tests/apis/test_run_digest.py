"""What scores depend on changes the digest of a run; anything else does not."""

from __future__ import annotations

import os

import pytest
from mmengine.config import Config

from ovseg.apis.run_digest import run_digest
from ovseg.errors import DatasetError
from tests.tiny_runs import write_folder_dataset


@pytest.fixture
def place(tmp_path):
    """A dataset of three images, a checkpoint, and words that the config names."""
    write_folder_dataset(tmp_path / "data", images=3)
    (tmp_path / "w.pth").write_bytes(b"weights")
    (tmp_path / "words.txt").write_text("wall\n")
    return tmp_path


def digest(place, **changes):
    dataset = dict(
        type="FolderDataset",
        data_root=str(place / "data"),
        classes="classes.txt",
        test_mode=True,
        pipeline=[],
    )
    config = dict(
        model=dict(type="Any", parts=[dict(vocabulary=str(place / "words.txt"))]),
        test_dataloader=dict(dataset=dataset),
        test_evaluator=dict(type="SegmentationScores"),
        work_dir="a",
        launcher="none",
    )
    return run_digest(Config({**config, **changes}), place / "w.pth")


def touch(path):
    os.utime(path, ns=(1, 1))


def other_weights(path):
    before = path.stat()
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def copy_pair(path):
    for folder in ("images", "masks"):
        (path / folder / "009.png").write_bytes((path / folder / "000.png").read_bytes())


CHANGES = {
    "an image": ("data/images/001.png", touch),
    "a mask": ("data/masks/001.png", touch),
    "one more image": ("data", copy_pair),
    "weights of the same size and time": ("w.pth", other_weights),
    "no weights": ("w.pth", os.remove),
    "words": ("words.txt", touch),
}


@pytest.mark.parametrize(("path", "change"), CHANGES.values(), ids=CHANGES)
def test_what_counts(place, path, change):
    before = digest(place)
    assert digest(place) == before
    change(place / path)
    assert digest(place) != before


def test_what_does_not_count(place):
    before = digest(place)
    assert digest(place, work_dir="b", launcher="pytorch") == before
    touch(place / "w.pth")
    assert digest(place) == before
    assert digest(place, test_evaluator=dict(type="BoundaryScores")) != before


def test_a_dataset_that_is_missing(place):
    (place / "data/images").rename(place / "elsewhere")
    with pytest.raises(DatasetError, match="does not exist"):
        digest(place)
