"""The three kinds of inference on masks one can draw by hand."""

from __future__ import annotations

import pytest
import torch

from ovseg.heads import InstanceInference, PanopticInference, SemanticInference

#: Left half, right half, right half again (weaker), a corner, nothing.
MASKS = torch.full((5, 4, 6), -8.0)
MASKS[0, :, :3] = MASKS[1, :, 3:] = 8.0
MASKS[2, :, 3:] = 2.0
MASKS[3, 3:, 5:] = 6.0
THINGS = torch.tensor([True, False, True])  # three classes


def rows(*probabilities):
    return torch.tensor(probabilities)


def run(inference, height=4, step=3):
    for start in range(0, height, step):
        logits = MASKS[:, start : start + step]
        inference.add(start, logits, logits.sigmoid())
    return inference.result()


SURE = rows(
    [0.9, 0.05, 0.0, 0.05],
    [0.0, 0.8, 0.1, 0.1],
    [0.1, 0.0, 0.7, 0.2],
    [0.3, 0.3, 0.3, 0.1],
    [0.0, 0.0, 0.1, 0.9],
)


def test_semantic():
    found = run(SemanticInference(SURE, (4, 6)))
    votes = torch.einsum("qc,qhw->chw", SURE[:, :3], MASKS.sigmoid())
    assert (found.labels == votes.argmax(0)).all()
    assert found.areas.tolist() == torch.bincount(votes.argmax(0).flatten(), minlength=3).tolist()
    share = votes.amax(0) / votes.sum(0)
    for label in (0, 1):
        expected = share[found.labels == label].mean()
        torch.testing.assert_close(found.scores[label], expected)
    assert found.labels.dtype == torch.int32


def test_panoptic_things_and_stuff():
    found = run(PanopticInference(SURE, THINGS, (4, 6)))
    # the weaker right half and the corner lose all, the last mask is "no class"
    assert found.ids[:, :3].unique().tolist() == [1]
    assert found.ids[:, 3:].unique().tolist() == [2]
    assert found.segments == [
        {"id": 1, "category_id": 0, "isthing": True, "score": pytest.approx(0.9), "area": 12},
        {"id": 2, "category_id": 1, "isthing": False, "score": pytest.approx(0.8), "area": 12},
    ]


@pytest.mark.parametrize(("label", "ids", "areas"), [(1, [1, 1], [24]), (0, [1, 2], [12, 12])])
def test_stuff_is_merged_and_things_are_not(label, ids, areas):
    probabilities = torch.full((5, 4), 0.01)
    probabilities[:, 3] = 0.95
    probabilities[:2, label] = torch.tensor([0.97, 0.98])
    found = run(PanopticInference(probabilities, THINGS, (4, 6)))
    assert [int(found.ids[0, 0]), int(found.ids[0, 5])] == ids
    assert [s["area"] for s in found.segments] == areas
    assert found.segments[0]["score"] == pytest.approx(0.98 if label == 1 else 0.97)


@pytest.mark.parametrize(
    ("threshold", "overlap", "count"), [(0.0, 0.8, 2), (0.85, 0.8, 1), (0.95, 0.8, 0), (0, 1.1, 0)]
)
def test_what_is_left_out(threshold, overlap, count):
    found = run(PanopticInference(SURE, THINGS, (4, 6), threshold, overlap))
    assert len(found.segments) == count
    assert set(found.ids.unique().tolist()) <= {0, *range(1, count + 1)}


def test_nothing_at_all():
    nothing = torch.tensor([[0.0, 0.0, 0.0, 1.0]]).expand(5, -1)
    found = run(PanopticInference(nothing, THINGS, (4, 6)))
    assert found.segments == [] and (found.ids == 0).all()


def test_instances_are_ranked_things():
    found = run(InstanceInference(SURE, THINGS, (4, 6), most=4))
    # the four best pairs: 0.9 (mask 0, thing), 0.8 (stuff), 0.7 (thing), 0.3 (one of mask 3's)
    assert found.labels[:2].tolist() == [0, 2]
    sure = [torch.tensor(x).sigmoid().item() for x in (8.0, 2.0)]
    expected = [0.9 * sure[0], 0.7 * sure[1]]
    assert found.scores[:2].tolist() == pytest.approx(expected, rel=1e-4)
    assert (found.masks[0] == (MASKS[0] > 0)).all() and (found.masks[1] == (MASKS[2] > 0)).all()
    assert (found.scores[:-1] >= found.scores[1:]).all()


@pytest.mark.parametrize("most", [1, 15, 1000])
def test_no_more_pairs_than_there_are(most):
    found = run(InstanceInference(SURE, torch.ones(3, dtype=torch.bool), (4, 6), most))
    assert len(found.labels) == len(found.scores) == len(found.masks) == min(most, 15)


def test_no_things():
    found = run(InstanceInference(SURE, torch.zeros(3, dtype=torch.bool), (4, 6)))
    assert found.masks.shape == (0, 4, 6) and len(found.labels) == 0
