"""Einsum beside numpy: whatever letters say, with constants on either side, stacks, sums, dots and two values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nmc.frontend.onnx import load
from nmc.ir.graph import Graph
from nmc.ir.ops import Linear, Neuron
from nmc.sim.golden import simulate
from nmc.sim.interchange import from_steps, inputs_to_steps, layout_of
from tests.frontend.onnx.test_refusals import refused

SIZES = {"t": 5, "b": 3, "i": 4, "j": 4, "o": 6, "p": 2, "c": 4, "h": 2, "w": 3, "k": 2}
RNG = np.random.default_rng(0)
SPIKES = (RNG.random((5, 3, 4)) < 0.5).astype(np.float32)


def normal(letters: str) -> np.ndarray:
    return RNG.normal(size=[SIZES[letter] for letter in letters]).astype(np.float32)


def saved(
    folder: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    **constants: np.ndarray,
) -> Path:
    taken, given = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in ports.items()]
        for ports in (inputs, outputs)
    )
    known = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", taken, given, known)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder / "model.onnx")
    return folder / "model.onnx"


def einsum(equation: str, *inputs: str, node: str = "") -> onnx.NodeProto:
    return helper.make_node("Einsum", list(inputs), ["y"], equation=equation, name=node)


@pytest.mark.parametrize(
    ("equation", "weights"),
    [
        ("bi,oi->bo", ["oi"]),
        ("bi,io->bo", ["io"]),
        ("oi,bi->bo", ["oi"]),
        ("bi , oi", ["oi"]),
        ("...i,oi->...o", ["oi"]),
        ("bchw,oc->bohw", ["oc"]),
        ("bchw,oc->bhwo", ["oc"]),
        ("bhw,ohw->bo", ["ohw"]),
        ("bhi,hio->bho", ["hio"]),
        ("bhi,hi->bh", ["hi"]),
        ("bhi,ohi->boh", ["ohi"]),
        ("bi,i->bi", ["i"]),
        ("bi,i->b", ["i"]),
        ("bi,o->bio", ["o"]),
        ("bhi,o->bo", ["o"]),
        ("bi,io,op->bp", ["io", "op"]),
        ("io,op,bi->bp", ["io", "op"]),
        ("bhw->bwh", []),
        ("bhw->bw", []),
        ("bhw,opw->bohp", ["opw"]),
        ("bio,io->boi", ["io"]),
    ],
)
def test_einsum_with_constants_is_numpys(equation: str, weights: list[str], tmp_path: Path) -> None:
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    constants = {term: normal(term) for term in weights}
    plain = [term.replace("...", "b") for term in terms]
    (letters,) = (term for term in plain if term not in constants)
    x = normal(letters)
    wanted = np.einsum(equation, *(constants.get(term, x) for term in plain))
    names = [term if term in constants else "x" for term in plain]
    path = saved(tmp_path, [einsum(equation, *names)], {"x": x.shape}, {"y": wanted.shape}, **constants)
    got = simulate(load(path), {"x": x[None]}, dtype=np.float32).outputs["y"][0]
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "equation",
    [
        "bij,bkj->bik",
        "bhij,bhkj->bhik",
        "bhij,bhjk->bihk",
        "bhw,bhw->bwh",
        "bi,bi->b",
        "bi,bo->bio",
        "bhw,bow->boh",
        "bhij,bhij->bh",
    ],
)
def test_einsum_of_two_values_is_numpys(equation: str, tmp_path: Path) -> None:
    terms = equation.partition("->")[0].split(",")
    first, second = (normal(term) for term in terms)
    wanted = np.einsum(equation, first, second)
    ports = {"x": first.shape, "z": second.shape}
    path = saved(tmp_path, [einsum(equation, "x", "z")], ports, {"y": wanted.shape})
    got = simulate(load(path), {"x": first[None], "z": second[None]}, dtype=np.float32).outputs["y"][0]
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)


def membrane(folder: Path, equation: str) -> Graph:
    """A layer over all steps by Einsum, and five unrolled steps of a neuron that loses its threshold."""
    nodes = [helper.make_node("Einsum", ["x", "w"], ["all"], equation=equation)]
    nodes.append(helper.make_node("Split", ["all"], [f"c{t}" for t in range(5)], axis=0))
    before = "zero"
    for t in range(5):
        nodes += [
            helper.make_node("Mul", [before, "decay"], [f"d{t}"]),
            helper.make_node("Add", [f"d{t}", f"c{t}"], [f"h{t}"]),
            helper.make_node("Greater", [f"h{t}", "one"], [f"a{t}"]),
            helper.make_node("Cast", [f"a{t}"], [f"s{t}"], to=TensorProto.FLOAT),
            helper.make_node("Sub", [f"h{t}", f"s{t}"], [f"v{t}"]),
        ]
        before = f"v{t}"
    nodes.append(helper.make_node("Concat", [f"s{t}" for t in range(5)], ["y"], axis=0))
    scalars = {"zero": np.float32(0), "one": np.float32(1), "decay": np.float32(0.9)}
    constants = {name: np.asarray(value) for name, value in scalars.items()}
    path = saved(folder, nodes, {"x": (5, 3, 4)}, {"y": (5, 3, 6)}, w=WEIGHT, **constants)
    return load(path)


WEIGHT = normal("oi")


def test_einsum_over_all_steps_is_a_layer_of_each_step(tmp_path: Path) -> None:
    graph = membrane(tmp_path, "tbi,oi->tbo")
    assert sum(isinstance(node.op, Linear) for node in graph.nodes) == 1
    assert sum(isinstance(node.op, Neuron) for node in graph.nodes) == 1
    v, wanted = np.zeros((3, 6), np.float32), []
    for current in np.einsum("tbi,oi->tbo", SPIKES, WEIGHT):
        h = np.float32(0.9) * v + current
        wanted.append(h > 1)
        v = h - wanted[-1]
    layout, out = layout_of(graph, "x"), layout_of(graph, "y")
    assert layout is not None
    assert out is not None
    got = simulate(graph, inputs_to_steps(graph, {"x": SPIKES}), dtype=np.float32).outputs["y"]
    np.testing.assert_array_equal(from_steps(out, got), np.stack(wanted))
    assert np.any(wanted)


@pytest.mark.parametrize(
    ("equation", "code", "why"),
    [
        ("bii->bi", "NMC054", "takes a diagonal"),
        ("bi,oi->bo", "NMC061", "has 2 factors, 1 are given"),
        ("b->b", "NMC061", "does not name the axes of [3, 4, 4]"),
        ("b1i->b", "NMC061", "does not name the axes"),
        ("bij->bk", "NMC061", "not made of letters of the factors"),
        ("bbi->b", "NMC054", "takes a diagonal"),
    ],
)
def test_einsum_without_a_meaning_is_refused_at_its_node(
    equation: str, code: str, why: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, [einsum(equation, "x", node="sums")], {"x": (3, 4, 4)}, {"y": (3, 4)})
    finding = refused(path)
    assert (finding.code, finding.loc.node) == (code, "sums")
    assert why in finding.message


def test_einsum_that_mixes_samples_is_refused(tmp_path: Path) -> None:
    path = saved(
        tmp_path, [einsum("bi,ob->oi", "x", "w", node="sums")], {"x": (3, 4)}, {"y": (6, 4)}, w=normal("ob")
    )
    finding = refused(path)
    assert (finding.code, finding.loc.node) == ("NMC060", "sums")
