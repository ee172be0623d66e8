"""The compiled loop of `ovseg.refine.pamr_flow`, with all classes of a pixel next to each other."""

from __future__ import annotations

import numpy as np

from ovseg.utils.compiled import compiled

__all__ = ["flow_rows"]


@compiled(fastmath={"contract"})
def flow_rows(
    maps, weights, row_neighbors, column_neighbors, row_place, column_place, step,
    out, row_goal, column_goal, rows,
):  # fmt: skip
    """Let maps flow once, for some rows.

    Pixels are stored at ``row_place[y] + column_place[x]``, in whatever order. Eight neighbors are
    taken together: what they give stays in the processor's registers. Indices are unsigned, since
    numba looks at every signed one whether it counts from the end.

    Args:
        maps: (N * C) float32, the classes of a pixel next to each other.
        weights: (N, 8 D) float32.
        row_neighbors: (H, 8 D) int64, the places of the rows of the neighbors.
        column_neighbors: (W, 8 D) int64, likewise.
        row_place: (H,) int64.
        column_place: (W,) int64.
        step: columns are gone through in steps, so that neighbors come one after the other.
        out: (N * C) float32, of which these rows are filled in.
        row_goal: (H,) int64, the places of ``out``.
        column_goal: (W,) int64, likewise.
        rows: the rows y, in the order in which they are gone through.
    """
    neighbors = weights.shape[1]
    count = np.uint64(len(maps) // len(weights))
    place = np.empty(neighbors, np.uint64)
    for start in range(step):
        for y in rows:
            for x in range(start, len(column_place), step):
                for k in range(neighbors):
                    place[k] = np.uint64(row_neighbors[y, k] + column_neighbors[x, k]) * count
                own = row_place[y] + column_place[x]
                goal = np.uint64(row_goal[y] + column_goal[x]) * count
                for k in range(0, neighbors, 8):
                    a, b, c, d = place[k], place[k + 1], place[k + 2], place[k + 3]
                    e, f, g, h = place[k + 4], place[k + 5], place[k + 6], place[k + 7]
                    of_a, of_b = weights[own, k], weights[own, k + 1]
                    of_c, of_d = weights[own, k + 2], weights[own, k + 3]
                    of_e, of_f = weights[own, k + 4], weights[own, k + 5]
                    of_g, of_h = weights[own, k + 6], weights[own, k + 7]
                    for i in range(count):
                        mixed = np.float32(0) if k == 0 else out[goal + i]
                        mixed += of_a * maps[a + i] + of_b * maps[b + i]
                        mixed += of_c * maps[c + i] + of_d * maps[d + i]
                        mixed += of_e * maps[e + i] + of_f * maps[f + i]
                        out[goal + i] = mixed + of_g * maps[g + i] + of_h * maps[h + i]
