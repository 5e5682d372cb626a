"""Time: differential equations and seconds become steps, by one reading of what the model leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
import numpy.typing as npt

from nmc.diagnostics import (
    Diagnostic,
    Loc,
    UsageError,
    error,
    nearest,
    note,
    raise_errors,
    warning,
)
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Conv,
    Delay,
    DelayLine,
    Fire,
    Linear,
    Membrane,
    Neuron,
    Ode,
    Op,
    Synapse,
    Threshold,
    output_shape,
)
from nmc.ir.tensor import Tensor
from nmc.passes.presets import PRESETS, RESETS, BiasInto, Gain, Integrator, Preset, WeightRule

Reals = npt.NDArray[np.float64]

SLOWEST = 2e-4
"""dt/tau below which a time constant is hardly in the unit of dt: no trained network remembers 5000 steps."""

COMMAND_LINE = Loc("<command line>")


def discretize(
    graph: Graph, *, dt: float | None = None, preset: str | None = None, reset: str | None = None
) -> Graph:
    """Every `Ode` becomes a `Neuron`, every `DelayLine` a `Delay` of round(seconds / dt) steps.

    `dt` defaults to the file's own (`graph.step`), then to the preset's; `preset` to `nir`; `reset` (a key of
    `RESETS`) to the preset's. What was taken for granted is a note. A graph that is in steps comes back as it is.

    Raises UsageError: NMC153 for an unknown name or a dt that is no time, NMC154 where the model leaves nothing
    open; CompileError: NMC151 where dt exceeds a time constant of a forward Euler step, NMC158 where a
    multi-spike neuron's threshold is not above 0.
    """
    chosen = _preset(preset)
    reading = _Reading(chosen, *_step(graph, dt, chosen), _reset(reset, chosen), reset is not None)
    if not any(isinstance(node.op, Ode | DelayLine) for node in graph.nodes):
        given = [
            name for name, value in (("dt", dt), ("preset", preset), ("reset", reset)) if value is not None
        ]
        if given:
            raise UsageError(_nothing_open(graph, given))
        return graph
    findings = [reading.summary(graph)]
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(replace(node, op=reading.op(node, findings)))
    raise_errors(findings)
    edges = _delays(graph, chosen, findings)
    ops = _weights({node.name: node.op for node in nodes}, edges, graph, chosen, findings)
    nodes = [replace(node, op=ops[node.name]) for node in nodes]
    return Graph(tuple(nodes), edges, step=reading.seconds, notes=graph.notes + tuple(findings))


# ---- what the user or the file says -----------------------------------------------------------------------


def _nothing_open(graph: Graph, given: list[str]) -> Diagnostic:
    options = " and ".join(f"`--{name}`" for name in given)
    message = f"{options} would change nothing: the model is in steps and says how its neurons compute"
    return error("NMC154", message, COMMAND_LINE, also=(Loc(graph.nodes[0].loc.file),) if graph.nodes else ())


def _preset(name: str | None) -> Preset:
    if name is not None and name not in PRESETS:
        raise UsageError(
            error("NMC153", f"there is no preset `{name}`", COMMAND_LINE, help=nearest(name, PRESETS))
        )
    return PRESETS[name or "nir"]


def _reset(name: str | None, preset: Preset) -> Reset:
    if name is not None and name not in RESETS:
        raise UsageError(
            error("NMC153", f"there is no reset `{name}`", COMMAND_LINE, help=nearest(name, RESETS))
        )
    return preset.reset if name is None else RESETS[name]


def _step(graph: Graph, dt: float | None, preset: Preset) -> tuple[float, str]:
    """The step, and who says so."""
    if dt is not None and not 0 < dt < float("inf"):
        raise UsageError(error("NMC153", f"a step of {dt:g} is not a positive time", COMMAND_LINE))
    if dt is not None:
        return dt, "as asked"
    if graph.step is not None:
        return graph.step, "from the file's metadata"
    return preset.dt, f"the default of `{preset.name}`; the file does not say"


# ---- neurons ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reading:
    """A preset with the step and the reset that are in force."""

    preset: Preset
    dt: float
    dt_origin: str
    reset: Reset
    reset_asked: bool

    @property
    def seconds(self) -> float | None:
        """The length of a step; None where the file counts in steps."""
        return None if self.preset.in_steps and self.dt == self.preset.dt else self.dt

    def summary(self, graph: Graph) -> Diagnostic:
        """The note that says how time was read."""
        unit = "" if self.seconds is None else " s"
        what = f"read as `{self.preset.name}`: {self.preset.title}; dt = {self.dt:g}{unit} ({self.dt_origin})"
        if self.reset_asked:
            what += f"; reset: {self.reset.name.lower().replace('_', ' ')}, as asked"
        return note(
            "NMC150", what, Loc(graph.nodes[0].loc.file), help="--preset, --dt and --reset change this"
        )

    def op(self, node: Node, findings: list[Diagnostic]) -> Op:
        """The operation in steps."""
        match node.op:
            case Ode() as ode:
                self._check(node, ode, findings)
                return self._neuron(node, ode, findings)
            case DelayLine(shape, seconds):
                return Delay(shape, self._steps(node, seconds.values, findings))
            case Threshold(shape, threshold):
                return Threshold(shape, threshold, self.preset.comparison)
            case op:
                return op

    def _neuron(self, node: Node, ode: Ode, findings: list[Diagnostic]) -> Neuron:
        synapse = None
        if ode.tau_syn is not None:
            decay = self._decay(ode.tau_syn)
            w_in = 1.0 if ode.w_in is None else ode.w_in.values
            gain = w_in * self._gain(self.preset.synapse_gain, ode.tau_syn, decay)
            synapse = Synapse(_tensor(decay), _gain_tensor(gain), self.preset.current, _tensor(0.0))
        if ode.tau_mem is None:
            decay, bias, gain = None, None, ode.r.values * self.dt
        else:
            decay = self._decay(ode.tau_mem)
            gain = ode.r.values * self._gain(self.preset.membrane_gain, ode.tau_mem, decay)
            leak = np.zeros(()) if ode.v_leak is None else ode.v_leak.values
            bias = (1 - decay) * leak
        membrane = Membrane(
            None if decay is None else _tensor(decay),
            _gain_tensor(gain),
            _tensor(bias) if bias is not None and bias.any() else None,
            self._minimum(ode),
            _tensor(0.0),
        )
        return Neuron(ode.shape, synapse, membrane, self._fire(node, ode, findings))

    def _fire(self, node: Node, ode: Ode, findings: list[Diagnostic]) -> Fire | None:
        if ode.threshold is None:
            return None
        value = np.zeros(()) if ode.v_reset is None else ode.v_reset.values
        if self.reset is not Reset.TO_VALUE:
            if value.any():
                message = f"spikes of `{node.name}` subtract the threshold; the file's `v_reset` is not used"
                findings.append(note("NMC159", message, node.at("v_reset")))
            value = np.zeros(())
        lowest = float(ode.threshold.values.min())
        if self.reset is Reset.MULTI_SPIKE and lowest <= 0:
            message = f"a threshold of {lowest:g} has no number of spikes: v / threshold needs one above 0"
            findings.append(error("NMC158", message, node.at("v_threshold")))
        return Fire(
            _tensor(ode.threshold.values),
            self.preset.comparison,
            SpikeFrom.NEW,
            self.reset,
            self._when(ode),
            _tensor(value),
            Tensor(np.int64(0)),
        )

    def _when(self, ode: Ode) -> ResetWhen:
        if self.reset is not Reset.SUBTRACT:
            return ResetWhen.SAME_STEP
        return self.preset.subtract_when if ode.tau_syn is None else self.preset.subtract_when_cuba

    def _minimum(self, ode: Ode) -> Tensor | None:
        clamps = self.preset.clamp_if and ode.tau_mem is None and ode.tau_syn is None
        return None if ode.threshold is None or not clamps else _tensor(-ode.threshold.values)

    def _decay(self, tau: Tensor) -> Reals:
        ratio = self.dt / tau.values
        return 1 - ratio if self.preset.integrator is Integrator.EULER else np.exp(-ratio)

    def _gain(self, gain: Gain, tau: Tensor, decay: Reals) -> Reals:
        match gain:
            case Gain.EULER:
                return self.dt / tau.values
            case Gain.HELD:
                return 1 - decay
            case Gain.JUMP:
                return decay
            case Gain.UNDO_JUMP:
                return self.dt / (tau.values * decay)

    def _steps(self, node: Node, seconds: Reals, findings: list[Diagnostic]) -> Tensor:
        """Whole steps, rounded to nearest (3e-4 / 1e-4 is 2.9999999999999996); a note where that changes them."""
        exact = seconds / self.dt
        steps = np.round(exact)
        worst = float(np.abs(steps - exact).max())
        if worst > 1e-3:
            message = f"delays of `{node.name}` are rounded to whole steps, by up to {worst:.3g} steps"
            findings.append(note("NMC155", message, node.at("delay"), help=f"one step is {self.dt:g}"))
        return Tensor(_shared(steps).astype(np.int64))

    # ---- is the step plausible? ---------------------------------------------------------------------------

    def _check(self, node: Node, ode: Ode, findings: list[Diagnostic]) -> None:
        names = ("tau_syn", "tau_mem" if ode.tau_syn is not None else "tau")
        for name, tau in zip(names, (ode.tau_syn, ode.tau_mem), strict=True):
            if tau is None:
                continue
            shortest, longest = float(tau.values.min()), float(tau.values.max())
            if self.preset.integrator is Integrator.EULER and self.dt > shortest * (1 + 1e-6):
                message = f"a step of {self.dt:g} is longer than `{name}` = {shortest:g} of `{node.name}`"
                findings.append(error("NMC151", message, node.at(name), help=self._advice(shortest)))
            elif self.dt < longest * SLOWEST:
                message = (
                    f"`{name}` = {longest:g} of `{node.name}` is {longest / self.dt:.0f} steps of {self.dt:g}: "
                    "is it in another unit of time?"
                )
                findings.append(warning("NMC152", message, node.at(name), help=self._advice(longest)))
        if ode.tau_mem is None and ode.threshold is not None:
            self._check_integrator(node, ode, ode.threshold, findings)

    def _check_integrator(self, node: Node, ode: Ode, threshold: Tensor, findings: list[Diagnostic]) -> None:
        step = float(np.abs(ode.r.values).max()) * self.dt
        if step < SLOWEST * float(np.abs(threshold.values).min()):
            message = f"an input of 1 moves `{node.name}` by r dt = {step:g}: is `r` in another unit of time?"
            findings.append(warning("NMC152", message, node.at("r"), help="pass --dt 1 or --preset sinabs"))

    def _advice(self, tau: float) -> str:
        if self.dt > tau:
            return f"pass --dt with at most {tau:g}"
        return "pass --dt 1 or --preset sinabs if time constants are in steps, else --dt in the file's unit"


def _shared(array: Reals) -> Reals:
    """One number where all are equal."""
    return array.ravel()[0] if array.size and np.all(array == array.ravel()[0]) else array


def _tensor(array: Reals | float) -> Tensor:
    return Tensor(_shared(np.asarray(array, np.float64)))


def _gain_tensor(array: Reals) -> Tensor | None:
    """None for a gain of 1, which r dt / tau often is but for its last bits."""
    near_one = np.all(np.abs(array - 1) <= 4 * np.finfo(np.float64).eps)
    return None if near_one else _tensor(array)


# ---- delays of connections and loops ----------------------------------------------------------------------


def _delays(graph: Graph, preset: Preset, findings: list[Diagnostic]) -> tuple[Edge, ...]:
    """Edges with the preset's delays.

    A frontend puts the step of a loop on an edge that leaves a neuron. It stays there, or moves past the weights
    onto the edge that enters the next neuron, or is dropped where every connection takes a step anyway.
    """
    if not preset.connection_delay:
        return graph.edges if preset.delay_before_weights else _after_weights(graph)
    message = f"`{preset.name}`: every connection into a neuron takes {preset.connection_delay} step"
    findings.append(note("NMC156", message, Loc(graph.nodes[0].loc.file)))
    loops = _loop_edges(graph)
    return tuple(
        replace(
            edge,
            delay=edge.delay
            - min(edge.delay, int((edge.src, edge.dst) in loops))
            + preset.connection_delay * isinstance(graph[edge.dst].op, Ode),
        )
        for edge in graph.edges
    )


def _loop_edges(graph: Graph) -> set[tuple[str, str]]:
    """The edges that are part of a loop."""
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(node.name for node in graph.nodes)
    digraph.add_edges_from((edge.src, edge.dst) for edge in graph.edges)
    loop = {
        name: index for index, names in enumerate(nx.strongly_connected_components(digraph)) for name in names
    }
    return {(edge.src, edge.dst) for edge in graph.edges if loop[edge.src] == loop[edge.dst]}


def _after_weights(graph: Graph) -> tuple[Edge, ...]:
    """Each step of a loop moved forward over operations without state: from all inputs of one to all its outputs."""
    delays = {index: edge.delay for index, edge in enumerate(graph.edges)}
    entering: dict[str, list[int]] = {node.name: [] for node in graph.nodes}
    leaving: dict[str, list[int]] = {node.name: [] for node in graph.nodes}
    for index, edge in enumerate(graph.edges):
        entering[edge.dst].append(index)
        leaving[edge.src].append(index)
    loops = _loop_edges(graph)
    pending = [edge.dst for edge in graph.edges if edge.delay and (edge.src, edge.dst) in loops]
    while pending:
        name = pending.pop(0)
        held = isinstance(graph[name].op, Ode) or not leaving[name]
        if held or any(delays[index] == 0 for index in entering[name]):
            continue
        for index in entering[name]:
            delays[index] -= 1
        for index in leaving[name]:
            delays[index] += 1
            pending.append(graph.edges[index].dst)
    return tuple(replace(edge, delay=delays[index]) for index, edge in enumerate(graph.edges))


# ---- weights and their constants --------------------------------------------------------------------------


def _weights(
    ops: Mapping[str, Op], edges: Iterable[Edge], graph: Graph, preset: Preset, findings: list[Diagnostic]
) -> dict[str, Op]:
    """The operations with the preset's rule for weights and for the constants of weight layers."""
    new = dict(ops)
    into = [
        (e.src, e.dst)
        for e in edges
        if isinstance(ops[e.dst], Neuron) and isinstance(ops[e.src], Linear | Conv)
    ]
    if preset.bias_into is BiasInto.MEMBRANE:
        _biases_into_membranes(new, into)
        message = f"`{preset.name}`: biases act on the membrane from step 0, at the value the current would settle at"
        findings.append(note("NMC157", message, Loc(graph.nodes[0].loc.file)))
    if preset.weights is WeightRule.INT8_TRUNCATED:
        for name, (weight, error_of) in _truncated(new, into).items():
            new[name] = replace(new[name], weight=weight)
            message = (
                f"`{preset.name}` cuts the weights of `{name}` to int8: each is off by up to {error_of:.3g}"
            )
            findings.append(note("NMC157", message, graph[name].at("weight")))
    return new


def _biases_into_membranes(ops: dict[str, Op], into: list[tuple[str, str]]) -> None:
    for src, dst in into:
        layer, neuron = ops[src], ops[dst]
        assert isinstance(layer, Linear | Conv)
        assert isinstance(neuron, Neuron)
        if layer.bias is None:
            continue
        constant = layer.bias.values.reshape(-1, *(1,) * (len(output_shape(layer)) - 1))
        if neuron.synapse is not None:
            gain = 1.0 if neuron.synapse.gain is None else neuron.synapse.gain.values
            constant = gain * constant / (1 - neuron.synapse.decay.values)
        membrane = neuron.membrane
        gain = 1.0 if membrane.gain is None else membrane.gain.values
        own = 0.0 if membrane.bias is None else membrane.bias.values
        ops[dst] = replace(neuron, membrane=replace(membrane, bias=_tensor(own + gain * constant)))
    for src, _ in into:
        layer = ops[src]
        if isinstance(layer, Linear | Conv):
            ops[src] = replace(layer, bias=None)


def _truncated(ops: Mapping[str, Op], into: list[tuple[str, str]]) -> dict[str, tuple[Tensor, float]]:
    """Weights on the int8 grid of their population, with the largest change."""
    weights = {src: op.weight.values for src, _ in into if isinstance(op := ops[src], Linear | Conv)}
    largest: dict[str, float] = {}
    for src, dst in into:
        largest[dst] = max(largest.get(dst, 0.0), float(np.abs(weights[src]).max()))
    cut: dict[str, tuple[Tensor, float]] = {}
    for src, dst in into:
        if largest[dst]:
            scale = 127 / largest[dst]
            values = np.trunc(weights[src] * scale) / scale
            cut[src] = (Tensor(values), float(np.abs(values - weights[src]).max()))
    return cut
