"""The result of instances: best first, overlapping, drawn, saved and read back."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from ovseg.apis import InstanceResult
from ovseg.errors import ResultError
from tests.apis.segmented import IDS, IMAGE, instances


def test_the_best_come_first():
    result = instances()
    assert [s.class_name for s in result] == ["cat", "cat", "dog"]
    assert [s.id for s in result] == [1, 2, 3] and [s.area for s in result] == [320, 400, 720]
    assert result.scores.tolist() == pytest.approx([0.9, 0.5, 0.1])
    np.testing.assert_array_equal(result.mask_of(1), IDS == 2)
    np.testing.assert_array_equal(result.mask_of("cat"), (IDS == 2) | (IDS == 9))
    assert result.counts == {"cat": 2, "dog": 1}
    assert len(result.above(0.5)) == 2 and result.above(0.5).name == result.name


def test_a_value():
    result = instances()
    assert result == instances() and result != instances(scores=[0.5, 0.9, 0.2])
    assert pickle.loads(pickle.dumps(result)) == result
    with pytest.raises(ValueError, match="read-only"):
        result.masks[0, 0, 0] = True


def test_nothing_found(tmp_path):
    empty = instances(masks=np.zeros((0, 40, 60), bool), labels=[], scores=[])
    assert len(empty) == 0 and empty.shape == (40, 60) and len(empty.to_detections()) == 0
    assert empty.overlay(legend=False).shape == IMAGE.shape
    assert InstanceResult.load(empty.save(tmp_path)["json"]) == empty


def test_only_what_is_likely_is_painted():
    result = instances(labels=[0, 0, 2])
    default = result.overlay(legend=False)
    np.testing.assert_array_equal(default, result.above(0.3).overlay(legend=False))
    assert (result.overlay(legend=False, threshold=0.95) == IMAGE).all()
    unknown = instances(scores=[np.nan] * 3).overlay(legend=False)
    assert (unknown != IMAGE).any()


def test_saved_and_read_back(tmp_path):
    result = instances()
    paths = result.save(tmp_path, "x")
    numbers = cv2.imread(str(paths["mask"]), cv2.IMREAD_UNCHANGED)
    assert numbers.dtype == np.uint16
    np.testing.assert_array_equal(numbers, np.select([IDS == 2, IDS == 9], [1, 2], 0))
    assert InstanceResult.load(paths["json"]) == result


def test_detections():
    found = instances().to_detections()
    assert found.mask.shape == (3, 40, 60) and found.class_id.tolist() == [0, 0, 2]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5, 0.1])


MISTAKES = {
    "dtype": (dict(masks=np.zeros((3, 4, 4))), "must be .* bool, not float64"),
    "counts": (dict(labels=[0]), "3 masks came with 1 labels and 3 scores"),
    "class": (dict(labels=[0, 0, 3]), "is of class 3, but classes go from 0 to 2"),
    "score": (dict(scores=[0.5, 0.9, -1]), "scores lie in 0..1"),
    "image": (dict(image=IMAGE[1:]), "to match the mask"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake):
    changes, message = MISTAKES[mistake]
    with pytest.raises(ResultError, match=message):
        instances(**changes)


def test_segments_that_are_not_there():
    with pytest.raises(ResultError, match="no segment 4"):
        instances().mask_of(4)
