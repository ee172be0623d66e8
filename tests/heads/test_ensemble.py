from __future__ import annotations

import pytest
import torch

from ovseg.heads.ensemble import geometric_ensemble

TRAINED = torch.tensor([[2.0, 0.5, -1.0, 0.3]])  # three classes, then "no class"
FROZEN = torch.tensor([[-1.0, 3.0, 0.0]])
SEEN = torch.tensor([True, False, True])


def test_by_definition():
    trained, frozen = TRAINED[:, :3].softmax(-1), FROZEN.softmax(-1)
    weight = torch.tensor([0.4, 0.8, 0.4])
    joined = trained ** (1 - weight) * frozen**weight
    joined = joined / joined.sum()
    void = TRAINED.softmax(-1)[:, 3:]
    expected = torch.cat([joined * (1 - void), void], -1)
    torch.testing.assert_close(geometric_ensemble(TRAINED, FROZEN, SEEN), expected)


@pytest.mark.parametrize(("alpha", "beta", "alone"), [(0, 0, TRAINED[:, :3]), (1, 1, FROZEN)])
def test_one_of_them_alone(alpha, beta, alone):
    found = geometric_ensemble(TRAINED, FROZEN, SEEN, alpha, beta)[:, :3]
    torch.testing.assert_close(found / found.sum(), alone.softmax(-1))


@pytest.mark.parametrize("scale", [1e3, 1e4])
def test_probabilities_too_small_for_floats(scale):
    found = geometric_ensemble(TRAINED * scale, FROZEN * scale, SEEN)
    assert found.isfinite().all()
    torch.testing.assert_close(found.sum(-1), torch.ones(1))


def test_masks_that_hold_nothing_are_named_by_the_trained_classifier():
    frozen = torch.full_like(FROZEN, torch.nan)
    found = geometric_ensemble(TRAINED, frozen, SEEN, valid=torch.tensor([False]))
    torch.testing.assert_close(found, TRAINED.softmax(-1))


def test_a_single_class():
    found = geometric_ensemble(
        torch.tensor([[5.0, 1.0]]), torch.tensor([[-3.0]]), torch.tensor([0]).bool()
    )
    torch.testing.assert_close(found, torch.tensor([[5.0, 1.0]]).softmax(-1))
