"""Which patches show a thing at all, whatever it is: for sets that have a background class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn

from ovseg.dense.guides.dinoiser import patches_of_block
from ovseg.dense.picture import WindowBatch
from ovseg.heads import DINOiserHead
from ovseg.registry import MODELS


class Foreground(nn.Module, ABC):
    """Tells things from their surroundings, without names.

    Where it sees no thing, and no class is certain (``foreground_threshold`` of the protocol), a
    patch becomes background. A subclass overrides `forward`.

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
        """(B, h, w) float32 probabilities that patches show a thing, on a grid of its own."""


@MODELS.register_module()
class DINOiserForeground(Foreground):
    """CLIP-DINOiser's second convolution: what it learned from FOUND, read from CLIP alone.

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
        """(B, h, w) on the grid of CLIP's patches."""
        patches = patches_of_block(batch, encoder, self.keep[0])
        return self.head.foreground_logits(patches).sigmoid()
