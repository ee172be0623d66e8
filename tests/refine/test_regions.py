from __future__ import annotations

import numpy as np
import pytest

from ovseg.refine.regions import find_regions


def regions_of(rows, minimal_area=0, scores=None):
    labels = np.array([[int(c) if c != "." else -1 for c in row] for row in rows], np.int64)
    scores = np.random.default_rng(0).random(labels.shape) if scores is None else scores
    return find_regions(labels, scores.astype(np.float32), minimal_area), labels, scores


@pytest.mark.parametrize(
    ("rows", "minimal_area", "classes", "boxes"),
    [
        (["..", ".."], 0, [], []),
        (["0"], 0, [0], [(0, 0, 0, 0)]),
        (["010", "101"], 0, [0, 1], [(0, 0, 2, 1), (0, 0, 2, 1)]),  # corners touch
        (["0.0", "0.0"], 0, [0, 0], [(0, 0, 0, 1), (2, 0, 2, 1)]),
        (["0.0", "000"], 0, [0], [(0, 0, 2, 1)]),
        (["0.0", "0.."], 2, [0], [(0, 0, 0, 1)]),
        (["0.0", "0.."], 3, [], []),
        (["22..", "22.9", "...."], 0, [2, 9], [(0, 0, 1, 1), (3, 1, 3, 1)]),
    ],
)
def test_regions(rows, minimal_area, classes, boxes):
    found, labels, scores = regions_of(rows, minimal_area)
    assert found.classes.tolist() == classes
    assert [tuple(box) for box in found.boxes.tolist()] == boxes
    assert found.points.shape == (len(classes), 2) and found.boxes.shape == (len(classes), 4)
    for region, (x, y) in enumerate(found.points.astype(int)):
        inside = found.index == region
        assert (labels[inside] == classes[region]).all()
        assert inside[y, x] and scores[y, x] == scores[inside].max()
    assert ((found.index >= 0).sum() == (labels >= 0).sum()) or minimal_area > 1


def test_of_equal_pixels_the_first_is_pointed_at():
    scores = np.array([[0.1, 0.5, 0.5 * (1 + 1e-7)], [0.5, 0.2, 0.5]])
    found, _, _ = regions_of(["000", "000"], scores=scores)
    assert found.points.tolist() == [[1, 0]]


def test_many_classes_are_kept_apart():
    labels = np.arange(1000).reshape(20, 50).repeat(2, 0).repeat(2, 1)
    found = find_regions(labels, np.ones(labels.shape, np.float32), 4)
    assert found.classes.tolist() == list(range(1000))
    assert (found.index == labels).all()
