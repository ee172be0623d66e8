"""CLIP-DINOiser's training on drawn weights: the case that was run with the authors' code.

Nothing of the package is imported before it is asked for, since the authors' code brings packages
of its own.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from tests import drawn

#: Patches of CLIP's size for correlations; finer ones for FOUND, so that its map is reduced.
DINO_SIZES = {**drawn.DINO, "patch_size": 8}
STEPS = 3
RATES = {"corr_lr": 0.005, "found_lr": 0.01}  # the first a hundred times the published one
MILESTONE, GAMMA = 2, 0.1
#: Of FOUND's decoder, so that it finds things here and not there.
BIAS = -2.0
#: Of large arrays, what the recording keeps: every so many of their values.
KEPT = 7


def batches() -> list[torch.Tensor]:
    """For each step (2, 3, 48, 48) uint8 images."""
    images = drawn.draw_images()
    return [images, images.flip(3), images.transpose(2, 3).contiguous()]


def distiller_config(**changes: Any) -> dict:
    """A distiller of random weights, in the sizes that are drawn."""
    dino = {"type": "DINO", "model": "vit_tiny_patch16_224", "pretrained": None}
    width = drawn.DINO["embed_dim"]
    return {
        "type": "DINOiserDistiller",
        "image_encoder": {
            "type": "CLIPViT",
            "model": {**drawn.CLIP, "quick_gelu": False},
            "pretrained": None,
            "position": "bicubic",
        },
        "encoders": {
            "dino": {**dino, "overrides": DINO_SIZES},
            "found": {**dino, "overrides": drawn.DINO},
        },
        "guide": {"type": "DINOGuide", "encoder": "dino", "feature": "v"},
        "foreground": {
            "type": "FOUNDForeground",
            "encoder": "found",
            "width": width,
            "pretrained": None,
        },
        "head": {"dim": drawn.HEAD["dim"]},
        **changes,
    }


def build_random(**changes: Any):
    """The model of `distiller_config`."""
    from ovseg.encoders.base import RandomWeightsWarning
    from ovseg.registry import MODELS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        return MODELS.build(distiller_config(**changes))


def build_drawn(**changes: Any):
    """The same on the weights that the authors' code was given."""
    model = build_random(**changes)
    drawn.draw_weights(model.image_encoder.visual, "clip")
    for encoder in model.encoders.values():
        drawn.draw_weights(encoder.vit, "dino")
    if hasattr(model.foreground, "decoder"):
        drawn.draw_weights(model.foreground.decoder, "found")
        torch.nn.init.constant_(model.foreground.decoder.bias, BIAS)
    drawn.draw_weights(model.head, "convolutions")
    return model
