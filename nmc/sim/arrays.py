"""Arrays that users give and want: files of arrays to graph inputs, spike counts to predictions."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Diagnostic, Loc, error, raise_errors
from nmc.ir.graph import Graph, Node
from nmc.ir.ops import Conv, Input, Linear, Neuron, Op, Scale, Signal, SignalKind, Sparse, Threshold
from nmc.ir.tensor import FixedPoint

Array = npt.NDArray[Any]
"""Any: arrays of every numeric dtype."""


def is_integer(graph: Graph) -> bool:
    """Whether the graph computes in integers: one of its operations has an arithmetic or a number format."""
    return any(_computes_in_integers(node.op) for node in graph.nodes)


def _computes_in_integers(op: Op) -> bool:
    match op:
        case Neuron():
            return op.arithmetic is not None
        case Linear() | Sparse() | Conv():
            return op.accumulator is not None
        case Scale(_, tensor) | Threshold(_, tensor):
            return tensor.number is not None
        case _:
            return False


# ---- what simulators take ---------------------------------------------------------------------------------


def checked_inputs(
    graph: Graph, inputs: Mapping[str, Array], *, integer: bool, dtype: np.dtype[Any]
) -> tuple[dict[str, Array], int, int]:
    """Inputs as simulators read them, (steps, samples, elements), with the numbers of steps and samples.

    Spikes become uint8, graded inputs of an integer graph int64 mantissas, all else `dtype`. Raises
    CompileError with everything that is wrong: arrays that are missing or unknown, shapes, NaN, spikes that
    are not 0 or 1, mantissas that are not integers or out of range.
    """
    findings: list[Diagnostic] = []
    arrays: dict[str, Array] = {}
    names = [node.name for node in graph.inputs]
    for name in inputs:
        if name not in names:
            findings.append(_unknown(name, names))
    leading: tuple[str, tuple[int, ...]] | None = None
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        if node.name not in inputs:
            findings.append(_missing(node, inputs))
            continue
        array = np.asarray(inputs[node.name])
        found = _check(node, node.op.signal, array, integer=integer)
        if leading is not None and not found and array.shape[:2] != leading[1]:
            found = _unequal(node, array.shape[:2], *leading)
        findings += found
        if not found:
            leading = leading or (node.name, array.shape[:2])
            arrays[node.name] = _flat(node.op.signal, array, integer=integer, dtype=dtype)
    if not names:
        findings.append(
            error("NMC500", "the model has no input, so nothing says how long to run", _place(graph))
        )
    raise_errors(findings)
    assert leading is not None
    steps, samples = leading[1]
    return arrays, steps, samples


def _flat(signal: Signal, array: Array, *, integer: bool, dtype: np.dtype[Any]) -> Array:
    flat = array.reshape(*array.shape[:2], -1)
    if signal.kind is SignalKind.SPIKE:
        return np.ascontiguousarray(flat, np.uint8)
    return np.ascontiguousarray(flat, np.int64 if integer else dtype)


def _check(node: Node, signal: Signal, array: Array, *, integer: bool) -> list[Diagnostic]:
    """What is wrong with the array of one input."""
    name = node.name
    if array.dtype.kind not in "biuf":
        message = f"input `{name}` takes numbers, and the array holds {array.dtype}"
        return [error("NMC501", message, node.loc)]
    if array.ndim != len(signal.shape) + 2 or array.shape[2:] != signal.shape:
        message = (
            f"input `{name}` takes (steps, samples{_axes(signal.shape)}), and the array is {array.shape}"
        )
        return [error("NMC501", message, node.loc, help="the leading axes are steps and samples")]
    if 0 in array.shape[:2]:
        message = (
            f"input `{name}` has {array.shape[0]} steps of {array.shape[1]} samples: there is nothing to run"
        )
        return [error("NMC504", message, node.loc)]
    if not array.size:
        return []
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        at = np.argwhere(~np.isfinite(array))[0]
        message = f"input `{name}` holds {array[tuple(at)]} at {_at(at)}"
        return [error("NMC502", message, node.loc, help="inputs are finite numbers")]
    whole = array.dtype.kind != "f" or bool((array == np.rint(array)).all())
    if signal.kind is SignalKind.SPIKE and not (whole and low >= 0 and high <= 1):
        at = np.argwhere((array != 0) & (array != 1))[0]
        message = f"input `{name}` takes spikes, 0 or 1, and the array holds {array[tuple(at)]} at {_at(at)}"
        return [error("NMC503", message, node.loc, help="encode the values as spikes first")]
    number = signal.number
    if signal.kind is SignalKind.GRADED and integer and number is not None:
        if not whole:
            message = f"input `{name}` takes integer mantissas ({number}), and the array holds fractions"
            return [error("NMC509", message, node.loc, help="round the values onto the number's grid first")]
        if low < number.lowest or high > number.highest:
            message = f"input `{name}` takes {number.lowest} to {number.highest}, and the array holds {low} to {high}"
            return [error("NMC509", message, node.loc)]
    return []


def _missing(node: Node, inputs: Mapping[str, Array]) -> Diagnostic:
    given = ", ".join(f"`{name}`" for name in inputs) or "nothing"
    return error("NMC500", f"there is no array for input `{node.name}`; given: {given}", node.loc)


def _unknown(name: str, names: list[str]) -> Diagnostic:
    near = difflib.get_close_matches(name, names, 1)
    known = ", ".join(f"`{each}`" for each in names)
    help_text = f"did you mean `{near[0]}`?" if near else f"the inputs are {known}"
    return error("NMC500", f"array `{name}` is no input of the model", Loc("<inputs>", name), help=help_text)


def _unequal(
    node: Node, shape: tuple[int, ...], other: str, other_shape: tuple[int, ...]
) -> list[Diagnostic]:
    message = (
        f"input `{node.name}` has {shape[0]} steps of {shape[1]} samples, "
        f"and `{other}` has {other_shape[0]} of {other_shape[1]}"
    )
    return [error("NMC501", message, node.loc)]


def _axes(shape: tuple[int, ...]) -> str:
    return "".join(f", {size}" for size in shape)


def _at(index: Array) -> str:
    return "[" + ", ".join(str(int(i)) for i in index) + "]"


def _place(graph: Graph) -> Loc:
    return graph.nodes[0].loc if graph.nodes else Loc("<graph>")


# ---- what users give --------------------------------------------------------------------------------------


def map_inputs(graph: Graph, arrays: Mapping[str, Array], *, file: str = "<arrays>") -> dict[str, Array]:
    """One array (steps, samples, *shape) for each input, from arrays by name as a file holds them.

    Each input takes the array of its name; a graph with one input takes the only array of any name whose
    shape fits. Arrays (steps, *shape) are one sample. Others (labels) are left aside. For graded inputs of an
    integer graph the values are rounded half to even onto the input's number, as `to_mantissas` does; what
    exceeds it is refused when it runs.
    """
    integer = is_integer(graph)
    findings: list[Diagnostic] = []
    mapped: dict[str, Array] = {}
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        array = _named(node, node.op.signal, arrays, alone=len(graph.inputs) == 1)
        if array is None:
            findings.append(_not_in_file(node, node.op.signal, arrays, file))
            continue
        signal = node.op.signal
        if array.ndim == len(signal.shape) + 1:
            array = array[:, None]
        finite = array.dtype.kind in "biuf" and bool(np.isfinite(array).all())
        if integer and signal.number is not None and finite:
            array = to_mantissas(array, signal.number)
        mapped[node.name] = array
    raise_errors(findings)
    return mapped


def spread(array: Array, factor: int) -> Array:
    """Steps of the model as steps of a graph that is stretched by `factor`: each is followed by silence."""
    if factor == 1:
        return array
    slow = np.zeros((len(array) * factor, *array.shape[1:]), array.dtype)
    slow[::factor] = array
    return slow


def to_mantissas(values: Array, number: FixedPoint) -> npt.NDArray[np.int64]:
    """The mantissas nearest to values, halves to even; they may exceed what `number` holds."""
    return np.rint(np.ldexp(values.astype(np.float64), -number.exponent)).astype(np.int64)


def _named(node: Node, signal: Signal, arrays: Mapping[str, Array], *, alone: bool) -> Array | None:
    """The array of an input: by its name, or the only one that fits."""
    if node.name in arrays:
        return arrays[node.name]
    if not alone:
        return None
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    fitting = [array for array in arrays.values() if _fits(array, signal.shape)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(array: Array, shape: tuple[int, ...]) -> bool:
    extra = array.ndim - len(shape)
    return extra in (1, 2) and array.shape[extra:] == shape


def _not_in_file(node: Node, signal: Signal, arrays: Mapping[str, Array], file: str) -> Diagnostic:
    holds = ", ".join(f"`{name}` {array.shape}" for name, array in arrays.items()) or "nothing"
    return error(
        "NMC500",
        f"no array for input `{node.name}`, (steps, samples{_axes(signal.shape)}); the file holds {holds}",
        Loc(file),
        help=f"name the array `{node.name}`",
    )


# ---- what users want --------------------------------------------------------------------------------------


class Decode(Enum):
    """How a class is read from an output (steps, samples, classes); ties go to the lower class."""

    COUNT = "count"
    """The highest sum over all steps: of spikes, their number."""
    LAST = "last"
    """The highest value in the last step."""
    MEMBRANE = "membrane"
    """The highest value that any step has."""
    FIRST_SPIKE = "first-spike"
    """The first to be other than zero; where nothing is, class 0."""


def decode(output: Array, how: Decode) -> npt.NDArray[np.int64]:
    """The predicted class of each sample, from an output (steps, samples, *classes)."""
    classes = output.reshape(*output.shape[:2], -1)
    match how:
        case Decode.COUNT:
            return classes.sum(axis=0, dtype=np.float64 if classes.dtype.kind == "f" else np.int64).argmax(
                axis=1
            )
        case Decode.LAST:
            return classes[-1].argmax(axis=1)
        case Decode.MEMBRANE:
            return classes.max(axis=0).argmax(axis=1)
        case Decode.FIRST_SPIKE:
            steps = classes.shape[0]
            fired = classes != 0
            first = np.where(fired.any(axis=0), fired.argmax(axis=0), steps)
            return first.argmin(axis=1)


def accuracy(predictions: npt.NDArray[np.int64], labels: Array) -> float:
    """The share of samples whose prediction is its label. Raises CompileError if they are not as many."""
    labels = np.asarray(labels).reshape(-1)
    if labels.shape != predictions.shape:
        message = f"there are {labels.shape[0]} labels for {predictions.shape[0]} samples"
        raise CompileError(error("NMC510", message, Loc("<labels>")))
    return float((predictions == labels).mean())
