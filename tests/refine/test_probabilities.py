from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ovseg.dense import LogProbabilities, Naming, PatchLogits, PatchNaming, Resized, TensorMap
from ovseg.refine.probabilities import ClassProbabilities


@pytest.mark.parametrize(
    ("query_to_class", "count"), [([0, 1, 2, 3, 4], 5), ([0, 0, 1, 2, 2], 3), ([0, 0, 0, 0, 0], 1)]
)
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_probabilities_are_those_of_the_naming(query_to_class, count, scale):
    cosines = torch.rand(5, 7, 6) * 2 - 1
    naming = Naming(torch.tensor(query_to_class), count, scale)
    softmax = (cosines * scale).softmax(0)
    expected = torch.stack(
        [softmax[[q for q in range(5) if query_to_class[q] == c]].amax(0) for c in range(count)]
    )
    found = ClassProbabilities.of(TensorMap(cosines), naming)
    torch.testing.assert_close(found.rows(0, 7), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.rows(3, 5), expected[:, 3:5], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.top, expected.amax(0), rtol=1e-4, atol=1e-6)
    for classes in ([count - 1], list(range(0, count, 2)), list(range(count))):
        part = found.select(torch.tensor(classes))
        assert part.count == len(classes) and part.size == (7, 6)
        torch.testing.assert_close(part.rows(2, 7), expected[classes, 2:7], rtol=1e-4, atol=1e-6)
        last = part.select(torch.tensor([len(classes) - 1]))
        torch.testing.assert_close(last.rows(0, 7)[0], expected[classes[-1]], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("threshold", [0.02, 0.2, 0.7])
@pytest.mark.parametrize("at_patches", [False, True])
def test_no_likely_class_is_missed(threshold, at_patches):
    torch.manual_seed(0)
    scale, count = 30.0, 60
    grid = F.normalize(torch.randn(5, 6, 16) + torch.randn(16), dim=-1)
    words = F.normalize(torch.randn(count, 16), dim=-1)
    patches = PatchLogits(grid, words, PatchNaming(scale) if at_patches else None)
    logits = Resized(patches, (43, 70))
    logits = LogProbabilities(logits, scale) if at_patches else logits
    naming = Naming(torch.arange(count) // 2, count // 2, scale)
    probabilities = ClassProbabilities.of(logits, naming)
    peaks = probabilities.rows(0, 43).amax((1, 2))
    likely = probabilities.likely(threshold)
    assert set((peaks >= threshold).nonzero().flatten().tolist()) <= set(likely.tolist())
    assert len(likely) <= count // 2 - (threshold > 0.1)  # some are ruled out
    held = ClassProbabilities.of(Unknown(logits.rows(0, 43)), naming)
    torch.testing.assert_close(probabilities.top, held.top, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(probabilities.rows(3, 9), held.rows(3, 9), rtol=1e-4, atol=1e-6)
    assert len(held.likely(threshold)) == count // 2


class Unknown(TensorMap):
    """A map of which nothing is known but its rows."""
