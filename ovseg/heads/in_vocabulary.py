"""The classifier that is trained: a query and the pixel features under its mask, against words."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.heads.class_words import ClassWords, class_logits
from ovseg.heads.mask_pooling import pool_masks

#: Largest factor on cosines, CLIP's own limit.
MAX_SCALE = 100.0


class MLP(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        sizes: widths of input, hidden layers and output.
    """

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(map(nn.Linear, sizes[:-1], sizes[1:]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., first size) to (..., last size)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class InVocabularyClassifier(nn.Module):
    """Cosines of masks with words, by a learned temperature, and with a learned "no class".

    Source: FC-CLIP, section 3.3.

    Args:
        dim: channels of queries and of mask features.
        embed_dim: E, length of a text embedding.
        mask_dim: channels of the mask features, if not ``dim``.
    """

    def __init__(self, dim: int, embed_dim: int, mask_dim: int | None = None) -> None:
        super().__init__()
        mask_dim = dim if mask_dim is None else mask_dim
        self.pooled = nn.Sequential(nn.LayerNorm(mask_dim), nn.Linear(mask_dim, dim))
        self.embed = MLP(dim, dim, dim, embed_dim)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.void = nn.Parameter(torch.randn(1, embed_dim))

    @property
    def scale(self) -> torch.Tensor:
        """The learned factor on cosines."""
        return self.logit_scale.exp().clamp(max=MAX_SCALE)

    def forward(
        self,
        queries: torch.Tensor,
        masks: torch.Tensor,
        mask_features: torch.Tensor,
        words: ClassWords,
    ) -> torch.Tensor:
        """Class logits of queries.

        Args:
            queries: (B, Q, dim).
            masks: (B, Q, h, w) logits of their masks.
            mask_features: (B, mask_dim, h, w).
            words: C classes.

        Returns:
            (B, Q, C + 1); the last is "no class".
        """
        features = self.embed(self.pooled(pool_masks(mask_features, masks)) + queries)
        void = self.scale * F.normalize(features, dim=-1) @ F.normalize(self.void, dim=-1).mT
        return torch.cat([class_logits(features, words, self.scale), void], dim=-1)
