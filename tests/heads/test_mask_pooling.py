from __future__ import annotations

import torch

from ovseg.heads.mask_pooling import pool_masks, resize_masks


def test_the_mean_inside():
    features = torch.arange(8.0).view(1, 2, 2, 2)
    masks = torch.tensor([[[1.0, -1], [0, 2]], [[-1, -1], [-3, 0]], [[9, 9], [9, 9]]])[None]
    found = pool_masks(features, masks)
    # a logit of 0 is outside; a mask without a position gives zeros
    torch.testing.assert_close(found[0], torch.tensor([[1.5, 5.5], [0, 0], [1.5, 5.5]]))


def test_masks_are_brought_to_the_size_of_the_features():
    features, masks = torch.randn(1, 3, 2, 2), torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(
        pool_masks(features, masks), pool_masks(features, resize_masks(masks, (2, 2)))
    )


def test_gradients_reach_features_only():
    features = torch.randn(1, 2, 4, 4, requires_grad=True)
    masks = torch.randn(1, 3, 4, 4, requires_grad=True)
    pool_masks(features, masks).sum().backward()
    assert features.grad.abs().sum() > 0 and masks.grad is None


def test_many_positions_in_half_precision():
    features, masks = torch.ones(1, 2, 300, 300), torch.ones(1, 1, 300, 300)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pool_masks(features, masks)
    torch.testing.assert_close(found, torch.ones(1, 1, 2), atol=1e-3, rtol=0)
