"""Probabilities of some classes, read in bands like the logits they come from."""

from __future__ import annotations

import math

import torch

from ovseg.dense.decode import Naming, taken_apart
from ovseg.dense.logit_map import LogitMap, QueryRange, bands
from ovseg.dense.naming_cells import name_strips, queries_above


class ClassProbabilities(QueryRange):
    """Probabilities of classes at every pixel: a `LogitMap` whose queries are classes.

    The probability of a query is the softmax over all queries of its scaled logit, that of a class
    the largest of its queries' (as in `ovseg.dense.decode`). The sums of the softmax are kept, one
    number a pixel, so that a few classes can be looked at without touching the others again.

    Build it with `of`.

    Attributes:
        size: (H, W).
        count: C, classes in the map.
        top: (H, W) float32, the largest probability of any class.
    """

    def __init__(
        self,
        logits: LogitMap,
        query_to_class: torch.Tensor,
        count: int,
        scale: float,
        sums: torch.Tensor,
        top: torch.Tensor,
    ) -> None:
        self.size, self.count, self.top = logits.size, count, top
        self._logits, self._scale, self._sums = logits, scale, sums
        self._query_to_class, self.device = query_to_class, query_to_class.device

    @classmethod
    def of(cls, logits: LogitMap, naming: Naming) -> ClassProbabilities:
        """The map of all classes.

        Args:
            logits: cosines (Q, H, W), read in bands.
            naming: how logits become classes.
        """
        height, width = logits.size
        queries = naming.query_to_class
        sums, top = (torch.empty(height, width, device=queries.device) for _ in range(2))
        taken = taken_apart(logits, queries.device, naming.scale)
        if taken is not None:
            every = torch.ones(len(queries), dtype=torch.bool)
            for strip in name_strips(taken, naming.scale, every, with_sums=True):
                rows = slice(strip.start, strip.start + len(strip.value))
                if taken.probabilities:
                    sums[rows], top[rows] = strip.sums.log(), strip.value / strip.sums
                else:
                    sums[rows] = strip.value * naming.scale + strip.sums.log()
                    top[rows] = 1 / strip.sums
            return cls(logits, queries, naming.num_classes, naming.scale, sums, top)
        for start, stop in bands(height, len(queries), width):
            scaled = logits.rows(start, stop) * naming.scale
            sums[start:stop] = scaled.logsumexp(0)
            top[start:stop] = (scaled.amax(0) - sums[start:stop]).exp()
        return cls(logits, queries, naming.num_classes, naming.scale, sums, top)

    @property
    def num_queries(self) -> int:
        """C: classes are the queries of this map."""
        return self.count

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (C, stop - start, W) float32 from 0 to 1."""
        scaled = self._logits.rows(start, stop) * self._scale
        found = scaled.sub_(self._sums[start:stop]).exp_()
        if len(self._query_to_class) == self.count:
            return found  # a word each
        largest = found.new_zeros(self.count, *found.shape[1:])
        index = self._query_to_class[:, None, None].expand_as(found)
        return largest.scatter_reduce_(0, index, found, "amax")

    def likely(self, threshold: float) -> torch.Tensor:
        """Classes that are as probable as this somewhere, and maybe some that are not.

        Args:
            threshold: above 0.

        Returns:
            (K,) int64, rising.
        """
        taken = taken_apart(self._logits, self._query_to_class.device, self._scale)
        if taken is None:
            return torch.arange(self.count)
        bars = self._sums + math.log(threshold) - 1e-4  # what rounding may do
        bars = bars.exp() if taken.probabilities else bars / self._scale
        queries = queries_above(taken, len(self._query_to_class), bars)
        return self._query_to_class[queries].unique()

    def select(self, classes: torch.Tensor) -> ClassProbabilities:
        """The map of some classes (K,) int64 only, in rising order."""
        classes = classes.to(self._query_to_class.device)
        queries = torch.isin(self._query_to_class, classes).nonzero().flatten()
        renamed = torch.searchsorted(classes, self._query_to_class[queries])
        logits = self._logits.select(queries)
        return ClassProbabilities(logits, renamed, len(classes), self._scale, self._sums, self.top)
