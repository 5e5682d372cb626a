# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""The machine: the design cycle by cycle, from the emitted files, equal to the RTL at every output event.

What happens inside a core between two events of its streams is not seen from outside, so a whole row of weights is
added when an event is taken and a whole sweep is computed when a tick is taken; what comes out of it is released in
the cycle in which the RTL would. Neurons follow the rules of `nmc.ir.neuron` that golden compiles too.

Cycle 0 is the first without reset. The stimulus comes as the emitted test bench drives it, back-pressure included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmc.backends.fpga import files
from nmc.backends.fpga.program import Design, Layer, Sink, Source, index_bits
from nmc.ir.fixed import Overflow
from nmc.ir.neuron import current_integer, step_integer
from nmc.ir.ops import Shape
from nmc.ir.tensor import Array
from nmc.sim.compiled import compiled, compiled_with_rules
from nmc.sim.trace import SimResult


@dataclass(frozen=True, slots=True)
class Events:
    """What left at the outputs in one sample, in order: (events, 5): sink, cycle, tick, id, value."""

    rows: Array
    cycles: int


@dataclass(frozen=True, slots=True)
class Run:
    """What happened. `v`, `i` and `fired` are (steps, samples, N) by population, recorded ones only."""

    events: tuple[Events, ...]
    v: Mapping[str, Array]
    i: Mapping[str, Array]
    fired: Mapping[str, Array]
    spikes: Mapping[str, int]


# ---- tables -------------------------------------------------------------------------------------------------

# What is fixed of a layer, one row each.
(
    WORDS, SWEEP, GROUPS, DEPTH, TABLE, PIPELINE, BASE, RING, RING_SIZE, SHIFT, SYNAPSE, V_BITS, V_OVERFLOW, I_BITS,
    I_OVERFLOW, DECAY_BITS, V_FORM, I_FORM, FIRE, AT_LEAST, RESET, WHEN, CLAMP, LEGS, LEG_AT, SIZE, PLACES, FIRST_AT,
    ROWS_AT, WEIGHT_AT, AT_ONCE, LANES, GRADED,
) = range(33)  # fmt: skip

# What changes in a layer, cycle by cycle: the registers of nmc_rows_*, nmc_update, nmc_fifo and nmc_merge. Events
# between a sweep and the output stand in a ring: made (GEN), in the queue's memory from PUSH on, taken out from POP on,
# at the output (OUT).
(
    BUSY, TICK, LEFT, V1, V2, T1, T2, ID1, ID2, X1, X2, IDLE_FROM, GEN, PUSH, POP, OUT, OUT_VALID, COUNT, WHICH, STEP,
    SPIKES,
) = range(21)  # fmt: skip

# A leg, fixed and changing: who gives it, its delay, its first id, the words of its queue and where they stand; then
# where it is read, how many words are in memory, whether one is at the output, and the ticks that still come first.
L_SRC, L_DELAY, L_OFFSET, L_DEPTH, L_AT, L_READ, L_COUNT, L_VALID, L_AHEAD = range(9)

# An event: tick, id, value; in a ring also whether it ends its word, and the cycle in which the word is queued.
E_TICK, E_ID, E_VALUE, E_LAST, E_CYCLE = range(5)

PATIENCE = 1 << 22
"""Cycles without any event after which a design counts as stuck."""


class Tables:
    """A design as the flat arrays that the kernel walks."""

    def __init__(self, design: Design) -> None:
        self.design = design
        layers = design.layers
        index = {each.name: k for k, each in enumerate((*design.sources, *layers))}
        legs = [leg for layer in layers for leg in layer.legs] + [sink.leg for sink in design.sinks]
        self.legs = np.zeros((len(legs), 9), np.int64)
        queue = 0
        for k, leg in enumerate(legs):
            self.legs[k, : L_AT + 1] = (index[leg.src], leg.delay, leg.offset, leg.depth, queue)
            self.legs[k, L_AHEAD] = leg.delay
            queue += leg.depth + 1
        self.queue_words = queue
        self.integers = np.zeros((len(layers), 33), np.int64)
        matrices = [_matrices(layer) for layer in layers]
        base = ring = first = rows = weight = leg_at = 0
        for k, layer in enumerate(layers):
            dense, runs, synapses = matrices[k]
            places = layer.words * layer["P"]
            ring_size = (layer.queue_depth + 2) * layer["U"] + places + 2
            # From a tick that is taken to the first neurons of its sweep: nmc_rows_*, nmc_accumulator, nmc_update.
            pipeline = layer.words + 3 + layer["GRADED"] + 2 * layer["TABLE"]
            self.integers[k] = (
                layer.words, layer.sweep, layer["P"] // layer["U"], layer.queue_depth, layer["TABLE"], pipeline, base,
                ring, ring_size, layer["SHIFT"], layer["SYNAPSE"], layer["V_BITS"], _overflow(layer["V_SATURATE"]),
                layer["I_BITS"], _overflow(layer["I_SATURATE"]), layer["DECAY_BITS"], layer["V_FORM"], layer["I_FORM"],
                layer["FIRE"], layer["AT_LEAST"], layer["RESET"], layer["WHEN"], layer["CLAMP"], len(layer.legs),
                leg_at, layer["N"], places, first, rows, weight, layer["U"], layer["P"], layer["GRADED"],
            )  # fmt: skip
            base, ring, leg_at = base + places, ring + ring_size, leg_at + len(layer.legs)
            first, rows, weight = first + len(runs), rows + len(synapses), weight + dense.size
        self.places, self.ring = base, ring
        self.weights = np.concatenate([m[0].ravel() for m in matrices]).astype(np.int32)
        self.runs = np.concatenate([m[1] for m in matrices])
        self.rows = np.concatenate([m[2] for m in matrices])
        self.parameters = np.concatenate([_parameters(layer) for layer in layers], axis=1)
        self.spikes_only = np.array([design.value_bits(name) == 0 for name in index], np.int64)


def _overflow(saturates: int) -> int:
    return int(Overflow.SATURATE if saturates else Overflow.PROVED_ABSENT)


def _matrices(layer: Layer) -> tuple[Array, Array, Array]:
    """What an event adds. Dense: (sources, lanes * words) by neuron. Table: weight rows (rows, lanes), runs, rows."""
    lanes, words, bits = layer["P"], layer.words, layer["WEIGHT_BITS"]
    columns = files.fields(layer.memory("weights"), [bits] * lanes)
    rows = np.stack([files.signed(column, bits) for column in columns], axis=1)
    if layer["TABLE"]:
        first_bits = index_bits(layer["ROWS"])
        first, count = files.fields(layer.memory("runs"), [first_bits, layer["COUNT_BITS"]])
        row, word = files.fields(layer.memory("rows"), [index_bits(layer["WEIGHT_ROWS"]), index_bits(words)])
        return rows, np.stack([first, count], axis=1), np.stack([row, word], axis=1)
    stride = 1 << (words - 1).bit_length()
    whole = np.zeros((layer["SOURCES"] * stride, lanes), np.int64)
    whole[: len(rows)] = rows
    by_source = whole.reshape(layer["SOURCES"], stride, lanes)[:, :words]
    dense = by_source.transpose(0, 2, 1).reshape(layer["SOURCES"], lanes * words)
    return dense, np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64)


PARAMETERS = ("THRESHOLD", "BIAS", "MINIMUM", "PERIOD", "V_START", "I_START", "V_DECAY", "I_DECAY")


def _parameters(layer: Layer) -> Array:
    """One column a neuron, in the order of lanes, places without a neuron included."""
    size = layer.words * layer["P"]
    found = np.zeros((len(PARAMETERS), size), np.int64)
    own: dict[str, Array] = {}
    if layer["EACH_BITS"]:
        widths = {
            "PERIOD": layer["WAIT_BITS"], "I_START": layer["I_BITS"],
            "V_DECAY": layer["DECAY_BITS"] + 1, "I_DECAY": layer["DECAY_BITS"] + 1,
        }  # fmt: skip
        named = [(name, widths.get(name, layer["V_BITS"])) for name in PARAMETERS if layer[f"EACH_{name}"]]
        columns = files.fields(layer.memory("each"), [bits for _, bits in named] * layer["U"])
        for k, (name, bits) in enumerate(named):
            values = np.stack(columns[k :: len(named)], axis=1)
            is_signed = name not in {"PERIOD", "V_DECAY", "I_DECAY"}
            by_neuron = np.zeros(size, np.int64)
            by_neuron[layer.order.ravel()] = (files.signed(values, bits) if is_signed else values).ravel()
            own[name] = by_neuron
    for k, name in enumerate(PARAMETERS):
        constant = layer[name.replace("DECAY", "MANTISSA")]
        found[k] = own.get(name, np.full(size, constant))
    return found


# ---- run ----------------------------------------------------------------------------------------------------


def simulate(found: Mapping[str, bytes], inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """Run the design in an artifact's files on inputs (steps, samples, *shape); states of `record`ed populations."""
    design = files.read(found)
    ran = run(design, inputs, record=record)
    return result("machine", design, ran, inputs, record)


def result(
    by: str, design: Design, ran: Run, inputs: Mapping[str, Array], record: tuple[str, ...]
) -> SimResult:
    """What ran, in the names and types of every other engine."""
    steps, samples = next(iter(inputs.values())).shape[:2]
    outputs = {
        sink.name: _output(design, k, sink, ran, steps, samples) for k, sink in enumerate(design.sinks)
    }
    trace: dict[str, Array] = {}
    for layer in design.layers:
        if layer.name not in record:
            continue
        shape = (steps, samples, *layer.shape)
        trace[f"{layer.name}.v"] = ran.v[layer.name].reshape(shape)
        if layer["SYNAPSE"]:
            trace[f"{layer.name}.i"] = ran.i[layer.name].reshape(shape)
        if layer["FIRE"] and layer.name in ran.fired:
            trace[f"{layer.name}.spikes"] = ran.fired[layer.name].astype(np.uint8).reshape(shape)
    cycles = sum(events.cycles for events in ran.events)
    return SimResult(by, outputs, trace, dict(ran.spikes), cycles=cycles)


def _output(design: Design, index: int, sink: Sink, ran: Run, steps: int, samples: int) -> Array:
    graded = design.value_bits(sink.leg.src) > 0
    shape: Shape = design.producer(sink.leg.src).shape
    values = np.zeros((steps, samples, design.size(sink.leg.src)), np.int64 if graded else np.uint8)
    for b, events in enumerate(ran.events):
        mine = events.rows[events.rows[:, 0] == index]
        ticks = mine[:, 2] == 1
        step = np.cumsum(ticks) - ticks
        data = ~ticks
        values[step[data], b, mine[data, 3]] = mine[data, 4] if graded else 1
    return values.reshape(steps, samples, *shape)


def run(
    design: Design, inputs: Mapping[str, Array], *, record: tuple[str, ...] = (), stall: bool = False
) -> Run:
    """Run a design; with `stall` with the gaps and the back-pressure of the test bench's `+stall=1`."""
    given = {source.name: _given(source, inputs) for source in design.sources}
    steps, samples = next(iter(given.values())).shape[:2]
    tables = Tables(design)
    kept = bool(record)
    done: list[Events] = []
    states = np.zeros((3, steps if kept else 0, samples, tables.places), np.int64)
    counts = np.zeros(len(design.layers), np.int64)
    for b in range(samples):
        words = [_words(given[source.name][:, b]) for source in design.sources]
        first = np.concatenate(([0], np.cumsum([len(each) for each in words])))
        rows, cycles = _run(tables, np.concatenate(words), first, steps, stall, states[:, :, b], counts)
        done.append(Events(rows, cycles))
    v, i, fired = (
        {layer.name: _of(tables, k, part) for k, layer in enumerate(design.layers)} for part in states
    )
    names = {layer.name: int(counts[k]) for k, layer in enumerate(design.layers) if layer["FIRE"]}
    return Run(tuple(done), v, i, fired, names)


def _of(tables: Tables, k: int, states: Array) -> Array:
    base, size = tables.integers[k, BASE], tables.integers[k, SIZE]
    return states[:, :, base : base + size]


def _given(source: Source, inputs: Mapping[str, Array]) -> Array:
    if source.name not in inputs:
        raise ValueError(f"no input `{source.name}`")
    values = np.asarray(inputs[source.name])
    if values.shape[2:] != source.shape:
        raise ValueError(
            f"input `{source.name}` has shape {values.shape}, not (steps, samples, {source.shape})"
        )
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise ValueError(f"input `{source.name}` is not of integers")
    return whole.reshape(*whole.shape[:2], -1)


def _words(values: Array) -> Array:
    """The words of one sample: (words, 3): tick, id, value."""
    step, neuron = np.nonzero(values)
    steps = values.shape[0]
    rows = np.zeros((len(step) + steps, 3), np.int64)
    at = np.arange(len(step)) + step
    rows[at, 1], rows[at, 2] = neuron, values[step, neuron]
    ticks = np.cumsum(np.bincount(step, minlength=steps) + 1) - 1
    rows[ticks, 0] = 1
    return rows


def _run(
    tables: Tables, words: Array, first: Array, steps: int, stall: bool, states: Array, counts: Array
) -> tuple[Array, int]:
    sinks, layers = tables.design.sinks, len(tables.integers)
    capacity = sum((tables.design.size(sink.leg.src) + 1) * (steps + 1) for sink in sinks)
    out = np.zeros((capacity, 5), np.int64)
    made = kernel(
        words, first, tables.integers, tables.legs.copy(), tables.weights, tables.runs, tables.rows, tables.parameters,
        tables.spikes_only, np.zeros((layers, 21), np.int64), np.zeros((tables.queue_words, 3), np.int64),
        np.zeros((tables.ring, 5), np.int64), np.zeros((4, tables.places), np.int64), out, states, counts,
        len(sinks), steps, stall,
    )  # fmt: skip
    if made < 0:
        raise RuntimeError("the design is stuck: no stream moves any more")
    return out[:made], int(out[made - 1, 1]) + 1


# ---- what happens in a cycle ----------------------------------------------------------------------------------


@compiled
def next_lfsr(x: int) -> int:
    """The 16-bit shift register of the test bench, taps 0xd008."""
    y = x & 0xD008
    y ^= y >> 8
    y ^= y >> 4
    y ^= y >> 2
    y ^= y >> 1
    return ((x << 1) & 0xFFFF) | (y & 1)


@compiled
def add_event(
    f: Array, event_id: int, value: int, weights: Array, runs: Array, rows: Array, sums: Array
) -> int:
    """Add what an event brings to the sums of a layer; how many operations it is in a table."""
    lanes, words = f[LANES], f[WORDS]
    base, at = f[BASE], f[WEIGHT_AT]
    if f[TABLE] == 0:
        size = lanes * words
        start = at + event_id * size
        if f[GRADED] == 0:
            added, onto = weights[start : start + size], sums[base : base + size]
            for j in range(size):
                onto[j] += added[j]
        else:
            for j in range(size):
                sums[base + j] += weights[start + j] * value
        return words
    first, count = runs[f[FIRST_AT] + event_id]
    for e in range(first, first + count):
        row, word = rows[f[ROWS_AT] + e]
        start = at + row * lanes
        for p in range(lanes):
            sums[base + p * words + word] += weights[start + p] * value
    return count


@compiled_with_rules
def sweep(digest: int) -> Any:
    """One sweep over all neurons of a layer: states after it, and its events, timed, in the layer's ring."""

    def sweep(
        f: Array, s: Array, start: int, parameters: Array, store: Array, ring: Array, states: Array
    ) -> int:
        _ = digest
        words, groups, at_once, base = f[WORDS], f[GROUPS], f[AT_ONCE], f[BASE]
        sums, v, i, rest = store[0], store[1], store[2], store[3]
        spikes, gen = 0, s[GEN]
        for j in range(base, base + f[SIZE]):
            drive = sums[j] << f[SHIFT]
            sums[j] = 0
            if f[SYNAPSE] == 1:
                drive = current_integer(
                    i[j], drive, parameters[7, j], f[DECAY_BITS], f[I_FORM], 0, f[I_BITS], f[I_OVERFLOW]
                )
                i[j] = drive
            new, wait, fired = step_integer(
                v[j], rest[j], drive + parameters[1, j], parameters[6, j], parameters[0, j], 0, parameters[2, j],
                parameters[3, j], f[DECAY_BITS], f[V_FORM], 0, f[V_BITS], f[V_OVERFLOW], False, f[AT_LEAST], 0,
                f[RESET], f[WHEN], f[CLAMP] == 1,
            )  # fmt: skip
            v[j] = new
            rest[j] = wait
            sums[j] = fired if f[FIRE] == 1 else new != 0
            spikes += fired
        # A layer whose inputs all come late runs ahead of the stimulus at the end: that is nobody's step.
        if s[STEP] < states.shape[1]:
            states[0, s[STEP], base : base + f[SIZE]] = v[base : base + f[SIZE]]
            states[1, s[STEP], base : base + f[SIZE]] = i[base : base + f[SIZE]]
            states[2, s[STEP], base : base + f[SIZE]] = sums[base : base + f[SIZE]]
        at = 0
        for word in range(words):
            for group in range(groups):
                last = -1
                for u in range(at_once):
                    n = (group * at_once + u) * words + word
                    if n < f[SIZE] and sums[base + n] != 0:
                        last = f[RING] + gen
                        ring[last, E_TICK], ring[last, E_ID] = 0, n
                        ring[last, E_VALUE] = 0 if f[FIRE] == 1 else v[base + n]
                        ring[last, E_LAST], ring[last, E_CYCLE] = 0, start + at + 7
                        gen = gen + 1 if gen + 1 < f[RING_SIZE] else 0
                if last >= 0:
                    ring[last, E_LAST] = 1
                at += 1
        last = f[RING] + gen
        ring[last, E_TICK], ring[last, E_LAST], ring[last, E_CYCLE] = 1, 1, start + f[SWEEP] + 7
        s[GEN] = gen + 1 if gen + 1 < f[RING_SIZE] else 0
        for j in range(base, base + f[PLACES]):
            sums[j] = 0
        s[STEP] += 1
        return spikes

    return sweep


@compiled
def kernel(
    words: Array, first: Array, fixed: Array, legs: Array, weights: Array, runs: Array, rows: Array, parameters: Array,
    spikes_only: Array, state: Array, queues: Array, ring: Array, store: Array, out: Array, states: Array,
    counts: Array, sinks: int, expected: int, stall: bool,
) -> int:  # fmt: skip
    """One sample; how many events left, -1 if the design is stuck."""
    layers, sources = fixed.shape[0], first.shape[0] - 1
    producers = sources + layers
    next_word = first[:-1].copy()
    source_valid = np.zeros(sources, np.int64)
    source_lfsr = np.array([44257 + 97 * (k + 1) for k in range(sources)])
    sink_lfsr = np.array([4177 + 89 * (k + 1) for k in range(sinks)])
    valid = np.zeros(producers, np.int64)
    event = np.zeros((producers, 3), np.int64)
    ready = np.zeros(producers, np.int64)
    branches = np.zeros(producers, np.int64)
    consumed = np.zeros(legs.shape[0], np.int64)
    accepted, free, takes = np.zeros(layers, np.int64), np.zeros(layers, np.int64), np.zeros(layers, np.int64)
    got = np.zeros((layers, 3), np.int64)
    for k in range(legs.shape[0]):
        if legs[k, L_DEPTH] > 0:
            branches[legs[k, L_SRC]] += 1
    for k in range(layers):
        state[k, BUSY], state[k, TICK], state[k, IDLE_FROM] = 1, 1, fixed[k, SWEEP] + 7
    for j in range(store.shape[1]):
        store[1, j], store[2, j] = parameters[4, j], parameters[5, j]
    ticks = np.zeros(sinks, np.int64)
    made = cycle = moved = finished = 0
    behind = layers
    while finished < sinks or behind > 0:
        active = stall
        # ---- what stands at the outputs of producers
        for k in range(sources):
            valid[k] = source_valid[k]
            if source_valid[k]:
                at = next_word[k] - 1
                event[k, 0], event[k, 1], event[k, 2] = words[at, 0], words[at, 1], words[at, 2]
        for k in range(layers):
            valid[sources + k] = state[k, OUT_VALID]
            if state[k, OUT_VALID]:
                at = fixed[k, RING] + state[k, OUT]
                event[sources + k, 0], event[sources + k, 1] = ring[at, 0], ring[at, 1]
                event[sources + k, 2] = ring[at, 2]
        for k in range(producers):
            ready[k] = branches[k] > 0
        for k in range(legs.shape[0]):
            consumed[k] = 0
            if legs[k, L_DEPTH] > 0 and legs[k, L_COUNT] == legs[k, L_DEPTH]:
                ready[legs[k, L_SRC]] = 0
        # ---- what consumers take of it
        for k in range(layers + sinks):
            leg = fixed[k, LEG_AT] + state[k, WHICH] if k < layers else legs.shape[0] - sinks + k - layers
            src = legs[leg, L_SRC]
            if legs[leg, L_DEPTH] == 0:
                there, tick, number, value = valid[src], event[src, 0], event[src, 1], event[src, 2]
            elif legs[leg, L_AHEAD] > 0:
                there, tick, number, value = 1, 1, 0, 0
            else:
                at = legs[leg, L_AT] + legs[leg, L_READ]
                there, tick, number, value = legs[leg, L_VALID], queues[at, 0], queues[at, 1], queues[at, 2]
            if k >= layers:
                sink = k - layers
                leaves = there == 1 and (not stall or (sink_lfsr[sink] & 7) < 3)
                if leaves and ticks[sink] < expected:
                    out[made, 0], out[made, 1], out[made, 2] = sink, cycle, tick
                    if tick == 0:
                        out[made, 3], out[made, 4] = number, value
                    made += 1
                    ticks[sink] += tick
                    finished += tick == 1 and ticks[sink] == expected
                    moved = cycle
                consumed[leg] = leaves
            else:
                skipped = tick == 1 and state[k, WHICH] < fixed[k, LEGS] - 1
                tick_ready = (
                    cycle >= state[k, IDLE_FROM] and state[k, COUNT] <= fixed[k, DEPTH] - fixed[k, SWEEP] - 2
                )
                last_word = state[k, LEFT] == fixed[k, WORDS] - 1
                if fixed[k, TABLE] == 0:
                    free[k] = state[k, BUSY] == 0 or last_word
                    open_ = free[k] == 1 and (tick == 0 or tick_ready)
                else:
                    free[k] = state[k, BUSY] == 0 or (
                        last_word if state[k, TICK] == 1 else state[k, LEFT] == 0
                    )
                    takes[k] = state[k, V2] == 1 and free[k] == 1 and (state[k, T2] == 0 or tick_ready)
                    open_ = state[k, V2] == 0 or takes[k] == 1
                accepted[k] = there == 1 and not skipped and open_
                got[k, 0], got[k, 1] = tick, number + legs[leg, L_OFFSET]
                got[k, 2] = 1 if spikes_only[src] == 1 else value
                consumed[leg] = accepted[k] == 1 or (there == 1 and skipped)
                if there == 1 and skipped:
                    state[k, WHICH] += 1
                elif accepted[k] == 1 and tick == 1:
                    state[k, WHICH] = 0
            if consumed[leg] == 1:
                active = True
                if legs[leg, L_DEPTH] == 0:
                    ready[src] = 1
        # ---- the clock: queues behind forks
        for k in range(legs.shape[0]):
            if legs[k, L_DEPTH] == 0:
                continue
            ahead = legs[k, L_AHEAD] > 0
            if ahead and consumed[k] == 1:
                legs[k, L_AHEAD] -= 1
            popped = consumed[k] == 1 and not ahead
            pushes = valid[legs[k, L_SRC]] == 1 and ready[legs[k, L_SRC]] == 1
            pops = legs[k, L_COUNT] > 0 and (legs[k, L_VALID] == 0 or popped)
            if pushes:
                # The word at the output stands in the ring too: the new one goes behind it and those in memory.
                at = legs[k, L_READ] + legs[k, L_VALID] + legs[k, L_COUNT]
                at = legs[k, L_AT] + at % (legs[k, L_DEPTH] + 1)
                queues[at, 0], queues[at, 1] = event[legs[k, L_SRC], 0], event[legs[k, L_SRC], 1]
                queues[at, 2] = event[legs[k, L_SRC], 2]
                moved = cycle
            if popped:
                legs[k, L_READ] = (legs[k, L_READ] + 1) % (legs[k, L_DEPTH] + 1)
            if pushes or pops:
                active = True
            legs[k, L_VALID] = 1 if pops else 0 if popped else legs[k, L_VALID]
            legs[k, L_COUNT] += pushes - pops
        # ---- the clock: sources
        for k in range(sources):
            if source_valid[k] == 0 or ready[k] == 1:
                source_valid[k] = 0
                if next_word[k] < first[k + 1] and (not stall or (source_lfsr[k] & 7) < 5):
                    source_valid[k] = 1
                    next_word[k] += 1
                    moved = cycle
                    active = True
            if stall:
                source_lfsr[k] = next_lfsr(source_lfsr[k])
        for k in range(sinks if stall else 0):
            sink_lfsr[k] = next_lfsr(sink_lfsr[k])
        # ---- the clock: layers
        for k in range(layers):
            base = fixed[k, RING]
            # the queue behind the neurons, one word a cycle in and one out
            out_last = state[k, OUT_VALID] == 1 and ring[base + state[k, OUT], E_LAST] == 1
            leaves = state[k, OUT_VALID] == 1 and ready[sources + k] == 1
            popped = leaves and out_last
            if leaves and not out_last:
                state[k, OUT] = state[k, OUT] + 1 if state[k, OUT] + 1 < fixed[k, RING_SIZE] else 0
            if state[k, COUNT] > 0 and (state[k, OUT_VALID] == 0 or popped):
                active = True
                state[k, OUT_VALID] = 1
                state[k, OUT] = state[k, POP]
                while ring[base + state[k, POP], E_LAST] == 0:
                    state[k, POP] = state[k, POP] + 1 if state[k, POP] + 1 < fixed[k, RING_SIZE] else 0
                state[k, POP] = state[k, POP] + 1 if state[k, POP] + 1 < fixed[k, RING_SIZE] else 0
                state[k, COUNT] -= 1
            elif popped:
                state[k, OUT_VALID] = 0
            if state[k, PUSH] != state[k, GEN]:
                at = state[k, PUSH]
                while ring[base + at, E_LAST] == 0:
                    at = at + 1 if at + 1 < fixed[k, RING_SIZE] else 0
                if ring[base + at, E_CYCLE] == cycle:
                    active = True
                    state[k, PUSH] = at + 1 if at + 1 < fixed[k, RING_SIZE] else 0
                    state[k, COUNT] += 1
            # addresses
            taken = accepted[k] == 1
            tick, number, value = got[k, 0], got[k, 1], got[k, 2]
            if fixed[k, TABLE] == 1:
                taken = takes[k] == 1
                tick, number, value = state[k, T2], state[k, ID2], state[k, X2]
                if state[k, V2] == 0 or taken:
                    active = active or state[k, V1] == 1 or taken
                    state[k, V2], state[k, T2], state[k, ID2], state[k, X2] = (
                        state[k, V1],
                        state[k, T1],
                        state[k, ID1],
                        state[k, X1],
                    )
                    state[k, V1], state[k, T1], state[k, ID1], state[k, X1] = (
                        accepted[k],
                        got[k, 0],
                        got[k, 1],
                        got[k, 2],
                    )
            if taken:
                moved = cycle
                active = True
                state[k, BUSY], state[k, TICK] = 1, tick
                if tick == 1:
                    state[k, LEFT] = 0
                    start = cycle + fixed[k, PIPELINE]
                    state[k, IDLE_FROM] = start + fixed[k, SWEEP] + 7
                    behind -= state[k, STEP] + 1 == expected
                    fired = sweep(fixed[k], state[k], start, parameters, store, ring, states)
                    counts[k] += fired if state[k, STEP] <= expected else 0
                else:
                    count = add_event(fixed[k], number, value, weights, runs, rows, store[0])
                    state[k, LEFT] = 0 if fixed[k, TABLE] == 0 else count - 1
                    state[k, BUSY] = count > 0
            elif free[k] == 1:
                active = active or state[k, BUSY] == 1
                state[k, BUSY] = 0
            elif fixed[k, TABLE] == 0 or state[k, TICK] == 1:
                state[k, LEFT] += 1
            else:
                state[k, LEFT] -= 1
        cycle += 1
        if not active:
            # Nothing moved, so that nothing will until a layer has walked to the end of its words, its sweep is over
            # or gives something: the cycles up to then differ in counters alone.
            skip = PATIENCE
            for k in range(layers):
                if state[k, BUSY] == 1:
                    down = fixed[k, TABLE] == 1 and state[k, TICK] == 0
                    skip = min(skip, state[k, LEFT] if down else fixed[k, WORDS] - 1 - state[k, LEFT])
                if state[k, IDLE_FROM] >= cycle:
                    skip = min(skip, state[k, IDLE_FROM] - cycle)
                if state[k, PUSH] != state[k, GEN]:
                    at = state[k, PUSH]
                    while ring[fixed[k, RING] + at, E_LAST] == 0:
                        at = at + 1 if at + 1 < fixed[k, RING_SIZE] else 0
                    skip = min(skip, ring[fixed[k, RING] + at, E_CYCLE] - cycle)
            for k in range(layers if skip > 0 else 0):
                if state[k, BUSY] == 1:
                    state[k, LEFT] += -skip if fixed[k, TABLE] == 1 and state[k, TICK] == 0 else skip
            cycle += skip
        if cycle - moved > PATIENCE:
            return -1
    return made
