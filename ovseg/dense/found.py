"""FOUND: things are what is not background, and background is what least attention falls on."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.dense.foreground import Foreground
from ovseg.dense.guides.fit import resize, whole_patches
from ovseg.dense.picture import WindowBatch
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.weights import (
    WeightSource,
    apply_state_dict,
    choose_source,
    fetch,
    fingerprint,
    load_state_dict,
)
from ovseg.errors import WeightsNotFoundError
from ovseg.registry import MODELS

#: The authors' decoder, for the keys of DINO ViT-S/8.
AUTHORS = WeightSource(
    name="found/authors",
    url="https://github.com/valeoai/FOUND/raw/main/data/weights/decoder_weights.pt",
    licence="Apache-2.0",
)


def found_source(model: str, tag: str) -> WeightSource:
    """Known weights of FOUND's decoder.

    Raises:
        WeightsNotFoundError: ``tag`` is not ``"authors"``.
    """
    if tag != "authors":
        raise WeightsNotFoundError(
            f"no known weights {tag!r} for FOUND's decoder: known are 'authors' (for the keys of "
            "DINO ViT-S/8). Give a file of your own as weights=."
        )
    return AUTHORS


def _read(batch: WindowBatch, encoder: nn.Module):
    pixels = batch.pixels(encoder)
    return encoder.features(resize(pixels, whole_patches(batch.padded_size, encoder.patch_size)))


@MODELS.register_module()
class FOUNDForeground(Foreground):
    """FOUND's learned decoder: a 1 x 1 convolution on DINO's features.

    Source: Simeoni et al., "Unsupervised Object Localization: Observing the Background to Discover
    Objects", CVPR 2023, section 3.3.

    Args:
        encoder: name of a `ovseg.encoders.DINO`; the authors' is ViT-S/8.
        feature: features of its last block that the decoder was trained on.
        width: their length.
        pretrained: ``"authors"``; None for random weights, with a warning.
        weights: a file on this machine in the layout of the authors' (``weight`` and ``bias``, at
            the top or under ``decoder``); wins over ``pretrained``.

    Raises:
        WeightsError: weights unknown, missing, unsafe, or not of this decoder.
    """

    def __init__(
        self,
        encoder: str = "dino",
        feature: str = "k",
        width: int = 384,
        pretrained: str | None = "authors",
        weights: str | Path | None = None,
    ) -> None:
        super().__init__(encoder)
        self.feature = feature
        self.decoder = nn.Conv2d(width, 1, 1)
        self._source = choose_source("found", pretrained, weights, found_source)
        if self._source is None:
            warnings.warn(
                "FOUND's decoder has random weights (pretrained=None): what it says means nothing "
                "until trained weights are loaded.",
                RandomWeightsWarning,
                stacklevel=2,
            )
        else:
            path = fetch(self._source)
            state = {k: v.float() for k, v in load_state_dict(path, nests=("decoder",)).items()}
            apply_state_dict(self.decoder, state, name="FOUND's decoder", origin=path)
        self.requires_grad_(False).eval()

    @property
    def fingerprint(self) -> str:
        """Stable name of the decoder's weights."""
        return fingerprint("found", self._source)

    def forward(self, batch: WindowBatch, encoder: nn.Module) -> torch.Tensor:
        """(B, h, w) on the grid of DINO's patches."""
        return self.decoder(_read(batch, encoder).map(self.feature))[:, 0].sigmoid()


@MODELS.register_module()
class SeedForeground(Foreground):
    """FOUND without anything learned: what is like the patch the class token attends to least.

    Heads that attend widely count less, in the attention as in the keys. Everything whose keys are
    alike those of the seed is background; the rest is things.

    Source: as `FOUNDForeground`, section 3.2.

    Args:
        encoder: name of a `ovseg.encoders.DINO`.
        threshold: cosine similarity to the seed above which a patch is background.
    """

    def __init__(self, encoder: str = "dino", threshold: float = 0.3) -> None:
        super().__init__(encoder)
        self.threshold = threshold

    def forward(self, batch: WindowBatch, encoder: nn.Module) -> torch.Tensor:
        """(B, h, w) of zeros and ones on the grid of DINO's patches."""
        state = _read(batch, encoder)
        return (
            (~background_by_seed(state.attention, state.k, self.threshold))
            .float()
            .unflatten(-1, state.grid)
        )


def background_by_seed(
    attention: torch.Tensor, keys: torch.Tensor, threshold: float
) -> torch.Tensor:
    """Patches alike to the one that is attended to least.

    Args:
        attention: (B, heads, N) from the class token to the patches.
        keys: (B, heads, N, d) of the patches.
        threshold: cosine similarity.

    Returns:
        (B, N) bool.
    """
    tiny = 1e-10
    above = attention > attention.mean((1, 2), keepdim=True)
    share = above.float().mean(-1) + tiny  # of the patches that a head attends to
    weight = (share.sum(-1, keepdim=True) / share).log()[..., None]
    seed = (attention * weight).sum(1).argmin(-1)
    unit = F.normalize((keys * weight[..., None]).transpose(1, 2).flatten(2), dim=-1)
    at_seed = unit[torch.arange(len(unit), device=unit.device), seed]
    return (unit @ at_seed[:, :, None])[..., 0] > threshold
