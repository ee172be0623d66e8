"""Step 3, join: features averaged over the patches that correlate in a guide."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.dense.aggregation import Aggregator
from ovseg.dense.picture import WindowBatch
from ovseg.errors import ConfigError
from ovseg.registry import MODELS


def correlation_pool(features: torch.Tensor, guide: torch.Tensor, gamma: float) -> torch.Tensor:
    """Mean of features weighted by the guide's cosine similarities above a threshold.

    Features are resampled to the guide's grid first. A patch that correlates with none, not even
    itself (its guide's feature is 0), keeps its feature.

    Args:
        features: (B, h, w, E).
        guide: (B, C, h', w').
        gamma: similarities below count as 0.

    Returns:
        (B, h', w', E).
    """
    grid = guide.shape[-2:]
    if features.shape[1:3] != grid:
        features = F.interpolate(
            features.permute(0, 3, 1, 2), grid, mode="bilinear", align_corners=False
        ).permute(0, 2, 3, 1)
    features = features.flatten(1, 2)
    unit = F.normalize(guide.float().flatten(2), dim=1)
    pooled = []
    for one, alike in zip(features, unit, strict=True):  # the weights of one window at a time
        weights = alike.T @ alike
        weights = weights.masked_fill_(weights < gamma, 0)
        total = weights.sum(-1, keepdim=True)
        pooled.append(torch.where(total > 0, weights @ one / (total + 1e-6), one))
    return torch.stack(pooled).unflatten(1, grid)


@MODELS.register_module()
class CorrelationPooling(Aggregator):
    """CLIP-DINOiser's pooling: each patch becomes the mean of those that correlate with it.

    With ``DINOGuide(feature="v")`` this is the authors' teacher, which runs DINO at inference; with
    ``DINOiserGuide`` their model, in which a convolution on CLIP's tokens takes DINO's place. Any
    other guide will do as well.

    Source: Wysoczanska et al., "CLIP-DINOiser", ECCV 2024, equations 2 and 3.

    Args:
        guide: config of a `Guide`.
        gamma: correlations below count as 0.

    Raises:
        ConfigError: ``gamma`` is not between 0 and 1.
    """

    def __init__(self, guide: dict, gamma: float = 0.2) -> None:
        built = MODELS.build(guide)
        super().__init__(built.encoder)
        if not 0 <= gamma < 1:
            raise ConfigError(f"gamma must lie in [0, 1), got {gamma}")
        self.guide, self.gamma, self.keep = built, gamma, built.keep

        if hasattr(built, "fingerprint"):
            self.fingerprint = built.fingerprint

    def forward(
        self, features: torch.Tensor, batch: WindowBatch, encoder: nn.Module | None
    ) -> torch.Tensor:
        """(B, h', w', E) on the guide's grid; see `Aggregator.forward`."""
        return correlation_pool(features, self.guide(batch, encoder), self.gamma)
