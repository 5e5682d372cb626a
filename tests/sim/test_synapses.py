"""Weights as kernels take them, and how wide their sums are proved to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Node
from nmc.ir.ops import Accumulator, Linear, Sparse
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER
from nmc.sim import synapses

FLOAT = np.dtype(np.float64)


def exact(bits: int, exponent: int = 0, overflow: Overflow = Overflow.PROVED_ABSENT) -> Accumulator:
    return Accumulator(FixedPoint(bits, True, exponent), Rounding.FLOOR, overflow)


def linear(weight: Any, accumulator: Accumulator, *, bits: int = 8, bias: Tensor | None = None) -> Linear:
    return Linear(Tensor(np.array(weight), FixedPoint(bits, True, 0)), bias, accumulator)


def prepare(op: Linear | Sparse, number: FixedPoint = SPIKE_NUMBER) -> synapses.Weights:
    return synapses.prepare(Node("w", op), op, number, FLOAT)


def test_prepare_puts_a_row_of_zeros_behind_the_rows_of_linear() -> None:
    found = prepare(linear([[1, 2, 3], [4, 5, 6]], exact(16)))
    assert found.weight.tolist() == [[1, 4], [2, 5], [3, 6], [0, 0]]
    assert found.weight.dtype == np.int8
    assert found.bias.size == 0
    assert found.finish is None


@pytest.mark.parametrize(("largest", "rows"), [(127, 256), (1, 32760), (4095, 8), (4096, 0)])
def test_prepare_counts_the_rows_that_fit_16_bits(largest: int, rows: int) -> None:
    found = prepare(linear([[largest, 1]], exact(32), bits=16))
    assert (found.limit if found.part == np.int16 else 0) == rows
    assert rows * largest <= 32767


@pytest.mark.parametrize(("fan_in", "dtype"), [(2, np.int32), (17, np.int32), (2**17, np.int64)])
def test_prepare_takes_the_dtype_that_holds_every_sum(fan_in: int, dtype: type) -> None:
    weight = np.full((1, fan_in), -(2**15), np.int16)
    assert prepare(linear(weight, exact(40), bits=16)).dtype == dtype


def test_prepare_knows_graded_inputs() -> None:
    assert prepare(linear([[127] * 4], exact(40)), FixedPoint(24, True, 0)).dtype == np.int64


def test_prepare_finishes_only_what_does_not_stand_already() -> None:
    assert prepare(linear([[3]], exact(8, 0, Overflow.SATURATE))).finish is None
    assert prepare(linear([[100, 100]], exact(8, 0, Overflow.SATURATE))).finish is not None
    finish = prepare(linear([[3]], exact(8, 2))).finish
    assert finish is not None
    assert (finish.left, finish.right) == (0, 2)


def test_prepare_widens_weights_for_a_finer_bias() -> None:
    bias = Tensor(np.array([3]), FixedPoint(8, True, -8))
    found = prepare(linear([[-1]], exact(32, -8), bias=bias))
    assert found.weight.tolist() == [[-256], [0]]
    assert found.bias.tolist() == [3]


def test_prepare_keeps_reals_in_their_dtype() -> None:
    op = Linear(Tensor(np.array([[0.1]])))
    found = synapses.prepare(Node("w", op), op, None, np.dtype(np.float32))
    assert found.weight[0, 0] == np.float32(0.1)
    assert (found.dtype, found.part) == (np.float32, None)


def sparse(weight: Any, *, bits: int = 16) -> Sparse:
    """Synapses 0 -> 0, 1, 2 with delays 0, 0, 5 and 1 -> 2 with delay 1."""
    columns = [Tensor(np.array(c)) for c in ([0, 0, 0, 1], [0, 1, 2, 2], [0, 0, 5, 1])]
    pre, post, delay = columns
    number = FixedPoint(bits, True, 0)
    return Sparse((2,), (3,), pre, post, Tensor(np.array(weight), number), delay, exact(32))


def unpacked(packed: synapses.Packed) -> list[tuple[int, int, int]]:
    """(post, delay, weight) of each word."""
    found: list[tuple[int, int, int]] = []
    for word in packed.word.tolist():
        rest, post = word >> packed.post_bits, word & ((1 << packed.post_bits) - 1)
        weight, delay = rest >> packed.delay_bits, rest & ((1 << packed.delay_bits) - 1)
        found.append((post, delay, weight + packed.lowest))
    return found


@pytest.mark.parametrize("weight", [[-3, 7, 100, -120], [2**31 - 1, -(2**31), 0, 1]])
def test_pack_holds_every_synapse(weight: list[int]) -> None:
    op = sparse(weight, bits=32)
    table = synapses.table(op, op.weight.data)
    assert table.start.tolist() == [0, 3, 4]
    packed = synapses.pack(table)
    assert packed is not None
    assert packed.word.dtype == (np.uint32 if max(weight) == 100 else np.int64)
    assert unpacked(packed) == list(zip([0, 1, 2, 2], [0, 0, 5, 1], weight, strict=True))


def test_pack_gives_up_beyond_63_bits() -> None:
    op = sparse([2**61, -(2**61), 0, 1], bits=63)
    assert synapses.pack(synapses.table(op, op.weight.data)) is None


def test_pack_of_nothing_is_empty() -> None:
    none = Tensor(np.zeros(0, np.int64))
    op = Sparse((2,), (3,), none, none, Tensor(np.zeros(0, np.int8), FixedPoint(8, True, 0)), none, exact(8))
    packed = synapses.pack(synapses.table(op, op.weight.data))
    assert packed is not None
    assert packed.word.size == 0
    assert prepare(op).dtype == np.int16


def test_table_sorts_synapses_as_they_stand_in_memory() -> None:
    pre, post = Tensor(np.array([0, 1, 2, 3])), Tensor(np.array([0, 0, 0, 0]))
    weight = Tensor(np.array([1.0, 2.0, 3.0, 4.0]))
    op = Sparse((2, 2), (1,), pre, post, weight, Tensor(np.zeros(4, np.int64)))
    # (channel, x) in memory is (x, channel): 0, 2, 1, 3
    assert synapses.table(op, weight.data).weight.tolist() == [1.0, 3.0, 2.0, 4.0]
