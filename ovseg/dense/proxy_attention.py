"""Proxy attention: another encoder says which patches belong together, CLIP says what they are."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional as F

from ovseg.dense.attention import AttentionRule
from ovseg.errors import ConfigError
from ovseg.registry import MODELS


@MODELS.register_module()
class ProxyAttention(AttentionRule):
    """Every patch attends to the patches whose features in the guide are like its own.

    With S the cosine similarities of the guide's features, the attention of all heads is the
    softmax over each row of ``gamma * (S - beta * mean(S))``, where what is negative is left out.
    The values are CLIP's, resampled to the grid of the guide, which is the grid of the result.

    A row in which nothing would be left (patches so much alike that ``beta * mean(S)`` exceeds 1,
    such as those of an empty sky) keeps all its patches: nothing in it stands out. The authors'
    code gives NaN there.

    Source: Lan et al., "ProxyCLIP", ECCV 2024, equations 5 to 7 (``similarity="window"``). Shi et
    al., "Trident", ICCV 2025, read their windows in the same way with the mean over all windows of
    a picture (``similarity="picture"``).

    Args:
        beta: how far above the mean a similarity must be to count.
        gamma: inverse temperature of the softmax.
        similarity: the mean is over pairs of patches of the window, or of each of the windows of
            the picture. The authors' codes average over whatever is in the batch, which is that.
        residual: keep the block's residual connection (resampled as the values are).
        mlp: keep the block's MLP.

    Raises:
        ConfigError: ``similarity`` is neither.
    """

    needs_guide = True
    reads_class_token = False

    def __init__(
        self,
        beta: float = 1.2,
        gamma: float = 3.0,
        similarity: Literal["window", "picture"] = "window",
        residual: bool = False,
        mlp: bool = False,
    ) -> None:
        super().__init__(residual, mlp)
        if similarity not in ("window", "picture"):
            raise ConfigError(f"similarity must be 'window' or 'picture', got {similarity!r}")
        self.beta, self.gamma = beta, gamma
        self.joint = similarity == "picture"

    def measure(self, guide):
        """Mean similarity of the patches of each window: (B,); see `AttentionRule.joint`."""
        # The mean of the products of all pairs is the product of the means.
        means = _units(guide).double().mean(-1)
        return means.square().sum(-1).float()

    def forward(self, block, state, guide=None, mean=None):
        """Dense features on the guide's grid; see `AttentionRule.forward`.

        Where windows depend on each other, ``mean`` is that of the similarities of all of them, by
        default of those that are given.
        """
        if guide is None:
            raise ConfigError("ProxyAttention needs the features of a guide: set `guide`")
        grid = tuple(guide.shape[-2:])
        if mean is None and self.joint:
            mean = self.measure(guide).mean()
        v = block.qkv(block.norm1(state.tokens))[2][:, :, state.num_prefix :]
        values = _resample(v.transpose(1, 2).flatten(2), state.grid, grid)
        mixed = torch.stack(
            [
                self.weights(unit, mean) @ value
                for unit, value in zip(_units(guide), values, strict=True)
            ]
        )
        mixed = mixed.unflatten(-1, (v.shape[1], v.shape[3])).transpose(1, 2)
        if self.residual:
            stream = _resample(state.tokens[:, state.num_prefix :], state.grid, grid)
            read = block.residual_attn(stream, mixed)
        else:
            read = block.attn_branch(mixed)
        return block.residual_mlp(read) if self.mlp else read, grid

    def weights(self, unit: torch.Tensor, mean: torch.Tensor | None = None) -> torch.Tensor:
        """Attention of one window.

        Args:
            unit: (C, N) features of length 1 (or 0).
            mean: of the similarities; by default that of this window.

        Returns:
            (N, N); rows sum to 1.
        """
        similarity = unit.T @ unit
        if mean is None:
            mean = similarity.mean()
        logits = (similarity - mean * self.beta) * self.gamma
        kept = logits >= 0
        kept |= ~kept.any(-1, keepdim=True)
        return logits.masked_fill_(~kept, -torch.inf).softmax(-1)


def _units(guide: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) features to (B, C, h * w) of length 1."""
    return F.normalize(guide.float().flatten(2), dim=1)


def _resample(tokens: torch.Tensor, old: tuple[int, int], new: tuple[int, int]) -> torch.Tensor:
    """(B, h * w, D) to (B, h' * w', D), bilinearly."""
    if old == new:
        return tokens
    image = tokens.transpose(1, 2).unflatten(-1, old)
    image = F.interpolate(image, new, mode="bilinear", align_corners=False)
    return image.flatten(2).transpose(1, 2)
