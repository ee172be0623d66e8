"""PAMR's flow on the CPU: pixels that flow into each other are stored near each other.

Neighbors are whole multiples of a step away, for distances of 8 and 16 pixels 8: pixels whose rows
and columns leave the same remainders by it flow into each other and, but for the border, into no
others. Rows and columns are stored remainder by remainder: what a pixel needs was read just before.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ovseg.dense.logit_map import LogitMap
from ovseg.dense.separable import Separable, separable

#: Rows and columns to the eight pixels around.
AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


class Flow:
    """How maps of one size flow, as often as some are handed over.

    What it gives is overwritten when it is asked again.

    Args:
        weights: (8 D, H, W) float32, how much of each neighbor flows into a pixel.
        dilations: D distances of the neighbors.
        iterations: how often maps flow, at least once.
    """

    def __init__(self, weights: torch.Tensor, dilations: Sequence[int], iterations: int) -> None:
        self.size: tuple[int, int] = tuple(weights.shape[1:])
        self.step, self.iterations = math.gcd(*dilations), iterations
        self.rows, self.columns = (
            np.argsort(np.arange(side) % self.step, kind="stable") for side in self.size
        )
        self.places = (np.argsort(self.rows) * self.size[1], np.argsort(self.columns))
        away = np.array([(y * d, x * d) for d in dilations for y, x in AROUND]).T
        self.neighbors = [
            place[(np.arange(side)[:, None] + steps).clip(0, side - 1)]
            for side, place, steps in zip(self.size, self.places, away, strict=True)
        ]
        self.weights = self._stored(weights)
        self._buffers = [np.empty(0, np.float32)] * 2

    @classmethod
    def on_cpu(
        cls, weights: torch.Tensor, dilations: Sequence[int], iterations: int
    ) -> Flow | None:
        """The flow, where there is one and it is for maps on the CPU."""
        here = weights.device.type == "cpu" and weights.dtype == torch.float32
        return cls(weights, dilations, iterations) if here and iterations > 0 else None

    def of_rows(self, logits: LogitMap, first: int, last: int) -> torch.Tensor:
        """Rows first to last, as many as H, of a map after they flowed: (C, H, W) float32."""
        taken = separable(logits)
        if taken is None or taken.probabilities:
            return self.of_map(logits.rows(first, last))
        return self._of_patches(taken, first)

    def of_map(self, maps: torch.Tensor) -> torch.Tensor:
        """A map (C, H, W) float32 after it flowed."""
        now, then = self._room(len(maps))
        now[:] = self._stored(maps)
        return self._run(now, then)

    def _of_patches(self, taken: Separable, first: int) -> torch.Tensor:
        from ovseg.dense.naming_kernels import store_pixels  # numba takes a while to be imported

        rows = slice(first, first + self.size[0])
        needed = taken.rows.lines[rows]
        low = int(needed.min())
        lines = taken.lines(range(low, int(needed.max()) + 1)).float().contiguous().numpy()
        down = (needed - low, taken.rows.weights[rows].astype(np.float32))
        across = (taken.columns.lines, taken.columns.weights.astype(np.float32))
        now, then = self._room(lines.shape[2])
        stores = functools.partial(store_pixels, lines, *down, *across, *self.places, now)
        self._on_all_threads(stores)
        return self._run(now, then)

    def _stored(self, maps: torch.Tensor) -> np.ndarray:
        """(C, H, W) as (H * W, C), in the order of the places."""
        pixels = maps.permute(1, 2, 0).numpy()[np.ix_(self.rows, self.columns)]
        return np.ascontiguousarray(pixels).reshape(-1, len(maps))

    def _room(self, count: int) -> list[np.ndarray]:
        """Two arrays (H * W, count), the same at every call: new ones take a while to be had."""
        total = len(self.weights) * count
        if len(self._buffers[0]) < total:
            self._buffers = [np.empty(total, np.float32) for _ in range(2)]
        return [buffer[:total].reshape(-1, count) for buffer in self._buffers]

    def _run(self, now: np.ndarray, then: np.ndarray) -> torch.Tensor:
        from ovseg.refine.pamr_kernels import flow_rows

        height, width = self.size
        as_map = (np.arange(height) * width, np.arange(width))
        for left in range(self.iterations, 0, -1):
            goal = as_map if left == 1 else self.places
            flows = functools.partial(
                flow_rows, now.reshape(-1), self.weights, *self.neighbors, *self.places, self.step,
                then.reshape(-1), *goal,
            )  # fmt: skip
            self._on_all_threads(flows)
            now, then = then, now
        return torch.from_numpy(now.reshape(height, width, -1)).permute(2, 0, 1)

    def _on_all_threads(self, work: Callable[[np.ndarray], None]) -> None:
        """Hand the rows over in parts, one to each thread."""
        threads = max(1, torch.get_num_threads())
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, np.array_split(self.rows, threads)))
