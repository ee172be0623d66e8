"""CLIP as its own guide."""

from __future__ import annotations

import torch
from torch import nn

from ovseg.dense.guide import Guide
from ovseg.dense.guides.fit import check_feature, resize, whole_patches
from ovseg.dense.picture import WindowBatch
from ovseg.registry import MODELS


@MODELS.register_module()
class CLIPGuide(Guide):
    """Patch features of a CLIP vision transformer, by default of the image tower itself.

    The image tower reads a window once, whether it guides itself or not.

    Args:
        encoder: name of a `ovseg.encoders.CLIPViT`.
        feature: ``"tokens"`` (what enters the last block), or ``"q"``, ``"k"``, ``"v"`` of the
            last block with their heads joined.

    Raises:
        ConfigError: no such feature.
    """

    def __init__(self, encoder: str = "clip", feature: str = "k") -> None:
        super().__init__(encoder)
        self.feature = check_feature(feature, ("tokens", "q", "k", "v"))

    def forward(self, batch: WindowBatch, encoder: nn.Module) -> torch.Tensor:
        """Features (B, C, h, w) float32 on the grid of CLIP's patches."""
        fitting = whole_patches(batch.padded_size, encoder.patch_size)
        if fitting == batch.padded_size:
            state = batch.tokens(encoder)
        else:
            state = encoder.tokens(resize(batch.pixels(encoder), fitting))
        features = state.tokens
        if self.feature != "tokens":
            block = encoder.block(1, state.grid)
            heads = block.qkv(block.norm1(features))["qkv".index(self.feature)]
            features = heads.transpose(1, 2).flatten(2)
        return features[:, state.num_prefix :].transpose(1, 2).unflatten(-1, state.grid)
