"""CLIP-DINOiser's two convolutions: what they learned of DINO and FOUND is in CLIP's own tokens."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.sources import NANO_TAG, nano_source
from ovseg.encoders.weights import (
    WeightSource,
    apply_state_dict,
    choose_source,
    fetch,
    fingerprint,
    load_state_dict,
)
from ovseg.errors import WeightsNotFoundError

#: The authors' checkpoint, for LAION-2B's CLIP ViT-B/16 (``laion2b_s34b_b88k``).
AUTHORS = WeightSource(
    name="clip_dinoiser/authors",
    url="https://github.com/wysoczanska/clip_dinoiser/raw/main/checkpoints/last.pt",
    licence="Apache-2.0",
)
# Frozen models a checkpoint of the whole system may carry along; they have files of their own.
_BESIDE = ("clip_backbone.", "vit_encoder.", "found_model.")


def dinoiser_source(model: str, tag: str) -> WeightSource:
    """Known weights of the convolutions.

    Args:
        model: what the packaged weights are called.
        tag: ``"authors"``, or ``"ovseg"`` for packaged ones.

    Raises:
        WeightsNotFoundError: another tag.
    """
    if tag == NANO_TAG:
        return nano_source(model)
    if tag != "authors":
        raise WeightsNotFoundError(
            f"no known weights {tag!r} for CLIP-DINOiser's convolutions: known are 'authors' (for "
            f"LAION-2B's ViT-B/16) and {NANO_TAG!r}. Give a file of your own as weights=."
        )
    return AUTHORS


class DINOiserHead(nn.Module):
    """Two convolutions on the tokens of a block of CLIP, in float32.

    ``obj_proj`` (3 x 3, borders repeated) makes features that correlate as DINO's values do;
    ``bkg_decoder`` (1 x 1) tells patches of things from those of their surroundings, as FOUND does.
    The names are those of the authors' checkpoint.

    Source: Wysoczanska et al., "CLIP-DINOiser", ECCV 2024, sections 3.3 and 3.4.

    Args:
        width: D, length of CLIP's tokens.
        dim: channels of the correlation features.
        kernel: side of the correlation convolution.
        model: name of packaged weights.
        pretrained: tag of known weights (`dinoiser_source`); None for random ones, with a warning.
        weights: a file on this machine in the layout of the authors' checkpoint (the four tensors,
            at the top or under ``model_state_dict``); wins over ``pretrained``.
        frozen: False leaves the parameters trainable; random ones are then no cause for a warning.

    Raises:
        WeightsError: weights unknown, missing, unsafe, or not of these convolutions.
    """

    def __init__(
        self,
        width: int = 768,
        dim: int = 256,
        kernel: int = 3,
        model: str = "nano-dinoiser-8",
        pretrained: str | None = "authors",
        weights: str | Path | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.frozen = frozen
        self.obj_proj = nn.Conv2d(width, dim, kernel, padding=kernel // 2, padding_mode="replicate")
        self.bkg_decoder = nn.Conv2d(width, 1, 1)
        self._source = choose_source("clip_dinoiser", pretrained, weights, self._lookup(model))
        if self._source is None and frozen:
            warnings.warn(
                "CLIP-DINOiser's convolutions have random weights (pretrained=None): what they "
                "say means nothing until trained weights are loaded.",
                RandomWeightsWarning,
                stacklevel=2,
            )
        elif self._source is not None:
            path = fetch(self._source)
            state = load_state_dict(path, keep=lambda name: not name.startswith(_BESIDE))
            state = {name: tensor.float() for name, tensor in state.items()}
            apply_state_dict(self, state, name="CLIP-DINOiser's convolutions", origin=path)
        self.requires_grad_(not frozen).train(not frozen)

    @staticmethod
    def _lookup(model: str):
        return lambda _, tag: dinoiser_source(model, tag)

    @property
    def fingerprint(self) -> str:
        """Stable name of the weights."""
        return fingerprint("clip_dinoiser", self._source)

    def train(self, mode: bool = True) -> DINOiserHead:
        """Stays in evaluation while it is frozen; nothing in it behaves otherwise."""
        return super().train(mode and not self.frozen)

    def correlation_features(self, tokens: torch.Tensor) -> torch.Tensor:
        """Features whose cosines tell which patches belong together.

        Args:
            tokens: (B, D, h, w) float32: CLIP's patches between attention and MLP of a block,
                normed.

        Returns:
            (B, dim, h, w).
        """
        return self.obj_proj(tokens)

    def foreground_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, h, w), above 0 for patches of things; see `correlation_features`."""
        return self.bkg_decoder(F.normalize(tokens, dim=1))[:, 0]
