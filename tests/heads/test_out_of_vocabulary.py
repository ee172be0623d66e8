from __future__ import annotations

import torch

from ovseg.heads import ClassWords, out_of_vocabulary


class MeanTower:
    """Gives the mean of a mask as its embedding."""

    def embed_masked(self, features, inside):
        inside = inside.flatten(2).float()
        return inside @ features.flatten(2).mT / inside.sum(-1, keepdim=True)


def test_features_under_masks_against_words():
    features = torch.zeros(1, 2, 2, 2)
    features[0, 0, 0], features[0, 1, 1] = 3.0, 5.0  # the upper row, the lower row
    masks = torch.full((1, 3, 4, 4), -1.0)
    masks[0, 0, :2] = masks[0, 1] = 1.0  # the upper half, all, nothing
    words = ClassWords(torch.eye(2), torch.arange(2), 2)
    logits, valid = out_of_vocabulary(MeanTower(), features, masks, words, scale=10.0)
    assert valid.tolist() == [[True, True, False]]
    torch.testing.assert_close(logits[0, 0], torch.tensor([10.0, 0.0]))
    direction = torch.tensor([3.0, 5.0]) / 34**0.5 * 10
    torch.testing.assert_close(logits[0, 1], direction)
