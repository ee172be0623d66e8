"""Splice, then segment: SAM tells which patches of the whole picture belong together."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ovseg.dense.aggregation import Aggregator
from ovseg.dense.picture import WindowBatch
from ovseg.dense.sam_view import sam_view
from ovseg.registry import MODELS

#: Rows of SAM's attention held at a time: few stay in the processor's cache.
_ROWS = 64
#: Similarity above which two patches count as one thing however alike all others are.
_CEILING = 0.9
#: Threshold where the mean similarity is negative, if that is to be mended.
_FLOOR = 0.6


@MODELS.register_module()
class SAMCorrelation(Aggregator):
    """Features averaged by SAM's last attention, among the patches whose values are alike.

    The features of the picture are resampled to SAM's patches. Each patch takes those of all
    patches, weighted by the attention of SAM's last block (mean over its heads, with relative
    positions), of which each head keeps only patches with similar values: cosine above
    ``cos_factor`` times the mean cosine of the patch, over all patches and heads, and at most 0.9.
    Weights sum to 1. SAM looks at the original pixels, whatever the size of the protocol.

    It works on features before the tower's final norm, and on whole pictures (``splice=True``).

    Source: Shi et al., Trident, ICCV 2025, section 3.3; constants of the authors' code.

    Args:
        encoder: name of a `ovseg.encoders.SAM`, of the segmentor's ``encoders``.
        cos_factor: how far above the mean a cosine must be to count; 0 keeps positive cosines.
        mend_negative: where the threshold is negative take 0.6 (the authors' ``refine_neg_cos`` is
            the opposite: they mend it on ADE20K and Cityscapes).
        halves: pictures at least 1.5 times as wide as high are seen in two halves, so that SAM
            loses less of their resolution (Cityscapes); features are not averaged across.
        multiple: see `sam_view`: patch of CLIP for the authors' numbers.
    """

    projected = False
    whole_pictures = True

    def __init__(
        self,
        encoder: str = "sam",
        cos_factor: float = 1.2,
        mend_negative: bool = False,
        halves: bool = False,
        multiple: int = 1,
    ) -> None:
        super().__init__(encoder)
        self.cos_factor, self.mend_negative = cos_factor, mend_negative
        self.halves, self.multiple = halves, multiple

    def forward(
        self, features: torch.Tensor, batch: WindowBatch, encoder: nn.Module
    ) -> torch.Tensor:
        """Aggregate the features of whole pictures; see `Aggregator.forward`.

        Returns:
            (B, h', w', D) float32 on SAM's grid; h' and w' are the whole patches that the original
            covers in SAM's input, side by side where there are halves.

        Raises:
            ConfigError: SAM's last block attends in windows.
        """
        maps = [
            self._whole(feature, picture, encoder)
            for feature, picture in zip(features, batch.pictures, strict=True)
        ]
        return torch.stack(maps)

    def _whole(self, features: torch.Tensor, picture, encoder: nn.Module) -> torch.Tensor:
        height, width = picture.original.shape[-2:]
        parts = 2 if self.halves and width >= 1.5 * height else 1
        done = []
        for part in range(parts):
            state = sam_view(picture, encoder, self.multiple, part, parts)
            columns = features.shape[1]
            first, last = columns * part // parts, columns * (part + 1) // parts
            here = features[:, first : max(last, first + 1)].permute(2, 0, 1)[None]
            here = F.interpolate(here, state.valid_grid, mode="bilinear", align_corners=False)
            values = here[0].flatten(1).T
            mixed = correlate(encoder, state, values, self.cos_factor, self.mend_negative)
            done.append(mixed.unflatten(0, state.valid_grid))
        return torch.cat(done, dim=1)


def correlate(
    encoder: nn.Module,
    state,
    values: torch.Tensor,
    cos_factor: float = 1.2,
    mend_negative: bool = False,
    rows: int = _ROWS,
) -> torch.Tensor:
    """Average values over the patches that SAM takes for one; see `SAMCorrelation`.

    Never more than ``rows`` rows of the (heads, M, M) attention are held.

    Args:
        encoder: a `ovseg.encoders.SAM`.
        state: what it made of one image.
        values: (M, D) float32 for the M patches of ``state.valid_grid``, row by row.
        cos_factor: see `SAMCorrelation`.
        mend_negative: likewise.
        rows: rows of the attention held at a time.

    Returns:
        (M, D) float32.

    Raises:
        ConfigError: SAM's last block attends in windows.
    """
    index = state.valid_index
    unit = F.normalize(encoder.values(state)[0][:, index], dim=-1)  # (heads, M, d)
    mean = unit.mean(1, keepdim=True)
    thresholds = cos_factor * (unit * mean).sum(-1).mean(0)
    if mend_negative:
        thresholds = thresholds.masked_fill(thresholds < 0, _FLOOR)
    thresholds = thresholds.clamp(max=_CEILING)
    out = torch.empty_like(values)
    for start in range(0, len(index), rows):
        some = slice(start, start + rows)
        weights = encoder.attention_rows(state, index[some], index)[0]
        alike = unit[:, some] @ unit.transpose(1, 2) > thresholds[some, None]
        shared = weights.mul_(alike).sum(0)
        total = shared.sum(-1, keepdim=True)
        # Where all attention is lost to rounding the patch keeps what it has.
        mixed = (shared / total) @ values
        out[some] = torch.where(total > 0, mixed, values[some])
    return out
