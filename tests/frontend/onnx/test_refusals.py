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
