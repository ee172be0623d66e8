"""Deformable attention against its definition."""

from __future__ import annotations

import math

import pytest
import torch

from ovseg.heads.deformable_attention import DeformableAttention, sample_values

SHAPES = [(2, 3), (4, 5)]


def read(plane: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """Value of a (h, w, d) map at a place from 0 to 1, 0 outside, by the definition."""
    height, width, dim = plane.shape
    x, y = x * width - 0.5, y * height - 0.5
    found = torch.zeros(dim)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                found += (1 - abs(x - column)) * (1 - abs(y - row)) * plane[row, column]
    return found


@pytest.mark.parametrize("sample_bytes", [1, 400, 2**20])
def test_sampling_by_definition(sample_bytes):
    torch.manual_seed(0)
    batch, heads, dim, queries, points = 2, 2, 3, 4, 2
    values = torch.randn(batch, sum(h * w for h, w in SHAPES), heads, dim)
    places = torch.rand(batch, queries, heads, len(SHAPES), points, 2) * 1.4 - 0.2
    weights = torch.rand(batch, queries, heads, len(SHAPES), points)
    found = sample_values(values, SHAPES, places, weights, sample_bytes)
    expected = torch.zeros(batch, queries, heads, dim)
    for b in range(batch):
        for q in range(queries):
            for m in range(heads):
                start = 0
                for level, (h, w) in enumerate(SHAPES):
                    plane = values[b, start : start + h * w, m].view(h, w, dim)
                    start += h * w
                    for p in range(points):
                        x, y = places[b, q, m, level, p].tolist()
                        expected[b, q, m] += weights[b, q, m, level, p] * read(plane, x, y)
    torch.testing.assert_close(found, expected.flatten(2), atol=1e-5, rtol=1e-5)


def test_gradients_do_not_depend_on_chunks():
    torch.manual_seed(0)
    values = torch.randn(1, 26, 2, 3, requires_grad=True)
    places = torch.rand(1, 6, 2, 2, 2, 2, requires_grad=True)
    weights = torch.rand(1, 6, 2, 2, 2, requires_grad=True)
    grads = []
    for sample_bytes in (1, 2**20):
        out = sample_values(values, SHAPES, places, weights, sample_bytes)
        grads.append(torch.autograd.grad(out.square().sum(), (values, places, weights)))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


def test_at_the_start_heads_look_their_own_ways():
    layer = DeformableAttention(dim=8, heads=4, levels=2, points=3)
    bias = layer.offsets.bias.view(4, 2, 3, 2)
    torch.testing.assert_close(bias[0, 0], torch.tensor([[1.0, 0], [2, 0], [3, 0]]))
    torch.testing.assert_close(bias[1, 1, 2], torch.tensor([0.0, 3.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DeformableAttention(dim=10, heads=4), "4 heads do not divide 10"),
        (
            lambda: sample_values(
                torch.zeros(1, 7, 1, 1),
                SHAPES,
                torch.zeros(1, 1, 1, 2, 1, 2),
                torch.zeros(1, 1, 1, 2, 1),
            ),
            "do not have 7 positions",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
