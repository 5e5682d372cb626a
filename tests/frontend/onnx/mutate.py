"""Damaged files: bytes flipped, cut and repeated, and models whose parts were exchanged, renamed, bent and dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Random = np.random.Generator

NUMBERS = (-(1 << 62), -5, -1, 0, 1, 2, 3, 7, 100, 1 << 20, 1 << 33, 1 << 40, (1 << 63) - 1)
"""Sizes, axes and counts that a file should not have."""

OPERATORS = ("Add", "Reshape", "Transpose", "Gather", "Slice", "Concat", "Expand", "Tile", "Pad", "Range", "Where",
             "ConstantOfShape", "Split", "Gemm", "MatMul", "Conv", "MaxPool", "BatchNormalization", "ReduceSum",
             "CumSum", "Softmax", "Loop", "Scan", "If", "GRU", "LSTM", "Cast", "Clip", "QuantizeLinear", "OneHot",
             "DequantizeLinear", "ScatterND", "NonZero", "TopK", "SequenceAt", "Einsum", "Unheard")  # fmt: skip


def mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """So many damaged versions of a file, the same for the same seed: a third bytes, the others models."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        yield _bytes(data, rng) if number % 3 == 0 else _model(data, rng)


def _bytes(data: bytes, rng: Random) -> bytes:
    array = bytearray(data)
    kind = rng.integers(5)
    if kind == 0:
        return bytes(array[: rng.integers(len(array) + 1)])
    if kind == 1:
        start, length = rng.integers(len(array)), rng.integers(1, 64)
        return bytes(array[:start] + array[start + length :])
    if kind == 2:
        start, length = rng.integers(len(array)), rng.integers(1, 64)
        return bytes(array[:start] + array[start : start + length] * 2 + array[start + length :])
    for _ in range(rng.integers(1, 9)):
        # The structure stands at the ends of the file more than in the weights.
        place = rng.integers(len(array)) if kind == 3 else rng.integers(min(len(array), 4000))
        array[place] = rng.integers(256)
    return bytes(array)


def _model(data: bytes, rng: Random) -> bytes:
    model = onnx.load_model_from_string(data)
    for _ in range(rng.integers(1, 4)):
        graphs = [
            model.graph,
            *(attr.g for node in model.graph.node for attr in node.attribute if attr.HasField("g")),
        ]
        graph = graphs[rng.integers(len(graphs))]
        kinds = [_TO_NODES, _TO_NODES, _TO_TENSORS, _TO_TENSORS, _TO_GRAPHS]
        kind = kinds[rng.integers(len(kinds))]
        if kind is _TO_NODES and graph.node:
            node = graph.node[rng.integers(len(graph.node))]
            _TO_NODES[rng.integers(len(_TO_NODES))](graph, node, rng)
        elif kind is _TO_TENSORS and graph.initializer:
            tensor = graph.initializer[rng.integers(len(graph.initializer))]
            _TO_TENSORS[rng.integers(len(_TO_TENSORS))](tensor, rng)
        else:
            _TO_GRAPHS[rng.integers(len(_TO_GRAPHS))](model, graph, rng)
    return model.SerializeToString()


def _number(rng: Random) -> int:
    return int(rng.choice(np.array(NUMBERS)))


def _name(graph: onnx.GraphProto, rng: Random) -> str:
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    return names[rng.integers(len(names))] if names and rng.integers(8) else "nowhere"


# ---- nodes ------------------------------------------------------------------------------------------------


def _drop(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    graph.node.remove(node)


def _twice(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    graph.node.append(node)


def _rewire(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    if node.input:
        node.input[rng.integers(len(node.input))] = _name(graph, rng)


def _feed_back(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    if node.input and node.output:
        node.input[0] = node.output[0]


def _rename_output(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    if node.output:
        node.output[rng.integers(len(node.output))] = _name(graph, rng)


def _exchange_arguments(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    node.input[:] = [node.input[k] for k in rng.permutation(len(node.input))]


def _other_count(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    if rng.integers(2) and node.input:
        node.input.pop()
    else:
        node.input.append(_name(graph, rng))


def _other_operator(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    node.op_type = OPERATORS[rng.integers(len(OPERATORS))]


def _neighbour(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    node.op_type = graph.node[rng.integers(len(graph.node))].op_type


def _other_domain(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    node.domain = ["somewhere.else", "com.microsoft", "ai.onnx.ml", "SNN_implementation"][rng.integers(4)]


def _bend_attribute(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    if not node.attribute:
        return
    attr = node.attribute[rng.integers(len(node.attribute))]
    match rng.integers(7):
        case 0:
            attr.i = _number(rng)
        case 1 if attr.ints:
            attr.ints[rng.integers(len(attr.ints))] = _number(rng)
        case 2 if attr.ints:
            attr.ints.extend([1] * rng.integers(1, 4)) if rng.integers(2) else attr.ints.pop()
        case 3:
            attr.f = float(rng.choice(np.array([0.0, -1.0, 1e30, np.inf, np.nan])))
        case 4:
            attr.type = int(rng.integers(0, 15))  # type: ignore[assignment] # a number that no enum has
        case 5:
            attr.ref_attr_name = "unknown"
        case _:
            node.attribute.remove(attr)


def _foreign_attribute(graph: onnx.GraphProto, node: onnx.NodeProto, rng: Random) -> None:
    names = (
        "axis",
        "axes",
        "perm",
        "to",
        "keepdims",
        "transA",
        "transB",
        "strides",
        "group",
        "body",
        "direction",
    )
    values: tuple[object, ...] = (_number(rng), [_number(rng)], [0, 0], 1.5, "text")
    name = names[rng.integers(len(names))]
    if all(attr.name != name for attr in node.attribute):
        node.attribute.append(helper.make_attribute(name, values[rng.integers(len(values))]))


_TO_NODES: list[Callable[[onnx.GraphProto, onnx.NodeProto, Random], None]] = [
    _drop, _twice, _rewire, _rewire, _feed_back, _rename_output, _exchange_arguments, _other_count, _other_operator,
    _other_operator, _neighbour, _other_domain, _bend_attribute, _bend_attribute, _foreign_attribute,
]  # fmt: skip


# ---- constants --------------------------------------------------------------------------------------------


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    try:
        return np.array(numpy_helper.to_array(tensor))
    except Exception:  # it was bent before, and onnx raises what it likes
        return np.zeros(1, np.float32)


def _half_of(tensor: onnx.TensorProto, rng: Random) -> None:
    array = _array(tensor).reshape(-1)
    tensor.CopyFrom(
        numpy_helper.from_array(np.ascontiguousarray(array[: max(1, array.size // 2)]), tensor.name)
    )


def _empty(tensor: onnx.TensorProto, rng: Random) -> None:
    tensor.CopyFrom(numpy_helper.from_array(_array(tensor).reshape(-1)[:0], tensor.name))


def _other_shape(tensor: onnx.TensorProto, rng: Random) -> None:
    if tensor.dims:
        tensor.dims[rng.integers(len(tensor.dims))] = _number(rng)


def _more_axes(tensor: onnx.TensorProto, rng: Random) -> None:
    array = _array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(array.reshape(1, *array.shape, 1), tensor.name))


def _wild_value(tensor: onnx.TensorProto, rng: Random) -> None:
    array = _array(tensor)
    if not array.size:
        return
    wild = array.reshape(-1)
    place = rng.integers(array.size)
    if array.dtype.kind == "f":
        wild[place] = rng.choice(np.array([np.nan, np.inf, -np.inf, 1e38, 1e-40]))
    elif array.dtype == np.int64:
        wild[place] = _number(rng)
    tensor.CopyFrom(numpy_helper.from_array(wild.reshape(array.shape), tensor.name))


def _other_type(tensor: onnx.TensorProto, rng: Random) -> None:
    tensor.data_type = int(rng.integers(0, 26))


def _elsewhere(tensor: onnx.TensorProto, rng: Random) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (
        ("location", ["none.bin", "../../etc/passwd", "/dev/zero"][rng.integers(3)]),
        ("length", "99"),
    ):
        tensor.external_data.add(key=key, value=value)


_TO_TENSORS: list[Callable[[onnx.TensorProto, Random], None]] = [
    _half_of, _empty, _other_shape, _other_shape, _more_axes, _wild_value, _wild_value, _other_type, _elsewhere,
]  # fmt: skip


# ---- graphs -----------------------------------------------------------------------------------------------


def _input_shape(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    if graph.input:
        shape = graph.input[rng.integers(len(graph.input))].type.tensor_type.shape
        match rng.integers(4):
            case 0 if shape.dim:
                shape.dim[rng.integers(len(shape.dim))].dim_value = _number(rng)
            case 1 if shape.dim:
                shape.dim[rng.integers(len(shape.dim))].dim_param = "anything"
            case 2 if shape.dim:
                shape.dim.pop()
            case _:
                shape.dim.add(dim_value=_number(rng))


def _input_type(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    if graph.input:
        each = graph.input[rng.integers(len(graph.input))]
        if rng.integers(2):
            each.type.sequence_type.elem_type.tensor_type.elem_type = 1
        else:
            each.type.tensor_type.elem_type = int(rng.integers(0, 26))


def _one_input_less(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    if graph.input:
        graph.input.pop(rng.integers(len(graph.input)))


def _one_output_less(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    if graph.output:
        graph.output.pop(rng.integers(len(graph.output)))


def _other_output(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    if graph.output:
        graph.output[rng.integers(len(graph.output))].name = _name(graph, rng)


def _one_constant_less(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    if graph.initializer:
        graph.initializer.pop(rng.integers(len(graph.initializer)))


def _other_opset(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    if rng.integers(2) and model.opset_import:
        model.opset_import[0].version = _number(rng)
    else:
        del model.opset_import[:]


def _without_end(model: onnx.ModelProto, graph: onnx.GraphProto, rng: Random) -> None:
    """An operator whose definition uses itself."""
    if graph.node:
        node = graph.node[rng.integers(len(graph.node))]
        ports = [f"a{k}" for k in range(len(node.input))], [f"b{k}" for k in range(len(node.output))]
        inner = helper.make_node(node.op_type, *ports)
        function = helper.make_function(
            node.domain, node.op_type, *ports, [inner], [helper.make_opsetid("", 17)]
        )
        model.functions.append(function)


_TO_GRAPHS: list[Callable[[onnx.ModelProto, onnx.GraphProto, Random], None]] = [
    _input_shape, _input_shape, _input_type, _one_input_less, _one_output_less, _other_output, _one_constant_less,
    _other_opset, _without_end,
]  # fmt: skip
