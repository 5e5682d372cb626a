"""Parameters and shapes of tiles, which have no axes of size one, as a graph has them, which may have some."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from math import prod

import numpy as np

from nmc.frontend.onnx.lift import Lifted
from nmc.frontend.onnx.tiles import Tiles
from nmc.frontend.onnx.values import BATCH, TIME, Axis
from nmc.ir.neuron import Comparison, Reset, ResetWhen
from nmc.ir.ops import Neuron, Shape
from nmc.ir.program import Program
from nmc.ir.tensor import Array, Tensor


def features(axes: Sequence[Axis]) -> Shape:
    """The shape of one sample at one step, as the file has it."""
    shape = tuple(
        prod(token for token in axis if isinstance(token, int))
        for axis in axes
        if not (axis and all(token in {TIME, BATCH} for token in axis))
    )
    return shape or (1,)


def axis_names(axes: Sequence[Axis]) -> tuple[str, ...]:
    """Axes as a layout names them."""
    names = {TIME: "time", BATCH: "samples"}
    return tuple("*".join(names.get(str(token), str(token)) for token in axis) or "1" for axis in axes)


def ports_of(tiles: Tiles, inputs: Sequence[int]) -> list[str]:
    """A name for each tile that enters a program: `x`, or what it is called."""
    if len(inputs) == 1:
        return ["x"]
    names: list[str] = []
    for tile in inputs:
        stem = re.sub(r"\W+", "_", tiles.names[tile]).strip("_") or "x"
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names.append(name)
    return names


def real(array: Array, shape: Shape) -> Tensor:
    """A parameter that broadcasts to a population's shape."""
    array = np.asarray(array, np.float32 if array.dtype != np.float64 else np.float64)
    if array.ndim == 0 or array.size == 1:
        return Tensor(array.reshape(()))
    return Tensor(fitted(array, shape))


def fitted(array: Array, shape: Shape) -> Array:
    """An array over axes without size one, for a shape with such axes."""
    if array.ndim == len(shape):
        return array
    target: list[int] = []
    sizes = list(array.shape)
    for size in shape:
        target.append(1 if size == 1 else sizes.pop(0))
    return array.reshape(target)


def factor_of(factor: Array, tile_shape: Shape, shape: Shape) -> Tensor:
    """A factor of a tile as a parameter of a population of a shape."""
    if factor.ndim == 0:
        return real(factor, shape)
    full = np.broadcast_to(factor, tile_shape)
    return Tensor(np.ascontiguousarray(full.reshape(shape)).astype(np.float32))


def program_in(program: Program, shape: Shape) -> Program:
    """A program whose constants broadcast to a shape."""
    constants = tuple(
        Tensor(fitted(each.data, shape)) if each.size > 1 else Tensor(each.data.reshape(()))
        for each in program.constants
    )
    return Program(program.inputs, program.states, constants, program.code, program.output, program.next)


def reshaped(neuron: Neuron, old: Shape, shape: Shape) -> Neuron:
    """A neuron over axes without size one, for a shape with such axes."""
    if old == shape:
        return neuron

    def walk(part: object) -> object:
        if isinstance(part, Tensor):
            return part if part.size == 1 else Tensor(fitted(part.data, shape), part.number)
        if is_dataclass(part) and not isinstance(part, type):
            changes = {each.name: walk(getattr(part, each.name)) for each in fields(part)}
            return replace(part, **changes)
        return part

    changed = walk(neuron)
    assert isinstance(changed, Neuron)
    return replace(changed, shape=shape)


def same_step(lifted: Lifted) -> Lifted:
    """A reset that waits for the next step and comes before its leak is the reset of the same step."""
    neuron = lifted.neuron
    fire = neuron.fire
    if fire is None or fire.when is not ResetWhen.NEXT_BEFORE_LEAK or neuron.membrane.minimum is not None:
        return lifted
    start = neuron.membrane.initial.values
    theta = fire.threshold.values
    past = start > theta if fire.comparison is Comparison.ABOVE else start >= theta
    value = fire.value.values if fire.reset is Reset.TO_VALUE else start - theta
    if fire.reset is Reset.MULTI_SPIKE:
        return lifted
    begun = np.where(past, value, start).astype(np.float32)
    membrane = replace(neuron.membrane, initial=Tensor(begun))
    changed = replace(neuron, membrane=membrane, fire=replace(fire, when=ResetWhen.SAME_STEP))
    return replace(lifted, neuron=changed)
