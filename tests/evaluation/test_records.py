"""Records of images survive interruptions and never mix settings."""

from __future__ import annotations

import json

import pytest

from ovseg.errors import ConfigError, SaveError
from ovseg.evaluation.records import RecordStore, image_key, write_json

SETTINGS = dict(model=dict(type="A", steps=[1, 2]), seed=0)


def filled(folder, images, metric="M", rank=0, resume=False):
    store = RecordStore(folder, SETTINGS, resume=resume, rank=rank)
    if rank == 0:
        store.start(resume)
    for image in images:
        store.add(metric, image, dict(value=image))
        store.commit()
    return store


@pytest.mark.parametrize(
    "path, root, key",
    [
        ("/data/val/a/b.jpg", "/data/val", "a/b.jpg"),
        ("/data/val/b.jpg", "/data/val/", "b.jpg"),
        ("/elsewhere/b.jpg", "/data/val", "elsewhere/b.jpg"),
        ("scene-7", "", "scene-7"),
        ("../up/x.png", "", "up/x.png"),
    ],
)
def test_image_key(path, root, key):
    assert image_key(path, root) == key


def test_images_need_a_name():
    with pytest.raises(ValueError, match="img_path"):
        image_key(None)


def test_finished_images_come_back(tmp_path):
    filled(tmp_path, ["a", "ünï"])
    filled(tmp_path, ["c"], rank=1)  # another process, its own file
    again = RecordStore(tmp_path, SETTINGS, resume=True)
    assert again.finished_images(["M"]) == {"a", "ünï", "c"}
    assert again.finished_records("M")["c"] == dict(value="c")
    assert again.finished_images(["M", "other"]) == set()


def test_nothing_counts_before_commit(tmp_path):
    store = filled(tmp_path, ["a"])
    store.add("M", "b", {})
    assert RecordStore(tmp_path, SETTINGS, resume=True).finished_images(["M"]) == {"a"}


def test_a_cut_line_costs_one_image(tmp_path):
    store = filled(tmp_path, ["a", "b"])
    text = store.own_file.read_text()
    store.own_file.write_text(text[:-9])
    again = filled(tmp_path, ["c"], resume=True)
    assert again.finished_images(["M"]) == {"a"}
    # What is written after the cut line is whole.
    assert RecordStore(tmp_path, SETTINGS, resume=True).finished_images(["M"]) == {"a", "c"}


def test_without_resume_everything_starts_anew(tmp_path):
    filled(tmp_path, ["a"])
    filled(tmp_path, ["z"], rank=3)
    filled(tmp_path, ["b"])
    assert RecordStore(tmp_path, SETTINGS, resume=True).finished_images(["M"]) == {"b"}


def test_resume_of_nothing(tmp_path):
    assert RecordStore(tmp_path / "new", SETTINGS, resume=True).finished_images(["M"]) == set()


@pytest.mark.parametrize(
    "settings, place",
    [
        (dict(SETTINGS, seed=1), "seed was 0 and is 1"),
        (dict(SETTINGS, extra=2), "extra was null and is 2"),
        (dict(model=dict(type="A", steps=[1, 3]), seed=0), r"model\.steps\[1\] was 2 and is 3"),
        (dict(model=dict(type="A", steps=[1]), seed=0), r"model\.steps was \[1, 2\] and is \[1\]"),
    ],
)
def test_other_settings_are_refused(tmp_path, settings, place):
    filled(tmp_path, ["a"])
    with pytest.raises(ConfigError, match=f"{place}.*--work-dir"):
        RecordStore(tmp_path, settings, resume=True)
    assert RecordStore(tmp_path, SETTINGS, resume=True).finished_images(["M"]) == {"a"}


def test_json_is_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a" / "x.json", dict(one=1))
    with pytest.raises((TypeError, ValueError)):
        write_json(tmp_path / "a" / "x.json", dict(one=float("nan")))
    assert json.loads((tmp_path / "a" / "x.json").read_text()) == dict(one=1)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.json"]


@pytest.mark.parametrize("path", ["taken/a.json", "folder"])
def test_json_that_cannot_be_written(tmp_path, path):
    (tmp_path / "taken").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SaveError, match="choose another folder"):
        write_json(tmp_path / path, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "taken"]
