"""Which maps of logits are lines of patches enlarged along both sides, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from ovseg.dense.axis import Axis
from ovseg.dense.logit_map import (
    Cropped,
    LogProbabilities,
    PatchLogits,
    Resized,
    Selected,
    TensorMap,
    WindowLogits,
)


@dataclass(frozen=True)
class Separable:
    """A (Q, H, W) map as patches and what rows and columns are made of.

    Attributes:
        rows: of which lines of patches each row of the map is a mean.
        columns: of which patches of a line each column is.
        lines: gives some lines of patches, (L, C, Q) float32; asked for from top to bottom, it
            need not make what it gave before anew.
        log_scale: where the patches hold probabilities: the map is their logarithm over this.
    """

    rows: Axis
    columns: Axis
    lines: Callable[[Iterable[int]], torch.Tensor]
    log_scale: float | None = None

    @property
    def probabilities(self) -> bool:
        """Whether the patches hold probabilities."""
        return self.log_scale is not None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the map."""
        return len(self.rows), len(self.columns)


def separable(logits) -> Separable | None:
    """The map taken apart, if it is one of those known here (kinds of them are not)."""
    rule = _RULES.get(type(logits))
    return None if rule is None else rule(logits)


def _windows(logits: WindowLogits) -> Separable | None:
    tops = sorted({window.top for window in logits.windows})
    lefts = sorted({window.left for window in logits.windows})
    first = logits.windows[0]
    grid = tuple(logits.features[0].shape[:2])
    regular = [(window.top, window.left) for window in logits.windows] == [
        (top, left) for top in tops for left in lefts
    ] and all(
        (window.height, window.width, window.pad) == (first.height, first.width, first.pad)
        and tuple(feature.shape[:2]) == grid
        for window, feature in zip(logits.windows, logits.features, strict=True)
    )
    if not regular:
        return None
    (tall, wide), (height, width) = first.padded_size, logits.size
    rows = Axis.of_windows(tops, first.height, first.pad[2], tall, grid[0], height)
    columns = Axis.of_windows(lefts, first.width, first.pad[0], wide, grid[1], width)

    def lines(wanted: Iterable[int]) -> torch.Tensor:
        found = []
        for line in wanted:
            top, row = divmod(line, grid[0])
            across = range(top * len(lefts), (top + 1) * len(lefts))
            found.append(torch.cat([logits.patch_logits(i)[:, row] for i in across], 1).T)
        return torch.stack(found)

    return Separable(rows, columns, lines)


def _patches(logits: PatchLogits) -> Separable:
    def lines(wanted: Iterable[int]) -> torch.Tensor:
        return logits.features[list(wanted)] @ logits.text.T

    if logits.name is not None:
        return separable(TensorMap(logits.rows(0, logits.size[0])))
    return Separable(*(Axis.plain(side) for side in logits.size), lines)


def _held(logits: TensorMap) -> Separable:
    def lines(wanted: Iterable[int]) -> torch.Tensor:
        return logits.values[:, list(wanted)].permute(1, 2, 0)

    return Separable(*(Axis.plain(side) for side in logits.size), lines)


def _resized(logits: Resized) -> Separable | None:
    source = separable(logits.source)
    if source is None or source.probabilities:
        return None
    rows, columns = (
        axis.resized(length)
        for axis, length in zip((source.rows, source.columns), logits.size, strict=True)
    )
    return Separable(rows, columns, source.lines)


def _cropped(logits: Cropped) -> Separable | None:
    source = separable(logits.source)
    if source is None:
        return None
    rows, columns = (
        axis.cropped(length)
        for axis, length in zip((source.rows, source.columns), logits.size, strict=True)
    )
    return Separable(rows, columns, source.lines, source.log_scale)


def _selected(logits: Selected) -> Separable | None:
    source = separable(logits.source)
    if source is None:
        return None
    chosen = logits.chosen

    def lines(wanted: Iterable[int]) -> torch.Tensor:
        return source.lines(wanted)[..., chosen]

    return Separable(source.rows, source.columns, lines, source.log_scale)


def _log(logits: LogProbabilities) -> Separable | None:
    source = separable(logits.source)
    if source is None or source.probabilities:
        return None
    return Separable(source.rows, source.columns, source.lines, logits.scale)


_RULES: dict[type, Callable[..., Separable | None]] = {
    WindowLogits: _windows,
    PatchLogits: _patches,
    TensorMap: _held,
    Resized: _resized,
    Cropped: _cropped,
    Selected: _selected,
    LogProbabilities: _log,
}
