"""CLIP towers, words and pictures drawn from seeds, for comparisons with recorded results.

The recorded arrays hold what the authors' public code gave for these (`tools/record`). Nothing here
may change without recording anew.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.registry import MODELS
from tests.tiny import CLIP

#: Sizes of towers in the likeness of OpenAI's.
SIZES = {
    "small": {"embed_dim": 64, "width": 128, "layers": 12},
    "ViT-B/16": {"embed_dim": 512, "width": 768, "layers": 12},
}


def draw_weights(visual: nn.Module, seed: int) -> None:
    """Draw the weights of open_clip's vision transformer so that attention is far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(visual.named_parameters()):
            drawn = torch.randn(weight.shape, generator=generator)
            if "ln_" in name:
                weight.copy_(drawn * 0.1 + (1.0 if name.endswith("weight") else 0.0))
            elif name.endswith("bias"):
                weight.copy_(drawn * 0.1)
            elif name == "proj":
                weight.copy_(drawn * len(weight) ** -0.5)
            elif weight.ndim > 1 and name != "positional_embedding":
                weight.copy_(drawn * weight[0].numel() ** -0.5)
                if name.endswith("in_proj_weight"):  # q and k, so that attention is picky
                    weight[: 2 * weight.shape[1]] *= 1.7
            else:
                weight.copy_(drawn)


def draw_words(count: int, dim: int, seed: int) -> torch.Tensor:
    """Embeddings of words: (count, dim) unit rows."""
    return F.normalize(
        torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def draw_picture(height: int, width: int, seed: int) -> torch.Tensor:
    """A (3, H, W) uint8 picture of flat regions with edges and some grain."""
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.randn(1, 6, 7, 9, generator=generator)
    region = F.interpolate(blobs, (height, width), mode="bicubic")[0].argmax(0)
    colors = torch.randint(0, 256, (6, 3), generator=generator).float()
    grain = torch.randn(3, height, width, generator=generator) * 6
    return (colors[region].permute(2, 0, 1) + grain).clamp(0, 255).to(torch.uint8)


def build_drawn(
    attention: dict,
    words: torch.Tensor,
    query_to_class: torch.Tensor,
    sizes: str = "small",
    **settings: Any,
):
    """A segmentor with drawn weights and words (their classes are called "0", "1", ...)."""
    shape = SIZES[sizes]
    vision = {"image_size": 224, "layers": shape["layers"], "width": shape["width"]}
    clip = {
        "name": f"drawn-{sizes}".replace("/", "-"),
        "embed_dim": shape["embed_dim"],
        "quick_gelu": True,
        "vision_cfg": {**vision, "head_width": 64, "patch_size": 16},
        "text_cfg": CLIP["text_cfg"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        model = MODELS.build(
            {
                "type": "TrainingFreeSegmentor",
                "image_encoder": {
                    "type": "CLIPViT",
                    "model": clip,
                    "pretrained": None,
                    "position": "bicubic_offset",
                },
                "text_encoder": {"type": "CLIPText", "model": clip, "pretrained": None},
                "attention": attention,
                "templates": "none",
                **settings,
            }
        )
        draw_weights(model.image_encoder.visual, seed=5)
        count = int(query_to_class.max()) + 1
        background = {"background": ["nothing"]} if model.protocol.needs_background else {}
        names = [str(i) for i in range(count - len(background))]
        model.set_vocabulary(names, **background)
    model.text, model.query_to_class = words, query_to_class
    return model.eval()
