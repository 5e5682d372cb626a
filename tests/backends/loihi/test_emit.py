"""What a graph becomes as a program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.loihi import files, machine
from nmc.backends.loihi.emit import emit, lower
from nmc.backends.loihi.program import Conv, Dense, Network, Sparse
from nmc.diagnostics import CompileError
from nmc.ir import ops
from nmc.ir.graph import Edge, Graph, Node, Slice, replace_graph
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Shape
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.sim import golden
from nmc.sim.compare import first_divergence


def lif(shape: Shape, *, decay: float | None = 0.9, reset: Reset = Reset.TO_VALUE) -> ops.Neuron:
    zero = Tensor(np.float64(0))
    fire = ops.Fire(
        Tensor(np.float64(1)),
        Comparison.ABOVE,
        SpikeFrom.NEW,
        reset,
        ResetWhen.SAME_STEP,
        zero,
        Tensor(np.int64(0)),
    )
    membrane = ops.Membrane(None if decay is None else Tensor(np.float64(decay)), None, None, None, zero)
    return ops.Neuron(shape, None, membrane, fire)


def chain(shape: Shape, op: ops.Op, *, delay: int = 0, neuron: ops.Neuron | None = None) -> Graph:
    """Input, `op`, neurons, output."""
    out = ops.output_shape(op)
    return Graph(
        (
            Node("in", ops.Input(ops.Signal(shape, ops.SignalKind.SPIKE))),
            Node("w", op),
            Node("l", neuron or lif(out)),
            Node("o", ops.Output(out)),
        ),
        (Edge("in", "w", delay), Edge("w", "l"), Edge("l", "o")),
    )


def compiled(graph: Graph, **settings: str) -> tuple[Graph, Network]:
    lowered = driver.lower(graph, target="loihi", request=Request(settings=settings))
    return lowered, lower(lowered)


def assert_machine_is_golden(graph: Graph, network: Network) -> None:
    random = np.random.default_rng(0)
    inputs = {
        node.name: (random.random((20, 2, *ops.output_shape(node.op))) < 0.5).astype(np.uint8)
        for node in graph.inputs
    }
    expected = golden.simulate(graph, inputs, record=["l.v", "l.i", "l.spikes"])
    got = machine.simulate(files.write(network), inputs, ("l",))
    assert first_divergence(expected, got) is None
    assert got.spikes["l"] > 0


WEIGHT = np.array([[0.9, -0.45, 0.2], [0.1, 0.5, 1.1]])


def test_a_linear_layer_becomes_even_weights_and_a_stock_neuron() -> None:
    graph, network = compiled(chain((3,), ops.Linear(Tensor(WEIGHT))))
    (connection,) = network.connections
    assert isinstance(connection, Dense)
    assert connection.delay is None
    weights = graph["w"].op
    assert isinstance(weights, ops.Linear)
    assert connection.weight.data.tolist() == (2 * weights.weight.data.astype(int)).tolist()
    assert connection.exponent == 0
    (population,) = network.populations
    assert population.stock
    assert population.current_decay.data == 4095
    assert population.voltage_decay.data == 4096 - round(0.9 * 4096)
    assert network.outputs[0].of == "l"
    assert_machine_is_golden(graph, network)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_of_fewer_bits_stand_at_the_upper_bits(bits: int) -> None:
    graph, network = compiled(chain((3,), ops.Linear(Tensor(WEIGHT))), weight_bits=str(bits))
    (connection,) = network.connections
    assert isinstance(connection, Dense)
    assert connection.weight_bits == bits
    assert not (connection.weight.data % (1 << (9 - bits))).any()
    assert_machine_is_golden(graph, network)


def test_a_delay_on_an_edge_is_a_delay_of_every_synapse() -> None:
    graph, network = compiled(chain((3,), ops.Linear(Tensor(WEIGHT)), delay=4))
    (connection,) = network.connections
    assert isinstance(connection, Dense)
    assert connection.delay is not None
    assert set(connection.delay.data.ravel().tolist()) == {3}  # one step is the connection's own
    assert_machine_is_golden(graph, network)


def conv(padding: tuple[tuple[int, int], ...] = ((1, 1), (0, 0))) -> ops.Conv:
    weight = np.random.default_rng(1).normal(0.2, 0.5, (4, 1, 3, 2))
    return ops.Conv((2, 6, 5), Tensor(weight), None, (2, 1), padding, (1, 1), 2)


def test_a_convolution_is_lavas_with_flipped_kernels() -> None:
    graph, network = compiled(chain((2, 6, 5), conv()))
    (connection,) = network.connections
    assert isinstance(connection, Conv)
    weight = graph["w"].op
    assert isinstance(weight, ops.Conv)
    assert connection.weight.shape == (4, 2, 3, 1)
    assert connection.weight.data[2, 0, 1, 0] == 2 * int(weight.weight.data[2, 0, 1, 1])
    assert (connection.stride, connection.padding, connection.groups) == ((1, 2), (0, 1), 2)
    assert_machine_is_golden(graph, network)


def test_a_convolution_over_one_axis_is_one_over_x() -> None:
    weight = np.random.default_rng(1).normal(0.2, 0.5, (3, 2, 3))
    op = ops.Conv((2, 9), Tensor(weight), None, (2,), ((1, 1),), (1,), 1)
    graph, network = compiled(chain((2, 9), op))
    (connection,) = network.connections
    assert isinstance(connection, Conv)
    assert connection.weight.shape == (3, 3, 1, 2)
    assert (connection.stride, connection.padding, connection.dilation) == ((2, 1), (1, 0), (1, 1))
    assert_machine_is_golden(graph, network)


@pytest.mark.parametrize(("op", "delay"), [(conv(((1, 0), (0, 1))), 0), (conv(), 3)])
def test_a_convolution_that_lavas_cannot_be_becomes_synapses(op: ops.Conv, delay: int) -> None:
    """Padding on one side only; a delay, which Lava's convolution has not."""
    graph, network = compiled(chain((2, 6, 5), op, delay=delay))
    (connection,) = network.connections
    assert isinstance(connection, Sparse)
    assert_machine_is_golden(graph, network)


def test_synapses_of_a_pair_with_several_delays_become_several_connections() -> None:
    pre, delay, post = [0, 0, 0, 1, 1], [0, 2, 5, 1, 4], [0, 0, 0, 0, 1]
    weight = Tensor([1.0, 0.5, -0.25, 0.75, 1.0])
    op = ops.Sparse((2,), (2,), Tensor(pre), Tensor(post), weight, Tensor(delay))
    graph, network = compiled(chain((2,), op))
    assert [connection.name for connection in network.connections] == ["w", "w.2", "w.3"]
    assert [connection.weight.size for connection in network.connections] == [3, 1, 1]
    assert_machine_is_golden(graph, network)


def test_a_reset_by_subtraction_is_a_programmed_neuron() -> None:
    graph, network = compiled(chain((3,), ops.Linear(Tensor(WEIGHT)), neuron=lif((2,), reset=Reset.SUBTRACT)))
    (population,) = network.populations
    assert not population.stock
    assert population.rule.reset is Reset.SUBTRACT
    assert_machine_is_golden(graph, network)


def test_a_readout_is_a_programmed_neuron_that_sends_its_membrane() -> None:
    graph, network = compiled(chain((3,), ops.Linear(Tensor(WEIGHT)), neuron=replace(lif((2,)), fire=None)))
    (population,) = network.populations
    assert not population.rule.fire
    inputs = {"in": np.ones((10, 1, 3), np.uint8)}
    expected = golden.simulate(graph, inputs, record=["l.v"])
    got = machine.simulate(files.write(network), inputs, ("l",))
    assert first_divergence(expected, got) is None
    assert got.outputs["o"].any()


def graded(exponent_bits: str, op: ops.Op) -> tuple[Graph, Network]:
    graph = chain(ops.input_shape(op), op)
    real = ops.Input(ops.Signal(ops.input_shape(op), ops.SignalKind.REAL))
    graph = graph.replace_nodes({"in": real})
    data = np.random.default_rng(0).random((6, 2, *ops.input_shape(op)))
    request = Request(calibration={"in": data}, settings={"message_bits": exponent_bits})
    lowered = driver.lower(graph, target="loihi", request=request)
    return lowered, lower(lowered)


def test_a_graded_input_is_a_message() -> None:
    graph, network = graded("6", ops.Linear(Tensor(WEIGHT)))
    assert network.sources[0].message_bits == 6
    assert network.connections[0].message_bits == 6
    inputs = {"in": np.random.default_rng(0).integers(0, 64, (20, 2, 3))}
    expected = golden.simulate(graph, inputs, record=["l.v", "l.i", "l.spikes"])
    got = machine.simulate(files.write(network), inputs, ("l",))
    assert first_divergence(expected, got) is None


def test_a_sum_over_delays_that_drops_bits_is_refused() -> None:
    op = ops.Sparse((2,), (1,), Tensor([0, 1]), Tensor([0, 0]), Tensor([1.0, 0.5]), Tensor([0, 3]))
    try:
        _, network = graded("8", op)
    except CompileError as refused:
        assert [finding.code for finding in refused.findings] == ["NMC400"]
    else:  # then nothing is dropped
        assert all(connection.exponent >= 0 for connection in network.connections)


def refused(graph: Graph) -> str:
    with pytest.raises(CompileError) as caught:
        lower(graph)
    (finding,) = caught.value.findings
    assert finding.code == "NMC400"
    return finding.message


def test_what_a_program_cannot_hold_is_a_finding_and_not_a_fault() -> None:
    graph, _ = compiled(chain((3,), ops.Linear(Tensor(WEIGHT))))
    weights, neurons = graph["w"].op, graph["l"].op
    assert isinstance(weights, ops.Linear)
    assert isinstance(neurons, ops.Neuron)
    assert neurons.fire is not None
    assert weights.weight.number is not None
    far = FixedPoint(8, True, weights.weight.number.exponent + 20)
    steep = replace(weights, weight=Tensor(weights.weight.data, far))
    assert "a weight exponent of 20; -8 to 7" in refused(graph.replace_nodes({"w": steep}))
    high = Tensor(1 << 17, FixedPoint(18, False, neurons.exponent + 6))
    tall = replace(neurons, fire=replace(neurons.fire, threshold=high))
    assert "do not fit 17 unsigned bits" in refused(graph.replace_nodes({"l": tall}))


def test_a_convolution_that_might_wrap_is_not_made_of_synapses() -> None:
    graph, _ = compiled(chain((2, 6, 5), conv(((1, 0), (0, 1)))))
    message = ops.Input(ops.Signal((2, 6, 5), ops.SignalKind.GRADED, FixedPoint(20, False, 0)))
    assert "may not fit 24 bits" in refused(graph.replace_nodes({"in": message}))


def test_inputs_enter_at_cores_of_their_own() -> None:
    _, network = compiled(chain((2000,), ops.Linear(Tensor(np.ones((2, 2000))))))
    assert network.cores == (
        Slice("l", 0, 2, 0),
        Slice("in", 0, 1024, 1),
        Slice("in", 1024, 2000, 2),
    )


def test_inputs_enter_where_there_is_room_on_a_full_chip() -> None:
    graph, _ = compiled(chain((3,), ops.Linear(Tensor(WEIGHT))))
    full = replace_graph(graph, placement=(Slice("l", 0, 1, 0), Slice("l", 1, 2, 127)))
    assert lower(full).cores[2:] == (Slice("in", 0, 3, 0),)


def test_inputs_for_which_no_core_has_room_are_refused() -> None:
    graph, _ = compiled(chain((3,), ops.Linear(Tensor(WEIGHT))))
    whole = tuple(Slice("l", 1024 * core, 1024 * (core + 1), core) for core in range(128))
    with pytest.raises(CompileError) as refused:
        lower(replace_graph(graph, placement=whole))
    assert [finding.code for finding in refused.value.findings] == ["NMC401"]


def test_emit_gives_files_a_script_and_what_they_take() -> None:
    graph, network = compiled(chain((3,), ops.Linear(Tensor(WEIGHT))))
    emitted = emit(graph)
    assert files.read(emitted.files) == network
    assert b"prepare_lava" in emitted.files["run_lava.py"]
    assert {resource.name: (resource.used, resource.limit) for resource in emitted.resources} == {
        "cores": (1, 128),
        "neurons_per_core": (2, 1024),
        "synaptic_words_per_core": (1, 16380),
        "input_axons_per_core": (3, 4096),
        "output_axons_per_core": (0, 4096),
    }
    assert emit(graph).files == emitted.files


def test_a_current_that_decays_is_lavas_current() -> None:
    zero = Tensor(np.float64(0))
    neuron = replace(lif((2,)), synapse=ops.Synapse(Tensor(np.float64(0.5)), None, CurrentUsed.NEW, zero))
    graph, network = compiled(chain((3,), ops.Linear(Tensor(WEIGHT)), neuron=neuron))
    assert network.populations[0].current_decay.data == 2047
    assert_machine_is_golden(graph, network)
