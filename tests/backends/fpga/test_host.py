"""A host through the simulated serial line: events in and out, weights read and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmc.backends.fpga import emit, files, machine, verilator
from nmc.backends.fpga.adapters import CREDIT, QUEUE
from nmc.backends.fpga.host import Command, Host, weight_address
from nmc.backends.fpga.program import Design, Io
from nmc.backends.fpga.serial import SimulatedPort
from nmc.ir.graph import Graph
from nmc.ir.ops import Conv, Linear, Sparse
from nmc.ir.tensor import Tensor
from tests.backends.fpga.nets import compiled, random_net
from tests.backends.fpga.test_verilator import needs, put
from tests.passes import nets


def folder_of(graph: Graph, tmp_path: Path, *, runtime: bool = True) -> Design:
    found = files.write(emit.lower(graph, part="ecp5-85", io=Io.UART, runtime=runtime))
    put(found, tmp_path)
    return files.read(found)


def small(seed: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    layers = [
        ("fc1", nets.linear(rng, 9, 6)), ("lif1", nets.lif((9,))),
        ("fc2", nets.linear(rng, 5, 9)), ("lif2", nets.lif((5,))),
    ]  # fmt: skip
    return compiled(nets.chain(*layers, shape=(6,)), weight_bits="6", lanes="3", weights="runtime")


@pytest.mark.parametrize("seed", [105, 110, 111, 122])
def test_host_runs_random_networks_as_the_machine_does(seed: int, tmp_path: Path) -> None:
    needs(verilator.ICARUS)
    net = random_net(seed)
    design = folder_of(net.graph, tmp_path)
    inputs = {name: values[:4, :1] for name, values in net.inputs.items()}
    expected = machine.result("machine", design, machine.run(design, inputs), inputs, ()).outputs
    with SimulatedPort(tmp_path, verilator.ICARUS) as port:
        found = Host(port, tmp_path).run(inputs)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.slow
def test_host_runs_in_verilator_too_and_never_overruns_the_queue(tmp_path: Path) -> None:
    """An event takes the core 300 cycles, and its three bytes take the line 240: the queue would run over."""
    needs(verilator.VERILATOR)
    rng = np.random.default_rng(0)
    layers = [("fc", nets.linear(rng, 300, 400, mean=0.0)), ("lif", nets.lif((300,)))]
    graph = compiled(nets.chain(*layers, shape=(400,)), weight_bits="6", lanes="1")
    design = folder_of(graph, tmp_path, runtime=False)
    inputs = {"x": (rng.random((4, 2, 400)) < 0.9).astype(np.int64)}
    expected = machine.result("machine", design, machine.run(design, inputs), inputs, ()).outputs["y"]
    assert (inputs["x"][0].sum() + 1) * 3 > QUEUE + CREDIT
    with SimulatedPort(tmp_path) as port:
        np.testing.assert_array_equal(Host(port, tmp_path).run(inputs)["y"], expected)


def test_weights_are_read_and_written_while_the_design_runs(tmp_path: Path) -> None:
    needs(verilator.ICARUS)
    graph = small()
    design = folder_of(graph, tmp_path)
    rng = np.random.default_rng(1)
    first, second = graph["fc1"].op, graph["fc2"].op
    assert isinstance(first, Linear) and isinstance(second, Linear)
    matrix = first.weight.data
    inputs = {"x": (rng.random((8, 1, 6)) < 0.5).astype(np.int64)}
    with SimulatedPort(tmp_path, verilator.ICARUS) as port:
        host = Host(port, tmp_path)
        assert host.read_weight("fc1", 8, 5) == matrix[8, 5]
        before = host.run(inputs)["y"]
        changed = rng.integers(-32, 32, (5, 9))
        for post, pre in np.ndindex(changed.shape):
            host.write_weight("fc2", post, pre, int(changed[post, pre]))
        np.testing.assert_array_equal(host.weights("fc2"), changed)
        np.testing.assert_array_equal(host.weights("fc1"), matrix)
        after = host.run(inputs)["y"]
    other = graph.replace_nodes({"fc2": replace(second, weight=Tensor(changed, second.weight.number))})
    twin = emit.lower(other, part="ecp5-85", io=Io.UART, runtime=True)
    ran = machine.result("machine", design, machine.run(design, inputs), inputs, ()).outputs["y"]
    ran_twin = machine.result("machine", twin, machine.run(twin, inputs), inputs, ()).outputs["y"]
    np.testing.assert_array_equal(before, ran)
    np.testing.assert_array_equal(after, ran_twin)
    assert (before != after).any()


def test_kernel_of_a_convolution_is_written_once_for_all_places() -> None:
    rng = np.random.default_rng(0)
    shape = (1, 5, 5)
    kernel = Tensor(rng.normal(0, 0.5, (2, 1, 3, 3)))
    conv = Conv(shape, kernel, None, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    graph = nets.chain(("conv", conv), ("lif", nets.lif((2, 3, 3))), shape=shape)
    placed = compiled(graph, lanes="2", weights="runtime")
    design = emit.lower(placed, part="ecp5-85", runtime=True)
    legs = [(layer, leg) for layer in design.layers for leg in layer.legs]
    corner = weight_address(design, legs, post=0, pre=0)
    assert weight_address(design, legs, post=1, pre=1) == corner
    assert weight_address(design, legs, post=0, pre=1) != corner
    with pytest.raises(ValueError, match="`conv` has no synapse from neuron 24 to neuron 0"):
        weight_address(design, legs, post=0, pre=24)


def test_lane_of_a_table_row_without_a_synapse_has_no_address() -> None:
    """One word of three lanes: the row of source 0 has a synapse in the first alone."""
    pre, post = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2])
    weight = Tensor(np.array([0.2, 0.5, -0.5, 0.3]))
    sparse = Sparse((3,), (3,), Tensor(pre), Tensor(post), weight, Tensor(np.zeros(4, np.int64)))
    placed = compiled(
        nets.chain(("fc", sparse), ("lif", nets.lif((3,))), shape=(3,)), lanes="3", weights="runtime"
    )
    design = files.read(files.write(emit.lower(placed, part="ecp5-85", runtime=True)))
    legs = [(layer, leg) for layer in design.layers for leg in layer.legs]
    found = {weight_address(design, legs, post=b, pre=a) for a, b in zip(pre, post, strict=True)}
    assert len(found) == len(pre)
    with pytest.raises(ValueError, match="`fc` has no synapse from neuron 0 to neuron 1"):
        weight_address(design, legs, post=1, pre=0)


class Scripted:
    """A port whose answers are given, a byte at a time."""

    def __init__(self, answers: bytes) -> None:
        self.answers, self.sent = answers, b""

    def read(self, size: int) -> bytes:
        _ = size
        found, self.answers = self.answers[:1], self.answers[1:]
        return found

    def write(self, data: bytes) -> int:
        self.sent += data
        return len(data)


READY = bytes([Command.CREDIT << 5, Command.HELLO << 5, Command.TICK << 5, Command.RESET << 5])


def test_host_says_hello_and_drops_what_came_before_the_reset(tmp_path: Path) -> None:
    folder_of(small(), tmp_path)
    port = Scripted(READY + bytes([Command.EVENT << 5, 3, Command.TICK << 5]))
    host = Host(port, tmp_path)
    assert port.sent == bytes([*[0] * 8, Command.HELLO << 5, Command.RESET << 5])
    assert host.step({"x": {2: 1, 5: 1}}) == {"y": {3: 1}}
    event = Command.EVENT << 5
    assert port.sent.endswith(bytes([event, 2, event, 5, Command.TICK << 5]))


def test_host_refuses_what_is_not_there(tmp_path: Path) -> None:
    folder_of(small(), tmp_path)
    host = Host(Scripted(READY), tmp_path)
    with pytest.raises(ValueError, match="input `x` has no neuron 6"):
        host.step({"x": {6: 1}})
    with pytest.raises(ValueError, match="no input `z`"):
        host.step({"z": {0: 1}})
    with pytest.raises(ValueError, match="no connection `fc9`"):
        host.read_weight("fc9", 0, 0)
    with pytest.raises(ValueError, match="no synapse from neuron 6"):
        host.read_weight("fc1", 0, 6)
    with pytest.raises(ValueError, match="weight 32 does not fit 6 bits"):
        host.write_weight("fc1", 0, 0, 32)
    with pytest.raises(TimeoutError):
        host.step({})


def test_host_refuses_constant_weights_and_other_ports(tmp_path: Path) -> None:
    folder_of(small(), tmp_path, runtime=False)
    with pytest.raises(ValueError, match="weights=constant"):
        Host(Scripted(READY), tmp_path).read_weight("fc1", 0, 0)
    put(files.write(emit.lower(small(), part="ecp5-85")), tmp_path)
    with pytest.raises(ValueError, match="io=stream"):
        Host(Scripted(READY), tmp_path)
