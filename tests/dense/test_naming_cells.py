"""Naming from patches must give what naming every pixel of every query gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ovseg.dense import (
    Cropped,
    LogProbabilities,
    Naming,
    PatchLogits,
    PatchNaming,
    Resized,
    SlidingWindows,
    TensorMap,
    WholeImage,
    WindowLogits,
)
from ovseg.dense import naming_cells as cells
from ovseg.dense.axis import Axis
from ovseg.dense.separable import separable
from tests.dense.test_logit_map import Held, in_bands, unit_rows

PATCH = 8
#: size of the picture, how it is cut, size of the labels
SHAPES = [
    ((48, 80), SlidingWindows(32, 16), (48, 80)),
    ((48, 72), SlidingWindows(32, 24), (97, 131)),
    ((50, 33), SlidingWindows(32, 16), (120, 61)),
    ((33, 57), SlidingWindows(24, 8), (20, 31)),
    ((10, 70), SlidingWindows(32, 16), (33, 200)),
    ((30, 41), WholeImage(), (64, 90)),
    ((9, 200), WholeImage(), (9, 200)),
    ((5, 3), WholeImage(), (1, 1)),
    ((64, 64), WholeImage(), (17, 640)),
    ((20, 28), WholeImage(), (230, 310)),  # many pixels between patches
]


def patches(shape, queries: int, seed: int, noise: float):
    """Window logits of features that resemble each other, and words."""
    size, cut, wanted = shape
    torch.manual_seed(seed)
    windows, common = cut(*size, PATCH), torch.randn(12)
    sides = [tuple(side // PATCH for side in window.padded_size) for window in windows]
    features = [F.normalize(common + noise * torch.randn(*side, 12), dim=-1) for side in sides]
    return windows, features, unit_rows(queries, 12), size, wanted


def every_pixel(logits, naming: Naming, with_scores: bool):
    """The same naming where nothing is known of the map but its rows."""
    rows = in_bands(logits, 50)
    return naming.decode(Held(rows), with_scores), rows


def check(logits, naming: Naming) -> None:
    """Labels agree but where two queries are equal up to rounding; so do scores."""
    assert separable(logits) is not None
    found = naming.decode(logits, with_scores=True)
    expected, rows = every_pixel(logits, naming, True)
    differ = found.labels != expected.labels
    assert differ.float().mean() < 1e-3
    if differ.any():
        value = rows[:, differ].double()
        own = value.gather(0, found.labels[differ].long()[None])[0]
        assert (value.amax(0) - own).max() < 3e-6
    assert torch.equal(found.areas, torch.bincount(found.labels.flatten(), minlength=len(rows)))
    torch.testing.assert_close(found.scores, expected.scores, atol=2e-3, rtol=1e-3)
    if not differ.any():
        torch.testing.assert_close(found.scores, expected.scores, atol=1e-5, rtol=1e-4)
    assert torch.equal(naming.decode(logits).labels, found.labels)


@pytest.mark.parametrize(
    ("queries", "noise"), [(1, 0.3), (2, 3.0), (40, 0.02), (40, 0.3), (40, 3.0)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_windows(shape, queries, noise):
    windows, features, text, size, wanted = patches(shape, queries, 1, noise)
    logits = Resized(WindowLogits(windows, features, text, size), wanted)
    check(logits, Naming(torch.arange(queries), queries, 40.0))


def test_many_queries_between_two_patches():
    """Each of 200 wins somewhere: tangents of a parabola along a row, one after the other."""
    at = torch.linspace(-1, 1, 200)
    ends = torch.stack([2 * at * end - at.square() for end in (-1.0, 1.0)], 1)
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(200))
    logits = Resized(TensorMap(ends[shuffled][:, None, :]), (3, 3000))
    naming = Naming(torch.arange(200), 200, 100.0)
    check(logits, naming)
    assert len(naming.decode(logits).labels.unique()) == 200


@pytest.mark.parametrize("shape", SHAPES)
def test_probabilities_of_patches(shape):
    windows, features, text, size, wanted = patches(shape, 30, 2, 1.0)
    source = Resized(WindowLogits(windows, features, text, size, PatchNaming(20.0)), wanted)
    check(LogProbabilities(source, 20.0), Naming(torch.arange(30), 30, 20.0))


@pytest.mark.parametrize("wanted", [(30, 44), (7, 5), (13, 90)])
def test_other_maps(wanted):
    torch.manual_seed(3)
    grid = PatchLogits(unit_rows(6, 9, 12), unit_rows(20, 12))
    held = TensorMap(torch.randn(20, 11, 13))
    naming = Naming(torch.arange(20), 20, 5.0)
    check(Resized(Resized(grid, (50, 60)), wanted), naming)
    check(Resized(Cropped(Resized(held, (30, 40)), (20, 33)), wanted), naming)
    softmax = PatchLogits(grid.features, grid.text, PatchNaming(9.0))
    check(LogProbabilities(Resized(softmax, wanted), 5.0), naming)
    check(LogProbabilities(Resized(softmax, wanted), 9.0), naming)
    part = Resized(softmax, wanted).select(torch.tensor([3, 0, 17]))
    check(part, Naming(torch.arange(3), 3, 5.0))


RULES = [
    dict(background=0, prob_threshold=0.2),
    dict(background=0, area_threshold=0.2),
    dict(background=0, prob_threshold=0.15, area_threshold=0.1),
]


@pytest.mark.parametrize("rules", RULES)
def test_thresholds_and_synonyms(rules):
    windows, features, text, size, wanted = patches(SHAPES[1], 24, 4, 1.0)
    logits = Resized(WindowLogits(windows, features, text, size), wanted)
    owners = torch.tensor([0] * 5 + [1] * 4 + list(range(2, 17)))
    naming = Naming(owners, 17, 8.0, **rules)
    found, (expected, _) = naming.decode(logits, True), every_pixel(logits, naming, True)
    assert (found.labels != expected.labels).float().mean() < 1e-3
    assert len(found.areas.nonzero()) > 2
    torch.testing.assert_close(found.scores, expected.scores, atol=2e-3, rtol=1e-3)


def test_the_first_of_equal_queries_wins():
    windows, features, text, size, wanted = patches(SHAPES[0], 12, 5, 1.0)
    twice = torch.cat([text, text.flip(0), text])
    logits = Resized(WindowLogits(windows, features, twice, size), wanted)
    labels = Naming(torch.arange(36), 36, 40.0).decode(logits).labels
    assert labels.max() < 12 and len(labels.unique()) > 2


def test_logits_that_are_no_numbers_do_no_harm():
    held = torch.randn(20, 4, 5)
    held[:, 1:3, 2] = torch.nan
    found = Naming(torch.arange(20), 20, 5.0).decode(Resized(TensorMap(held), (60, 70)), True)
    assert found.labels.min() >= 0 and found.labels.max() < 20
    whole = TensorMap(torch.full((20, 4, 5), torch.nan))
    assert Naming(torch.arange(20), 20, 5.0).decode(Resized(whole, (9, 9))).labels.max() < 20


def test_probability_of_given_labels():
    windows, features, text, size, wanted = patches(SHAPES[2], 20, 6, 1.0)
    naming = Naming(torch.arange(20) // 2, 10, 10.0)
    labels = torch.randint(0, 10, wanted, dtype=torch.int32)
    for name in (None, PatchNaming(10.0)):
        logits = Resized(WindowLogits(windows, features, text, size, name), wanted)
        if name is not None:
            logits = LogProbabilities(logits, 10.0)
        expected = naming.mean_probability(Held(in_bands(logits, 9)), labels)
        found = naming.mean_probability(logits, labels)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_strips_and_threads_change_nothing(monkeypatch):
    windows, features, text, size, wanted = patches(SHAPES[1], 40, 7, 1.0)
    logits = Resized(WindowLogits(windows, features, text, size), wanted)
    naming = Naming(torch.arange(40), 40, 40.0)
    expected = naming.decode(logits, True)
    for threads, limit in ((1, 1), (3, 20000), (2, 10**9)):
        monkeypatch.setattr(cells, "STRIP_BYTES", limit)
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found = naming.decode(logits, True)
        assert torch.equal(found.labels, expected.labels)
        torch.testing.assert_close(found.scores, expected.scores, atol=1e-6, rtol=1e-6)


def test_most_queries_are_never_looked_at():
    from ovseg.dense.naming_kernels import best_queries

    axis = Axis.plain(6).resized(96)
    ramp = torch.linspace(-1, 1, 6)
    text = torch.randn(300, 1, 1) * 0.3 + torch.randn(300, 1, 1) * ramp[:, None]
    lines = (text + torch.zeros(6, 6)).permute(1, 2, 0).contiguous().numpy()
    value, query = np.empty((96, 96), np.float32), np.empty((96, 96), np.int32)
    weights = axis.weights.astype(np.float32)
    side = (axis.lines, weights, *axis.pieces())
    seen = best_queries(lines, *side, *side, True, value, query)
    assert seen < 0.1 * 300 * 96 * 96
    # Where a query exceeds all others at the corners of a cell, none is looked at.
    again = np.empty_like(query)
    fewer = best_queries(lines, *side, *side, False, np.empty((0, 0), np.float32), again)
    assert fewer < 0.7 * seen
    assert np.array_equal(again, query)


def test_maps_that_depend_on_more_than_patches_keep_the_slow_path():
    held = Held(torch.randn(3, 4, 5))
    assert separable(held) is None and separable(Resized(held, (8, 8))) is None
    nested = LogProbabilities(TensorMap(torch.rand(3, 4, 5)), 2.0)
    assert separable(Resized(nested, (8, 8))) is None
    assert separable(nested) is not None


@pytest.mark.parametrize("lengths", [(3, 17), (30, 8), (12, 12), (1, 9), (224, 683)])
def test_an_axis_says_what_interpolation_does(lengths):
    source, target = lengths
    values = torch.randn(source, dtype=torch.float64)
    axis = Axis.plain(source).resized(target)
    expected = F.interpolate(values[None, None], target, mode="linear")[0, 0]
    found = (values[torch.from_numpy(axis.lines)] * torch.from_numpy(axis.weights)).sum(1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    np.testing.assert_allclose(axis.weights.sum(1), 1)
    ends, bend = axis.pieces()
    assert ends[0] == 0 and ends[-1] == target and bend.max() < 1e-3
    assert (np.diff(ends) > 0).all()
