"""A lift does not depend on the spelling: rewritten models give the same populations, layers and delays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from nmc.frontend.onnx import load
from nmc.ir.graph import Graph
from nmc.ir.ops import Neuron, Op, parameters
from tests.frontend.onnx.rewrite import REWRITES, rewritten
from tests.frontend.onnx.test_corpus import CASES, case_at

SPIKING = [name for name in CASES if not name.startswith("ann")]
EVERYTHING = ["scale_apart", "subtract_negative", "add_negative", "where_for_mul", "compare_negated", "commute",
              "insert_identities", "merge_initializers", "outline"]  # fmt: skip


def signature(op: Op) -> tuple[object, ...]:
    """What an operation is, in numbers rounded to single precision."""
    if isinstance(op, Neuron):
        rules = ()
        if op.fire is not None:
            rules = (op.fire.comparison, op.fire.spike_from, op.fire.reset, op.fire.when)
        return (type(op).__name__, op.family, op.shape, rules)
    return (type(op).__name__,)


def same_lift(a: Graph, b: Graph) -> None:
    """Whether two graphs have the same neurons and layers, in an order in which signals flow."""
    left = sorted((signature(node.op) for node in a.nodes), key=repr)
    right = sorted((signature(node.op) for node in b.nodes), key=repr)
    assert left == right

    def numbers(graph: Graph) -> list[tuple[str, tuple[float, ...]]]:
        found: list[tuple[str, tuple[float, ...]]] = []
        for node in graph.nodes:
            if isinstance(node.op, Neuron):
                for path, tensor in parameters(node.op).items():
                    found.append((path, tuple(float(f"{value:.5g}") for value in tensor.values.ravel()[:4])))
        return sorted(found)

    for (path, x), (other, y) in zip(numbers(a), numbers(b), strict=True):
        assert path == other
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", SPIKING)
@pytest.mark.parametrize("rewrite", [[each] for each in REWRITES] + [EVERYTHING], ids=lambda each: "+".join(each)[:20])
def test_rewritten_model_lifts_the_same(shared: Path, tmp_path: Path, name: str, rewrite: list[str]) -> None:
    folder = shared / "corpus" / name
    model = rewritten(onnx.load(folder / "model.onnx"), rewrite, seed=1)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    same_lift(load(path), case_at(folder).graph)
