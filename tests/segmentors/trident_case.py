"""A small Trident whose weights and pictures are drawn by name, here and in the authors' code."""

from __future__ import annotations

import math
import zlib

import torch
from torch import nn
from torch.nn import functional as F

CLIP = {
    "name": "drawn-vit",
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 3, "width": 32, "head_width": 8, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 2048,
        "width": 16,
        "heads": 2,
        "layers": 1,
        "bpe_file": "nano_bpe.txt.gz",
    },
}
DINO = {"img_size": 64, "embed_dim": 32, "depth": 3, "num_heads": 4}
SAM = {
    "name": "drawn-sam", "embed_dim": 32, "depth": 3, "num_heads": 2, "global_attn_indexes": (2,),
    "window_size": 3, "image_size": 128, "patch_size": 16, "out_chans": 32, "decoder_heads": 4,
    "decoder_mlp_dim": 32, "iou_hidden_dim": 16,
}  # fmt: skip
SHORT_SIDE, CROP, STRIDE = 112, 112, 64
QUERIES = 6
SCALE = 40.0
COARSE, AREA, IOU = 0.05, 20, 0.8
#: (height, width); whole patches with even halves, and neither.
SIZES = ((128, 160), (101, 150))


def draw(name: str, *shape: int) -> torch.Tensor:
    """Normal numbers that depend on the name and the shape alone."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(*shape, generator=generator)


def draw_weights(module: nn.Module, name: str) -> nn.Module:
    """Weights wide enough that attention is far from uniform."""
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            values = draw(f"{name}.{key}", *parameter.shape)
            if any(part in key for part in ("pos", "cls_token", "class_embedding")):
                parameter.copy_(values * 0.4)
            elif parameter.ndim > 1:
                wide = 1.4 if "qkv" in key or "in_proj" in key else 1.0
                inputs = parameter.shape[0] if key.endswith("proj") else parameter[0].numel()
                parameter.copy_(values * wide / math.sqrt(inputs))
            else:
                parameter.copy_(values * 0.1 + (0.0 if key.endswith("bias") else 1.0))
        for key, buffer in module.named_buffers():
            if key.endswith("gaussian_matrix"):  # of the places of SAM's prompts
                buffer.copy_(draw(f"{name}.{key}", *buffer.shape))
    return module


def draw_picture(index: int) -> torch.Tensor:
    """(3, H, W) uint8: soft blobs with some grain."""
    size = SIZES[index]
    coarse = F.interpolate(draw(f"blobs{index}", 1, 3, 5, 6), size, mode="bicubic")[0]
    noisy = coarse * 60 + draw(f"grain{index}", 3, *size) * 10 + 128
    return noisy.clamp(0, 255).to(torch.uint8)


def lift_quality(sam: nn.Module, by: float) -> None:
    """Move the quality that SAM predicts for its masks, which is drawn around nothing."""
    with torch.no_grad():
        sam.mask_decoder.iou_prediction_head.layers[-1].bias += by


def config(**settings) -> dict:
    """Config of the same system here."""
    tower = {"model": {k: v for k, v in CLIP.items() if k != "quick_gelu"}, "pretrained": None}
    return {
        "type": "TrainingFreeSegmentor",
        "image_encoder": {
            "type": "CLIPViT", **tower, "quick_gelu": True, "position": "bicubic_offset"
        },
        "text_encoder": {"type": "CLIPText", **tower},
        "attention": {"type": "ProxyAttention", "similarity": "picture"},
        "encoders": {
            "dino": {
                "type": "DINO", "model": "vit_small_patch16_224", "pretrained": None,
                "overrides": DINO, "position": "bicubic_offset",
            },
            "sam": {"type": "SAM", "model": SAM, "pretrained": None},
        },
        "guide": {"type": "DINOGuide"},
        "splice": True,
        "aggregator": {"type": "SAMCorrelation", "multiple": 16},
        "refiner": {
            "type": "SAMRefiner", "coarse_threshold": COARSE, "minimal_area": AREA,
            "iou_threshold": IOU, "multiple": 16,
        },
        "protocol": {
            "short_side": SHORT_SIDE, "long_side": 2048, "crop": CROP, "stride": STRIDE,
            "logit_scale": SCALE,
        },
        "templates": "none",
        **settings,
    }  # fmt: skip
