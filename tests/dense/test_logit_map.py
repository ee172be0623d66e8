from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.dense import (
    Cropped,
    LogProbabilities,
    PatchLogits,
    Resized,
    SlidingWindows,
    TensorMap,
    WholeImage,
    WindowLogits,
)
from ovseg.dense.logit_map import bands


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


def test_patches_that_were_enlarged_are_enlarged_once():
    features, text = torch.randn(3, 4, 5), torch.randn(6, 5)
    patches = PatchLogits(features, text)
    grid = patches.rows(0, 3)
    torch.testing.assert_close(grid, torch.einsum("hwe,qe->qhw", features, text))
    expected = F.interpolate(grid[None], (31, 20), mode="bilinear")[0]
    twice = Resized(Resized(patches, (9, 11)), (31, 20))
    torch.testing.assert_close(in_bands(twice, 4), expected)


def test_other_maps_are_resized_step_by_step():
    source = torch.randn(2, 8, 10)
    half = F.interpolate(source[None], (4, 5), mode="bilinear")
    expected = F.interpolate(half, (9, 7), mode="bilinear")[0]
    found = in_bands(Resized(Resized(TensorMap(source), (4, 5)), (9, 7)), 2)
    torch.testing.assert_close(found, expected)


def test_cropping():
    source = torch.randn(2, 8, 10)
    assert torch.equal(in_bands(Cropped(TensorMap(source), (5, 7)), 2), source[:, :5, :7])


def test_some_queries_only():
    windows = SlidingWindows(32, 16)(32, 64, 8)
    features = [torch.randn(4, 4, 5) for _ in windows]
    text, queries = torch.randn(6, 5), torch.tensor([4, 0])
    stitched = Resized(WindowLogits(windows, features, text, (32, 64)), (20, 30))
    patches = Resized(PatchLogits(features[0], text), (20, 30))
    held = Cropped(TensorMap(torch.randn(6, 9, 30)), (9, 20))

    def name(cosines, window):
        return cosines.softmax(0)

    named = Resized(WindowLogits(windows, features, text, (32, 64), name), (20, 30))
    grid = LogProbabilities(PatchLogits(features[0], text, name), 2.0)
    for source in (stitched, patches, held, named, grid):
        expected = in_bands(source, 8)[queries]
        torch.testing.assert_close(in_bands(source.select(queries), 8), expected)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(4 * 3 * 10 * 4, [(0, 4), (4, 8), (8, 9)]), (1, [(i, i + 1) for i in range(9)])],
)
def test_bands_are_bounded(limit, expected):
    assert list(bands(9, 3, 10, limit)) == expected


def test_a_map_of_some_queries_is_that_part_of_the_map():
    windows = SlidingWindows(32, 16)(40, 56, 8)
    features = [unit_rows(4, 4, 6) for _ in windows]
    text = unit_rows(9, 6)
    whole = Resized(WindowLogits(windows, features, text, (40, 56)), (21, 30))
    part = whole.queries(3, 7)
    assert whole.num_queries == 9 and part.num_queries == 4
    torch.testing.assert_close(in_bands(part, 5), in_bands(whole, 21)[3:7])
