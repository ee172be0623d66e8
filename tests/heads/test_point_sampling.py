"""Points: what they read, where they are drawn, and which of them are undecided."""

from __future__ import annotations

import pytest
import torch

from ovseg.heads.point_sampling import PointSource, sample_logits, sample_masks, uncertain_points


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (32, 48)])
@pytest.mark.parametrize("count, shared", [(3, True), (3, False), (1, True), (0, True), (0, False)])
def test_masks_are_read_as_floats_would_be(size, count, shared):
    torch.manual_seed(0)
    masks = torch.rand(count, *size) > 0.5
    points = torch.rand(1 if shared else count, 40, 2) * 1.2 - 0.1  # some lie outside
    expected = sample_logits(masks.float(), points)
    assert sample_masks(masks, points).shape == expected.shape == (count, 40)
    torch.testing.assert_close(sample_masks(masks, points), expected, atol=1e-5, rtol=0)


def test_values_at_centers_of_pixels():
    maps = torch.arange(12.0).view(1, 3, 4)
    y, x = torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
    centers = torch.stack([(x + 0.5) / 4, (y + 0.5) / 3], -1).view(1, 12, 2)
    torch.testing.assert_close(sample_logits(maps, centers), torch.arange(12.0)[None])


def test_points_of_an_image_do_not_depend_on_its_batch():
    both = PointSource("cpu", [5, 9])
    alone = PointSource("cpu", [9])
    assert torch.equal(both.one(1, 4), alone.one(0, 4))
    assert torch.equal(both.each([2, 3], 6)[2:], alone.each([3], 6))
    assert PointSource("cpu", []).each([], 4).shape == (0, 4, 2)


def test_without_seeds_points_are_of_torchs_random_state():
    torch.manual_seed(3)
    drawn = PointSource("cpu").each([1, 2], 4)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3, 4, 2))


def test_undecided_points_lie_on_the_border():
    ramp = torch.linspace(-8, 8, 33).expand(2, 33, 33)  # crosses zero in the middle column
    points = uncertain_points(ramp, [1, 1], PointSource("cpu", [0, 1]), 100, 4.0, 0.75)
    assert points.shape == (2, 100, 2)
    offset = (points[..., 0] - 0.5).abs()
    assert offset[:, :75].max() < 0.2  # 75 of 400 candidates: about the middle fifth
    assert offset[:, 75:].max() > 0.3  # the rest may be anywhere


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_all_or_none_undecided(ratio):
    points = uncertain_points(torch.rand(1, 4, 4), [1], PointSource("cpu"), 10, 2.0, ratio)
    assert points.shape == (1, 10, 2)
