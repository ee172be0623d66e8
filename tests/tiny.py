"""The smallest models that still have every part, for tests: real classes, random weights."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.registry import MODELS
from tests import drawn

CLIP = {
    **drawn.CLIP,
    "name": "tiny-vit",
    "vision_cfg": {**drawn.CLIP["vision_cfg"], "layers": 3},
}


def segmentor_config(attention: str | dict = "MaskCLIPAttention", **settings: Any) -> dict:
    """Config of a `TrainingFreeSegmentor` on the tiny CLIP."""
    tower = {"model": CLIP, "pretrained": None}
    return {
        "type": "TrainingFreeSegmentor",
        "image_encoder": {"type": "CLIPViT", **tower},
        "text_encoder": {"type": "CLIPText", **tower},
        "attention": attention if isinstance(attention, dict) else {"type": attention},
        "templates": "none",
        **settings,
    }


def build_segmentor(attention: str | dict = "MaskCLIPAttention", seed: int = 0, **settings: Any):
    """The segmentor, its weights drawn wide so that attention is far from uniform."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build(segmentor_config(attention, **settings))
    with torch.no_grad():
        for parameter in model.image_encoder.parameters():
            parameter.mul_(2.5)
    return model.eval()
