# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""The machine: pulse by pulse, from the emitted netlist, cells and schedule.

A cell is a transition table; a pulse is an event on a net at a time in units that divide all delays. Events stand in a
ring of lists, one for each time up to the longest delay ahead, and a bit for each list that is not empty: taking and
adding one costs the same however many there are. Pulses of one time are taken in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np

from nmc.backends.sfq import files
from nmc.backends.sfq.cells import FEMTO, Library
from nmc.backends.sfq.files import Schedule
from nmc.backends.sfq.netlist import PHI0, Netlist, size
from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.tensor import Array
from nmc.sim.compiled import compiled
from nmc.sim.trace import Energy, SimResult

WORD = 32
"""Lists of the ring whose bits stand in one word."""

MOST_VIOLATIONS = 1000
"""Violations that are kept; all are counted."""

BASIS = (
    "bias current times 2.6 mV for as long as it runs, and half of each pulsed cell's critical current times a flux "
    "quantum: rough"
)


@dataclass(frozen=True, slots=True)
class Violation:
    """A pulse at `input` of a cell that came `gap` after one at `after`; it may come from `legal` on. Times in fs."""

    instance: str
    cell: str
    input: str
    after: str
    time: int
    gap: int
    legal: int

    def __str__(self) -> str:
        return (
            f"`{self.instance}` ({self.cell}): a pulse at `{self.input}` at {self.time / FEMTO:.3f} ps, "
            f"{self.gap / FEMTO:.3f} ps after one at `{self.after}`; the earliest legal time is "
            f"{self.legal / FEMTO:.3f} ps"
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What happened on a netlist: the times of pulses (fs) by net, of nets that were watched; violations, events."""

    pulses: Mapping[str, Array]
    violations: tuple[Violation, ...]
    violated: int
    events: int
    energy: float
    """Dissipated by pulses, joules."""


class Tables:
    """A netlist and its cells as the flat arrays that the kernel walks. Times are in units of `unit` fs."""

    def __init__(self, netlist: Netlist, library: Library, *, slot: int) -> None:
        kinds = sorted(netlist.cells())
        cells = [library[name] for name in kinds]
        times = [t for cell in cells for each in cell.transitions for _, t in each.pulses]
        times += [w.time for cell in cells for w in cell.windows]
        self.unit = gcd(slot, *times)
        self.netlist, self.cells = netlist, cells
        numbers: dict[str, int] = {}
        for net in netlist.inputs:
            numbers[net] = len(numbers)
        which = {name: k for k, name in enumerate(kinds)}
        inputs = [len(cell.inputs) for cell in cells]
        count = len(netlist.instances)
        self.kind = np.fromiter((which[each.cell] for each in netlist.instances), np.int32, count)
        sizes = (
            np.array([len(cell.ports) for cell in cells], np.int64)[self.kind]
            if count
            else np.zeros(0, np.int64)
        )
        self.pin_at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        flat: list[int] = []
        setdefault = numbers.setdefault
        for each in netlist.instances:
            for net in each.nets:
                flat.append(setdefault(net, len(numbers)))
        for net in netlist.outputs:
            setdefault(net, len(numbers))
        self.numbers = numbers
        self.pins = np.array(flat, np.int64)
        self.sink = np.full(len(numbers), -1, np.int64)
        self.port = np.zeros(len(numbers), np.int8)
        ins = np.array(inputs, np.int64)[self.kind] if count else np.zeros(0, np.int64)
        for port in range(max(inputs, default=0)):
            at = np.flatnonzero(ins > port)
            nets = self.pins[self.pin_at[at] + port]
            self.sink[nets], self.port[nets] = at, port
        most_in = max(inputs, default=1)
        most_states = max((cell.states for cell in cells), default=1)
        most_out = max((len(t.pulses) for cell in cells for t in cell.transitions), default=0)
        shape = (len(cells), most_states, most_in)
        self.after = np.tile(np.arange(most_states, dtype=np.int64)[:, None], (len(cells), 1, most_in))
        self.out_count = np.zeros(shape, np.int64)
        self.out_pin = np.zeros((*shape, max(1, most_out)), np.int64)
        self.out_delay = np.zeros((*shape, max(1, most_out)), np.int64)
        self.window = np.zeros((len(cells), most_in, most_in), np.int64)
        for k, cell in enumerate(cells):
            for each in cell.transitions:
                at = (k, each.state, cell.inputs.index(each.input))
                self.after[at] = each.after
                self.out_count[at] = len(each.pulses)
                for n, (output, time) in enumerate(each.pulses):
                    self.out_pin[(*at, n)] = len(cell.inputs) + cell.outputs.index(output)
                    self.out_delay[(*at, n)] = time // self.unit
            for w in cell.windows:
                self.window[k, cell.inputs.index(w.first), cell.inputs.index(w.second)] = w.time // self.unit
        self.inputs = most_in
        self.critical = np.array([cell.critical for cell in cells])
        self.longest = int(self.out_delay.max(initial=1))

    def run(self, stimulus: Array, watched: tuple[str, ...]) -> Run:
        """Run on pulses (n, 2), time in fs and number of an input net, in any order; from the state after power-up."""
        ordered = (
            stimulus[np.argsort(stimulus[:, 0], kind="stable")] if len(stimulus) else stimulus.reshape(0, 2)
        )
        times, nets = ordered[:, 0] // self.unit, ordered[:, 1]
        watch = np.zeros(len(self.numbers), np.uint8)
        watch[[self.numbers[net] for net in watched]] = 1
        state = np.zeros(len(self.kind), np.int64)
        for name, begins in self.netlist.initial.items():
            state[[each.name for each in self.netlist.instances].index(name)] = begins
        last = np.full((len(self.kind), self.inputs), -(1 << 60), np.int64)
        broken = np.zeros((MOST_VIOLATIONS, 5), np.int64)
        room = 1 << 16
        while True:
            seen = np.zeros((room, 2), np.int64)
            used = np.zeros(max(1, len(self.cells)), np.int64)
            totals = np.zeros(3, np.int64)
            enough = kernel(
                times, nets, self.sink, self.port, self.kind, self.pin_at, self.pins, self.after, self.out_count,
                self.out_pin, self.out_delay, self.window, state.copy(), last.copy(), watch, seen, broken, used,
                totals, max(WORD, 1 << self.longest.bit_length()),
            )  # fmt: skip
            if enough:
                break
            room *= 4
        found, count, violated = seen[: totals[0]], int(totals[1]), int(totals[2])
        order = np.argsort(found[:, 1], kind="stable")
        found = found[order]
        pulses = {
            net: found[slice(*np.searchsorted(found[:, 1], [self.numbers[net], self.numbers[net] + 1])), 0]
            * self.unit
            for net in watched
        }
        energy = float(used[: len(self.critical)] @ self.critical) * 1e-6 * 0.5 * PHI0 * 1e-15
        return Run(
            pulses, self._violations(broken[: min(violated, MOST_VIOLATIONS)]), violated, count, energy
        )

    def _violations(self, rows: Array) -> tuple[Violation, ...]:
        made: list[Violation] = []
        for time, number, second, first, gap in rows.tolist():
            instance, cell = self.netlist.instances[number], self.cells[int(self.kind[number])]
            needed = int(self.window[int(self.kind[number]), first, second])
            made.append(
                Violation(
                    instance.name,
                    instance.cell,
                    cell.inputs[second],
                    cell.inputs[first],
                    time * self.unit,
                    gap * self.unit,
                    (time - gap + needed) * self.unit,
                )
            )
        return tuple(made)


@compiled
def lowest(word: int) -> int:
    """The place of the lowest bit that is set, of 32."""
    bit = word & -word
    place = 0
    if bit & 0xFFFF0000:
        place += 16
    if bit & 0xFF00FF00:
        place += 8
    if bit & 0xF0F0F0F0:
        place += 4
    if bit & 0xCCCCCCCC:
        place += 2
    if bit & 0xAAAAAAAA:
        place += 1
    return place


@compiled
def kernel(
    times: Array, nets: Array, sink: Array, port: Array, kind: Array, pin_at: Array, pins: Array, after: Array,
    out_count: Array, out_pin: Array, out_delay: Array, window: Array, state: Array, last: Array, watch: Array,
    seen: Array, broken: Array, used: Array, totals: Array, ring: int,
) -> bool:  # fmt: skip
    """All pulses that follow from those at `times` on `nets`; False if there was no room for those that are seen.

    `ring` is a power of two, more than the longest delay.
    `totals` are pulses seen, events, violations; a row of `broken` is time, instance, input, the input before, gap.
    """
    head = np.full(ring, -1, np.int64)
    tail = np.full(ring, -1, np.int64)
    busy = np.zeros(ring // WORD, np.int64)
    following = np.full(1024, -1, np.int64)
    where = np.zeros(1024, np.int64)
    free = 0  # the first of a list of free places, chained by `following`
    for k in range(following.shape[0] - 1):
        following[k] = k + 1
    pending = 0
    at = 0
    now = times[0] if times.shape[0] > 0 else 0
    inputs = last.shape[1]
    while True:
        if pending == 0:
            if at >= times.shape[0]:
                return True
            now = times[at]
        place = now & (ring - 1)
        while True:
            # Pulses from outside come first, then those made before.
            if at < times.shape[0] and times[at] == now:
                net = nets[at]
                at += 1
            elif head[place] >= 0:
                event = head[place]
                net = where[event]
                head[place] = following[event]
                if head[place] < 0:
                    tail[place] = -1
                    busy[place // WORD] ^= 1 << (place % WORD)
                following[event] = free
                free = event
                pending -= 1
            else:
                break
            totals[1] += 1
            if watch[net] == 1:
                if totals[0] >= seen.shape[0]:
                    return False
                seen[totals[0], 0] = now
                seen[totals[0], 1] = net
                totals[0] += 1
            cell = sink[net]
            if cell < 0:
                continue
            p, what = port[net], kind[cell]
            for first in range(inputs):
                needed = window[what, first, p]
                if needed > 0 and now - last[cell, first] < needed:
                    if totals[2] < broken.shape[0]:
                        broken[totals[2], 0] = now
                        broken[totals[2], 1] = cell
                        broken[totals[2], 2] = p
                        broken[totals[2], 3] = first
                        broken[totals[2], 4] = now - last[cell, first]
                    totals[2] += 1
            last[cell, p] = now
            used[what] += 1
            s = state[cell]
            state[cell] = after[what, s, p]
            for n in range(out_count[what, s, p]):
                if free < 0:
                    old = following.shape[0]
                    grown = np.full(2 * old, -1, np.int64)
                    grown[:old] = following
                    following = grown
                    moved = np.zeros(2 * old, np.int64)
                    moved[:old] = where
                    where = moved
                    for k in range(old, 2 * old - 1):
                        following[k] = k + 1
                    free = old
                event = free
                free = following[event]
                following[event] = -1
                where[event] = pins[pin_at[cell] + out_pin[what, s, p, n]]
                slot = (now + out_delay[what, s, p, n]) & (ring - 1)
                if tail[slot] >= 0:
                    following[tail[slot]] = event
                else:
                    head[slot] = event
                    busy[slot // WORD] ^= 1 << (slot % WORD)
                tail[slot] = event
                pending += 1
        if pending > 0:
            # Behind the place of now in its own word, then in the words after it, once around.
            word = place // WORD
            bits = busy[word] & -(2 << (place % WORD))
            while bits == 0:
                word = (word + 1) % busy.shape[0]
                bits = busy[word]
            ahead = (word * WORD + lowest(bits) - place) & (ring - 1)
            now += ahead
            if at < times.shape[0]:
                now = min(now, times[at])


# ---- frames -----------------------------------------------------------------------------------------------


BEGIN = 100 * FEMTO
"""When the first pulse comes, fs: a Verilog simulator has settled by then."""


def stimulus(schedule: Schedule, inputs: Mapping[str, Array], *, steps: int) -> list[tuple[int, str]]:
    """The pulses (fs, net) of one sample: inputs (steps, elements) by name, and clocks."""
    slot, frame = schedule.slot, schedule.frame
    first = BEGIN + schedule.lead * slot
    pulses: list[tuple[int, str]] = []
    if schedule.clock is not None:
        count = schedule.lead + steps * len(schedule.slots)
        pulses += [(BEGIN + k * slot, schedule.clock) for k in range(count)]
    pulses += [(BEGIN + k * slot, net) for k, net in enumerate(schedule.start)]
    driven = [(k * slot, net) for k, net in enumerate(schedule.slots) if net is not None]
    for step in range(steps):
        pulses += [(first + step * frame + time, net) for time, net in driven]
    for name, port in schedule.inputs.items():
        for step, element in np.argwhere(inputs[name][:steps] != 0).tolist():
            net = port.nets[element]
            if net is not None:
                pulses.append((first + step * frame, net))
    return sorted(pulses)


def frames(schedule: Schedule, times: Array, steps: int) -> Array:
    """How many of the pulses at `times` come in each frame."""
    first = BEGIN + schedule.lead * schedule.slot
    at = (np.asarray(times, np.int64) - first) // schedule.frame
    return np.bincount(at[(at >= 0) & (at < steps)], minlength=steps)


def check_run(schedule: Schedule, inputs: Mapping[str, Array]) -> None:
    """Raise CompileError (NMC487) for a run that is longer than the counters are proved for."""
    steps = next(iter(inputs.values())).shape[0]
    if schedule.steps is not None and steps > schedule.steps:
        message = f"a run of {steps} steps; the counters are proved for {schedule.steps}"
        raise CompileError(
            error("NMC487", message, Loc("<inputs>"), help=f"compile with `--set steps={steps}`")
        )


def simulate(found: Mapping[str, bytes], inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """Run the files of an artifact on inputs (steps, samples, *shape), each sample from power-up.

    Raises CompileError: NMC486 with the violations of setup, hold and separation, NMC487 for too long a run.
    """
    library = files.read_cells(found[files.CELLS])
    netlist = files.read_netlist(found[files.NETLIST])
    schedule = files.read_schedule(found[files.SCHEDULE])
    check_run(schedule, inputs)
    tables = Tables(netlist, library, slot=schedule.slot)
    watched = tuple(dict.fromkeys(
        net
        for port in (*schedule.outputs.values(), *schedule.populations.values())
        for net in port.nets
        if net is not None
    ))  # fmt: skip
    steps, samples = next(iter(inputs.values())).shape[:2]
    flat = {name: np.asarray(array).reshape(steps, samples, -1) for name, array in inputs.items()}
    runs: list[Run] = []
    for sample in range(samples):
        given = {name: array[:, sample] for name, array in flat.items()}
        pulses = stimulus(schedule, given, steps=steps)
        events = np.array([(time, tables.numbers[net]) for time, net in pulses], np.int64).reshape(-1, 2)
        runs.append(tables.run(events, watched))
    refuse_violations(runs)
    static = size(netlist, library).static_power * 1e-3
    seconds = (schedule.frame * steps + schedule.slot * schedule.lead) * samples * 1e-15
    energy = Energy(static * seconds + sum(run.energy for run in runs), BASIS)
    return result("machine", schedule, [run.pulses for run in runs], steps, record, seconds=seconds, energy=energy,
                  events=sum(run.events for run in runs))  # fmt: skip


def refuse_violations(runs: list[Run]) -> None:
    """Raise CompileError (NMC486) with the first violations of runs, if there are any."""
    total = sum(run.violated for run in runs)
    if total:
        first = [violation for run in runs for violation in run.violations][:5]
        findings = [error("NMC486", str(each), Loc(files.NETLIST, each.instance)) for each in first]
        count = error("NMC486", f"{total} violations in all", Loc(files.NETLIST))
        raise CompileError(*findings, *([count] if total > len(first) else []))


def result(
    by: str,
    schedule: Schedule,
    pulses: list[Mapping[str, Array]],
    steps: int,
    record: tuple[str, ...],
    *,
    seconds: float | None = None,
    energy: Energy | None = None,
    events: int = 0,
) -> SimResult:
    """Spikes out of pulses: those of outputs, one for each pulse, and of populations."""
    outputs: dict[str, Array] = {}
    for name, port in schedule.outputs.items():
        values = np.zeros((steps, len(pulses), len(port.nets)), np.uint8)
        for sample, found in enumerate(pulses):
            for k, net in enumerate(port.nets):
                if net is not None:
                    values[:, sample, k] = frames(schedule, found[net], steps)
        outputs[name] = values.reshape(steps, len(pulses), *port.shape)
    trace: dict[str, Array] = {}
    spikes: dict[str, int] = {}
    for name, seen in schedule.populations.items():
        values = np.zeros((steps, len(pulses), len(seen.nets)), np.uint8)
        for sample, found in enumerate(pulses):
            for k, (net, inverted) in enumerate(zip(seen.nets, seen.inverted, strict=True)):
                if net is not None:
                    values[:, sample, k] = (frames(schedule, found[net], steps) > 0) != inverted
        spikes[name] = int(values.sum())
        if name in record:
            trace[f"{name}.spikes"] = values.reshape(steps, len(pulses), *seen.shape)
    counts = {"slots": float(len(schedule.slots)), "pulses": float(events)} if events else {}
    return SimResult(by, outputs, trace, spikes, seconds=seconds, energy=energy, counts=counts)
