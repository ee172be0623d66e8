from __future__ import annotations

import pytest
import torch

from ovseg.dense import PlainAttention, box_features, dense_map, mask_features
from tests.tiny import build_segmentor


@pytest.fixture(scope="module")
def encoder():
    return build_segmentor().image_encoder


@torch.no_grad()
def test_dense_map_is_of_unit_length_and_follows_the_rule(encoder):
    images = torch.randn(2, 3, 24, 40)
    dense = dense_map(encoder, images)
    assert dense.shape == (2, encoder.embed_dim, 3, 5)
    torch.testing.assert_close(dense.norm(dim=1), torch.ones(2, 3, 5))
    assert not torch.allclose(dense, dense_map(encoder, images, PlainAttention()))


def test_the_box_of_a_position_is_its_feature():
    dense = torch.randn(2, 4, 3, 5)
    boxes = [torch.tensor([[1 / 5, 0, 2 / 5, 1 / 3]]), torch.zeros(0, 4)]
    torch.testing.assert_close(box_features(dense, boxes), dense[:1, :, 0, 1])


def test_a_box_of_all_is_the_mean():
    dense = torch.randn(1, 4, 4, 4)
    found = box_features(dense, [torch.tensor([[0.0, 0.0, 1.0, 1.0]])])
    torch.testing.assert_close(found[0], dense.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)


def test_masks_are_means_and_empty_ones_zeros():
    dense = torch.randn(1, 4, 2, 2)
    masks = torch.tensor([[[1, 0], [0, 1]], [[0, 0], [0, 0]]], dtype=torch.bool)
    found = mask_features(dense, [masks])
    torch.testing.assert_close(found[0], (dense[0, :, 0, 0] + dense[0, :, 1, 1]) / 2)
    assert torch.equal(found[1], torch.zeros(4))


def test_what_does_not_fit():
    dense = torch.zeros(1, 4, 2, 2)
    with pytest.raises(ValueError, match="1 maps came with boxes of 2 images"):
        box_features(dense, [torch.zeros(1, 4)] * 2)
    with pytest.raises(ValueError, match="do not fit a map"):
        mask_features(dense, [torch.zeros(1, 3, 3)])
