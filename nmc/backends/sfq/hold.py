"""Neurons that counters of pulses can hold: rewritten exactly where that is possible, else refused or approximated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum

import numpy as np

from nmc.diagnostics import CompileError, Diagnostic, error, note
from nmc.ir.graph import Graph, Node
from nmc.ir.linear import Reals, scale_rows
from nmc.ir.neuron import Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Conv, Fire, Linear, Membrane, Neuron, Op, Sparse, Threshold
from nmc.ir.tensor import Array, Tensor
from nmc.passes.calibrate import SAMPLES
from nmc.passes.measure import outputs_different

ZERO = Tensor(np.float64(0))
NO_STEPS = Tensor(np.int64(0))


class Leak(Enum):
    """What stands for an exponential leak that is approximated."""

    NONE = "no leak"
    DRIFT = "a constant drift"
    CLEAR = "a membrane that is cleared in every step"


def threshold_units(graph: Graph) -> Graph:
    """Every `Threshold` as the neuron that it is: a membrane that forgets everything from step to step."""
    new: dict[str, Op] = {}
    for node in graph.nodes:
        if isinstance(node.op, Threshold):
            fire = Fire(
                node.op.threshold,
                node.op.comparison,
                SpikeFrom.NEW,
                Reset.NONE,
                ResetWhen.SAME_STEP,
                ZERO,
                NO_STEPS,
            )
            new[node.name] = Neuron(node.op.shape, None, Membrane(ZERO, None, None, None, ZERO), fire)
    return graph.replace_nodes(new)


def hold(
    graph: Graph,
    *,
    approximate: bool,
    in_integers: Callable[[Graph], Graph],
    calibration: Mapping[str, Array],
) -> Graph:
    """The canonical graph in reals with neurons that integrate without leak, or forget everything in each step.

    A decay of one is no leak; a reset that waits for the next step is one in the same step where nothing leaks. What
    is left is refused (NMC480) with the nearest neuron that there is, or becomes it if `approximate`: then a note
    (NMC481) says what changed, and by how much on the calibration data, with what `in_integers` makes of it.
    """
    exact = graph.replace_nodes(
        {node.name: _rewritten(node.op) for node in graph.nodes if isinstance(node.op, Neuron)}
    )
    missing = {
        node.name: said for node in exact.nodes if isinstance(node.op, Neuron) and (said := lacking(node.op))
    }
    if not missing:
        return exact
    if not approximate or any(_unreadable(exact[name].op) for name in missing):
        raise CompileError(*(_refused(exact[name], said) for name, said in missing.items()))
    leaks = [Leak.NONE, Leak.DRIFT, Leak.CLEAR] if calibration else [_guess(exact, missing)]
    inputs = {name: array[:, :SAMPLES] for name, array in calibration.items()}
    best: tuple[float, Graph, Leak] | None = None
    for leak in leaks:
        near = _approximated(exact, missing, leak)
        changed = _changed(exact, in_integers(near), inputs) if inputs else 0.0
        if best is None or changed < best[0]:
            best = (changed, near, leak)
    assert best is not None
    changed, near, leak = best
    effect = (
        f"{changed:.2%} of the outputs on the calibration data change"
        if inputs
        else "its effect was not measured"
    )
    advice = "" if inputs else "give `--calibrate` to measure it"
    notes = [
        note(
            "NMC481",
            f"`{name}` is approximated: {_nearest(said, leak)}; {effect}",
            exact[name].loc,
            help=advice,
        )
        for name, said in missing.items()
    ]
    return near.with_notes(notes)


def lacking(op: Neuron) -> list[str]:
    """What the neuron needs and a counter does not have, in words; empty if a counter computes it."""
    said: list[str] = []
    if op.fire is None:
        said.append("an output that is a membrane, and pulses carry spikes")
    if op.synapse is not None:
        said.append("a synaptic current that decays")
    if op.membrane.decay is not None and op.membrane.decay.values.any():
        said.append("an exponential leak")
    if op.membrane.minimum is not None:
        said.append("a lower bound of the membrane")
    fire = op.fire
    if fire is not None:
        if fire.refractory.data.any():
            said.append("a refractory period")
        if fire.spike_from is SpikeFrom.OLD:
            said.append("a spike from the membrane of the step before")
        if fire.reset is Reset.MULTI_SPIKE:
            said.append("several spikes in one step")
        elif fire.when is not ResetWhen.SAME_STEP:
            said.append(f"a reset {fire.when.name.lower().replace('_', ' ')}")
        if fire.reset is Reset.TO_VALUE and fire.value.data.any():
            said.append("a reset to another value than zero")
    return said


def _rewritten(op: Neuron) -> Neuron:
    """The same spikes in the form that counters have, where there is one."""
    decay = op.membrane.decay
    if decay is not None and np.all(decay.values == 1):
        op = replace(op, membrane=replace(op.membrane, decay=None))
    synapse = op.synapse
    if synapse is not None and not synapse.decay.values.any() and not synapse.initial.values.any():
        op = replace(op, synapse=None)
    fire = op.fire
    if fire is None or fire.when is ResetWhen.SAME_STEP:
        return op
    forgets = op.membrane.decay is not None and not op.membrane.decay.values.any()
    keeps = op.membrane.decay is None and op.membrane.minimum is None
    below = bool(np.all(op.membrane.initial.values < fire.threshold.values))
    # Without a leak nothing happens between the end of a step and the reset of the next one, unless it takes the
    # input of that step with it.
    early = {ResetWhen.NEXT_BEFORE_LEAK, ResetWhen.NEXT_AFTER_LEAK}
    subtracts = fire.reset is Reset.SUBTRACT and fire.when is not ResetWhen.SAME_STEP_ONCE
    same = keeps and (fire.when in early or subtracts)
    forgotten = forgets and fire.when is ResetWhen.NEXT_BEFORE_LEAK
    if (
        below
        and fire.spike_from is SpikeFrom.NEW
        and (same or forgotten)
        and fire.reset is not Reset.MULTI_SPIKE
    ):
        return replace(op, fire=replace(fire, when=ResetWhen.SAME_STEP))
    return op


def _unreadable(op: Op) -> bool:
    return isinstance(op, Neuron) and op.fire is None


def _refused(node: Node, said: list[str]) -> Diagnostic:
    message = f"a counter of pulses cannot hold `{node.name}`: it has {'; '.join(said)}"
    if _unreadable(node.op):
        return error("NMC480", message, node.loc, help="give the population a threshold and read its spikes")
    assert isinstance(node.op, Neuron)
    near = _nearest(said, _leak_of(node.op))
    return error(
        "NMC480", message, node.loc, help=f"nearest is {near}: train with it, or give `--approximate`"
    )


def _nearest(said: list[str], leak: Leak) -> str:
    """The neuron that comes nearest, in words."""
    leaks = any("leak" in each for each in said)
    kept = f"an integrate-and-fire neuron with {leak.value}" if leaks else "the same neuron"
    others = [each for each in said if "leak" not in each]
    return kept if not others else f"{kept} without {', without '.join(others)}"


def _leak_of(op: Neuron) -> Leak:
    decay = op.membrane.decay
    return Leak.CLEAR if decay is not None and float(np.mean(decay.values)) < 0.5 else Leak.NONE


def _guess(graph: Graph, names: Mapping[str, list[str]]) -> Leak:
    """Without data: what the decays are nearer to."""
    decays = [
        float(np.mean(op.membrane.decay.values))
        for name in names
        if isinstance(op := graph[name].op, Neuron) and op.membrane.decay is not None
    ]
    return Leak.CLEAR if decays and float(np.mean(decays)) < 0.5 else Leak.NONE


def _approximated(graph: Graph, names: Mapping[str, list[str]], leak: Leak) -> Graph:
    new: dict[str, Op] = {}
    factors: dict[str, Reals] = {}
    for name in names:
        op = graph[name].op
        assert isinstance(op, Neuron) and op.fire is not None
        if op.synapse is not None:  # all that the current would bring comes at once
            factors[name] = np.asarray(1 / np.maximum(1 - op.synapse.decay.values, 1e-3))
        new[name] = _near(op, op.fire, leak)
    for edge in graph.edges:
        connection = graph[edge.src].op
        if edge.dst in factors and isinstance(connection, Linear | Sparse | Conv):
            new[edge.src] = scale_rows(connection, factors[edge.dst])
    return graph.replace_nodes(new)


def _near(op: Neuron, fire: Fire, leak: Leak) -> Neuron:
    membrane = replace(op.membrane, minimum=None)
    decay = op.membrane.decay
    if decay is not None and decay.values.any():
        lost = Tensor(np.asarray((decay.values - 1) * fire.threshold.values / 2))  # at half the threshold
        match leak:
            case Leak.NONE:
                membrane = replace(membrane, decay=None)
            case Leak.DRIFT:
                bias = lost if membrane.bias is None else Tensor(membrane.bias.values + lost.values)
                membrane = replace(membrane, decay=None, bias=bias)
            case Leak.CLEAR:
                membrane = replace(membrane, decay=ZERO)
    reset = fire.reset if fire.reset in {Reset.SUBTRACT, Reset.NONE} else Reset.TO_VALUE
    if fire.reset is Reset.MULTI_SPIKE:
        reset = Reset.SUBTRACT
    fire = Fire(fire.threshold, fire.comparison, SpikeFrom.NEW, reset, ResetWhen.SAME_STEP, ZERO, NO_STEPS)
    return replace(op, synapse=None, membrane=membrane, fire=fire)


def _changed(exact: Graph, integers: Graph, inputs: Mapping[str, Array]) -> float:
    """The share of outputs that differ from the model's in reals, once the approximation is in integers."""
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    return outputs_different(simulate(exact, inputs), simulate(integers, inputs))
