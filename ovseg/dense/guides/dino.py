"""DINO as a guide."""

from __future__ import annotations

import torch
from torch import nn

from ovseg.dense.guide import Guide
from ovseg.dense.guides.fit import check_feature, resize, whole_patches
from ovseg.dense.picture import WindowBatch
from ovseg.errors import ConfigError
from ovseg.registry import MODELS


@MODELS.register_module()
class DINOGuide(Guide):
    """Patch features of a DINO, DINOv2 or DINOv3.

    Windows that its patches do not divide are resized to the nearest size that they do.

    Args:
        encoder: name of a `ovseg.encoders.DINO`.
        feature: ``"tokens"`` (output of the last block after the final norm, as in ProxyCLIP), or
            ``"q"``, ``"k"``, ``"v"`` of the last block with their heads joined.
        scale: how many times as large it is shown windows; 2 makes its grid twice as fine.

    Raises:
        ConfigError: no such feature, or ``scale`` is not positive.
    """

    def __init__(self, encoder: str = "dino", feature: str = "tokens", scale: float = 1.0) -> None:
        super().__init__(encoder)
        self.feature = check_feature(feature, ("tokens", "q", "k", "v"))
        if not scale > 0:
            raise ConfigError(f"DINOGuide: scale must be positive, got {scale}.")
        self.scale = scale

    def forward(self, batch: WindowBatch, encoder: nn.Module) -> torch.Tensor:
        """Features (B, C, h, w) float32, h and w those of the encoder's own patches."""
        shown = tuple(round(self.scale * side) for side in batch.padded_size)
        pixels = resize(batch.pixels(encoder), whole_patches(shown, encoder.patch_size))
        return encoder.features(pixels).map(self.feature)
