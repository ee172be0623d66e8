"""DINO, DINOv2 and DINOv3: patch tokens, and q, k, v of the last block, at any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import timm
from torch import Tensor

from ovseg.encoders.base import Encoder
from ovseg.encoders.dino_weights import adapt_state_dict
from ovseg.encoders.timm_blocks import check_walkable, embed_patches, run_blocks
from ovseg.errors import ConfigError
from ovseg.registry import MODELS

__all__ = ["DINO", "FeatureState"]


@dataclass(frozen=True)
class FeatureState:
    """Patch features of a batch of images; class and register tokens are left out.

    Patches are counted row by row: patch ``n`` lies at row ``n // w``, column ``n % w``. All
    tensors are float32.

    Attributes:
        tokens: (B, N, D) output of the last block after the final norm.
        q: (B, heads, N, d) queries of the last block, not scaled.
        k: (B, heads, N, d) keys of the last block.
        v: (B, heads, N, d) values of the last block.
        grid: (h, w) with ``h * w == N``.

    q and k are as they enter the attention product: after their norms, and with the rotation by
    position where the model is rotary (DINOv3).
    """

    tokens: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    grid: tuple[int, int]

    def map(self, kind: Literal["tokens", "q", "k", "v"] = "tokens") -> Tensor:
        """Lay features out as an image, heads joined: (B, D, h, w)."""
        if kind not in ("tokens", "q", "k", "v"):
            raise ConfigError(f"Unknown features {kind!r}; choose 'tokens', 'q', 'k' or 'v'.")
        x = getattr(self, kind)
        if kind != "tokens":
            x = x.transpose(1, 2).flatten(2)
        return x.transpose(1, 2).unflatten(-1, self.grid)
