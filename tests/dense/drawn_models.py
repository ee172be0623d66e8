"""Segmentors on the drawn weights of tests/drawn.py."""

from __future__ import annotations

import warnings

from ovseg.dense import Picture
from ovseg.encoders.base import RandomWeightsWarning
from ovseg.registry import MODELS
from tests import drawn

DINO = {
    "type": "DINO",
    "model": "vit_tiny_patch16_224",
    "pretrained": None,
    "overrides": drawn.DINO,
}
HEAD = {**drawn.HEAD, "pretrained": None}
METHODS = {
    "proxyclip": {
        "attention": {"type": "ProxyAttention"},
        "guide": {"type": "DINOGuide"},
        "encoders": {"dino": DINO},
    },
    "trident_read": {
        "attention": {"type": "ProxyAttention", "similarity": "picture"},
        "guide": {"type": "DINOGuide"},
        "encoders": {"dino": DINO},
    },
    "self_proxy": {"attention": {"type": "ProxyAttention"}, "guide": {"type": "CLIPGuide"}},
    "teacher": {
        "attention": {"type": "MaskCLIPAttention"},
        "aggregator": {
            "type": "CorrelationPooling",
            "guide": {"type": "DINOGuide", "feature": "v"},
        },
        "encoders": {"dino": DINO},
        "protocol": {"softmax": "patches", "logit_scale": 100},
    },
    "student": {
        "attention": {"type": "MaskCLIPAttention"},
        "aggregator": {"type": "CorrelationPooling", "guide": {"type": "DINOiserGuide", **HEAD}},
        "protocol": {"softmax": "patches", "logit_scale": 100},
    },
    "student_background": {
        "attention": {"type": "MaskCLIPAttention"},
        "aggregator": {"type": "CorrelationPooling", "guide": {"type": "DINOiserGuide", **HEAD}},
        "foreground": {"type": "DINOiserForeground", **HEAD},
        "protocol": {"softmax": "patches", "logit_scale": 100, "foreground_threshold": 0.99},
    },
    "teacher_background": {
        "attention": {"type": "MaskCLIPAttention"},
        "aggregator": {
            "type": "CorrelationPooling",
            "guide": {"type": "DINOGuide", "feature": "v"},
        },
        "foreground": {"type": "SeedForeground"},
        "encoders": {"dino": DINO},
        "protocol": {"softmax": "patches", "logit_scale": 100, "foreground_threshold": 0.99},
    },
}


def drawn_segmentor(method: str, position: str = "bicubic", quick_gelu: bool = False, **settings):
    """A method on the drawn weights; ``protocol`` is added to the method's."""
    tower = {"model": {**drawn.CLIP, "quick_gelu": quick_gelu}, "pretrained": None}
    config = {
        "type": "TrainingFreeSegmentor",
        "image_encoder": {"type": "CLIPViT", "position": position, **tower},
        "text_encoder": {"type": "CLIPText", **tower},
        "templates": "none",
        **METHODS[method],
        **settings,
    }
    protocol = {**METHODS[method].get("protocol", {}), **settings.get("protocol", {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build({**config, "protocol": protocol})
    drawn.draw_weights(model.image_encoder.visual, "clip")
    if "dino" in model.encoders:
        drawn.draw_weights(model.encoders["dino"].vit, "dino")
    for part in (model.foreground, getattr(model.aggregator, "guide", None)):
        if hasattr(part, "head"):
            drawn.draw_weights(part.head, "convolutions")
    return model.eval()


def pictures() -> list[Picture]:
    """The drawn images, as windows of their own."""
    return [Picture(image) for image in drawn.draw_images()]
