"""Golden against the slow reference, on random graphs of every operation and attribute; and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Accumulator,
    Conv,
    DelayLine,
    Fire,
    Input,
    Linear,
    Membrane,
    Neuron,
    Op,
    Output,
    Pool,
    Pooling,
    Signal,
    SignalKind,
    Synapse,
    output_shape,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.sim import golden
from nmc.sim.arrays import is_integer
from tests.sim.reference import reference
from tests.strategies import integer_graphs, real_graphs, spike_inputs

EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def recordable(graph: Graph) -> list[str]:
    """Outputs and states of all nodes."""
    names = [f"{node.name}.out" for node in graph.nodes]
    for node in graph.nodes:
        if isinstance(node.op, Neuron):
            names += [f"{node.name}.v"] + [f"{node.name}.i"] * (node.op.synapse is not None)
    return names


def assert_equal_to_reference(graph: Graph, inputs: dict[str, Any], *, dtype: type | None) -> None:
    out, traces = reference(graph, inputs, dtype=dtype)
    got = golden.simulate(graph, inputs, record=recordable(graph), dtype=dtype or np.float64)
    for name, array in got.trace.items():
        node, _, variable = name.rpartition(".")
        expected = out[node] if variable == "out" else traces[name]
        np.testing.assert_array_equal(array, expected, err_msg=name)
    for name, array in got.outputs.items():
        np.testing.assert_array_equal(array, out[name], err_msg=name)
    for name, spikes in got.spikes.items():
        assert spikes == int(out[name].sum()), name


@EXAMPLES
@given(st.data())
def test_golden_equals_reference_in_float64(data: st.DataObject) -> None:
    graph = data.draw(real_graphs())
    assert_equal_to_reference(graph, data.draw(spike_inputs(graph)), dtype=np.float64)


@EXAMPLES
@given(st.data())
def test_golden_equals_reference_in_float32(data: st.DataObject) -> None:
    graph = data.draw(real_graphs())
    assert_equal_to_reference(graph, data.draw(spike_inputs(graph)), dtype=np.float32)


@EXAMPLES
@given(st.data())
def test_golden_equals_reference_in_integers(data: st.DataObject) -> None:
    graph = data.draw(integer_graphs())
    dtype = None if is_integer(graph) else np.float64
    assert_equal_to_reference(graph, data.draw(spike_inputs(graph)), dtype=dtype)


@settings(EXAMPLES, max_examples=8)
@given(st.data())
def test_golden_gives_the_same_bits_on_any_threads_chunks_and_groups(data: st.DataObject) -> None:
    graph = data.draw(st.one_of(real_graphs(), integer_graphs()))
    inputs = data.draw(spike_inputs(graph, steps=7, samples=5))
    simulator = golden.prepare(graph, record=recordable(graph))
    expected = simulator.run(inputs, threads=1, chunk=7, group=5)
    for threads, chunk, group in ((1, 1, 1), (2, 2, 2), (3, 3, 1), (2, 7, 3), (1, 4, 5)):
        got = simulator.run(inputs, threads=threads, chunk=chunk, group=group)
        assert got.spikes == expected.spikes
        for name, array in expected.trace.items():
            assert array.tobytes() == got.trace[name].tobytes(), name


# ---- small graphs -----------------------------------------------------------------------------------------

ZERO = Tensor(0.0)
NUMBER = FixedPoint(8, True, 0)


def spikes(*shape: int) -> Input:
    return Input(Signal(shape, SignalKind.SPIKE))


def reals(*shape: int) -> Input:
    return Input(Signal(shape, SignalKind.REAL))


def fire(
    reset: Reset = Reset.SUBTRACT, threshold: float = 1.0, when: ResetWhen = ResetWhen.SAME_STEP
) -> Fire:
    return Fire(Tensor(threshold), Comparison.AT_LEAST, SpikeFrom.NEW, reset, when, ZERO, Tensor(0))


def neuron(size: int, decay: float = 0.5, fires: Fire | None = None) -> Neuron:
    return Neuron((size,), None, Membrane(Tensor(decay), None, None, None, ZERO), fires)


def chain(*ops: Op) -> Graph:
    """Nodes `n0`, `n1`, … one after the other."""
    nodes = tuple(Node(f"n{k}", op) for k, op in enumerate(ops))
    return Graph(nodes, tuple(Edge(a.name, b.name) for a, b in pairwise(nodes)))


def test_golden_integrates_leaks_and_subtracts_by_hand() -> None:
    graph = chain(reals(1), neuron(1, 0.5, fire()), Output((1,)))
    x = np.array([0.75, 0.75, 0.75, -1.0]).reshape(4, 1, 1)
    result = golden.simulate(graph, {"n0": x}, record=["n1.v", "n1.spikes", "n1.in"])
    # 0.75; 0.375 + 0.75 = 1.125 fires, 0.125 is left; 0.0625 + 0.75; 0.40625 - 1
    assert result.trace["n1.v"].ravel().tolist() == [0.75, 0.125, 0.8125, -0.59375]
    assert result.outputs["n2"].ravel().tolist() == [0, 1, 0, 0]
    assert result.outputs["n2"].dtype == np.uint8
    assert result.trace["n1.in"].ravel().tolist() == x.ravel().tolist()
    assert result.spikes == {"n1": 1}


def test_golden_keeps_float32_in_float32() -> None:
    graph = chain(reals(1), neuron(1, 0.1), Output((1,)))
    x = np.full((3, 1, 1), 0.3)
    result = golden.simulate(graph, {"n0": x}, dtype=np.float32)
    v, expected = np.float32(0), []
    for _ in range(3):
        v = np.float32(0.1) * v + np.float32(0.3)
        expected.append(v)
    assert result.outputs["n2"].dtype == np.float32
    assert result.outputs["n2"].ravel().tolist() == expected


def test_golden_reads_every_dtype_of_input_alike() -> None:
    graph = chain(spikes(5), Linear(Tensor(np.arange(15.0).reshape(3, 5))), neuron(3), Output((3,)))
    x = np.random.default_rng(0).random((4, 2, 5)) < 0.5
    expected = golden.simulate(graph, {"n0": x}).outputs["n3"]
    for dtype in (np.uint8, np.int64, np.float32, np.float64):
        got = golden.simulate(graph, {"n0": x.astype(dtype)}).outputs["n3"]
        np.testing.assert_array_equal(got, expected)


def test_golden_runs_more_rows_than_an_int16_partial_sum_holds() -> None:
    weight = Tensor(np.full((3, 1200), 127), NUMBER)
    exact = Accumulator(FixedPoint(32, True, 0), Rounding.FLOOR, Overflow.PROVED_ABSENT)
    graph = chain(spikes(1200), Linear(weight, None, exact), Output((3,)))
    result = golden.simulate(graph, {"n0": np.ones((2, 1, 1200))})
    assert (result.outputs["n2"] == 1200 * 127).all()


def test_golden_runs_weights_of_32_bits_and_sums_beyond() -> None:
    number = FixedPoint(32, True, 0)
    weight = Tensor(np.full((2, 9), number.highest), number)
    exact = Accumulator(FixedPoint(40, True, 0), Rounding.FLOOR, Overflow.PROVED_ABSENT)
    graph = chain(spikes(9), Linear(weight, None, exact), Output((2,)))
    result = golden.simulate(graph, {"n0": np.ones((1, 1, 9))})
    assert (result.outputs["n2"] == 9 * number.highest).all()


WINDOWS = [
    ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((5, 3), (2, 1), ((2, 0), (0, 3)), (1, 2)),
    ((1, 4), (3, 2), ((0, 1), (2, 2)), (1, 1)),
    ((2, 2), (1, 3), ((0, 0), (1, 0)), (3, 2)),
    ((1, 1), (4, 4), ((3, 0), (3, 0)), (1, 1)),
    ((3,), (2,), ((1, 2),), (2,)),
    ((4,), (1,), ((3, 3),), (1,)),
]
"""Kernel, stride, padding, dilation."""


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", [SignalKind.SPIKE, SignalKind.REAL])
def test_golden_convolves_as_defined(window: Any, groups: int, kind: SignalKind) -> None:
    rng = np.random.default_rng(7)
    kernel, stride, padding, dilation = window
    in_shape = (4, 7, 6)[: len(kernel) + 1]
    weight = Tensor(rng.integers(-64, 64, (8, 4 // groups, *kernel)) / 64)
    bias = Tensor(rng.integers(-64, 64, 8) / 64)
    conv = Conv(in_shape, weight, bias, stride, padding, dilation, groups)
    graph = chain(Input(Signal(in_shape, kind)), conv, Output(output_shape(conv)))
    x = (rng.random((3, 2, *in_shape)) < 0.4).astype(np.float64)
    if kind is SignalKind.REAL:
        x *= rng.integers(-8, 8, x.shape)
    assert_equal_to_reference(graph, {"n0": x}, dtype=np.float64)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("pooling", list(Pooling))
@pytest.mark.parametrize("kind", [SignalKind.SPIKE, SignalKind.REAL])
def test_golden_pools_as_defined(window: Any, pooling: Pooling, kind: SignalKind) -> None:
    rng = np.random.default_rng(8)
    kernel, stride, padding, _ = window
    padding = tuple((min(a, k - 1), min(b, k - 1)) for (a, b), k in zip(padding, kernel, strict=True))
    in_shape = (3, 7, 6)[: len(kernel) + 1]
    pool = Pool(in_shape, pooling, kernel, stride, padding)
    graph = chain(Input(Signal(in_shape, kind)), pool, Output(output_shape(pool)))
    x = (rng.random((3, 2, *in_shape)) < 0.3).astype(np.float64)
    if kind is SignalKind.REAL:
        x *= rng.integers(-8, 8, x.shape)
    assert_equal_to_reference(graph, {"n0": x}, dtype=np.float64)


def test_golden_pools_the_maximum_of_negative_values_without_padding() -> None:
    pool = Pool((1, 3), Pooling.MAX, (2,), (1,), ((1, 0),))
    graph = chain(reals(1, 3), pool, Output((1, 3)))
    x = np.array([-3.0, -2.0, -5.0]).reshape(1, 1, 1, 3)
    assert golden.simulate(graph, {"n0": x}).outputs["n2"].ravel().tolist() == [-3, -2, -2]


def test_golden_uses_the_old_current_when_told() -> None:
    synapse = Synapse(Tensor(0.5), None, CurrentUsed.OLD, Tensor(2.0))
    graph = chain(reals(1), replace(neuron(1, 1.0), synapse=synapse), Output((1,)))
    result = golden.simulate(graph, {"n0": np.ones((2, 1, 1))}, record=["n1.i"])
    assert result.trace["n1.i"].ravel().tolist() == [2.0, 2.0]
    assert result.outputs["n2"].ravel().tolist() == [2.0, 4.0]


def test_golden_tells_its_progress() -> None:
    graph = chain(spikes(1), neuron(1, 0.5, fire()), Output((1,)))
    said: list[tuple[int, int]] = []
    golden.simulate(graph, {"n0": np.ones((4, 3, 1))}, threads=1, progress=lambda *at: said.append(at))
    assert said[-1] == (12, 12)
    assert [done for done, _ in said] == sorted(done for done, _ in said)


# ---- refusals ---------------------------------------------------------------------------------------------


def refusal(graph: Graph, inputs: dict[str, Any], record: tuple[str, ...] = ()) -> str:
    with pytest.raises(CompileError) as caught:
        golden.simulate(graph, inputs, record=record)
    return str(caught.value)


def test_golden_refuses_a_recording_of_what_is_not_there() -> None:
    graph = chain(spikes(1), neuron(1, 0.5, fire()), Output((1,)))
    x = {"n0": np.ones((1, 1, 1))}
    assert "did you mean `n1.v`" in refusal(graph, x, ("n11.v",))
    text = refusal(graph, x, ("n1.i",))
    assert "NMC505" in text
    assert "`v`, `spikes`, `in`, `out`" in text


def test_golden_refuses_seconds() -> None:
    graph = chain(spikes(1), DelayLine((1,), Tensor(1e-3)), Output((1,)))
    assert "NMC506" in refusal(graph, {"n0": np.ones((1, 1, 1))})


def test_golden_refuses_reals_among_integers() -> None:
    weight = Tensor(np.ones((1, 1), np.int64), NUMBER)
    exact = Accumulator(FixedPoint(32, True, 0), Rounding.FLOOR, Overflow.PROVED_ABSENT)
    graph = chain(spikes(1), Linear(weight, None, exact), Linear(Tensor(np.ones((1, 1)))), Output((1,)))
    text = refusal(graph, {"n0": np.ones((1, 1, 1))})
    assert "NMC508" in text
    assert "`n2`" in text
