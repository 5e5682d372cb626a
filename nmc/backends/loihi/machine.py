# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""The machine: Loihi step by step, from the files of the artifact and nothing else.

Neurons follow the rules of `nmc.ir.neuron` through the kernels that golden uses. All else is the chip's: which core
holds what, which messages go where, what every core has to do in a step, when the barrier is reached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.loihi import files
from nmc.backends.loihi.mesh import Mesh, step_seconds
from nmc.backends.loihi.program import (
    CONV_BITS,
    DECAY_BITS,
    STATE,
    STATE_SHIFT,
    Connection,
    Conv,
    Dense,
    Network,
    Population,
    Sparse,
)
from nmc.backends.loihi.spec import BASIS, LOIHI, STOCK
from nmc.backends.loihi.synapses import Synapses, synapses
from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.graph import Graph, Node
from nmc.ir.neuron import Reset
from nmc.ir.ops import Input
from nmc.ir.tensor import Tensor
from nmc.sim import neurons
from nmc.sim.arrays import checked_inputs
from nmc.sim.compiled import compiled
from nmc.sim.trace import Energy, SimResult

Array = npt.NDArray[Any]
"""Any: states, spikes and counts of several dtypes."""

INPUT_LIMIT = 1 << 25
"""Lava shifts a neuron's summed input left by 6 in int32: from here on it would wrap (proc/lif/models.py)."""

BYTES_AT_ONCE = 1 << 28
"""Memory for delayed inputs of the samples that run side by side."""


@dataclass(frozen=True, slots=True)
class Run:
    """What happened. Arrays of signals are (steps, samples, *shape), those of costs (samples, steps).

    `sent` are spikes or messages by source or population; `states` are `NODE.v` and `NODE.u` of recorded populations.
    `work` is (cores, 2): seconds over the run that each core spent on neurons and on messages.
    """

    sent: Mapping[str, Array]
    states: Mapping[str, Array]
    seconds: Array
    joules: Array
    messages: Array
    hops: Array
    synaptic_events: Array
    active_neurons: Array
    work: Array


def simulate(
    artifact_files: Mapping[str, bytes], inputs: Mapping[str, Array], record: tuple[str, ...]
) -> SimResult:
    """Run the program in an artifact's files on inputs (steps, samples, *shape); states of `record`ed populations.

    Raises CompileError for files that are not a program (NMC403), for inputs that do not fit, and where a neuron's
    input leaves the 32 bits in which Lava sums it (NMC402).
    """
    network = files.program(artifact_files)
    done = run(network, inputs, record=record)
    trace: dict[str, Array] = {}
    for name in record:
        population = network.population(name)
        trace[f"{name}.v"] = done.states[f"{name}.v"]
        trace[f"{name}.i"] = done.states[f"{name}.u"]
        if population.rule.fire:
            trace[f"{name}.spikes"] = typed(done.sent[name], graded=population.graded)
    spikes = {p.name: int(done.sent[p.name].sum()) for p in network.populations if p.rule.fire}
    seconds = float(done.seconds.sum())
    return SimResult(
        by="machine",
        outputs=outputs(network, done.sent),
        trace=trace,
        spikes=spikes,
        seconds=seconds,
        energy=Energy(float(done.joules.sum()), BASIS),
        by_step={"seconds": done.seconds.T, "joules": done.joules.T},
        counts={
            "messages": float(done.messages.sum()),
            "hops": float(done.hops.sum()),
            "synaptic_events": float(done.synaptic_events.sum()),
            "neuron_updates": float(done.active_neurons.sum()),
            "seconds_in_barriers": float(done.seconds.size) * _barrier(network),
            "seconds_on_neurons_in_one_core": float(done.work[:, 0].max(initial=0.0)),
            "seconds_on_messages_in_one_core": float(done.work[:, 1].max(initial=0.0)),
        },
    )


def outputs(network: Network, sent: Mapping[str, Array]) -> dict[str, Array]:
    """The network's outputs from what its ends sent, each as late as its output says."""
    found: dict[str, Array] = {}
    for output in network.outputs:
        values = typed(sent[output.of], graded=network.graded(output.of))
        late = np.zeros_like(values)
        late[output.delay :] = values[: max(0, len(values) - output.delay)]
        found[output.name] = late
    return found


def typed(values: Array, *, graded: bool) -> Array:
    """Spikes as uint8, messages as int64."""
    return values.astype(np.int64 if graded else np.uint8)


def run(network: Network, inputs: Mapping[str, Array], *, record: tuple[str, ...] = ()) -> Run:
    """Run a network; see `simulate`."""
    given, steps, samples = checked(network, inputs)
    layout = _Layout(network)
    parts: list[Run] = []
    together = max(1, BYTES_AT_ONCE // max(1, layout.bytes_a_sample))
    for start in range(0, samples, together):
        part = {name: values[:, start : start + together] for name, values in given.items()}
        parts.append(_Chip(layout, min(together, samples - start), steps, record).run(part))
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: list[Run]) -> Run:
    first = parts[0]
    costs = ("seconds", "joules", "messages", "hops", "synaptic_events", "active_neurons")
    return Run(
        sent={name: np.concatenate([part.sent[name] for part in parts], axis=1) for name in first.sent},
        states={name: np.concatenate([part.states[name] for part in parts], axis=1) for name in first.states},
        work=np.sum([part.work for part in parts], axis=0),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in costs},
    )


def checked(network: Network, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], int, int]:
    """Inputs as (steps, samples, elements), and how many steps and samples; CompileError for what does not fit."""
    takes = Graph(tuple(Node(source.name, Input(source.signal)) for source in network.sources), ())
    return checked_inputs(takes, inputs, integer=True, dtype=np.dtype(np.int64))


# ---- what does not change while it runs --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wiring:
    """A connection as the machine walks along it. Each delay shifts its own sum where bits are dropped."""

    connection: Connection
    synapses: Synapses
    reach: int


class _Layout:
    """Where everything is, and what a spike of each neuron sets off."""

    def __init__(self, network: Network) -> None:
        self.network = network
        ends = network.ends
        self.offset: dict[str, int] = {}
        self.size = 0
        for name, end in ends.items():
            self.offset[name] = self.size
            self.size += math.prod(end.shape)
        self.wirings = [
            _Wiring(c, lines, int(lines.delay.max(initial=0)))
            for c in network.connections
            for lines in [synapses(c, ends[c.pre].shape, ends[c.post].shape)]
        ]
        self.slots = {p.name: 1 for p in network.populations}
        for wiring in self.wirings:
            post = wiring.connection.post
            self.slots[post] = max(self.slots[post], wiring.reach + 2)
        self.bytes_a_sample = sum(p.size * self.slots[p.name] * 9 for p in network.populations)
        self.checked = {p.name: self._bound(p.name) >= INPUT_LIMIT for p in network.populations}
        self._place()
        self._axons()

    def _bound(self, post: str) -> int:
        """The largest input that a neuron of a population could get in one step."""
        total = 0
        for wiring in self.wirings:
            if wiring.connection.post == post:
                message = 1 << wiring.connection.message_bits
                size = self.network.population(post).size
                weight = np.abs(wiring.synapses.weight)
                rows = np.bincount(wiring.synapses.post, weight, minlength=size)
                total += int(rows.max(initial=0)) * message << max(wiring.connection.exponent, 0)
        return total

    def _place(self) -> None:
        self.core = np.zeros(self.size, np.int64)
        units: list[Array] = []
        cores: list[Array] = []
        for part in self.network.cores:
            span = np.arange(part.start, part.stop) + self.offset[part.node]
            self.core[span] = part.core
            units.append(span)
            cores.append(np.full(span.size, part.core))
        placed, where = np.concatenate(units), np.concatenate(cores)
        order = np.argsort(where, kind="stable")
        self.unit = placed[order]
        count = int(self.core.max(initial=0)) + 1
        self.first = np.searchsorted(where[order], np.arange(count + 1))
        names = {population.name for population in self.network.populations}
        self.is_neuron = np.zeros(self.size, np.int64)
        for name, end in self.network.ends.items():
            if name in names:
                self.is_neuron[self.offset[name] : self.offset[name] + math.prod(end.shape)] = 1

    def _axons(self) -> None:
        """One message from a neuron to each core that its spike reaches, with all synapses there."""
        count = self.first.size - 1
        events, seconds, joules = (np.zeros(0),) * 3
        keys = np.zeros(0, np.int64)
        for wiring in self.wirings:
            lines, kind = wiring.synapses, _kind(wiring.connection)
            pre = np.repeat(np.arange(lines.first.size - 1), np.diff(lines.first))
            target = self.core[lines.post + self.offset[wiring.connection.post]]
            key, found = np.unique(
                (pre + self.offset[wiring.connection.pre]) * count + target, return_counts=True
            )
            keys, events = np.concatenate([keys, key]), np.concatenate([events, found])
            seconds = np.concatenate([seconds, found * _cost(f"{kind}_time")])
            joules = np.concatenate([joules, found * _cost(f"{kind}_energy")])
        unique, inverse = np.unique(keys, return_inverse=True)
        source = unique // count
        self.axon_core = unique % count
        self.axon_first = np.searchsorted(source, np.arange(self.size + 1))
        self.axon_seconds = np.bincount(inverse, seconds, unique.size) + _cost("message_in_time")
        rows, per_tile = _limit("mesh_rows"), _limit("cores_per_tile")
        here, there = self.core[source] // per_tile, self.axon_core // per_tile
        across, along = np.abs(here // rows - there // rows), np.abs(here % rows - there % rows)
        energy = np.bincount(inverse, joules, unique.size) + _cost("message_out_energy")
        energy += across * _cost("hop_x_energy") + along * _cost("hop_y_energy")
        # Of a spike of each neuron: messages, hops, synaptic events, joules in messages.
        self.spike_counts = np.zeros((self.size, 4))
        columns = (np.ones(unique.size), across + along, np.bincount(inverse, events, unique.size), energy)
        for column, values in enumerate(columns):
            self.spike_counts[:, column] = np.bincount(source, values, self.size)

    @property
    def mesh(self) -> Mesh:
        access, update, spike = _cost("access_time"), _cost("update_time"), _cost("spike_time")
        return Mesh(
            first=self.first,
            unit=self.unit,
            is_neuron=self.is_neuron,
            soma=np.array([[0.0, 0.0, 0.0], [access, access + update, access + update + spike]]),
            send=_cost("message_out_time"),
            axon_first=self.axon_first,
            axon_core=self.axon_core,
            axon_seconds=self.axon_seconds,
            hop=np.array([_cost("hop_x_time"), _cost("hop_y_time")]),
            rows=_limit("mesh_rows"),
            cores_per_tile=_limit("cores_per_tile"),
            buffer=_limit("link_buffer"),
            barrier=_barrier(self.network),
        )


def _kind(connection: Connection) -> str:
    """By what a synapse of the connection is priced."""
    match connection:
        case Dense():
            return "dense"
        case Conv():
            return "conv"
        case Sparse():
            return "sparse"


def _cost(name: str) -> float:
    return LOIHI.costs[name].value


def _limit(name: str) -> int:
    return int(LOIHI.limits[name].value)


def _barrier(network: Network) -> float:
    """Seconds in which all tiles that hold something agree that a step is over."""
    tiles = len({part.core // _limit("cores_per_tile") for part in network.cores})
    table = (
        (29, "barrier_time_from_29_tiles"),
        (4, "barrier_time_from_4_tiles"),
        (2, "barrier_time_from_2_tiles"),
        (0, "barrier_time_from_1_tile"),
    )
    return _cost(next(name for least, name in table if tiles >= least))


# ---- what changes -------------------------------------------------------------------------------------------


class _Cells:
    """The state of a population for some samples, and the kernel that steps it."""

    def __init__(self, population: Population, *, slots: int, samples: int) -> None:
        self.population = population
        self.incoming = np.zeros((samples, slots, population.size), np.int64)
        self.touched = np.zeros((samples, slots, population.size), np.uint8)
        self.v = np.repeat(_per_neuron(population, population.initial_v)[None], samples, axis=0)
        self.i = np.repeat(_per_neuron(population, population.initial_u)[None], samples, axis=0)
        rule = population.rule
        resting = bool(rule.refractory.data.any())
        self.wait = np.zeros((samples, population.size if resting else 0), np.int32)
        bias = _per_neuron(population, population.bias_mantissa)
        self.bias = bias << _per_neuron(population, population.bias_exponent)
        zero = Tensor(0)
        table = [
            (1 << DECAY_BITS) - _per_neuron(population, population.voltage_decay),
            (1 << DECAY_BITS) - 1 - _per_neuron(population, population.current_decay),
            _per_neuron(population, population.threshold) << STATE_SHIFT,
            _per_neuron(population, zero),
            _per_neuron(population, rule.minimum or zero),
            _per_neuron(population, rule.refractory),
        ]
        each = any(bool((row != row[0]).any()) for row in table)
        self.parameters = np.array(table if each else [row[:1] for row in table])
        emits = neurons.Emits.SPIKES if rule.fire else neurons.Emits.MEMBRANE
        if rule.fire and rule.reset is Reset.MULTI_SPIKE:
            emits = neurons.Emits.COUNTS
        self.emits = emits
        self.kernel = neurons.integer_kernel(
            neurons.Rule(
                emits=int(emits),
                synapse=True,
                biased=bool(self.bias.any()),
                refractory=resting,
                each=each,
                current_used=0,
                comparison=int(rule.comparison),
                spike_from=0,
                reset=int(rule.reset) if rule.fire else 0,
                when=int(rule.when) if rule.fire else 0,
                clamped=rule.minimum is not None,
                decay_bits=DECAY_BITS,
                decay_form=int(STOCK.decay_form),
                rounding=int(STOCK.rounding),
                v_overflow=int(STOCK.v_overflow),
                i_overflow=int(STOCK.i_overflow),
                every=rule.every,
                phase=rule.phase,
            )
        )
        size = population.size
        self.count = np.zeros((samples, 1), np.int64)
        self.index = np.zeros((samples, 1, (size + 7) // 8 * 8 + 8), np.int32)
        self.values = np.zeros((samples, 1, size), np.int64)

    def step(self, slot: int, kept: tuple[Array, Array], t: int) -> Array:
        """One step on the input in `slot`; what each neuron sends, (samples, size)."""
        samples, size = self.v.shape
        x = self.incoming[:, slot : slot + 1]
        self.kernel(
            x, 0, STATE_SHIFT, 0, self.v, self.i, self.wait, self.bias, self.parameters, STATE.bits, STATE.bits,
            self.count, self.index, self.values, *kept, np.zeros(1, np.int64), 0, samples, t, t + 1,
        )  # fmt: skip
        if self.emits is neurons.Emits.SPIKES:
            sent = np.zeros((samples, size), np.int64)
            scatter(self.count[:, 0], self.index[:, 0], sent)
            return sent
        return self.values[:, 0].copy()


def _per_neuron(population: Population, tensor: Tensor) -> Array:
    return np.array(np.broadcast_to(tensor.data, population.shape).astype(np.int64).ravel())


class _Chip:
    """A run of some samples side by side."""

    def __init__(self, layout: _Layout, samples: int, steps: int, record: tuple[str, ...]) -> None:
        self.layout, self.samples, self.steps = layout, samples, steps
        network = layout.network
        self.cells = {
            p.name: _Cells(p, slots=layout.slots[p.name], samples=samples) for p in network.populations
        }
        self.kept: dict[str, tuple[Array, Array]] = {}
        for population in network.populations:
            rows = steps if population.name in record else 0
            self.kept[population.name] = (
                np.zeros((rows, samples, population.size), np.int64),
                np.zeros((rows, samples, population.size), np.int64),
            )
        self.mesh = layout.mesh
        self.status = np.zeros((samples, layout.size), np.uint8)
        self.work = np.zeros((layout.first.size - 1, 2))
        self.totals = {
            name: np.zeros((samples, steps))
            for name in ("seconds", "joules", "messages", "hops", "synaptic_events", "active_neurons")
        }
        self.idle_joules = float(layout.is_neuron.sum()) * _cost("access_energy")

    def run(self, given: Mapping[str, Array]) -> Run:
        network = self.layout.network
        sent = {
            name: np.zeros((self.steps, self.samples, math.prod(end.shape)), np.int64)
            for name, end in network.ends.items()
        }
        for name, values in given.items():
            sent[name][...] = values
        for t in range(self.steps):
            self._step(t, {name: values[t] for name, values in sent.items()})
        shapes = {name: end.shape for name, end in network.ends.items()}
        states: dict[str, Array] = {}
        for name, (v, i) in self.kept.items():
            if v.shape[0]:
                states[f"{name}.v"] = v.reshape(self.steps, self.samples, *shapes[name])
                states[f"{name}.u"] = i.reshape(self.steps, self.samples, *shapes[name])
        return Run(
            sent={n: values.reshape(self.steps, self.samples, *shapes[n]) for n, values in sent.items()},
            states=states,
            work=self.work,
            **self.totals,
        )

    def _step(self, t: int, sent: dict[str, Array]) -> None:
        layout = self.layout
        for source in layout.network.sources:
            at = layout.offset[source.name]
            self.status[:, at : at + sent[source.name].shape[1]] = 2 * (sent[source.name] != 0)
        for population in layout.network.populations:
            name, cells = population.name, self.cells[population.name]
            slot = t % cells.incoming.shape[1]
            if layout.checked[name]:
                _check_input(name, cells.incoming[:, slot], t)
            before = cells.v != 0
            sent[name][...] = cells.step(slot, self.kept[name], t)
            at = layout.offset[name]
            active = before | (cells.touched[:, slot] != 0) | (cells.bias != 0)
            fired = sent[name] != 0
            self.status[:, at : at + population.size] = np.where(fired, 2, active)
            cells.incoming[:, slot] = 0
            cells.touched[:, slot] = 0
        for wiring in layout.wirings:
            self._along(wiring, sent[wiring.connection.pre], t)
        self._account(t)

    def _along(self, wiring: _Wiring, values: Array, t: int) -> None:
        cells, connection, lines = self.cells[wiring.connection.post], wiring.connection, wiring.synapses
        graded = connection.message_bits > 0
        if connection.exponent >= 0 and not isinstance(connection, Conv):
            deliver(
                values, graded, lines.first, lines.post, lines.weight, lines.delay, connection.exponent,
                cells.incoming, cells.touched, t + 1,
            )  # fmt: skip
            return
        # The sum over synapses is what is shifted, and what wraps in a convolution; so it is made first.
        part = np.zeros((self.samples, wiring.reach + 1, cells.v.shape[1]), np.int64)
        deliver(
            values, graded, lines.first, lines.post, lines.weight, lines.delay, 0, part,
            np.zeros_like(part, np.uint8), 0,
        )  # fmt: skip
        mark(values, lines.first, lines.post, lines.delay, cells.touched, t + 1)
        part = part << connection.exponent if connection.exponent >= 0 else part >> -connection.exponent
        if isinstance(connection, Conv):
            half = 1 << (CONV_BITS - 1)
            part = ((part + half) & (2 * half - 1)) - half
        slots = cells.incoming.shape[1]
        for delay in range(wiring.reach + 1):
            cells.incoming[:, (t + 1 + delay) % slots] += part[:, delay]

    def _account(self, t: int) -> None:
        layout, mesh = self.layout, self.mesh
        fired = self.status == 2
        active = (self.status != 0) & (layout.is_neuron != 0)
        firing_neurons = fired & (layout.is_neuron != 0)
        counts = fired @ layout.spike_counts
        self.totals["messages"][:, t] = counts[:, 0]
        self.totals["hops"][:, t] = counts[:, 1]
        self.totals["synaptic_events"][:, t] = counts[:, 2]
        self.totals["active_neurons"][:, t] = active.sum(axis=1)
        self.totals["joules"][:, t] = (
            self.idle_joules
            + active.sum(axis=1) * _cost("update_energy")
            + firing_neurons.sum(axis=1) * _cost("spike_energy")
            + counts[:, 3]
        )
        for sample in range(self.samples):
            seconds = step_seconds(
                self.status[sample], mesh.first, mesh.unit, mesh.is_neuron, mesh.soma, mesh.send,
                mesh.axon_first, mesh.axon_core, mesh.axon_seconds, mesh.hop, mesh.rows, mesh.cores_per_tile,
                mesh.buffer, self.work,
            )  # fmt: skip
            self.totals["seconds"][sample, t] = seconds + mesh.barrier


def _check_input(name: str, values: Array, t: int) -> None:
    worst = int(np.abs(values).max(initial=0))
    if worst >= INPUT_LIMIT:
        message = f"in step {t} a neuron of `{name}` gets {worst} as its input; Lava holds {INPUT_LIMIT - 1}"
        advice = "use fewer `--set message_bits=` or smaller inputs"
        raise CompileError(error("NMC402", message, Loc(files.NETWORK_FILE, name), help=advice))


@compiled
def scatter(count: Array, index: Array, sent: Array) -> None:
    """Ones where the events are."""
    for b in range(sent.shape[0]):
        for k in range(count[b]):
            sent[b, index[b, k]] = 1


@compiled
def deliver(
    values: Array, graded: bool, first: Array, post: Array, weight: Array, delay: Array, left: int,
    incoming: Array, touched: Array, t: int,
) -> None:  # fmt: skip
    """Adds what each synapse of what was sent brings, `delay` steps after step t, and marks who got something."""
    slots = incoming.shape[1]
    for b in range(values.shape[0]):
        for n in range(values.shape[1]):
            value = values[b, n]
            if value != 0:
                by = value if graded else 1
                for e in range(first[n], first[n + 1]):
                    slot = (t + delay[e]) % slots
                    incoming[b, slot, post[e]] += (weight[e] << left) * by
                    touched[b, slot, post[e]] = 1


@compiled
def mark(values: Array, first: Array, post: Array, delay: Array, touched: Array, t: int) -> None:
    """Marks who gets something of what was sent, `delay` steps after step t."""
    slots = touched.shape[1]
    for b in range(values.shape[0]):
        for n in range(values.shape[1]):
            if values[b, n] != 0:
                for e in range(first[n], first[n + 1]):
                    touched[b, (t + delay[e]) % slots, post[e]] = 1
