"""Tiles: what one sample has at one step, as hash-consed nodes of a growing acyclic graph.

Tracing turns a file into tiles; a tile's identity is its meaning up to the rewriting that the constructors do: equal
expressions are one tile, data movement of any spelling is one `GATHER` by element indices, constants are folded, and
what movement selects of a linear operation's output or input is selected in its weights.

Axes of size one are not part of a tile's shape. Constants broadcast: they have no axes, or all axes of the tile they
meet, with size one where they do not vary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

import numpy as np

from nmc.ir.ops import Pooling, Shape, window_shape
from nmc.ir.program import COMMUTATIVE, TRUTH, Scalar, apply
from nmc.ir.tensor import Array


class Kind(Enum):
    """What a tile is, beside a scalar operation applied to each element."""

    INPUT = "input"
    """attr: (name, step)."""
    STATE = "state"
    """A value of the step before; attr: its number."""
    CONST = "const"
    """attr: number of its array."""
    LINEAR = "linear"
    """x @ weight.T + bias over the last axis; attr: (weight, bias or None), numbers of arrays."""
    CONV = "conv"
    POOL = "pool"
    MATMUL = "matmul"
    """The product of two tiles; attr: their shapes with the axes of size one."""
    GATHER = "gather"
    """Elements of the arguments, flattened and joined; attr: number of the index array, of the tile's shape."""


@dataclass(frozen=True, slots=True)
class ConvAttr:
    """A convolution: arrays by number, shapes with axes of size one."""

    in_shape: Shape
    weight: int
    bias: int | None
    stride: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    groups: int


@dataclass(frozen=True, slots=True)
class PoolAttr:
    """A pool; shapes with axes of size one."""

    in_shape: Shape
    pooling: Pooling
    kernel: Shape
    stride: Shape
    padding: tuple[tuple[int, int], ...]


def squeeze(shape: Sequence[int]) -> Shape:
    """A shape without the axes of size one."""
    return tuple(size for size in shape if size != 1)


class Tiles:
    """The arena: tile number -> operation, arguments, attribute, shape, last step it depends on, name."""

    def __init__(self) -> None:
        self.ops: list[Kind | Scalar] = []
        self.args: list[tuple[int, ...]] = []
        self.attrs: list[object] = []
        self.shapes: list[Shape] = []
        self.times: list[int] = []
        self.names: list[str] = []
        self.arrays: list[Array] = []
        self._index: dict[object, int] = {}
        self._array_index: dict[bytes, int] = {}
        self._known: dict[tuple[int, str], tuple[Array, int]] = {}
        self._aranges: dict[Shape, int] = {}
        self.label = ""
        """The name that new tiles get: the value of the file that is being traced."""
        self._states = 0
        self._true = self.intern(np.asarray(True))

    def __len__(self) -> int:
        return len(self.ops)

    # ---- arrays -----------------------------------------------------------------------------------------------

    def intern(self, array: Array) -> int:
        """The number of an array, by its content."""
        array = np.ascontiguousarray(array) if array.ndim else array
        head = f"{array.dtype.str}{array.shape}".encode()
        key = hashlib.blake2b(array.tobytes(), digest_size=16, key=head[:64]).digest()
        if key not in self._array_index:
            self._array_index[key] = len(self.arrays)
            self.arrays.append(array)
        return self._array_index[key]

    def derived(self, array: Array, how: str, make: Callable[[Array], Array]) -> int:
        """The number of what `make` makes of an array; each pair of array object and `how` is made once."""
        key = (id(array), how)
        if key not in self._known:
            self._known[key] = (array, self.intern(make(array)))
        return self._known[key][1]

    def arange(self, shape: Shape) -> int:
        """The number of the index array that leaves elements in their order."""
        if shape not in self._aranges:
            self._aranges[shape] = self.intern(np.arange(prod(shape), dtype=np.int64).reshape(shape))
        return self._aranges[shape]

    # ---- nodes ------------------------------------------------------------------------------------------------

    def _add(self, op: Kind | Scalar, args: tuple[int, ...], attr: object, shape: Shape, time: int) -> int:
        key = (op, args, attr)
        found = self._index.get(key)
        if found is not None:
            return found
        number = len(self.ops)
        self._index[key] = number
        self.ops.append(op)
        self.args.append(args)
        self.attrs.append(attr)
        self.shapes.append(shape)
        self.times.append(time)
        self.names.append(self.label)
        return number

    def input(self, name: str, step: int, shape: Shape) -> int:
        """What enters at a step."""
        return self._add(Kind.INPUT, (), (name, step), shape, step)

    def state(self, shape: Shape) -> int:
        """A new value of the step before."""
        self._states += 1
        return self._add(Kind.STATE, (), self._states, shape, -1)

    def const(self, array: Array) -> int:
        """A constant; reals only. A constant without variation has no axes."""
        if array.ndim and array.size and (array == array.ravel()[0]).all():
            array = array.ravel()[0].reshape(())
        if array.dtype != np.float64:
            array = array.astype(np.float32, copy=False)
        number = self.intern(array)
        return self._add(Kind.CONST, (), number, array.shape, -1)

    def value(self, tile: int) -> Array | None:
        """The array of a constant; None for other tiles."""
        return self.arrays[self._number(tile)] if self.ops[tile] is Kind.CONST else None

    def _number(self, tile: int) -> int:
        number = self.attrs[tile]
        assert isinstance(number, int)
        return number

    def uniform(self, tile: int) -> float | None:
        """The number of a constant without variation."""
        array = self.value(tile)
        return float(array) if array is not None and array.ndim == 0 else None

    def is_truth(self, tile: int) -> bool:
        """Whether a tile holds only 0 and 1, by its operation."""
        return self.ops[tile] in TRUTH

    def time_of(self, args: Iterable[int]) -> int:
        """The last step that any of the tiles depends on; -1 for constants."""
        return max((self.times[arg] for arg in args), default=-1)

    # ---- scalar operations ------------------------------------------------------------------------------------

    def scalar(self, op: Scalar, args: Sequence[int]) -> int:
        """An operation on each element; arguments have one shape, or are constants that broadcast to it."""
        values = [self.value(arg) for arg in args]
        if all(value is not None for value in values):
            arrays = np.broadcast_arrays(*[value for value in values if value is not None])
            real = np.result_type(*arrays)
            with np.errstate(all="ignore"):
                return self.const(apply(op, [array.astype(real) for array in arrays]))
        simpler = self._simplified(op, args)
        if simpler is not None:
            return simpler
        moved = self._behind_movement(op, args)
        if moved is not None:
            return moved
        if op in COMMUTATIVE:
            args = sorted(args)
        shape = next(self.shapes[arg] for arg, value in zip(args, values, strict=True) if value is None)
        shape = max((self.shapes[arg] for arg in args if self.value(arg) is None), key=len, default=shape)
        return self._add(op, tuple(args), None, shape, self.time_of(args))

    def _simplified(self, op: Scalar, args: Sequence[int]) -> int | None:
        numbers = [self.uniform(arg) for arg in args]
        match op:
            case Scalar.ADD if 0.0 in numbers:
                return args[1 - numbers.index(0.0)]
            case Scalar.SUB if numbers[1] == 0.0:
                return args[0]
            case Scalar.SUB if args[0] == args[1]:
                return self.const(np.zeros((), np.float32))
            case Scalar.MUL if 0.0 in numbers:
                return args[numbers.index(0.0)]
            case Scalar.MUL if 1.0 in numbers:
                return args[1 - numbers.index(1.0)]
            case Scalar.DIV | Scalar.POW if numbers[1] == 1.0:
                return args[0]
            case Scalar.POW if numbers[1] == 2.0:
                return self.scalar(Scalar.MUL, [args[0], args[0]])
            case Scalar.NEG if self.ops[args[0]] is Scalar.NEG:
                return self.args[args[0]][0]
            case Scalar.WHERE if numbers[0] is not None:
                return args[1] if numbers[0] != 0 else args[2]
            case Scalar.WHERE if args[1] == args[2]:
                return args[1]
            case _:
                return None

    def _behind_movement(self, op: Scalar, args: Sequence[int]) -> int | None:
        """The operation before a movement that all its arguments share, then the movement."""
        moved = [arg for arg in args if self.value(arg) is None]
        first = moved[0]
        if self.ops[first] is not Kind.GATHER or len(self.args[first]) != 1:
            return None
        source = self.args[first][0]
        index = self.arrays[self._number(first)]
        if index.size != prod(self.shapes[source]) or not self._is_permutation(first):
            return None
        for other in moved:
            if (
                self.ops[other] is not Kind.GATHER
                or self.attrs[other] != self.attrs[first]
                or len(self.args[other]) != 1
                or self.shapes[self.args[other][0]] != self.shapes[source]
            ):
                return None
        inner: list[int] = []
        for arg in args:
            value = self.value(arg)
            if value is None:
                inner.append(self.args[arg][0])
            elif value.ndim == 0:
                inner.append(arg)
            else:
                flat = np.empty(index.size, value.dtype)
                flat[index.ravel()] = np.broadcast_to(value, index.shape).ravel()
                inner.append(self.const(_compressed(flat.reshape(self.shapes[source]))))
        return self.gather([self.scalar(op, inner)], index)

    def _is_permutation(self, tile: int) -> bool:
        number = self._number(tile)
        known = self._known.get((number, "permutation"))
        if known is None:
            index = self.arrays[number].ravel()
            right = bool((np.bincount(index, minlength=index.size) == 1).all()) if index.size else True
            known = (self.arrays[number], int(right))
            self._known[(number, "permutation")] = known
        return bool(known[1])

    # ---- movement ---------------------------------------------------------------------------------------------

    def gather(self, args: Sequence[int], index: Array) -> int:
        """Elements of the arguments, flattened and joined, in the order of `index`; composed with what is inside."""
        if len(args) == 1 and index.shape == self.shapes[args[0]] and self.is_arange(index):
            return args[0]
        if any(self.ops[arg] is Kind.GATHER for arg in args) or len(args) > 1:
            args, index = self._composed(args, index)
        if all(self.value(arg) is not None for arg in args):
            flat = np.concatenate([self._full(arg) for arg in args])
            return self.const(_compressed(flat[index]))
        if len(args) == 1 and index.shape == self.shapes[args[0]] and self.is_arange(index):
            return args[0]
        if len(args) == 1 and self.ops[args[0]] is Kind.LINEAR and index.ndim <= 1 and self._flat(args[0]):
            return self._selected_rows(args[0], index)
        number = self.arange(index.shape) if self.is_arange(index) else self.intern(index)
        return self._add(Kind.GATHER, tuple(args), number, index.shape, self.time_of(args))

    def reshape(self, tile: int, shape: Shape) -> int:
        """The elements in another shape, in C order."""
        return tile if self.shapes[tile] == shape else self.gather([tile], self.arrays[self.arange(shape)])

    def is_arange(self, index: Array) -> bool:
        """Whether an index array leaves elements in their order."""
        known = self._aranges.get(index.shape)
        if known is not None and index is self.arrays[known]:
            return True
        return bool((index.ravel() == np.arange(index.size)).all())

    def _flat(self, tile: int) -> bool:
        return len(self.shapes[tile]) <= 1

    def _full(self, tile: int) -> Array:
        array = self.value(tile)
        assert array is not None
        return array.ravel()

    def _composed(self, args: Sequence[int], index: Array) -> tuple[list[int], Array]:
        sources: list[int] = []
        starts: dict[int, int] = {}
        total = 0
        tables: list[Array] = []
        for arg in args:
            inner = self.args[arg] if self.ops[arg] is Kind.GATHER else (arg,)
            local: list[Array] = []
            for source in inner:
                size = prod(self.shapes[source])
                if source not in starts:
                    starts[source] = total
                    sources.append(source)
                    total += size
                local.append(np.arange(starts[source], starts[source] + size))
            table = np.concatenate(local)
            tables.append(
                table[self.arrays[self._number(arg)].ravel()] if self.ops[arg] is Kind.GATHER else table
            )
        flat = np.concatenate(tables)[index]
        kept: list[int] = []
        shift = np.zeros(total, np.int64)
        position = 0
        for source in sources:
            start, size = starts[source], prod(self.shapes[source])
            if size and bool(((flat >= start) & (flat < start + size)).any()):
                shift[start : start + size] = position - start
                kept.append(source)
                position += size
        return kept, flat + shift[flat]

    def _selected_rows(self, tile: int, index: Array) -> int:
        attr = self.attrs[tile]
        assert isinstance(attr, tuple)
        weight, bias = self.arrays[attr[0]], attr[1]
        rows = np.atleast_1d(index)
        new_bias = None if bias is None else self.intern(self.arrays[bias][rows])
        return self._linear(self.args[tile][0], self.intern(weight[rows]), new_bias)

    # ---- linear operations ------------------------------------------------------------------------------------

    def linear(self, tile: int, weight: int, bias: int | None = None) -> int:
        """x @ weight.T + bias over the last axis; arrays by number. A moved input moves the weights' columns."""
        matrix = self.arrays[weight]
        constant = self.value(tile)
        if constant is not None:
            shape = (*self.shapes[tile][:-1], matrix.shape[1]) if constant.ndim else (matrix.shape[1],)
            result = np.broadcast_to(constant, shape) @ matrix.T
            return self.const(result if bias is None else result + self.arrays[bias])
        if not self._any(weight):
            rows = np.zeros(matrix.shape[0], np.float32) if bias is None else self.arrays[bias]
            return self.const(rows)
        if self.ops[tile] is Kind.GATHER and self._flat(tile):
            sources = self.args[tile]
            index = self.arrays[self._number(tile)]
            if len(sources) > 1 or not self.is_arange(index):
                return self._split(sources, index, weight=weight, bias=bias)
        return self._linear(tile, weight, bias)

    def _any(self, number: int) -> bool:
        return bool(
            self.derived(self.arrays[number], "any", lambda array: np.asarray(array.any())) == self._true
        )

    def _linear(self, tile: int, weight: int, bias: int | None) -> int:
        rows, columns = self.arrays[weight].shape
        lead = self.shapes[tile][:-1] if columns > 1 else self.shapes[tile]
        return self._add(Kind.LINEAR, (tile,), (weight, bias), (*lead, *squeeze((rows,))), self.times[tile])

    def _split(self, sources: Sequence[int], index: Array, *, weight: int, bias: int | None) -> int:
        matrix = self.arrays[weight]
        start = 0
        total: int | None = None
        for source in sources:
            size = prod(self.shapes[source])
            mine = (index >= start) & (index < start + size)
            part = np.zeros((matrix.shape[0], size), matrix.dtype)
            # Any: numpy's types know no index of a slice and an array.
            place: Any = (slice(None), index[mine] - start)
            np.add.at(part, place, matrix[:, mine])
            term = self.linear(self.reshape(source, squeeze((size,))), self.intern(part), bias)
            bias = None
            total = term if total is None else self.scalar(Scalar.ADD, [total, term])
            start += size
        assert total is not None
        return total

    def scaled(self, tile: int, factor: Array, offset: Array) -> int:
        """tile * factor + offset, folded into a linear operation where the tile is one."""
        op, attr = self.ops[tile], self.attrs[tile]
        if op is Kind.GATHER and len(self.args[tile]) == 1 and self._is_permutation(tile):
            index = self.arrays[self._number(tile)]
            source = self.args[tile][0]
            inner = [_unmoved(each, index, self.shapes[source]) for each in (factor, offset)]
            return self.gather([self.scaled(source, *inner)], index)
        if op is Kind.LINEAR and isinstance(attr, tuple):
            scale, shift = _last_axis(factor), _last_axis(offset)
            if scale is not None and shift is not None:
                weight, bias = self.arrays[attr[0]], attr[1]
                new_bias = (shift if bias is None else self.arrays[bias] * scale + shift).astype(weight.dtype)
                new_bias = np.broadcast_to(new_bias, weight.shape[:1])
                unscaled = scale.size == 1 and float(scale[0]) == 1.0
                scaled = attr[0] if unscaled else self.intern(weight * np.reshape(scale, (-1, 1)))
                return self.linear(self.args[tile][0], scaled, self.intern(new_bias))
        if isinstance(attr, ConvAttr):
            scale, shift = (
                _channel(each, self.shapes[tile], self.arrays[attr.weight].shape[0])
                for each in (factor, offset)
            )
            if scale is not None and shift is not None:
                weight = self.arrays[attr.weight]
                old = np.zeros(weight.shape[0], weight.dtype) if attr.bias is None else self.arrays[attr.bias]
                scaled = (weight * scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(weight.dtype)
                new = ConvAttr(
                    attr.in_shape,
                    self.intern(scaled),
                    self.intern((old * scale + shift).astype(weight.dtype)),
                    attr.stride,
                    attr.padding,
                    attr.dilation,
                    attr.groups,
                )
                return self.conv(self.args[tile][0], new)
        if op is Scalar.ADD:
            for own, other in ((0, 1), (1, 0)):
                added = self.value(self.args[tile][other])
                if added is not None and self.ops[self.args[tile][own]] in {Kind.LINEAR, Kind.CONV}:
                    return self.scaled(self.args[tile][own], factor, offset + added * factor)
        product = self.scalar(Scalar.MUL, [tile, self.const(_compressed(factor))])
        return self.scalar(Scalar.ADD, [product, self.const(_compressed(offset))])

    def conv(self, tile: int, attr: ConvAttr) -> int:
        """A convolution of a tile that has `attr.in_shape`, axes of size one aside."""
        weight = self.arrays[attr.weight]
        space = window_shape(attr.in_shape, weight.shape[2:], attr.stride, attr.padding, attr.dilation)
        tile = self.filled(tile, attr.in_shape)
        return self._add(Kind.CONV, (tile,), attr, squeeze((weight.shape[0], *space)), self.times[tile])

    def pool(self, tile: int, attr: PoolAttr) -> int:
        """A pool over a tile that has `attr.in_shape`, axes of size one aside."""
        ones = (1,) * len(attr.kernel)
        space = window_shape(attr.in_shape, attr.kernel, attr.stride, attr.padding, ones)
        tile = self.filled(tile, attr.in_shape)
        return self._add(Kind.POOL, (tile,), attr, squeeze((attr.in_shape[0], *space)), self.times[tile])

    def matmul(self, a: int, b: int, *, shape_a: Shape, shape_b: Shape, shape: Shape) -> int:
        """numpy.matmul of two tiles of those shapes."""
        args = (self.filled(a, shape_a), self.filled(b, shape_b))
        return self._add(Kind.MATMUL, args, (shape_a, shape_b, shape), squeeze(shape), self.time_of(args))

    def filled(self, tile: int, shape: Sequence[int]) -> int:
        """The tile, or, for a constant, a constant of the full shape."""
        value = self.value(tile)
        full = squeeze(shape)
        if value is None or value.shape == full:
            return tile
        array = np.ascontiguousarray(np.broadcast_to(value, full))
        return self._add(Kind.CONST, (), self.intern(array), full, -1)

    # ---- substitution -----------------------------------------------------------------------------------------

    def make(self, op: Kind | Scalar, args: Sequence[int], attr: object) -> int:
        """The tile of an operation on other arguments, through the constructors."""
        if isinstance(op, Scalar):
            return self.scalar(op, args)
        if op is Kind.LINEAR and isinstance(attr, tuple):
            return self.linear(args[0], attr[0], attr[1])
        if isinstance(attr, ConvAttr):
            return self.conv(args[0], attr)
        if isinstance(attr, PoolAttr):
            return self.pool(args[0], attr)
        if op is Kind.MATMUL and isinstance(attr, tuple):
            return self.matmul(args[0], args[1], shape_a=attr[0], shape_b=attr[1], shape=attr[2])
        assert op is Kind.GATHER
        assert isinstance(attr, int)
        return self.gather([self.filled(arg, self.arrays_shape(arg)) for arg in args], self.arrays[attr])

    def arrays_shape(self, tile: int) -> Shape:
        """The shape of a tile."""
        return self.shapes[tile]

    def cone(self, roots: Iterable[int], stop: Iterable[int] = ()) -> list[int]:
        """The tiles that the roots depend on, themselves included, in the order of their numbers.

        Nothing below a tile of `stop` is visited.
        """
        stops = set(stop)
        seen: set[int] = set()
        pending = list(roots)
        while pending:
            tile = pending.pop()
            if tile in seen:
                continue
            seen.add(tile)
            if tile not in stops:
                pending.extend(arg for arg in self.args[tile] if arg not in seen)
        return sorted(seen)

    def rebuild(
        self, roots: Sequence[int], replaced: Mapping[int, int], *, entering: Mapping[int, int] | None = None
    ) -> list[int]:
        """The roots with some tiles replaced by others, through the constructors.

        `entering` are replaced only where they enter an operation that is not on each element.
        """
        new: dict[int, int] = dict(replaced)
        elsewhere = entering or {}
        for tile in self.cone(roots, stop=replaced):
            if tile in new:
                continue
            args = [new[arg] for arg in self.args[tile]]
            if elsewhere and not isinstance(self.ops[tile], Scalar):
                args = [elsewhere.get(old, arg) for old, arg in zip(self.args[tile], args, strict=True)]
            if args == list(self.args[tile]):
                new[tile] = tile
                continue
            self.label = self.names[tile]
            if self.ops[tile] is Kind.GATHER:
                args = [
                    self.filled(arg, self.shapes[old]) for arg, old in zip(args, self.args[tile], strict=True)
                ]
            new[tile] = self.make(self.ops[tile], args, self.attrs[tile])
        return [new[root] for root in roots]


def _compressed(array: Array) -> Array:
    """A constant with size one on each axis along which it does not vary; 0-d if it does not vary at all."""
    for axis, size in enumerate(array.shape):
        if size > 1 and bool((array == array.take([0], axis)).all()):
            array = array.take([0], axis)
    return array.reshape(()) if array.size == 1 else array


compressed = _compressed


def _unmoved(value: Array, index: Array, shape: Shape) -> Array:
    if value.ndim == 0:
        return value
    flat = np.empty(index.size, value.dtype)
    flat[index.ravel()] = np.broadcast_to(value, index.shape).ravel()
    return _compressed(flat.reshape(shape))


def _last_axis(value: Array) -> Array | None:
    """The values along the last axis of what varies only there."""
    if value.ndim == 0:
        return value.reshape(1)
    return value.ravel() if value.size == value.shape[-1] else None


def _channel(value: Array, shape: Shape, channels: int) -> Array | None:
    """One value a channel of what varies only there; a convolution's tile lacks axes of size one."""
    if value.ndim == 0:
        return np.full(channels, value)
    first = shape[0] if len(shape) else 1
    if value.ndim == len(shape) and value.size == value.shape[0] == channels == first:
        return value.ravel()
    return None
