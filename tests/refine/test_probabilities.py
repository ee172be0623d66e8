from __future__ import annotations

import pytest
import torch

from ovseg.dense import Naming, TensorMap
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
