"""One side of a map that is enlarged from lines of patches, by whatever steps.

Windows that are enlarged, cut and averaged, and the resizing of the whole after that: every step
is linear and does the same to all rows (and the same to all columns). A row of the final map is
therefore a mean of a few lines of patches with weights that can be told beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

#: Weights that leave a straight line by more than this begin a new piece.
_KINK = 1e-4


def source_rows(start: int, stop: int, length_out: int, length_in: int, device=None):
    """Where rows of a bilinearly resized map come from (corners not aligned, as torch does it).

    Returns:
        Two (stop - start,) int64 tensors of the source rows above and below, and the (stop -
        start,) float32 weight of the one below.
    """
    at = torch.arange(start, stop, device=device, dtype=torch.float32)
    at = ((at + 0.5) * (length_in / length_out) - 0.5).clamp(min=0)
    above = at.floor().long().clamp(max=length_in - 1)
    below = (above + 1).clamp(max=length_in - 1)
    return above, below, at - above


@dataclass(frozen=True)
class Axis:
    """Of which lines of patches the rows (or the columns) of a map are means.

    Attributes:
        lines: (n, K) int64, rising; what is left over repeats the last line.
        weights: (n, K) float64, not negative, sums 1; 0 for what is left over.
    """

    lines: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.lines)

    @classmethod
    def plain(cls, length: int) -> Axis:
        """Every row is a line of patches."""
        return cls(np.arange(length)[:, None], np.ones((length, 1)))

    @classmethod
    def of_windows(
        cls, starts: list[int], length: int, before: int, padded: int, cells: int, size: int
    ) -> Axis:
        """Windows of ``cells`` lines, enlarged to ``padded`` pixels, cut, and averaged.

        Args:
            starts: first pixels of the windows, rising.
            length: pixels of a window.
            before: pixels of padding in front of them.
            padded: pixels with all padding.
            cells: lines of patches of a window; those of window i begin at ``i * cells``.
            size: pixels of the map.
        """
        above, below, weight = (
            part.numpy() for part in source_rows(before, before + length, padded, cells)
        )
        weight = weight.astype(np.float64)
        lines = np.full((size, 2 * len(starts)), -1)
        weights = np.zeros((size, 2 * len(starts)))
        for i, start in enumerate(starts):
            place = slice(start, start + length)
            lines[place, 2 * i], lines[place, 2 * i + 1] = i * cells + above, i * cells + below
            weights[place, 2 * i], weights[place, 2 * i + 1] = 1 - weight, weight
        return cls(*_merged(lines, weights / weights.sum(1, keepdims=True)))

    def resized(self, length: int) -> Axis:
        """Resized bilinearly to ``length``."""
        if length == len(self):
            return self
        above, below, weight = (part.numpy() for part in source_rows(0, length, length, len(self)))
        weight = weight.astype(np.float64)[:, None]
        lines = np.concatenate([self.lines[above], self.lines[below]], 1)
        weights = np.concatenate(
            [(1 - weight) * self.weights[above], weight * self.weights[below]], 1
        )
        return Axis(*_merged(lines, weights))

    def cropped(self, length: int) -> Axis:
        """The first ``length`` rows."""
        return Axis(self.lines[:length], self.weights[:length])

    def pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the map is linear between two rows: in a piece all means are of the same lines.

        Returns:
            (P + 1,) int64, the first rows of the pieces and the number of rows; (P,) float64, by
            how much the weights of a row of a piece differ, in sum, from a straight line between
            its first and its last row.
        """
        count = len(self)
        same = (self.lines[1:] == self.lines[:-1]).all(1)
        bend = np.zeros(count, bool)
        if count > 2:
            second = self.weights[2:] - 2 * self.weights[1:-1] + self.weights[:-2]
            bend[1:-1] = (np.abs(second).sum(1) > _KINK) & same[1:] & same[:-1]
        new = np.ones(count, bool)
        new[1:] = ~same
        start = 0
        for row in np.flatnonzero(new[:-1] | bend[:-1]):
            if new[row]:
                start = row
            if bend[row] and row > start:
                new[row + 1] = True
                start = row + 1
        firsts = np.flatnonzero(new)
        ends = np.append(firsts, count)
        lengths = np.diff(ends)
        first = np.repeat(firsts, lengths)
        span = np.repeat(lengths - 1, lengths)
        share = ((np.arange(count) - first) / np.maximum(span, 1))[:, None]
        line = (1 - share) * self.weights[first] + share * self.weights[first + span]
        unlike = np.abs(self.weights - line).sum(1)
        return ends, np.maximum.reduceat(unlike, firsts)


def _merged(lines: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each line once, in rising order; lines -1 are none."""
    order = np.argsort(lines, 1, kind="stable")
    lines, weights = np.take_along_axis(lines, order, 1), np.take_along_axis(weights, order, 1)
    fresh = np.ones(lines.shape, bool)
    fresh[:, 1:] = lines[:, 1:] != lines[:, :-1]
    fresh &= lines >= 0
    place = np.maximum(fresh.cumsum(1) - 1, 0)
    rows = np.broadcast_to(np.arange(len(lines))[:, None], lines.shape)
    width = int(place.max()) + 1
    merged = np.broadcast_to(lines[:, -1:], (len(lines), width)).copy()
    merged[rows[fresh], place[fresh]] = lines[fresh]
    total = np.zeros((len(lines), width))
    np.add.at(total, (rows, place), weights)
    return merged, total
