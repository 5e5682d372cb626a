"""Arrays as the user's file has them, and as a simulation takes and gives them: (steps, samples, *shape)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from nmc.diagnostics import CompileError, Diagnostic, Loc, error, raise_errors
from nmc.ir.graph import Graph, Layout, OverTime
from nmc.ir.ops import Elementwise, Neuron, Op, output_shape
from nmc.ir.tensor import Tensor
from nmc.sim.trace import Array

_WHOLE = ("time", "samples")


def _factors(layout: Layout) -> list[str]:
    return [factor for axis in layout.axes for factor in axis.split("*")]


def layout_of(graph: Graph, name: str) -> Layout | None:
    """The layout of an input, an output or a state; None if it is (steps, samples, *shape)."""
    return next((layout for layout in graph.layouts if layout.name == name), None)


def follows_file(graph: Graph) -> bool:
    """Whether a file's arrays are those of a whole run: it has time inside its tensors, or it has no time at all.

    A file that is one step, with states, is run on arrays (steps, samples, *shape).
    """
    inputs = [layout for node in graph.inputs if (layout := layout_of(graph, node.name)) is not None]
    timed = any("time" in _factors(layout) for layout in inputs)
    return bool(inputs) and (timed or not any(layout.variable for layout in graph.layouts))


def is_folded(layout: Layout) -> bool:
    """Whether steps and samples are one axis, which only the number of steps takes apart."""
    return any(set(_WHOLE) <= set(axis.split("*")) for axis in layout.axes)


def to_steps(layout: Layout, array: Array, shape: tuple[int, ...], steps: int) -> Array:
    """The file's array as (steps, samples, *shape); `steps` are those folded with samples into one axis.

    Raises CompileError if the array does not have the layout.
    """
    sizes: list[int] = []
    order: dict[str, int] = {}
    if array.ndim != len(layout.axes):
        raise _unfit(layout, array)
    for axis, size in zip(layout.axes, array.shape, strict=True):
        parts = axis.split("*")
        known = prod(int(part) for part in parts if part not in _WHOLE)
        unknown = [part for part in parts if part in _WHOLE]
        rest = size // known if known else 0
        if known * rest != size or (len(unknown) == 2 and rest % steps) or (not unknown and rest != 1):
            raise _unfit(layout, array)
        for part in parts:
            if part in _WHOLE:
                order[part] = len(sizes)
                alone = len(unknown) == 1
                sizes.append(rest if alone else steps if part == "time" else rest // steps)
            else:
                sizes.append(int(part))
    split = array.reshape(sizes)
    front = [order[part] for part in _WHOLE if part in order]
    turned = split.transpose([*front, *(k for k in range(split.ndim) if k not in front)])
    lead = [split.shape[order[part]] if part in order else 1 for part in _WHOLE]
    whole = turned.reshape(*lead, *shape)
    return np.repeat(whole, layout.held, axis=0) if layout.held else whole


_REDUCTIONS: Mapping[OverTime, Callable[[Array], Array]] = {
    OverTime.LAST: lambda array: array[-1:],
    OverTime.SUM: lambda array: array.sum(axis=0, keepdims=True),
    OverTime.MEAN: lambda array: array.mean(axis=0, keepdims=True),
    OverTime.MAX: lambda array: array.max(axis=0, keepdims=True),
    OverTime.MIN: lambda array: array.min(axis=0, keepdims=True),
}


def over_time(layout: Layout, array: Array) -> Array:
    """What the file gives of (steps, samples, *shape): all of it, or one value for all steps, which is kept an axis."""
    return array if layout.over_time is OverTime.EVERY else _REDUCTIONS[layout.over_time](array)


def from_steps(layout: Layout, array: Array) -> Array:
    """(steps, samples, *shape) as the file has it."""
    array = over_time(layout, array)
    factors = _factors(layout)
    features = [int(factor) for factor in factors if factor not in _WHOLE]
    split = array.reshape(array.shape[0], array.shape[1], *features)
    source = {"time": 0, "samples": 1}
    places: list[int] = []
    following = 2
    for factor in factors:
        if factor in _WHOLE:
            places.append(source[factor])
        else:
            places.append(following)
            following += 1
    absent = [k for k in (0, 1) if k not in places]
    turned = split.transpose([*absent, *places])
    if any(split.shape[k] != 1 for k in absent):
        return turned  # more samples or steps than the file has axes for: they come first
    sizes = iter(turned.shape[len(absent) :])
    return turned.reshape([prod(next(sizes) for _ in axis.split("*")) for axis in layout.axes])


def inputs_to_steps(graph: Graph, arrays: Mapping[str, Array], steps: int = 1) -> dict[str, Array]:
    """The arrays of a file's inputs as a simulation takes them; others are left out."""
    found: dict[str, Array] = {}
    for node in graph.inputs:
        if node.name not in arrays:
            continue
        layout = layout_of(graph, node.name)
        array = np.asarray(arrays[node.name])
        found[node.name] = array if layout is None else to_steps(layout, array, output_shape(node.op), steps)
    return found


def held(layout: Layout, array: Array) -> Array:
    """A state of the file, (steps, samples, *shape), from what was recorded of its variable.

    They are one thing, but for a state that holds several steps: then each slot is the value of so many steps
    before, zero before the first.
    """
    if layout.slots is None:
        return array
    sizes = [int(axis) for axis in layout.axes if axis.isdecimal()]
    one = [size for axis, size in enumerate(sizes) if axis != layout.slots.axis]
    steps, samples = array.shape[:2]
    now = array.reshape(steps, samples, *one)
    slots = [
        np.concatenate([np.zeros_like(now[:age]), now[: max(steps - age, 0)]]) for age in layout.slots.ages
    ]
    return np.stack(slots, axis=2 + layout.slots.axis)


def with_initial(graph: Graph, arrays: Mapping[str, Array]) -> Graph:
    """The graph of a step model whose states begin with the arrays of the inputs that hold them.

    Raises CompileError for a state that differs between samples, does not fit, or begins with zero in any case.
    """
    new: dict[str, Op] = {}
    findings: list[Diagnostic] = []
    for layout in graph.layouts:
        if not layout.variable or layout.initial not in arrays:
            continue
        array = np.asarray(arrays[layout.initial])
        name, _, variable = layout.variable.rpartition(".")
        op = new.get(name, graph[name].op)
        shape = output_shape(op)
        each = array.reshape(-1, *shape) if array.size and array.size % prod(shape) == 0 else None
        if array.size == 1:
            each = np.broadcast_to(array.reshape(()), (1, *shape))
        if each is None or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            findings.append(
                _unusable(layout, f"takes finite numbers of shape {shape}, and the array is {array.shape}")
            )
        elif (each != each[0]).any():
            findings.append(_unusable(layout, "differs between samples", help="run the samples one by one"))
        elif (changed := _begun(op, variable, Tensor(each[0].astype(np.float64)))) is not None:
            new[name] = changed
        elif each.any():
            findings.append(_unusable(layout, "is an output fed back, which is zero before the first step"))
    raise_errors(findings)
    return graph.replace_nodes(new)


def _begun(op: Op, variable: str, initial: Tensor) -> Op | None:
    """The population with a state that begins with `initial`; None if it has no such state."""
    match op:
        case Neuron() if variable == "v":
            return replace(op, membrane=replace(op.membrane, initial=initial))
        case Neuron(synapse=synapse) if variable == "i" and synapse is not None:
            return replace(op, synapse=replace(synapse, initial=initial))
        case Elementwise() if variable in op.program.states:
            place = op.program.states.index(variable)
            return replace(op, initial=(*op.initial[:place], initial, *op.initial[place + 1 :]))
        case _:
            return None


def _unusable(layout: Layout, why: str, *, help: str = "") -> Diagnostic:  # noqa: A002 - its name there
    message = f"the initial value `{layout.initial}` {why}"
    return error("NMC511", message, Loc("<inputs>", layout.initial), help=help)


def _unfit(layout: Layout, array: Array) -> CompileError:
    axes = ", ".join(layout.axes)
    return CompileError(
        error(
            "NMC501",
            f"input `{layout.name}` has the axes ({axes}) in the file, and the array is {array.shape}",
            Loc("<inputs>", layout.name),
            help="give the array as the file takes it",
        )
    )
