from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.dense import Resized, SlidingWindows, WholeImage, WindowLogits


class Held:
    """A map that is held whole."""

    def __init__(self, data):
        self.data, self.size = data, tuple(data.shape[-2:])

    def rows(self, start, stop):
        return self.data[:, start:stop]


def in_bands(logit_map, step):
    height = logit_map.size[0]
    return torch.cat([logit_map.rows(i, min(i + step, height)) for i in range(0, height, step)], 1)


def unit_rows(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("small", "large"),
    [
        ((14, 14), (224, 224)),
        ((7, 9), (64, 31)),
        ((40, 50), (20, 33)),
        ((1, 1), (5, 6)),
        ((5, 6), (5, 6)),
    ],
)
def test_resized_equals_interpolate(small, large, step):
    torch.manual_seed(0)
    source = torch.randn(3, *small)
    expected = F.interpolate(source[None], large, mode="bilinear")[0]
    torch.testing.assert_close(in_bands(Resized(Held(source), large), step), expected)


def stitched_at_once(windows, features, text, size):
    """The plain way: every window's logits at full size, summed and counted."""
    total, count = torch.zeros(len(text), *size), torch.zeros(size)
    for window, feature in zip(windows, features, strict=True):
        logits = (feature @ text.T).permute(2, 0, 1)
        logits = F.interpolate(logits[None], window.padded_size, mode="bilinear")[0]
        left, _, top, _ = window.pad
        place = (
            slice(window.top, window.top + window.height),
            slice(window.left, window.left + window.width),
        )
        total[:, place[0], place[1]] += logits[
            :, top : top + window.height, left : left + window.width
        ]
        count[place] += 1
    return total / count


@pytest.mark.parametrize("step", [1, 5, 1000])
@pytest.mark.parametrize(
    ("size", "cut"),
    [
        ((48, 80), SlidingWindows(32, 16)),
        ((50, 33), SlidingWindows(32, 24)),
        ((10, 70), SlidingWindows(32, 16)),
        ((30, 41), WholeImage()),
        ((1, 1), WholeImage()),
    ],
)
def test_window_logits_equal_stitching_at_once(size, cut, step):
    torch.manual_seed(0)
    windows = cut(*size, 8)
    features = [unit_rows(w.padded_size[0] // 8, w.padded_size[1] // 8, 12) for w in windows]
    text = unit_rows(5, 12)
    expected = stitched_at_once(windows, features, text, size)
    banded = in_bands(WindowLogits(windows, features, text, size), step)
    torch.testing.assert_close(banded, expected)


def test_window_logits_hold_only_the_windows_at_hand():
    windows = SlidingWindows(16, 16)(160, 32, 8)
    features = [unit_rows(2, 2, 4) for _ in windows]
    stitched = WindowLogits(windows, features, unit_rows(3, 4), (160, 32))
    most = 0
    for row in range(160):
        stitched.rows(row, row + 1)
        most = max(most, len(stitched._ready))
    assert most <= 4 < len(windows)


def test_a_map_of_some_queries_is_that_part_of_the_map():
    windows = SlidingWindows(32, 16)(40, 56, 8)
    features = [unit_rows(4, 4, 6) for _ in windows]
    text = unit_rows(9, 6)
    whole = Resized(WindowLogits(windows, features, text, (40, 56)), (21, 30))
    part = whole.queries(3, 7)
    assert whole.num_queries == 9 and part.num_queries == 4
    torch.testing.assert_close(in_bands(part, 5), in_bands(whole, 21)[3:7])
