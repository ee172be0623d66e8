"""Mask logits at the size of a picture, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional as F

#: Memory for one band, in bytes.
BAND_BYTES = 64 * 2**20


class MaskBands:
    """Masks enlarged as Mask2Former does it, without holding them all at that size.

    They are enlarged to the padded picture, cut to the picture, and resized to the wanted size,
    bilinearly and without antialiasing. Both steps treat rows and columns one after the other, so
    that a band of rows needs a few rows of the small masks only.

    Args:
        masks: (Q, h, w) logits.
        padded: size (H, W) of the padded picture, which the masks cover.
        shown: size of the picture in it, at the upper left.
        size: wanted size.
    """

    def __init__(
        self,
        masks: torch.Tensor,
        padded: tuple[int, int],
        shown: tuple[int, int],
        size: tuple[int, int],
    ) -> None:
        self.masks, self.size = masks.float(), tuple(size)
        self._columns = (padded[1], shown[1], size[1])
        first = _between(masks.shape[1], padded[0], masks.device)
        second = _between(shown[0], size[0], masks.device)
        # Four small rows for each wanted row, and their weights.
        places, weights = [], []
        for rows, weight in second:
            for source, share in first:
                places.append(source[rows])
                weights.append(weight * share[rows])
        self._places, self._weights = torch.stack(places), torch.stack(weights)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows ``start`` to ``stop``: (Q, n, W) float32 logits."""
        places, weights = self._places[:, start:stop], self._weights[:, start:stop]
        band = sum(
            self.masks[:, place] * weight[:, None]
            for place, weight in zip(places, weights, strict=True)
        )
        padded, shown, width = self._columns
        band = _stretch(band, padded)[..., :shown]
        return _stretch(band, width)

    def bands(
        self, others: int = 0, band_bytes: int = BAND_BYTES
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """All rows from top to bottom, as (first row, (Q, n, W) logits).

        Args:
            others: numbers a pixel that the caller computes beside the Q logits.
            band_bytes: memory for one band, theirs included; at least one row is given.
        """
        height = self.size[0]
        wide = max(self._columns)
        step = max(1, band_bytes // (4 * wide * (2 * len(self.masks) + others)))
        for start in range(0, height, step):
            yield start, self.rows(start, min(start + step, height))


def _between(source: int, target: int, device: torch.device) -> list[tuple[torch.Tensor, ...]]:
    """For each of ``target`` positions its two neighbors among ``source`` and their weights."""
    where = (torch.arange(target, dtype=torch.float32, device=device) + 0.5) * (source / target)
    where = (where - 0.5).clamp(min=0)
    low = where.long().clamp(max=source - 1)
    share = where - low
    return [(low, 1 - share), ((low + 1).clamp(max=source - 1), share)]


def _stretch(band: torch.Tensor, width: int) -> torch.Tensor:
    if band.shape[-1] == width:
        return band
    size = (band.shape[-2], width)
    return F.interpolate(band[None], size=size, mode="bilinear", align_corners=False)[0]
