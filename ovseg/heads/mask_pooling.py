"""The mean of features under masks."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def resize_masks(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Mask logits (B, Q, h, w) at another size, by bilinear interpolation without antialiasing."""
    if tuple(masks.shape[-2:]) == tuple(size):
        return masks
    return F.interpolate(masks, size=size, mode="bilinear", align_corners=False)


def pool_masks(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean feature of the positions where a mask's logit is above 0.

    Masks are brought to the size of the features first. No gradient reaches the masks. A mask
    that holds no position gives zeros.

    Source: FC-CLIP, section 3.3; agrees with the authors' ``MaskPooling``.

    Args:
        features: (B, C, h, w).
        masks: (B, Q, h', w') logits.

    Returns:
        (B, Q, C) float32.
    """
    inside = (resize_masks(masks.detach(), features.shape[-2:]) > 0).flatten(2).float()
    share = inside / (inside.sum(-1, keepdim=True) + 1e-8)
    with torch.autocast(features.device.type, enabled=False):  # shares are small, counts large
        return share @ features.float().flatten(2).mT
