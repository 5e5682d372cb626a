"""What simulators take of arrays, what users give, and what is read from outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmc.diagnostics import CompileError
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.ops import Accumulator, Input, Linear, Output, Signal, SignalKind
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.sim.arrays import Decode, accuracy, checked_inputs, decode, is_integer, map_inputs, to_mantissas

NUMBER = FixedPoint(4, False, -2)


def graph_of(*inputs: tuple[str, Signal], integer: bool = False) -> Graph:
    """Inputs, each with an output; in integers if there is a layer of them."""
    nodes = [Node(name, Input(signal)) for name, signal in inputs]
    edges: list[Edge] = []
    for node, (name, signal) in zip(tuple(nodes), inputs, strict=True):
        nodes.append(Node(f"{name}_out", Output(signal.shape)))
        edges.append(Edge(node.name, f"{name}_out"))
    if integer:
        number = FixedPoint(8, True, 0)
        exact = Accumulator(FixedPoint(16, True, 0), Rounding.FLOOR, Overflow.PROVED_ABSENT)
        size = inputs[0][1].shape[0]
        nodes.append(Node("w", Linear(Tensor(np.ones((1, size), np.int64), number), None, exact)))
        edges.append(Edge(inputs[0][0], "w"))
    return Graph(tuple(nodes), tuple(edges))


SPIKES = graph_of(("x", Signal((3,), SignalKind.SPIKE)))
REALS = graph_of(("x", Signal((3,), SignalKind.REAL)))
GRADED = graph_of(("x", Signal((3,), SignalKind.GRADED, NUMBER)), integer=True)
TWO = graph_of(("left", Signal((3,), SignalKind.SPIKE)), ("right", Signal((2, 2), SignalKind.SPIKE)))


def check(graph: Graph, inputs: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    return checked_inputs(graph, inputs, integer=is_integer(graph), dtype=np.dtype(np.float64))


def refusal(graph: Graph, inputs: dict[str, Any]) -> str:
    with pytest.raises(CompileError) as caught:
        check(graph, inputs)
    return str(caught.value)


def test_checked_inputs_flattens_and_counts() -> None:
    arrays, steps, samples = check(TWO, {"left": np.ones((5, 2, 3)), "right": np.zeros((5, 2, 2, 2), bool)})
    assert (steps, samples) == (5, 2)
    assert arrays["right"].shape == (5, 2, 4)
    assert all(array.dtype == np.uint8 for array in arrays.values())


def test_checked_inputs_keeps_reals_in_their_precision() -> None:
    arrays, _, _ = check(REALS, {"x": np.ones((1, 1, 3), np.int8)})
    assert arrays["x"].dtype == np.float64


def test_checked_inputs_says_which_input_has_no_array_and_which_array_no_input() -> None:
    text = refusal(TWO, {"left": np.ones((1, 1, 3)), "rihgt": np.ones((1, 1, 2, 2))})
    assert "no array for input `right`" in text
    assert "did you mean `right`?" in text
    assert text.count("NMC500") == 2


def test_checked_inputs_shows_both_shapes() -> None:
    text = refusal(SPIKES, {"x": np.ones((4, 2, 5))})
    assert "NMC501" in text
    assert "(steps, samples, 3)" in text
    assert "(4, 2, 5)" in text


def test_checked_inputs_refuses_inputs_of_different_length() -> None:
    text = refusal(TWO, {"left": np.ones((4, 2, 3)), "right": np.ones((5, 2, 2, 2))})
    assert "`right` has 5 steps of 2 samples, and `left` has 4 of 2" in text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_checked_inputs_refuses_what_is_not_finite_and_says_where(bad: float) -> None:
    x = np.zeros((4, 2, 3))
    x[3, 1, 2] = bad
    text = refusal(REALS, {"x": x})
    assert "NMC502" in text
    assert "[3, 1, 2]" in text


@pytest.mark.parametrize("bad", [2, -1, 0.5])
def test_checked_inputs_refuses_spikes_that_are_neither_0_nor_1(bad: float) -> None:
    x = np.zeros((4, 2, 3))
    x[1, 0, 2] = bad
    text = refusal(SPIKES, {"x": x})
    assert "NMC503" in text
    assert "[1, 0, 2]" in text


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3)])
def test_checked_inputs_refuses_nothing_to_run(shape: tuple[int, ...]) -> None:
    assert "NMC504" in refusal(SPIKES, {"x": np.zeros(shape)})


def test_checked_inputs_refuses_words() -> None:
    assert "NMC501" in refusal(SPIKES, {"x": np.array([[["a", "b", "c"]]])})


def test_checked_inputs_takes_mantissas_of_integer_graphs_only_in_range() -> None:
    arrays, _, _ = check(GRADED, {"x": np.array([[[0.0, 15.0, 3.0]]])})
    assert arrays["x"].tolist() == [[[0, 15, 3]]]
    assert arrays["x"].dtype == np.int64
    assert "NMC509" in refusal(GRADED, {"x": np.array([[[0.25, 1, 1]]])})
    assert "takes 0 to 15, and the array holds 0 to 16" in refusal(GRADED, {"x": np.array([[[0, 16, 1]]])})


def test_to_mantissas_rounds_half_to_even_and_leaves_what_is_too_large() -> None:
    values = np.array([-1.0, 0.124, 0.125, 0.375, 0.25, 3.75, 9.0])
    assert to_mantissas(values, NUMBER).tolist() == [-4, 0, 0, 2, 1, 15, 36]


def test_map_inputs_takes_the_array_of_the_name_before_any_other() -> None:
    x, y = np.zeros((2, 1, 3)), np.ones((2, 1, 3))
    assert map_inputs(REALS, {"y": y, "x": x})["x"] is x


def test_map_inputs_takes_the_only_array_or_the_only_one_that_fits() -> None:
    x = np.zeros((2, 1, 3))
    assert map_inputs(REALS, {"data": x})["x"] is x
    assert map_inputs(REALS, {"data": x, "y": np.zeros(7, np.int64)})["x"] is x
    with pytest.raises(CompileError, match=r"the file holds `a` \(2, 1, 3\), `b` \(2, 1, 3\)"):
        map_inputs(REALS, {"a": x, "b": x}, file="in.npz")


def test_map_inputs_reads_one_sample_without_its_axis() -> None:
    assert map_inputs(REALS, {"x": np.zeros((5, 3))})["x"].shape == (5, 1, 3)


def test_map_inputs_rounds_values_onto_the_number_of_an_integer_graph_only() -> None:
    values = np.array([[[0.25, 0.5, 3.0]]])
    assert map_inputs(GRADED, {"x": values})["x"].tolist() == [[[1, 2, 12]]]
    in_reals = graph_of(("x", Signal((3,), SignalKind.GRADED, NUMBER)))
    assert map_inputs(in_reals, {"x": values})["x"] is values


OUTPUT = np.array([[[0, 1, 0]], [[1, 1, 0]], [[1, 0, 0]], [[0, 0, 1]]])
"""One sample of three classes: class 1 is first, 0 and 1 fire twice, 2 is last."""


@pytest.mark.parametrize(
    ("how", "expected"),
    [(Decode.COUNT, 0), (Decode.LAST, 2), (Decode.MEMBRANE, 0), (Decode.FIRST_SPIKE, 1)],
)
def test_decode_reads_the_class(how: Decode, expected: int) -> None:
    assert decode(OUTPUT, how).tolist() == [expected]


def test_decode_finds_the_highest_membrane_of_any_step() -> None:
    v = np.array([[[0.1, -2.0]], [[0.3, 0.9]], [[0.8, -1.0]]])
    assert decode(v, Decode.MEMBRANE).tolist() == [1]


def test_decode_gives_class_0_where_nothing_fires() -> None:
    assert decode(np.zeros((4, 2, 3)), Decode.FIRST_SPIKE).tolist() == [0, 0]


def test_decode_does_not_overflow_its_counts() -> None:
    assert decode(np.ones((300, 1, 2), np.uint8) * np.array([0, 1], np.uint8), Decode.COUNT).tolist() == [1]


def test_accuracy_is_the_share_of_right_predictions() -> None:
    assert accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75
    with pytest.raises(CompileError, match="3 labels for 2 samples"):
        accuracy(np.array([0, 1]), np.array([0, 1, 1]))
