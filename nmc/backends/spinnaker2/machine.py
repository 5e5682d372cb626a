# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""The machine: every PE tick by tick, from memory images and routing tables and nothing else.

In a tick PEs that sum for others send their sums; all PEs with neurons update them; then all packets are delivered
and add to the sums of later ticks. `timing.py` says when all that happens.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from nmc.backends.spinnaker2 import core, files, timing
from nmc.backends.spinnaker2.core import COLUMNS, COUNTS, tick
from nmc.backends.spinnaker2.files import Placed, Program
from nmc.backends.spinnaker2.image import BASE, W_CELLS
from nmc.backends.spinnaker2.mapping.check import deliveries
from nmc.backends.spinnaker2.program import OWN, Array
from nmc.ir.graph import Graph, Node
from nmc.ir.ops import Input
from nmc.sim.arrays import checked_inputs
from nmc.sim.trace import Energy, SimResult


@dataclass(frozen=True, slots=True)
class Wiring:
    """Who sends to whom. Senders are the neurons of all PEs, PE by PE, then the elements of all inputs.

    Packets of sender s go to PEs `pe[first[s]:first[s + 1]]`, by their place in `Program.pes`.
    """

    key: Array
    first: Array
    pe: Array
    offset: Array
    """The first sender of each PE, then of each input, then how many senders there are."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What happened in one sample.

    Packets in the order in which they were delivered: those of tick t are `first[t]` to `first[t + 1]`, the first
    `sums[t]` of them partial sums, which arrive before the update. `counts` are (steps, PEs, COUNTS).
    """

    sender: Array
    value: Array
    first: Array
    sums: Array
    counts: Array
    states: Array
    """(steps, PEs): a checksum of sums and neurons at the end of each step, if asked for."""


@dataclass(frozen=True, slots=True)
class Packets:
    """What one PE receives in a sample: keys and values in order, and where those of each step are."""

    key: Array
    value: Array
    before: Array
    """(steps, 2): the partial sums of each step, which come before the update."""
    after: Array
    """(steps, 2): all others."""

    def sums(self, t: int) -> tuple[Array, Array]:
        """The partial sums of a step."""
        a, b = self.before[t]
        return self.key[a:b], self.value[a:b]

    def spikes(self, t: int) -> tuple[Array, Array]:
        """All other packets of a step."""
        a, b = self.after[t]
        return self.key[a:b], self.value[a:b]


def wiring_of(program: Program) -> Wiring:
    """The wiring, by the routing tables."""
    senders = [*program.pes, *program.inputs]
    sizes = [len(each.neurons) for each in senders]
    offset = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    key = np.concatenate([each.key + np.arange(len(each.neurons)) for each in senders]).astype(np.int64)
    per_chip = program.chip.pes_per_chip
    homes = np.concatenate(
        [np.full(len(e.neurons), e.pe // per_chip if isinstance(e, Placed) else 0) for e in senders]
    )
    sends = np.concatenate([np.full(len(each.neurons), each.sends) for each in senders])
    (who,) = np.nonzero(sends)
    source, pe = deliveries(program.chip, program.tables, homes[who], key[who].astype(np.uint32))
    place = np.full(program.chip.pes, -1, np.int64)
    place[[each.pe for each in program.pes]] = np.arange(len(program.pes))
    at = place[pe]
    assert (at >= 0).all(), "a table routes to a PE without a program"
    first = np.searchsorted(who[source], np.arange(len(key) + 1))
    return Wiring(key, first, at, offset)


def table_of_pe(pe: Placed, *, at: int, first: int) -> Array:
    """The row of the table of PEs that kernels read; `at` is where its memory begins, `first` its first sender."""
    kind = pe.kind
    place = {name: index for index, name in enumerate(kind.words)}
    row = np.zeros(COLUMNS, np.int64)
    row[:] = (
        at, kind["NEURON"], kind["SENDS"], kind["REAL"], kind["SUM_BITS"], kind["SYNAPSE"], kind["LEAK"], kind["FIRE"],
        kind["RESET"], kind["WHEN"], kind["AT_LEAST"], kind["CLAMP"], kind["REFRACTORY"], kind["BIAS"],
        kind["GRADED"], kind["DECAY_BITS"], kind["INPUT_SHIFT"], len(kind.words), place.get("I", -1),
        place.get("WAIT", -1), *(place.get(name, -1) for name in OWN), first,
    )  # fmt: skip
    return row


def table_of(program: Program) -> tuple[Array, Array]:
    """The table of PEs that kernels read, and the bytes of all memories as words, one after the other."""
    rows: list[Array] = []
    at = first = 0
    for pe in program.pes:
        rows.append(table_of_pe(pe, at=at, first=first))
        at += pe.bytes - BASE
        first += len(pe.neurons)
    memory = np.zeros(at + 16, np.uint8)
    for row, pe in zip(rows, program.pes, strict=True):
        start = int(row[core.P_BASE])
        memory[start : start + len(pe.image)] = np.frombuffer(pe.image, np.uint8)
    return np.array(rows), memory.view(np.int32)


class Chip:
    """A program with its memories; `run` begins with the state that the images hold."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.wiring = wiring_of(program)
        self.table, self.start = table_of(program)
        self.states = [
            (int(row[core.P_BASE]) + a - BASE, int(row[core.P_BASE]) + b - BASE)
            for row, pe in zip(self.table, program.pes, strict=True)
            for a, b in [pe.states]
        ]
        self.sums_first = np.argsort(self.table[:, core.P_NEURON], kind="stable")
        self.cells = {pe.population: self._cells(pe.population) for pe in program.pes}

    def _cells(self, population: str) -> tuple[Array, Array, int]:
        """The words of a population's first states, the ids in their order, and words a cell."""
        words: list[Array] = []
        ids: list[Array] = []
        width = 1
        for row, pe in zip(self.table, self.program.pes, strict=True):
            if pe.population == population and pe.kind["NEURON"]:
                head, width = int(row[core.P_BASE]) // 4, int(row[core.P_WORDS])
                cells = head + (int(self.start[head + W_CELLS]) - BASE) // 4
                words.append(cells + width * np.arange(len(pe.neurons)))
                ids.append(pe.neurons)
        return np.concatenate(words), np.concatenate(ids), width

    def run(
        self, inputs: Mapping[str, Array], record: Mapping[str, Array], *, states: bool = False
    ) -> Sample:
        """One sample of inputs (steps, elements); states named in `record` go into its arrays (steps, neurons)."""
        words = self.start.copy()
        halves, reals = words.view(np.int16), words.view(np.float32)
        steps = len(next(iter(inputs.values())))
        entering = [self._entering(name, values) for name, values in inputs.items()]
        size = int(self.wiring.offset[-1])
        counts = np.zeros((steps, len(self.table), COUNTS), np.int64)
        value, sender = np.zeros(size, np.int64), np.zeros(size, np.int64)
        senders: list[Array] = []
        values: list[Array] = []
        sums = np.zeros(steps, np.int64)
        checks = np.zeros((steps, len(self.table)), np.int64)
        keys = np.zeros(size, np.int64)
        for t in range(steps):
            outer, given = (np.concatenate([part[t][k] for part in entering]) for k in range(2))
            made = tick(
                words, halves, reals, self.table, self.sums_first, self.wiring.key, self.wiring.first, self.wiring.pe,
                outer, given, keys, sender, value, counts[t], sums[t : t + 1],
            )  # fmt: skip
            senders.append(sender[:made].copy())
            values.append(value[:made].copy())
            if states:
                checks[t] = [state_digest(words.view(np.uint8), a, b) for a, b in self.states]
            for name, kept in record.items():
                cells, ids, _ = self.cells[name.rpartition(".")[0]]
                source = reals if kept.dtype == np.float32 else words
                at = cells + (1 if name.endswith(".i") else 0)
                kept[t, ids] = source[at]
        first = np.concatenate(([0], np.cumsum([len(each) for each in senders])))
        return Sample(np.concatenate(senders), np.concatenate(values), first, sums, counts, checks)

    def _entering(self, name: str, values: Array) -> list[tuple[Array, Array]]:
        """Of each step: the senders of an input that are not 0, in local order, and their values."""
        index = next(k for k, each in enumerate(self.program.inputs) if each.name == name)
        first = int(self.wiring.offset[len(self.program.pes) + index])
        local = values[:, self.program.inputs[index].neurons]
        return [(first + np.flatnonzero(row), row[row != 0].astype(np.int64)) for row in local]


def state_digest(memory: Array, start: int, end: int) -> int:
    """A checksum of bytes `start` to `end` of a memory: all sums of a PE, then its neurons."""
    return zlib.crc32(memory[start:end].tobytes())


def delivered(chip: Chip, sample: Sample, index: int) -> Packets:
    """What a PE received, in order."""
    wiring = chip.wiring
    hit = np.zeros(len(wiring.key), np.bool_)
    hit[np.repeat(np.arange(len(wiring.key)), np.diff(wiring.first))[wiring.pe == index]] = True
    mine = np.flatnonzero(hit[sample.sender])
    edges = sample.first[:-1]
    ends = (edges, edges + sample.sums, sample.first[1:])
    a, b, c = (np.searchsorted(mine, each) for each in ends)
    return Packets(
        wiring.key[sample.sender[mine]],
        sample.value[mine],
        np.stack([a, b], axis=1),
        np.stack([b, c], axis=1),
    )


def instructions(program: Program, sample: Sample, index: int) -> float:
    """The instructions that a PE took in a sample, by the costs of its program."""
    cost = program.costs[program.pes[index].kind.name][0]
    return float(sample.counts[:, index].sum(axis=0) @ cost)


# ---- run ----------------------------------------------------------------------------------------------------


def simulate(
    artifact_files: Mapping[str, bytes], inputs: Mapping[str, Array], record: tuple[str, ...]
) -> SimResult:
    """Run the program in an artifact's files on inputs (steps, samples, *shape); states of `record`ed populations."""
    program = files.read(artifact_files)
    chip = Chip(program)
    given, steps, samples = checked(program, inputs)
    kept = recordings(chip, record, steps, samples)
    ran = [
        chip.run(
            {name: values[:, b] for name, values in given.items()},
            {name: array[:, b] for name, array in kept.items()},
        )
        for b in range(samples)
    ]
    done = result("machine", chip, ran, given, kept, record)
    return replace(done, **measured(chip, ran))


def measured(chip: Chip, ran: list[Sample]) -> Measured:
    """Cycles, seconds, energy and counts of what ran."""
    program, wiring = chip.program, chip.wiring
    costs = timing.costs_of(program, chip.table, chip.start, wiring.first, wiring.pe, wiring.key)
    clock = timing.Clock(program, costs, first=wiring.first, target=wiring.pe, offset=wiring.offset)
    times = [clock.run(each.sender, each.first, each.sums, each.counts) for each in ran]
    cycles = np.array([program.costs[pe.kind.name][1] for pe in program.pes]).reshape(-1, COUNTS)
    busy = sum(float((each.counts * cycles).sum()) for each in ran)
    ticks = sum(len(each.ends) for each in times)
    ends = np.concatenate([each.ends for each in times])
    return Measured(
        cycles=ticks * program.tick_cycles,
        seconds=ticks * program.tick_cycles / program.chip.clock_hz,
        energy=Energy(busy * timing.JOULES_PER_CYCLE, timing.ENERGY_BASIS),
        counts={
            "packets": float(sum(each.packets for each in times)),
            "hops": float(sum(each.hops for each in times)),
            "late packets": float(sum(each.late for each in times)),
            "dropped packets": float(sum(each.dropped for each in times)),
            "longest queue of a PE": float(max(each.queue for each in times)),
            "packets over the hottest link in a tick": float(max(each.hottest for each in times)),
            "cycles of a tick": float(program.tick_cycles),
            "cycles of the longest tick": float(ends.max(initial=0)),
            "busy cycles of all PEs": busy,
            "instructions": float(
                sum(instructions(program, each, k) for each in ran for k in range(len(program.pes)))
            ),
        },
    )


class Measured(TypedDict):
    """Those fields of a result that say what it cost."""

    cycles: int
    seconds: float
    energy: Energy
    counts: Mapping[str, float]


def tick_cycles(program: Program) -> int:
    """The cycles of a tick in which nothing is ever late; see `timing.tick_of`."""
    chip = Chip(program)
    wiring = chip.wiring
    costs = timing.costs_of(program, chip.table, chip.start, wiring.first, wiring.pe, wiring.key)
    return timing.tick_of(program, costs, wiring.first, wiring.pe)


def checked(program: Program, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], int, int]:
    """Inputs as (steps, samples, elements), and how many steps and samples; CompileError for what does not fit."""
    takes = Graph(tuple(Node(each.name, Input(each.signal)) for each in program.inputs), ())
    return checked_inputs(takes, inputs, integer=True, dtype=np.dtype(np.int64))


def recordings(chip: Chip, record: tuple[str, ...], steps: int, samples: int) -> dict[str, Array]:
    """Room for the states of populations, (steps, samples, neurons), as `NODE.v` and `NODE.i`."""
    found: dict[str, Array] = {}
    values = {exit_.of for exit_ in chip.program.outputs if not fires(chip.program, exit_.of)}
    for name in dict.fromkeys((*record, *sorted(values & set(chip.cells)))):
        kind = kind_of(chip.program, name)
        dtype = np.float32 if kind["REAL"] else np.int64
        size = math.prod(chip.program.group(name).shape)
        for variable in ("v", *(("i",) if kind["SYNAPSE"] else ())):
            found[f"{name}.{variable}"] = np.zeros((steps, samples, size), dtype)
    return found


def kind_of(program: Program, population: str) -> files.Kind:
    """The program of a population's PEs; its switches for neurons are the same on all of them."""
    return next(pe.kind for pe in program.pes if pe.population == population and pe.kind["NEURON"])


def fires(program: Program, name: str) -> bool:
    """Whether a population spikes; inputs do."""
    return name in {each.name for each in program.inputs} or bool(kind_of(program, name)["FIRE"])


def result(
    by: str,
    chip: Chip,
    ran: list[Sample],
    given: Mapping[str, Array],
    kept: Mapping[str, Array],
    record: tuple[str, ...],
) -> SimResult:
    """What ran, in the names and types of every other engine."""
    program = chip.program
    sent = {name: sent_by(chip, ran, name) for name in chip.cells if fires(program, name)}
    trace: dict[str, Array] = {}
    for name in record:
        shape = program.group(name).shape
        for variable in ("v", "i"):
            if f"{name}.{variable}" in kept:
                array = kept[f"{name}.{variable}"]
                trace[f"{name}.{variable}"] = array.reshape(*array.shape[:2], *shape)
        if name in sent:
            trace[f"{name}.spikes"] = sent[name].reshape(*sent[name].shape[:2], *shape)
    outputs: dict[str, Array] = {}
    for each in program.outputs:
        shapes = {
            **{e.name: e.signal.shape for e in program.inputs},
            **{g.name: g.shape for g in program.populations},
        }
        values = given[each.of] if each.of in given else sent.get(each.of, kept.get(f"{each.of}.v"))
        assert values is not None
        if each.of in given and not any(e.name == each.of and e.signal.number for e in program.inputs):
            values = values.astype(np.uint8)
        late = np.zeros_like(values)
        late[each.delay :] = values[: max(0, len(values) - each.delay)]
        outputs[each.name] = late.reshape(*late.shape[:2], *shapes[each.of])
    return SimResult(by, outputs, trace, {name: int(values.sum()) for name, values in sent.items()})


def sent_by(chip: Chip, ran: list[Sample], population: str) -> Array:
    """What the neurons of a population sent, (steps, samples, neurons): spikes as uint8, numbers of them as int64."""
    program = chip.program
    size = math.prod(program.group(population).shape)
    place = np.full(int(chip.wiring.offset[-1]), -1, np.int64)
    for index, pe in enumerate(program.pes):
        if pe.population == population and pe.kind["NEURON"]:
            place[chip.wiring.offset[index] : chip.wiring.offset[index + 1]] = pe.neurons
    counts = kind_of(program, population)["RESET"] == 3
    steps = len(ran[0].first) - 1
    found = np.zeros((steps, len(ran), size), np.int64 if counts else np.uint8)
    for b, sample in enumerate(ran):
        at = place[sample.sender]
        step = np.repeat(np.arange(steps), np.diff(sample.first))
        mine = at >= 0
        found[step[mine], b, at[mine]] = sample.value[mine]
    return found
