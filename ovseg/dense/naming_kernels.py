"""Compiled loops of `ovseg.dense.naming_cells`, in one module so that they compile once."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["best_queries", "queries_above", "softmax_sums", "values_of"]

#: What may be reordered: sums. Values that are compared are made in one order.
_SUMS = {"reassoc", "contract", "nsz", "arcp"}
_ORDERED = {"contract", "nnan", "nsz"}


def _compiled(**options) -> Callable:
    """Compile at first use; the machine code is kept on disk where there is a place for it."""

    def compiled(function: Callable) -> Callable:
        try:
            return numba.njit(function, cache=True, nogil=True, **options)
        except RuntimeError:  # neither the package nor the user's cache folder can be written to
            return numba.njit(function, nogil=True, **options)

    return compiled


@intrinsic
def _as_float(typing_context, bits):
    """The float32 with the bits of an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@_compiled(inline="always")
def _exp(x):
    """The exponential of a float32 to about 2e-7 of it, in steps that a processor does in rows."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    times = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    x = x - times * np.float32(0.693359375)
    x = x + times * np.float32(2.12194440e-4)
    y = np.float32(1.9875691500e-4)
    y = y * x + np.float32(1.3981999507e-3)
    y = y * x + np.float32(8.3334519073e-3)
    y = y * x + np.float32(4.1665795894e-2)
    y = y * x + np.float32(1.6666665459e-1)
    y = y * x + np.float32(5.0000001201e-1)
    y = y * x * x + x + np.float32(1.0)
    return y * _as_float(np.int32((np.int32(times) + np.int32(127)) << np.int32(23)))


@_compiled(fastmath={"contract"})
def _row(lines, place, weights, out):
    """One row of the map, at its patches: the mean of lines (L, C, Q) into ``out`` (C, Q)."""
    flat = out.reshape(-1)
    for k in range(len(weights)):
        source = lines[place[k]].reshape(-1)
        weight = weights[k]
        if k == 0:
            for i in range(flat.size):
                flat[i] = weight * source[i]
        elif weight != 0:
            for i in range(flat.size):
                flat[i] += weight * source[i]


@_compiled(fastmath={"contract"})
def _pixels(row, place, weights, out):
    """All queries of one pixel, from a row at its patches (C, Q)."""
    for k in range(len(weights)):
        weight = weights[k]
        source = row[place[k]]
        if k == 0:
            for q in range(out.size):
                out[q] = weight * source[q]
        elif weight != 0:
            for q in range(out.size):
                out[q] += weight * source[q]


@_compiled()
def _distinct(places):
    """How many lines a row is a mean of; what is left over repeats the last one."""
    number = len(places)
    while number > 1 and places[number - 1] == places[number - 2]:
        number -= 1
    return number


@_compiled(fastmath=_ORDERED)
def _largest(numbers, count):
    """The largest of the first numbers and where it first stands."""
    largest = numbers[0]
    for n in range(1, count):
        largest = max(largest, numbers[n])
    for n in range(count):
        if numbers[n] == largest:
            return largest, n
    return largest, 0


@_compiled(fastmath=_ORDERED)
def _candidates(corner, corners, allowed, slack, highest, chosen):
    """Queries that may win somewhere between corners, in rising order; gives their number."""
    bar = np.float32(-np.inf)
    for q in range(len(highest)):
        low = corner[0, q]
        high = low
        for k in range(1, corners):
            low, high = min(low, corner[k, q]), max(high, corner[k, q])
        highest[q] = high
        bar = max(bar, low if allowed[q] else np.float32(-np.inf))
    bar -= slack
    number = 0
    for q in range(len(highest)):
        if highest[q] >= bar and allowed[q]:
            chosen[number] = q
            number += 1
    return number


@_compiled(fastmath=_ORDERED)
def _winner(corner, corners, allowed, slack):
    """The query that wins everywhere between corners, -1 where that is not certain.

    What exceeds another at all corners exceeds it between them.
    """
    count = len(allowed)
    largest = np.float32(-np.inf)
    for q in range(count):
        largest = max(largest, corner[0, q] if allowed[q] else np.float32(-np.inf))
    winner = -1
    for q in range(count):
        if allowed[q] and corner[0, q] == largest:
            winner = q
            break
    if winner < 0:
        return winner
    for k in range(corners):
        other = np.float32(-np.inf)
        for q in range(count):
            rival = allowed[q] and q != winner
            other = max(other, corner[k, q] if rival else np.float32(-np.inf))
        if not other < corner[k, winner] - slack:
            return -1
    return winner


@_compiled(fastmath=_ORDERED)
def _along(at_patch, weights, wide, number, pixel):
    """Candidates at one pixel of a row: the mean of at_patch (wide * number) into ``pixel``."""
    for n in range(number):
        pixel[n] = weights[0] * at_patch[n]
    for k in range(1, wide):
        weight = weights[k]
        for n in range(number):
            pixel[n] += weight * at_patch[k * number + n]


@_compiled(fastmath=_ORDERED)
def _between(ends, number, slack, kept):
    """Candidates that may win between the two ends (2, number) of a row; gives their number.

    Where one exceeds the others at both ends it is alone.
    """
    bar = np.float32(-np.inf)
    for n in range(number):
        bar = max(bar, min(ends[0, n], ends[1, n]))
    bar -= slack
    some = 0
    for n in range(number):  # without a branch: which it is cannot be foreseen
        kept[some] = n
        some += max(ends[0, n], ends[1, n]) >= bar
    best = kept[0]
    for i in range(1, some):
        if ends[0, kept[i]] > ends[0, best]:
            best = kept[i]
    rivals = 0
    for i in range(some):
        over_left = ends[0, kept[i]] >= ends[0, best] - slack
        over_right = ends[1, kept[i]] >= ends[1, best] - slack
        rivals += over_left or over_right
    if rivals == 1:  # itself
        kept[0] = best
        return 1
    return some


@_compiled(fastmath=_ORDERED)
def best_queries(
    lines, row_lines, row_weights, row_ends, row_bend, columns, column_weights, column_ends,
    column_bend, allowed, with_value, value, query,
):  # fmt: skip
    """The largest logit of each pixel and its query, the first of equals.

    A piece of the map is linear along rows and along columns but for ``row_bend`` and
    ``column_bend``: nothing in it is larger or smaller than at its four corners. A query whose
    largest corner is below the largest of the smallest corners wins nowhere; one that exceeds all
    others at the corners wins everywhere, and the same holds of a row between its ends.

    Args:
        lines: (L, C, Q) float32 patches.
        row_lines: (n, K) int64, the lines that rows are means of.
        row_weights: (n, K) float32, and how much of each.
        row_ends: (P + 1,) int64, pieces of the rows, see `Axis.pieces`.
        row_bend: (P,) float64, likewise.
        columns: the same of the columns, as the next three.
        column_weights: see ``row_weights``.
        column_ends: see ``row_ends``.
        column_bend: see ``row_bend``.
        allowed: (Q,) bool, queries that may win.
        with_value: whether logits are asked for and not only whose they are.
        value: (n, W) float32, to be filled in; of any shape where not asked for.
        query: (n, W) int32, to be filled in.

    Returns:
        How many (pixel, query) pairs were computed.
    """
    patches, count = lines.shape[1:]
    first = np.empty((patches, count), np.float32)
    last = np.empty((patches, count), np.float32)
    corner = np.empty((4, count), np.float32)
    highest = np.empty(count, np.float32)
    chosen = np.zeros(count, np.int64)
    most = np.float32(0)
    for entry in lines.reshape(-1):
        most = max(most, abs(entry))
    wide = columns.shape[1]
    around = np.empty(row_lines.shape[1] * wide * count, np.float32)
    at_patch = np.empty(wide * count, np.float32)
    pixel = np.empty(count, np.float32)
    ends = np.empty((2, count), np.float32)
    everyone, kept = np.arange(count), np.zeros(count + 1, np.int64)
    seen = 0
    for piece in range(len(row_ends) - 1):
        top, bottom = row_ends[piece], row_ends[piece + 1] - 1
        tall = _distinct(row_lines[top])
        _row(lines, row_lines[top], row_weights[top], first)
        if bottom > top:
            _row(lines, row_lines[bottom], row_weights[bottom], last)
        for part in range(len(column_ends) - 1):
            left, right = column_ends[part], column_ends[part + 1] - 1
            wide = _distinct(columns[left])
            corners = 0
            for y in range(top, bottom + 1, max(bottom - top, 1)):
                for x in range(left, right + 1, max(right - left, 1)):
                    row = first if y == top else last
                    _pixels(row, columns[x], column_weights[x], corner[corners])
                    corners += 1
            slack = 2 * most * np.float32(row_bend[piece] + column_bend[part] + 4e-6)
            if not with_value:
                winner = _winner(corner, corners, allowed, slack)
                if winner >= 0:
                    query[top : bottom + 1, left : right + 1] = winner
                    continue
            number = _candidates(corner, corners, allowed, slack, highest, chosen)
            seen += number * (bottom - top + 1) * (right - left + 1)
            at = 0
            for s in range(tall):  # (tall, wide, number)
                for k in range(wide):
                    for n in range(number):
                        around[at] = lines[row_lines[top, s], columns[left, k], chosen[n]]
                        at += 1
            size = wide * number
            for y in range(top, bottom + 1):
                for i in range(size):
                    at_patch[i] = row_weights[y, 0] * around[i]
                for s in range(1, tall):
                    weight = row_weights[y, s]
                    for i in range(size):
                        at_patch[i] += weight * around[s * size + i]
                some, those = number, everyone
                if number > 2 and right - left >= 4:
                    _along(at_patch, column_weights[left], wide, number, ends[0])
                    _along(at_patch, column_weights[right], wide, number, ends[1])
                    some = _between(ends, number, slack, kept)
                    those = kept
                    for k in range(wide):
                        for i in range(some):
                            at_patch[k * some + i] = at_patch[k * number + kept[i]]
                if some == 1:
                    query[y, left : right + 1] = chosen[those[0]]
                    if with_value:
                        for x in range(left, right + 1):
                            _along(at_patch, column_weights[x], wide, 1, pixel)
                            value[y, x] = pixel[0]
                    continue
                for x in range(left, right + 1):
                    _along(at_patch, column_weights[x], wide, some, pixel)
                    logit, where = _largest(pixel, some)
                    query[y, x] = chosen[those[where]]
                    if with_value:
                        value[y, x] = logit
    return seen


@_compiled(fastmath=_SUMS)
def softmax_sums(
    lines, row_lines, row_weights, columns, column_weights, scale, value, out
):  # fmt: skip
    """What the softmax divides by: sums over queries of exp(scale * (logit - value)).

    Args:
        lines: as `best_queries` takes them, as the next four.
        row_lines: likewise.
        row_weights: likewise.
        columns: likewise.
        column_weights: likewise.
        scale: logit scale, float32.
        value: (n, W) float32.
        out: (n, W) float32, to be filled in.
    """
    patches, count = lines.shape[1:]
    row = np.empty((patches, count), np.float32)
    pixel = np.empty(count, np.float32)
    for y in range(len(row_lines)):
        _row(lines, row_lines[y], row_weights[y], row)
        for x in range(len(columns)):
            _pixels(row, columns[x], column_weights[x], pixel)
            own = value[y, x]
            total = np.float32(0)
            for q in range(count):
                total += _exp(scale * (pixel[q] - own))
            out[y, x] = total


@_compiled(fastmath=_ORDERED)
def values_of(
    lines, row_lines, row_weights, columns, column_weights, labels, ends, queries, value
):  # fmt: skip
    """The largest logit of each pixel among the queries of its class.

    Args:
        lines: as `best_queries` takes them, as the next four.
        row_lines: likewise.
        row_weights: likewise.
        columns: likewise.
        column_weights: likewise.
        labels: (n, W) int classes.
        ends: (C + 1,) int64, class c has the queries from ``ends[c]`` up to ``ends[c + 1]``.
        queries: (Q,) int64, sorted by their classes.
        value: (n, W) float32, to be filled in.
    """
    for y in range(labels.shape[0]):
        tall = _distinct(row_lines[y])
        for x in range(labels.shape[1]):
            wide = _distinct(columns[x])
            largest = np.float32(-np.inf)
            for i in range(ends[labels[y, x]], ends[labels[y, x] + 1]):
                total = np.float32(0)
                for s in range(tall):
                    for k in range(wide):
                        weight = row_weights[y, s] * column_weights[x, k]
                        total += weight * lines[row_lines[y, s], columns[x, k], queries[i]]
                largest = max(largest, total)
            value[y, x] = largest


@_compiled(fastmath=_ORDERED)
def queries_above(
    lines, row_lines, row_weights, row_ends, row_bend, columns, column_weights, column_ends,
    column_bend, bars, found,
):  # fmt: skip
    """Queries whose logit may reach a bar at some pixel; none that does is missed.

    Args:
        lines: as `best_queries` takes them, as the next eight.
        row_lines: likewise.
        row_weights: likewise.
        row_ends: likewise.
        row_bend: likewise.
        columns: likewise.
        column_weights: likewise.
        column_ends: likewise.
        column_bend: likewise.
        bars: (n, W) float32, a bar for each pixel.
        found: (Q,) bool; those found are set.
    """
    patches, count = lines.shape[1:]
    first = np.empty((patches, count), np.float32)
    last = np.empty((patches, count), np.float32)
    corner = np.empty(count, np.float32)
    most = np.float32(0)
    for entry in lines.reshape(-1):
        most = max(most, abs(entry))
    for piece in range(len(row_ends) - 1):
        top, bottom = row_ends[piece], row_ends[piece + 1] - 1
        _row(lines, row_lines[top], row_weights[top], first)
        _row(lines, row_lines[bottom], row_weights[bottom], last)
        for part in range(len(column_ends) - 1):
            left, right = column_ends[part], column_ends[part + 1] - 1
            bar = np.float32(np.inf)
            for y in range(top, bottom + 1):
                for x in range(left, right + 1):
                    bar = min(bar, bars[y, x])
            bar -= 2 * most * np.float32(row_bend[piece] + column_bend[part] + 4e-6)
            for y in range(top, bottom + 1, max(bottom - top, 1)):
                for x in range(left, right + 1, max(right - left, 1)):
                    row = first if y == top else last
                    _pixels(row, columns[x], column_weights[x], corner)
                    for q in range(count):
                        found[q] |= corner[q] >= bar
