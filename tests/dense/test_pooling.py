from __future__ import annotations

import pytest
import torch

from ovseg.dense import CorrelationPooling
from ovseg.dense.pooling import correlation_pool
from ovseg.errors import ConfigError


def test_by_hand():
    features = torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 3, 1)
    guide = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).view(1, 2, 1, 3)
    pooled = correlation_pool(features, guide, 0.2)
    torch.testing.assert_close(pooled.flatten(), torch.tensor([1.5, 1.5, 6.0]))


def test_weak_correlations_do_not_count():
    features = torch.tensor([0.0, 10.0]).view(1, 1, 2, 1)
    guide = torch.tensor([[1.0, 0.5], [0.0, 0.75**0.5]]).view(1, 2, 1, 2)  # cosine 0.5
    assert correlation_pool(features, guide, 0.6).flatten().tolist() == pytest.approx([0, 10], 1e-4)
    half = correlation_pool(features, guide, 0.4).flatten().tolist()
    assert half == pytest.approx([10 / 3, 20 / 3], 1e-4)


@pytest.mark.parametrize("grid", [(4, 6), (2, 3), (8, 12), (5, 5)])
def test_the_grid_is_the_guides(grid):
    pooled = correlation_pool(torch.randn(2, 4, 6, 8), torch.randn(2, 5, *grid), 0.2)
    assert pooled.shape == (2, *grid, 8)


def test_patches_without_a_feature_in_the_guide_keep_their_own():
    features = torch.randn(1, 3, 3, 4)
    assert torch.equal(correlation_pool(features, torch.zeros(1, 5, 3, 3), 0.2), features)
    same = correlation_pool(features, torch.ones(1, 5, 3, 3), 0.2)
    torch.testing.assert_close(same, features.mean((1, 2), keepdim=True).expand_as(features))


@pytest.mark.parametrize("gamma", [-0.1, 1.0])
def test_impossible_thresholds_are_refused(gamma):
    with pytest.raises(ConfigError, match="gamma"):
        CorrelationPooling({"type": "DINOGuide"}, gamma)
