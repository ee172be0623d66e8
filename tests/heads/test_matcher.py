"""Matching, also as the public code of FC-CLIP does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ovseg.heads.matcher import HungarianMatcher, matching_cost
from tests.heads.criterion_case import CASES, WEIGHTS, Points, draw_case

DATA = Path(__file__).parent / "data"


# With several layers the points of the losses are drawn in between: see the criterion.
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["layers"] == 1])
def test_pairs_are_the_authors(name, monkeypatch):
    predictions, targets = draw_case(name)
    monkeypatch.setattr(torch, "rand", Points())
    matcher = HungarianMatcher(*WEIGHTS, num_points=CASES[name]["points"])
    pairs = matcher(predictions[0]["logits"], predictions[0]["masks"], targets)
    recorded = np.load(DATA / f"fcclip-losses-{name}.npz")
    for image, pair in enumerate(pairs):
        np.testing.assert_array_equal(torch.stack(pair), recorded[f"pairs_0_{image}"])


def test_cost_is_that_of_every_pair():
    torch.manual_seed(0)
    logits, masks = torch.randn(4, 6), torch.randn(4, 50) * 5
    labels, wanted = torch.tensor([1, 4, 1]), torch.rand(3, 50)
    cost = matching_cost(logits, masks, labels, wanted, (2.0, 3.0, 4.0))
    assert cost.shape == (4, 3)
    for q in range(4):
        for k in range(3):
            p, t = masks[q].sigmoid(), wanted[k]
            dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
            expected = (
                -2 * logits[q].softmax(0)[labels[k]]
                + 3 * F.binary_cross_entropy_with_logits(masks[q], t)
                + 4 * dice
            )
            torch.testing.assert_close(cost[q, k], expected)


def test_clear_cases_are_found():
    masks = torch.full((1, 3, 8, 8), -9.0)
    masks[0, 2, :, :4], masks[0, 0, :, 4:] = 9.0, 9.0
    left = torch.zeros(16, 16, dtype=torch.bool)
    left[:, :8] = True
    targets = [(torch.tensor([0, 0]), torch.stack([left, ~left]))]
    ((queries, segments),) = HungarianMatcher(num_points=64)(torch.zeros(1, 3, 2), masks, targets)
    assert queries.tolist() == [0, 2]
    assert segments.tolist() == [1, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_matched_if_they_must(bad):
    masks = torch.full((1, 2, 4, 4), bad)
    targets = [(torch.tensor([0]), torch.ones(1, 16, 16, dtype=torch.bool))]
    ((queries, _),) = HungarianMatcher(num_points=8)(torch.zeros(1, 2, 2), masks, targets)
    assert len(queries) == 1


def test_some_points_are_needed():
    with pytest.raises(ValueError, match="at least 1"):
        HungarianMatcher(num_points=0)
