"""Scores against mmseg, against a naive count, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation.iou import SegmentationScores, scores_from_areas
from ovseg.evaluation.kernels import class_areas


def random_pair(classes, seed, shape=(37, 53), void=255, dtype=np.int64):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, shape)
    prediction = np.where(
        generator.random(shape) < 0.5, truth, generator.integers(0, classes, shape)
    )
    truth[generator.random(shape) < 0.1] = void
    return prediction.astype(dtype), truth.astype(dtype)


def naive_areas(prediction, truth, classes, void):
    areas = np.zeros((3, classes), int)
    for p, t in zip(prediction.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if t == void:
            continue
        areas[2, t] += 1
        if 0 <= p < classes:
            areas[1, p] += 1
        if p == t:
            areas[0, t] += 1
    return areas


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("classes", [1, 2, 150])
def test_areas_equal_mmseg_and_a_naive_count(classes, dtype):
    void = 127 if dtype == np.int16 and classes < 127 else 255
    prediction, truth = random_pair(classes, seed=classes, void=void, dtype=dtype)
    areas, unknown = class_areas(prediction, truth, classes, void)
    assert unknown == 0 and areas.dtype == np.int64
    np.testing.assert_array_equal(areas, naive_areas(prediction, truth, classes, void))
    theirs = IoUMetric.intersect_and_union(
        torch.from_numpy(prediction.astype(np.int64)),
        torch.from_numpy(truth.astype(np.int64)),
        max(classes, 2),  # torch.histc knows no single bin
        void,
    )
    for own, their in zip(areas, (theirs[0], theirs[2], theirs[3]), strict=True):
        np.testing.assert_array_equal(own, their.numpy()[:classes])


def test_more_than_255_classes_with_void_beyond_them():
    prediction, truth = random_pair(1000, seed=5, void=65535)
    areas, unknown = class_areas(prediction, truth, 1000, 65535)
    assert unknown == 0
    np.testing.assert_array_equal(areas, naive_areas(prediction, truth, 1000, 65535))


def test_predictions_that_are_no_class_count_as_wrong():
    areas, _ = class_areas(np.array([[-1, 255, 0]]), np.array([[0, 0, 0]]), 2, 255)
    assert areas.tolist() == [[1, 0], [1, 0], [3, 0]]


def test_views_and_unknown_labels():
    prediction, truth = random_pair(4, seed=1)
    areas, _ = class_areas(prediction.T, truth.T, 4, 255)
    np.testing.assert_array_equal(areas, naive_areas(prediction, truth, 4, 255))
    assert class_areas(prediction, np.full_like(truth, 9), 4, 255)[1] == truth.size
    with pytest.raises(ValueError, match=r"\(37, 53\).*\(2, 2\)"):
        class_areas(prediction, np.zeros((2, 2), int), 4, 255)


def meta(classes, **more):
    return dict(classes=[f"class {i}" for i in range(classes)], **more)


def sample(prediction, truth, path="image.png"):
    return dict(
        img_path=path,
        pred_sem_seg=dict(data=torch.from_numpy(prediction)[None]),
        gt_sem_seg=dict(data=torch.from_numpy(truth)[None]),
    )


def scored(pairs, dataset_meta, **settings):
    metric = SegmentationScores(**settings)
    metric.dataset_meta = dataset_meta
    for i, (prediction, truth) in enumerate(pairs):
        metric.process({}, [sample(prediction, truth, f"{i}.png")])
    return metric, metric.evaluate(len(pairs))


def test_whole_metric_equals_mmseg():
    # Classes 17..19 never occur, class 16 is predicted only: mmseg's rule for both.
    pairs = [random_pair(16, seed=s) for s in range(4)]
    pairs[0][0][0, :5] = 16
    theirs = IoUMetric(prefix="their")
    theirs.dataset_meta = meta(20)
    theirs.process({}, [sample(*pair) for pair in pairs])
    expected = theirs.evaluate(4)
    _, own = scored(pairs, meta(20))
    for name in ("mIoU", "mAcc", "aAcc"):
        assert round(own[name], 2) == pytest.approx(float(expected[f"their/{name}"]), abs=0.011)


#       agreed, predicted, truth of four classes: one good, one missed, one invented, one nowhere
AREAS = np.array([[60, 0, 0, 0], [70, 0, 10, 0], [60, 20, 0, 0]])
RULES = {
    "union": ([600 / 7, 0, 0, None], 600 / 21, 50),
    "gt": ([600 / 7, 0, None, None], 600 / 14, 50),
    "zero": ([600 / 7, 0, 0, 0], 600 / 28, 25),
}


@pytest.mark.parametrize("absent", RULES)
def test_rule_for_absent_classes(absent):
    iou, miou, macc = RULES[absent]
    scores = scores_from_areas(AREAS, absent)
    expected = [math.nan if v is None else v for v in iou]
    np.testing.assert_allclose(scores["IoU"], expected)
    assert scores["mIoU"] == pytest.approx(miou) and scores["mAcc"] == pytest.approx(macc)
    assert scores["aAcc"] == pytest.approx(75)
    assert scores["fwIoU"] == pytest.approx(0.75 * 600 / 7)


def test_unknown_rule_is_refused_before_the_run():
    with pytest.raises(ConfigError, match="union, gt, zero"):
        SegmentationScores(absent="nan")


def test_groups_classes_and_table(caplog):
    prediction = np.array([[0, 0, 1, 2]])
    truth = np.array([[0, 0, 2, 2]])
    groups = dict(thing=[0, 1], stuff=[2])
    metric, scores = scored([(prediction, truth)], meta(3, groups=groups))
    assert scores["mIoU_thing"] == pytest.approx(50) and scores["mIoU_stuff"] == pytest.approx(50)
    assert [row["IoU"] for row in metric.per_class] == [100, 0, 50]
    assert [row["Acc"] for row in metric.per_class] == [100, None, 50]
    table = metric._table(scores)
    assert "class 2" in table and "mIoU 50.00" in table and "1 images" in table


def test_nothing_but_void_gives_no_number():
    truth = np.full((3, 3), 255)
    _, scores = scored([(np.zeros((3, 3), int), truth)], meta(2))
    assert all(math.isnan(value) for value in scores.values())


def test_images_that_come_twice_count_once():
    pair, other = random_pair(3, seed=0), random_pair(3, seed=1)
    metric = SegmentationScores(table=False)
    metric.dataset_meta = meta(3)
    for path in ("a.png", "a.png", "b.png"):
        metric.process({}, [sample(*(pair if path == "a.png" else other), path)])
    repeated = metric.evaluate(2)
    _, once = scored([pair, other], meta(3), table=False)
    assert repeated == once


def test_void_label_of_the_dataset_is_used():
    prediction, truth = np.array([[0, 1]]), np.array([[0, 9]])
    _, scores = scored([(prediction, truth)], meta(2, ignore_index=9), table=False)
    assert scores["aAcc"] == 100


WRONG = {
    "no ground truth": (dict(gt_sem_seg=None), "without ground truth.*LoadMask"),
    "another size": (
        dict(gt_sem_seg=dict(data=torch.zeros(1, 5, 5, dtype=torch.long))),
        r"prediction for x\.png is \(2, 2\)",
    ),
    "unknown label": (
        dict(gt_sem_seg=dict(data=torch.full((1, 2, 2), 7))),
        r"mask of x\.png has 4 pixels that are neither",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_samples_that_cannot_be_scored(case):
    change, message = WRONG[case]
    whole = sample(np.zeros((2, 2), int), np.zeros((2, 2), int), "x.png")
    metric = SegmentationScores()
    metric.dataset_meta = meta(2)
    with pytest.raises(DatasetError, match=message):
        metric.process({}, [{**whole, **change}])
