"""Widths of sums are proved from the actual weights, or the network is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.arithmetic import INTEGER
from nmc.backends.spinnaker2.sums import bounds_of, prove_sums
from nmc.diagnostics import CompileError
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.ops import (
    Accumulator,
    Input,
    Linear,
    Membrane,
    Neuron,
    Output,
    Signal,
    SignalKind,
)
from nmc.ir.tensor import FixedPoint, Tensor


def network(weight: np.ndarray, number: FixedPoint | None) -> Graph:
    kind = SignalKind.SPIKE if number is None else SignalKind.GRADED
    post, pre = weight.shape
    exponent = 0 if number is None else number.exponent
    tensor = Tensor(weight, FixedPoint(8, True, 8))
    accumulator = Accumulator(FixedPoint(32, True, 8 + exponent), Rounding.FLOOR, Overflow.PROVED_ABSENT)
    zero = Tensor(np.int64(0), FixedPoint(32, True, 0))
    neuron = Neuron((post,), None, Membrane(None, None, None, None, zero), None, INTEGER, 0)
    nodes = (
        Node("x", Input(Signal((pre,), kind, number))),
        Node("w", Linear(tensor, None, accumulator)),
        Node("n", neuron),
        Node("y", Output((post,))),
    )
    return Graph(nodes, (Edge("x", "w", 1), Edge("w", "n"), Edge("n", "y")))


def test_bounds_are_the_sums_of_positive_and_of_negative_weights() -> None:
    found = bounds_of(network(np.array([[1, -2, 3], [-4, -5, 0]]), None))["n"]
    assert found.low.tolist() == [-2, -9] and found.high.tolist() == [4, 0]
    assert found.span(np.array([0])) == (-2, 4)


def test_bounds_of_graded_inputs_take_both_ends_of_their_range() -> None:
    found = bounds_of(network(np.array([[1, -2]]), FixedPoint(4, True, 0)))["n"]
    assert (found.low.tolist(), found.high.tolist()) == ([-8 - 14], [7 + 16])


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [
        (-32768, 32767, 16),
        (-32769, 0, 32),
        (0, 32768, 32),
        (-(1 << 31), 0, 32),
        (0, 1 << 31, None),
    ],
)
def test_ring_is_the_narrowest_that_is_proved(low: int, high: int, bits: int | None) -> None:
    assert blocks.sum_bits(low, high) == bits


def test_sums_beyond_the_widest_ring_are_refused_with_the_population() -> None:
    graph = network(np.full((1, 2000), 127), FixedPoint(16, True, 0))
    with pytest.raises(CompileError) as refused:
        prove_sums(graph)
    (finding,) = refused.value.findings
    assert finding.code == "NMC435" and "`n`" in finding.message and "32 bits" in finding.message
