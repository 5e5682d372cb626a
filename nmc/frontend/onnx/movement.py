"""Operators that move elements: what they do to constants, and to time, samples and features of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from nmc.frontend.onnx.fold import checked_size, integers
from nmc.frontend.onnx.read import NodeIn
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.values import BATCH, TIME, Axis, Space, Traced, Value
from nmc.ir.tensor import Array

Args = Sequence[Traced | None]
Handler = Callable[[Space, NodeIn, Args], list[Traced]]


def data(args: Args, place: int = 0) -> Value | Array:
    """An argument that must be there."""
    arg = args[place] if place < len(args) else None
    if arg is None:
        raise Refusal("NMC061", f"argument {place} is missing")
    if not isinstance(arg, Value | np.ndarray):
        raise Refusal(
            "NMC056",
            f"the random values of `{arg.op}` take part in the computation",
            help="export in evaluation mode, without noise or dropout",
        )
    return arg


def known(args: Args, place: int, what: str) -> Array:
    """A constant argument."""
    arg = data(args, place)
    if isinstance(arg, Value):
        raise Refusal(
            "NMC055",
            f"{what} depends on the input's values",
            help="export with fixed shapes, or simplify the model so that shapes are constants",
        )
    return arg


def optional(args: Args, place: int, what: str) -> Array | None:
    """A constant argument that may be left out."""
    return known(args, place, what) if place < len(args) and args[place] is not None else None


def position(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise Refusal("NMC061", f"axis {axis} of a value of rank {rank}")
    return axis % rank if rank else 0


def shape_of(space: Space, value: Value | Array) -> tuple[int, ...]:
    """The shape that the file sees."""
    return space.dims(value) if isinstance(value, Value) else value.shape


def select(space: Space, value: Value | Array, axis: int, chosen: Array) -> Value | Array:
    """Positions along an axis."""
    return space.select(value, axis, chosen) if isinstance(value, Value) else value.take(chosen, axis)


def reshape(space: Space, value: Value | Array, dims: Sequence[int]) -> Value | Array:
    """Another shape in C order."""
    if prod(dims) != prod(shape_of(space, value)):
        raise Refusal("NMC061", f"a reshape from {list(shape_of(space, value))} to {list(dims)}")
    return space.reshape(value, dims) if isinstance(value, Value) else value.reshape(dims)


def _reshape(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    given = optional(args, 1, "a shape")
    wanted = integers(given if given is not None else np.asarray(node.attrs.get("shape", ())))
    shape = shape_of(space, value)
    if not node.attrs.get("allowzero", 0):
        wanted = [shape[k] if dim == 0 and k < len(shape) else dim for k, dim in enumerate(wanted)]
    if wanted.count(-1) > 1 or any(dim < -1 for dim in wanted):
        raise Refusal("NMC061", f"a reshape to {wanted}")
    if -1 in wanted:
        rest = prod(dim for dim in wanted if dim != -1)
        wanted[wanted.index(-1)] = prod(shape) // rest if rest else 0
    return [reshape(space, value, wanted)]


def _flatten(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    shape = shape_of(space, value)
    axis = int(node.attrs.get("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    return [reshape(space, value, [prod(shape[:axis]), prod(shape[axis:])])]


def _axes(node: NodeIn, args: Args) -> list[int] | None:
    given = optional(args, 1, "an axis")
    if given is not None:
        return integers(given)
    listed = node.attrs.get("axes")
    return None if listed is None else [int(axis) for axis in listed]


def _squeeze(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    shape = shape_of(space, value)
    axes = _axes(node, args)
    places = (
        [k for k, size in enumerate(shape) if size == 1]
        if axes is None
        else sorted({position(axis, len(shape)) for axis in axes})
    )
    for place in reversed(places):
        if shape[place] != 1:
            raise Refusal("NMC061", f"axis {place} of size {shape[place]} cannot be squeezed")
        value = space.without(value, place) if isinstance(value, Value) else np.squeeze(value, place)
    return [value]


def _unsqueeze(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    axes = _axes(node, args) or []
    rank = len(shape_of(space, value)) + len(axes)
    for place in sorted({position(axis, rank) for axis in axes}):
        value = space.with_axis(value, place) if isinstance(value, Value) else np.expand_dims(value, place)
    return [value]


def _transpose(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    rank = len(shape_of(space, value))
    perm = [int(axis) for axis in node.attrs.get("perm", range(rank - 1, -1, -1))]
    if sorted(perm) != list(range(rank)):
        raise Refusal("NMC061", f"a permutation {perm} of {rank} axes")
    return [space.transpose(value, perm) if isinstance(value, Value) else value.transpose(perm)]


def _gather(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value, index = data(args), known(args, 1, "an index")
    shape = shape_of(space, value)
    axis = position(int(node.attrs.get("axis", 0)), len(shape))
    index = np.where(index < 0, index + shape[axis], index).astype(np.int64)
    if index.size and (int(index.min()) < 0 or int(index.max()) >= shape[axis]):
        raise Refusal("NMC061", f"position {int(index.max())} of an axis of size {shape[axis]}")
    if not isinstance(value, Value):
        return [value.take(index, axis)]
    chosen = space.select(value, axis, index.ravel())
    if index.ndim == 0:
        return [space.without(chosen, axis)]
    if index.ndim == 1:
        return [chosen]
    return [space.reshape(chosen, [*shape[:axis], *index.shape, *shape[axis + 1 :]])]


def _slice(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    shape = shape_of(space, value)
    given = [optional(args, place, "a slice") for place in range(1, 5)]
    starts = integers(given[0]) if given[0] is not None else list(node.attrs.get("starts", ()))
    ends = integers(given[1]) if given[1] is not None else list(node.attrs.get("ends", ()))
    axes = integers(given[2]) if given[2] is not None else list(node.attrs.get("axes", range(len(starts))))
    steps = integers(given[3]) if given[3] is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise Refusal("NMC061", "a slice whose starts, ends, axes and steps do not match")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = position(axis, len(shape))
        size = shape_of(space, value)[place]
        stop: int | None = end
        if step < 0 and end < -size:
            stop = None
        value = select(space, value, place, np.arange(size)[slice(start, stop, step)])
    return [value]


def _split(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    shape = shape_of(space, value)
    axis = position(int(node.attrs.get("axis", 0)), len(shape))
    given = optional(args, 1, "a split")
    if given is not None:
        sizes = integers(given)
    elif "split" in node.attrs:
        sizes = [int(size) for size in node.attrs["split"]]
    else:
        count = int(node.attrs.get("num_outputs", len(node.outputs)))
        chunk = -(-shape[axis] // max(count, 1))
        sizes = [min(chunk, shape[axis] - chunk * k) for k in range(count)]
    if sum(sizes) != shape[axis] or any(size < 0 for size in sizes):
        raise Refusal("NMC061", f"a split of an axis of size {shape[axis]} into {sizes}")
    ends = np.cumsum(sizes)
    return [
        select(space, value, axis, np.arange(end - size, end)) for size, end in zip(sizes, ends, strict=True)
    ]


def _concat(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    parts = [data(args, place) for place in range(len(args))]
    axis = position(int(node.attrs.get("axis", 0)), len(shape_of(space, parts[0])))
    return [join(space, parts, axis)]


def join(space: Space, parts: Sequence[Value | Array], axis: int) -> Value | Array:
    """Values one after the other along an axis: steps of time, or features."""
    if not any(isinstance(part, Value) for part in parts):
        return np.concatenate([part for part in parts if not isinstance(part, Value)], axis)
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    if (
        isinstance(first, Value)
        and shape_of(space, first)[axis] == 1
        and all(part == first for part in parts)
    ):
        repeated = space.repeated(first, axis, len(parts))
        if repeated is not None:
            return repeated
    timed = _joined_in_time(space, parts, axis)
    if timed is not None:
        return timed
    values = [part for part in parts if isinstance(part, Value)]
    rank = len(values[0].axes)
    axes: list[Axis] = []
    for k in range(rank):
        if k == axis:
            if any(TIME in value.axes[k] or (BATCH in value.axes[k] and space.batch > 1) for value in values):
                raise Refusal("NMC060", "values are joined along the axis of samples or time")
            axes.append((sum(shape_of(space, part)[k] for part in parts),))
        else:
            axes.append(max((value.axes[k] for value in values), key=len))
    steps = max(len(value.tiles) for value in values)
    tables: list[Array] = []
    columns: list[list[int]] = []
    start = 0
    for part in parts:
        own = [*axes]
        width = shape_of(space, part)[axis]
        own[axis] = (width,) if width != 1 else ()
        sizes = [prod(token for token in each if isinstance(token, int)) for each in own]
        squeezed = [size for size in sizes if size != 1]
        column = space.aligned(part, own) if isinstance(part, Value) else space.constant(part, own, steps)
        columns.append([space.tiles.filled(tile, squeezed) for tile in column])
        tables.append(np.arange(start, start + prod(sizes)).reshape(sizes))
        start += prod(sizes)
    index = np.concatenate(tables, axis)
    index = index.reshape([size for size in index.shape if size != 1])
    tiles = [
        space.tiles.gather([column[t] if len(column) > 1 else column[0] for column in columns], index)
        for t in range(steps)
    ]
    return space.make(axes, tiles, values[0].kind)


def _joined_in_time(space: Space, parts: Sequence[Value | Array], axis: int) -> Value | None:
    if not space.sequence:
        return None
    values = [part for part in parts if isinstance(part, Value)]
    folded = False
    for value in values:
        tokens = value.axes[axis]
        if any(TIME in each for k, each in enumerate(value.axes) if k != axis):
            return None
        if any(isinstance(token, int) for token in tokens) or tokens == (BATCH, TIME):
            return None
        folded = folded or (BATCH in tokens and space.batch > 1)
    last = [space.tiles.time_of(value.tiles) for value in values]
    growing = all(a < b for a, b in pairwise(last))
    each_step = len(parts) == len(values) == space.held
    if not growing and not each_step and not any(value.timed for value in values):
        return None
    rest = list(max((value.axes for value in values), key=lambda axes: sum(map(len, axes))))
    rest[axis] = (BATCH,) if folded else ()
    tiles: list[int] = []
    for part in parts:
        if isinstance(part, Value):
            tiles += space.aligned(Value(part.axes, part.tiles), [*rest[:axis], (), *rest[axis + 1 :]])
            continue
        unit = space.batch if folded else 1
        for start in range(0, part.shape[axis], unit):
            tiles += space.constant(part.take(range(start, start + unit), axis), rest, 1)
    rest[axis] = (TIME, BATCH) if folded else (TIME,)
    return space.make(rest, tiles, values[0].kind)


def _expand(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    wanted = integers(known(args, 1, "a shape"))
    shape = shape_of(space, value)
    rank = max(len(shape), len(wanted))
    shape = (1,) * (rank - len(shape)) + tuple(shape)
    wanted = [1] * (rank - len(wanted)) + wanted
    if any(a != b and 1 not in (a, b) for a, b in zip(shape, wanted, strict=True)):
        raise Refusal("NMC061", f"an expansion of {list(shape)} to {wanted}")
    target = checked_size([max(a, b) if 0 not in (a, b) else 0 for a, b in zip(shape, wanted, strict=True)])
    if not isinstance(value, Value):
        return [np.broadcast_to(value, target)]
    axes: list[Axis] = [*((),) * (rank - len(value.axes)), *value.axes]
    for k, (own, new) in enumerate(zip(shape, target, strict=True)):
        if own != new:
            samples = new == space.batch and not any(BATCH in axis for axis in axes)
            timed = None if samples else space.repeated(Value(tuple(axes), value.tiles, value.kind), k, new)
            axes[k] = (BATCH,) if samples else (TIME,) if timed is not None else (*axes[k], new)
    column = space.aligned(value, axes)
    if not value.timed and any(TIME in axis for axis in axes):
        column = column * space.held
    return [space.make(axes, column, value.kind)]


def _tile(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    repeats = integers(known(args, 1, "a number of repeats"))
    shape = shape_of(space, value)
    checked_size([a * b for a, b in zip(shape, repeats, strict=False)])
    if not isinstance(value, Value):
        return [np.tile(value, repeats)]
    result = value
    for axis, count in enumerate(repeats):
        timed = space.repeated(result, axis, count) if count != 1 and shape[axis] == 1 else None
        if timed is not None:
            result = timed
        elif count != 1:
            result = space.select(result, axis, np.tile(np.arange(shape[axis]), count))
    return [result]


def _pad(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    value = data(args)
    shape = shape_of(space, value)
    rank = len(shape)
    given = optional(args, 1, "a padding")
    pads = integers(given) if given is not None else [int(pad) for pad in node.attrs.get("pads", ())]
    fill = optional(args, 2, "a padding value")
    number = float(np.ravel(fill)[0]) if fill is not None else float(node.attrs.get("value", 0.0))
    listed = optional(args, 3, "an axis")
    axes = range(rank) if listed is None else [position(axis, rank) for axis in integers(listed)]
    before, after = [0] * rank, [0] * rank
    if len(pads) != 2 * len(axes):
        raise Refusal("NMC061", f"{len(pads)} paddings for {len(axes)} axes")
    for k, axis in enumerate(axes):
        before[axis], after[axis] = pads[k], pads[k + len(axes)]
    checked_size([size + abs(a) + abs(b) for size, a, b in zip(shape, before, after, strict=True)])
    mode = node.attrs.get("mode", "constant")
    for axis in range(rank):
        if before[axis] or after[axis]:
            widths = (before[axis], after[axis])
            value = _padded(space, value, axis, widths=widths, number=number, mode=str(mode))
    return [value]


def _padded(
    space: Space, value: Value | Array, axis: int, *, widths: tuple[int, int], number: float, mode: str
) -> Value | Array:
    before, after = widths
    size = shape_of(space, value)[axis]
    if before < 0 or after < 0:
        chosen = np.arange(max(0, -before), size + min(0, after))
        value = select(space, value, axis, chosen)
        before, after = max(before, 0), max(after, 0)
        size = len(chosen)
    if mode in {"edge", "reflect", "wrap"}:
        # Any: numpy's types know modes as literals only.
        kind: Any = mode
        return select(space, value, axis, np.pad(np.arange(size), (before, after), mode=kind))
    if not isinstance(value, Value):
        everywhere = [(before, after) if k == axis else (0, 0) for k in range(value.ndim)]
        return np.pad(value, everywhere, constant_values=number)
    if TIME in value.axes[axis]:
        border = space.tiles.const(np.full((), number, np.float32))
        return space.make(value.axes, [border] * before + list(value.tiles) + [border] * after, value.kind)
    shape = list(space.dims(value))
    parts: list[Value | Array] = []
    for width in (before, after):
        parts.append(np.full([width if k == axis else 1 for k in range(len(shape))], number, np.float32))
    joined = [part for part in (parts[0], value, parts[1]) if shape_of(space, part)[axis] > 0]
    quiet = Space(space.tiles, space.batch, sequence=False)
    return join(quiet, joined, axis)


def write(
    space: Space, into: Value | Array, axis: int, places: Sequence[int], parts: Value | Array
) -> Value | Array:
    """`into` with the steps or features at `places` along an axis replaced by those of `parts`."""
    size = shape_of(space, into)[axis]
    chosen = [range(size)[place] for place in places if -size <= place < size]
    if len(chosen) != len(places):
        raise Refusal("NMC061", f"a write outside an axis of size {size}")
    slots: list[Value | Array] = (
        [select(space, into, axis, np.array([k])) for k in range(size)] if size else []
    )
    for k, place in enumerate(chosen):
        slots[place] = select(space, parts, axis, np.array([k]))
    values = [slot for slot in slots if isinstance(slot, Value)]
    if not values:
        return np.concatenate([slot for slot in slots if not isinstance(slot, Value)], axis)
    if not space.sequence or any(TIME in each for k, each in enumerate(values[0].axes) if k != axis):
        return join(space, slots, axis)
    axes = list(values[0].axes)
    axes[axis] = ()
    tiles: list[int] = []
    for slot in slots:
        tiles += slot.tiles if isinstance(slot, Value) else space.constant(slot, axes, 1)
    axes[axis] = (TIME,)
    return space.make(axes, tiles, values[0].kind)


def _scatter_nd(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    into, index, parts = data(args), known(args, 1, "an index"), data(args, 2)
    if node.attrs.get("reduction", "none") != "none" or index.ndim < 1 or index.shape[-1] != 1:
        raise Refusal("NMC054", "ScatterND is read where it writes whole steps")
    flat = integers(index)
    shape = shape_of(space, into)
    return [write(space, into, 0, flat, reshape(space, parts, [len(flat), *shape[1:]]))]


def _scatter_elements(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    into, index, parts = data(args), known(args, 1, "an index"), data(args, 2)
    shape = shape_of(space, into)
    axis = position(int(node.attrs.get("axis", 0)), len(shape))
    lines = np.moveaxis(index, axis, 0).reshape(index.shape[axis], -1)
    whole = all(index.shape[k] == size for k, size in enumerate(shape) if k != axis)
    if node.attrs.get("reduction", "none") != "none" or not whole or not bool((lines == lines[:, :1]).all()):
        raise Refusal("NMC054", f"{node.op} is read where it writes whole steps")
    return [write(space, into, axis, integers(lines[:, 0]), parts)]


def _shape(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    arg = args[0] if args else None
    shape = arg.shape if arg is not None and not isinstance(arg, Value) else shape_of(space, data(args))
    start, end = int(node.attrs.get("start", 0)), node.attrs.get("end")
    return [np.array(shape[start : None if end is None else int(end)], np.int64)]


def _size(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    return [np.array(prod(shape_of(space, data(args))), np.int64)]


def _identity(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    arg = args[0] if args else None
    return [data(args) if arg is None else arg]


def _constant(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    attrs = node.attrs
    for name, kind in (
        ("value_float", np.float32),
        ("value_int", np.int64),
        ("value_floats", np.float32),
        ("value_ints", np.int64),
    ):
        if name in attrs:
            return [np.asarray(attrs[name], kind)]
    value = attrs.get("value", attrs.get("sparse_value"))
    if not isinstance(value, np.ndarray):
        raise Refusal("NMC061", "a constant without a value")
    return [value]


HANDLERS: Mapping[str, Handler] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "ScatterND": _scatter_nd,
    "ScatterElements": _scatter_elements,
    "Scatter": _scatter_elements,
    "Shape": _shape,
    "Size": _size,
    "Identity": _identity,
    "Constant": _constant,
}
