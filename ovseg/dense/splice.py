"""Step 3, join: one map of features for the whole picture, out of those of its windows."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ovseg.dense.windows import Window


def spliceable_size(height: int, width: int, patch: int, crop: int | None) -> tuple[int, int]:
    """The size a picture is stretched to, so that the patches of all its windows meet on one grid.

    A size of whole patches stays as it is. Otherwise the longer side grows to whole patches, the
    shorter one along with it and then to whole patches by itself, and both to a window at least.

    Source: Shi et al., Harnessing Vision Foundation Models for High-Performance, Training-Free
    Open Vocabulary Segmentation, 2024 (Trident); rounding as in the authors' code.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        patch: side of a patch in pixels.
        crop: side of a window in pixels; None where pictures are read whole.
    """
    if height % patch == 0 and width % patch == 0:
        return height, width
    longer = max(height, width)
    target = -(-longer // patch) * patch
    sides = (-(-int(side * target / longer) // patch) * patch for side in (height, width))
    least = -(-(crop or 0) // patch) * patch
    height, width = (max(side, patch, least) for side in sides)
    return height, width


def splice(
    windows: list[Window], features: list[torch.Tensor], size: tuple[int, int], patch: int
) -> torch.Tensor:
    """Lay the features of windows onto one grid, averaged where windows overlap.

    Features enter as the rule made them, before the tower's last norm: they are averaged, not
    normalized. The grid has the patches of the picture, or a whole multiple of them where the rule
    reads on a finer grid (a guide with smaller patches); features on a grid that fits neither are
    resampled to the nearest one that does.

    Source: the authors' code of Trident.

    Args:
        windows: where they lie, all of one size, starting at whole patches (else they are moved
            to the nearest patch).
        features: for each window (h, w, D) float32.
        size: (H, W) of the picture, whole patches (`spliceable_size`).
        patch: side of a patch in pixels.

    Returns:
        (rows, columns, D) float32.

    Raises:
        ValueError: if the picture or a window is not made of whole patches.
    """
    whole = all(side % patch == 0 for w in windows for side in (*w.padded_size, *size))
    if not whole or any(any(window.pad) for window in windows):
        raise ValueError(
            f"features are spliced over whole patches of {patch} pixels, but the picture is "
            f"{size[0]} x {size[1]} with windows of {windows[0].padded_size[0]} x "
            f"{windows[0].padded_size[1]}: stretch the picture to spliceable_size first and give "
            "windows a side of whole patches"
        )
    tall, wide = windows[0].height // patch, windows[0].width // patch
    ratio, grid = _fit(tuple(features[0].shape[:2]), (tall, wide))
    total = features[0].new_zeros(
        size[0] // patch * ratio, size[1] // patch * ratio, features[0].shape[-1]
    )
    count = total.new_zeros(*total.shape[:2], 1)
    for window, feature in zip(windows, features, strict=True):
        if tuple(feature.shape[:2]) != grid:
            plane = feature.permute(2, 0, 1)[None]
            plane = F.interpolate(plane, grid, mode="bilinear", align_corners=False)
            feature = plane[0].permute(1, 2, 0)
        top, left = (round(at / patch) * ratio for at in (window.top, window.left))
        place = (slice(top, top + grid[0]), slice(left, left + grid[1]))
        total[place] += feature
        count[place] += 1
    return total.div_(count)


def _fit(given: tuple[int, int], patches: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """Cells per patch along a side, and the grid a window's features are brought to."""
    ratio = max(1, round(given[0] / patches[0]))
    return ratio, (patches[0] * ratio, patches[1] * ratio)
