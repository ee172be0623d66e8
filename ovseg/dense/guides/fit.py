"""Windows at sizes a guide can read."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ovseg.errors import ConfigError


def whole_patches(size: tuple[int, int], patch: int) -> tuple[int, int]:
    """The size nearest to ``size`` that is a whole number of patches on both sides, at least one.

    A window is padded for CLIP's patches. Where another encoder's do not divide it, it is resized
    by less than half a patch, so that the encoder's grid still covers just the window.
    """
    return tuple(max(1, int(side / patch + 0.5)) * patch for side in size)


def resize(pixels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images (B, 3, H, W) at another size, bilinearly; themselves where they have it."""
    if tuple(pixels.shape[-2:]) == size:
        return pixels
    return F.interpolate(pixels, size, mode="bilinear", align_corners=False)


def check_feature(feature: str, known: tuple[str, ...]) -> str:
    """``feature`` itself.

    Raises:
        ConfigError: not one of ``known``.
    """
    if feature not in known:
        names = ", ".join(map(repr, known))
        raise ConfigError(f"unknown features {feature!r} for a guide: choose one of {names}")
    return feature
