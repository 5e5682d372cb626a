"""Sums of products in Einstein's notation, as the matrix products that they mean.

A letter is an axis. Of two factors, the letters of both that are still needed are a stack of products, the letters of
both that are not are summed over, and those of one factor alone are rows or columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from string import ascii_letters

import numpy as np

from nmc.frontend.onnx.elementwise import Builder
from nmc.frontend.onnx.layers import linear, product, reduced
from nmc.frontend.onnx.movement import Args, data, reshape, shape_of
from nmc.frontend.onnx.read import NEAR_LIMIT, NodeIn
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.values import Space, Traced, Value
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array

_WAY_OUT = "write it with `matmul`, `permute` and `sum`, and export again"


@dataclass(frozen=True, slots=True)
class Factor:
    """A value or a constant, and a letter for each of its axes."""

    data: Value | Array
    letters: str


def _einsum(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    """The factors, multiplied from the left, summed over each letter when it is not needed any more."""
    parts = [data(args, place) for place in range(len(args))]
    equation = str(node.attrs.get("equation", "")).replace(" ", "")
    terms, result = _letters(equation, [shape_of(space, part) for part in parts])
    total, *others = (Factor(part, term) for part, term in zip(parts, terms, strict=True))
    for place, factor in enumerate(others, start=1):
        total = _times(space, total, factor, needed=result + "".join(terms[place + 1 :]))
    return [_ordered(space, _summed(space, total, result), result).data]


def _letters(equation: str, shapes: Sequence[Sequence[int]]) -> tuple[list[str], str]:
    """The letters of each factor and of the result, with letters of their own for the dots."""
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    free = [letter for letter in ascii_letters if letter not in equation]
    if len(terms) != len(shapes):
        raise Refusal("NMC061", f"`{equation}` has {len(terms)} factors, {len(shapes)} are given")
    longest = ""
    for place, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        dots = "".join(free[: len(shape) - len(term) + 3])[::-1] if "..." in term else ""
        longest = max(longest, dots, key=len)
        terms[place] = term.replace("...", dots)
        if len(terms[place]) != len(shape) or not set(terms[place]) <= set(ascii_letters):
            raise Refusal("NMC061", f"`{term}` of `{equation}` does not name the axes of {list(shape)}")
        if len(set(terms[place])) != len(shape):
            raise Refusal("NMC054", f"`{term}` of `{equation}` takes a diagonal", help=_WAY_OUT)
    if not arrow:
        once = sorted(letter for letter in set(left) & set(ascii_letters) if left.count(letter) == 1)
        result = "..." * bool(longest) + "".join(once)
    result = result.replace("...", longest)
    if len(set(result)) != len(result) or not set(result) <= set("".join(terms)):
        raise Refusal("NMC061", f"the result of `{equation}` is not made of letters of the factors")
    sizes: dict[str, int] = {}
    for letter, size in zip("".join(terms), (size for shape in shapes for size in shape), strict=True):
        if sizes.setdefault(letter, size) != size:
            raise Refusal("NMC061", f"`{letter}` of `{equation}` has {sizes[letter]} and {size} elements")
    return terms, result


def _times(space: Space, a: Factor, b: Factor, *, needed: str) -> Factor:
    """The product of two factors, with the letters that are needed."""
    a, b = _summed(space, a, needed + b.letters), _summed(space, b, needed + a.letters)
    if isinstance(a.data, np.ndarray) and isinstance(b.data, np.ndarray):
        letters = "".join(letter for letter in dict.fromkeys(a.letters + b.letters) if letter in needed)
        return Factor(np.einsum(f"{a.letters},{b.letters}->{letters}", a.data, b.data), letters)
    if all(letter in needed for letter in a.letters if letter in b.letters):
        letters = "".join(dict.fromkeys(a.letters + b.letters))
        whole = Builder(space)(Scalar.MUL, _spread(space, a, letters), _spread(space, b, letters))
        return Factor(whole, letters)
    if isinstance(b.data, np.ndarray) and isinstance(a.data, Value):
        return _layer(space, a, b, needed)
    if isinstance(a.data, np.ndarray) and isinstance(b.data, Value):
        return _layer(space, b, a, needed)
    return _activations(space, a, b, needed)


def _layer(space: Space, value: Factor, constant: Factor, needed: str) -> Factor:
    """The product with a constant: a linear operator over the axes of both, with a block for each of the stack."""
    stack, inner, rest, columns = _roles(value, constant, needed)
    sizes = _sizes(space, value) | _sizes(space, constant)
    blocks, wide, deep = (prod(sizes[letter] for letter in each) for each in (stack, columns, inner))
    if blocks * blocks * wide * deep > NEAR_LIMIT:
        raise Refusal(
            "NMC063", f"a product in {blocks} blocks of {wide} by {deep} is too large", help=_WAY_OUT
        )

    def matrix(weight: Array) -> Array:
        turned = np.einsum(f"{constant.letters}->{stack}{columns}{inner}", weight).reshape(blocks, wide, deep)
        whole = np.zeros((blocks, wide, blocks, deep), weight.dtype)
        whole[np.arange(blocks), :, np.arange(blocks)] = turned
        return whole.reshape(blocks * wide, blocks * deep)

    flat = _merged(space, _ordered(space, value, rest + stack + inner), len(rest), (len(stack) + len(inner),))
    assert isinstance(flat, Value)
    assert isinstance(constant.data, np.ndarray)
    how = f"einsum {constant.letters} {stack} {columns} {inner}"
    made = linear(space, flat, constant.data, how, matrix)
    return _unmerged(space, made, rest + stack + columns, sizes)


def _activations(space: Space, a: Factor, b: Factor, needed: str) -> Factor:
    """The product of two values: matrices of rows and columns, in a stack."""
    stack, inner, rows, columns = _roles(a, b, needed)
    sizes = _sizes(space, a) | _sizes(space, b)
    left = _merged(space, _ordered(space, a, stack + rows + inner), len(stack), (len(rows), len(inner)))
    right = _merged(
        space, _ordered(space, b, stack + inner + columns), len(stack), (len(inner), len(columns))
    )
    assert isinstance(left, Value)
    assert isinstance(right, Value)
    return _unmerged(space, product(space, left, right), stack + rows + columns, sizes)


def _roles(a: Factor, b: Factor, needed: str) -> tuple[str, str, str, str]:
    """The letters of the stack, those to sum over, those of `a` alone and those of `b` alone."""
    both = [letter for letter in a.letters if letter in b.letters]
    stack = "".join(letter for letter in both if letter in needed)
    inner = "".join(letter for letter in both if letter not in needed)
    alone = ["".join(c for c in x.letters if c not in y.letters) for x, y in ((a, b), (b, a))]
    return stack, inner, alone[0], alone[1]


def _sizes(space: Space, factor: Factor) -> dict[str, int]:
    return dict(zip(factor.letters, shape_of(space, factor.data), strict=True))


def _ordered(space: Space, factor: Factor, letters: str) -> Factor:
    """The factor with its axes in the order of the letters."""
    perm = [factor.letters.index(letter) for letter in letters]
    if perm == list(range(len(perm))):
        return factor
    turn = factor.data
    return Factor(
        space.transpose(turn, perm) if isinstance(turn, Value) else np.transpose(turn, perm), letters
    )


def _summed(space: Space, factor: Factor, needed: str) -> Factor:
    """The factor summed over the letters that are not needed."""
    total, letters = factor.data, factor.letters
    for letter in factor.letters:
        if letter in needed:
            continue
        axis = letters.index(letter)
        if isinstance(total, Value):
            total = space.without(reduced(space, "ReduceSum", total, axis), axis)
        else:
            total = total.sum(axis)
        letters = letters.replace(letter, "")
    return Factor(total, letters)


def _spread(space: Space, factor: Factor, letters: str) -> Value | Array:
    """The factor with all the letters in order; those that it has not have size one."""
    turned = _ordered(space, factor, "".join(each for each in letters if each in factor.letters)).data
    for place, letter in enumerate(letters):
        if letter not in factor.letters:
            turned = (
                space.with_axis(turned, place) if isinstance(turned, Value) else np.expand_dims(turned, place)
            )
    return turned


def _merged(space: Space, factor: Factor, lead: int, counts: Sequence[int]) -> Value | Array:
    """The axes after the first `lead` as one axis for each count, which says of how many it is made."""
    if all(count == 1 for count in counts):
        return factor.data
    shape = shape_of(space, factor.data)
    dims = list(shape[:lead])
    for count in counts:
        dims.append(prod(shape[lead : lead + count]))
        lead += count
    return reshape(space, factor.data, dims)


def _unmerged(space: Space, whole: Value, letters: str, sizes: Mapping[str, int]) -> Factor:
    """A product with each letter as an axis of its own again."""
    dims = [sizes[letter] for letter in letters]
    return Factor(whole if list(space.dims(whole)) == dims else reshape(space, whole, dims), letters)


HANDLERS: Mapping[str, Callable[[Space, NodeIn, Args], list[Traced]]] = {"Einsum": _einsum}
