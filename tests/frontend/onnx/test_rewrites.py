"""A lift does not depend on the spelling: rewritten models give the same populations, layers and delays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from nmc.frontend.onnx import load
from nmc.ir.graph import Graph
from nmc.ir.ops import Neuron, Op
from tests.frontend.onnx.rewrite import REWRITES, CannotSpellError, rewritten
from tests.frontend.onnx.test_corpus import CASES, case_at

SPIKING = [name for name in CASES if not name.startswith("ann")]
EVERYTHING = ["newer_opset", "scale_apart", "subtract_negative", "add_negative", "where_for_mul",
              "compare_negated", "commute", "insert_identities", "merge_initializers", "outline"]  # fmt: skip


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

    for x, y in zip(numbers(a), numbers(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-7)


def numbers(graph: Graph) -> list[tuple[float, ...]]:
    """The numbers of each neuron, in units of its threshold: a membrane that no one sees may have any unit."""
    found: list[tuple[float, ...]] = []
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, Neuron):
            continue
        unit = float(op.fire.threshold.values.ravel()[0]) if op.fire is not None else 1.0
        gain = op.membrane.gain.values if op.membrane.gain is not None else np.ones(())
        plain = [gain / unit, op.membrane.initial.values / unit]
        plain += [part.values / unit for part in (op.membrane.bias, op.membrane.minimum) if part is not None]
        plain += [part.values for part in (op.membrane.decay,) if part is not None]
        if op.synapse is not None:
            plain += [op.synapse.decay.values]
        if op.fire is not None:
            plain += [op.fire.refractory.values, op.fire.value.values / unit]
        found.append(tuple(float(each) for part in plain for each in part.ravel()[:4]))
    return sorted(found)


CHEAP = frozenset(
    {
        "plain_scan_dyn",
        "sj14_conv_lif_loop_ts",
        "sj_sew_if_ms_dyn",
        "snn_digits_mlp_unroll_dyn",
        "snn_synaptic_step_ts",
    }
)
"""A loop, a scan, steps folded into samples, unrolled steps, one step: each rewrite alone is tried on these always."""


SPELLINGS = [
    pytest.param(
        name,
        rewrite,
        id=f"{name}-{'everything' if rewrite is EVERYTHING else rewrite[0]}",
        marks=() if name in CHEAP or rewrite is EVERYTHING else (pytest.mark.slow,),
    )
    for name in SPIKING
    for rewrite in ([EVERYTHING] + [[each] for each in REWRITES])
]


@pytest.mark.parametrize(("name", "rewrite"), SPELLINGS)
def test_rewritten_model_lifts_the_same(shared: Path, tmp_path: Path, name: str, rewrite: list[str]) -> None:
    folder = shared / "corpus" / name
    try:
        model = rewritten(onnx.load(folder / "model.onnx"), rewrite, seed=1)
    except CannotSpellError:
        assert {"older_opset", "newer_opset"} & set(rewrite), "only an opset may lack what a model needs"
        return
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    same_lift(load(path), case_at(folder).graph)
