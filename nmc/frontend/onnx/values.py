"""What a value of the file is while it is traced: tiles, and which of its axes are time, samples and features."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.tiles import Tiles, compressed
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array

TIME = "T"
BATCH = "B"
Token = int | str
Axis = tuple[Token, ...]
"""The factors of an axis in C order: time, samples, or a number of features; none: the axis has size one."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor that depends on an input: one tile for each step of its time factor, or one if it has none."""

    axes: tuple[Axis, ...]
    tiles: tuple[int, ...]
    kind: str = "f"

    @property
    def timed(self) -> bool:
        """Whether one of the axes has time in it."""
        return any(TIME in axis for axis in self.axes)


@dataclass(frozen=True, slots=True)
class Noise:
    """The output of a random operator; only a product with zero makes a value of it."""

    shape: tuple[int, ...]
    op: str


Traced = Value | Array | Noise


class Space:
    """Axes and tiles together: how values broadcast, move and change shape."""

    def __init__(self, tiles: Tiles, batch: int, *, sequence: bool, held: int = 0) -> None:
        self.tiles = tiles
        self.batch = batch
        self.sequence = sequence
        self.held = held
        """A value without time that is repeated so often gets it by that."""
        self.repeats: set[int] = set()
        """How often values without time are repeated along an axis of their own."""

    def size(self, axis: Axis, steps: int) -> int:
        """The size of an axis."""
        return prod(
            steps if token == TIME else self.batch if token == BATCH else int(token) for token in axis
        )

    def dims(self, value: Value) -> tuple[int, ...]:
        """The shape that the file sees."""
        return tuple(self.size(axis, len(value.tiles)) for axis in value.axes)

    def make(self, axes: Sequence[Axis], tiles: Sequence[int], kind: str = "f") -> Value:
        """A value; time of one step is no time."""
        if len(tiles) == 1:
            axes = [tuple(token for token in axis if token != TIME) for axis in axes]
        return Value(tuple(axes), tuple(tiles), kind)

    def constant(self, array: Array, axes: Sequence[Axis], steps: int) -> list[int]:
        """A constant as tiles beside a value with those axes: one a step if it varies in time, else one."""
        if array.ndim > len(axes):
            raise Refusal(
                "NMC061", f"a constant of shape {list(array.shape)} meets a value of rank {len(axes)}"
            )
        array = array.reshape((1,) * (len(axes) - array.ndim) + array.shape)
        shape: list[int] = []
        kept: list[int] = []
        time: int | None = None
        samples: list[int] = []
        for axis, given in zip(axes, array.shape, strict=True):
            size = self.size(axis, steps)
            if given not in {1, size}:
                raise Refusal(
                    "NMC061", f"a constant of shape {list(array.shape)} does not fit an axis of size {size}"
                )
            for token in axis:
                if token == TIME:
                    time = len(shape)
                elif token == BATCH:
                    samples.append(len(shape))
                else:
                    kept.append(len(shape))
                shape.append(1 if given == 1 else self.size((token,), steps))
            if not axis and given != 1:
                raise Refusal("NMC061", "a constant varies along an axis of size one")
        array = array.reshape(shape)
        for place in samples:
            first = array.take([0], place)
            if not np.array_equal(array, np.broadcast_to(first, array.shape)):
                raise Refusal(
                    "NMC060",
                    "a constant differs from sample to sample",
                    help="export with a batch of one, or with the same initial state for each sample",
                )
            array = first
        if time is None or array.shape[time] == 1:
            return [self.tiles.const(compressed(array.reshape([array.shape[k] for k in kept])))]
        parts = [array.take(t, time) for t in range(steps)]
        left = [array.shape[k] for k in kept]
        return [self.tiles.const(compressed(part.reshape(left))) for part in parts]

    def broadcast(self, values: Sequence[Value]) -> tuple[Axis, ...]:
        """The axes of an operation on each element of several values."""
        rank = max(len(value.axes) for value in values)
        padded = [((),) * (rank - len(value.axes)) + value.axes for value in values]
        result: list[Axis] = []
        for choices in zip(*padded, strict=True):
            tokens: Axis = ()
            for axis in choices:
                if self._bare(axis) == () and len(axis) <= len(tokens):
                    continue
                if self._bare(tokens) not in {(), self._bare(axis)}:
                    raise Refusal(
                        "NMC060",
                        f"an axis of {_words(tokens)} meets an axis of {_words(axis)}",
                        help="time and samples must keep their own axes",
                    )
                tokens = axis if len(axis) >= len(tokens) else tokens
            result.append(tokens)
        flat = [token for axis in result for token in axis]
        if flat.count(TIME) > 1 or flat.count(BATCH) > 1:
            raise Refusal("NMC060", "time or samples meet themselves in an outer product")
        return tuple(result)

    def _bare(self, axis: Axis) -> Axis:
        return axis if self.batch != 1 else tuple(token for token in axis if token != BATCH)

    def elementwise(self, op: Scalar, args: Sequence[Value | Array], kind: str = "f") -> Value:
        """A scalar operation on each element, with broadcasting."""
        values = [arg for arg in args if isinstance(arg, Value)]
        axes = self.broadcast(values)
        arrays = [arg for arg in args if not isinstance(arg, Value)]
        wider = max((array.ndim for array in arrays), default=0)
        axes = ((),) * (wider - len(axes)) + axes
        axes = self._widened(axes, arrays)
        lengths = {len(value.tiles) for value in values if value.timed}
        if len(lengths) > 1:
            raise Refusal("NMC060", f"sequences of {' and '.join(map(str, sorted(lengths)))} steps meet")
        steps = lengths.pop() if lengths else 1
        columns = [
            self.aligned(arg, axes) if isinstance(arg, Value) else self.constant(arg, axes, steps)
            for arg in args
        ]
        tiles = [
            self.tiles.scalar(op, [column[t] if len(column) > 1 else column[0] for column in columns])
            for t in range(steps)
        ]
        return self.make(axes, tiles, kind)

    def _widened(self, axes: tuple[Axis, ...], arrays: Sequence[Array]) -> tuple[Axis, ...]:
        """Axes of size one along which a constant varies become features."""
        result = list(axes)
        for array in arrays:
            for offset in range(1, array.ndim + 1):
                size = array.shape[-offset]
                if size > 1 and self._bare(result[-offset]) == ():
                    if size == self.batch and not any(BATCH in axis for axis in axes):
                        result[-offset] = (BATCH,)
                    else:
                        result[-offset] = (*result[-offset], size)
        return tuple(result)

    def aligned(self, value: Value, axes: Sequence[Axis]) -> list[int]:
        """The tiles of a value with features repeated along the axes that it lacks."""
        own = ((),) * (len(axes) - len(value.axes)) + value.axes
        wanted = [prod(_features(axis)) for axis in axes]
        present = [prod(_features(axis)) for axis in own]
        if wanted == present:
            return list(value.tiles)
        index = np.broadcast_to(np.arange(prod(present)).reshape(present), wanted)
        squeezed = index.reshape([size for size in wanted if size != 1])
        return [self._moved(tile, squeezed) for tile in value.tiles]

    def _moved(self, tile: int, index: Array) -> int:
        array = self.tiles.value(tile)
        if array is not None and array.ndim == 0:
            return tile
        return self.tiles.gather([tile], index)

    # ---- movement ---------------------------------------------------------------------------------------------

    def shape_of_features(self, value: Value) -> tuple[int, ...]:
        """The size of each axis without time and samples."""
        return tuple(prod(_features(axis)) for axis in value.axes)

    def filled(self, value: Value) -> list[int]:
        """The tiles; constants among them with their full shape."""
        shape = [size for size in self.shape_of_features(value) if size != 1]
        return [self.tiles.filled(tile, shape) for tile in value.tiles]

    def moved(self, value: Value, change: Callable[[Array], Array], axes: Sequence[Axis]) -> Value:
        """A value whose features `change` rearranges, given as indices with time and samples of size one."""
        shape = self.shape_of_features(value)
        index = change(np.arange(prod(shape)).reshape(shape))
        features = [token for axis in axes for token in axis if isinstance(token, int)]
        return self.make(
            axes,
            [self.tiles.gather([tile], index.reshape(features)) for tile in self.filled(value)],
            value.kind,
        )

    def transpose(self, value: Value, perm: Sequence[int]) -> Value:
        """The axes in another order."""
        axes = [value.axes[axis] for axis in perm]
        return self.moved(value, lambda index: index.transpose(perm), axes)

    def reshape(self, value: Value, dims: Sequence[int]) -> Value:
        """The elements in another shape; time and samples stay whole."""
        steps = len(value.tiles)
        left: deque[Token] = deque(token for axis in value.axes for token in axis)
        axes: list[list[Token]] = []
        for place, dim in enumerate(dims):
            axis: list[Token] = []
            size = 1
            while size < dim:
                if not left:
                    raise self._unshaped(value, dims)
                token = left.popleft()
                own = self.size((token,), steps)
                if dim % (size * own) == 0:
                    axis.append(token)
                    size *= own
                elif isinstance(token, int) and dim % size == 0 and own % (dim // size) == 0:
                    axis.append(dim // size)
                    left.appendleft(own * size // dim)
                    size = dim
                else:
                    raise self._unshaped(value, dims)
            following = dims[place + 1] if place + 1 < len(dims) else 0
            while left and self.size((left[0],), steps) == 1 and (dim == 1 or following != 1):
                axis.append(left.popleft())
            axes.append(axis)
        if left:
            raise self._unshaped(value, dims)
        merged = [_merged(axis) for axis in axes]
        shape = tuple(token for axis in merged for token in axis if isinstance(token, int))
        old = tuple(size for size in self.shape_of_features(value) if size != 1)
        tiles = value.tiles
        if shape != old:
            tiles = tuple(self.tiles.reshape(tile, shape) for tile in self.filled(value))
        return self.make(merged, tiles, value.kind)

    def _unshaped(self, value: Value, dims: Sequence[int]) -> Refusal:
        words = " x ".join(_words(axis) for axis in value.axes)
        return Refusal(
            "NMC060",
            f"a reshape from {list(self.dims(value))} ({words}) to {list(dims)} mixes time or samples with features",
        )

    def select(self, value: Value, place: int, chosen: Array) -> Value:
        """The positions `chosen` along an axis."""
        axis = value.axes[place]
        steps = len(value.tiles)
        size = self.size(axis, steps)
        if chosen.size and (int(chosen.min()) < 0 or int(chosen.max()) >= size):
            raise Refusal("NMC061", f"position {int(chosen.max())} of an axis of size {size}")
        if len(chosen) == size and bool((chosen == np.arange(size)).all()):
            return value
        if self._bare(axis) == (TIME,):
            times = list(chosen)
        elif TIME not in axis and (BATCH not in axis or self.batch == 1):
            return self._select_features(value, place, chosen)
        elif axis == (TIME, BATCH) and len(chosen) % self.batch == 0:
            blocks = chosen.reshape(-1, self.batch)
            times = list(blocks[:, 0] // self.batch)
            if not bool((blocks == blocks[:, :1] // self.batch * self.batch + np.arange(self.batch)).all()):
                raise _sample_selected()
        elif axis == (BATCH, TIME) and len(chosen) % self.batch == 0:
            rows = chosen.reshape(self.batch, -1)
            times = list(rows[0])
            if not bool((rows == rows[:1] + steps * np.arange(self.batch)[:, None]).all()):
                raise _sample_selected()
        else:
            raise _sample_selected()
        if not times:
            raise Refusal("NMC061", "an empty slice of time")
        return self.make(value.axes, [value.tiles[t] for t in times], value.kind)

    def _select_features(self, value: Value, place: int, chosen: Array) -> Value:
        axes = list(value.axes)
        samples = tuple(token for token in axes[place] if token == BATCH)
        axes[place] = samples if len(chosen) == 1 else (*samples, len(chosen))
        if len(chosen) == 0:
            raise Refusal("NMC061", "an empty slice")
        return self.moved(value, lambda index: index.take(chosen, place), axes)

    def repeated(self, value: Value, place: int, count: int) -> Value | None:
        """A value repeated along an axis of size one, as the same in so many steps; None if these are features."""
        if value.timed or self._bare(value.axes[place]) != ():
            return None
        self.repeats.add(count)
        if count != self.held:
            return None
        return self.make(
            [*value.axes[:place], (TIME,), *value.axes[place + 1 :]], value.tiles * count, value.kind
        )

    def without(self, value: Value, place: int) -> Value:
        """The value without an axis of size one."""
        if self.size(value.axes[place], len(value.tiles)) != 1:
            raise Refusal("NMC061", f"axis {place} has not size one")
        return Value(value.axes[:place] + value.axes[place + 1 :], value.tiles, value.kind)

    def with_axis(self, value: Value, place: int) -> Value:
        """The value with a new axis of size one."""
        return Value((*value.axes[:place], (), *value.axes[place:]), value.tiles, value.kind)


def _sample_selected() -> Refusal:
    return Refusal("NMC060", "single samples of a batch are selected", help="samples must stay independent")


def _features(axis: Axis) -> list[int]:
    return [token for token in axis if isinstance(token, int)]


def _merged(axis: Sequence[Token]) -> Axis:
    result: list[Token] = []
    for token in axis:
        last = result[-1] if result else None
        if isinstance(token, int) and isinstance(last, int):
            result[-1] = last * token
        elif token != 1:
            result.append(token)
    return tuple(result)


def _words(axis: Axis) -> str:
    names = {TIME: "time", BATCH: "samples"}
    return " and ".join(names.get(str(token), f"{token} features") for token in axis) or "size one"
