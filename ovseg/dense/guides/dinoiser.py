"""CLIP's own tokens as a guide, through the convolution that CLIP-DINOiser learned from DINO."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ovseg.dense.guide import Guide
from ovseg.dense.picture import WindowBatch
from ovseg.heads import DINOiserHead
from ovseg.registry import MODELS


def patches_of_block(batch: WindowBatch, encoder: nn.Module, block: int) -> torch.Tensor:
    """(B, D, h, w) patches of a CLIP's block between its attention and its MLP, normed."""
    state = batch.tokens(encoder, (block,))
    tokens = state.kept[block][:, state.num_prefix :]
    return tokens.transpose(1, 2).unflatten(-1, state.grid)


@MODELS.register_module()
class DINOiserGuide(Guide):
    """What correlates as DINO's values do, read from CLIP alone.

    Args:
        encoder: name of a `ovseg.encoders.CLIPViT`, usually the image tower.
        block: whose tokens the convolution was trained on; the authors' is the third last.
        head: settings of `ovseg.heads.DINOiserHead`.
    """

    def __init__(self, encoder: str = "clip", block: int = -3, **head: Any) -> None:
        super().__init__(encoder)
        self.keep = (block,)
        self.head = DINOiserHead(**head)

    @property
    def fingerprint(self) -> str:
        """Stable name of the convolution's weights."""
        return self.head.fingerprint

    def forward(self, batch: WindowBatch, encoder: nn.Module) -> torch.Tensor:
        """Features (B, C, h, w) float32 on the grid of CLIP's patches."""
        return self.head.correlation_features(patches_of_block(batch, encoder, self.keep[0]))
