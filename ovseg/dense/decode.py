"""Step 4, name: from the logits of queries to one class per pixel.

Queries are the words; several may mean one class (synonyms) and the largest counts. Since the
largest of the largest is the largest, a pixel's class is the class of its best query: no map of
class probabilities is ever formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ovseg.dense.logit_map import LogitMap

#: Bytes of logits held at a time, unless a single row needs more.
BAND_BYTES = 48 * 2**20


@dataclass(frozen=True)
class Labels:
    """Classes of the pixels of one image.

    Attributes:
        labels: (H, W) int32 class indices, on the CPU.
        areas: (C,) int64, pixels of each class.
        scores: (C,) float32, mean probability of each class over its own pixels, 0 where it has
            none; None when not asked for.
    """

    labels: torch.Tensor
    areas: torch.Tensor
    scores: torch.Tensor | None


@dataclass(frozen=True)
class Naming:
    """How the logits of queries become one class per pixel; see `decode`.

    Attributes:
        query_to_class: (Q,) int64.
        num_classes: C.
        scale: logit scale (inverse temperature).
        background: index of the background class; needed for the thresholds.
        prob_threshold, area_threshold: rules that give pixels to the background, or strike out
            small classes.
    """

    query_to_class: torch.Tensor
    num_classes: int
    scale: float
    background: int | None = None
    prob_threshold: float = 0.0
    area_threshold: float = 0.0

    def decode(self, logits: LogitMap, with_scores: bool = False) -> Labels:
        """Labels of a map of logits, at its size."""
        return decode(
            logits,
            self.query_to_class,
            self.num_classes,
            scale=self.scale,
            background=self.background,
            prob_threshold=self.prob_threshold,
            area_threshold=self.area_threshold,
            with_scores=with_scores,
        )


def decode(
    logits: LogitMap,
    query_to_class: torch.Tensor,
    num_classes: int,
    *,
    scale: float,
    background: int | None = None,
    prob_threshold: float = 0.0,
    area_threshold: float = 0.0,
    with_scores: bool = False,
    band_bytes: int = BAND_BYTES,
) -> Labels:
    """Name every pixel.

    The probability of a query is the softmax over all queries of its scaled logit; that of a class
    is the largest of its queries'. The rules are those of SCLIP's evaluation.

    Args:
        logits: cosines (Q, H, W), read in bands.
        query_to_class: (Q,) int64.
        num_classes: C.
        scale: logit scale (inverse temperature).
        background: index of the background class; needed for the thresholds.
        prob_threshold: a pixel whose best probability is below becomes background.
        area_threshold: a class (not the background) with at most this share of all foreground
            pixels is struck out, and its pixels go to their next best class.
        with_scores: also give mean probabilities.
        band_bytes: memory for one band of logits.

    Raises:
        ValueError: if a threshold is given without a background class.
    """
    if (prob_threshold > 0 or area_threshold > 0) and background is None:
        raise ValueError("prob_threshold and area_threshold need a vocabulary with a background")
    device = query_to_class.device
    allowed = torch.ones(len(query_to_class), dtype=torch.bool, device=device)
    if area_threshold > 0:
        areas = _areas(
            _bands(logits, query_to_class, scale, allowed, None, False, band_bytes), num_classes
        )
        areas[background] = 0
        small = areas <= area_threshold * areas.sum()
        small[background] = False
        if (~small[query_to_class.cpu()]).any():
            allowed = ~small.to(device)[query_to_class]

    labels = torch.empty(logits.size, dtype=torch.int32)
    areas = torch.zeros(num_classes, dtype=torch.int64)
    sums = torch.zeros(num_classes, dtype=torch.float64)
    wanted = with_scores or prob_threshold > 0
    bands = _bands(logits, query_to_class, scale, allowed, background, wanted, band_bytes)
    for start, best, probability in bands:
        if prob_threshold > 0:
            best = best.masked_fill(probability < prob_threshold, background)
        best = best.cpu()
        labels[start : start + len(best)] = best
        areas += torch.bincount(best.flatten(), minlength=num_classes)
        if with_scores:
            weights = probability.cpu().double().flatten()
            sums += torch.bincount(best.flatten(), weights, minlength=num_classes)
    scores = (sums / areas.clamp(min=1)).float() if with_scores else None
    return Labels(labels, areas, scores)


def _bands(logits, query_to_class, scale, allowed, background, with_probability, band_bytes):
    """(first row, (n, W) best classes, (n, W) their probabilities or None), from top to bottom."""
    height, width = logits.size
    step = max(1, band_bytes // (4 * len(query_to_class) * width))
    struck = None if bool(allowed.all()) else ~allowed[:, None, None]
    for start in range(0, height, step):
        band = logits.rows(start, min(start + step, height))
        top, query = band.max(0)
        value = top
        if struck is not None:
            value, query = band.masked_fill(struck, -torch.inf).max(0)
        best = query_to_class[query]
        if struck is not None:  # where nothing is left, not even a background word
            best = best.masked_fill(value == -torch.inf, background)
        probability = None
        if with_probability:
            # The softmax at the best query, in one new array: its largest term is 1.
            others = (band - top).mul_(scale).exp_().sum(0)
            probability = ((value - top) * scale).exp_() / others
        yield start, best, probability


def _areas(bands, num_classes: int) -> torch.Tensor:
    areas = torch.zeros(num_classes, dtype=torch.int64)
    for _, best, _ in bands:
        areas += torch.bincount(best.flatten().cpu(), minlength=num_classes)
    return areas
