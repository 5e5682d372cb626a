"""Damaged files: bytes flipped, cut and repeated, and models whose parts were exchanged, renamed and dropped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper


def mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """So many damaged versions of a file, the same for the same seed."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        yield _bytes(data, rng) if number % 2 else _model(data, rng)


def _bytes(data: bytes, rng: np.random.Generator) -> bytes:
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


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    try:
        return numpy_helper.to_array(tensor)
    except ValueError:  # its shape was bent before
        return np.zeros(1, np.float32)


def _model(data: bytes, rng: np.random.Generator) -> bytes:
    model = onnx.load_model_from_string(data)
    graph = model.graph
    for _ in range(rng.integers(1, 4)):
        if not graph.node:
            break
        node = graph.node[rng.integers(len(graph.node))]
        names = [name for each in graph.node for name in (*each.input, *each.output)]
        match rng.integers(12):
            case 0:
                graph.node.remove(node)
            case 1 if node.input:
                node.input[rng.integers(len(node.input))] = names[rng.integers(len(names))]
            case 2:
                node.op_type = graph.node[rng.integers(len(graph.node))].op_type
            case 3 if node.attribute:
                attr = node.attribute[rng.integers(len(node.attribute))]
                attr.i = int(rng.choice([-1, 0, 1, 2, 7, 1 << 40, -(1 << 62)]))
                if attr.ints:
                    attr.ints[rng.integers(len(attr.ints))] = int(rng.choice([-5, 0, 1, 3, 1 << 50]))
            case 4 if node.attribute:
                node.attribute.pop()
            case 5 if graph.initializer:
                tensor = graph.initializer[rng.integers(len(graph.initializer))]
                array = _array(tensor)
                bent = array.reshape(-1)[: max(1, array.size // 2)]
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(bent), tensor.name))
            case 6 if graph.initializer:
                tensor = graph.initializer[rng.integers(len(graph.initializer))]
                if tensor.dims:
                    tensor.dims[rng.integers(len(tensor.dims))] = int(rng.choice([-1, 0, 1, 5, 1 << 33]))
            case 7 if graph.input:
                shape = graph.input[rng.integers(len(graph.input))].type.tensor_type.shape
                if shape.dim:
                    shape.dim[rng.integers(len(shape.dim))].dim_value = int(
                        rng.choice([0, 1, 2, 3, 100, 1 << 40])
                    )
            case 8:
                node.domain = "somewhere.else"
            case 9 if len(node.input) > 1:
                first = node.input[0]
                node.input[0] = node.input[1]
                node.input[1] = first
            case 10 if graph.initializer:
                tensor = graph.initializer[rng.integers(len(graph.initializer))]
                array = _array(tensor)
                if array.dtype == np.int64 and array.size:
                    wild = np.array(array)
                    wild.reshape(-1)[rng.integers(array.size)] = rng.choice([-9, -1, 0, 1, 2, 1 << 40])
                    tensor.CopyFrom(numpy_helper.from_array(wild, tensor.name))
            case _:
                graph.output.pop() if graph.output else None
    return model.SerializeToString()
