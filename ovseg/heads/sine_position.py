"""Where a position of a map is, as waves of many lengths: rows first, then columns."""

from __future__ import annotations

import math

import torch


def sine_position(
    height: int,
    width: int,
    dim: int,
    device: torch.device | str | None = None,
    temperature: float = 10000.0,
) -> torch.Tensor:
    """Sine position embedding of a map, normalized to its size.

    The half of the channels in front tells the row, the other the column; row and column numbers
    run from ``2 pi / size`` to ``2 pi``. Sines and cosines alternate.

    Source: Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020; agrees with
    the embedding of Mask2Former and FC-CLIP.

    Args:
        height: rows of the map.
        width: columns of the map.
        dim: channels, a multiple of 4.
        device: where the embedding is wanted.
        temperature: ratio of the longest wave to the shortest.

    Returns:
        (dim, height, width) float32.

    Raises:
        ValueError: ``dim`` is no multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"a sine position embedding has a multiple of 4 channels, not {dim}")
    half = dim // 2
    channel = torch.arange(half, dtype=torch.float32, device=device)
    lengths = temperature ** (2 * (channel // 2) / half)

    def waves(count: int) -> torch.Tensor:
        steps = torch.arange(1, count + 1, dtype=torch.float32, device=device)
        angles = (steps / (count + 1e-6) * 2 * math.pi)[:, None] / lengths
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), dim=2).flatten(1).T

    rows = waves(height)[:, :, None].expand(-1, -1, width)
    columns = waves(width)[:, None, :].expand(-1, height, -1)
    return torch.cat((rows, columns))
