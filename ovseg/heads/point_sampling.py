"""Points instead of pixels: where masks are looked at while they are matched and learned.

Coordinates are (x, y) with 0 and 1 the borders of a map, whatever its size, so that a prediction at
a quarter of the size and a mask at full size are read at the same places. Between the centers of
pixels values are interpolated bilinearly; beyond the outermost centers they fade to zero.

Source: Kirillov et al., "PointRend", CVPR 2020, as used by Mask2Former.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["PointSource", "sample_logits", "sample_masks", "uncertain_points"]


class PointSource:
    """Uniformly random points, of torch's random state or of one generator for each image.

    With a seed for each image its points do not depend on which other images are in the batch, nor
    on how a batch is divided among processes.

    Args:
        device: Where points are drawn and used.
        seeds: One number for each image of the batch; None draws from torch's random state.
    """

    def __init__(self, device: torch.device | str, seeds: Sequence[int] | None = None) -> None:
        self.device = torch.device(device)
        self.generators = None
        if seeds is not None:
            self.generators = [torch.Generator(self.device).manual_seed(int(s)) for s in seeds]

    def one(self, image: int, num_points: int) -> Tensor:
        """Points that everything in one image shares: (1, P, 2)."""
        generator = None if self.generators is None else self.generators[image]
        return torch.rand(1, num_points, 2, device=self.device, generator=generator)

    def each(self, counts: Sequence[int], num_points: int) -> Tensor:
        """Points for every mask of every image.

        Args:
            counts: Number of masks of each image.
            num_points: P, points of each mask.

        Returns:
            (sum of counts, P, 2) in the order of the images.
        """
        if self.generators is None:
            return torch.rand(sum(counts), num_points, 2, device=self.device)
        drawn = [
            torch.rand(count, num_points, 2, device=self.device, generator=generator)
            for count, generator in zip(counts, self.generators, strict=True)
        ]
        return torch.cat(drawn) if drawn else torch.rand(0, num_points, 2, device=self.device)


def sample_logits(maps: Tensor, points: Tensor) -> Tensor:
    """Values of maps at points.

    Args:
        maps: (N, h, w) float.
        points: (N, P, 2), or (1, P, 2) for points that all maps share.

    Returns:
        (N, P), dtype of ``maps``; gradients flow to ``maps``.
    """
    if len(maps) == 0:
        return maps.new_zeros(0, points.shape[1])
    grid = (2 * points - 1)[:, None].to(maps.dtype)
    if len(points) == 1:  # the maps are channels of one image: their places are found only once
        return F.grid_sample(maps[None], grid, align_corners=False)[0, :, 0]
    return F.grid_sample(maps[:, None], grid, align_corners=False)[:, 0, 0]


def sample_masks(masks: Tensor, points: Tensor) -> Tensor:
    """What `sample_logits` gives for masks, without making floats of all their pixels.

    Args:
        masks: (N, H, W) bool.
        points: (N, P, 2), or (1, P, 2) for points that all masks share.

    Returns:
        (N, P) float32, from 0 to 1.
    """
    count, height, width = masks.shape
    found = torch.zeros(count, points.shape[1], device=masks.device)
    if found.numel() == 0 or height * width == 0:
        return found
    flat = masks.flatten(1)
    # Rounded as torch's own sampling does it.
    x = ((2 * points[..., 0] - 1 + 1) * width - 1) / 2
    y = ((2 * points[..., 1] - 1 + 1) * height - 1) / 2
    left, top = x.floor(), y.floor()
    for column in (left, left + 1):
        for row in (top, top + 1):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside
            place = _whole(row, height) * width + _whole(column, width)
            value = flat[:, place[0]] if len(points) == 1 else flat.gather(1, place)
            found += value * weight
    return found


def _whole(coordinate: Tensor, length: int) -> Tensor:
    return coordinate.long().clamp(0, length - 1)


@torch.no_grad()
def uncertain_points(
    logits: Tensor,
    counts: Sequence[int],
    source: PointSource,
    num_points: int = 12544,
    oversample_ratio: float = 3.0,
    importance_ratio: float = 0.75,
) -> Tensor:
    """Points where masks are undecided, with some that are anywhere.

    Of ``oversample_ratio`` times as many random points as are wanted, those with logits closest to
    zero are taken; a share of ``1 - importance_ratio`` is drawn anew without looking.

    Source: PointRend, section 3.1; detectron2's ``get_uncertain_point_coords_with_randomness``.

    Args:
        logits: (N, h, w) float, masks of all images in their order.
        counts: Number of masks of each image, N in all.
        source: Where random points come from.
        num_points: P.
        oversample_ratio: At least 1.
        importance_ratio: 0 to 1.

    Returns:
        (N, P, 2) float32.
    """
    points = source.each(counts, int(num_points * oversample_ratio))
    chosen = int(importance_ratio * num_points)
    undecided = sample_logits(logits, points).abs().topk(chosen, dim=1, largest=False).indices
    points = points.gather(1, undecided[..., None].expand(-1, -1, 2))
    if chosen < num_points:
        points = torch.cat([points, source.each(counts, num_points - chosen)], dim=1)
    return points
