# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Everything between neurons, event driven: inputs, synapses, windows, delays, sums and recordings.

A signal over time is a ring of steps: step t of sample b stands at `[b, t % slots]`. Spikes are event lists,
`count[b, slot]` and `index[b, slot, k]`; other signals are dense rows. Every kernel ends with the arguments
`first, samples, t0, t1`: it runs the steps t0 <= t < t1 of the samples in memory, whose first is sample `first`
of the run. A source is read `delay` steps back; rings are zero before step 0.

Rows of weights are contiguous per presynaptic neuron. Eight rows are added in one pass, the last ones filled up
with a row of zeros that stands behind the weights; sums of reals go in the order of the events, one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.fixed import fit, shift_right
from nmc.sim.compiled import Kernel, compiled, compiled_with_rules, prefetch
from nmc.sim.events import compact

Array = npt.NDArray[Any]
"""Any: a kernel is compiled once for each dtype that it meets."""

ROWS = 8
"""Rows of weights added in one pass."""


# ---- events -----------------------------------------------------------------------------------------------


@compiled
def nonzeros(row: Array, ids: Array) -> int:
    """The places of what is not zero in `row`, ascending, into `ids`; how many."""
    found = 0
    for j in range(row.shape[0]):
        if row[j] != 0:
            ids[found] = j
            found += 1
    return found


@compiled_with_rules
def take_spikes(digest: int) -> Kernel:
    """Events of an input of zeros and ones; `place` says where an element stands in memory, if it moves."""

    def take_spikes(
        x: Array, place: Array, count: Array, index: Array, first: int, samples: int, t0: int, t1: int
    ) -> None:
        _ = digest
        slots = count.shape[1]
        for b in range(samples):
            for t in range(t0, t1):
                ids = index[b, t % slots]
                found = compact(x[t, first + b], ids)
                if place.shape[0] > 0:
                    for k in range(found):
                        ids[k] = place[ids[k]]
                count[b, t % slots] = found

    return take_spikes


@compiled
def take_values(x: Array, place: Array, values: Array, first: int, samples: int, t0: int, t1: int) -> None:
    """Rows of a graded or real input."""
    slots = values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            row, source = values[b, t % slots], x[t, first + b]
            if place.shape[0] == 0:
                row[:] = source
            else:
                for j in range(place.shape[0]):
                    row[place[j]] = source[j]


@compiled
def keep_spikes(
    count: Array, index: Array, delay: int, kept: Array, first: int, samples: int, t0: int, t1: int
) -> None:
    """Events into a recording of zeros and ones (steps, samples, size) that is zero."""
    slots = count.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            s = (t - delay) % slots
            for k in range(count[b, s]):
                kept[t, first + b, index[b, s, k]] = 1


@compiled
def keep_values(values: Array, delay: int, kept: Array, first: int, samples: int, t0: int, t1: int) -> None:
    """Rows into a recording (steps, samples, size)."""
    slots = values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            kept[t, first + b, :] = values[b, (t - delay) % slots]


# ---- sums -------------------------------------------------------------------------------------------------


@compiled
def clear(values: Array, first: int, samples: int, t0: int, t1: int) -> None:
    """Rows of zeros, for a sum to begin with."""
    slots = values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            values[b, t % slots, :] = 0


@compiled
def add_spikes(
    count: Array, index: Array, delay: int, one: Array, values: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Adds `one[0]` wherever there is a spike."""
    slots, out_slots = count.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            s = (t - delay) % slots
            row = values[b, t % out_slots]
            for k in range(count[b, s]):
                row[index[b, s, k]] += one[0]


@compiled
def add_reals(source: Array, delay: int, values: Array, first: int, samples: int, t0: int, t1: int) -> None:
    """Adds rows."""
    slots, out_slots = source.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            for j in range(row.shape[0]):
                row[j] += x[j]


@compiled_with_rules
def add_integers(digest: int) -> Kernel:
    """Adds rows that are aligned by 2**(left - right) first."""

    def add_integers(
        source: Array, delay: int, left: int, right: int, rounding: int, values: Array,
        first: int, samples: int, t0: int, t1: int,
    ) -> None:  # fmt: skip
        _ = digest
        slots, out_slots = source.shape[1], values.shape[1]
        for b in range(samples):
            for t in range(t0, t1):
                x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
                for j in range(row.shape[0]):
                    row[j] += shift_right(x[j] << left, right, rounding)

    return add_integers


@compiled_with_rules
def finish(digest: int) -> Kernel:
    """Exact sums onto the number of an accumulator: aligned, rounded once, brought into its bits."""

    def finish(
        source: Array, delay: int, left: int, right: int, rounding: int, bits: int, overflow: int, values: Array,
        first: int, samples: int, t0: int, t1: int,
    ) -> None:  # fmt: skip
        _ = digest
        slots, out_slots = source.shape[1], values.shape[1]
        for b in range(samples):
            for t in range(t0, t1):
                x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
                for j in range(row.shape[0]):
                    row[j] = fit(shift_right(x[j] << left, right, rounding), bits, overflow)

    return finish


@compiled
def scale(
    source: Array, delay: int, factor: Array, values: Array, first: int, samples: int, t0: int, t1: int
) -> None:
    """Rows times `factor`, elementwise."""
    slots, out_slots = source.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            for j in range(row.shape[0]):
                row[j] = x[j] * factor[j]


@compiled
def divide(
    source: Array, delay: int, size: Array, values: Array, first: int, samples: int, t0: int, t1: int
) -> None:
    """Rows divided by `size`, elementwise."""
    slots, out_slots = source.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            for j in range(row.shape[0]):
                row[j] = x[j] / size[j]


# ---- dense rows of weights --------------------------------------------------------------------------------


@compiled
def begin_with(row: Array, bias: Array) -> None:
    """A row before anything is added: the bias, or zeros where it is empty."""
    if bias.shape[0] == 0:
        row[:] = 0
    else:
        row[:] = bias


@compiled
def rows_of_integers(
    count: Array, index: Array, delay: int, weight: Array, bias: Array, kind: Array, limit: int, values: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Integer rows of spikes, in partial sums of at most `limit` rows, which the dtype of `kind` holds."""
    slots, out_slots, zero = count.shape[1], values.shape[1], weight.shape[0] - 1
    part = np.empty(values.shape[2], kind.dtype)
    for n in range(samples):
        for t in range(t0, t1):
            s = (t - delay) % slots
            ids, found = index[n, s], count[n, s]
            row = values[n, t % out_slots]
            begin_with(row, bias)
            for start in range(0, found, limit):
                stop = min(start + limit, found)
                part[:] = 0
                for k in range(start, stop, ROWS):
                    a = weight[ids[k]]
                    b = weight[ids[k + 1] if k + 1 < stop else zero]
                    c = weight[ids[k + 2] if k + 2 < stop else zero]
                    d = weight[ids[k + 3] if k + 3 < stop else zero]
                    e = weight[ids[k + 4] if k + 4 < stop else zero]
                    f = weight[ids[k + 5] if k + 5 < stop else zero]
                    g = weight[ids[k + 6] if k + 6 < stop else zero]
                    h = weight[ids[k + 7] if k + 7 < stop else zero]
                    for j in range(part.shape[0]):
                        part[j] += a[j] + b[j] + c[j] + d[j] + e[j] + f[j] + g[j] + h[j]
                for j in range(part.shape[0]):
                    row[j] += part[j]


@compiled
def rows_of_reals(
    count: Array, index: Array, delay: int, weight: Array, bias: Array, values: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Real rows of spikes, added to the bias one by one in the order of the spikes."""
    slots, out_slots, zero = count.shape[1], values.shape[1], weight.shape[0] - 1
    for n in range(samples):
        for t in range(t0, t1):
            s = (t - delay) % slots
            ids, found = index[n, s], count[n, s]
            row = values[n, t % out_slots]
            begin_with(row, bias)
            for k in range(0, found, ROWS):
                a = weight[ids[k]]
                b = weight[ids[k + 1] if k + 1 < found else zero]
                c = weight[ids[k + 2] if k + 2 < found else zero]
                d = weight[ids[k + 3] if k + 3 < found else zero]
                e = weight[ids[k + 4] if k + 4 < found else zero]
                f = weight[ids[k + 5] if k + 5 < found else zero]
                g = weight[ids[k + 6] if k + 6 < found else zero]
                h = weight[ids[k + 7] if k + 7 < found else zero]
                for j in range(row.shape[0]):
                    row[j] = row[j] + a[j] + b[j] + c[j] + d[j] + e[j] + f[j] + g[j] + h[j]


@compiled
def rows_of_values(
    source: Array, delay: int, weight: Array, bias: Array, values: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Rows of graded or real signals, each times its value; zeros are skipped."""
    slots, out_slots = source.shape[1], values.shape[1]
    ids = np.empty(source.shape[2], np.int32)
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            begin_with(row, bias)
            for k in range(nonzeros(x, ids)):
                a, value = weight[ids[k]], x[ids[k]]
                for j in range(row.shape[0]):
                    row[j] += a[j] * value


# ---- single synapses with delays --------------------------------------------------------------------------

LINE = 64
"""Bytes of a cache line."""


@compiled
def synapses_packed(
    count: Array, index: Array, delay: int, start: Array, word: Array, post_bits: int, delay_bits: int,
    lowest: int, reach: int, values: Array, first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Synapses of a neuron in words of post, delay and weight - lowest, from the low bits up.

    Delays go up to `reach`: step t adds to the rows of t .. t + reach, of which the last is cleared first.
    """
    slots, out_slots, size = count.shape[1], values.shape[1], values.shape[2]
    # Places are unsigned: of a signed one numba asks whether it counts from the end.
    post_mask, delay_mask = np.uint64((1 << post_bits) - 1), np.uint64((1 << delay_bits) - 1)
    delay_at, weight_at = np.uint64(post_bits), np.uint64(post_bits + delay_bits)
    begin = np.empty(1 << delay_bits, np.uint64)
    for b in range(samples):
        flat = values[b].reshape(-1)
        for t in range(t0, t1):
            for d in range(reach + 1):
                begin[d] = (t + d) % out_slots * size
            values[b, (t + reach) % out_slots, :] = 0
            s = (t - delay) % slots
            ids, found = index[b, s], count[b, s]
            for k in range(found):
                if k + 2 < found:
                    # Rows lie anywhere in memory; two rows ahead, they arrive in time.
                    for e in range(start[ids[k + 2]], start[ids[k + 2] + 1], LINE // word.itemsize):
                        prefetch(word, e)
                for packed in word[start[ids[k]] : start[ids[k] + 1]]:
                    w = np.uint64(packed)
                    at = begin[(w >> delay_at) & delay_mask] + (w & post_mask)
                    flat[at] += np.int64(w >> weight_at) + lowest


@compiled
def synapses(
    count: Array, index: Array, delay: int, start: Array, post: Array, later: Array, weight: Array, reach: int,
    values: Array, first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Synapses as `synapses_packed`, with post, delay (`later`) and weight in arrays of their own."""
    slots, out_slots, size = count.shape[1], values.shape[1], values.shape[2]
    begin = np.empty(reach + 1, np.uint64)
    for b in range(samples):
        flat = values[b].reshape(-1)
        for t in range(t0, t1):
            for d in range(reach + 1):
                begin[d] = (t + d) % out_slots * size
            values[b, (t + reach) % out_slots, :] = 0
            s = (t - delay) % slots
            for k in range(count[b, s]):
                pre = index[b, s, k]
                for e in range(start[pre], start[pre + 1]):
                    flat[begin[later[e]] + np.uint64(post[e])] += weight[e]


@compiled
def synapses_of_values(
    source: Array, delay: int, start: Array, post: Array, later: Array, weight: Array, reach: int,
    values: Array, first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Synapses of graded or real signals, each times its value; zeros are skipped."""
    slots, out_slots, size = source.shape[1], values.shape[1], values.shape[2]
    begin = np.empty(reach + 1, np.uint64)
    for b in range(samples):
        flat = values[b].reshape(-1)
        for t in range(t0, t1):
            for d in range(reach + 1):
                begin[d] = (t + d) % out_slots * size
            values[b, (t + reach) % out_slots, :] = 0
            x = source[b, (t - delay) % slots]
            for pre in range(x.shape[0]):
                if x[pre] != 0:
                    for e in range(start[pre], start[pre + 1]):
                        flat[begin[later[e]] + np.uint64(post[e])] += weight[e] * x[pre]


# ---- windows: convolutions and pools, channel last --------------------------------------------------------


@compiled
def conv(
    count: Array, index: Array, delay: int, start: Array, target: Array, tap: Array, length: Array, group: Array,
    weight: Array, bias: Array, values: Array, first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Spikes through a convolution; weight (in channel, taps as runs need them, flattened).

    Runs start[p] .. start[p + 1] say what a place p in space gives: `length` weights from `tap` on are added to
    the outputs from `target` on; `group` is how far into a place's channels an input channel's outputs begin.
    """
    slots, out_slots = count.shape[1], values.shape[1]
    channels = weight.shape[0]
    for b in range(samples):
        for t in range(t0, t1):
            s = (t - delay) % slots
            row = values[b, t % out_slots]
            begin_with(row, bias)
            for k in range(count[b, s]):
                p = index[b, s, k] // channels
                c = index[b, s, k] - p * channels
                for e in range(start[p], start[p + 1]):
                    at = target[e] + group[c]
                    part, weights = row[at : at + length[e]], weight[c, tap[e] : tap[e] + length[e]]
                    for q in range(part.shape[0]):
                        part[q] += weights[q]


@compiled
def conv_of_values(
    source: Array, delay: int, start: Array, target: Array, tap: Array, length: Array, group: Array,
    weight: Array, bias: Array, values: Array, first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Graded or real signals through a convolution; zeros are skipped."""
    slots, out_slots = source.shape[1], values.shape[1]
    channels = weight.shape[0]
    ids = np.empty(source.shape[2], np.int32)
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            begin_with(row, bias)
            for k in range(nonzeros(x, ids)):
                p = ids[k] // channels
                c = ids[k] - p * channels
                value = x[ids[k]]
                for e in range(start[p], start[p + 1]):
                    at = target[e] + group[c]
                    part, weights = row[at : at + length[e]], weight[c, tap[e] : tap[e] + length[e]]
                    for q in range(part.shape[0]):
                        part[q] += weights[q] * value


@compiled
def pool_spikes(
    count: Array, index: Array, delay: int, channels: int, start: Array, target: Array, values: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Sums of spikes over windows; `start` and `target` as in `conv`."""
    slots, out_slots = count.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            s = (t - delay) % slots
            row = values[b, t % out_slots]
            row[:] = 0
            for k in range(count[b, s]):
                p = index[b, s, k] // channels
                c = index[b, s, k] - p * channels
                for e in range(start[p], start[p + 1]):
                    row[target[e] + c] += 1


@compiled
def pool_values(
    source: Array, delay: int, channels: int, start: Array, target: Array, values: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Sums of graded or real signals over windows."""
    slots, out_slots = source.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            row[:] = 0
            for p in range(start.shape[0] - 1):
                for e in range(start[p], start[p + 1]):
                    for c in range(channels):
                        row[target[e] + c] += x[p * channels + c]


@compiled_with_rules
def pool_any(digest: int) -> Kernel:
    """The maximum of spikes over windows: a spike where a window has one."""

    def pool_any(
        count: Array, index: Array, delay: int, channels: int, start: Array, target: Array,
        out_count: Array, out_index: Array, size: int, first: int, samples: int, t0: int, t1: int,
    ) -> None:  # fmt: skip
        _ = digest
        slots, out_slots = count.shape[1], out_count.shape[1]
        mark = np.zeros(size, np.uint8)
        for b in range(samples):
            for t in range(t0, t1):
                s = (t - delay) % slots
                for k in range(count[b, s]):
                    p = index[b, s, k] // channels
                    c = index[b, s, k] - p * channels
                    for e in range(start[p], start[p + 1]):
                        mark[target[e] + c] = 1
                ids = out_index[b, t % out_slots]
                found = compact(mark, ids)
                out_count[b, t % out_slots] = found
                for k in range(found):
                    mark[ids[k]] = 0

    return pool_any


@compiled
def pool_maximum(
    source: Array, delay: int, channels: int, start: Array, origin: Array, values: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """The maximum over windows: entries start[o] .. start[o + 1] of `origin` are what output place o sees.

    A window that sees nothing but padding gives zero.
    """
    slots, out_slots = source.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            for o in range(start.shape[0] - 1):
                for c in range(channels):
                    best = row.dtype.type(0)
                    for e in range(start[o], start[o + 1]):
                        value = x[origin[e] + c]
                        if e == start[o] or value > best:
                            best = value
                    row[o * channels + c] = best


# ---- places and delays of elements ------------------------------------------------------------------------


@compiled
def move_spikes(
    count: Array, index: Array, delay: int, place: Array, out_count: Array, out_index: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """The same spikes at other places."""
    slots, out_slots = count.shape[1], out_count.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            s, o = (t - delay) % slots, t % out_slots
            for k in range(count[b, s]):
                out_index[b, o, k] = place[index[b, s, k]]
            out_count[b, o] = count[b, s]


@compiled
def move_values(
    source: Array, delay: int, place: Array, values: Array, first: int, samples: int, t0: int, t1: int
) -> None:
    """The same values at other places."""
    slots, out_slots = source.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            x, row = source[b, (t - delay) % slots], values[b, t % out_slots]
            for j in range(place.shape[0]):
                row[place[j]] = x[j]


@compiled
def delay_spikes(
    count: Array, index: Array, delay: int, later: Array, reach: int, out_count: Array, out_index: Array,
    first: int, samples: int, t0: int, t1: int,
) -> None:  # fmt: skip
    """Each spike `later[element]` steps later, `reach` at most."""
    slots, out_slots = count.shape[1], out_count.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            out_count[b, (t + reach) % out_slots] = 0
            s = (t - delay) % slots
            for k in range(count[b, s]):
                j = index[b, s, k]
                o = (t + later[j]) % out_slots
                out_index[b, o, out_count[b, o]] = j
                out_count[b, o] += 1


@compiled
def delay_values(
    source: Array, delay: int, later: Array, values: Array, first: int, samples: int, t0: int, t1: int
) -> None:
    """Each value `later[element]` steps later."""
    slots, out_slots = source.shape[1], values.shape[1]
    for b in range(samples):
        for t in range(t0, t1):
            row = values[b, t % out_slots]
            for j in range(row.shape[0]):
                row[j] = source[b, (t - delay - later[j]) % slots, j]
