"""Which of a target's neurons each population becomes: the chip's own, a programmed one, or a near one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from types import MappingProxyType

import numpy as np

from nmc.diagnostics import CompileError, Diagnostic, error, note
from nmc.ir.graph import Graph, Node
from nmc.ir.linear import Reals, scale_rows
from nmc.ir.neuron import Arithmetic, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Conv, Family, Fire, Linear, Membrane, Neuron, Op, Sparse, Synapse
from nmc.ir.tensor import Tensor
from nmc.passes.calibrate import SAMPLES, Array
from nmc.passes.measure import outputs_different
from nmc.target import TargetSpec


class Unsupported(Enum):
    """What to do with a population that the chip's own neuron cannot compute; the user's choice."""

    CUSTOM = "custom"
    """A programmed neuron, exact; refused where the target has none."""
    STOCK = "stock"
    """The chip's own neuron that comes nearest; the difference is a note."""
    REFUSE = "refuse"


def choose_neurons(
    graph: Graph,
    *,
    target: TargetSpec,
    unsupported: Unsupported,
    calibration: Mapping[str, Array] | None = None,
) -> Graph:
    """Every population in a family that `target` has; thresholds made equal where the target shares one.

    What an approximation changes is measured on `calibration` (steps, samples, *shape) and noted. Raises
    CompileError (NMC210) with what the target's neuron lacks and what would help.
    """
    findings: list[Diagnostic] = []
    notes: list[Diagnostic] = []
    approximated: list[Node] = []
    new: dict[str, Op] = {}
    factors: dict[str, Reals] = {}
    for node in graph.nodes:
        if not isinstance(node.op, Neuron):
            continue
        op, stock = in_family_of(node.op, target.neurons)
        if stock is not None and "threshold" not in stock.heterogeneous:
            op, factor = _with_one_threshold(op)
            if factor is not None:
                factors[node.name] = factor
        missing = ["no such family"] if stock is None else lacks(op, stock)
        if missing and unsupported is Unsupported.CUSTOM:
            programmed, arithmetic = in_family_of(op, target.programmable)
            still = missing if arithmetic is None else lacks(programmed, arithmetic)
            if still:
                findings.append(_refused(node, still, target, unsupported))
            else:
                notes.append(_programmed(node, missing, target))
                op = programmed
        elif missing and unsupported is Unsupported.STOCK and stock is not None and op.fire is not None:
            nearest = _nearest(op, op.fire, stock)
            still = lacks(nearest, stock)
            if still:
                findings.append(_refused(node, still, target, unsupported))
            else:
                left_out = "; ".join(missing)
                message = f"`{node.name}` is approximated by {target.name}'s own neuron: {left_out} left out"
                notes.append(note("NMC212", message, node.loc))
                approximated.append(node)
                op = nearest
        elif missing:
            findings.append(_refused(node, missing, target, unsupported))
        new[node.name] = op
    if findings:
        raise CompileError(*findings)
    for edge in graph.edges:
        connection = graph[edge.src].op
        if edge.dst in factors and isinstance(connection, Linear | Sparse | Conv):
            new[edge.src] = scale_rows(connection, factors[edge.dst])
    chosen = graph.replace_nodes(new)
    if approximated:
        notes.append(_effect(graph, chosen, approximated, calibration or {}))
    return chosen.with_notes(notes)


def _effect(exact: Graph, near: Graph, approximated: list[Node], data: Mapping[str, Array]) -> Diagnostic:
    """How far the approximations move the outputs, all of them together, on data."""
    names = ", ".join(f"`{node.name}`" for node in approximated)
    if not data:
        message = f"what the approximation of {names} changes was not measured"
        return note("NMC213", message, approximated[0].loc, help="give `--calibrate` to measure it")
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    inputs = {name: array[:, :SAMPLES] for name, array in data.items()}
    share = outputs_different(simulate(exact, inputs), simulate(near, inputs))
    message = f"the approximation of {names} changes {share:.2%} of the outputs on the calibration data"
    return note("NMC213", message, approximated[0].loc)


def arithmetic_of(op: Neuron, target: TargetSpec) -> Arithmetic:
    """How the population computes on `target`: as the chip's own neuron if it can, else as a programmed one.

    The population has been through `choose_neurons`, so one of them fits.
    """
    stock = target.neurons.get(op.family)
    if stock is not None and not lacks(op, stock):
        return stock
    return target.programmable[op.family]


LETS_PASS = "steps that it lets pass"
"""What a population lacks that cannot wait between the steps of a stretched model."""


def lacks(op: Neuron, arithmetic: Arithmetic) -> list[str]:
    """What the neuron needs and `arithmetic` does not have, in words; empty if it fits."""
    missing: list[str] = []
    if op.synapse is not None and op.synapse.used is CurrentUsed.OLD:
        missing.append("a membrane driven by the current of the step before")
    if op.clock is not None and not arithmetic.clocked:
        missing.append(LETS_PASS)
    if op.membrane.minimum is not None and not arithmetic.minimum:
        missing.append("a lower bound of the membrane")
    for name, tensor, wanted in _decays(op, arithmetic):
        if tensor is not None and np.unique(tensor.data).size > 1 and name not in arithmetic.heterogeneous:
            missing.append(f"a {name.replace('_', ' ')} of each neuron's own")
        if tensor is not None and wanted is not None and _outside(tensor, wanted, arithmetic.decay_bits):
            unit = 1 << arithmetic.decay_bits
            missing.append(
                f"a {name.replace('_', ' ')} of {float(tensor.values.min()):.6g} "
                f"(it has {wanted[0]}/{unit} to {wanted[1]}/{unit})"
            )
    if op.fire is not None:
        missing += _fire_lacks(op.fire, arithmetic)
    return missing


def _fire_lacks(fire: Fire, arithmetic: Arithmetic) -> list[str]:
    missing: list[str] = []
    if fire.spike_from is SpikeFrom.OLD:
        missing.append("a spike from the membrane of the step before")
    if (fire.reset, fire.when) not in arithmetic.resets:
        how = "" if fire.when is ResetWhen.SAME_STEP else f", {fire.when.name.lower().replace('_', ' ')}"
        missing.append(f"reset `{fire.reset.name.lower().replace('_', ' ')}`{how}")
    if fire.value.data.any() and fire.reset is Reset.TO_VALUE:
        missing.append("a reset to another value than zero")
    if int(fire.refractory.data.max(initial=0)) > arithmetic.refractory:
        missing.append(f"a refractory period of {int(fire.refractory.data.max())} steps")
    if np.unique(fire.threshold.data).size > 1 and "threshold" not in arithmetic.heterogeneous:
        missing.append("a threshold of each neuron's own")
    return missing


def _decays(op: Neuron, arithmetic: Arithmetic) -> list[tuple[str, Tensor | None, tuple[int, int] | None]]:
    synapse = None if op.synapse is None else op.synapse.decay
    return [
        ("decay", op.membrane.decay, arithmetic.v_decays),
        ("synapse_decay", synapse, arithmetic.i_decays),
    ]


def _outside(tensor: Tensor, wanted: tuple[int, int], bits: int) -> bool:
    """Whether a decay is further from what there is than rounding takes it; 0 and 1 must be there exactly."""
    mantissa = np.ldexp(tensor.values, bits)
    low, high = wanted
    exact = (mantissa == 0) | (mantissa == 1 << bits)
    beyond = (mantissa < low - 0.5) | (mantissa > high + 0.5)
    return bool(np.any(beyond | (exact & ((mantissa < low) | (mantissa > high)))))


def in_family_of(op: Neuron, table: Mapping[Family, Arithmetic]) -> tuple[Neuron, Arithmetic | None]:
    """The neuron in a family of `table`: no leak is a decay of 1, no synapse a decay of 0."""
    if op.family in table:
        return op, table[op.family]
    leaky = op
    if op.membrane.decay is None:
        leaky = replace(op, membrane=_with_decay(op.membrane, 1.0))
    if leaky.family in table:
        return leaky, table[leaky.family]
    if leaky.synapse is None:
        zero = Tensor(np.float64(0))
        leaky = replace(leaky, synapse=Synapse(zero, None, CurrentUsed.NEW, zero))
    return (leaky, table[leaky.family]) if leaky.family in table else (op, None)


def _with_decay(membrane: Membrane, decay: float) -> Membrane:
    return replace(membrane, decay=Tensor(np.float64(decay)))


def _with_one_threshold(op: Neuron) -> tuple[Neuron, Reals | None]:
    """Each neuron in units in which all thresholds are the largest; the factor is for its weights."""
    fire = op.fire
    if fire is None or np.unique(fire.threshold.data).size == 1:
        return op, None
    threshold = np.broadcast_to(fire.threshold.values, op.shape)
    if threshold.min() <= 0:
        return op, None
    factor = threshold.max() / threshold
    membrane = op.membrane
    scaled = replace(
        membrane,
        bias=None if membrane.bias is None else Tensor(membrane.bias.values * factor),
        minimum=None if membrane.minimum is None else Tensor(membrane.minimum.values * factor),
        initial=Tensor(membrane.initial.values * factor),
    )
    synapse = op.synapse
    if synapse is not None:
        synapse = replace(synapse, initial=Tensor(synapse.initial.values * factor))
    value = Tensor(fire.value.values * factor)
    fire = replace(fire, threshold=Tensor(np.float64(threshold.max())), value=value)
    return replace(op, synapse=synapse, membrane=scaled, fire=fire), factor


def _nearest(op: Neuron, fire: Fire, arithmetic: Arithmetic) -> Neuron:
    """The stock neuron: reset to zero in the same step, no clamp, no refractory period."""
    zero = Tensor(np.float64(0))
    reset, when = arithmetic.resets[0]
    minimum = op.membrane.minimum if arithmetic.minimum else None
    return replace(
        op,
        membrane=replace(op.membrane, minimum=minimum),
        fire=replace(
            fire, spike_from=SpikeFrom.NEW, reset=reset, when=when, value=zero, refractory=Tensor(np.int64(0))
        ),
    )


def _refused(node: Node, missing: list[str], target: TargetSpec, tried: Unsupported) -> Diagnostic:
    """The finding, with the settings other than the one tried that serve the population."""
    others = [each for each in _SERVES if each is not tried and _serves(node.op, target, each)]
    if LETS_PASS in missing:
        advice = "without `--stretch` every neuron takes every step; those without leak and bias need not let any pass"
    elif others:
        first, *rest = others
        advice = f"`--set neurons={first.value}` gives {_SERVES[first]}"
        advice += "".join(f", `neurons={each.value}` {_SERVES[each]}" for each in rest)
    else:
        advice = "train with a neuron that the target has: see `nmc targets " + target.name + "`"
    message = f"`{target.name}` has no neuron for `{node.name}` with {'; '.join(missing)}"
    return error("NMC210", message, node.loc, help=advice)


_SERVES = MappingProxyType(
    {Unsupported.CUSTOM: "an exact programmed neuron", Unsupported.STOCK: "a near one"}
)
"""What each choice gives, in words."""


def _serves(op: Op, target: TargetSpec, choice: Unsupported) -> bool:
    """Whether a population of the target's own lack becomes a neuron with this choice."""
    assert isinstance(op, Neuron)
    if choice is Unsupported.CUSTOM:
        programmed, arithmetic = in_family_of(op, target.programmable)
        return arithmetic is not None and not lacks(programmed, arithmetic)
    stock, arithmetic = in_family_of(op, target.neurons)
    if arithmetic is None or stock.fire is None:
        return False
    return not lacks(_nearest(stock, stock.fire, arithmetic), arithmetic)


def _programmed(node: Node, missing: list[str], target: TargetSpec) -> Diagnostic:
    message = (
        f"`{node.name}` runs as a programmed neuron, exactly: {target.name}'s own lacks {'; '.join(missing)}"
    )
    return note("NMC211", message, node.loc, help="`--set neurons=stock` takes the chip's nearest own neuron")
