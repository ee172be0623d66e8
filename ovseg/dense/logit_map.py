"""Maps of class logits that are never held whole: they are read in bands of rows.

847 classes on a photograph of 12 megapixels are 40 GB of logits. What the network gives is a few
hundred patches; everything between them and the pixels is linear interpolation, which can be done
for a band of rows at a time. A map has a ``size`` and gives ``rows(start, stop)``; of some of the
queries alone it can be had by ``select`` and ``queries``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import torch
from torch.nn import functional as F

from ovseg.dense.axis import source_rows
from ovseg.dense.windows import Window

#: Bytes of a map held at a time, unless a single row needs more.
BAND_BYTES = 48 * 2**20


class LogitMap(Protocol):
    """A (Q, H, W) map that is read in bands."""

    size: tuple[int, int]

    @property
    def num_queries(self) -> int:
        """Q."""
        ...

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (Q, stop - start, W) float32."""
        ...

    def select(self, queries: torch.Tensor) -> LogitMap:
        """The same map for some queries (q,) int64 alone."""
        ...

    def queries(self, start: int, stop: int) -> LogitMap:
        """The same map for queries start to stop alone."""
        ...


class PiecewiseMap(Protocol):
    """A (Q, H, W) map of which every row depends on many: it is made for a few queries at a time.

    Its ``pieces()`` go down the image: for each the first row, and the (q, n, W) float32 logits of
    chunk after chunk of the queries for the same n rows.
    """

    size: tuple[int, int]

    def pieces(self) -> Iterator[tuple[int, Iterable[torch.Tensor]]]:
        """Pieces from top to bottom."""
        ...


class QueryRange:
    """What a map of which any queries can be selected says about a range of them.

    It has a ``device``: where its queries are.
    """

    def queries(self, start: int, stop: int) -> LogitMap:
        """The same map for queries start to stop alone."""
        stop = min(stop, self.num_queries)
        return self.select(torch.arange(start, stop, device=self.device))


def _blend_rows(source: torch.Tensor, above, below, weight) -> torch.Tensor:
    """Rows between rows of a (Q, h, w) map."""
    first, second = source[:, above], source[:, below]
    return torch.lerp(first, second, weight[:, None])


def _widen(rows: torch.Tensor, width: int) -> torch.Tensor:
    """Resize (Q, n, w) to (Q, n, width) along the rows only."""
    if rows.shape[-1] == width:
        return rows
    size = (rows.shape[1], width)
    return F.interpolate(rows[None], size=size, mode="bilinear", align_corners=False)[0]


class WindowLogits(QueryRange):
    """The logits of overlapping windows, each enlarged to its pixels, averaged where they overlap.

    Args:
        windows: where they lie; row by row from the top.
        features: for each window (h, w, E) float32 unit features of its patches.
        text: (Q, E) float32 unit rows.
        size: (H, W) of the image the windows cover.
        name: what to make of the cosines (Q, h, w) of a window before they are enlarged.
    """

    def __init__(
        self,
        windows: list[Window],
        features: list[torch.Tensor],
        text: torch.Tensor,
        size: tuple[int, int],
        name: Callable[[torch.Tensor, Window], torch.Tensor] | None = None,
    ) -> None:
        self.windows, self.features, self.text, self.size = windows, features, text, size
        self.name, self.device = name, text.device
        self._ready: dict[int, torch.Tensor] = {}

    @property
    def num_queries(self) -> int:
        """Q."""
        return len(self.text)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (Q, stop - start, W) float32."""
        total = self.text.new_zeros(len(self.text), stop - start, self.size[1])
        count = self.text.new_zeros(stop - start, self.size[1])
        for index, window in enumerate(self.windows):
            first, last = max(start, window.top), min(stop, window.top + window.height)
            if first >= last:
                continue
            band = self._window_rows(index, first - window.top, last - window.top)
            across = slice(window.left, window.left + window.width)
            total[:, first - start : last - start, across] += band
            count[first - start : last - start, across] += 1
        return total.div_(count)

    def select(self, queries: torch.Tensor) -> LogitMap:
        """The map of some queries (q,) int64 only."""
        if self.name is not None:  # which looks at all queries
            return Selected(self, queries)
        text = self.text[queries.to(self.text.device)]
        return WindowLogits(self.windows, self.features, text, self.size)

    def _window_rows(self, index: int, start: int, stop: int) -> torch.Tensor:
        window, patches = self.windows[index], self.patch_logits(index)
        height, width = window.padded_size
        left, _, top, _ = window.pad
        where = source_rows(start + top, stop + top, height, patches.shape[1], patches.device)
        return _widen(_blend_rows(patches, *where), width)[:, :, left : left + window.width]

    def patch_logits(self, index: int) -> torch.Tensor:
        """(Q, h, w) logits of one window; those of windows further up are forgotten."""
        if index not in self._ready:
            top = self.windows[index].top
            reach = top - self.windows[index].height
            self._ready = {i: m for i, m in self._ready.items() if self.windows[i].top > reach}
            cosines = (self.features[index] @ self.text.T).permute(2, 0, 1).contiguous()
            named = cosines if self.name is None else self.name(cosines, self.windows[index])
            self._ready[index] = named
        return self._ready[index]


class PatchLogits(QueryRange):
    """The logits of one grid of features, as they are.

    Args:
        features: (h, w, E) float32 unit features.
        text: (Q, E) float32 unit rows.
        name: what to make of the cosines (Q, h, w).
        window: the whole picture, for ``name``.
    """

    def __init__(
        self,
        features: torch.Tensor,
        text: torch.Tensor,
        name: Callable[[torch.Tensor, Window], torch.Tensor] | None = None,
        window: Window | None = None,
    ) -> None:
        self.features, self.text, self.name, self.window = features, text, name, window
        self.device = text.device
        self.size = tuple(features.shape[:2])

    @property
    def num_queries(self) -> int:
        """Q."""
        return len(self.text)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (Q, stop - start, w) float32."""
        if self.name is not None:
            return self.name(self._cosines(self.features), self.window)[:, start:stop]
        return self._cosines(self.features[start:stop])

    def _cosines(self, features: torch.Tensor) -> torch.Tensor:
        return (features @ self.text.T).permute(2, 0, 1).contiguous()

    def select(self, queries: torch.Tensor) -> LogitMap:
        """The map of some queries (q,) int64 only."""
        if self.name is not None:  # which looks at all queries
            return Selected(self, queries)
        return PatchLogits(self.features, self.text[queries.to(self.text.device)])


class Selected(QueryRange):
    """Some queries of a map whose queries depend on each other.

    Args:
        source: the map.
        queries: (q,) int64.
    """

    def __init__(self, source: LogitMap, queries: torch.Tensor) -> None:
        self.source, self.chosen, self.size = source, queries, source.size
        self.device = queries.device

    @property
    def num_queries(self) -> int:
        """Q."""
        return len(self.chosen)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (q, stop - start, W) float32."""
        rows = self.source.rows(start, stop)
        return rows[self.chosen.to(rows.device)]

    def select(self, queries: torch.Tensor) -> Selected:
        """The map of some of these queries only."""
        return Selected(self.source, self.chosen[queries.to(self.chosen.device)])


class Resized:
    """Another map at another size, bilinearly (corners not aligned).

    A grid of patches that was enlarged is not enlarged twice: the map is made of its patches.

    Args:
        source: the map.
        size: (H, W) wanted.
    """

    def __init__(self, source: LogitMap, size: tuple[int, int]) -> None:
        if isinstance(source, Resized) and isinstance(source.source, PatchLogits):
            source = source.source
        self.source = source
        self.size = size

    def queries(self, start: int, stop: int) -> Resized:
        """The same map for queries start to stop alone."""
        return Resized(self.source.queries(start, stop), self.size)

    def select(self, queries: torch.Tensor) -> Resized:
        """The map of some queries (q,) int64 only."""
        return Resized(self.source.select(queries), self.size)

    @property
    def num_queries(self) -> int:
        """Q."""
        return self.source.num_queries

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (Q, stop - start, W) float32."""
        if self.size == self.source.size:
            return self.source.rows(start, stop)
        lengths = (self.size[0], self.source.size[0])
        above, below, _ = source_rows(start, stop, *lengths)
        first = int(above[0])
        needed = self.source.rows(first, int(below[-1]) + 1)
        # Told anew where the map is: what is sent to a GPU waits for it.
        above, below, weight = source_rows(start, stop, *lengths, needed.device)
        return _widen(_blend_rows(needed, above - first, below - first, weight), self.size[1])


class Cropped:
    """The upper left part of another map.

    Args:
        source: the map.
        size: (H, W) wanted, at most the source's.
    """

    def __init__(self, source: LogitMap, size: tuple[int, int]) -> None:
        self.source, self.size = source, size

    @property
    def num_queries(self) -> int:
        """Q."""
        return self.source.num_queries

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (Q, stop - start, W) float32."""
        return self.source.rows(start, stop)[:, :, : self.size[1]]

    def select(self, queries: torch.Tensor) -> Cropped:
        """The map of some queries (q,) int64 only."""
        return Cropped(self.source.select(queries), self.size)

    def queries(self, start: int, stop: int) -> Cropped:
        """The same map for queries start to stop alone."""
        return Cropped(self.source.queries(start, stop), self.size)


class TensorMap(QueryRange):
    """A map that is small enough to be held.

    Args:
        values: (Q, H, W) float32.
    """

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.device = values, values.device
        self.size = tuple(values.shape[-2:])

    @property
    def num_queries(self) -> int:
        """Q."""
        return len(self.values)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (Q, stop - start, W) float32."""
        return self.values[:, start:stop]

    def select(self, queries: torch.Tensor) -> TensorMap:
        """The map of some queries (q,) int64 only."""
        return TensorMap(self.values[queries.to(self.values.device)])


def bands(height: int, channels: int, width: int, band_bytes: int = BAND_BYTES):
    """(first row, row behind the last) of bands that hold this many float32 at most."""
    step = max(1, band_bytes // (4 * max(channels, 1) * width))
    for start in range(0, height, step):
        yield start, min(start + step, height)


class LogProbabilities:
    """Logits whose scaled softmax is a map of probabilities.

    Args:
        source: probabilities, in proportion: they need not sum to 1.
        scale: logit scale they will be multiplied with.
    """

    def __init__(self, source: LogitMap, scale: float) -> None:
        self.source, self.scale, self.size = source, scale, source.size

    @property
    def num_queries(self) -> int:
        """Q."""
        return self.source.num_queries

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop: (Q, stop - start, W) float32, finite."""
        rows = self.source.rows(start, stop)
        return rows.clamp_(min=torch.finfo(rows.dtype).tiny).log_().div_(self.scale)

    def queries(self, start: int, stop: int) -> LogProbabilities:
        """The same map for queries start to stop alone."""
        return LogProbabilities(self.source.queries(start, stop), self.scale)

    def select(self, queries: torch.Tensor) -> LogProbabilities:
        """The map of some queries (q,) int64 only."""
        return LogProbabilities(self.source.select(queries), self.scale)
