"""Step 5, refine: better labels from the logits and the pixels of a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from ovseg.dense.decode import Labels, Naming
from ovseg.dense.logit_map import LogitMap
from ovseg.dense.picture import Picture


class Refiner(nn.Module, ABC):
    """Makes the labels of a picture in place of `Naming.decode`.

    A refiner overrides `forward`.

    Args:
        encoder: name of the encoder it reads, one of the segmentor's ``encoders``; None for none.
    """

    #: Blocks of the image tower, counted from the end, whose input on the whole picture it looks
    #: at. Where the protocol reads pictures whole it finds them under `whole_tokens`.
    enter: tuple[int, ...] = ()

    def __init__(self, encoder: str | None = None) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(
        self,
        logits: LogitMap,
        picture: Picture,
        naming: Naming,
        size: tuple[int, int],
        encoder: nn.Module | None,
        with_scores: bool = False,
    ) -> Labels:
        """Refine one picture.

        Args:
            logits: cosines (Q, H, W) at the protocol's size, read in bands.
            picture: its pixels.
            naming: how logits become classes.
            size: (H, W) of the labels wanted.
            encoder: the encoder asked for.
            with_scores: also give mean probabilities.

        Returns:
            Labels at ``size``.
        """


def whole_tokens(encoder: nn.Module, before: int, size: tuple[int, int]) -> tuple:
    """The key of `Picture.once` for the input of a block of a tower on the whole picture.

    Args:
        encoder: the tower.
        before: the block, counted from the end.
        size: (H, W) at which the picture is read, without padding.
    """
    return (encoder, "whole_tokens", before, size)
