"""Step 3, join: one map of features for the whole picture, out of those of its windows."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ovseg.dense.windows import WholeImage, Window


def splice(
    windows: list[Window],
    features: list[torch.Tensor],
    size: tuple[int, int],
    patch: int,
) -> tuple[Window, torch.Tensor]:
    """Splice, then segment: features of windows laid onto one grid, averaged where they overlap.

    Each window's map is resampled to the patches of the grid that it covers.

    Args:
        windows: where they lie.
        features: for each window (h, w, E) float32.
        size: (H, W) of the picture.
        patch: side of a patch of the grid, in pixels.

    Returns:
        The whole picture as one window, padded to whole patches, and its (h, w, E) features.
    """
    (whole,) = WholeImage()(*size, patch)
    left, _, top, _ = whole.pad
    rows, columns = (side // patch for side in whole.padded_size)
    total = features[0].new_zeros(rows, columns, features[0].shape[-1])
    count = features[0].new_zeros(rows, columns, 1)
    for window, feature in zip(windows, features, strict=True):
        inside_left, _, inside_top, _ = window.pad
        height, width = window.padded_size
        first_row = round((window.top - inside_top + top) / patch)
        first_column = round((window.left - inside_left + left) / patch)
        grid = (max(1, height // patch), max(1, width // patch))
        here = feature.permute(2, 0, 1)[None]
        if tuple(here.shape[-2:]) != grid:
            here = F.interpolate(here, grid, mode="bilinear", align_corners=False)
        here = here[0].permute(1, 2, 0)
        start = (max(first_row, 0), max(first_column, 0))
        stop = (min(first_row + grid[0], rows), min(first_column + grid[1], columns))
        piece = here[
            start[0] - first_row : stop[0] - first_row,
            start[1] - first_column : stop[1] - first_column,
        ]
        total[start[0] : stop[0], start[1] : stop[1]] += piece
        count[start[0] : stop[0], start[1] : stop[1]] += 1
    return whole, total / count.clamp(min=1)
