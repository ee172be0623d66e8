"""Step 5 by color: logits flow between pixels that look alike (PAMR).

Every pixel becomes the weighted mean of neighbors at a few distances, again and again. Weights say
how alike the two pixels look, measured by how much colors vary around the pixel at all. They do not
depend on the logits, so each class flows by itself: weights are computed once, classes go through a
few at a time, and only the best class so far is kept of each pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.dense.decode import Labels, Naming
from ovseg.dense.logit_map import LogitMap, PiecewiseMap, Resized
from ovseg.dense.picture import Picture
from ovseg.refine.base import Refiner
from ovseg.refine.pamr_flow import AROUND, Flow
from ovseg.registry import MODELS

#: Of as many classes, or a multiple, a processor makes the most.
_LANES = 8


@MODELS.register_module()
class PAMR(Refiner):
    """Pixel-adaptive mask refinement of the logits, at the size of the labels.

    As NACLIP and SCLIP use it: it works on cosines before the softmax, guided by the picture at the
    protocol's size enlarged to that of the labels.

    Source: Araslanov and Roth, Single-Stage Semantic Segmentation from Image Labels, CVPR 2020;
    agrees with the module in NACLIP's code.

    Args:
        iterations: how often logits flow on; 0 leaves them alone.
        dilations: distances of the neighbors in pixels; eight neighbors at each.
        tile_bytes: memory for the weights of a strip of the picture; results do not depend on it.
        chunk_bytes: memory for the logits that go through at a time, of which two copies are held;
            nor on this. Many at a time are faster.

    Raises:
        ValueError: if ``iterations`` is negative, or ``dilations`` empty or not positive.
    """

    def __init__(
        self,
        iterations: int = 10,
        dilations: Sequence[int] = (8, 16),
        tile_bytes: int = 256 * 2**20,
        chunk_bytes: int = 160 * 2**20,
    ) -> None:
        super().__init__()
        if iterations < 0:
            raise ValueError(f"iterations must not be negative, got {iterations}")
        if not dilations or min(dilations) < 1:
            raise ValueError(f"dilations must be positive and at least one, got {dilations}")
        self.iterations, self.dilations = iterations, tuple(dilations)
        self.tile_bytes, self.chunk_bytes = tile_bytes, chunk_bytes

    def forward(
        self,
        logits: LogitMap,
        picture: Picture,
        naming: Naming,
        size: tuple[int, int],
        encoder: nn.Module | None,
        with_scores: bool = False,
    ) -> Labels:
        """Labels of the logits after they flowed; see `Refiner.forward`."""
        return naming.decode(self.flowed(Resized(logits, size), picture), with_scores)

    def flowed(self, logits: LogitMap, picture: Picture) -> PiecewiseMap:
        """The map after it flowed, at its size; nothing is computed yet."""
        return _Flowed(self, logits, Resized(_Pixels(picture.pixels), logits.size))


class _Pixels:
    """Colors as a map that is read in bands."""

    num_queries = 3

    def __init__(self, pixels: torch.Tensor) -> None:
        self.pixels, self.size = pixels, tuple(pixels.shape[-2:])

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return self.pixels[:, start:stop].float()


class _Flowed:
    """The refined map, strip by strip, and in each strip some queries at a time."""

    def __init__(self, settings: PAMR, logits: LogitMap, guide: LogitMap) -> None:
        self.settings, self.logits, self.guide = settings, logits, guide
        self.size = logits.size

    def pieces(self) -> Iterator[tuple[int, Iterator[torch.Tensor]]]:
        height, width = self.size
        reach = self.settings.iterations * max(self.settings.dilations)
        # Weights and what it takes to compute them, per pixel; a strip is at least as tall as what
        # flows into it from above and below.
        per_pixel = 4 * (8 * len(self.settings.dilations) + 24)
        step = max(self.settings.tile_bytes // (per_pixel * width) - 2 * reach, 2 * reach, 1)
        for start in range(0, height, step):
            stop = min(start + step, height)
            yield start, self._chunks(start, stop, max(start - reach, 0), min(stop + reach, height))

    def _chunks(self, start: int, stop: int, first: int, last: int) -> Iterator[torch.Tensor]:
        """Rows start to stop, made from rows first to last."""
        dilations, iterations = self.settings.dilations, self.settings.iterations
        weights = affinities(self.guide.rows(first, last), dilations)
        flowing = Flow.on_cpu(weights, dilations, iterations)
        count = self.logits.num_queries
        most = max(1, self.settings.chunk_bytes // (4 * (last - first) * self.size[1]))
        even = -(-count // -(-count // most))  # no small rest at the end
        step = min(most, -(-even // _LANES) * _LANES)
        for at in range(0, count, step):
            some = self.logits.queries(at, min(at + step, count))
            if flowing is not None:
                band = flowing.of_rows(some, first, last)
            else:
                band = flow(some.rows(first, last), weights, dilations, iterations)
            yield band[:, start - first : stop - first]


def _neighbors(maps: torch.Tensor, dilations: Sequence[int]) -> Iterator[torch.Tensor]:
    """(C, H, W) maps moved so that each pixel holds a neighbor's value; borders are repeated."""
    height, width = maps.shape[-2:]
    reach = max(dilations)
    padded = F.pad(maps[None], [reach] * 4, mode="replicate")[0]
    for dilation in dilations:
        for y, x in AROUND:
            top, left = reach + y * dilation, reach + x * dilation
            yield padded[:, top : top + height, left : left + width]


def affinities(pixels: torch.Tensor, dilations: Sequence[int]) -> torch.Tensor:
    """How much of each neighbor flows into a pixel.

    The softmax over neighbors of minus their difference in color, in units of a tenth of the
    standard deviation of the colors around, averaged over the channels. Any scale and offset of a
    channel gives the same.

    Args:
        pixels: (3, H, W) float32.
        dilations: distances of the neighbors.

    Returns:
        (8 D, H, W) float32, summing to 1 over the neighbors.
    """
    # The pixel itself stands once with the neighbors of each distance.
    count = 9 * len(dilations)
    total = len(dilations) * pixels
    for neighbor in _neighbors(pixels, dilations):
        total = total + neighbor
    mean = total / count
    squares = len(dilations) * (pixels - mean).square()
    for neighbor in _neighbors(pixels, dilations):
        squares += (neighbor - mean).square()
    unit = 1e-8 + 0.1 * (squares / (count - 1)).sqrt()
    unlike = [
        ((pixels - neighbor).abs() / unit).mean(0) for neighbor in _neighbors(pixels, dilations)
    ]
    return torch.stack(unlike).neg_().softmax(0)


def flow(
    maps: torch.Tensor, weights: torch.Tensor, dilations: Sequence[int], iterations: int
) -> torch.Tensor:
    """Let maps flow.

    Args:
        maps: (C, H, W) float32.
        weights: (8 D, H, W) of `affinities`.
        dilations: those of the weights.
        iterations: how often.

    Returns:
        (C, H, W) float32.
    """
    flowing = Flow.on_cpu(weights, dilations, iterations)
    if flowing is not None:
        return flowing.of_map(maps)
    for _ in range(iterations):
        flowed = torch.zeros_like(maps)
        for weight, neighbor in zip(weights, _neighbors(maps, dilations), strict=True):
            flowed.addcmul_(neighbor, weight)
        maps = flowed
    return maps
