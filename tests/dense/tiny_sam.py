"""The smallest SAM with every part, its weights drawn wide."""

from __future__ import annotations

import warnings

import torch

from ovseg.encoders.base import RandomWeightsWarning
from ovseg.encoders.sam import SAM

SIZES = dict(
    name="tiny", embed_dim=24, depth=2, num_heads=3, global_attn_indexes=(1,), window_size=3,
    image_size=64, patch_size=8, out_chans=16, decoder_heads=2, decoder_mlp_dim=16,
    iou_hidden_dim=8,
)  # fmt: skip


def tiny_sam(seed: int = 0, **changes) -> SAM:
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        sam = SAM({**SIZES, **changes}, pretrained=None)
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return sam
