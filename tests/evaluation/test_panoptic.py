"""Panoptic quality against its definition, on drawn cases and on real data."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from ovseg.datasets.labels import read_panoptic_ids
from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation import PanopticQuality
from ovseg.evaluation.kernels import segment_overlaps
from ovseg.evaluation.panoptic import match_segments
from tests.evaluation.panoptic_reference import pq_compute
from tests.evaluation.perturbed import perturb


def test_overlaps_against_a_naive_count():
    generator = np.random.default_rng(0)
    ids = np.array([0, 3, 7, 2**24 - 1])
    prediction, truth = generator.choice(ids, (2, 31, 17))
    counts, stray = segment_overlaps(prediction.astype(np.int32), truth.T.copy().T, ids, ids)
    assert stray == -1
    for t, p in np.ndindex(4, 4):
        assert counts[t, p] == ((truth == ids[t]) & (prediction == ids[p])).sum()
    assert segment_overlaps(prediction, truth, ids[:3], ids)[1] >= 0
    with pytest.raises(ValueError, match=r"\(31, 17\).*\(17, 31\)"):
        segment_overlaps(prediction, truth.T, ids, ids)


@pytest.mark.parametrize("step", [1, 16, 2**12, 2**31 + 7])
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 8), (1, 9), (7, 9), (40, 33), (1, 4097), (2, 2049), (91, 181)]
)
def test_overlaps_of_many_segments_with_any_ids(step, size):
    """Ids that share a slot of the hash table, of 32 and of 64 bits; maps of any length."""
    rng = np.random.default_rng(0)
    ids = np.arange(50, dtype=np.int64) * step
    kind = np.int32 if step < 2**20 else np.int64
    truth, prediction = (ids[np.sort(rng.integers(0, 50, size))].astype(kind) for _ in range(2))
    prediction[rng.random(size) < 0.2] = ids[49]
    counts, stray = segment_overlaps(prediction, truth, ids, ids)
    expected = np.zeros((50, 50), np.int64)
    np.add.at(expected, (truth.reshape(-1) // step, prediction.reshape(-1) // step), 1)
    assert stray == -1
    np.testing.assert_array_equal(counts, expected)
    unlisted = truth.copy()
    unlisted[-1, -1] = 50 * step
    assert segment_overlaps(prediction, unlisted, ids, ids)[1] == truth.size - 1
    assert segment_overlaps(unlisted, truth, ids, ids)[1] == truth.size - 1
    unlisted[-1, -1] = -1
    assert segment_overlaps(unlisted, truth, ids, ids)[1] == truth.size - 1


def segment(number, category=0, crowd=0, area=None):
    return dict(id=number, category_id=category, iscrowd=crowd, area=area)


# Each case: rows of predicted ids, of true ids (10 pixels a row); predicted; true; expected.
CASES = {
    "equal": ("1111122222", "1111122222", "12", "12", dict(tp=2, fp=0, fn=0, iou=2.0)),
    "half is not enough": ("1111100000", "1111111111", "1", "1", dict(tp=0, fp=1, fn=1, iou=0)),
    "more than half": ("1111110000", "1111111111", "1", "1", dict(tp=1, fp=0, fn=0, iou=0.6)),
    "void does not count": ("1111111111", "1111110000", "1", "1", dict(tp=1, fp=0, fn=0, iou=1.0)),
    "on void": ("1111110000", "0000222222", "1", "2", dict(tp=0, fp=0, fn=1, iou=0)),
    "half on void": ("1111000000", "0022222222", "1", "2", dict(tp=0, fp=1, fn=1, iou=0)),
    "on a crowd": ("1111110000", "9999222222", "1", "29", dict(tp=0, fp=0, fn=1, iou=0)),
    "half on a crowd": ("1111000000", "9922222222", "1", "29", dict(tp=0, fp=1, fn=1, iou=0)),
    "crowd and void": ("1111110000", "9900222222", "1", "29", dict(tp=0, fp=0, fn=1, iou=0)),
    "a crowd is not missed": ("0000000000", "9999999999", "", "9", {}),
    "nothing": ("0000000000", "0000000000", "", "", {}),
    "listed without pixels": (
        "1111111111",
        "2222222222",
        "13",
        "23",
        dict(tp=1, fp=0, fn=1, iou=1),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_rules(case):
    prediction, truth, found, true, expected = CASES[case]
    prediction, truth = (np.array([[int(c) for c in row]]) for row in (prediction, truth))
    true = [segment(int(c), crowd=int(c == "9"), area=int((truth == int(c)).sum())) for c in true]
    result = match_segments(prediction, truth, [segment(int(c)) for c in found], true)
    assert result.get(0, {}) == pytest.approx(expected)


def test_classes_do_not_mix():
    ids = np.array([[1, 1, 2, 2]])
    true = [segment(1, 0, area=2), segment(2, 1, area=2)]
    found = match_segments(ids, ids, [segment(1, 1), segment(2, 1)], true)
    assert found[0]["fn"] == 1 and found[1]["fp"] == 1 and found[1]["tp"] == 1


def sample(prediction, truth, found, true, path="a.png", **changes):
    made = dict(
        img_path=path,
        pred_panoptic=dict(data=torch.as_tensor(prediction)[None]),
        pred_segments=found,
        gt_panoptic=dict(data=torch.as_tensor(truth)[None]),
        segments_info=true,
    )
    return {**made, **changes}


def metric(classes=3, **meta):
    quality = PanopticQuality(table=True)
    quality.dataset_meta = dict(classes=[f"c{i}" for i in range(classes)], **meta)
    return quality


def test_means_leave_absent_classes_out():
    quality = metric(groups=dict(thing=[0], stuff=[1, 2]))
    ids = np.array([[1, 1, 2, 2]], np.int32)
    true = [segment(1, 0, area=2), segment(2, 1, area=2)]
    quality.process(None, [sample(ids, ids, [segment(1, 0), segment(2, 0)], true)])
    scores = quality.evaluate(1)
    # class 0: one match, one false; class 1: one missed; class 2 does not occur
    assert scores["PQ_thing"] == pytest.approx(100 / 1.5) and scores["PQ_stuff"] == 0
    assert scores["PQ"] == pytest.approx(100 / 3) and scores["SQ"] == 50
    assert scores["RQ_thing"] == pytest.approx(100 / 1.5) and scores["SQ_stuff"] == 0
    rows = quality.per_class
    assert rows[2] == dict(name="c2", PQ=None, SQ=None, RQ=None, tp=0, fp=0, fn=0)
    assert [row["fn"] for row in rows] == [0, 1, 0] and quality.num_images == 1


def test_nothing_at_all_is_not_a_number():
    quality = metric()
    empty = np.zeros((2, 2), np.int32)
    quality.process(None, [sample(empty, empty, [], [])])
    assert all(math.isnan(value) for value in quality.evaluate(1).values())


def test_an_image_counts_once_and_records_are_plain():
    quality = metric()
    ids = np.ones((2, 2), np.int32)
    one = sample(ids, ids, [segment(1)], [segment(1, area=4)])
    quality.process(None, [one, one])
    json.dumps(quality.results)
    quality.evaluate(1)
    assert quality.per_class[0]["tp"] == 1


ONES = np.ones((2, 2), np.int32)
GOOD = dict(prediction=ONES, truth=ONES, found=[segment(1)], true=[segment(1, area=4)])
MISTAKES = {
    "no truth": (dict(gt_panoptic=None), DatasetError, "without panoptic ground truth"),
    "no segments": (dict(segments_info=None), DatasetError, "without panoptic ground truth"),
    "no prediction": (dict(pred_panoptic=None), ConfigError, "gave no segments for a.png"),
    "unlisted": (dict(pred_segments=[]), DatasetError, "the prediction holds segment 1, which"),
    "unlisted truth": (dict(segments_info=[]), DatasetError, "the ground truth holds segment 1"),
    "size": (
        dict(gt_panoptic=dict(data=torch.ones(1, 3, 2, dtype=torch.int32))),
        DatasetError,
        "a.png cannot be scored: A prediction of shape",
    ),
    "class": (
        dict(pred_segments=[segment(1, 8)]),
        DatasetError,
        "of class 8, but the dataset has 3",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake):
    changes, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        metric().process(None, [sample(**GOOD, **changes)])


def compare(images, categories, things):
    """Ours against the definition; ``images`` as for it, with classes for categories."""
    expected, tallies = pq_compute(images, categories)
    quality = metric(len(categories), groups=dict(thing=things, stuff=_others(things, categories)))
    for number, (truth, true, prediction, found) in enumerate(images):
        quality.process(None, [sample(prediction, truth, found, true, path=f"{number}.png")])
    scores = quality.evaluate(len(images))
    for ours, theirs in (("", "All"), ("_thing", "Things"), ("_stuff", "Stuff")):
        for name in ("PQ", "SQ", "RQ"):
            value = 100 * expected[theirs][name.lower()]
            assert scores[f"{name}{ours}"] == pytest.approx(value, abs=1e-6, nan_ok=True)
    for row, category in zip(quality.per_class, categories, strict=True):
        tally = tallies[category["id"]]
        assert [row["tp"], row["fp"], row["fn"]] == [tally.tp, tally.fp, tally.fn]
    return scores, quality


def _others(things, categories):
    return [i for i in range(len(categories)) if i not in things]


@pytest.mark.parametrize("seed", range(6))
def test_drawn_cases_against_the_definition(seed):
    generator = np.random.default_rng(seed)
    images = []
    for number in range(4):
        coarse = generator.integers(0, 9, (6, 7))
        truth = np.kron(coarse, np.ones((9, 8), int)).astype(np.int32)
        true = [
            segment(i, int(generator.integers(5)), int(generator.random() < 0.2), int(area))
            for i, area in enumerate(np.bincount(truth.ravel(), minlength=9))
            if i and area
        ]
        images.append((truth, true, *perturb(truth, true, range(5), 10 * seed + number)))
    categories = [dict(id=i, isthing=int(i < 3)) for i in range(5)]
    scores, _ = compare(images, categories, [0, 1, 2])
    assert 0 < scores["PQ"] < 100


#: What panopticapi (cocodataset/panopticapi, commit 7bb4655) makes of the same predictions, written
#: to PNGs and a JSON file: All, Things, Stuff of PQ, SQ, RQ.
PUBLIC = {
    "": (45.65106217177165, 63.63439763678641, 52.44785733728934),
    "_thing": (41.28904402355228, 59.749604683554736, 46.611571489867636),
    "_stuff": (51.980264975070334, 69.27115603951471, 60.91619366492086),
}


def test_real_data_against_the_definition(sample_data):
    root = sample_data / "coco" / "annotations"
    content = json.loads((root / "panoptic_val2017.json").read_text())
    index = {c["id"]: i for i, c in enumerate(content["categories"])}
    categories = [dict(id=index[c["id"]], isthing=c["isthing"]) for c in content["categories"]]
    images = []
    for number, entry in enumerate(content["annotations"]):
        truth = read_panoptic_ids(root / "panoptic_val2017" / entry["file_name"])
        true = [dict(s, category_id=index[s["category_id"]]) for s in entry["segments_info"]]
        images.append((truth, true, *perturb(truth, true, range(133), number)))
    things = [c["id"] for c in categories if c["isthing"]]
    scores, quality = compare(images, categories, things)
    assert quality.num_images == 60 and 10 < scores["PQ"] < 80
    assert sum(s["iscrowd"] for _, true, _, _ in images for s in true) > 0
    for group, values in PUBLIC.items():
        found = [scores[f"{name}{group}"] for name in ("PQ", "SQ", "RQ")]
        assert found == pytest.approx(values, abs=1e-9)
