"""Mask AP by hand, and against pycocotools called directly on the real samples."""

from __future__ import annotations

import contextlib
import io
import json
import math

import numpy as np
import pytest
import torch
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ovseg.datasets.labels import read_panoptic_ids
from ovseg.errors import ConfigError, DatasetError
from ovseg.evaluation import MaskAP
from tests.evaluation.perturbed import perturb

TRUTH = np.kron(np.array([[0, 1], [2, 3]], np.int32), np.ones((10, 10), np.int32))
# a person, another, and grass
SEGMENTS = [dict(id=1, category_id=0), dict(id=2, category_id=0), dict(id=3, category_id=1)]


def metric(**settings):
    made = MaskAP(**settings)
    made.dataset_meta = dict(
        classes=["person", "grass", "dog"], groups=dict(thing=[0, 2], stuff=[1])
    )
    return made


def sample(found, truth=TRUTH, segments=SEGMENTS, path="a.png", **changes):
    """``found``: (class, score, mask) of each instance."""
    masks = [mask for _, _, mask in found]
    made = dict(
        img_path=path,
        gt_panoptic=dict(data=torch.as_tensor(truth)[None]),
        segments_info=segments,
        pred_instances=dict(
            labels=torch.tensor([label for label, _, _ in found], dtype=torch.long),
            scores=torch.tensor([score for _, score, _ in found]),
            masks=torch.as_tensor(np.array(masks).reshape(-1, *truth.shape).astype(bool)),
        ),
    )
    return {**made, **changes}


def part(number, share):
    """The first rows of a segment."""
    return (TRUTH == number) & (np.cumsum(TRUTH == number, axis=0) <= 10 * share)


FIRST, SECOND, GRASS = (TRUTH == i for i in (1, 2, 3))
# Each case: what is found, and AP, AP50, AP75
CASES = {
    "all": ([(0, 0.9, FIRST), (0, 0.8, SECOND)], (100, 100, 100)),
    "stuff does not count": (
        [(0, 0.9, FIRST), (0, 0.8, SECOND), (1, 0.95, FIRST), (1, 0.9, GRASS)],
        (100, 100, 100),
    ),
    "loose": ([(0, 0.9, part(1, 0.6)), (0, 0.8, part(2, 0.6))], (30, 100, 0)),
    "one of two": ([(0, 0.9, FIRST)], (50.495, 50.495, 50.495)),
    "doubled": ([(0, 0.9, FIRST), (0, 0.8, FIRST), (0, 0.7, SECOND)], (83.498, 83.498, 83.498)),
    "nothing": ([], (0, 0, 0)),
    "another class": ([(2, 0.9, FIRST)], (0, 0, 0)),
}


@pytest.mark.parametrize("case", CASES)
def test_by_hand(case):
    found, expected = CASES[case]
    ap = metric()
    ap.process(None, [sample(found), sample(found)])  # the image counts once
    json.dumps(ap.results)
    scores = ap.evaluate(1)
    assert [scores[name] for name in ("AP", "AP50", "AP75")] == pytest.approx(expected, abs=1e-3)
    assert math.isnan(scores["AP_large"]) or not found
    assert [row["name"] for row in ap.per_class] == ["person", "dog"]
    assert ap.per_class[0]["AP"] == pytest.approx(scores["AP"]) and ap.per_class[1]["AP"] is None


def test_crowds_are_nobody_s_fault():
    segments = [SEGMENTS[0], dict(SEGMENTS[1], iscrowd=1), SEGMENTS[2]]
    found = [(0, 0.9, part(2, 0.5)), (0, 0.8, SECOND), (0, 0.7, FIRST)]
    ap = metric()
    ap.process(None, [sample(found, segments=segments)])
    assert ap.evaluate(1)["AP"] == pytest.approx(100)


def test_no_things_at_all_is_not_a_number():
    ap = metric()
    ap.process(None, [sample([(0, 0.9, FIRST)], segments=[], truth=np.zeros_like(TRUTH))])
    assert all(math.isnan(value) for value in ap.evaluate(1).values())


def test_only_the_best_are_kept():
    ap = metric(max_per_image=1)
    ap.process(None, [sample([(0, 0.7, SECOND), (0, 0.9, FIRST)])])
    ((_, record),) = ap.results
    assert [entry[:2] for entry in record["predicted"]] == [[0, pytest.approx(0.9)]]


WRONG_SIZE = dict(
    labels=torch.zeros(1), scores=torch.ones(1), masks=torch.ones(1, 5, 5, dtype=torch.bool)
)
MISTAKES = {
    "no truth": (dict(gt_panoptic=None), DatasetError, "without panoptic ground truth"),
    "no prediction": (dict(pred_instances=None), ConfigError, "gave no instances for a.png"),
    "size": (dict(pred_instances=WRONG_SIZE), DatasetError, r"\(5, 5\) pixels but its ground"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake):
    changes, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        metric().process(None, [sample([(0, 0.9, FIRST)], **changes)])


def test_a_limit_of_none_is_refused():
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        MaskAP(max_per_image=0)


def test_real_data_against_pycocotools(sample_data):
    root = sample_data / "coco" / "annotations"
    content = json.loads((root / "panoptic_val2017.json").read_text())
    index = {c["id"]: i for i, c in enumerate(content["categories"])}
    things = [i for i, c in enumerate(content["categories"]) if c["isthing"]]
    ap = MaskAP()
    names = [c["name"] for c in content["categories"]]
    ap.dataset_meta = dict(classes=names, groups=dict(thing=things))
    truth, predicted, sizes = [], [], []
    for number, entry in enumerate(content["annotations"][:25]):
        ids = read_panoptic_ids(root / "panoptic_val2017" / entry["file_name"])
        sizes.append(ids.shape)
        segments = [dict(s, category_id=index[s["category_id"]]) for s in entry["segments_info"]]
        found_ids, found = perturb(ids, segments, range(133), number)
        found = [(s["category_id"], s["score"], found_ids == s["id"]) for s in found]
        ap.process(None, [sample(found, ids.astype(np.int32), segments, path=f"{number:03}.png")])
        for s in segments:
            if s["category_id"] in things:
                shape = rle.encode(np.asfortranarray((ids == s["id"]).astype(np.uint8)))
                box = rle.toBbox(shape).tolist()
                known = {k: s[k] for k in ("category_id", "iscrowd", "area")}
                entry = dict(id=len(truth) + 1, image_id=number, segmentation=shape, bbox=box)
                truth.append({**known, **entry})
        for label, score, mask in found:
            if label in things:
                shape = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
                score = float(np.float32(score))
                entry = dict(image_id=number, category_id=label, score=score, segmentation=shape)
                predicted.append(entry)
    scores = ap.evaluate(25)
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = dict(
            images=[dict(id=i, height=h, width=w) for i, (h, w) in enumerate(sizes)],
            annotations=truth,
            categories=[dict(id=i) for i in things],
        )
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(predicted), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    expected = np.where(evaluation.stats[:6] < 0, np.nan, 100 * evaluation.stats[:6])
    assert list(scores.values()) == pytest.approx(expected.tolist(), abs=1e-9, nan_ok=True)
    assert 10 < scores["AP"] < 90
