# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Loops over single synapses, compiled: who reaches which part, and how much a part receives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.sim.compiled import compiled

Array = npt.NDArray[Any]
"""Any: kernels take arrays of several dtypes."""


@compiled
def starts_of(pre: Array, size: int) -> Array:
    """Of ascending `pre`: where each source's synapses begin, (size + 1,)."""
    start = np.zeros(size + 1, np.int64)
    for each in pre:
        start[each + 1] += 1
    for n in range(size):
        start[n + 1] += start[n]
    return start


@compiled
def transpose(start: Array, post: Array, size: int) -> tuple[Array, Array]:
    """From synapses by source to sources by target: (first, source), ascending for each target."""
    first = np.zeros(size + 1, np.int64)
    for each in post:
        first[each + 1] += 1
    for n in range(size):
        first[n + 1] += first[n]
    at = first[:-1].copy()
    source = np.empty(post.size, np.int32)
    for n in range(start.size - 1):
        for k in range(start[n], start[n + 1]):
            source[at[post[k]]] = n
            at[post[k]] += 1
    return first, source


@compiled
def fan_of_sparse(first: Array, by_post: Array, neurons: Array, part_of: Array, touched: Array) -> int:
    """How many synapses `neurons` have; marks the parts of the source that they come from in `touched`."""
    synapses = 0
    for n in neurons:
        synapses += int(first[n + 1] - first[n])
        for k in range(first[n], first[n + 1]):
            touched[part_of[by_post[k]]] = True
    return synapses


@compiled
def sort_slice(values: Array, low: int, high: int) -> None:
    """Make `values[low:high]` ascending. By insertion: they are few, and nearly in order as a rule."""
    for k in range(low + 1, high):
        value = values[k]
        j = k
        while j > low and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@compiled
def reach_of_sparse(start: Array, post: Array, part_of: Array, parts: int) -> tuple[Array, Array]:
    """(start, part): the distinct parts that each source reaches, ascending."""
    sources = start.size - 1
    seen = np.full(parts, -1, np.int64)
    found = np.zeros(sources + 1, np.int64)
    for n in range(sources):
        count = 0
        for k in range(start[n], start[n + 1]):
            part = part_of[post[k]]
            if seen[part] != n:
                seen[part] = n
                count += 1
        found[n + 1] = found[n] + count
    reached = np.empty(found[sources], np.int32)
    seen[:] = -1
    for n in range(sources):
        at = found[n]
        for k in range(start[n], start[n + 1]):
            part = part_of[post[k]]
            if seen[part] != n:
                seen[part] = n
                reached[at] = part
                at += 1
        sort_slice(reached, found[n], at)
    return found, reached


@compiled
def join_reach(a_start: Array, a_part: Array, b_start: Array, b_part: Array) -> tuple[Array, Array]:
    """The union of two reaches of one source, neuron by neuron."""
    sources = a_start.size - 1
    start = np.zeros(sources + 1, np.int64)
    part = np.empty(a_part.size + b_part.size, np.int32)
    at = 0
    for n in range(sources):
        i, j = a_start[n], b_start[n]
        while i < a_start[n + 1] or j < b_start[n + 1]:
            from_a = j == b_start[n + 1] or (i < a_start[n + 1] and a_part[i] <= b_part[j])
            value = a_part[i] if from_a else b_part[j]
            while i < a_start[n + 1] and a_part[i] == value:
                i += 1
            while j < b_start[n + 1] and b_part[j] == value:
                j += 1
            part[at] = value
            at += 1
        start[n + 1] = at
    return start, part[:at].copy()


@compiled
def field_of_conv(
    neurons: Array, in_shape: Array, out_shape: Array, nonzero: Array, stride: Array, before: Array,
    dilation: Array, groups: int, seen: Array,
) -> None:  # fmt: skip
    """Mark in `seen` the sources of a convolution's `neurons`.

    Shapes are (channel, y, x); `nonzero` (out, in / groups, y, x) says which weights are not 0, and only those count.
    """
    channels, height, width = in_shape
    area, out_area = height * width, out_shape[1] * out_shape[2]
    per_group = out_shape[0] // groups
    shared = channels // groups
    for n in neurons:
        out, place = n // out_area, n % out_area
        y0 = (place // out_shape[2]) * stride[0] - before[0]
        x0 = (place % out_shape[2]) * stride[1] - before[1]
        base = (out // per_group) * shared
        for i in range(shared):
            for ky in range(nonzero.shape[2]):
                y = y0 + ky * dilation[0]
                if y < 0 or y >= height:
                    continue
                for kx in range(nonzero.shape[3]):
                    x = x0 + kx * dilation[1]
                    if x >= 0 and x < width and nonzero[out, i, ky, kx]:
                        seen[(base + i) * area + y * width + x] = True


@compiled
def take_rows(start: Array, part: Array, who: Array) -> tuple[Array, Array]:
    """The rows `who` of a reach, in that order."""
    taken = np.zeros(who.size + 1, np.int64)
    for n in range(who.size):
        taken[n + 1] = taken[n] + start[who[n] + 1] - start[who[n]]
    found = np.empty(taken[who.size], part.dtype)
    for n in range(who.size):
        found[taken[n] : taken[n + 1]] = part[start[who[n]] : start[who[n] + 1]]
    return taken, found


@compiled
def unite_rows(start: Array, part: Array, first: Array, parts: int) -> tuple[Array, Array]:
    """The union of rows `first[g]` to `first[g + 1]` of a reach for each g, each ascending."""
    groups = first.size - 1
    united = np.zeros(groups + 1, np.int64)
    found = np.empty(part.size, part.dtype)
    seen = np.full(parts, -1, np.int64)
    at = 0
    for g in range(groups):
        for k in range(start[first[g]], start[first[g + 1]]):
            if seen[part[k]] != g:
                seen[part[k]] = g
                found[at] = part[k]
                at += 1
        united[g + 1] = at
        sort_slice(found, united[g], at)
    return united, found[:at].copy()


@compiled
def bitsets(start: Array, part: Array, who: Array, parts: int) -> Array:
    """Rows `who` of a reach as sets of bits, uint64 (rows, words); part 0 is the highest bit of word 0."""
    found = np.zeros((who.size, (parts + 63) // 64), np.uint64)
    for n in range(who.size):
        for k in range(start[who[n]], start[who[n] + 1]):
            found[n, part[k] // 64] |= np.uint64(1) << np.uint64(63 - part[k] % 64)
    return found


@compiled
def sort_rows(start: Array, part: Array) -> None:
    """Make every row of a reach ascending."""
    for n in range(start.size - 1):
        sort_slice(part, start[n], start[n + 1])


@compiled
def join_rows(
    a_start: Array, a_item: Array, b_start: Array, b_item: Array, offset: int
) -> tuple[Array, Array]:
    """The rows of a, each followed by that of b, to whose items `offset` is added."""
    start = a_start + b_start
    item = np.empty(a_item.size + b_item.size, np.int32)
    for n in range(start.size - 1):
        size = a_start[n + 1] - a_start[n]
        item[start[n] : start[n] + size] = a_item[a_start[n] : a_start[n + 1]]
        item[start[n] + size : start[n + 1]] = b_item[b_start[n] : b_start[n + 1]] + offset
    return start, item


@compiled
def count_rows(first: Array, by_post: Array, neurons: Array, count: Array) -> None:
    """Add to `count` (sources,) how many synapses each source has to `neurons`."""
    for n in neurons:
        for k in range(first[n], first[n + 1]):
            count[by_post[k]] += 1
