"""The machine: the design cycle by cycle, from the emitted files, equal to the RTL at every output event.

What happens inside a core between two events of its streams is not seen from outside, so all weights of an event are
added when it is taken and a whole sweep is computed when a tick is taken (`core`). The cycles of all handshakes follow
from one another (`times`); both walk the arrays that `tables` makes of the design.

Cycle 0 is the first without reset. The stimulus comes as the emitted test bench drives it, back-pressure included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nmc.backends.fpga import files, stdp, tables, times
from nmc.backends.fpga.program import Design, Source
from nmc.backends.fpga.tables import Tables, tables_of
from nmc.ir.ops import Shape
from nmc.ir.tensor import Array
from nmc.sim.trace import SimResult


@dataclass(frozen=True, slots=True)
class Events:
    """What left at the outputs in one sample, in order: (events, 5): sink, cycle, tick, id, value."""

    rows: Array
    cycles: int


@dataclass(frozen=True, slots=True)
class Run:
    """What happened. `v`, `i` and `fired` are (steps, samples, N) by population, recorded ones only; `weights` are what
    connections that learn have at the end, (post, pre) by connection."""

    events: tuple[Events, ...]
    v: Mapping[str, Array]
    i: Mapping[str, Array]
    fired: Mapping[str, Array]
    spikes: Mapping[str, int]
    weights: Mapping[str, Array] = field(default_factory=dict[str, Array])


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
        sink.name: _output(design, k, ran, steps=steps, samples=samples)
        for k, sink in enumerate(design.sinks)
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
    return SimResult(by, outputs, trace, dict(ran.spikes), cycles=cycles, weights=ran.weights)


def _output(design: Design, index: int, ran: Run, *, steps: int, samples: int) -> Array:
    sink = design.sinks[index]
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
    found = tables_of(design, stall=stall)
    done: list[Events] = []
    states = np.zeros((3, steps if record else 0, samples, found.places), np.int64)
    counts = np.zeros(len(design.layers), np.int64)
    weights = found.weights.copy()  # they stay changed from one sample to the next
    for b in range(samples):
        m = _start(design, found, [_words(given[source.name][:, b]) for source in design.sources], steps)
        if not times.run_sample(m, weights, states[:, :, b], stdp.plastic_of(design), steps):
            raise RuntimeError("the design is stuck: no stream moves any more")
        rows = m[m[tables.OUT_AT] :].reshape(-1, tables.OUT_EVENT)[: m[tables.MADE]]
        rows = rows[np.lexsort((rows[:, tables.O_SINK], rows[:, tables.O_CYCLE]))]
        done.append(Events(rows, int(rows[-1, tables.O_CYCLE]) + 1 if len(rows) else 0))
        counts += m[np.array(found.layers) + tables.SPIKES]
    v, i, fired = (
        {layer.name: _of(found, k, part) for k, layer in enumerate(design.layers)} for part in states
    )
    names = {layer.name: int(counts[k]) for k, layer in enumerate(design.layers) if layer["FIRE"]}
    after = {
        stdp.connection_of(layer): stdp.matrix_of(layer, _rows(found, k, weights))
        for k, layer in enumerate(design.layers)
        if layer["STDP"]
    }
    return Run(tuple(done), v, i, fired, names, after)


def _rows(found: Tables, k: int, weights: Array) -> Array:
    """The rows of weights of layer k, which is fully connected."""
    m, layer = found.memory, found.layers[k]
    ends = [*(m[each + tables.WEIGHT_AT] for each in found.layers[k + 1 :]), weights.size]
    return weights[m[layer + tables.WEIGHT_AT] : ends[0]]


def _of(found: Tables, k: int, states: Array) -> Array:
    """States of layer k (steps, samples, N), from places in the order of neurons."""
    m, layer = found.memory, found.layers[k]
    number = m[m[layer + tables.NUMBER_AT] :][: m[layer + tables.PLACES]]
    place = np.argsort(number, kind="stable")[: m[layer + tables.SIZE]]
    return states[:, :, m[layer + tables.BASE] + place]


def _start(design: Design, found: Tables, words: list[Array], steps: int) -> Array:
    """The memory of a design after reset, with a stimulus for each source, and room for all events at the outputs."""
    events = steps * sum(design.size(sink.leg.src) + 1 for sink in design.sinks)
    ends = found.memory.size + np.cumsum([each.size for each in words])
    m = np.concatenate(
        [found.memory, *(each.ravel() for each in words), np.zeros(events * tables.OUT_EVENT, np.int64)]
    )
    for source, each, end in zip(found.sources, words, ends, strict=True):
        m[source + tables.NEXT], m[source + tables.END] = end - each.size, end
    m[tables.OUT_AT] = ends[-1]
    return m


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
