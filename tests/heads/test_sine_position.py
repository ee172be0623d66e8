from __future__ import annotations

import math

import pytest
import torch

from ovseg.heads.sine_position import sine_position


def test_by_definition():
    found = sine_position(3, 5, 8)
    assert found.shape == (8, 3, 5)
    row, column = 2 / 3 * 2 * math.pi, 4 / 5 * 2 * math.pi
    expected = [
        math.sin(row),
        math.cos(row),
        math.sin(row / 100),
        math.cos(row / 100),
        math.sin(column),
        math.cos(column),
        math.sin(column / 100),
        math.cos(column / 100),
    ]
    torch.testing.assert_close(found[:, 1, 3], torch.tensor(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dim", [2, 6, 255])
def test_channels_come_in_fours(dim):
    with pytest.raises(ValueError, match=f"not {dim}"):
        sine_position(2, 2, dim)
