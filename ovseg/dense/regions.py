"""Features of boxes and masks, from one dense map of an image.

The map is CLIP's last block without its attention (every patch keeps its own value, with residual
and MLP), projected, each position of unit length. Boxes are pooled by RoIAlign to one cell, masks
by their mean.

Source: Wu et al., CLIPSelf: Vision Transformer Distills Itself for Open-Vocabulary Dense
Prediction, ICLR 2024; agrees with the authors' code (wusize/CLIPSelf, ``extract_roi_features`` of
kind "v2", and ``mask_pool``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F
from torchvision.ops import roi_align

from ovseg.dense.attention import AttentionRule, MaskCLIPAttention

__all__ = ["box_features", "dense_map", "mask_features"]


def dense_map(encoder, images: torch.Tensor, rule: AttentionRule | None = None) -> torch.Tensor:
    """The dense map of images.

    Args:
        encoder: A `ovseg.encoders.CLIPViT`; gradients reach it if it is not frozen.
        images: (B, 3, H, W) normalized, sides multiples of the patch size.
        rule: How the last block is read; by default through the values, as published.

    Returns:
        (B, E, h, w) float32, unit length along E.
    """
    state = encoder.tokens(images)
    rule = MaskCLIPAttention() if rule is None else rule
    tokens, grid = rule(encoder.block(1, state.grid), state)
    dense = F.normalize(encoder.project(tokens).float(), dim=-1)
    return dense.transpose(1, 2).unflatten(-1, grid)


def box_features(dense: torch.Tensor, boxes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Pool boxes from a dense map; half a position is taken off all corners (aligned RoIAlign).

    Args:
        dense: (B, E, h, w).
        boxes: For each image (n, 4): x0, y0, x1, y1 as shares of the map's width and height.

    Returns:
        (sum of n, E) float32, not of unit length, in the order of images and boxes.

    Raises:
        ValueError: There are not as many lists of boxes as images.
    """
    if len(boxes) != len(dense):
        raise ValueError(f"{len(dense)} maps came with boxes of {len(boxes)} images.")
    height, width = dense.shape[-2:]
    scale = dense.new_tensor([width, height, width, height])
    places = [b.to(dense) * scale for b in boxes]
    return roi_align(dense, places, (1, 1), 1.0, -1, True)[..., 0, 0]


def mask_features(dense: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean of a dense map under masks.

    Args:
        dense: (B, E, h, w).
        masks: For each image (n, h, w), bool or weights.

    Returns:
        (sum of n, E) float32, not of unit length; zeros for masks that hold no position.

    Raises:
        ValueError: Masks are not at the size of the map.
    """
    found = []
    for features, weights in zip(dense, masks, strict=True):
        if weights.shape[1:] != features.shape[1:]:
            raise ValueError(
                f"masks of {tuple(weights.shape[1:])} do not fit a map of "
                f"{tuple(features.shape[1:])}: resize them."
            )
        weights = weights.to(features).flatten(1)
        pooled = weights @ features.flatten(1).T
        found.append(pooled / (weights.sum(1, keepdim=True) + 1e-12))
    return torch.cat(found)
