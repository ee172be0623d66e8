"""The compiled loop of `ovseg.refine.pamr`, with all classes of a pixel next to each other."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["flow_rows"]

_OPTIONS = {"nogil": True, "fastmath": {"contract"}}


def _compiled(function):
    """Compile at first use; the machine code is kept on disk where there is a place for it."""
    try:
        return numba.njit(function, cache=True, **_OPTIONS)
    except RuntimeError:  # neither the package nor the user's cache folder can be written to
        return numba.njit(function, **_OPTIONS)


@_compiled
def flow_rows(maps, weights, offsets, first, stop, out):
    """Let maps flow once, for some rows.

    Args:
        maps: (H, W, C) float32.
        weights: (K, H, W) float32.
        offsets: (K, 2) int64 rows and columns to the neighbors; pixels outside are the nearest
            inside.
        first: first row.
        stop: row behind the last.
        out: (H, W, C) float32, of which these rows are filled in.
    """
    height, width, count = maps.shape
    for y in range(first, stop):
        for x in range(width):
            mixed = out[y, x]
            for c in range(count):
                mixed[c] = np.float32(0)
            for k in range(len(offsets)):
                row = min(max(y + offsets[k, 0], 0), height - 1)
                column = min(max(x + offsets[k, 1], 0), width - 1)
                neighbor = maps[row, column]
                weight = weights[k, y, x]
                for c in range(count):
                    mixed[c] += weight * neighbor[c]
