"""Step 4, name: from the logits of queries to one class per pixel.

Queries are the words; several may mean one class (synonyms) and the largest counts. Since the
largest of the largest is the largest, a pixel's class is the class of its best query: no map of
class probabilities is ever formed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from ovseg.dense.logit_map import BAND_BYTES, LogitMap, PiecewiseMap
from ovseg.dense.naming_cells import name_strips, value_strips
from ovseg.dense.separable import Separable, separable


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

    def decode(self, logits: LogitMap | PiecewiseMap, with_scores: bool = False) -> Labels:
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

    def mean_probability(self, logits: LogitMap, labels: torch.Tensor) -> torch.Tensor:
        """Mean probability of each class over the pixels it was given, however they were found.

        Args:
            logits: cosines (Q, H, W).
            labels: (H, W) int32, on the CPU.

        Returns:
            (C,) float32, 0 for classes without pixels.
        """
        sums = torch.zeros(self.num_classes, dtype=torch.float64)
        for start, weights in self._probabilities(logits, labels):
            given = labels[start : start + len(weights)].flatten()
            sums += torch.bincount(given, weights.double().flatten(), minlength=self.num_classes)
        areas = torch.bincount(labels.flatten(), minlength=self.num_classes)
        return (sums / areas.clamp(min=1)).float()

    def _probabilities(self, logits: LogitMap, labels: torch.Tensor):
        """(first row, (n, W) probabilities of the given classes) from top to bottom."""
        device = self.query_to_class.device
        taken = taken_apart(logits, device, self.scale)
        if taken is not None:
            allowed = torch.ones(len(self.query_to_class), dtype=torch.bool)
            own = value_strips(taken, labels, self.query_to_class, self.num_classes)
            for strip, (_, value) in zip(
                name_strips(taken, self.scale, allowed, True), own, strict=True
            ):
                if not taken.probabilities:
                    value = ((value - strip.value) * self.scale).exp_()
                yield strip.start, value / strip.sums
            return
        for start, (band,) in _row_bands(logits, len(self.query_to_class), BAND_BYTES):
            given = labels[start : start + band.shape[1]]
            others = self.query_to_class[:, None, None] != given.to(device)
            own = band.masked_fill(others, -torch.inf).amax(0)
            top = band.amax(0)
            total = (band - top).mul_(self.scale).exp_().sum(0)
            yield start, (((own - top) * self.scale).exp() / total).cpu()


def decode(
    logits: LogitMap | PiecewiseMap,
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
        logits: cosines (Q, H, W), read in bands or pieces.
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
    # Kept on the CPU, so that asking what is allowed does not wait for a GPU.
    allowed = torch.ones(len(query_to_class), dtype=torch.bool)
    if area_threshold > 0:
        areas = _areas(
            _bands(logits, query_to_class, scale, allowed, None, False, band_bytes), num_classes
        )
        areas[background] = 0
        small = areas <= area_threshold * areas.sum()
        small[background] = False
        if (~small[query_to_class.cpu()]).any():
            allowed = ~small[query_to_class.cpu()]

    # All stays where the map is until the end: a GPU is not waited for.
    device = query_to_class.device
    labels = torch.empty(logits.size, dtype=torch.int32, device=device)
    areas = torch.zeros(num_classes, dtype=torch.int64, device=device)
    sums = torch.zeros(num_classes, dtype=torch.float64, device=device)
    wanted = with_scores or prob_threshold > 0
    bands = _bands(logits, query_to_class, scale, allowed, background, wanted, band_bytes)
    for start, best, probability in bands:
        if prob_threshold > 0:
            best = best.masked_fill(probability < prob_threshold, background)
        labels[start : start + len(best)] = best
        _count(areas, best)
        if with_scores:
            _count(sums, best, probability.double())
    labels, areas = labels.cpu(), areas.cpu()
    scores = (sums.cpu() / areas.clamp(min=1)).float() if with_scores else None
    return Labels(labels, areas, scores)


def _count(
    totals: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor | None = None
) -> None:
    """Add the pixels of each class (or their weights) to its total."""
    classes = classes.flatten()
    if totals.device.type == "cpu":
        weights = None if weights is None else weights.flatten()
        totals += torch.bincount(classes, weights, minlength=len(totals))
    else:  # where bincount would be waited for
        weights = torch.ones_like(classes) if weights is None else weights.flatten()
        totals.scatter_add_(0, classes, weights)


def _bands(logits, query_to_class, scale, allowed, background, with_probability, band_bytes):
    """(first row, (n, W) best classes, (n, W) their probabilities or None), from top to bottom."""
    taken = taken_apart(logits, query_to_class.device, scale)
    if taken is not None:
        owners = query_to_class.to(torch.int32)  # half of the memory to go through
        for strip in name_strips(taken, scale, allowed, with_probability):
            own = strip.value if taken.probabilities else 1.0
            probability = own / strip.sums if with_probability else None
            best = owners.index_select(0, strip.query.flatten()).view(strip.query.shape)
            yield strip.start, best, probability
        return
    if hasattr(logits, "pieces"):
        pieces = logits.pieces()
    else:
        pieces = _row_bands(logits, len(query_to_class), band_bytes)
    for start, chunks in pieces:
        value, query, probability = _best_query(chunks, scale, allowed, with_probability)
        best = query_to_class[query]
        if background is not None:  # where nothing is left, not even a background word
            best = best.masked_fill(value == -torch.inf, background)
        yield start, best, probability


def taken_apart(logits, device: torch.device, scale: float) -> Separable | None:
    """The map as patches, where `ovseg.dense.naming_cells` can name it: on the CPU.

    Args:
        logits: any map.
        device: where it is.
        scale: logit scale it will be named with.
    """
    taken = separable(logits) if device.type == "cpu" else None
    if taken is not None and taken.log_scale not in (None, scale):
        return None  # the softmax gives other probabilities than those it was made of
    return taken


def _row_bands(logits: LogitMap, num_queries: int, band_bytes: int):
    """All queries of a few rows at a time, as pieces of one chunk."""
    height, width = logits.size
    step = max(1, band_bytes // (4 * num_queries * width))
    for start in range(0, height, step):
        yield start, [logits.rows(start, min(start + step, height))]


def _best_query(chunks: Iterable[torch.Tensor], scale: float, allowed, with_probability: bool):
    """The largest logit among the allowed queries, whose it is, and its softmax over all queries.

    Chunks of queries are gone through one by one, as in an online softmax.
    """
    value = None
    first = 0
    for band in chunks:
        its_top, its_query = band.max(0)
        its_value = its_top
        free = allowed[first : first + len(band)]
        if not bool(free.all()):
            struck = ~free[:, None, None].to(band.device)
            its_value, its_query = band.masked_fill(struck, -torch.inf).max(0)
        # The sum of the softmax in one new array: its largest term is 1.
        its_sum = (band - its_top).mul_(scale).exp_().sum(0) if with_probability else None
        if value is None:
            top, value, query, total = its_top, its_value, its_query, its_sum
        else:
            query = torch.where(its_value > value, its_query + first, query)
            value = torch.maximum(value, its_value)
            if with_probability:
                higher = torch.maximum(top, its_top)
                total = (
                    total * ((top - higher) * scale).exp()
                    + its_sum * ((its_top - higher) * scale).exp()
                )
                top = higher
        first += len(band)
    return value, query, ((value - top) * scale).exp() / total if with_probability else None


def _areas(bands, num_classes: int) -> torch.Tensor:
    areas = None
    for _, best, _ in bands:
        if areas is None:
            areas = torch.zeros(num_classes, dtype=torch.int64, device=best.device)
        _count(areas, best)
    return areas.cpu()
