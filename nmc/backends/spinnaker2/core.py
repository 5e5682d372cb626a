# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""One PE as the machine runs it: on the bytes of its memory, as its firmware does, and counting what that takes.

Kernels see all memories as one array of words (`views`); `base` is where a PE's memory image begins, in bytes, so
that the address a of the PE is byte `base + a - BASE`. Neurons follow the rules of `nmc.ir.neuron`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nmc.backends.spinnaker2.image import (
    BASE,
    W_BIAS,
    W_BLOCKS,
    W_CELLS,
    W_DECAY,
    W_KEY,
    W_LAST_SLOT,
    W_LOOKUP,
    W_MINIMUM,
    W_NEURONS,
    W_REFRACTORY,
    W_RING,
    W_SOURCES,
    W_STRIDE,
    W_SYNAPSE_DECAY,
    W_THRESHOLD,
    W_TICK,
)
from nmc.backends.spinnaker2.program import Array
from nmc.ir.neuron import current_integer, current_real, exceeds, step_integer, step_real
from nmc.sim.compiled import compiled, compiled_with_rules

# What a PE does in a tick, counted: costs are per count. Of an update: calls, neurons, and how each of them went.
# Of packets: calls (up to INBOX packets each), packets, steps of the lookup that went down and up, packets with keys
# below all sources and between them, blocks, blocks without the row, empty rows; then of each format rows that are not
# empty and what rows consist of.
(
    TICKS, CALLS, NEURONS, SPIKES, RESTING, LATE, SPIKES_LATE,
    BATCHES, PACKETS, DOWN, UP, BELOW, UNKNOWN, BLOCKS, OUTSIDE, EMPTY,
    DENSE_ROWS, DENSE_ITEMS, NARROW_ROWS, NARROW_ITEMS, DELAYED_ROWS, DELAYED_ITEMS, WIDE_ROWS, WIDE_ITEMS,
    CONV_EVENTS, CONV_EMPTY, CONV_ROWS, CONV_TAPS, CONV_ITEMS, SUMS_ADDED,
) = range(30)  # fmt: skip
COUNTS = 30

# Columns of the table of PEs that kernels read: where it is, and the switches of its kind.
(
    P_BASE, P_NEURON, P_SENDS, P_REAL, P_SUM_BITS, P_SYNAPSE, P_LEAK, P_FIRE, P_RESET, P_WHEN, P_AT_LEAST, P_CLAMP,
    P_REFRACTORY, P_BIAS, P_GRADED, P_DECAY_BITS, P_SHIFT, P_WORDS, P_AT_I, P_AT_WAIT, P_AT_DECAY,
    P_AT_SYNAPSE_DECAY, P_AT_BIAS, P_AT_THRESHOLD, P_AT_MINIMUM, P_AT_REFRACTORY, P_FIRST,
) = range(27)  # fmt: skip
COLUMNS = 27

SATURATE = 3
"""`nmc.ir.fixed.Overflow`."""
NEVER = 1 << 62
"""A threshold that no membrane reaches."""


@compiled
def word(words: Array, base: int, address: int) -> int:
    """The signed word at an address of a PE."""
    return int(words[(base + address - BASE) >> 2])


@compiled
def unsigned(words: Array, base: int, address: int) -> int:
    """The unsigned word at an address."""
    return int(words[(base + address - BASE) >> 2]) & 0xFFFFFFFF


@compiled
def half(words: Array, base: int, address: int) -> int:
    """The unsigned half word at an even address."""
    return (unsigned(words, base, address & ~3) >> ((address & 2) << 3)) & 0xFFFF


@compiled
def signed_half(words: Array, base: int, address: int) -> int:
    """The signed half word at an even address."""
    value = half(words, base, address)
    return value - 65536 if value >= 32768 else value


@compiled
def byte(words: Array, base: int, address: int) -> int:
    """The signed byte at an address."""
    value = (unsigned(words, base, address & ~3) >> ((address & 3) << 3)) & 0xFF
    return value - 256 if value >= 128 else value


@compiled
def add_sum(words: Array, halves: Array, base: int, ring: int, bits: int, index: int, value: int) -> None:
    """Add to a sum of the ring. It is proved that none overflows."""
    at = base + ring - BASE
    if bits == 16:
        halves[(at >> 1) + index] += value
    else:
        words[(at >> 2) + index] += value


@compiled
def add_run(
    words: Array,
    halves: Array,
    base: int,
    ring: int,
    bits: int,
    first: int,
    count: int,
    weights: int,
    value: int,
) -> int:
    """Add `count` weights from an address on to the sums from `first` on; how many times the firmware's loop runs."""
    if bits == 16:
        for k in range(count):
            quarter = k & 3
            place = (k & ~3) + (2 if quarter == 1 else 1 if quarter == 2 else quarter)
            add_sum(words, halves, base, ring, bits, first + k, byte(words, base, weights + place))
        return (count + 3) >> 2
    for k in range(count):
        add_sum(words, halves, base, ring, bits, first + k, byte(words, base, weights + k) * value)
    return count


@compiled
def convolve(
    words: Array,
    halves: Array,
    base: int,
    ring: int,
    bits: int,
    table: int,
    row: int,
    value: int,
    counts: Array,
) -> None:
    """The format CONV: `conv` of packets.c."""
    identity = row + unsigned(words, base, table + 12)
    radix0, radix1 = unsigned(words, base, table + 16), unsigned(words, base, table + 20)
    rest = identity // radix0
    digits = (identity - rest * radix0, rest % radix1, rest // radix1)
    channel = digits[byte(words, base, table + 24)] + half(words, base, table + 28)
    y = digits[byte(words, base, table + 25)] + half(words, base, table + 30)
    x = digits[byte(words, base, table + 26)] + half(words, base, table + 32)
    channels, rows, columns = (
        unsigned(words, base, table), unsigned(words, base, table + 4), unsigned(words, base, table + 8)
    )  # fmt: skip
    kernels = unsigned(words, base, channels + 8 * channel)
    served = unsigned(words, base, channels + 8 * channel + 4)
    first, count = served & 0xFFFF, served >> 16
    if count == 0:
        counts[CONV_EMPTY] += 1
        return
    counts[CONV_EVENTS] += 1
    in_y, in_x = unsigned(words, base, rows + 4 * y), unsigned(words, base, columns + 4 * x)
    depth, width = half(words, base, table + 34), half(words, base, table + 36)
    kernel_width = half(words, base, table + 38)
    tap_step_y, tap_step_x = signed_half(words, base, table + 40), signed_half(words, base, table + 42)
    place_step_y, place_step_x = signed_half(words, base, table + 44), signed_half(words, base, table + 46)
    size = (count + 3) & ~3
    tap_y, place_y = in_y & 255, in_y >> 16
    for _ in range(in_y >> 8 & 255):
        counts[CONV_ROWS] += 1
        tap, place = tap_y * kernel_width + (in_x & 255), place_y * width + (in_x >> 16)
        for _ in range(in_x >> 8 & 255):
            counts[CONV_TAPS] += 1
            counts[CONV_ITEMS] += add_run(
                words, halves, base, ring, bits, place * depth + first, count, kernels + tap * size, value
            )
            tap += tap_step_x
            place += place_step_x
        tap_y += tap_step_y
        place_y += place_step_y


@compiled
def take_packet(words: Array, halves: Array, pe: Array, key: int, value: int, counts: Array) -> None:
    """What a packet adds to the sums of a PE: `packets` of packets.c for one packet."""
    base, bits, graded = pe[P_BASE], pe[P_SUM_BITS], pe[P_GRADED]
    head = base >> 2
    counts[PACKETS] += 1
    low, high = 0, words[head + W_SOURCES]
    lookup = words[head + W_LOOKUP]
    while low < high:
        middle = (low + high) >> 1
        if unsigned(words, base, lookup + 12 * middle) > key:
            high = middle
            counts[DOWN] += 1
        else:
            low = middle + 1
            counts[UP] += 1
    if low == 0:
        counts[BELOW] += 1
        return
    entry = lookup + 12 * (low - 1)
    mask = unsigned(words, base, entry + 4)
    if key & mask != unsigned(words, base, entry):
        counts[UNKNOWN] += 1
        return
    neuron = key & ~mask
    blocks = unsigned(words, base, entry + 8)
    first, count = blocks & 0xFFFF, blocks >> 16
    tick, last_slot, stride = words[head + W_TICK], words[head + W_LAST_SLOT], words[head + W_STRIDE]
    ring, neurons = words[head + W_RING], words[head + W_NEURONS]
    slot_bytes = stride * (bits >> 3)
    times = value if graded == 1 else 1
    for b in range(first, first + count):
        counts[BLOCKS] += 1
        block = words[head + W_BLOCKS] + 20 * b
        layout = byte(words, base, block)
        delay = half(words, base, block + 2)
        row = neuron - unsigned(words, base, block + 4)
        if row < 0 or row >= unsigned(words, base, block + 8):
            counts[OUTSIDE] += 1
            continue
        table, data = unsigned(words, base, block + 12), unsigned(words, base, block + 16)
        slot = ring + ((tick + delay) & last_slot) * slot_bytes
        if layout == 0:
            counts[DENSE_ROWS] += 1
            size = (neurons + 3) & ~3
            counts[DENSE_ITEMS] += add_run(
                words, halves, base, slot, bits, 0, neurons, data + row * size, times
            )
        elif layout <= 3:
            start, stop = unsigned(words, base, table + 4 * row), unsigned(words, base, table + 4 * row + 4)
            counts[NARROW_ROWS + 2 * (layout - 1) if stop > start else EMPTY] += 1
            counts[NARROW_ITEMS + 2 * (layout - 1)] += stop - start
            for k in range(start, stop):
                if layout == 3:
                    w = unsigned(words, base, data + 4 * k)
                    weight, further, target = w >> 24, w >> 16 & 255, w & 65535
                    weight = weight - 256 if weight >= 128 else weight
                else:
                    w = half(words, base, data + 2 * k)
                    if layout == 1:
                        weight, further, target = w >> 8, 0, w & 255
                        weight = weight - 256 if weight >= 128 else weight
                    else:
                        weight, further, target = w >> 12, w >> 9 & 7, w & 511
                        weight = weight - 16 if weight >= 8 else weight
                index = ((tick + delay + further) & last_slot) * stride + target
                add_sum(words, halves, base, ring, bits, index, weight * times)
        elif layout == 4:
            convolve(words, halves, base, slot, bits, table, row, times, counts)
        else:
            counts[SUMS_ADDED] += 1
            add_sum(words, halves, base, ring + (tick & last_slot) * slot_bytes, bits, row, value)


@compiled
def take_sum(words: Array, halves: Array, base: int, ring: int, bits: int, index: int) -> int:
    """The sum at an index of the ring, which becomes 0."""
    at = base + ring - BASE
    if bits == 16:
        value = int(halves[(at >> 1) + index])
        halves[(at >> 1) + index] = 0
    else:
        value = int(words[(at >> 2) + index])
        words[(at >> 2) + index] = 0
    return value


@compiled
def send_sums(words: Array, halves: Array, pe: Array, keys: Array, values: Array, counts: Array) -> int:
    """The tick of a PE that sums for others: keys and values of what it sends, and how many."""
    base, bits = pe[P_BASE], pe[P_SUM_BITS]
    head = base >> 2
    neurons, key = words[head + W_NEURONS], unsigned(words, base, BASE + 4 * W_KEY)
    slot = (words[head + W_TICK] & words[head + W_LAST_SLOT]) * words[head + W_STRIDE]
    sent = 0
    for k in range(neurons):
        value = take_sum(words, halves, base, words[head + W_RING], bits, slot + k)
        if value != 0:
            keys[sent], values[sent] = key + k, value
            sent += 1
    counts[TICKS] += 1
    counts[CALLS] += (neurons + 63) >> 6
    counts[NEURONS] += neurons
    counts[SPIKES] += sent
    words[head + W_TICK] += 1
    return sent


@compiled
def parameter(pe: Array, column: int, cell: int, head: int, shared: int) -> int:
    """Where a parameter of a neuron stands: in its cell, or with those that all neurons of the PE share."""
    return cell + pe[column] if pe[column] >= 0 else head + shared


@compiled_with_rules
def step_in_integers(digest: int) -> Any:
    """One step of one neuron in integers."""

    def step(words: Any, pe: Array, c: int, head: int, x: int, sends: bool) -> tuple[int, bool]:
        """What the neuron at word `c` sends, 0 for nothing, and whether it was past its threshold before."""
        _ = digest
        n, fire, when = pe[P_DECAY_BITS], pe[P_FIRE], pe[P_WHEN]
        drive = x << pe[P_SHIFT]
        if pe[P_SYNAPSE] == 1:
            decay = words[parameter(pe, P_AT_SYNAPSE_DECAY, c, head, W_SYNAPSE_DECAY)]
            at = c + pe[P_AT_I]
            drive = current_integer(int(words[at]), drive, int(decay), n, 1, 0, 31, SATURATE)
            words[at] = drive
        if pe[P_BIAS] == 1:
            drive += int(words[parameter(pe, P_AT_BIAS, c, head, W_BIAS)])
        mantissa = 1 << n
        if pe[P_LEAK] == 1:
            mantissa = int(words[parameter(pe, P_AT_DECAY, c, head, W_DECAY)])
        wait, period = 0, 0
        if pe[P_REFRACTORY] == 1:
            wait = int(words[c + pe[P_AT_WAIT]])
            period = int(words[parameter(pe, P_AT_REFRACTORY, c, head, W_REFRACTORY)])
        old = int(words[c])
        threshold = int(words[parameter(pe, P_AT_THRESHOLD, c, head, W_THRESHOLD)]) if fire == 1 else NEVER
        late = when > 0 and exceeds(old, threshold, pe[P_AT_LEAST])
        state, wait, spikes = step_integer(
            old, wait, drive, mantissa, threshold, 0, int(words[parameter(pe, P_AT_MINIMUM, c, head, W_MINIMUM)]),
            period, n, 1, 0, 32, SATURATE, False, pe[P_AT_LEAST], 0, pe[P_RESET], when, pe[P_CLAMP] == 1,
        )  # fmt: skip
        words[c] = state
        if pe[P_REFRACTORY] == 1:
            words[c + pe[P_AT_WAIT]] = wait
        if fire == 1:
            return spikes, late
        return state if sends else 0, late

    return step


@compiled_with_rules
def step_in_floats(digest: int) -> Any:
    """One step of one neuron in single precision."""
    number: Any = np.float32

    def step(words: Any, reals: Any, pe: Array, c: int, head: int, x: int) -> tuple[int, bool]:
        """As `step_in_integers`; values are not sent."""
        _ = digest
        fire, when, one, zero = pe[P_FIRE], pe[P_WHEN], number(1), number(0)
        drive = number(x)
        if pe[P_SYNAPSE] == 1:
            decay = reals[parameter(pe, P_AT_SYNAPSE_DECAY, c, head, W_SYNAPSE_DECAY)]
            drive = current_real(reals[c + pe[P_AT_I]], drive, decay, one)
            reals[c + pe[P_AT_I]] = drive
        bias = reals[parameter(pe, P_AT_BIAS, c, head, W_BIAS)] if pe[P_BIAS] == 1 else zero
        leak = reals[parameter(pe, P_AT_DECAY, c, head, W_DECAY)] if pe[P_LEAK] == 1 else one
        wait, period = 0, 0
        if pe[P_REFRACTORY] == 1:
            wait = int(words[c + pe[P_AT_WAIT]])
            period = int(words[parameter(pe, P_AT_REFRACTORY, c, head, W_REFRACTORY)])
        old = reals[c]
        threshold = (
            reals[parameter(pe, P_AT_THRESHOLD, c, head, W_THRESHOLD)] if fire == 1 else number(np.inf)
        )
        late = when > 0 and exceeds(old, threshold, pe[P_AT_LEAST])
        state, wait, spikes = step_real(
            old, wait, drive, leak, one, bias, threshold, zero,
            reals[parameter(pe, P_AT_MINIMUM, c, head, W_MINIMUM)], period, pe[P_AT_LEAST], 0, pe[P_RESET], when,
            pe[P_CLAMP] == 1, number,
        )  # fmt: skip
        reals[c] = state
        if pe[P_REFRACTORY] == 1:
            words[c + pe[P_AT_WAIT]] = wait
        return spikes, late

    return step


@compiled
def update(
    words: Any, halves: Array, reals: Any, pe: Array, keys: Array, values: Array, counts: Array
) -> int:
    """One step of all neurons of a PE: keys and values of what they send, and how many that is."""
    base, bits = pe[P_BASE], pe[P_SUM_BITS]
    head = base >> 2
    neurons, key = words[head + W_NEURONS], unsigned(words, base, BASE + 4 * W_KEY)
    slot = (words[head + W_TICK] & words[head + W_LAST_SLOT]) * words[head + W_STRIDE]
    cells = (base + words[head + W_CELLS] - BASE) >> 2
    sends = pe[P_SENDS] == 1
    sent = 0
    for k in range(neurons):
        x = take_sum(words, halves, base, words[head + W_RING], bits, slot + k)
        c = cells + k * pe[P_WORDS]
        if pe[P_REFRACTORY] == 1 and words[c + pe[P_AT_WAIT]] > 0:
            counts[RESTING] += 1
        if pe[P_REAL] == 1:
            message, late = step_in_floats(words, reals, pe, c, head, x)
        else:
            message, late = step_in_integers(words, pe, c, head, x, sends)
        counts[LATE] += late
        if message != 0:
            keys[sent], values[sent] = key + k, message
            sent += 1
            counts[SPIKES_LATE] += late
    counts[TICKS] += 1
    counts[CALLS] += (neurons + 63) >> 6
    counts[NEURONS] += neurons
    counts[SPIKES] += sent
    words[head + W_TICK] += 1
    return sent


@compiled_with_rules
def tick(digest: int) -> Any:
    """One tick of all PEs."""

    def tick(
        words: Any, halves: Array, reals: Any, pes: Array, order: Array, key: Array, first: Array, target: Array,
        entering: Array, given: Array, keys: Array, sender: Array, value: Array, counts: Array, sums: Array,
    ) -> int:  # fmt: skip
        """Sums, updates, packets; how many packets there were. `sender` and `value` are what they say.

        `order` has the PEs that sum for others first. Packets of sender s go to `target[first[s]:first[s + 1]]`;
        `entering` are senders of inputs, `given` what they say.
        """
        _ = digest
        made = 0
        boxes = np.zeros(pes.shape[0], np.int64)
        delivered = 0
        for at in range(order.size):
            p = order[at]
            if pes[p, P_NEURON] == 1 and delivered == 0:
                deliver(words, halves, pes, key, first, target, sender, value, 0, made, counts, boxes)
                sums[0] = made
                delivered = 1
            if pes[p, P_NEURON] == 0:
                sent = send_sums(words, halves, pes[p], keys, value[made:], counts[p])
            else:
                sent = update(words, halves, reals, pes[p], keys, value[made:], counts[p])
            own = unsigned(words, pes[p, P_BASE], BASE + 4 * W_KEY)
            for k in range(sent):
                sender[made + k] = pes[p, P_FIRST] + keys[k] - own
            made += sent
        for k in range(entering.size):
            sender[made] = entering[k]
            value[made] = given[k]
            made += 1
        deliver(words, halves, pes, key, first, target, sender, value, sums[0], made, counts, boxes)
        return made

    return tick


@compiled
def deliver(
    words: Array, halves: Array, pes: Array, key: Array, first: Array, target: Array, sender: Array, value: Array,
    start: int, stop: int, counts: Array, boxes: Array,
) -> None:  # fmt: skip
    """Take packets `start` to `stop` to all their PEs, and count how often each PE looks into its inbox."""
    boxes[:] = 0
    for e in range(start, stop):
        s = sender[e]
        for k in range(first[s], first[s + 1]):
            p = target[k]
            take_packet(words, halves, pes[p], key[s], value[e], counts[p])
            boxes[p] += 1
    for p in range(boxes.size):
        counts[p, BATCHES] += (boxes[p] + 31) >> 5


@compiled
def packet_cycles(
    words: Array, halves: Array, table: Array, first: Array, target: Array, key: Array, cycles: Array
) -> Array:
    """The cycles of the packets of each sender at each of its PEs: its rows do not depend on what happened before."""
    found = np.zeros(target.size, np.float64)
    counts = np.zeros(COUNTS, np.int64)
    for s in range(first.size - 1):
        for k in range(first[s], first[s + 1]):
            counts[:] = 0
            take_packet(words, halves, table[target[k]], key[s], 1, counts)
            for c in range(COUNTS):
                found[k] += counts[c] * cycles[target[k], c]
    return found
