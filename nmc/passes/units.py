"""How large a real one is in a population's integers: scales, and the exponents that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nmc.ir.linear import Reals
from nmc.ir.neuron import Arithmetic
from nmc.ir.ops import LinearOp, Neuron, Sparse, output_shape
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER
from nmc.passes.calibrate import Range
from nmc.target import TargetSpec

HEADROOM = 2.0
"""How many times the largest state seen on calibration data must fit a state register."""


@dataclass(frozen=True, slots=True)
class Units:
    """The scales of one population: a real x of a row is x * scale weight units, a weight unit is 2**`unit` in
    integers.

    A row is a channel of a population with space, a neuron of any other. `scale` is one number or (rows,). `unit` is
    chosen so that scale * 2**unit is near one (exactly one for populations whose value is read).
    """

    scale: Reals
    unit: int
    accumulator: int
    """Exponent of the accumulator, into which weight units are shifted."""
    state: int
    """Exponent of v and i."""

    def states(self, op: Neuron) -> Reals:
        """State mantissas per real one, to be multiplied with values of the population's shape."""
        return np.ldexp(by_row(self.scale, op), self.unit - self.state)


def rows_of(op: Neuron) -> int:
    """How many rows a population has: its channels, or its neurons if it has no space."""
    return op.shape[0] if op.shape else 1


def by_row(values: Reals, op: Neuron) -> Reals:
    """One value or (rows,) such that it broadcasts to the population's shape."""
    return values if values.ndim == 0 else values.reshape(-1, *(1,) * (len(op.shape) - 1))


def of_weights(values: Reals, op: LinearOp) -> Reals:
    """One value or (rows,) of the population that `op` leads to, such that it broadcasts to `op.weight`."""
    if values.ndim == 0:
        return values
    if isinstance(op, Sparse):
        per_row = math.prod(op.out_shape[1:])
        return values[op.post.data // per_row]
    return values.reshape(-1, *(1,) * (op.weight.data.ndim - 1))


def row_count(op: LinearOp) -> int:
    """How many rows the population has that `op` leads to."""
    shape = output_shape(op)
    return shape[0] if shape else 1


def largest_by_row(op: LinearOp, number: FixedPoint) -> Reals:
    """The largest |weight| into each row per unit of the message that it meets."""
    size = np.abs(op.weight.values)
    if isinstance(op, Sparse):
        largest = np.zeros(row_count(op))
        np.maximum.at(largest, op.post.data // math.prod(op.out_shape[1:]), size)
    else:
        largest = size.reshape(size.shape[0], -1).max(axis=1, initial=0)
    return np.ldexp(largest, number.exponent)


def highest_exponent(op: LinearOp, target: TargetSpec) -> int:
    """The largest shift that a connection may have."""
    return 0 if type(op).__name__ in target.weights.unscaled else target.weights.exponents[1]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a population's scale depends on besides its weights: the target at a width of weights, and limits."""

    target: TargetSpec
    arithmetic: Arithmetic
    bits: int
    numbers: Mapping[str, FixedPoint]
    seen: Range | None

    @property
    def top(self) -> int:
        """The largest mantissa of a weight."""
        return (1 << (self.bits - 1)) - 1

    @property
    def per_unit(self) -> int:
        """Accumulator units in a weight unit."""
        formats = self.target.weights
        return 1 << (formats.shift + formats.bits[-1] - self.bits)

    @property
    def per_weight(self) -> int:
        """State units in a weight unit."""
        return self.per_unit << self.arithmetic.input_shift


def widest_scale(op: Neuron, incoming: Mapping[str, LinearOp], frame: Frame, *, each_row: bool) -> Reals:
    """The finest scale at which every weight fits, the threshold, biases and states too: one, or one a row.

    A connection with larger weights than another takes an exponent where the target has one.
    """
    by_connection: list[Reals] = []
    limits: list[Reals] = []
    for name, weights in incoming.items():
        largest = largest_by_row(weights, frame.numbers[name])
        largest = largest if each_row else np.full(rows_of(op), largest.max(initial=0))
        with np.errstate(divide="ignore"):
            finest = frame.top / largest  # infinite where a row gets nothing through this connection
        by_connection.append(finest)
        limits.append(np.ldexp(finest, highest_exponent(weights, frame.target)))
    limit = scale_limit(op, frame)
    limit = np.broadcast_to(limit, (rows_of(op),)) if each_row else np.full(rows_of(op), limit.min())
    used = [np.where(np.isinf(finest), 0, finest) for finest in by_connection]
    finest = np.max(used, axis=0, initial=0) if used else np.zeros(rows_of(op))
    for most in limits:
        finest = np.minimum(finest, most)
    driven = finest > 0
    usual = float(np.median(finest[driven])) if driven.any() else float(min(limit.min(), 1.0))
    scale = np.minimum(np.where(driven, finest, usual), limit)
    return scale if each_row else np.asarray(scale[0])


CLIPPED = 3.0
"""Scales are tried up to so many times the widest one, at which the largest weights are clipped."""


def with_room(op: Neuron, incoming: Mapping[str, LinearOp], frame: Frame) -> Frame:
    """The frame with fewer bits of state below a weight's unit, where a state would not fit its register otherwise."""
    wanted = CLIPPED * widest_scale(op, incoming, replace(frame, seen=None), each_row=False)
    while frame.arithmetic.input_shift > 0 and scale_limit(op, frame).min() < wanted:
        arithmetic = replace(frame.arithmetic, input_shift=frame.arithmetic.input_shift - 1)
        frame = replace(frame, arithmetic=arithmetic)
    return frame


def scale_limit(op: Neuron, frame: Frame) -> Reals:
    """The largest scales, one or one a row, at which threshold, bias and states still fit."""
    arithmetic, per_weight = frame.arithmetic, frame.per_weight
    limit = np.full(rows_of(op), np.inf)
    if op.fire is not None:
        most = ((1 << arithmetic.threshold_bits) - 1) << arithmetic.threshold_shift
        limit = np.minimum(limit, _within(op, op.fire.threshold, most / per_weight))
    if op.membrane.bias is not None and arithmetic.bias_bits:
        most = ((1 << (arithmetic.bias_bits - 1)) - 1) << arithmetic.bias_shift
        limit = np.minimum(limit, _within(op, op.membrane.bias, most / per_weight))
    if frame.seen is not None:
        for value, width in ((frame.seen.v, arithmetic.v_bits), (frame.seen.i, arithmetic.i_bits)):
            if value > 0:
                most = ((1 << (width - 1)) - 1) / (HEADROOM * value * per_weight)
                limit = np.minimum(limit, most)
    return limit


def _within(op: Neuron, parameter: Tensor, most: float) -> Reals:
    values = np.broadcast_to(np.abs(parameter.values), op.shape).reshape(rows_of(op), -1)
    with np.errstate(divide="ignore"):
        return most / values.max(axis=1, initial=0)


def units_at(scale: Reals, op: Neuron, frame: Frame) -> Units:
    """The units of a population at a scale; powers of two where its value is read."""
    if op.fire is None:
        scale = np.asarray(math.ldexp(1.0, math.floor(math.log2(float(scale.min())))))
    unit = -round(float(np.mean(np.log2(scale))))
    accumulator = unit - (frame.per_unit.bit_length() - 1)
    return Units(scale, unit, accumulator, accumulator - frame.arithmetic.input_shift)


def exponent_of(op: LinearOp, number: FixedPoint, units: Units, frame: Frame) -> int:
    """The shift that a connection needs so that its weights fit; the highest there is where more is needed."""
    formats = frame.target.weights
    if type(op).__name__ in formats.unscaled:
        return 0
    largest = float((largest_by_row(op, number) * units.scale).max(initial=0))
    needed = math.ceil(math.log2(largest / frame.top) - 1e-9) if largest > 0 else 0
    lowest = formats.exponents[0] if number != SPIKE_NUMBER else 0
    return min(max(needed, lowest), max(formats.exponents[1], 0))


# ---- networks that are on a grid already ------------------------------------------------------------------


def lossless_scale(op: Neuron, incoming: Mapping[str, LinearOp], frame: Frame) -> Reals | None:
    """A power of two at which every weight, the threshold, bias and initial states are exact; None if there is none.

    Networks that were in the target's own integers already, as lava-dl's are, keep them to the bit: one is then
    one accumulator unit. Others take the finest such grid that fits, for the sake of what decays round.
    """
    grids = [grid_of(w.weight.values, frame.numbers[name].exponent) for name, w in incoming.items()]
    used = [grid for grid in grids if grid is not None]
    if not used:
        return None
    limit = float(scale_limit(op, frame).min())

    def exact(unit: int) -> bool:
        fits = all(_holds(incoming[name], frame.numbers[name], unit, frame) for name in incoming)
        return fits and math.ldexp(1.0, -unit) <= limit and _whole(op, frame, unit)

    decays = [op.membrane.decay, None if op.synapse is None else op.synapse.decay]
    own = frame.per_unit.bit_length() - 1
    steps = [grid_of(decay.values, frame.arithmetic.decay_bits) for decay in decays if decay is not None]
    if all(step is None or step >= 0 for step in steps) and exact(own):
        return np.asarray(math.ldexp(1.0, -own))
    unit = min(used)
    if not exact(unit):
        return None
    while exact(unit - 1):
        unit -= 1
    return np.asarray(math.ldexp(1.0, -unit))


def _holds(op: LinearOp, number: FixedPoint, unit: int, frame: Frame) -> bool:
    """Whether every weight is a mantissa at the weight unit 2**unit and one exponent more."""
    grid = grid_of(op.weight.values, number.exponent)
    if grid is None:
        return True
    exponent = min(grid - unit, highest_exponent(op, frame.target))
    largest = float(largest_by_row(op, number).max(initial=0))
    return exponent >= 0 and largest <= math.ldexp(frame.top, unit + exponent)


def _whole(op: Neuron, frame: Frame, unit: int) -> bool:
    """Whether threshold, bias and initial states are whole at the weight unit 2**unit."""
    states, per_unit = frame.per_weight, frame.per_unit
    parameters = [(op.membrane.bias, states), (op.membrane.initial, states), (op.membrane.minimum, states)]
    if op.synapse is not None:
        parameters.append((op.synapse.initial, states))
    if op.fire is not None:
        parameters += [(op.fire.threshold, per_unit), (op.fire.value, states)]
    scaled = [np.ldexp(tensor.values * grid, -unit) for tensor, grid in parameters if tensor is not None]
    return all(np.array_equal(np.rint(values), values) for values in scaled)


def grid_of(values: npt.NDArray[np.float64], shift: int = 0) -> int | None:
    """The largest exponent of two of which all values * 2**shift are whole multiples; None if all are zero."""
    used = values[values != 0]
    if used.size == 0:
        return None
    mantissa, exponent = np.frexp(used)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return int((exponent - 53 + lowest).min()) + shift
