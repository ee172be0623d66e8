"""Position embeddings at other grid sizes than they were trained at, by name.

Published models differ in how they stretch a learned position embedding, and the choice moves
every dense feature. So it has a name:

========================  ==========================================================================
``bicubic_antialias``     to the size, antialiased: open_clip's ``resize_pos_embed``; DINOv2 with
                          registers (antialias on, offset 0)
``bicubic``               to the size, plain
``bicubic_offset``        by the scale factor (n + 0.1) / N, plain: original DINO; DINOv2 without
                          registers; CLIP as SCLIP, NACLIP, ProxyCLIP and Trident read it
``bilinear``              to the size, plain: torchvision-like and OWL-like uses
========================  ==========================================================================

The offset is not cosmetic: when a scale factor is given, torch places sample points by that factor
and not by the ratio of the sizes, so all positions shift a little.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

__all__ = ["POSITION_MODES", "resize_position_embedding"]

POSITION_MODES = ("bicubic_antialias", "bicubic", "bicubic_offset", "bilinear")

_OFFSET = 0.1


def resize_position_embedding(
    position: torch.Tensor,
    grid: tuple[int, int],
    mode: str = "bicubic_antialias",
    num_prefix: int = 1,
    native_grid: tuple[int, int] | None = None,
) -> torch.Tensor:
    """Resize a learned position embedding to another grid of patches.

    A pure function: the input is never written to. Prefix rows (class token, registers) pass
    through. At the native grid the input itself comes back. The interpolation runs in float32
    whatever the dtype.

    Args:
        position: (P + N, D) or (1, P + N, D), rows in raster order after the prefix.
        grid: Wanted (rows, columns), not necessarily square.
        mode: One of :data:`POSITION_MODES`.
        num_prefix: P, rows at the front that belong to no position.
        native_grid: (rows, columns) of the embedding; a square is assumed when not given.

    Returns:
        (P + rows * columns, D), or (1, P + rows * columns, D), in the input's dtype.

    Raises:
        ValueError: Unknown mode, or the rows do not form the native grid.
    """
    if mode not in POSITION_MODES:
        raise ValueError(
            f"position interpolation {mode!r} is not known: choose one of "
            f"{', '.join(POSITION_MODES)}."
        )
    count = position.shape[-2] - num_prefix
    if native_grid is None:
        side = math.isqrt(max(count, 0))
        native_grid = (side, side)
    if count <= 0 or native_grid[0] * native_grid[1] != count:
        raise ValueError(
            f"a position embedding of {position.shape[-2]} rows with {num_prefix} prefix rows is "
            f"not a grid of {native_grid[0]} x {native_grid[1]}: give native_grid."
        )
    rows, columns = grid
    if (rows, columns) == tuple(native_grid):
        return position

    prefix, patches = position[..., :num_prefix, :], position[..., num_prefix:, :]
    plane = patches.reshape(*native_grid, -1).permute(2, 0, 1)[None].float()
    if mode == "bicubic_offset":
        factor = ((rows + _OFFSET) / native_grid[0], (columns + _OFFSET) / native_grid[1])
        plane = F.interpolate(plane, scale_factor=factor, mode="bicubic", align_corners=False)
    else:
        plane = F.interpolate(
            plane,
            size=(rows, columns),
            mode="bilinear" if mode == "bilinear" else "bicubic",
            align_corners=False,
            antialias=mode == "bicubic_antialias",
        )
    resized = plane[0].permute(1, 2, 0).reshape(*patches.shape[:-2], rows * columns, -1)
    return torch.cat([prefix, resized.to(position.dtype)], dim=-2)
