"""Step 3, join: features of patches that belong together are averaged, by whatever tells so."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from ovseg.dense.picture import WindowBatch


class Aggregator(nn.Module, ABC):
    """Makes features of patches from those of others that belong to the same.

    An aggregator overrides `forward`. It works on windows as they are read, or, where windows are
    spliced first, on the whole picture as one window.

    Args:
        encoder: name of the encoder it reads, one of the segmentor's ``encoders``; None for none.
    """

    #: Whether it works on features in the space of the text, or on those of the last block,
    #: before the tower's final norm and projection.
    projected = True

    #: Whether it works on whole pictures only, so that windows must be spliced first.
    whole_pictures = False

    #: Blocks of the image tower whose tokens it looks at (``batch.tokens(encoder, keep)``).
    keep: tuple[int, ...] = ()

    def __init__(self, encoder: str | None = None) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(
        self, features: torch.Tensor, batch: WindowBatch, encoder: nn.Module | None
    ) -> torch.Tensor:
        """Aggregate.

        Args:
            features: (B, h, w, E) float32, after the projection into the space of the text, or
                (B, h, w, D) before it where ``projected`` is False.
            batch: the windows they were read from.
            encoder: the encoder asked for.

        Returns:
            (B, h', w', E or D) float32 on the same or another grid over the same windows.
        """
