"""What quantization costs, layer by layer, on data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.connections import connections
from nmc.ir.graph import Graph
from nmc.ir.linear import Reals
from nmc.ir.ops import Conv, Linear, Neuron, Op, Sparse
from nmc.ir.tensor import Tensor
from nmc.passes.calibrate import SAMPLES
from nmc.passes.repeat_constants import repeated_as
from nmc.passes.units import of_weights, row_count
from nmc.sim.arrays import is_integer, to_mantissas
from nmc.sim.trace import SimResult

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class LayerError:
    """The cost of one population's integers, everything else in reals.

    `weight_error` is the root mean square error of its incoming weights over their root mean square. On data:
    `own` and `output` are the share of cells (step, sample, neuron) of its own and of the network's outputs that
    differ from the network in reals; None without data.
    """

    node: str
    weight_error: float
    own: float | None
    output: float | None


def layer_errors(
    real: Graph, integer: Graph, data: Mapping[str, Array], *, samples: int = SAMPLES
) -> tuple[LayerError, ...]:
    """Quantize one population at a time. `real` and `integer` are the graphs before and after `quantize`."""
    real = repeated_as(real, integer)
    populations = [node.name for node in real.nodes if isinstance(node.op, Neuron)]
    inputs = {name: array[:, :samples] for name, array in data.items()}
    record = [f"{name}.spikes" for name in populations if _spikes(real, name)]
    exact = _run(real, inputs, record) if inputs else None
    errors: list[LayerError] = []
    for name in populations:
        names = {link.name for link in connections(real) if link.dst == name}
        own = output = None
        if exact is not None:
            quantized = {n: in_reals(integer[n].op) for n in (name, *sorted(names))}
            got = _run(real.replace_nodes(quantized), inputs, record)
            key = f"{name}.spikes"
            own = _different(exact.trace[key], got.trace[key]) if key in exact.trace else None
            output = outputs_different(exact, got)
        errors.append(LayerError(name, _weight_error(real, integer, names), own, output))
    return tuple(errors)


def _run(graph: Graph, inputs: Mapping[str, Array], record: list[str]) -> SimResult:
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    return simulate(graph, inputs, record=record)


def worst(errors: tuple[LayerError, ...]) -> LayerError | None:
    """The layer that moves the outputs most; by its weights where nothing was measured; None if nothing moves."""
    measured = [e for e in errors if e.output]
    if measured:
        return max(measured, key=lambda e: e.output or 0.0)
    by_weight = [e for e in errors if e.weight_error > 0]
    return max(by_weight, key=lambda e: e.weight_error, default=None)


def _spikes(graph: Graph, name: str) -> bool:
    op = graph[name].op
    return isinstance(op, Neuron) and op.fire is not None


def _different(a: Array, b: Array) -> float:
    return float(np.mean(a != b))


def outputs_different(a: SimResult, b: SimResult) -> float:
    """Spikes that differ, or for membranes the root mean square error over the root mean square."""
    shares: list[float] = []
    for name, expected in a.outputs.items():
        got = b.outputs[name]
        if expected.dtype.kind == "f":
            size = float(np.sqrt(np.mean(np.square(expected)))) or 1.0
            shares.append(float(np.sqrt(np.mean(np.square(expected - got)))) / size)
        else:
            shares.append(_different(expected, got))
    return max(shares, default=0.0)


def _weight_error(real: Graph, integer: Graph, links: set[str]) -> float:
    """Relative error of all weights into a population."""
    exact, coarse = in_model_units(real, integer, sorted(links))
    size = float(np.mean(np.square(exact))) if exact.size else 0.0
    return float(np.sqrt(np.mean(np.square(exact - coarse)) / size)) if size > 0 else 0.0


def in_model_units(real: Graph, integer: Graph, links: Sequence[str]) -> tuple[Reals, Reals]:
    """The weights of connections into one population, flattened, in reals and as their integers stand for them.

    Integers are taken times the one factor of their row (neuron or channel) by which they come nearest.
    """
    parts: list[tuple[Array, Array, Array]] = [(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))]
    for name in links:
        exact, coarse = real[name].op, integer[name].op
        assert isinstance(exact, Linear | Sparse | Conv) and isinstance(coarse, Linear | Sparse | Conv)
        rows = np.arange(row_count(exact), dtype=np.float64)
        of_each = np.broadcast_to(of_weights(rows, exact), exact.weight.shape).astype(np.int64)
        parts.append((exact.weight.values.ravel(), coarse.weight.values.ravel(), of_each.ravel()))
    a, b, row = (np.concatenate(column) for column in zip(*parts, strict=True))
    size = np.bincount(row, b * b)
    factor = np.divide(np.bincount(row, a * b), size, out=np.ones(len(size)), where=size > 0)
    return a, factor[row] * b if row.size else b


def in_reals(op: Op) -> Op:
    """The operation with the values of its mantissas."""
    plain = _values(op)
    match plain:
        case Neuron():
            return replace(plain, arithmetic=None, exponent=0)
        case Linear() | Sparse() | Conv():
            return replace(plain, accumulator=None)
        case _:
            return plain


def _values(part: Any) -> Any:  # Any: walks the fields of any operation
    if isinstance(part, Tensor):
        return part if part.number is None else Tensor(part.values)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{field.name: _values(getattr(part, field.name)) for field in fields(part)})
    return part


# ---- outputs ----------------------------------------------------------------------------------------------

Rates = Mapping[str, Array]
"""What each output gives on average over the steps, (samples, *shape), in the model's units."""


def rates(graph: Graph, data: Mapping[str, Array]) -> dict[str, Array]:
    """Run the graph, in reals or integers, on data in the model's units."""
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    signals = graph.signals()
    inputs = to_integers(graph, data) if is_integer(graph) else data
    found: dict[str, Array] = {}
    for name, array in simulate(graph, inputs).outputs.items():
        number = signals[name].number
        mean = array.mean(axis=0, dtype=np.float64)
        found[name] = mean if number is None else np.ldexp(mean, number.exponent)
    return found


def distance(a: Rates, b: Rates) -> float:
    """The mean squared difference of rates over all outputs, as a part of the mean square of `a`."""
    size = sum(float(np.square(each).sum()) for each in a.values()) or 1.0
    return sum(float(np.square(each - b[name]).sum()) for name, each in a.items()) / size


def to_integers(graph: Graph, data: Mapping[str, Array]) -> dict[str, Array]:
    """Data in the model's units as the mantissas that an integer graph takes, what exceeds them at their ends."""
    inputs = dict(data)
    for node in graph.inputs:
        number = graph.signals()[node.name].number
        if number is not None:
            mantissas = to_mantissas(data[node.name], number)
            inputs[node.name] = np.clip(mantissas, number.lowest, number.highest)
    return inputs
