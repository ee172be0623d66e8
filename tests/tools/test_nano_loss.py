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
    ("patches", "true", "expected"),
    [
        ([[E1]], [[1, 0]], log(4 / 3)),
        ([[E1]], [[0, 1]], log(4)),
        ([[E1]], [[1, 1]], 0),  # whichever it is, it is one of them
        ([[E1, E2]], [[1, 0]], (log(4 / 3) + log(4)) / 2),
        ([[E1], [E2]], [[1, 0], [0, 0]], log(4 / 3)),  # a picture of no class does not count
    ],
)
def test_explained(patches, true, expected):
    loss = clip_loss.explained(
        torch.tensor(patches), torch.tensor([E1, E2]), torch.tensor(true).bool(), log(3)
    )
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_unit_rows_are_float32():
    rows = clip_loss.unit(torch.tensor([[3.0, 4.0]], dtype=torch.bfloat16))
    assert rows.dtype == torch.float32
    assert rows.tolist() == [pytest.approx([0.6, 0.8])]
