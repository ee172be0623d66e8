"""SAM as a guide."""

from __future__ import annotations

import torch
from torch import nn

from ovseg.dense.guide import Guide
from ovseg.dense.guides.fit import check_feature, resize, whole_patches
from ovseg.dense.picture import WindowBatch
from ovseg.errors import ConfigError
from ovseg.registry import MODELS


@MODELS.register_module()
class SAMGuide(Guide):
    """Patch features of a Segment Anything Model.

    Each window is enlarged until its longer side is SAM's own input, as ProxyCLIP does it with
    (square) windows; one at a time, since 4096 patches need room.

    Args:
        encoder: name of a `ovseg.encoders.SAM`.
        feature: ``"embedding"`` (output of the neck, as in ProxyCLIP), or ``"q"``, ``"k"``, ``"v"``
            of the last block with their heads joined.

    Raises:
        ConfigError: no such feature.
    """

    def __init__(self, encoder: str = "sam", feature: str = "embedding") -> None:
        super().__init__(encoder)
        self.feature = check_feature(feature, ("embedding", "q", "k", "v"))

    def forward(self, batch: WindowBatch, encoder: nn.Module) -> torch.Tensor:
        """Features (B, C, h, w) float32, h and w those of SAM's patches on the window.

        Raises:
            ConfigError: q, k or v are asked of a SAM whose last block attends in windows.
        """
        side = encoder.image_size / max(batch.padded_size)
        size = whole_patches([length * side for length in batch.padded_size], encoder.patch_size)
        rows, columns = (length // encoder.patch_size for length in size)
        pixels = resize(batch.pixels(encoder), size)
        maps = [self._map(encoder.encode(one)) for one in pixels.split(1)]
        return torch.cat(maps)[:, :, :rows, :columns]

    def _map(self, state) -> torch.Tensor:
        if self.feature == "embedding":
            return state.embedding
        if state.attention is None:
            raise ConfigError(
                f"this SAM's last block attends in windows and has no {self.feature} over the "
                "whole image: use SAMGuide with feature='embedding'"
            )
        heads = getattr(state.attention, self.feature).float()
        return heads.transpose(2, 3).flatten(1, 2).unflatten(-1, state.attention.grid)
