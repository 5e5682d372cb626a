"""ONNX protobuf -> plain values: nodes, arrays, subgraphs and functions. Nothing is interpreted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nmc.frontend.onnx.refuse import Refusal
from nmc.ir.tensor import Array

Dim = int | str
"""An axis of an input: a size, or the name of an unknown size ("" if it has none)."""

OLDEST_OPSET = 7
NEAR_LIMIT = 1 << 28
"""Elements of the largest array that is made: far above what a network has, below what a machine cannot hold."""


@dataclass(frozen=True, slots=True)
class RefAttr:
    """An attribute of a function's node that the caller gives."""

    name: str


@dataclass(frozen=True, slots=True)
class NodeIn:
    """An operator as the file has it; "" stands for an argument that is left out."""

    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]  # Any: int, float, str, tuples of them, arrays, GraphIn, RefAttr
    name: str
    scope: str

    @property
    def title(self) -> str:
        """What a user calls it: its name, or the name of its first output."""
        return self.name or next((each for each in self.outputs if each), self.op)


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of a graph; `dims` is None where the file does not give the rank."""

    name: str
    dims: tuple[Dim, ...] | None
    kind: str
    """numpy's kind of the elements: f, i, u or b."""


@dataclass(frozen=True, slots=True)
class GraphIn:
    """A graph, or the body of a loop."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    constants: Mapping[str, Array]
    nodes: tuple[NodeIn, ...]


@dataclass(frozen=True, slots=True)
class FunctionIn:
    """A local function: a named graph with attributes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    defaults: Mapping[str, Any]
    nodes: tuple[NodeIn, ...]


@dataclass(frozen=True, slots=True)
class ModelIn:
    """A file."""

    file: str
    graph: GraphIn
    opset: int
    producer: str
    functions: Mapping[tuple[str, str], FunctionIn] = field(default_factory=dict[tuple[str, str], FunctionIn])
    half: bool = False
    """Whether a constant is stored in half precision."""


def read(path: Path) -> ModelIn:
    """The file as plain values. Raises Refusal."""
    import onnx

    data = path.read_bytes()
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as fault:  # the protobuf library raises several unrelated types
        raise Refusal(
            "NMC050", "this is not an ONNX model: the protobuf does not parse", help=_first_line(fault)
        ) from None
    if not proto.graph.node and not proto.graph.output:
        raise Refusal("NMC050", "this is not an ONNX model: it has no graph", help="export the model again")
    reader = _Reader(path)
    try:
        return reader.model(proto)
    except (UnicodeDecodeError, AttributeError, TypeError, RecursionError) as fault:
        raise Refusal("NMC053", "the file is malformed", help=_first_line(fault)) from None


def _first_line(fault: BaseException) -> str:
    text = str(fault).strip()
    return text.splitlines()[0][:200] if text else type(fault).__name__


class _Reader:
    """Reads one file; knows its folder for external data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.half = False

    def model(self, proto: Any) -> ModelIn:  # Any: onnx's protobuf classes carry no types
        opset = next((each.version for each in proto.opset_import if each.domain in {"", "ai.onnx"}), 0)
        if 0 < opset < OLDEST_OPSET:
            raise Refusal(
                "NMC062",
                f"the file is of opset {opset}; {OLDEST_OPSET} and newer are read",
                help="export again with `opset_version=17`, or convert with onnx.version_converter",
            )
        functions = {
            (each.domain, each.name): FunctionIn(
                tuple(each.input),
                tuple(each.output),
                {attr.name: self.attribute(attr, each.name) for attr in each.attribute_proto},
                ordered(tuple(self.node(node) for node in each.node), set(each.input), each.name),
            )
            for each in proto.functions
        }
        graph = self.graph(proto.graph, frozenset())
        producer = f"{proto.producer_name} {proto.producer_version}".strip()
        return ModelIn(self.path.name, graph, opset, producer, functions, self.half)

    def graph(self, proto: Any, outer: frozenset[str]) -> GraphIn:
        constants = {each.name: self.tensor(each, each.name) for each in proto.initializer}
        for sparse in proto.sparse_initializer:
            constants[sparse.values.name] = self.sparse(sparse)
        inputs = tuple(_port(each) for each in proto.input if each.name not in constants)
        known = outer | constants.keys() | {port.name for port in inputs}
        nodes = ordered(tuple(self.node(each, known) for each in proto.node), known, proto.name)
        return GraphIn(inputs, tuple(_port(each) for each in proto.output), constants, nodes)

    def node(self, proto: Any, outer: frozenset[str] = frozenset()) -> NodeIn:
        title = proto.name or (proto.output[0] if proto.output else proto.op_type)
        attrs = {attr.name: self.attribute(attr, title) for attr in proto.attribute}
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        return NodeIn(
            proto.op_type, domain, tuple(proto.input), tuple(proto.output), attrs, proto.name, _scope(proto)
        )

    def attribute(self, proto: Any, node: str) -> Any:
        if proto.ref_attr_name:
            return RefAttr(proto.ref_attr_name)
        match proto.type:
            case 1:
                return float(proto.f)
            case 2:
                return int(proto.i)
            case 3:
                return proto.s.decode("utf-8", "replace")
            case 4:
                return self.tensor(proto.t, f"{node}.{proto.name}")
            case 5:
                return self.graph(proto.g, _ANYTHING)
            case 6:
                return tuple(proto.floats)
            case 7:
                return tuple(proto.ints)
            case 8:
                return tuple(each.decode("utf-8", "replace") for each in proto.strings)
            case 11:
                return self.sparse(proto.sparse_tensor)
            case _:
                return None

    def tensor(self, proto: Any, name: str) -> Array:
        from onnx import numpy_helper

        if proto.data_location == 1:
            self.external(proto, name)
        size = 1
        for dim in proto.dims:
            size *= dim
        if size < 0 or size > NEAR_LIMIT:
            raise Refusal("NMC052", f"tensor `{name}` has the impossible shape {list(proto.dims)}")
        try:
            array = numpy_helper.to_array(proto)
        except Exception as fault:  # onnx raises TypeError, ValueError, KeyError and its own
            raise Refusal("NMC052", f"tensor `{name}` cannot be read", help=_first_line(fault)) from None
        if proto.data_type in {10, 16, 17, 18, 19, 20}:
            self.half = True
            array = np.asarray(array).astype(np.float32)
        return np.asarray(array)

    def external(self, proto: Any, name: str) -> None:
        from onnx.external_data_helper import load_external_data_for_tensor

        location = next((each.value for each in proto.external_data if each.key == "location"), "?")
        try:
            load_external_data_for_tensor(proto, str(self.path.parent))
        except Exception as fault:  # onnx raises its own checker errors beside OSError
            raise Refusal(
                "NMC051",
                f"tensor `{name}` is stored in `{location}`, which cannot be read beside the model",
                help=f"put the file in the model's folder; {_first_line(fault)}",
            ) from None
        proto.data_location = 0

    def sparse(self, proto: Any) -> Array:
        values = self.tensor(proto.values, proto.values.name)
        indices = self.tensor(proto.indices, proto.values.name)
        shape = tuple(proto.dims)
        size = int(np.prod(shape, dtype=np.int64))
        if size > NEAR_LIMIT or size < 0:
            raise Refusal("NMC052", f"tensor `{proto.values.name}` has the impossible shape {list(shape)}")
        dense = np.zeros(size, values.dtype)
        flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)
        if flat.shape != values.shape or (flat.size and int(flat.max()) >= size):
            raise Refusal("NMC052", f"sparse tensor `{proto.values.name}` has indices outside its shape")
        dense[flat] = values
        return dense.reshape(shape)


class _Anything(frozenset[str]):
    """The names around a subgraph, which its reader does not know."""

    def __contains__(self, name: object) -> bool:
        return True

    def __or__(self, other: object) -> _Anything:
        return self


_ANYTHING = _Anything()


def ordered(nodes: tuple[NodeIn, ...], known: Iterable[str], where: str) -> tuple[NodeIn, ...]:
    """The nodes in an order in which each value is made before it is used. Raises Refusal for cycles and gaps."""
    available: set[str] = known if isinstance(known, _Anything) else set(known)  # type: ignore[assignment]
    if isinstance(known, _Anything):
        return nodes
    made = {name for node in nodes for name in node.outputs if name}
    result: list[NodeIn] = []
    waiting: dict[str, list[int]] = {}
    missing = [0] * len(nodes)
    for number, node in enumerate(nodes):
        if node.name and not node.outputs:
            continue
        needs = {name for name in node.inputs if name and name not in available}
        for name in needs:
            if name not in made:
                raise Refusal(
                    "NMC053",
                    f"`{name}` is used but nothing makes it",
                    node=node.title,
                    help="the file is damaged or was cut; export the model again",
                )
            waiting.setdefault(name, []).append(number)
        missing[number] = len(needs)
    ready = [number for number in range(len(nodes)) if missing[number] == 0]
    position = 0
    ready.sort()
    import heapq

    heapq.heapify(ready)
    while ready:
        number = heapq.heappop(ready)
        position += 1
        result.append(nodes[number])
        for name in nodes[number].outputs:
            if name in available:
                continue
            for user in waiting.pop(name, ()):
                missing[user] -= 1
                if missing[user] == 0:
                    heapq.heappush(ready, user)
    if len(result) < len(nodes):
        done = {id(node) for node in result}
        stuck = next(node for node in nodes if id(node) not in done)
        raise Refusal(
            "NMC053", f"the graph `{where}` has a cycle", node=stuck.title, help="export the model again"
        )
    return tuple(result)


def _port(proto: Any) -> Port:
    tensor = proto.type.tensor_type
    dims: tuple[Dim, ...] | None = None
    if tensor.HasField("shape"):
        dims = tuple(
            int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param
            for dim in tensor.shape.dim
        )
    kind = "i" if tensor.elem_type in {2, 3, 4, 5, 6, 7, 12, 13} else "b" if tensor.elem_type == 9 else "f"
    return Port(proto.name, dims, kind)


def _scope(proto: Any) -> str:
    """The module that a node came from: metadata of the dynamo exporter, or the path in the node's name."""
    for entry in proto.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            try:
                scopes = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                break
            names = (
                [each for each in scopes if isinstance(each, str) and each]
                if isinstance(scopes, list)
                else []
            )
            return names[-2] if len(names) > 1 else ""
    parts = [part for part in proto.name.split("/") if part]
    return re.sub(r"_\d+$", "", parts[-2]) if len(parts) > 1 else ""
