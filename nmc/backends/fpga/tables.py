"""A design as the flat arrays that the machine's kernels walk: a row a layer, a row a leg, memories end to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nmc.backends.fpga import files
from nmc.backends.fpga.program import Design, Layer, Leg, index_bits
from nmc.ir.fixed import Overflow
from nmc.ir.tensor import Array

Memory = Any
"""A run's memory: an array of int64. Any, for kernels take its elements, which to a type checker may be arrays."""

# A run's memory `m` is one array of integers; what follows are places in it, from an address on. First where the
# rows of sources, layers, legs and sinks begin and how many there are, and where the records of events at outputs do.
SOURCES, SOURCES_AT, LAYERS, LAYERS_AT, SINKS, SINKS_AT, MADE, OUT_AT = range(8)
HEADER = 8

# A producer, source or layer: whether a word stands at its output, from which cycle on, and the word; whether it is a
# layer, and the addresses of its legs' addresses behind a fork, the first and the end, none where a leg has it alone.
THERE, CYCLE, TICK, ID, VALUE, IS_LAYER, FORK_AT, FORK_END = range(8)
PRODUCER = 8

# A source: the address of its next word in the stimulus and of its end; how long it waits in each cycle of a period.
NEXT, END, WAIT_AT, PERIOD = range(PRODUCER, PRODUCER + 4)
SOURCE = PRODUCER + 4

# What is fixed of a layer. Places are neurons in the order of a sweep: lane by lane in a word, word by word.
(
    WORDS, SWEEP, DEPTH, KIND, STAGES, PIPELINE, PLACES, SIZE, LANES, AT_ONCE, GRADED, RING, RING_SIZE, POPS, SHIFT,
    SYNAPSE, V_BITS, V_OVERFLOW, I_BITS, I_OVERFLOW, DECAY_BITS, V_FORM, I_FORM, FIRE, AT_LEAST, RESET, WHEN, CLAMP,
    LEGS, LEG_AT, WEIGHT_AT, RUNS_AT, ROWS_AT, FRONT_AT, NUMBER_AT, PARAMETERS_AT, SUMS_AT, V_AT, I_AT, REST_AT, BASE,
) = range(PRODUCER, PRODUCER + 41)  # fmt: skip

# What changes in it: the cycles from which its addresses are free, its neurons idle, its output valid; when it last
# took a word, last gave one; which leg it listens to; the step; where its ring of events is written and read; how many
# words its queue got and gave to its output, and whether one is there; words that its front took and passed on; spikes.
(
    FREE, IDLE, VALID, TAKEN, GIVEN, LEG, STEP, GEN, OUT, QUEUED, POPPED, HEAD, ACCEPTED, PASSED, SPIKES,
) = range(PRODUCER + 41, PRODUCER + 56)  # fmt: skip
LAYER = PRODUCER + 56

# A leg: the address of who gives it, its first id, the words of its queue and where they stand, whether its events
# carry values; the ticks that still come first, how many words were queued and taken, when a word was last taken of
# it, and when of its queue.
L_SRC, L_OFFSET, L_DEPTH, L_AT, L_GRADED, L_AHEAD, L_QUEUED, L_TAKEN, L_LAST, L_POPPED = range(10)
LEG_ROW = 10

# A sink: its leg's address, when it took its last word, how many ticks it took, how long it waits, of what period.
S_LEG, S_TAKEN, S_TICKS, S_WAIT_AT, S_PERIOD = range(5)
SINK = 5

# An event of a layer, in a ring: tick, id, value, whether it ends its word, the cycle in which the word is queued.
E_TICK, E_ID, E_VALUE, E_LAST, E_CYCLE = range(5)
EVENT = 5

# A word in a leg's queue, the cycle in which it was queued, and that in which it went on to the output.
Q_TICK, Q_ID, Q_VALUE, Q_IN, Q_OUT = range(5)
QUEUED_WORD = 5

# A word in a layer's front: the move in which it came, the cycles in which it reached the last stage and left.
F_MOVE, F_LAST, F_LEFT, F_TICK, F_ID, F_VALUE = range(6)
FRONT_WORD = 6

# A word of a stimulus, and an event at an output.
W_TICK, W_ID, W_VALUE = range(3)
STIMULUS_WORD = 3
O_SINK, O_CYCLE, O_TICK, O_ID, O_VALUE = range(5)
OUT_EVENT = 5

NONE = -1
"""A cycle that is not known yet, or of what has not happened."""

DENSE, TABLE, CONV = range(3)
"""How a layer's addresses come about: nmc_rows_dense, nmc_rows_table, nmc_rows_conv."""

TABLE_STAGES = 2
"""Stages of a table's look-up, in which words wait for their turn."""


def conv_stages(layer: Layer) -> int:
    """Stages of a convolution's: STAGES in nmc_rows_conv, a bit of a channel or of a line in each, then three."""
    return (layer["CHANNELS"] - 1).bit_length() + (layer["HEIGHT"] - 1).bit_length() + 3


NEURON_STAGES = 7
"""Cycles from a place's turn in a sweep until its spike is queued: nmc_update."""


@dataclass(frozen=True, slots=True)
class Tables:
    """A design at rest: its memory, which a run copies, and its weights, layer after layer; where in the memory its
    sources and layers stand; how many places all layers have."""

    memory: Array
    weights: Array
    sources: tuple[int, ...]
    layers: tuple[int, ...]
    places: int


class _Space:
    """Words of a memory that grows."""

    def __init__(self) -> None:
        self.parts: list[Array] = []
        self.size = 0

    def add(self, words: Array) -> int:
        """The address of more words."""
        at = self.size
        self.parts.append(np.asarray(words, np.int64).ravel())
        self.size += words.size
        return at

    def zeros(self, count: int) -> int:
        """The address of so many zeros."""
        return self.add(np.zeros(count, np.int64))


def tables_of(design: Design, *, stall: bool) -> Tables:
    """The memory and the weights of a design; with `stall` with the waits of the test bench's shift registers."""
    space = _Space()
    sources, layers, sinks = design.sources, design.layers, design.sinks
    space.zeros(HEADER)
    source_rows = [space.zeros(SOURCE) for _ in sources]
    layer_rows = [space.zeros(LAYER) for _ in layers]
    sink_rows = [space.zeros(SINK) for _ in sinks]
    producers = {
        each.name: at for each, at in zip((*sources, *layers), source_rows + layer_rows, strict=True)
    }
    every = [leg for layer in layers for leg in layer.legs] + [sink.leg for sink in sinks]
    queues = [space.zeros(QUEUED_WORD * (leg.depth + 1)) for leg in every]
    legs = [
        space.add(_leg(design, leg, producers[leg.src], queue))
        for leg, queue in zip(every, queues, strict=True)
    ]
    forks = {producers[name]: _fork(name, every, legs, space) for name in producers}
    waits = [_waits(SEED_SOURCE + 97 * (k + 1), 5, stall) for k in range(len(sources))]
    waits += [_waits(SEED_SINK + 89 * (k + 1), 3, stall) for k in range(len(sinks))]
    waits_at = [space.add(wait) for wait in waits]
    weights, fixed = _layers(layers, legs, space)
    m = np.concatenate(space.parts)
    m[:HEADER] = (
        len(sources), HEADER, len(layers), HEADER + SOURCE * len(sources), len(sinks),
        HEADER + SOURCE * len(sources) + LAYER * len(layers), 0, 0,
    )  # fmt: skip
    for at, fork in forks.items():
        m[at + IS_LAYER], m[at + FORK_AT], m[at + FORK_END] = at in layer_rows, *fork
    for at, wait, wait_at in zip(source_rows, waits, waits_at, strict=False):
        m[at + WAIT_AT], m[at + PERIOD] = wait_at, wait.size
    for at, row in zip(layer_rows, fixed, strict=True):
        m[at + WORDS : at + FREE] = row
        m[at + TAKEN] = m[at + GIVEN] = NONE
    for k, at in enumerate(sink_rows, len(sources)):
        leg = legs[len(every) - len(sinks) + k - len(sources)]
        m[at : at + SINK] = (leg, NONE, 0, waits_at[k], waits[k].size)
    places = sum(layer.words * layer["P"] for layer in layers)
    return Tables(m, weights, tuple(source_rows), tuple(layer_rows), places)


def _leg(design: Design, leg: Leg, producer: int, queue: int) -> Array:
    graded = design.value_bits(leg.src) > 0
    return np.array([producer, leg.offset, leg.depth, queue, graded, leg.delay, 0, 0, NONE, NONE])


def _fork(name: str, every: list[Leg], legs_at: list[int], space: _Space) -> tuple[int, int]:
    """Where the addresses of the legs behind a producer's fork stand, from and to; (NONE, NONE) without a fork."""
    mine = [(leg, at) for leg, at in zip(every, legs_at, strict=True) if leg.src == name]
    if any(leg.depth == 0 for leg, _ in mine):
        return NONE, NONE
    first = space.add(np.array([at for _, at in mine], np.int64))
    return first, first + len(mine)


def _layers(layers: tuple[Layer, ...], legs: list[int], space: _Space) -> tuple[Array, list[tuple[int, ...]]]:
    """The weights of all layers, and what is fixed of each, from WORDS to BASE."""
    found: list[tuple[int, ...]] = []
    weights: list[Array] = []
    base = weight = leg = 0
    for layer in layers:
        kind = CONV if layer["CONV"] else TABLE if layer["TABLE"] else DENSE
        stages = conv_stages(layer) if kind == CONV else TABLE_STAGES if kind == TABLE else 0
        places = layer.words * layer["P"]
        ring_size = (layer.queue_depth + 2) * layer["U"] + places + 2
        # From a tick that is taken to the first place of its sweep: nmc_rows_*, nmc_accumulator, nmc_update.
        pipeline = layer.words + 3 + layer["GRADED"] + 2 * (kind == TABLE)
        rows, runs, synapses = _memories(layer)
        parameters = _parameters(layer)
        found.append((
            layer.words, layer.sweep, layer.queue_depth, kind, stages, pipeline, places, layer["N"], layer["P"],
            layer["U"], layer["GRADED"], space.zeros(EVENT * ring_size), ring_size,
            space.zeros(layer.queue_depth + 4), layer["SHIFT"], layer["SYNAPSE"], layer["V_BITS"],
            _overflow(layer["V_SATURATE"]), layer["I_BITS"], _overflow(layer["I_SATURATE"]), layer["DECAY_BITS"],
            layer["V_FORM"], layer["I_FORM"], layer["FIRE"], layer["AT_LEAST"], layer["RESET"], layer["WHEN"],
            layer["CLAMP"], len(layer.legs), legs[leg], weight, space.add(runs), space.add(synapses),
            space.zeros(FRONT_WORD * (stages + 2)), space.add(layer.order), space.add(parameters.T),
            space.zeros(places), space.add(parameters[V_START]), space.add(parameters[I_START]), space.zeros(places),
            base,
        ))  # fmt: skip
        base, leg, weight = base + places, leg + len(layer.legs), weight + rows.size
        weights.append(rows.ravel())
    return np.concatenate(weights).astype(np.int16), found


SEED_SOURCE, SEED_SINK = 44257, 4177
"""Seeds of the test bench's shift registers: of source k plus 97 * (k + 1), of sink k plus 89 * (k + 1)."""


def _waits(seed: int, below: int, stall: bool) -> Array:
    """For each cycle of a shift register's period, how long until its lowest three bits are below a number: 16 bits,
    taps 0xd008; without `stall` never a wait."""
    if not stall:
        return np.zeros(1, np.int64)
    states: list[int] = []
    x = seed
    while not states or x != seed:
        states.append(x)
        x = ((x << 1) & 0xFFFF) | ((x & 0xD008).bit_count() & 1)
    opens = np.flatnonzero((np.array(states) & 7) < below)
    cycles = np.arange(len(states))
    following = np.append(opens, opens[0] + len(states))
    return following[np.searchsorted(following, cycles)] - cycles


def _overflow(saturates: int) -> int:
    return int(Overflow.SATURATE if saturates else Overflow.PROVED_ABSENT)


def _memories(layer: Layer) -> tuple[Array, Array, Array]:
    """What events add: rows of weights (rows, lanes), and of a table its runs and rows.

    Dense rows are as an event of a source walks them, (sources, words, lanes), without what fills a power of two.
    """
    lanes, words, bits = layer["P"], layer.words, layer["WEIGHT_BITS"]
    columns = files.fields(layer.memory("weights"), [bits] * lanes)
    rows = np.stack([files.signed(column, bits) for column in columns], axis=1)
    if layer["CONV"]:
        return rows, *_taps(layer)
    if layer["TABLE"]:
        first_bits = index_bits(layer["ROWS"])
        first, count = files.fields(layer.memory("runs"), [first_bits, layer["COUNT_BITS"]])
        row, word = files.fields(layer.memory("rows"), [index_bits(layer["WEIGHT_ROWS"]), index_bits(words)])
        return rows, np.stack([first, count], axis=1), np.stack([row, word], axis=1)
    stride = 1 << (words - 1).bit_length()
    whole = np.zeros((layer["SOURCES"] * stride, lanes), np.int64)
    whole[: len(rows)] = rows
    by_source = whole.reshape(layer["SOURCES"], stride, lanes)[:, :words]
    return by_source, np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64)


# How a convolution is walked, at RUNS_AT; the tables of its channels (row, first lane's channel), lines and columns
# (row, word, count) stand at ROWS_AT, one after the other.
(
    C_CHANNELS,
    C_HEIGHT,
    C_WIDTH,
    C_BLOCKS,
    C_POSITIONS,
    C_GROUP,
    C_LINE,
    C_LINE_BACK,
    C_COLUMN,
    C_COLUMN_BACK,
) = range(10)


def _taps(layer: Layer) -> tuple[Array, Array]:
    addr, word = index_bits(layer["WEIGHT_ROWS"]), index_bits(layer.words)
    first, group = files.fields(layer.memory("channels"), [addr, (layer["P"] * layer["BLOCKS"]).bit_length()])
    lines = files.fields(layer.memory("lines"), [addr, word, layer["LINE_BITS"]])
    columns = files.fields(layer.memory("columns"), [addr, word, layer["COLUMN_BITS"]])
    names = (
        "CHANNELS", "HEIGHT", "WIDTH", "BLOCKS", "POSITIONS", "GROUP", "LINE_STEP", "LINE_BACK", "COLUMN_STEP",
        "COLUMN_BACK",
    )  # fmt: skip
    walk = np.array([layer[name] for name in names])
    each = [
        np.stack([first, group, np.zeros_like(first)], axis=1),
        np.stack(lines, axis=1),
        np.stack(columns, axis=1),
    ]
    return walk, np.concatenate(each)


PARAMETERS = ("THRESHOLD", "BIAS", "MINIMUM", "PERIOD", "V_START", "I_START", "V_DECAY", "I_DECAY")
THRESHOLD, BIAS, MINIMUM, PERIODS, V_START, I_START, V_DECAY, I_DECAY = range(8)
PARAMETER_ROW = 8
"""A place's parameters, one after the other."""


def _parameters(layer: Layer) -> Array:
    """One column a place."""
    size = layer.words * layer["P"]
    own: dict[str, Array] = {}
    if layer["EACH_BITS"]:
        widths = {
            "PERIOD": layer["WAIT_BITS"], "I_START": layer["I_BITS"],
            "V_DECAY": layer["DECAY_BITS"] + 1, "I_DECAY": layer["DECAY_BITS"] + 1,
        }  # fmt: skip
        named = [(name, widths.get(name, layer["V_BITS"])) for name in PARAMETERS if layer[f"EACH_{name}"]]
        columns = files.fields(layer.memory("each"), [bits for _, bits in named] * layer["U"])
        for k, (name, bits) in enumerate(named):
            values = np.stack(columns[k :: len(named)], axis=1).ravel()
            own[name] = values if name in {"PERIOD", "V_DECAY", "I_DECAY"} else files.signed(values, bits)
    constants = {name: layer[name.replace("DECAY", "MANTISSA")] for name in PARAMETERS}
    return np.stack([own.get(name, np.full(size, constants[name])) for name in PARAMETERS])
