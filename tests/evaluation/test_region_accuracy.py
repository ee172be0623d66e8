from __future__ import annotations

import math

import numpy as np
import pytest

from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation import RegionAccuracy
from ovseg.evaluation.region_accuracy import mean_accuracy


def authors_macc(corrects: np.ndarray, labels: np.ndarray) -> float:
    """The published definition: accuracy of each class that occurs, and their mean."""
    return 100 * float(np.mean([corrects[labels == c].mean() for c in set(labels.tolist())]))


def sample(scores, labels, things=None, ways=("boxes",)):
    things = things or [True] * len(labels)
    segments = [
        dict(id=10 + i, category_id=label, isthing=thing)
        for i, (label, thing) in enumerate(zip(labels, things, strict=True))
    ]
    regions = {"ids": np.array([s["id"] for s in segments]), **dict.fromkeys(ways, scores)}
    return dict(img_path="a", segments_info=segments, pred_regions=regions)


def test_mean_accuracy():
    generator = np.random.default_rng(0)
    labels, ranks = generator.integers(0, 9, 200), generator.integers(0, 20, 200)
    for first in (1, 5):
        expected = authors_macc(ranks < first, labels)
        assert mean_accuracy(labels, ranks, first) == pytest.approx(expected)
    assert math.isnan(mean_accuracy(labels[:0], ranks[:0], 1))


def test_scores_by_hand():
    metric = RegionAccuracy(first=(1, 2))
    metric.dataset_meta = dict(classes=("a", "b", "c"))
    scores = np.array([[0.9, 0.1, 0.0], [0.5, 0.4, 0.3], [0.1, 0.2, 0.7]])
    record = metric.score_image(sample(scores, [0, 1, 0], [True, True, False]), "a")
    assert record == dict(labels=[0, 1, 0], things=[1, 1, 0], boxes=[0, 1, 2])
    found = metric.compute_metrics([("a", record), ("b", record), ("a", record)])
    assert found == {
        "boxes_thing_top1": 50.0,
        "boxes_thing_top2": 100.0,
        "boxes_stuff_top1": 0.0,
        "boxes_stuff_top2": 0.0,
    }
    assert metric.num_images == 2
    assert [row["regions"] for row in metric.per_class] == [4, 2, 0]
    assert metric.per_class[0]["boxes"] == 50.0 and metric.per_class[2]["boxes"] is None


def test_ways_that_were_not_read_have_no_score():
    metric = RegionAccuracy()
    metric.dataset_meta = dict(classes=("a", "b"))
    record = metric.score_image(sample(np.eye(2), [0, 1], ways=("masks", "crops")), "a")
    assert set(record) == {"labels", "things", "masks", "crops"}
    assert set(metric.summarize([record])) == {
        f"{way}_{kind}_top{k}"
        for way in ("masks", "crops") for kind in ("thing", "stuff") for k in (1, 5)
    }  # fmt: skip


def test_an_image_without_regions():
    metric = RegionAccuracy()
    record = metric.score_image(sample(np.zeros((0, 3)), []), "a")
    assert record == dict(labels=[], things=[], boxes=[])


def test_bad_input():
    with pytest.raises(ConfigError, match="from 1 on"):
        RegionAccuracy(first=(0,))
    metric = RegionAccuracy()
    with pytest.raises(DatasetError, match="came without pred_regions"):
        metric.score_image(dict(img_path="a"), "a")
    wrong = sample(np.eye(2), [0, 1])
    wrong["segments_info"] = wrong["segments_info"][:1]
    with pytest.raises(DatasetError, match="Region 11 of a is no segment"):
        metric.score_image(wrong, "a")
