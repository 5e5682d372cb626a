"""Loops, scans and conditionals by hand, and steps folded into samples, beside the same neuron in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nmc.frontend.onnx import load
from nmc.ir.graph import Graph
from nmc.ir.ops import Family, Linear, Neuron
from nmc.sim.golden import simulate
from nmc.sim.interchange import from_steps, inputs_to_steps, layout_of
from tests.frontend.onnx.test_einsum import saved
from tests.frontend.onnx.test_refusals import refused

STEPS, SAMPLES, INPUTS, NEURONS = 6, 3, 5, 4
RNG = np.random.default_rng(0)
X = (RNG.random((STEPS, SAMPLES, INPUTS)) < 0.5).astype(np.float32)
CONSTANTS = {
    "w": RNG.normal(0.3, 0.7, (INPUTS, NEURONS)).astype(np.float32),
    "zero": np.zeros((SAMPLES, NEURONS), np.float32),
    "decay": np.float32(0.9),
    "one": np.float32(1),
    "first": np.int64(1),
    "trips": np.int64(STEPS),
    "going": np.array(True),
}


def reference() -> np.ndarray:
    """The spikes of a membrane that decays and loses its threshold, (steps, samples, neurons)."""
    v, spikes = CONSTANTS["zero"], []
    for x in X:
        h = np.float32(0.9) * v + x @ CONSTANTS["w"]
        spikes.append((h > 1).astype(np.float32))
        v = h - spikes[-1]
    assert 0.1 < np.mean(spikes) < 0.9
    return np.stack(spikes)


def step(x: str, before: str, after: str, spikes: str, t: str = "") -> list[onnx.NodeProto]:
    """One step of the neuron and of the layer before it."""
    return [
        helper.make_node("MatMul", [x, "w"], [f"c{t}"]),
        helper.make_node("Mul", [before, "decay"], [f"d{t}"]),
        helper.make_node("Add", [f"d{t}", f"c{t}"], [f"h{t}"]),
        helper.make_node("Greater", [f"h{t}", "one"], [f"a{t}"]),
        helper.make_node("Cast", [f"a{t}"], [spikes], to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"h{t}", spikes], [after]),
    ]


def body(nodes: list[onnx.NodeProto], inputs: dict[str, int], outputs: dict[str, int]) -> onnx.GraphProto:
    """A subgraph; its ports have types, and no shapes."""
    ports = (
        [helper.make_tensor_value_info(name, kind, None) for name, kind in given.items()]
        for given in (inputs, outputs)
    )
    return helper.make_graph(nodes, "body", *ports)


def loop(nodes: list[onnx.NodeProto], *, limit: str = "trips", go_on: str = "go") -> list[onnx.NodeProto]:
    """A loop that takes row `i` of the input in each turn and gives the spikes of all."""
    inside = body(
        [helper.make_node("Gather", ["x", "i"], ["now"], axis=0), *nodes],
        {"i": TensorProto.INT64, "go": TensorProto.BOOL, "v": TensorProto.FLOAT},
        {go_on: TensorProto.BOOL, "v_out": TensorProto.FLOAT, "s": TensorProto.FLOAT},
    )
    return [helper.make_node("Loop", [limit, "going", "zero"], ["v_end", "y"], body=inside, name="turns")]


def scan(*, batch_first: bool) -> list[onnx.NodeProto]:
    """A scan over the steps of the input, which are its axis 0 or 1."""
    inside = body(
        step("now", "v", "v_out", "s"),
        {"v": TensorProto.FLOAT, "now": TensorProto.FLOAT},
        {"v_out": TensorProto.FLOAT, "s": TensorProto.FLOAT},
    )
    axes = {"scan_input_axes": [1], "scan_output_axes": [1]} if batch_first else {}
    return [helper.make_node("Scan", ["zero", "x"], ["v_end", "y"], body=inside, num_scan_inputs=1, **axes)]


def reset(condition: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """A step that is reset in one branch of a conditional, and not in the other."""
    then = body([helper.make_node("Sub", ["h", "s"], ["after"])], {}, {"after": TensorProto.FLOAT})
    other = body([helper.make_node("Identity", ["h"], ["kept"])], {}, {"kept": TensorProto.FLOAT})
    choice = helper.make_node("If", ["chosen"], ["v_out"], then_branch=then, else_branch=other, name="choice")
    return [
        *step("now", "v", "unused", "s"),
        *condition,
        choice,
        helper.make_node("Identity", ["go"], ["go_on"]),
    ]


def written(folder: Path, nodes: list[onnx.NodeProto], *, batch_first: bool = False) -> Path:
    first = (SAMPLES, STEPS) if batch_first else (STEPS, SAMPLES)
    return saved(folder, nodes, {"x": (*first, INPUTS)}, {"y": (*first, NEURONS)}, **CONSTANTS)


def agrees(graph: Graph, x: np.ndarray, wanted: np.ndarray) -> None:
    """Whether a graph is one layer and one neuron that spikes as numpy does, in the axes of the file."""
    assert sum(isinstance(node.op, Linear) for node in graph.nodes) == 1
    (neuron,) = (node.op for node in graph.nodes if isinstance(node.op, Neuron))
    assert neuron.family is Family.LIF
    layout = layout_of(graph, "y")
    assert layout is not None
    got = simulate(graph, inputs_to_steps(graph, {"x": x}, STEPS), dtype=np.float32).outputs["y"]
    np.testing.assert_array_equal(from_steps(layout, got), wanted)


def test_loop_with_a_limit_is_one_step(tmp_path: Path) -> None:
    nodes = [*step("now", "v", "v_out", "s"), helper.make_node("Identity", ["go"], ["go_on"])]
    agrees(load(written(tmp_path, loop(nodes, go_on="go_on"))), X, reference())


def test_loop_that_ends_by_its_condition_is_one_step(tmp_path: Path) -> None:
    condition = [
        helper.make_node("Add", ["i", "first"], ["next"]),
        helper.make_node("Less", ["next", "trips"], ["go_on"]),
    ]
    nodes = [*step("now", "v", "v_out", "s"), *condition]
    agrees(load(written(tmp_path, loop(nodes, limit="", go_on="go_on"))), X, reference())


@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
def test_scan_is_one_step(tmp_path: Path, batch_first: bool) -> None:
    path = written(tmp_path, scan(batch_first=batch_first), batch_first=batch_first)
    turn = (1, 0, 2) if batch_first else (0, 1, 2)
    agrees(load(path), X.transpose(turn), reference().transpose(turn))


def test_conditional_inside_a_loop_takes_the_branch_of_its_constant(tmp_path: Path) -> None:
    always = [helper.make_node("Less", ["i", "trips"], ["chosen"])]
    agrees(load(written(tmp_path, loop(reset(always), go_on="go_on"))), X, reference())


def test_conditional_on_the_input_is_refused_at_its_node(tmp_path: Path) -> None:
    open_ended = [
        helper.make_node("ReduceSum", ["now"], ["all"], keepdims=0),
        helper.make_node("Greater", ["all", "one"], ["chosen"]),
    ]
    finding = refused(written(tmp_path, loop(reset(open_ended), go_on="go_on")))
    assert (finding.code, finding.loc.node) == ("NMC055", "choice")
    assert "depends on the input" in finding.message


def folded(folder: Path) -> Path:
    """Steps and samples in one axis, cut into steps by a split that does not say of how many samples each is."""
    nodes = [helper.make_node("Split", ["x"], [f"x{t}" for t in range(STEPS)], axis=0)]
    before = "zero"
    for t in range(STEPS):
        nodes += step(f"x{t}", before, f"v{t}", f"s{t}", str(t))
        before = f"v{t}"
    nodes.append(helper.make_node("Concat", [f"s{t}" for t in range(STEPS)], ["y"], axis=0))
    rows = STEPS * SAMPLES
    return saved(folder, nodes, {"x": (rows, INPUTS)}, {"y": (rows, NEURONS)}, **CONSTANTS)


def test_steps_folded_into_samples_are_read_if_their_number_is_given(tmp_path: Path) -> None:
    graph = load(folded(tmp_path), steps=STEPS)
    agrees(graph, X.reshape(-1, INPUTS), reference().reshape(-1, NEURONS))


def test_steps_folded_into_samples_without_their_number_are_refused(tmp_path: Path) -> None:
    finding = refused(folded(tmp_path))
    assert "--steps-in-file" in finding.help


@pytest.mark.parametrize(("steps", "code"), [(4, "NMC055"), (3, "NMC060")], ids=["no divisor", "divisor"])
def test_wrong_number_of_folded_steps_is_refused(tmp_path: Path, steps: int, code: str) -> None:
    assert refused(folded(tmp_path), steps=steps).code == code
