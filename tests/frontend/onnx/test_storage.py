"""How a file stores a network does not matter: precisions, files beside it, opsets, functions, quantized weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, version_converter

from nmc.diagnostics import CompileError
from nmc.frontend.load import load
from nmc.ir.graph import Graph
from nmc.ir.ops import Linear, Neuron
from nmc.sim.golden import simulate

RNG = np.random.default_rng(7)
WEIGHT = RNG.normal(0, 0.8, (6, 4)).astype(np.float32)
BIAS = RNG.uniform(0.1, 0.5, 6).astype(np.float32)
STIMULUS = (RNG.random((12, 2, 4)) < 0.5).astype(np.float32)

STEP = [
    helper.make_node("Gemm", ["x", "w", "b"], ["c"], transB=1, name="fc"),
    helper.make_node("Mul", ["v", "beta"], ["leak"]),
    helper.make_node("Add", ["leak", "c"], ["h"]),
    helper.make_node("Greater", ["h", "theta"], ["above"]),
    helper.make_node("Cast", ["above"], ["spk"], to=TensorProto.FLOAT),
    helper.make_node("Mul", ["spk", "theta"], ["lost"]),
    helper.make_node("Sub", ["h", "lost"], ["v_out"]),
]
"""One step of a layer of leaky neurons."""


def numbers() -> dict[str, np.ndarray]:
    return {"w": WEIGHT, "b": BIAS, "beta": np.float32(0.75), "theta": np.float32(1.0)}


def model(
    nodes: list[onnx.NodeProto] = STEP,
    constants: dict[str, np.ndarray] | None = None,
    *,
    opset: int = 17,
    functions: list[onnx.FunctionProto] | None = None,
) -> onnx.ModelProto:
    shapes = {"x": [2, 4], "v": [2, 6]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 6]) for name in ("spk", "v_out")]
    tensors = [
        numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or numbers()).items()
    ]
    graph = helper.make_graph(nodes, "step", inputs, outputs, tensors)
    domains = [helper.make_opsetid("", opset), *([helper.make_opsetid("local", 1)] if functions else [])]
    made = helper.make_model(graph, opset_imports=domains, functions=functions or [])
    made.ir_version = min(made.ir_version, 10)
    return made


def read(made: onnx.ModelProto, folder: Path) -> Graph:
    path = folder / "model.onnx"
    onnx.save(made, path)
    return load(path)


def outputs(graph: Graph) -> np.ndarray:
    return simulate(graph, {"x": STIMULUS}, dtype=np.float32).outputs["spk"]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    result = outputs(read(model(), tmp_path_factory.mktemp("plain")))
    assert 0.05 < result.mean() < 0.95
    return result


def neuron_of(graph: Graph) -> Neuron:
    (found,) = (node.op for node in graph.nodes if isinstance(node.op, Neuron))
    return found


# ---- precisions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16], ids=["float16", "bfloat16"])
def test_weights_in_half_precision_are_their_values_in_single(kind: int, tmp_path: Path) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    made = model([helper.make_node("Cast", ["half"], ["w"], to=TensorProto.FLOAT), *STEP])
    tensor = next(each for each in made.graph.initializer if each.name == "w")
    tensor.CopyFrom(numpy_helper.from_array(WEIGHT.astype(dtype), "half"))
    graph = read(made, tmp_path)
    (linear,) = (node.op for node in graph.nodes if isinstance(node.op, Linear))
    np.testing.assert_array_equal(linear.weight.data, WEIGHT.astype(dtype).astype(np.float32))
    assert any(note.code == "NMC076" for note in graph.notes)


def test_whole_model_in_half_precision_is_read(tmp_path: Path) -> None:
    made = model(constants={name: np.asarray(array, np.float16) for name, array in numbers().items()})
    made.graph.node[4].attribute[0].i = TensorProto.FLOAT16
    for port in (*made.graph.input, *made.graph.output):
        port.type.tensor_type.elem_type = TensorProto.FLOAT16
    op = neuron_of(read(made, tmp_path))
    assert op.fire is not None
    assert float(op.fire.threshold.values) == 1.0


def test_weights_in_double_precision_keep_their_digits(tmp_path: Path) -> None:
    constants = {name: np.asarray(array, np.float64) for name, array in numbers().items()}
    constants["beta"] = np.asarray(1 / 3)
    made = model(constants=constants)
    made.graph.node[4].attribute[0].i = TensorProto.DOUBLE
    for port in (*made.graph.input, *made.graph.output):
        port.type.tensor_type.elem_type = TensorProto.DOUBLE
    op = neuron_of(read(made, tmp_path))
    assert op.membrane.decay is not None
    assert float(op.membrane.decay.values) == 1 / 3


# ---- data beside the model --------------------------------------------------------------------------------


def beside(folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def finding(path: Path) -> tuple[str, str]:
    with pytest.raises(CompileError) as refused:
        load(path)
    (only,) = refused.value.findings
    return only.code, only.message


def test_weights_beside_the_model_are_read(tmp_path: Path, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(outputs(load(beside(tmp_path))), wanted)


def test_weights_that_are_missing_or_cut_are_named(tmp_path: Path) -> None:
    path = beside(tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:20])
    assert finding(path)[0] in {"NMC051", "NMC052"}
    data.unlink()
    code, message = finding(path)
    assert code == "NMC051"
    assert "`weights.bin`" in message


@pytest.mark.parametrize("place", ["../weights.bin", "/etc/hostname", "inner/../../weights.bin"])
def test_weights_outside_the_models_folder_are_refused(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = beside(folder)
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    made = onnx.load(path, load_external_data=False)
    for tensor in made.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place
    path.write_bytes(made.SerializeToString())
    assert finding(path)[0] == "NMC051"


# ---- opsets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", range(11, onnx.defs.onnx_opset_version() + 1))
def test_every_opset_from_11_on_is_read_alike(opset: int, tmp_path: Path, wanted: np.ndarray) -> None:
    # None of these operators has changed between 11 and 17.
    made = version_converter.convert_version(model(), opset) if opset >= 17 else model(opset=opset)
    assert made.opset_import[0].version == opset
    np.testing.assert_array_equal(outputs(read(made, tmp_path)), wanted)


@pytest.mark.parametrize("opset", [11, 12, 13, 18, onnx.defs.onnx_opset_version()])
def test_axes_are_read_as_attributes_and_as_arguments(opset: int, tmp_path: Path, wanted: np.ndarray) -> None:
    """Squeeze, Unsqueeze and ReduceSum took their axes as attributes before opset 13, ReduceMean before 18."""
    axis = {"axes": [1]} if opset < 13 else {}
    mean = {"axes": [1]} if opset < 18 else {}
    more = [] if opset < 13 else ["one_axis"]
    nodes = [
        helper.make_node("Unsqueeze", ["x", *more], ["wide"], **axis),
        helper.make_node(
            "ReduceMean", ["wide", *([] if opset < 18 else ["one_axis"])], ["same"], keepdims=1, **mean
        ),
        helper.make_node("ReduceSum", ["same", *more], ["sum"], keepdims=1, **axis),
        helper.make_node("Squeeze", ["sum", *more], ["x2"], **axis),
        helper.make_node("Gemm", ["x2", "w", "b"], ["c"], transB=1),
        *STEP[1:],
    ]
    graph = read(model(nodes, {**numbers(), "one_axis": np.array([1])}, opset=opset), tmp_path)
    np.testing.assert_array_equal(outputs(graph), wanted)


@pytest.mark.parametrize("opset", [10, 11, 13])
def test_clip_is_read_with_attributes_and_with_arguments(opset: int, tmp_path: Path) -> None:
    clip = (
        helper.make_node("Clip", ["h0"], ["h"], min=-0.5)
        if opset < 11
        else helper.make_node("Clip", ["h0", "low"], ["h"])
    )
    nodes = [*STEP[:2], helper.make_node("Add", ["leak", "c"], ["h0"]), clip, *STEP[3:]]
    op = neuron_of(read(model(nodes, {**numbers(), "low": np.float32(-0.5)}, opset=opset), tmp_path))
    assert op.membrane.minimum is not None
    assert float(op.membrane.minimum.values) == -0.5


# ---- functions and branches -------------------------------------------------------------------------------


def lif(domain: str = "local") -> onnx.FunctionProto:
    """The whole neuron as a function of an attribute `beta`."""
    decay = helper.make_node("Constant", [], ["beta"])
    decay.attribute.append(
        onnx.AttributeProto(name="value_float", ref_attr_name="beta", type=onnx.AttributeProto.FLOAT)
    )
    return helper.make_function(
        domain,
        "LIF",
        ["c", "v", "theta"],
        ["spk", "v_out"],
        [decay, *STEP[1:]],
        [helper.make_opsetid("", 17)],
        ["beta"],
    )


def test_neuron_in_a_local_function_is_lifted(tmp_path: Path, wanted: np.ndarray) -> None:
    call = helper.make_node("LIF", ["c", "v", "theta"], ["spk", "v_out"], domain="local", beta=0.75)
    made = model([STEP[0], call], functions=[lif()])
    np.testing.assert_array_equal(outputs(read(made, tmp_path)), wanted)


def test_functions_within_functions_are_lifted(tmp_path: Path, wanted: np.ndarray) -> None:
    inner = helper.make_node("LIF", ["c", "v", "t"], ["s", "n"], domain="local", beta=0.75)
    outer = helper.make_function(
        "local", "Layer", ["c", "v", "t"], ["s", "n"], [inner],
        [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)],
    )  # fmt: skip
    call = helper.make_node("Layer", ["c", "v", "theta"], ["spk", "v_out"], domain="local")
    made = model([STEP[0], call], functions=[lif(), outer])
    np.testing.assert_array_equal(outputs(read(made, tmp_path)), wanted)


def test_functions_that_are_inlined_by_onnx_are_read_alike(tmp_path: Path, wanted: np.ndarray) -> None:
    from onnx import inliner

    call = helper.make_node("LIF", ["c", "v", "theta"], ["spk", "v_out"], domain="local", beta=0.75)
    made = inliner.inline_local_functions(model([STEP[0], call], functions=[lif()]))
    assert not made.functions
    np.testing.assert_array_equal(outputs(read(made, tmp_path)), wanted)


@pytest.mark.parametrize("taken", [True, False])
def test_branch_on_a_constant_is_the_branch_that_is_taken(
    taken: bool, tmp_path: Path, wanted: np.ndarray
) -> None:
    def branch(name: str, nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
        return helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info("c1", TensorProto.FLOAT, [2, 6])]
        )

    gemm = branch("gemm", [helper.make_node("Gemm", ["x", "w", "b"], ["c1"], transB=1)])
    other = branch("other", [helper.make_node("Neg", ["v"], ["c1"])])
    fork = helper.make_node(
        "If", ["choice"], ["c"], then_branch=gemm if taken else other, else_branch=other if taken else gemm
    )
    made = model([fork, *STEP[1:]], {**numbers(), "choice": np.array(taken)})
    np.testing.assert_array_equal(outputs(read(made, tmp_path)), wanted)


# ---- quantized weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
def test_quantized_weights_are_the_numbers_that_they_stand_for(per_channel: bool, tmp_path: Path) -> None:
    scale = np.abs(WEIGHT).max(axis=1) / 127 if per_channel else np.asarray(np.abs(WEIGHT).max() / 127)
    scale = scale.astype(np.float32)
    column = scale[:, None] if per_channel else scale
    codes = np.rint(WEIGHT / column).astype(np.int8)
    dequantize = helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=0)
    zero = np.zeros(scale.shape, np.int8)
    constants = {**numbers(), "q": codes, "scale": scale, "zero": zero}
    del constants["w"]
    graph = read(model([dequantize, *STEP], constants), tmp_path)
    (linear,) = (node.op for node in graph.nodes if isinstance(node.op, Linear))
    np.testing.assert_array_equal(linear.weight.data, codes.astype(np.float32) * column)


def test_quantized_input_saturates_as_onnx_says(tmp_path: Path) -> None:
    """A scale so small that inputs of 1 lie outside of the 8 bits: what comes through is 127 scales."""
    constants = {**numbers(), "scale": np.float32(1 / 254), "zero": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x2"]),
        helper.make_node("Gemm", ["x2", "w", "b"], ["c"], transB=1),
        *STEP[1:],
    ]
    half = simulate(read(model(), tmp_path), {"x": STIMULUS / 2}, dtype=np.float32).outputs["spk"]
    np.testing.assert_array_equal(outputs(read(model(nodes, constants), tmp_path)), half)
