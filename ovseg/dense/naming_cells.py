"""Naming pixels without a map of every class: exactly, from the patches that pixels lie between.

Between four patches a logit is linear along rows and along columns. A query whose largest corner
does not reach the largest of the other queries' smallest corners wins no pixel there, and is not
computed. Where the probability of the winner is wanted, the sum of the softmax is made pixel by
pixel, of all queries, without a map either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from ovseg.dense.separable import Separable

T = TypeVar("T")

#: Bytes of patches of one strip of the map, unless a single piece needs more.
STRIP_BYTES = 24 * 2**20


@dataclass(frozen=True)
class Strip:
    """Rows of a map, named.

    Attributes:
        start: its first row.
        value: (n, W) float32 largest logits, or probabilities, of a map of these; None where no
            sums are asked for.
        query: (n, W) int32, whose they are, the first of equals.
        sums: (n, W) float32 sums over all queries of exp(scale * (logit - value)), or of the
            probabilities; None where not asked for.
    """

    start: int
    value: torch.Tensor | None
    query: torch.Tensor
    sums: torch.Tensor | None


def name_strips(
    logits: Separable, scale: float, allowed: torch.Tensor, with_sums: bool
) -> Iterator[Strip]:
    """Name the pixels of a map from top to bottom.

    Args:
        logits: the map, on the CPU.
        scale: logit scale.
        allowed: (Q,) bool, queries that may win; at least one.
        with_sums: also what the softmax divides by.
    """
    from ovseg.dense import naming_kernels as kernels  # numba takes a while to be imported

    across = (logits.columns.lines, logits.columns.weights.astype(np.float32))
    parts = logits.columns.pieces()
    free = np.flatnonzero(allowed.cpu().numpy())
    count = len(allowed)

    def name(rows: _Rows, lines: np.ndarray) -> Strip:
        query = np.empty((len(rows.lines), len(logits.columns)), np.int32)
        value = np.empty(query.shape if with_sums else (0, 0), np.float32)
        down = (rows.lines, rows.weights)
        may_win = lines if len(free) == count else np.ascontiguousarray(lines[..., free])
        kernels.best_queries(
            may_win, *down, rows.ends, rows.bend, *across, *parts, with_sums, value, query
        )
        query = query if len(free) == count else free.astype(np.int32)[query]
        if not with_sums:
            return Strip(rows.start, None, torch.from_numpy(query), None)
        if logits.probabilities:
            sums = _enlarged(lines.sum(2, dtype=np.float64), *down, *across)
        else:
            sums = np.empty_like(value)
            kernels.softmax_sums(lines, *down, *across, np.float32(scale), value, sums)
        return Strip(rows.start, *map(torch.from_numpy, (value, query, sums)))

    return _in_strips(logits, count, name)


def value_strips(
    logits: Separable, labels: torch.Tensor, query_to_class: torch.Tensor, num_classes: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """The largest logit of the class that each pixel was given.

    Args:
        logits: the map, on the CPU.
        labels: (H, W) int32 classes.
        query_to_class: (Q,) int64.
        num_classes: C.

    Yields:
        First rows, and (n, W) float32; -inf for classes without a query.
    """
    from ovseg.dense import naming_kernels as kernels

    across = (logits.columns.lines, logits.columns.weights.astype(np.float32))
    owners = query_to_class.cpu().numpy()
    queries = np.argsort(owners, kind="stable")
    ends = np.searchsorted(owners[queries], np.arange(num_classes + 1))
    given = labels.numpy()

    def look(rows: _Rows, lines: np.ndarray) -> tuple[int, torch.Tensor]:
        own = given[rows.start : rows.start + len(rows.lines)]
        value = np.empty(own.shape, np.float32)
        kernels.values_of(lines, rows.lines, rows.weights, *across, own, ends, queries, value)
        return rows.start, torch.from_numpy(value)

    return _in_strips(logits, len(owners), look)


def queries_above(logits: Separable, num_queries: int, bars: torch.Tensor) -> torch.Tensor:
    """Queries whose logit may reach a bar somewhere; none that does is missed.

    Args:
        logits: the map, on the CPU.
        num_queries: Q.
        bars: (H, W) float32, a bar for each pixel.

    Returns:
        (q,) int64, rising.
    """
    from ovseg.dense import naming_kernels as kernels

    across = (logits.columns.lines, logits.columns.weights.astype(np.float32))
    across = (*across, *logits.columns.pieces())

    def look(rows: _Rows, lines: np.ndarray) -> np.ndarray:
        found = np.zeros(num_queries, bool)
        own = bars[rows.start : rows.start + len(rows.lines)].numpy()
        down = (rows.lines, rows.weights, rows.ends, rows.bend)
        kernels.queries_above(lines, *down, *across, own, found)
        return found

    found = np.any(list(_in_strips(logits, num_queries, look)), axis=0)
    return torch.from_numpy(np.flatnonzero(found))


@dataclass(frozen=True)
class _Rows:
    """Some pieces of the rows of a map; lines and ends are counted from their first."""

    start: int
    lines: np.ndarray
    weights: np.ndarray
    ends: np.ndarray
    bend: np.ndarray


def _in_strips(logits: Separable, num_queries: int, work: Callable[[_Rows, np.ndarray], T]):
    """What ``work`` gives for strip after strip; several are under way at a time."""
    rows, (ends, bend) = logits.rows, logits.rows.pieces()
    patches = int(logits.columns.lines.max()) + 1
    threads = max(1, torch.get_num_threads())
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for some in _strips(rows.lines, ends, 4 * patches * num_queries, threads):
            start, stop = int(ends[some.start]), int(ends[some.stop])
            wanted = rows.lines[start:stop]
            first = int(wanted.min())
            strip = _Rows(
                start,
                wanted - first,
                rows.weights[start:stop].astype(np.float32),
                ends[some.start : some.stop + 1] - start,
                bend[some],
            )
            lines = logits.lines(range(first, int(wanted.max()) + 1))
            waiting.append(pool.submit(work, strip, lines.float().contiguous().numpy()))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _strips(lines: np.ndarray, ends: np.ndarray, line_bytes: int, threads: int):
    """Slices of the pieces that are done together: their lines fit the memory."""
    count = len(ends) - 1
    most = -(-count // (4 * threads))  # some for every thread
    start = 0
    while start < count:
        low, high = lines[ends[start] : ends[start + 1]].min(), lines[ends[start]].max()
        stop = start + 1
        while stop < count and stop - start < most:
            low, high = min(low, lines[ends[stop]].min()), max(high, lines[ends[stop]].max())
            if (high - low + 1) * line_bytes > STRIP_BYTES:
                break
            stop += 1
        yield slice(start, stop)
        start = stop


def _enlarged(plane: np.ndarray, rows, row_weights, columns, column_weights) -> np.ndarray:
    """A map of one number per patch (L, C) at its pixels: (n, W) float32."""
    tall = (plane[rows] * row_weights[:, :, None]).sum(1)
    return (tall[:, columns] * column_weights).sum(2).astype(np.float32)
