"""Compiled loops of `ovseg.dense.naming_cells`, together in one module."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ovseg.utils.compiled import compiled

__all__ = ["best_queries", "queries_above", "softmax_sums", "store_pixels", "values_of"]

#: What may be reordered: sums. Values that are compared are made in one order.
_SUMS = {"reassoc", "contract", "nsz", "arcp"}
_ORDERED = {"contract", "nnan", "nsz"}

#: A part of a map is not divided further where so few queries may win, or where no side is longer.
_FEW, _SMALL = 3, 8
#: How often the candidates of a piece may become fewer.
_DEPTH = 12
#: Parts of a piece that wait to be named: 3 for every time that it is quartered, 32 times at most.
_WAITING = 3 * 32 + 1


@intrinsic
def _as_float(typing_context, bits):
    """The float32 with the bits of an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@compiled(inline="always")
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


@compiled(fastmath={"contract"})
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


@compiled(fastmath={"contract"})
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


@compiled(fastmath={"contract"})
def store_pixels(
    lines, row_lines, row_weights, columns, column_weights, row_place, column_place, out, rows
):  # fmt: skip
    """All queries of all pixels of some rows, wherever they are wanted.

    Args:
        lines: as `best_queries` takes them, as the next four.
        row_lines: likewise.
        row_weights: likewise.
        columns: likewise.
        column_weights: likewise.
        row_place: (n,) int64.
        column_place: (W,) int64; pixel (y, x) goes to ``row_place[y] + column_place[x]``.
        out: (N, Q) float32, to be filled in.
        rows: which rows.
    """
    row = np.empty(lines.shape[1:], np.float32)
    for y in rows:
        _row(lines, row_lines[y], row_weights[y], row)
        for x in range(len(columns)):
            _pixels(row, columns[x], column_weights[x], out[row_place[y] + column_place[x]])


@compiled()
def _distinct(places):
    """How many lines a row is a mean of; what is left over repeats the last one."""
    number = len(places)
    while number > 1 and places[number - 1] == places[number - 2]:
        number -= 1
    return number


@compiled(fastmath=_ORDERED)
def _ends(row, columns, column_weights, column_ends, out):
    """All queries at the first and the last column of each piece, from a row at its patches.

    Args:
        row: (C, Q) float32.
        columns: see `best_queries`, as the next two.
        column_weights: likewise.
        column_ends: likewise.
        out: (2 * P, Q) float32, to be filled in.
    """
    for i in range(len(out)):
        x = column_ends[(i + 1) // 2] - i % 2
        weight, patch = column_weights[x, 0], columns[x, 0]
        for q in range(out.shape[1]):
            out[i, q] = weight * row[patch, q]
        for k in range(1, columns.shape[1]):
            weight, patch = column_weights[x, k], columns[x, k]
            if weight != 0:
                for q in range(out.shape[1]):
                    out[i, q] += weight * row[patch, q]


@compiled(fastmath=_ORDERED)
def _candidates(above, below, part, slack, corner, chosen):
    """Queries that may win somewhere in a piece, in rising order; gives their number.

    One whose largest corner is below the largest of the smallest corners wins nowhere.

    Args:
        above: (2 * P, Q) float32, the pieces' upper left and right corners in turn.
        below: their lower corners.
        part: which of the pieces.
        slack: see `_unbeaten`.
        corner: (4, Q) float32, corners of those chosen, to be filled in.
        chosen: (Q,) int64, to be filled in.
    """
    left, right, count = 2 * part, 2 * part + 1, above.shape[1]
    bar = np.float32(-np.inf)
    for q in range(count):
        a, b, c, d = above[left, q], above[right, q], below[left, q], below[right, q]
        corner[0, q] = max(max(a, b), max(c, d))
        bar = max(bar, min(min(a, b), min(c, d)))
    bar -= slack
    number = 0
    for q in range(count):  # without a branch: which it is cannot be foreseen
        chosen[number] = q
        number += corner[0, q] >= bar
    number = max(number, 1)  # even where logits are no numbers
    for n in range(number):
        q = chosen[n]
        corner[0, n], corner[1, n] = above[left, q], above[right, q]
        corner[2, n], corner[3, n] = below[left, q], below[right, q]
    return number


@compiled(fastmath=_ORDERED)
def _unbeaten(corner, number, slack, alive, kept):
    """Candidates that no winner of a corner exceeds at all four corners (4, Q).

    What exceeds another at all corners exceeds it between them. Gives how many are left; which
    they are is written to ``kept``, in rising order. ``slack`` apart is not told apart.
    """
    for n in range(number):
        alive[n] = 1
    for k in range(4):
        largest = corner[k, 0]
        for n in range(1, number):
            largest = max(largest, corner[k, n])
        best = 0
        while best + 1 < number and corner[k, best] < largest:
            best += 1
        a, b = corner[0, best] - slack, corner[1, best] - slack
        c, d = corner[2, best] - slack, corner[3, best] - slack
        for n in range(number):
            over = (corner[0, n] < a) & (corner[1, n] < b)
            over &= (corner[2, n] < c) & (corner[3, n] < d)
            alive[n] = 0 if over else alive[n]
    some = 0
    for n in range(number):
        kept[some] = n
        some += alive[n]
    return some


@compiled(fastmath=_ORDERED)
def _fill(query, top, bottom, left, right, name):
    """One query for a rectangle of (n, W) int32."""
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            query[y, x] = name


@compiled(fastmath=_ORDERED)
def _mean(parts, size, weights, place, out):
    """The mean of parts (K, size) by one column of weights (K, n), into ``out`` (size)."""
    weight = weights[0, place]
    for i in range(size):
        out[i] = weight * parts[i]
    for k in range(1, len(weights)):
        weight, start = weights[k, place], k * size
        for i in range(size):
            out[i] += weight * parts[start + i]


@compiled(fastmath=_ORDERED)
def _race(at_patch, number, names, weights, left, count, own, best, who):
    """The largest of some candidates along a row, and whose it is, the first of equals.

    One candidate after the other goes through all pixels, which a processor does in rows.

    Args:
        at_patch: (K * number) float32, candidates at the patches of the row.
        number: how many they are.
        names: their queries, rising.
        weights: (K, W) float32, of which patches columns are means.
        left: first column.
        count: of columns.
        own: float32 room for the columns.
        best: float32, to be filled in.
        who: int32, to be filled in.
    """
    for i in range(number):
        name, first = names[i], at_patch[i]
        for x in range(count):
            own[x] = weights[0, left + x] * first
        for k in range(1, len(weights)):
            other = at_patch[k * number + i]
            for x in range(count):
                own[x] += weights[k, left + x] * other
        if i == 0:
            for x in range(count):
                best[x], who[x] = own[x], name
            continue
        for x in range(count):
            over = own[x] > best[x]
            best[x] = own[x] if over else best[x]
            who[x] = name if over else who[x]


@compiled(fastmath=_ORDERED)
def _name_piece(piece, rows, columns, slack, candidates, room, with_value, value, query):
    """Name the pixels of a piece by quarters, and these by quarters, where several may win.

    Args:
        piece: first and last row, first and last column.
        rows: (tall, n) float32, of which lines rows are means.
        columns: (wide, W) float32, of which patches of a line columns are.
        slack: candidates that are nearer to each other are not told apart.
        candidates: of the piece, of a quarter, and so on: how many (_DEPTH,), their queries
            (_DEPTH, Q), and their logits at the patches around the piece (_DEPTH, tall * wide * Q),
            as (tall, wide, number) close together. Those of the piece are given.
        room: arrays to write to, see `best_queries`.
        with_value: see `best_queries`, as the next two.
        value: likewise.
        query: likewise.

    Returns:
        How many (pixel, query) pairs were computed.
    """
    numbers, names, terms = candidates
    corner, alive, kept, at_patch, own, best, who, todo = room
    wide = len(columns)
    todo[0, 0], todo[0, 1], todo[0, 2], todo[0, 3] = piece
    todo[0, 4] = 0
    waiting, seen = 1, 0
    while waiting > 0:
        waiting -= 1
        top, bottom, left, right, depth = todo[waiting]
        number = numbers[depth]
        if number > 1:
            for i in range(2):
                _mean(terms[depth], wide * number, rows, bottom if i else top, at_patch)
                _mean(at_patch, number, columns, left, corner[2 * i])
                _mean(at_patch, number, columns, right, corner[2 * i + 1])
            some = _unbeaten(corner, number, slack, alive, kept)
            if some < number:
                for n in range(some):
                    names[depth + 1, n] = names[depth, kept[n]]
                for k in range(len(rows) * wide):
                    for n in range(some):
                        terms[depth + 1, k * some + n] = terms[depth, k * number + kept[n]]
                number, depth = some, depth + 1
                numbers[depth] = number
        high, broad = bottom + 1 - top, right + 1 - left
        if number == 1:
            _fill(query, top, bottom, left, right, names[depth, 0])
            if with_value:
                seen += high * broad
                for y in range(top, bottom + 1):
                    _mean(terms[depth], wide, rows, y, at_patch)
                    for x in range(left, right + 1):
                        logit = columns[0, x] * at_patch[0]
                        for k in range(1, wide):
                            logit += columns[k, x] * at_patch[k]
                        value[y, x] = logit
        elif number <= _FEW or max(high, broad) <= _SMALL or depth + 2 == _DEPTH:
            seen += number * high * broad
            for y in range(top, bottom + 1):
                _mean(terms[depth], wide * number, rows, y, at_patch)
                _race(at_patch, number, names[depth], columns, left, broad, own, best, who)
                for x in range(broad):
                    query[y, left + x] = who[x]
                if with_value:
                    for x in range(broad):
                        value[y, left + x] = best[x]
        else:
            below = (top + bottom + 1) // 2 if high > _SMALL else bottom + 1
            beside = (left + right + 1) // 2 if broad > _SMALL else right + 1
            for y0, y1 in ((top, below - 1), (below, bottom)):
                for x0, x1 in ((left, beside - 1), (beside, right)):
                    if y0 <= y1 and x0 <= x1:
                        todo[waiting, 0], todo[waiting, 1] = y0, y1
                        todo[waiting, 2], todo[waiting, 3], todo[waiting, 4] = x0, x1, depth
                        waiting += 1
    return seen


@compiled(fastmath=_ORDERED)
def best_queries(
    lines, row_lines, row_weights, row_ends, row_bend, columns, column_weights, column_ends,
    column_bend, with_value, value, query,
):  # fmt: skip
    """The largest logit of each pixel and its query, the first of equals.

    A piece of the map is linear along rows and along columns but for ``row_bend`` and
    ``column_bend``: nothing in it is larger or smaller than at its four corners. Queries that are
    beaten at the corners of a piece, or of a part of it, are not computed there.

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
        with_value: whether logits are asked for and not only whose they are.
        value: (n, W) float32, to be filled in; of any shape where not asked for.
        query: (n, W) int32, to be filled in.

    Returns:
        How many (pixel, query) pairs were computed.
    """
    (patches, count), width = lines.shape[1:], len(columns)
    most = np.float32(0)
    for entry in lines.reshape(-1):
        most = max(most, abs(entry))
    row = np.empty((patches, count), np.float32)
    down, across = row_weights.T.copy(), column_weights.T.copy()
    above = np.empty((2 * len(column_ends) - 2, count), np.float32)
    below = np.empty_like(above)
    chosen, kept = np.empty(count, np.int64), np.empty(count, np.int64)
    names = np.empty((_DEPTH, count), np.int32)
    terms = np.empty((_DEPTH, len(down) * len(across) * count), np.float32)
    candidates = (np.empty(_DEPTH, np.int64), names, terms)
    at_patch, todo = np.empty(len(across) * count, np.float32), np.empty((_WAITING, 5), np.int64)
    corner, alive = np.empty((4, count), np.float32), np.empty(count, np.int32)
    who = np.empty(width, np.int32)
    own, best = np.empty(width, np.float32), np.empty(width, np.float32)
    room = (corner, alive, kept, at_patch, own, best, who, todo)
    seen = 0
    for piece in range(len(row_ends) - 1):
        top, bottom = row_ends[piece], row_ends[piece + 1] - 1
        _row(lines, row_lines[top], row_weights[top], row)
        _ends(row, columns, column_weights, column_ends, above)
        _row(lines, row_lines[bottom], row_weights[bottom], row)
        _ends(row, columns, column_weights, column_ends, below)
        tall = _distinct(row_lines[top])
        for part in range(len(column_ends) - 1):
            left, right = column_ends[part], column_ends[part + 1] - 1
            # Twice the bend: between its own ends a part is as straight as that.
            slack = 2 * most * np.float32(2 * (row_bend[piece] + column_bend[part]) + 4e-6)
            number = _candidates(above, below, part, slack, corner, chosen)
            number = _unbeaten(corner, number, slack, alive, kept)
            if number == 1 and not with_value:
                _fill(query, top, bottom, left, right, chosen[kept[0]])
                continue
            wide, at = _distinct(columns[left]), 0
            candidates[0][0] = number
            for n in range(number):
                names[0, n] = chosen[kept[n]]
            for s in range(tall):
                for k in range(wide):
                    patch = lines[row_lines[top, s], columns[left, k]]
                    for n in range(number):
                        terms[0, at] = patch[names[0, n]]
                        at += 1
            whole = (top, bottom, left, right)
            seen += _name_piece(
                whole, down[:tall], across[:wide], slack, candidates, room, with_value, value, query
            )
    return seen


@compiled(fastmath=_SUMS)
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


@compiled(fastmath=_ORDERED)
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


@compiled(fastmath=_ORDERED)
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
