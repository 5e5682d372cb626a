"""Equivalent spellings of a model: what an exporter might as well have written."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, inliner, numpy_helper, version_converter

Rewrite = Callable[[onnx.ModelProto, np.random.Generator], None]


class CannotSpellError(Exception):
    """The model has no such spelling."""


class _Names:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, stem: str) -> str:
        self.count += 1
        return f"rewritten_{stem}_{self.count}"


def _floats(model: onnx.ModelProto) -> set[str]:
    """Values that are certainly floats: made by arithmetic on what is one."""
    known = {each.name for each in model.graph.initializer if each.data_type == TensorProto.FLOAT}
    known |= {each.name for each in model.graph.input if each.type.tensor_type.elem_type == TensorProto.FLOAT}
    makers = {
        "Gemm",
        "MatMul",
        "Conv",
        "Sigmoid",
        "Tanh",
        "Exp",
        "Floor",
        "AveragePool",
        "Relu",
        "Div",
        "Sign",
    }
    for node in model.graph.node:
        if node.op_type == "Constant":
            if any(attr.name == "value" and attr.t.data_type == TensorProto.FLOAT for attr in node.attribute):
                known.add(node.output[0])
        elif node.op_type == "Cast":
            if any(attr.name == "to" and attr.i == TensorProto.FLOAT for attr in node.attribute):
                known.add(node.output[0])
        elif node.op_type in makers | {
            "Add",
            "Sub",
            "Mul",
            "Where",
            "Gather",
            "Squeeze",
            "Slice",
            "Unsqueeze",
        }:
            data = node.input[1] if node.op_type == "Where" else node.input[0]
            if data in known:
                known.add(node.output[0])
    return known


def _replace(model: onnx.ModelProto, make: Callable[[onnx.NodeProto], list[onnx.NodeProto] | None]) -> None:
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        made = make(node)
        nodes += [node] if made is None else made
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def commute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """a + b as b + a, a * b as b * a."""
    for node in model.graph.node:
        if node.op_type in {"Add", "Mul"} and rng.random() < 0.7:
            first, second = node.input
            node.input[0], node.input[1] = second, first


def subtract_negative(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """a + b as a - (-b)."""
    names, floats = _Names(), _floats(model)

    def make(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Add" or node.output[0] not in floats or rng.random() < 0.4:
            return None
        negative = names("neg")
        return [
            helper.make_node("Neg", [node.input[1]], [negative]),
            helper.make_node("Sub", [node.input[0], negative], list(node.output), name=node.name),
        ]

    _replace(model, make)


def add_negative(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """a - b as a + (-1) b."""
    names, floats = _Names(), _floats(model)
    minus = names("minus_one")
    model.graph.initializer.append(numpy_helper.from_array(np.array(-1, np.float32), minus))

    def make(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Sub" or node.output[0] not in floats or rng.random() < 0.4:
            return None
        negative = names("neg")
        return [
            helper.make_node("Mul", [minus, node.input[1]], [negative]),
            helper.make_node("Add", [negative, node.input[0]], list(node.output), name=node.name),
        ]

    _replace(model, make)


def where_for_mul(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """spike * a as where(spike > 0.5, a, 0)."""
    names = _Names()
    half, zero = names("half"), names("zero")
    for name, value in ((half, 0.5), (zero, 0.0)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    spikes = {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Cast"
        and any(attr.name == "to" and attr.i == TensorProto.FLOAT for attr in node.attribute)
    }
    truths = {
        node.output[0] for node in model.graph.node if node.op_type in {"Greater", "GreaterOrEqual", "Less"}
    }
    sources = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}
    spikes = {name for name in spikes if sources[name] in truths}

    def make(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Mul" or rng.random() < 0.3:
            return None
        for own, other in ((0, 1), (1, 0)):
            if node.input[own] in spikes:
                condition = names("condition")
                return [
                    helper.make_node("Greater", [node.input[own], half], [condition]),
                    helper.make_node(
                        "Where", [condition, node.input[other], zero], list(node.output), name=node.name
                    ),
                ]
        return None

    _replace(model, make)


def compare_negated(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """a > b as -b > -a, and as not(a <= b)."""
    names = _Names()

    def make(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type not in {"Greater", "GreaterOrEqual"} or rng.random() < 0.3:
            return None
        a, b = node.input
        if rng.random() < 0.5:
            left, right = names("neg"), names("neg")
            return [
                helper.make_node("Neg", [a], [left]),
                helper.make_node("Neg", [b], [right]),
                helper.make_node(node.op_type, [right, left], list(node.output), name=node.name),
            ]
        opposite = "LessOrEqual" if node.op_type == "Greater" else "Less"
        wrong = names("not")
        return [
            helper.make_node(opposite, [a, b], [wrong]),
            helper.make_node("Not", [wrong], list(node.output), name=node.name),
        ]

    _replace(model, make)


def insert_identities(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Identity, and a Cast to what it is, after values."""
    names, floats = _Names(), _floats(model)

    def make(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type in {"Loop", "Scan", "If"} or len(node.output) != 1 or rng.random() < 0.6:
            return None
        inner = names("inner")
        changed = copy.deepcopy(node)
        changed.output[0] = inner
        if node.output[0] in floats and rng.random() < 0.5:
            after = helper.make_node("Cast", [inner], [node.output[0]], to=TensorProto.FLOAT)
        else:
            after = helper.make_node("Identity", [inner], [node.output[0]])
        return [changed, after]

    _replace(model, make)


def scale_apart(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """a * b as (2 a) * b / 2: constants associated in another way, exactly."""
    names, floats = _Names(), _floats(model)
    two = names("two")
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, np.float32), two))

    def make(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        if node.op_type != "Mul" or node.output[0] not in floats or rng.random() < 0.4:
            return None
        double, product = names("double"), names("product")
        return [
            helper.make_node("Mul", [node.input[0], two], [double]),
            helper.make_node("Mul", [double, node.input[1]], [product]),
            helper.make_node("Div", [product, two], list(node.output), name=node.name),
        ]

    _replace(model, make)


def rename(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Other names for all values inside, none for nodes, no metadata."""
    if any(attr.HasField("g") for node in model.graph.node for attr in node.attribute):
        return
    outer = {each.name for each in (*model.graph.input, *model.graph.output)}
    new: dict[str, str] = {"": ""}
    for name in (
        *(each.name for each in model.graph.initializer),
        *(out for node in model.graph.node for out in node.output),
    ):
        new[name] = name if name in outer else f"t{len(new)}"
    for each in model.graph.initializer:
        each.name = new[each.name]
    for node in model.graph.node:
        node.name = ""
        del node.metadata_props[:]
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]


def merge_initializers(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """One initializer for equal ones."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    kept: list[onnx.TensorProto] = []
    for each in model.graph.initializer:
        plain = copy.deepcopy(each)
        plain.name = ""
        key = plain.SerializeToString()
        if key in first:
            same[each.name] = first[key]
        else:
            first[key] = each.name
            kept.append(each)
    if any(attr.HasField("g") for node in model.graph.node for attr in node.attribute):
        return
    kept = [copy.deepcopy(each) for each in kept]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for node in model.graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]


def outline(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Additions and multiplications as local functions."""
    opset = _opset(model)
    used: set[str] = set()
    for node in model.graph.node:
        if node.op_type in {"Add", "Mul", "Sub"} and node.domain == "":
            used.add(node.op_type)
            node.domain = "local"
    for op in sorted(used):
        inner = helper.make_node(op, ["a", "b"], ["c"])
        model.functions.append(
            helper.make_function("local", op, ["a", "b"], ["c"], [inner], [helper.make_opsetid("", opset)])
        )
    if used:
        model.opset_import.append(helper.make_opsetid("local", 1))


def outline_several(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Runs of nodes as local functions, whose values are renamed inside."""
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    start = 0
    while start < len(graph.node):
        run = list(graph.node[start : start + int(rng.integers(2, 7))])
        start += len(run)
        if rng.random() < 0.4 or any(attr.HasField("g") for node in run for attr in node.attribute):
            nodes += run
            continue
        used = {name for node in graph.node[start:] for name in _needed(node)}
        used |= {name for node in nodes for name in _needed(node)} | {each.name for each in graph.output}
        made = {name for node in run for name in node.output}
        inputs = list(dict.fromkeys(n for node in run for n in node.input if n and n not in made))
        outputs = [name for node in run for name in node.output if name in used]
        inside = {name: f"v{k}" for k, name in enumerate([*inputs, *sorted(made - {""})])} | {"": ""}
        body = [copy.deepcopy(node) for node in run]
        for node in body:
            node.input[:] = [inside[name] for name in node.input]
            node.output[:] = [inside[name] for name in node.output]
        op = f"run_{start}"
        imports = [copy.deepcopy(each) for each in model.opset_import if each.domain != "runs"]
        taken, given = ([inside[name] for name in names] for names in (inputs, outputs))
        model.functions.append(helper.make_function("runs", op, taken, given, body, imports))
        nodes.append(helper.make_node(op, inputs, outputs, domain="runs"))
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import.append(helper.make_opsetid("runs", 1))


def _needed(node: onnx.NodeProto) -> list[str]:
    """The values that a node takes, in its subgraphs too."""
    inner = [each for attr in node.attribute if attr.HasField("g") for each in attr.g.node]
    given = [each.name for attr in node.attribute if attr.HasField("g") for each in attr.g.output]
    return [*node.input, *given, *(name for each in inner for name in _needed(each))]


def inline(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Local functions dissolved by the library, under the names that it gives."""
    outline_several(model, rng)
    model.CopyFrom(inliner.inline_local_functions(model))


def newer_opset(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """The newest opset that the library knows."""
    _convert(model, range(onnx.defs.onnx_opset_version(), _opset(model), -1))


def older_opset(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """The oldest opset that the library can convert the model to."""
    _convert(model, range(11, _opset(model)))


def _convert(model: onnx.ModelProto, versions: range) -> None:
    for version in versions:
        try:
            model.CopyFrom(version_converter.convert_version(model, version))
        except (RuntimeError, version_converter.ConvertError):
            continue
        return
    raise CannotSpellError(f"no opset of {versions.start} to {versions.stop} has the model's operators")


def _opset(model: onnx.ModelProto) -> int:
    return next(each.version for each in model.opset_import if each.domain == "")


REWRITES: dict[str, Rewrite] = {
    each.__name__: each
    for each in (
        commute,
        subtract_negative,
        add_negative,
        where_for_mul,
        compare_negated,
        insert_identities,
        scale_apart,
        rename,
        merge_initializers,
        outline,
        outline_several,
        inline,
        newer_opset,
        older_opset,
    )
}


def rewritten(model: onnx.ModelProto, names: list[str], seed: int) -> onnx.ModelProto:
    """A copy of the model with some rewrites, in order. Raises CannotSpellError."""
    rng = np.random.default_rng(seed)
    changed = copy.deepcopy(model)
    for name in names:
        REWRITES[name](changed, rng)
    return changed
