"""What SAM's image encoder hands on: the embedding, and the last block's side of things."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ovseg.encoders.sam_attention import GlobalAttention

__all__ = ["SAMState"]


@dataclass(frozen=True)
class SAMState:
    """What SAM's image encoder gives for images of one size.

    Attributes:
        embedding: (B, C, h, w) float32, the embedding the mask decoder reads, padding included.
        tokens: (B, N, D) float32, input of the last block, ``N = h * w`` in row order.
        grid: (h, w) patches of the padded square.
        input_size: (height, width) of the images before padding, in pixels.
        valid_grid: (h, w) whole patches covered by the images, at least 1; the rest is padding.
        attention: The last block's attention, or None if that block attends in windows.
    """

    embedding: Tensor
    tokens: Tensor
    grid: tuple[int, int]
    input_size: tuple[int, int]
    valid_grid: tuple[int, int]
    attention: GlobalAttention | None

    @property
    def valid_index(self) -> Tensor:
        """(h' * w',) int64 indices of the tokens inside :attr:`valid_grid`, in row order."""
        h, w = self.valid_grid
        rows = torch.arange(h, device=self.embedding.device)
        columns = torch.arange(w, device=self.embedding.device)
        return (rows[:, None] * self.grid[1] + columns).flatten()
