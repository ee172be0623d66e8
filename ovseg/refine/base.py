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

    #: Blocks of the image tower, counted from the end, whose queries, keys and values on the whole
    #: picture it looks at. Where the protocol reads pictures whole it finds a `TokenState` with
    #: them under `whole_qkv`.
    qkv: tuple[int, ...] = ()

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


def whole_qkv(encoder: nn.Module, block: int, size: tuple[int, int]) -> tuple:
    """The key of `Picture.once` for what a block of a tower compares on the whole picture.

    Args:
        encoder: the tower.
        block: counted from the end.
        size: (H, W) at which the picture is read, without padding.
    """
    return (encoder, "whole_qkv", block, size)
