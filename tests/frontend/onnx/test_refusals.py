"""What is refused, with which code, at which node and with what way out; and options for what a file cannot say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nmc.diagnostics import CompileError, Diagnostic
from nmc.frontend.onnx import load
from nmc.ir.ops import Neuron


def constant(name: str, value: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def saved(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    constants: list[onnx.TensorProto],
) -> Path:
    """A model file; extra domains are imported."""

    def infos(ports: dict[str, list[int | str]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in ports.items()]

    graph = helper.make_graph(nodes, "g", infos(inputs), infos(outputs), constants)
    domains = {node.domain for node in nodes} - {""}
    imports = [helper.make_opsetid("", 17), *(helper.make_opsetid(each, 1) for each in sorted(domains))]
    file = path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=imports), file)
    return file


def refused(path: Path, **options: object) -> Diagnostic:
    with pytest.raises(CompileError) as caught:
        load(path, **options)  # type: ignore[arg-type]
    return caught.value.findings[0]


WEIGHT = constant("w", np.eye(4, dtype=np.float32))
ONE = constant("one", np.float32(1))


def neuron(state: str, after: str, before: str = "x") -> list[onnx.NodeProto]:
    return [
        helper.make_node("Gemm", [before, "w"], ["current"]),
        helper.make_node("Add", [state, "current"], ["h"]),
        helper.make_node("Greater", ["h", "one"], ["above"]),
        helper.make_node("Cast", ["above"], ["spikes"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["h", "spikes"], [after]),
    ]


def test_load_refuses_bytes_that_are_no_model(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"<html>not here</html>", bytes(range(256)) * 8)):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(data)
        assert refused(path).code == "NMC050"


def test_load_refuses_a_single_step_whose_state_is_lost(tmp_path: Path) -> None:
    zeros = constant("v", np.zeros((1, 4), np.float32))
    finding = refused(
        saved(tmp_path, neuron("v", "rest"), {"x": [1, 4]}, {"spikes": [1, 4]}, [WEIGHT, ONE, zeros])
    )
    assert finding.code == "NMC057"
    assert finding.loc.node is not None
    assert "--state" in finding.help


def test_load_names_an_unsupported_operator_and_its_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["y"]),
        helper.make_node("Det", ["y"], ["z"], name="odd"),
    ]
    finding = refused(saved(tmp_path, nodes, {"x": [1, 4]}, {"z": [1]}, [WEIGHT]))
    assert (finding.code, finding.loc.node) == ("NMC054", "odd")
    assert "`Det`" in finding.message


def test_load_names_an_unknown_custom_operator(tmp_path: Path) -> None:
    nodes = [helper.make_node("Spike", ["x"], ["y"], domain="somewhere", name="custom")]
    finding = refused(saved(tmp_path, nodes, {"x": [1, 4]}, {"y": [1, 4]}, []))
    assert (finding.code, finding.loc.node) == ("NMC054", "custom")
    assert "somewhere::Spike" in finding.message


def test_load_refuses_features_without_a_size(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    finding = refused(saved(tmp_path, nodes, {"x": ["batch", "width"]}, {"y": ["batch", "width"]}, []))
    assert finding.code == "NMC055"
    assert "`width`" in finding.message


def test_load_refuses_noise_that_matters(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["y"]),
        helper.make_node("RandomNormalLike", ["y"], ["noise"]),
        helper.make_node("Add", ["y", "noise"], ["z"], name="sum"),
    ]
    finding = refused(saved(tmp_path, nodes, {"x": [1, 4]}, {"z": [1, 4]}, [WEIGHT]))
    assert (finding.code, finding.loc.node) == ("NMC056", "sum")


def test_load_names_missing_external_data(tmp_path: Path) -> None:
    path = saved(
        tmp_path, [helper.make_node("Gemm", ["x", "w"], ["y"])], {"x": [1, 4]}, {"y": [1, 4]}, [WEIGHT]
    )
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert load(path).outputs
    (tmp_path / "weights.bin").unlink()
    finding = refused(path)
    assert finding.code == "NMC051"
    assert "weights.bin" in finding.message


def test_load_refuses_normalization_in_training_mode(tmp_path: Path) -> None:
    ones = [constant(name, np.ones(4, np.float32)) for name in ("s", "b", "m", "v")]
    nodes = [
        helper.make_node(
            "BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "mean", "var"], training_mode=1
        )
    ]
    assert refused(saved(tmp_path, nodes, {"x": [2, 4]}, {"y": [2, 4]}, ones)).code == "NMC064"


def test_load_refuses_a_value_that_nothing_makes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "nowhere"], ["y"], name="sum")]
    finding = refused(saved(tmp_path, nodes, {"x": [1, 4]}, {"y": [1, 4]}, []))
    assert (finding.code, finding.loc.node) == ("NMC053", "sum")


def test_load_refuses_a_circle(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    assert refused(saved(tmp_path, nodes, {"x": [1, 4]}, {"b": [1, 4]}, [])).code == "NMC053"


def test_load_takes_states_by_name_where_the_file_does_not_tell(tmp_path: Path) -> None:
    path = saved(
        tmp_path, neuron("p", "q"), {"x": [1, 4], "p": [1, 4]}, {"spikes": [1, 4], "q": [1, 4]}, [WEIGHT, ONE]
    )
    told = load(path, states={"q": "p"})
    assert [node.name for node in told.outputs] == ["spikes"]
    assert any(isinstance(node.op, Neuron) for node in told.nodes)
    assert refused(path, states={"q": "nothing"}).code == "NMC058"
    assert refused(path, states={"nothing": "p"}).code == "NMC058"


def test_load_finds_states_by_dependence_where_names_say_nothing(tmp_path: Path) -> None:
    path = saved(
        tmp_path, neuron("p", "q"), {"x": [1, 4], "p": [1, 4]}, {"spikes": [1, 4], "q": [1, 4]}, [WEIGHT, ONE]
    )
    graph = load(path)
    assert [node.name for node in graph.inputs] == ["x"]
    assert any(finding.code == "NMC070" for finding in graph.notes)


def test_load_refuses_a_tensor_whose_bytes_do_not_fill_its_shape(tmp_path: Path) -> None:
    torn = constant("w", np.eye(4, dtype=np.float32))
    torn.dims[0] = 1 << 40
    path = saved(
        tmp_path, [helper.make_node("Gemm", ["x", "w"], ["y"])], {"x": [1, 4]}, {"y": [1, 4]}, [torn]
    )
    finding = refused(path)
    assert finding.code == "NMC052"
    assert "`w`" in finding.message


def test_load_refuses_what_runs_backwards_in_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    gates = [
        constant(name, rng.normal(size=(2, 9, size)).astype(np.float32))
        for name, size in (("W", 4), ("R", 3))
    ]
    node = helper.make_node(
        "GRU", ["x", "W", "R"], ["y"], hidden_size=3, direction="bidirectional", name="both"
    )
    finding = refused(saved(tmp_path, [node], {"x": [6, 1, 4]}, {"y": [6, 2, 1, 3]}, gates))
    assert (finding.code, finding.loc.node) == ("NMC059", "both")
    assert "unidirectional" in finding.help


def test_load_refuses_steps_that_do_not_repeat(tmp_path: Path) -> None:
    nodes: list[onnx.NodeProto] = []
    scales = np.linspace(0.5, 0.9, 6).astype(np.float32)
    constants = [constant("zero", np.array([0])), *(constant(f"t{t}", np.array(t)) for t in range(6))]
    constants += [constant(f"beta{t}", scale) for t, scale in enumerate(scales)]
    for t in range(6):
        nodes.append(helper.make_node("Gather", ["x", f"t{t}"], [f"x{t}"], axis=0))
        leak = helper.make_node("Mul", [f"v{t - 1}", f"beta{t}"], [f"leak{t}"])
        nodes += [leak, helper.make_node("Add", [f"leak{t}", f"x{t}"], [f"v{t}"])] if t else []
        nodes += [] if t else [helper.make_node("Identity", ["x0"], ["v0"])]
        nodes.append(helper.make_node("Unsqueeze", [f"v{t}", "zero"], [f"out{t}"]))
    nodes.append(helper.make_node("Concat", [f"out{t}" for t in range(6)], ["y"], axis=0))
    finding = refused(saved(tmp_path, nodes, {"x": [6, 1, 4]}, {"y": [6, 1, 4]}, constants))
    assert finding.code == "NMC059"
    assert "states as inputs and outputs" in finding.help


def test_load_refuses_a_layer_over_the_samples(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1, name="mean"),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    finding = refused(saved(tmp_path, nodes, {"x": [2, 4]}, {"y": [2, 4]}, []))
    assert (finding.code, finding.loc.node) == ("NMC060", "mean")


def test_load_refuses_operators_with_impossible_arguments(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="fc")],
        {"x": [1, 5]},
        {"y": [1, 4]},
        [WEIGHT],
    )
    finding = refused(path)
    assert finding.code in {"NMC060", "NMC061"}
    assert finding.loc.node == "fc"
    nodes = [helper.make_node("Transpose", ["x"], ["y"], perm=[0, 7], name="turn")]
    finding = refused(saved(tmp_path, nodes, {"x": [1, 5]}, {"y": [1, 5]}, []))
    assert (finding.code, finding.loc.node) == ("NMC061", "turn")


def test_load_refuses_sizes_that_no_memory_holds(tmp_path: Path) -> None:
    shape = constant("s", np.array([1 << 20, 1 << 20]))
    nodes = [helper.make_node("Expand", ["x", "s"], ["y"], name="wide")]
    finding = refused(saved(tmp_path, nodes, {"x": [1, 1]}, {"y": [1, 1]}, [shape]))
    assert (finding.code, finding.loc.node) == ("NMC063", "wide")


def test_load_refuses_an_opset_of_another_age(tmp_path: Path) -> None:
    path = saved(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], {"x": [1, 4]}, {"y": [1, 4]}, [])
    model = onnx.load(path)
    model.opset_import[0].version = 5
    onnx.save(model, path)
    finding = refused(path)
    assert finding.code == "NMC062"
    assert "version_converter" in finding.help


def test_load_refuses_a_loop_whose_end_depends_on_the_input(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c_out"]), helper.make_node("Add", ["v", "v"], ["v_out"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("c_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", TensorProto.FLOAT, [1, 4]),
        ],
    )
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["trips"], to=TensorProto.INT64),
        helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body, name="open"),
    ]
    finding = refused(saved(tmp_path, nodes, {"x": [1, 4]}, {"y": [1, 4]}, []))
    assert (finding.code, finding.loc.node) == ("NMC055", "open")


def test_load_refuses_one_input_for_two_states(tmp_path: Path) -> None:
    """The same array passed for two states becomes one input of the file."""
    nodes = [
        *neuron("v", "v1_out"),
        helper.make_node("Gemm", ["spikes", "w"], ["next"]),
        helper.make_node("Add", ["v", "next"], ["h2"]),
        helper.make_node("Greater", ["h2", "one"], ["above2"]),
        helper.make_node("Cast", ["above2"], ["out"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["h2", "out"], ["v2_out"]),
    ]
    path = saved(
        tmp_path,
        nodes,
        {"x": [1, 4], "v": [1, 4]},
        {"out": [1, 4], "v1_out": [1, 4], "v2_out": [1, 4]},
        [WEIGHT, ONE],
    )
    finding = refused(path)
    assert finding.code == "NMC058"
    assert "`v`" in finding.message
    assert "of its own" in finding.help
