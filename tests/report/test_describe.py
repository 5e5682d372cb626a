"""A network in words: sizes, equations, loops and delays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Conv,
    Delay,
    Fire,
    Flatten,
    Input,
    Linear,
    Membrane,
    Neuron,
    Ode,
    Output,
    Pool,
    Pooling,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
    Threshold,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.report import describe

ZERO = Tensor(0.0)


def neuron(
    shape: tuple[int, ...], *, reset: Reset = Reset.TO_VALUE, synapse: Synapse | None = None
) -> Neuron:
    fire = Fire(
        Tensor(1.0), Comparison.ABOVE, SpikeFrom.NEW, reset, ResetWhen.SAME_STEP, ZERO, Tensor(np.int64(0))
    )
    return Neuron(shape, synapse, Membrane(Tensor(0.9), None, None, None, ZERO), fire)


def chain(*nodes: tuple[str, object]) -> Graph:
    made = tuple(Node(name, op) for name, op in nodes)  # type: ignore[arg-type]
    return Graph(made, tuple(Edge(a.name, b.name) for a, b in pairwise(made)))


SPIKES = Signal((4,), SignalKind.SPIKE)


def test_layers_counts_neurons_and_synapses() -> None:
    graph = chain(
        ("in", Input(SPIKES)),
        ("fc1", Linear(Tensor(np.ones((3, 4))))),
        ("lif1", neuron((3,))),
        ("fc2", Linear(Tensor(np.ones((2, 3), np.int64), FixedPoint(8, True, -4)))),
        ("lif2", neuron((2,))),
        ("out", Output((2,))),
    )
    first, second = describe.layers(graph)
    assert (first.name, first.kind, first.neurons, first.synapses, first.bits) == ("lif1", "lif", 3, 12, None)
    assert (second.name, second.neurons, second.synapses, second.bits) == ("lif2", 2, 6, 8)


def test_layers_shows_an_output_that_synapses_reach_directly() -> None:
    graph = chain(("in", Input(SPIKES)), ("fc", Linear(Tensor(np.ones((3, 4))))), ("out", Output((3,))))
    (only,) = describe.layers(graph)
    assert (only.name, only.kind, only.neurons, only.synapses) == ("out", "output", 0, 12)


def brute_force_taps(op: Conv) -> int:
    """Every (output position, kernel position) that meets the image, counted one by one."""
    _, height, width = op.in_shape
    (top, bottom), (left, right) = op.padding
    rows, columns = op.weight.shape[2:]
    total = 0
    for y in range(-top, height + bottom - op.dilation[0] * (rows - 1), op.stride[0]):
        for x in range(-left, width + right - op.dilation[1] * (columns - 1), op.stride[1]):
            for r in range(rows):
                for c in range(columns):
                    inside = 0 <= y + r * op.dilation[0] < height and 0 <= x + c * op.dilation[1] < width
                    total += inside
    return total * op.weight.shape[0] * op.weight.shape[1]


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 2), (0, 1))])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
def test_synapse_count_of_a_convolution_leaves_padding_out(
    stride: tuple[int, int], padding: tuple[tuple[int, int], ...], dilation: tuple[int, int]
) -> None:
    op = Conv((2, 6, 7), Tensor(np.ones((4, 1, 3, 2))), None, stride, padding, dilation, 2)
    assert describe.synapse_count(op) == brute_force_taps(op)


def test_synapse_count_of_a_pool_counts_its_windows() -> None:
    op = Pool((3, 4, 4), Pooling.SUM, (2, 2), (2, 2), ((0, 0), (0, 0)))
    assert describe.synapse_count(op) == 3 * 4 * 4


def test_loops_finds_recurrence_and_its_delay() -> None:
    graph = Graph(
        (
            Node("in", Input(SPIKES)),
            Node("lif", neuron((4,))),
            Node("rec", Linear(Tensor(np.ones((4, 4))))),
            Node("out", Output((4,))),
        ),
        (Edge("in", "lif"), Edge("lif", "rec", 1), Edge("rec", "lif"), Edge("lif", "out")),
    )
    (loop,) = describe.loops(graph)
    assert (set(loop.nodes), loop.delay) == ({"lif", "rec"}, 1)
    assert describe.delays(graph) == ("`lif` -> `rec`: 1 step",)


def test_loops_is_empty_for_a_feed_forward_network() -> None:
    assert describe.loops(chain(("in", Input(SPIKES)), ("lif", neuron((4,))), ("out", Output((4,))))) == ()


def test_delays_names_delay_nodes_and_delayed_synapses() -> None:
    pre = Tensor(np.arange(4))
    delayed = Sparse((4,), (4,), pre, pre, Tensor(np.ones(4)), Tensor(np.arange(4)))
    graph = chain(("in", Input(SPIKES)), ("d", Delay((4,), Tensor(np.int64(5)))), ("syn", delayed))
    assert describe.delays(graph) == ("`d`: 5 steps", "`syn`: 0..3 steps, synapse by synapse")


def test_equation_of_a_lif_says_leak_threshold_and_reset() -> None:
    assert describe.equation(neuron((3,))) == (
        "v = 0.9 * v + x",
        "spike when v > 1",
        "a spike sets v to 0 in the same step",
    )


def test_equation_shows_the_range_of_a_parameter_that_differs_between_neurons() -> None:
    op = neuron((3,))
    membrane = Membrane(Tensor(np.array([0.5, 0.7, 0.9])), Tensor(0.1), Tensor(0.2), Tensor(-1.0), ZERO)
    lines = describe.equation(Neuron((3,), None, membrane, op.fire))
    assert lines[0] == "v = 0.5..0.9 * v + 0.1 * x + 0.2"
    assert lines[-1] == "v is kept at -1 or above"


def test_equation_says_which_current_drives_the_membrane() -> None:
    synapse = Synapse(Tensor(0.8), None, CurrentUsed.OLD, ZERO)
    lines = describe.equation(neuron((3,), reset=Reset.SUBTRACT, synapse=synapse))
    assert lines == (
        "i = 0.8 * i + x",
        "v = 0.9 * v + i(t-1)",
        "spike when v > 1",
        "a spike takes the threshold from v in the same step",
    )


def test_equation_of_a_current_that_keeps_nothing_is_its_input() -> None:
    synapse = Synapse(Tensor(0.0), None, CurrentUsed.NEW, ZERO)
    assert describe.equation(neuron((3,), synapse=synapse))[:2] == ("i = x", "v = 0.9 * v + i")


def test_equation_of_an_ode_is_differential() -> None:
    op = Ode((2,), Tensor(0.005), None, Tensor(0.02), Tensor(2.0), Tensor(0.0), Tensor(1.0), None)
    assert describe.equation(op) == (
        "0.005 s * di/dt = -i + x",
        "0.02 s * dv/dt = -v + 2 * i",
        "spike when v exceeds 1; whether the reset is to 0 or by the threshold is decided with the step",
    )


def test_equation_of_a_threshold_has_no_state() -> None:
    assert describe.equation(Threshold((2,), Tensor(0.5), Comparison.AT_LEAST)) == ("spike when x >= 0.5",)


def test_equation_of_a_flatten_is_nothing() -> None:
    assert describe.equation(Flatten((2, 3), 0, 1)) == ()
