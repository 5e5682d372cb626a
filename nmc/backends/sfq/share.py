"""Sums that several counters need are merged once: common subexpressions of a matrix of lines and counter bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmc.ir.tensor import Array

BLOCK = 64
"""Columns that are looked at together; all pairs of them are compared."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What each column merges, and what each bus does: numbers below `lines` are lines, those from it on buses."""

    lines: int
    columns: tuple[tuple[int, ...], ...]
    buses: tuple[tuple[int, ...], ...]
    """In an order in which a bus comes after those that it merges."""


def share(columns: list[list[int]], lines: int, *, least: int = 2) -> Shared:
    """Take out, as long as there are any, the largest set of lines that two columns have in common.

    A set of m lines that two columns share is merged into a bus once: it saves m - 1 splitters and as many mergers.
    Buses are columns and lines themselves, so that what they have in common is taken out too. Sets below `least`
    lines stay.
    """
    found: list[tuple[int, ...]] = []
    merged: list[tuple[int, ...]] = []
    for first in range(0, len(columns), BLOCK):
        block = columns[first : first + BLOCK]
        rows, buses = _block(block, lines, least)
        shift = len(merged)
        renamed = [tuple(each if each < lines else each + shift for each in row) for row in rows + buses]
        found += renamed[: len(rows)]
        merged += renamed[len(rows) :]
    return Shared(lines, tuple(found), tuple(merged))


def _block(
    block: list[list[int]], lines: int, least: int
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    used = np.unique(np.array([line for row in block for line in row], np.int64))
    place = {int(line): k for k, line in enumerate(used)}
    count, room = len(block), 2 * sum(map(len, block)) + 1
    most = min(room, 4096)
    matrix = np.zeros((count + most, len(used) + most), np.float32)
    for k, row in enumerate(block):
        matrix[k, [place[line] for line in row]] = 1
    rows, width = count, len(used)
    pairs = np.zeros((count + most, count + most), np.float32)
    pairs[:rows, :rows] = matrix[:rows, :width] @ matrix[:rows, :width].T
    np.fill_diagonal(pairs, 0)
    best = pairs.max(axis=1, initial=0)
    members: list[tuple[int, int]] = []
    while len(members) < most and rows > 1:
        i = int(best[:rows].argmax())
        if best[i] < max(least, 2):
            break
        j = int(pairs[i, :rows].argmax())
        both = matrix[i, :width] * matrix[j, :width]
        matrix[i, :width] -= both
        matrix[j, :width] -= both
        matrix[rows, :width] = both
        matrix[i, width] = matrix[j, width] = 1
        rows, width = rows + 1, width + 1
        _renew(matrix, pairs, best, (i, j, rows - 1), rows=rows, width=width)
        members.append((i, j))
    lists = [np.flatnonzero(matrix[k, :width]).tolist() for k in range(rows)]
    named = [tuple(int(used[k]) if k < len(used) else lines + k - len(used) for k in each) for each in lists]
    number, buses = _ordered(named[count:], lines)
    return [tuple(number.get(each, each) for each in row) for row in named[:count]], buses


def _renew(
    matrix: Array, pairs: Array, best: Array, changed: tuple[int, int, int], *, rows: int, width: int
) -> None:
    """What the changed rows now have in common with all rows."""
    some = list(changed)
    before = pairs[:rows, some[:2]].copy()
    counts = matrix[:rows, :width] @ matrix[some, :width].T
    fell = np.flatnonzero((before > counts[:, :2]).any(axis=1))
    pairs[:rows, some] = counts
    pairs[some, :rows] = counts.T
    pairs[some, some] = 0
    best[:rows] = np.maximum(best[:rows], counts[:, 2])
    stale = np.union1d(fell, np.array(some))
    best[stale] = pairs[stale, :rows].max(axis=1)


def _ordered(buses: list[tuple[int, ...]], lines: int) -> tuple[dict[int, int], list[tuple[int, ...]]]:
    """The buses renumbered so that each comes after those that it merges, and their new numbers."""
    order: list[int] = []
    done: set[int] = set()
    for start in range(len(buses)):
        stack = [start]
        while stack:
            k = stack[-1]
            missing = [each - lines for each in buses[k] if each >= lines and each - lines not in done]
            if missing:
                stack += missing
            else:
                stack.pop()
                if k not in done:
                    done.add(k)
                    order.append(k)
    number = {lines + old: lines + new for new, old in enumerate(order)}
    return number, [tuple(number.get(each, each) for each in buses[k]) for k in order]
