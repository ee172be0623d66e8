"""Correlation guidance: another encoder's view of which patches belong together."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from ovseg.dense.picture import WindowBatch


class Guide(nn.Module, ABC):
    """Features that tell which patches of a window are alike.

    A guide overrides `forward`. It holds no weights; the encoder is handed to it.

    Args:
        encoder: name of the encoder it reads, one of the segmentor's ``encoders``.
    """

    #: Blocks of a CLIP whose tokens it looks at (``batch.tokens(encoder, keep)``).
    keep: tuple[int, ...] = ()

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(self, batch: WindowBatch, encoder: nn.Module) -> torch.Tensor:
        """Features (B, C, h, w) float32 of the windows, on a grid of the guide's own."""
