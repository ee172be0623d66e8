"""The panoptic result: checked, asked, drawn, saved and read back."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from ovseg.apis import PanopticResult, Segment, SegmentationResult
from ovseg.datasets.labels import read_panoptic_ids
from ovseg.errors import ResultError
from tests.apis.segmented import CLASSES, IDS, IMAGE, SEGMENTS, instances, panoptic


def test_a_sequence_of_segments():
    result = panoptic()
    assert len(result) == 3 and [segment.id for segment in result] == [2, 9, 7]
    assert result[0] == Segment(2, 0, "cat", 0.9, 320, True)
    assert result[2].is_thing is False and result[2].area == 1200
    assert result.counts == {"cat": 2, "sky": 1}
    assert result.class_ids.tolist() == [0, 0, 1]
    assert result.scores.dtype == np.float32 and result.ids.dtype == np.int32
    assert [s.id for s in result.of_class("cat")] == [2, 9] and result.of_class(2) == ()
    np.testing.assert_array_equal(result.mask_of(9), IDS == 9)
    np.testing.assert_array_equal(result.mask_of("cat"), (IDS == 2) | (IDS == 9))
    assert "2 cat, 1 sky" in repr(result) and "40 x 60" in repr(result)


def test_a_value():
    result = panoptic()
    assert result == panoptic() and result != panoptic(name="c")
    assert result != panoptic(segments=[dict(s, score=0.4) for s in SEGMENTS])
    assert pickle.loads(pickle.dumps(result)) == result
    with pytest.raises(ValueError, match="read-only"):
        result.ids[0, 0] = 1
    with pytest.raises(AttributeError):
        result.ids = None
    with pytest.raises(TypeError):
        result.info["x"] = 2


def test_segments_without_pixels_are_left_out():
    result = panoptic(segments=[*SEGMENTS, dict(id=4, category_id=2)])
    assert result == panoptic()


def test_nothing_found():
    result = panoptic(ids=np.zeros((40, 60), int), segments=[])
    assert len(result) == 0 and result.semantic().present == ()
    assert result.overlay().shape[2] == 3 and "0 segments" in repr(result)
    assert len(result.to_detections()) == 0


def test_semantic():
    semantic = panoptic().semantic()
    assert isinstance(semantic, SegmentationResult) and semantic.void == -1
    np.testing.assert_array_equal(semantic.mask == 0, (IDS == 2) | (IDS == 9))
    assert (semantic.mask[IDS == 0] == -1).all() and semantic.name == "a/b.jpg"
    cats = (320 * 0.9 + 400 * 0.5) / 720
    np.testing.assert_allclose(semantic.scores, [cats, 0.8, 0], rtol=1e-6)


def test_detections():
    found = panoptic().to_detections()
    assert found.class_id.tolist() == [0, 0, 1] and found.data["segment_id"].tolist() == [2, 9, 7]
    assert found.xyxy[0].tolist() == [5, 22, 24, 37]
    assert found.mask.sum(axis=(1, 2)).tolist() == [320, 400, 1200]
    unknown = panoptic(segments=[dict(s, score=None) for s in SEGMENTS]).to_detections()
    assert unknown.confidence is None


def test_borders_between_segments_of_one_class_are_drawn():
    result = panoptic()
    plain = result.overlay(legend=False)
    assert plain.shape == IMAGE.shape
    row = plain[30, 8:47].astype(int)
    border = np.abs(row - row[0]).sum(axis=1)
    assert border[16:18].max() > 100  # between the cats
    assert np.abs(row[0] - row[-1]).sum() > 10  # the cats differ in shade
    assert result.overlay().shape > plain.shape and result.sheet().ndim == 3
    bare = panoptic(image=None).overlay(legend=False, colors=np.eye(3) * 255)
    assert bare.shape == IMAGE.shape and tuple(bare[10, 5]) == (0, 255, 0)


def test_saved_and_read_back(tmp_path):
    result = panoptic()
    paths = result.save(tmp_path, sheet=True)
    assert sorted(paths) == ["json", "mask", "overlay", "sheet"]
    np.testing.assert_array_equal(read_panoptic_ids(paths["mask"]), IDS)
    again = PanopticResult.load(paths["json"], image=IMAGE)
    assert again == result and dict(again.info) == {"x": 1} and again.image is not None
    record = json.loads(paths["json"].read_text())
    assert record["segments"][0]["name"] == "cat" and record["format"] == "ovseg.panoptic/1"


def test_a_png_has_room_for_24_bits(tmp_path):
    large = panoptic(ids=np.where(IDS == 2, 2**24, 0), segments=[dict(id=2**24, category_id=0)])
    with pytest.raises(ResultError, match="16777216 does not fit"):
        large.save(tmp_path)
    assert large.save(tmp_path, mask=False, overlay=False)["json"].is_file()


MISTAKES = {
    "no integers": (dict(ids=IDS.astype(float)), "integers, not float64"),
    "shape": (dict(ids=IDS[0]), r"shape \(60,\)"),
    "unlisted": (dict(segments=SEGMENTS[:2]), "ids holds segment 7, which is not among"),
    "twice": (dict(segments=[*SEGMENTS, SEGMENTS[0]]), "different ids"),
    "zero": (dict(segments=[*SEGMENTS, dict(id=0, category_id=0)]), "from 1 on"),
    "class": (dict(classes=("cat",)), "segment 7 is of class 1, but classes go from 0 to 0"),
    "score": (dict(segments=[dict(s, score=3) for s in SEGMENTS]), "has the score 3"),
    "no category": (dict(segments=[dict(id=2)]), "needs an id and a category_id"),
    "image": (dict(image=IMAGE[1:]), "to match the mask"),
    "one text": (dict(classes="cat"), "not the one text"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake):
    changes, message = MISTAKES[mistake]
    with pytest.raises(ResultError, match=message):
        panoptic(**changes)


@pytest.mark.parametrize(
    ("which", "message"), [("cats", "did you mean 'cat'"), (3, "no segment 3")]
)
def test_questions_about_what_is_not_there(which, message):
    with pytest.raises(ResultError, match=message):
        panoptic().mask_of(which)


def test_files_that_are_something_else(tmp_path):
    path = instances().save(tmp_path, mask=False, overlay=False)["json"]
    with pytest.raises(ResultError, match=r"InstanceResult\.load reads this one"):
        PanopticResult.load(path)
    path = panoptic().save(tmp_path, mask=False, overlay=False)["json"]
    path.write_text(path.read_text().replace('"height": 40', '"height": 41'))
    with pytest.raises(ResultError, match="is damaged"):
        PanopticResult.load(path)
    with pytest.raises(FileNotFoundError):
        PanopticResult.load(tmp_path / "none.json")
    assert CLASSES == panoptic().classes
