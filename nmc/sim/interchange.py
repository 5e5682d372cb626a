"""Arrays as the user's file has them, and as a simulation takes and gives them: (steps, samples, *shape)."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.graph import Graph, Layout
from nmc.ir.ops import output_shape
from nmc.sim.trace import Array

_WHOLE = ("time", "samples")


def _factors(layout: Layout) -> list[str]:
    return [factor for axis in layout.axes for factor in axis.split("*")]


def layout_of(graph: Graph, name: str) -> Layout | None:
    """The layout of an input, an output or a state; None if it is (steps, samples, *shape)."""
    return next((layout for layout in graph.layouts if layout.name == name), None)


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
    return turned.reshape(*lead, *shape)


def from_steps(layout: Layout, array: Array) -> Array:
    """(steps, samples, *shape) as the file has it."""
    if layout.last:
        array = array[-1:]
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
