from __future__ import annotations

import pytest
import torch

from ovseg.dense import LogProbabilities, PatchNaming, Window, WindowLogits, decode

WINDOW = Window(0, 0, 16, 16)


def test_the_softmax_is_over_queries_at_each_patch():
    cosines = torch.randn(3, 2, 4)
    found = PatchNaming(scale=10)(cosines, WINDOW)
    torch.testing.assert_close(found, (cosines * 10).softmax(0))


@pytest.mark.parametrize(
    ("certainty", "thing", "becomes_background"),
    [(0.5, 0.2, True), (0.5, 0.8, False), (0.999, 0.2, False), (0.5, 0.5, True)],
)
def test_background_is_what_is_neither_certain_nor_a_thing(certainty, thing, becomes_background):
    cosines = torch.tensor([0.0, certainty / (1 - certainty)]).clamp(min=1e-6).log()
    cosines[0] = 0
    naming = PatchNaming(1.0, 0, 0.99, {WINDOW: torch.full((1, 1), thing)})
    found = naming(cosines.view(2, 1, 1), WINDOW)
    assert (found[0, 0, 0].item() == 1.0) is becomes_background
    assert found[1, 0, 0].item() == pytest.approx(certainty, abs=1e-4)


def test_the_foreground_may_have_another_grid():
    things = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(4, 1)
    naming = PatchNaming(1.0, 0, 0.99, {WINDOW: things})
    found = naming(torch.zeros(3, 2, 2), WINDOW)
    assert (found[0] == 1).tolist() == [[True, False], [True, False]]


class Constant:
    def __init__(self, values):
        self.values, self.size, self.num_queries = values, tuple(values.shape[1:]), len(values)

    def rows(self, start, stop):
        return self.values[:, start:stop].clone()


def test_logits_of_probabilities_give_the_probabilities_back():
    probabilities = torch.rand(3, 2, 2).softmax(0)
    logits = LogProbabilities(Constant(probabilities), 40.0).rows(0, 2)
    torch.testing.assert_close((logits * 40).softmax(0), probabilities)


def test_probabilities_of_zero_are_finite_logits():
    probabilities = torch.tensor([1.0, 0.0]).view(2, 1, 1)
    source = LogProbabilities(Constant(probabilities), 100.0)
    assert torch.isfinite(source.rows(0, 1)).all()
    found = decode(source, torch.arange(2), 2, scale=100.0, with_scores=True)
    assert found.labels.tolist() == [[0]] and found.scores.tolist() == [1.0, 0.0]


def test_windows_average_what_was_named():
    text = torch.eye(2)
    features = [torch.tensor([1.0, 0.0]).view(1, 1, 2), torch.tensor([0.0, 1.0]).view(1, 1, 2)]
    windows = [Window(0, 0, 4, 4), Window(0, 2, 4, 4)]
    naming = PatchNaming(scale=1000)
    rows = WindowLogits(windows, features, text, (4, 6), naming).rows(0, 4)
    torch.testing.assert_close(rows[0, 0], torch.tensor([1, 1, 0.5, 0.5, 0, 0]))


def test_some_queries_of_what_was_named():
    text, features = torch.randn(6, 8), [torch.randn(2, 2, 8)]
    naming = PatchNaming(scale=2)
    whole = LogProbabilities(WindowLogits([Window(0, 0, 4, 4)], features, text, (4, 4), naming), 2)
    some = whole.queries(1, 5).queries(1, 9)
    assert (whole.num_queries, some.num_queries) == (6, 3)
    assert torch.equal(some.rows(1, 3), whole.rows(1, 3)[2:5])
