"""A lifted neuron beside the program it stands for, point by point, in single and in double precision.

Points are drawn over the range of the threshold, and on both sides of it: inputs for which the membrane lands on
the threshold, and their neighbours among the numbers of single precision. In double precision both must agree
everywhere but within rounding of the threshold; in single precision, where two spellings of one formula round
differently, within rounding of each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmc.frontend.onnx.lift import Lifted
from nmc.ir.neuron import current_real, step_real
from nmc.ir.program import Program
from nmc.ir.tensor import Array, Tensor

POINTS = 512
NEURONS = 24
"""Of a population whose neurons differ, so many are tried."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How many points were tried, and how many of them within rounding of a threshold."""

    points: int
    at_threshold: int


def prove(program: Program, lifted: Lifted) -> Proof | None:
    """The proof; None if the neuron is not the program."""
    shape = lifted.neuron.shape
    size = int(np.prod(shape, dtype=np.int64))
    varied = any(each.size > 1 for each in _numbers(program, lifted))
    chosen = np.unique(np.linspace(0, size - 1, NEURONS).astype(int)) if varied else np.array([0])
    total = near = 0
    for index in chosen:
        single = _program_of(program, shape, int(index))
        cell = _Cell(lifted, shape, int(index))
        found = _compare(
            single, cell, seed=int(index), points=POINTS * 4 if len(chosen) == 1 else POINTS // 4
        )
        if found is None:
            return None
        total += found[0]
        near += found[1]
    return Proof(total, near)


def _numbers(program: Program, lifted: Lifted) -> list[Tensor]:
    from nmc.ir.ops import parameters

    gains = [Tensor(np.asarray(gain)) for gain in (*lifted.gains, lifted.amplitude, lifted.offset)]
    return [*program.constants, *parameters(lifted.neuron).values(), *gains]


def _at(array: Array, shape: tuple[int, ...], index: int) -> float:
    return float(np.broadcast_to(array, shape).ravel()[index]) if array.ndim else float(array)


def _program_of(program: Program, shape: tuple[int, ...], index: int) -> Program:
    constants = tuple(
        Tensor(np.asarray(_at(each.data, shape, index), each.data.dtype)) for each in program.constants
    )
    return Program(program.inputs, program.states, constants, program.code, program.output, program.next)


class _Cell:
    """One neuron of a population, stepped by the rules of `ir/neuron.py`."""

    def __init__(self, lifted: Lifted, shape: tuple[int, ...], index: int) -> None:
        neuron = lifted.neuron
        self.variables = lifted.variables
        self.gains = [_at(np.asarray(gain), shape, index) for gain in lifted.gains]
        self.offset = _at(np.asarray(lifted.offset), shape, index)
        self.amplitude = _at(np.asarray(lifted.amplitude), shape, index)

        def value(tensor: Tensor | None, default: float) -> float:
            return default if tensor is None else _at(tensor.values, shape, index)

        self.decay = value(neuron.membrane.decay, 1.0)
        self.gain = value(neuron.membrane.gain, 1.0)
        self.bias = value(neuron.membrane.bias, 0.0)
        self.minimum = value(neuron.membrane.minimum, 0.0)
        self.clamped = neuron.membrane.minimum is not None
        self.synapse = neuron.synapse is not None
        self.keep = value(neuron.synapse.decay, 0.0) if neuron.synapse is not None else 0.0
        self.enter = value(neuron.synapse.gain, 1.0) if neuron.synapse is not None else 1.0
        self.old_current = neuron.synapse is not None and int(neuron.synapse.used) == 1
        fire = neuron.fire
        self.fires = fire is not None
        self.threshold = value(fire.threshold, 0.0) if fire is not None else np.inf
        self.value = value(fire.value, 0.0) if fire is not None else 0.0
        self.period = int(value(fire.refractory, 0.0)) if fire is not None else 0
        self.rules = (
            (int(fire.comparison), int(fire.spike_from), int(fire.reset), int(fire.when))
            if fire is not None
            else (0, 0, 0, 0)
        )

    def step(self, number: type, v: float, i: float, wait: int, x: float) -> tuple[float, float, int, float]:
        """v, i, wait and the output after one step in a precision."""
        make = number
        current = (
            current_real(make(i), make(x), make(self.keep), make(self.enter)) if self.synapse else make(0)
        )
        drive = (make(i) if self.old_current else current) if self.synapse else make(x)
        comparison, spike_from, reset, when = self.rules
        new, left, spikes = step_real(
            make(v),
            wait,
            drive,
            make(self.decay),
            make(self.gain),
            make(self.bias),
            make(self.threshold),
            make(self.value),
            make(self.minimum),
            self.period,
            comparison,
            spike_from,
            reset,
            when,
            self.clamped,
            make,
        )
        out = make(spikes) if self.fires else new
        return new, current, left, out * make(self.amplitude)


def _compare(program: Program, cell: _Cell, *, seed: int, points: int) -> tuple[int, int] | None:
    rng = np.random.default_rng(seed)
    states, inputs = _points(program, cell, rng, points)
    near = np.zeros(len(inputs), bool)
    for real, tolerance in ((np.float64, 1e-6), (np.float32, 2e-5)):
        with np.errstate(all="ignore"):
            out, nexts = program.run(
                [column.astype(real) for column in inputs.T], [column.astype(real) for column in states.T]
            )
        got_out, got_next, margin = _stepped(cell, program, real, states, inputs)
        scale = np.maximum(1.0, np.abs(states).max(initial=1.0, axis=1) + np.abs(inputs).sum(axis=1))
        doubtful = margin <= tolerance * scale
        near |= doubtful
        wanted = np.column_stack(
            [np.broadcast_to(out, len(inputs)), *[np.broadcast_to(n, len(inputs)) for n in nexts]]
        )
        got = np.column_stack([got_out, got_next])
        known = ~np.isnan(got)
        close = np.abs(np.where(known, got - wanted, 0.0)) <= tolerance * scale[:, None]
        bad = ~close.all(axis=1) & ~doubtful
        if bool(bad.any()):
            return None
    return len(inputs), int(near.sum())


def _points(program: Program, cell: _Cell, rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """States and inputs, rounded to single precision: spread, on a coarse grid, and around the threshold."""
    theta = cell.threshold if np.isfinite(cell.threshold) else 1.0
    size = max(abs(theta), 1e-3)
    reach = max(1.0, size / max(abs(cell.gain * cell.enter), 1e-6))
    states = rng.normal(0.3 * theta, 1.5 * size, (count, len(program.states)))
    inputs = rng.normal(0.0, 2.0 * min(reach, 1e6), (count, len(program.inputs)))
    third = count // 3
    states[:third] = np.rint(states[:third] / size * 4) * size / 4
    states[third // 2 : third] = 0.0
    for k, name in enumerate(program.states):
        if cell.variables.get(name) == "wait":
            states[:, k] = rng.integers(0, 2, count) * rng.integers(0, max(1, cell.period) + 1, count)
        if name not in cell.variables:
            states[:, k] = 0.0
    if len(program.inputs) and cell.gain * cell.enter != 0:
        rows = slice(third // 2, 2 * third)
        _aim(program, cell, rng, states=states, inputs=inputs, rows=rows, theta=theta)
    states = states.astype(np.float32).astype(np.float64)
    return states, inputs.astype(np.float32).astype(np.float64)


def _aim(
    program: Program,
    cell: _Cell,
    rng: np.random.Generator,
    *,
    states: Array,
    inputs: Array,
    rows: slice,
    theta: float,
) -> None:
    """Inputs that bring the membrane onto the threshold, a few units in the last place more or less."""
    v = np.zeros(len(states[rows]))
    i = np.zeros(len(states[rows]))
    for k, name in enumerate(program.states):
        if cell.variables.get(name) == "v":
            v = states[rows, k]
        if cell.variables.get(name) == "i":
            i = states[rows, k]
    inputs[rows, 1:] = 0.0
    kept = cell.keep * i if cell.synapse else np.zeros(len(v))
    target = (theta - cell.decay * v - cell.bias) / cell.gain
    aimed = (target - kept) / cell.enter if cell.synapse else target
    aimed = ((aimed - cell.offset) / cell.gains[0]).astype(np.float32)
    for _ in range(3):
        away = rng.choice(np.array([-np.inf, np.inf], np.float32), len(aimed))
        move = rng.integers(0, 2, len(aimed)).astype(bool)
        aimed = np.where(move, np.nextafter(aimed, away), aimed)
    inputs[rows, 0] = aimed


def _stepped(
    cell: _Cell, program: Program, real: type, states: Array, inputs: Array
) -> tuple[Array, Array, Array]:
    """What the neuron gives and keeps at each point (nan: no variable of it), and its distance from a threshold."""
    columns = {cell.variables.get(name): k for k, name in enumerate(program.states)}
    out = np.empty(len(inputs))
    kept = np.full((len(inputs), len(program.states)), np.nan)
    margin = np.full(len(inputs), np.inf)
    for row in range(len(inputs)):
        x = real(cell.offset)
        for gain, given in zip(cell.gains, inputs[row], strict=True):
            x = x + real(gain) * real(given)
        v = states[row, columns["v"]] if "v" in columns else 0.0
        i = states[row, columns["i"]] if "i" in columns else 0.0
        wait = int(states[row, columns["wait"]]) if "wait" in columns else 0
        new, current, left, given = cell.step(real, v, i, wait, x)
        out[row] = given
        for variable, result in (("v", new), ("i", current), ("wait", left)):
            if variable in columns:
                kept[row, columns[variable]] = result
        if cell.fires:
            margin[row] = _margin(cell, v, i, float(x))
    return out, kept, margin


def _margin(cell: _Cell, v: float, i: float, x: float) -> float:
    """How far the compared membranes are from the threshold, or from a multiple of it where spikes are counted."""
    current = current_real(i, x, cell.keep, cell.enter) if cell.synapse else x
    drive = (i if cell.old_current else current) if cell.synapse else x
    push = cell.gain * drive + cell.bias
    theta = cell.threshold
    candidates = [v - theta]
    for start in (v, cell.value, v - theta):
        candidates.append(cell.decay * start + push - theta)
    candidates += [cell.decay * v + push - 2 * theta, push + cell.decay * v - theta - theta]
    if cell.clamped:
        candidates.append(cell.decay * v + push - cell.minimum)
    distance = min(abs(each) for each in candidates)
    if cell.rules[2] == 3 and theta:
        phase = (cell.decay * v + push) / theta
        distance = min(distance, abs(phase - round(phase)) * abs(theta))
    exact = any(each == 0.0 for each in candidates) and v == 0.0 and i == 0.0 and cell.gain == 1.0
    return np.inf if exact and cell.rules[2] != 3 else distance
