"""Reals onto a target's integers: weights, thresholds, decays, biases, initial states."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Diagnostic, error, note
from nmc.ir.connections import connections
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Graph, Node
from nmc.ir.neuron import Arithmetic, Comparison, Reset
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Fire,
    Input,
    Linear,
    LinearOp,
    Membrane,
    Neuron,
    Op,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER
from nmc.passes.calibrate import Range, calibrate
from nmc.passes.choose_neurons import arithmetic_of
from nmc.target import TargetSpec

Array = npt.NDArray[Any]

HEADROOM = 2.0
"""How many times the largest state seen on calibration data must fit a state register."""

ACCUMULATOR_BITS = 32
"""Lava sums a connection in int32, a convolution in 24 bits that wrap: lava-nc 0.10.0, proc/conv/models.py."""


@dataclass(frozen=True, slots=True)
class Units:
    """The scale of one population: a real x is x * scale weight units, a weight unit is 2**`unit` in
    integers.

    `unit` is chosen so that scale * 2**unit is near one (exactly one for populations whose value is read).
    """

    scale: float
    unit: int
    accumulator: int
    """Exponent of the accumulator, into which weight units are shifted."""
    state: int
    """Exponent of v and i."""

    @property
    def states(self) -> float:
        """State mantissas per real one."""
        return math.ldexp(self.scale, self.unit - self.state)


@dataclass(frozen=True, slots=True)
class Population:
    """A quantized population and its incoming connections by name."""

    neuron: Neuron
    connections: dict[str, LinearOp]
    notes: tuple[Diagnostic, ...] = ()


def quantize(
    graph: Graph,
    *,
    target: TargetSpec,
    weight_bits: int,
    message_bits: int,
    calibration: Mapping[str, Array],
) -> Graph:
    """Round half to even onto the finest grid of `weight_bits` on which every weight of a population fits.

    One scale serves all connections into a population; a connection with larger weights gets an exponent
    where the target has one. |error| of a weight <= half a unit. The scale shrinks where the threshold, a
    bias or (on calibration data, with headroom of two) a state would not fit. Inputs are spikes if the
    calibration data are 0 and 1 or there are none, else messages of `message_bits`.

    Raises CompileError: NMC200 where a threshold or bias cannot be represented, NMC201 for weight bits that
    the target does not have.
    """
    _check_bits(graph, target, weight_bits)
    ranges = calibrate(graph, calibration) if calibration else {}
    new: dict[str, Op] = {}
    notes: list[Diagnostic] = []
    findings: list[Diagnostic] = []
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        signal, said = _message(node, node.op.signal, calibration.get(node.name), message_bits, target)
        new[node.name] = Input(signal)
        notes += said
    typed = graph.replace_nodes(new)
    signals = typed.signals()
    links = connections(graph)
    for node in graph.nodes:
        if not isinstance(node.op, Neuron):
            continue
        incoming: dict[str, LinearOp] = {}
        numbers: dict[str, FixedPoint] = {}
        for link in links:
            op = graph[link.name].op
            if link.dst == node.name and isinstance(op, Linear | Sparse | Conv):
                incoming[link.name] = op
                numbers[link.name] = signals[link.src].number or SPIKE_NUMBER
        try:
            population = quantize_population(
                node.op,
                incoming,
                target=target,
                weight_bits=weight_bits,
                messages=numbers,
                seen=ranges.get(node.name),
                node=node,
            )
        except CompileError as refused:
            findings += refused.findings
            continue
        new[node.name] = population.neuron
        new.update(population.connections)
        notes += population.notes
    if findings:
        raise CompileError(*findings)
    return graph.replace_nodes(new).with_notes(notes)


def quantize_population(
    op: Neuron,
    incoming: Mapping[str, LinearOp],
    *,
    target: TargetSpec,
    weight_bits: int | None = None,
    messages: Mapping[str, FixedPoint] | None = None,
    seen: Range | None = None,
    node: Node | None = None,
) -> Population:
    """One population in integers of `target`; see `quantize`."""
    where = node or Node("relay", op)
    bits = weight_bits or target.weights.bits[-1]
    arithmetic = arithmetic_of(op, target)
    numbers = {name: (messages or {}).get(name, SPIKE_NUMBER) for name in incoming}
    units = _units(op, incoming, numbers, arithmetic, target=target, bits=bits, seen=seen)
    quantized = {
        name: _connection(weights, numbers[name], units, target=target, bits=bits)
        for name, weights in incoming.items()
    }
    findings: list[Diagnostic] = []
    neuron = Neuron(
        op.shape,
        _synapse(op.synapse, arithmetic, units),
        _membrane(op.membrane, arithmetic, units, where, findings),
        None if op.fire is None else _fire(op, op.fire, arithmetic, units, node=where, findings=findings),
        arithmetic,
        units.state,
    )
    if any(finding.severity.value == "error" for finding in findings):
        raise CompileError(*findings)
    return Population(neuron, quantized, tuple(findings))


def _check_bits(graph: Graph, target: TargetSpec, weight_bits: int) -> None:
    if weight_bits not in target.weights.bits:
        widths = target.weights.bits
        message = f"weights of {weight_bits} bits; `{target.name}` holds {widths[0]} to {widths[-1]}"
        raise CompileError(
            error("NMC201", message, graph.nodes[0].loc, help="choose another `--set weight_bits=`")
        )


# ---- inputs -----------------------------------------------------------------------------------------------


def _message(
    node: Node, signal: Signal, data: Array | None, bits: int, target: TargetSpec
) -> tuple[Signal, list[Diagnostic]]:
    """The type of an input that was real: spikes, or messages in steps of a power of two that just hold it."""
    if signal.kind is not SignalKind.REAL:
        return signal, []
    if data is None:
        message = f"input `{node.name}` is taken to be spikes (0 or 1)"
        advice = "give `--calibrate` with data if it is not"
        return Signal(signal.shape, SignalKind.SPIKE), [note("NMC202", message, node.loc, help=advice)]
    if np.isin(data, (0, 1)).all():
        return Signal(signal.shape, SignalKind.SPIKE), []
    if target.message_bits == 0:
        message = f"input `{node.name}` is not spikes, and `{target.name}` carries only spikes"
        raise CompileError(error("NMC203", message, node.loc, help="encode the input as spikes"))
    signed = bool(data.min() < 0)
    width = min(bits, target.message_bits)
    top = (1 << (width - signed)) - 1
    largest = float(np.abs(data).max())
    exponent = math.ceil(math.log2(largest / top))
    whole = np.array_equal(data, np.rint(data))
    number = FixedPoint(width, signed, max(exponent, 0) if whole else exponent)
    step = math.ldexp(1.0, number.exponent)
    worst = float(np.abs(np.rint(data / step) * step - data).max())
    message = f"input `{node.name}` travels as messages of {width} bits in steps of {step:g}"
    return Signal(signal.shape, SignalKind.GRADED, number), [
        note("NMC204", f"{message}, off by {worst:.3g} at most", node.loc)
    ]


# ---- scale ------------------------------------------------------------------------------------------------


def _units(
    op: Neuron,
    incoming: Mapping[str, LinearOp],
    numbers: Mapping[str, FixedPoint],
    arithmetic: Arithmetic,
    *,
    target: TargetSpec,
    bits: int,
    seen: Range | None,
) -> Units:
    formats = target.weights
    top = (1 << (bits - 1)) - 1
    per_unit = 1 << (formats.shift + formats.bits[-1] - bits)  # accumulator units in a weight unit
    per_weight = per_unit << arithmetic.input_shift  # state units in a weight unit
    largest = {name: _largest(weights, numbers[name]) for name, weights in incoming.items()}
    used = {name: value for name, value in largest.items() if value > 0}
    caps = _caps(op, arithmetic, per_weight, seen)
    lossless = _lossless(op, incoming, numbers, arithmetic, caps, target=target, bits=bits)
    if lossless is not None:
        scale = lossless
    elif used:
        scale = max(top / value for value in used.values())
        for name, value in used.items():
            unscaled = type(incoming[name]).__name__ in formats.unscaled
            highest = 0 if unscaled else formats.exponents[1]
            scale = min(scale, math.ldexp(top / value, highest))
    else:
        scale = min([*caps, 1.0]) if caps else 1.0
    scale = min([scale, *caps])
    if op.fire is None:
        scale = math.ldexp(1.0, math.floor(math.log2(scale)))
    unit = -round(math.log2(scale))
    accumulator = unit - (per_unit.bit_length() - 1)
    return Units(scale, unit, accumulator, accumulator - arithmetic.input_shift)


def _caps(op: Neuron, arithmetic: Arithmetic, per_weight: int, seen: Range | None) -> list[float]:
    """The largest scales at which threshold, bias and states still fit."""
    caps: list[float] = []
    if op.fire is not None:
        threshold = float(np.abs(op.fire.threshold.values).max())
        limit = ((1 << arithmetic.threshold_bits) - 1) << arithmetic.threshold_shift
        if threshold > 0:
            caps.append(limit / (threshold * per_weight))
    if op.membrane.bias is not None and arithmetic.bias_bits:
        bias = float(np.abs(op.membrane.bias.values).max())
        limit = ((1 << (arithmetic.bias_bits - 1)) - 1) << arithmetic.bias_shift
        if bias > 0:
            caps.append(limit / (bias * per_weight))
    if seen is not None:
        for value, width in ((seen.v, arithmetic.v_bits), (seen.i, arithmetic.i_bits)):
            if value > 0:
                caps.append(((1 << (width - 1)) - 1) / (HEADROOM * value * per_weight))
    return caps


def _lossless(
    op: Neuron,
    incoming: Mapping[str, LinearOp],
    numbers: Mapping[str, FixedPoint],
    arithmetic: Arithmetic,
    caps: list[float],
    *,
    target: TargetSpec,
    bits: int,
) -> float | None:
    """A power of two at which every weight, the threshold, bias and initial states are exact; None if there is none.

    Networks that were in the target's own integers already, as lava-dl's are, keep them to the bit: one is then
    one accumulator unit. Others take the finest such grid that fits, for the sake of what decays round.
    """
    formats = target.weights
    per_unit = 1 << (formats.shift + formats.bits[-1] - bits)
    grids = [_grid(weights.weight.values, numbers[name].exponent) for name, weights in incoming.items()]
    used = [grid for grid in grids if grid is not None]
    if not used:
        return None

    def exact(unit: int) -> bool:
        fits = all(_holds(incoming[name], numbers[name], unit, target=target, bits=bits) for name in incoming)
        within = all(math.ldexp(1.0, -unit) <= cap for cap in caps)
        return fits and within and _whole(op, arithmetic, per_unit, unit)

    decays = [op.membrane.decay, None if op.synapse is None else op.synapse.decay]
    own = per_unit.bit_length() - 1
    steps = [_grid(decay.values, arithmetic.decay_bits) for decay in decays if decay is not None]
    if all(step is None or step >= 0 for step in steps) and exact(own):
        return math.ldexp(1.0, -own)
    unit = min(used)
    if not exact(unit):
        return None
    while exact(unit - 1):
        unit -= 1
    return math.ldexp(1.0, -unit)


def _holds(op: LinearOp, number: FixedPoint, unit: int, *, target: TargetSpec, bits: int) -> bool:
    """Whether every weight is a mantissa at the weight unit 2**unit and one exponent more."""
    grid = _grid(op.weight.values, number.exponent)
    if grid is None:
        return True
    highest = 0 if type(op).__name__ in target.weights.unscaled else target.weights.exponents[1]
    exponent = min(grid - unit, highest)
    return exponent >= 0 and _largest(op, number) <= math.ldexp((1 << (bits - 1)) - 1, unit + exponent)


def _whole(op: Neuron, arithmetic: Arithmetic, per_unit: int, unit: int) -> bool:
    """Whether threshold, bias and initial states are whole at the weight unit 2**unit."""
    states = per_unit << arithmetic.input_shift
    parameters = [(op.membrane.bias, states), (op.membrane.initial, states), (op.membrane.minimum, states)]
    if op.synapse is not None:
        parameters.append((op.synapse.initial, states))
    if op.fire is not None:
        parameters += [(op.fire.threshold, per_unit), (op.fire.value, states)]
    scaled = [np.ldexp(tensor.values * grid, -unit) for tensor, grid in parameters if tensor is not None]
    return all(np.array_equal(np.rint(values), values) for values in scaled)


def _grid(values: npt.NDArray[np.float64], shift: int = 0) -> int | None:
    """The largest exponent of two of which all values * 2**shift are whole multiples; None if all are zero."""
    used = values[values != 0]
    if used.size == 0:
        return None
    mantissa, exponent = np.frexp(used)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((exponent - 53 + lowest).min()) + shift


def _largest(op: LinearOp, number: FixedPoint) -> float:
    """The largest |weight| per unit of the message that it meets."""
    return math.ldexp(float(np.abs(op.weight.values).max(initial=0)), number.exponent)


# ---- tensors ----------------------------------------------------------------------------------------------


def _connection(op: LinearOp, number: FixedPoint, units: Units, *, target: TargetSpec, bits: int) -> LinearOp:
    formats = target.weights
    top = (1 << (bits - 1)) - 1
    largest = _largest(op, number) * units.scale
    needed = math.ceil(math.log2(largest / top) - 1e-9) if largest > 0 else 0
    graded = number != SPIKE_NUMBER
    lowest = formats.exponents[0] if graded else 0
    exponent = 0 if type(op).__name__ in formats.unscaled else max(needed, lowest)
    values = op.weight.values * math.ldexp(units.scale, number.exponent - exponent)
    mantissa = np.clip(np.rint(values), -top, top).astype(np.int64)
    weight = Tensor(mantissa, FixedPoint(bits, True, units.unit + exponent - number.exponent))
    wraps = isinstance(op, Conv)
    accumulator = Accumulator(
        FixedPoint(24 if wraps else ACCUMULATOR_BITS, True, units.accumulator),
        Rounding.FLOOR,
        Overflow.WRAP if wraps else Overflow.PROVED_ABSENT,
    )
    return replace(op, weight=weight, accumulator=accumulator)


def _state(values: npt.NDArray[np.float64], bits: int, units: Units) -> Tensor:
    """Reals as state mantissas, rounded half to even and saturated."""
    number = FixedPoint(bits, True, units.state)
    return Tensor(
        np.clip(np.rint(values * units.states), number.lowest, number.highest).astype(np.int64), number
    )


def _decay(decay: Tensor, arithmetic: Arithmetic, span: tuple[int, int] | None) -> Tensor:
    """The nearest mantissa that the target has."""
    n = arithmetic.decay_bits
    low, high = span or (0, 1 << n)
    mantissa = np.clip(np.rint(np.ldexp(decay.values, n)), low, high).astype(np.int64)
    return Tensor(mantissa, FixedPoint(n + 1, False, -n))


def _synapse(synapse: Synapse | None, arithmetic: Arithmetic, units: Units) -> Synapse | None:
    if synapse is None:
        return None
    return Synapse(
        _decay(synapse.decay, arithmetic, arithmetic.i_decays),
        None,
        synapse.used,
        _state(synapse.initial.values, arithmetic.i_bits, units),
    )


def _membrane(
    membrane: Membrane, arithmetic: Arithmetic, units: Units, node: Node, findings: list[Diagnostic]
) -> Membrane:
    bits = arithmetic.v_bits
    decay = None if membrane.decay is None else _decay(membrane.decay, arithmetic, arithmetic.v_decays)
    minimum = None if membrane.minimum is None else _state(membrane.minimum.values, bits, units)
    bias = None if membrane.bias is None else _bias(membrane.bias, arithmetic, units, node, findings)
    return Membrane(decay, None, bias, minimum, _state(membrane.initial.values, bits, units))


def _bias(
    bias: Tensor, arithmetic: Arithmetic, units: Units, node: Node, findings: list[Diagnostic]
) -> Tensor | None:
    """Mantissas of `bias_bits` at the smallest shift at which all fit."""
    wanted = np.rint(bias.values * units.states)
    top = (1 << (arithmetic.bias_bits - 1)) - 1
    shift = 0
    while np.abs(np.rint(np.ldexp(wanted, -shift))).max() > top:
        shift += 1
    if shift > arithmetic.bias_shift:
        message = f"bias {float(np.abs(bias.values).max()):.4g} is {int(np.abs(wanted).max())} state units; "
        limit = top << arithmetic.bias_shift
        findings.append(error("NMC200", f"{message}{limit} fit", node.loc, help="use fewer weight bits"))
        return None
    mantissa = np.rint(np.ldexp(wanted, -shift)).astype(np.int64)
    if not mantissa.any():
        return None
    return Tensor(mantissa, FixedPoint(arithmetic.bias_bits, True, units.state + shift))


def _fire(
    op: Neuron, fire: Fire, arithmetic: Arithmetic, units: Units, *, node: Node, findings: list[Diagnostic]
) -> Fire:
    """The threshold on its grid; `>=` becomes `>` one grid step lower where states leave nothing between."""
    grid = math.ldexp(units.states, -arithmetic.threshold_shift)
    wanted = fire.threshold.values * grid
    comparison = fire.comparison
    mantissa = np.rint(wanted)
    if comparison not in arithmetic.comparisons:
        comparison = arithmetic.comparisons[0]
        exact = comparison is Comparison.ABOVE and _on_weight_grid(op, units)
        mantissa = np.ceil(wanted - 1e-9) - 1 if exact else mantissa
        size = "exact: its states are whole weights" if exact else f"apart by 1 in {float(wanted.max()):.4g}"
        written = {Comparison.ABOVE: ">", Comparison.AT_LEAST: ">="}
        message = f"`{written[fire.comparison]}` threshold became `{written[comparison]}`; {size}"
        findings.append(note("NMC205", message, node.loc))
    top = (1 << arithmetic.threshold_bits) - 1
    if mantissa.max() > top or mantissa.min() < 0:
        message = (
            f"threshold {float(fire.threshold.values.max()):.4g} is {int(mantissa.max())} threshold units"
        )
        findings.append(error("NMC200", f"{message}; 0 to {top} fit", node.loc, help="use fewer weight bits"))
        mantissa = np.clip(mantissa, 0, top)
    number = FixedPoint(arithmetic.threshold_bits, False, units.state + arithmetic.threshold_shift)
    threshold = Tensor(mantissa.astype(np.int64), number)
    value = _state(
        fire.value.values if fire.reset is Reset.TO_VALUE else np.zeros(()), arithmetic.v_bits, units
    )
    return replace(fire, threshold=threshold, comparison=comparison, value=value)


def _on_weight_grid(op: Neuron, units: Units) -> bool:
    """Whether v is always a whole number of weights: nothing leaks and nothing but weights comes in."""
    leaks = op.membrane.decay is not None and np.any(op.membrane.decay.values != 1)
    current = op.synapse is not None and np.any(op.synapse.decay.values != 0)
    plain = op.membrane.bias is None and not op.membrane.initial.data.any() and op.membrane.minimum is None
    subtracts = op.fire is not None and op.fire.reset not in {Reset.TO_VALUE, Reset.NONE}
    return bool(plain and not leaks and not current and not subtracts)


__all__ = ["HEADROOM", "Population", "Units", "quantize", "quantize_population"]
