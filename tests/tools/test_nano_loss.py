from __future__ import annotations

from math import log

import pytest
import torch

from tests.tools.nano import clip_loss

E1, E2 = [1.0, 0.0], [0.0, 1.0]


@pytest.mark.parametrize(
    ("logits", "true", "expected"),
    [
        # Rows: both pick among 3 equals. Columns: among 2, and the third column has no picture.
        ([[0, 0, 0], [0, 0, 0]], [[1, 1, 0], [0, 1, 0]], (log(3) + log(2)) / 2),
        # The right phrase has 3/4 of the row; a column of one picture is certain.
        ([[log(3), 0]], [[1, 0]], log(4 / 3) / 2),
        # Two right phrases share the target: half of -log 3/4 and half of -log 1/4.
        ([[log(3), 0]], [[1, 1]], (log(4 / 3) + log(4)) / 4),
        # A picture without any true phrase does not count; a column is wrong at odds of 1 to 3.
        ([[0, log(3)], [log(3), log(9)]], [[1, 0], [0, 0]], (log(4) + log(4)) / 2),
        ([[5, 1], [2, 3]], [[0, 0], [0, 0]], 0),
        ([[50, 0], [0, 50]], [[1, 0], [0, 1]], 0),
    ],
)
def test_multi_positive(logits, true, expected):
    loss = clip_loss.multi_positive(torch.tensor(logits).float(), torch.tensor(true).bool())
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("sharpness", "expected"), [(0.0, [0.5, 0.5]), (log(3), [0.75, 0.75]), (60.0, [1.0, 1.0])]
)
def test_pooled_similarity_weighs_patches_by_themselves(sharpness, expected):
    patches = torch.tensor([[E1, E2]])
    pooled = clip_loss.pooled_similarity(patches, torch.tensor([E1, E2]), sharpness)
    assert pooled.tolist() == [pytest.approx(expected)]


def test_pooled_similarity_keeps_pictures_apart():
    patches = torch.tensor([[E1, E1], [E2, E2]])
    pooled = clip_loss.pooled_similarity(patches, torch.tensor([E1, E2]), 20.0)
    assert pooled.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("true", "expected"),
    [
        # words: grass, sky, cat, car; things get 0.2 each
        ([1, 0, 0, 0], [1, 0, 0, 0]),
        ([1, 1, 0, 0], [0.5, 0.5, 0, 0]),
        ([1, 1, 1, 0], [0.4, 0.4, 0.2, 0]),
        ([1, 0, 1, 1], [0.6, 0, 0.2, 0.2]),
        ([0, 0, 1, 1], [0, 0, 0.5, 0.5]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_shares(true, expected):
    is_thing = torch.tensor([False, False, True, True])
    share = clip_loss.shares(torch.tensor([true]).bool(), is_thing, 0.2)
    assert share.tolist() == [pytest.approx(expected)]


def test_things_never_get_more_than_two_thirds():
    true, is_thing = torch.ones(1, 6).bool(), torch.tensor([False] + [True] * 5)
    share = clip_loss.shares(true, is_thing, 0.2)
    assert share.tolist() == [pytest.approx([1 / 3] + [2 / 15] * 5)]


def test_assign_gives_words_their_share_and_patches_their_likest_word():
    torch.manual_seed(0)
    logits = 4 * torch.randn(2, 60, 4)
    share = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.0, 0.0, 0.0, 1.0]])
    plan = clip_loss.assign(logits, share, rounds=100)
    torch.testing.assert_close(plan.sum(2), torch.ones(2, 60))
    torch.testing.assert_close(plan.mean(1), share, atol=1e-3, rtol=0)
    # words that are not of the picture get nothing, however like a patch they are
    assert plan[0, :, 3].abs().max() == plan[1, :, :3].abs().max() == 0
    # within one word, the patches it gets are those that are more like it than the others get
    gain = logits[0, :, 0] - logits[0, :, 1]
    assert gain[plan[0, :, 0] > 0.9].mean() > gain[plan[0, :, 1] > 0.9].mean() + 2


def test_a_thing_is_found_though_the_ground_is_likelier_everywhere():
    """What sharing out is for: without it every patch would go to the ground."""
    logits = torch.zeros(1, 10, 2)
    logits[..., 0] = 5  # the ground
    logits[:, :2, 1] = 3  # two patches are a little like the thing
    plan = clip_loss.assign(4 * logits, torch.tensor([[0.8, 0.2]]), rounds=50)
    assert plan[0, :2, 1].min() > 0.9
    assert plan[0, 2:, 1].max() < 0.1


@pytest.mark.parametrize(
    ("patches", "share", "expected"),
    [
        # one word explains everything: cross-entropy to it, with logits log(3) or 0
        ([[E1, E1]], [[1, 0]], log(4 / 3)),
        ([[E2, E2]], [[1, 0]], log(4)),
        # two words, each with its own patch, shared out sharply
        ([[E1, E2]], [[0.5, 0.5]], log(4 / 3)),
        # a picture of no class does not count
        ([[E1, E1], [E2, E2]], [[1, 0], [0, 0]], log(4 / 3)),
    ],
)
def test_explained(patches, share, expected):
    loss = clip_loss.explained(
        torch.tensor(patches), torch.tensor([E1, E2]), torch.tensor(share), log(3), sharpness=20
    )
    assert loss.item() == pytest.approx(expected, abs=1e-4)


def test_unit_rows_are_float32():
    rows = clip_loss.unit(torch.tensor([[3.0, 4.0]], dtype=torch.bfloat16))
    assert rows.dtype == torch.float32
    assert rows.tolist() == [pytest.approx([0.6, 0.8])]
