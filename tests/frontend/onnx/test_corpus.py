"""Every ONNX case of the corpus: golden in float32 against the framework's own recordings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmc import driver
from nmc.frontend.onnx import load
from nmc.ir import text
from nmc.ir.graph import Graph
from nmc.ir.ops import Elementwise, Neuron, Sparse
from nmc.ir.verify import verify
from nmc.sim.golden import simulate
from nmc.sim.interchange import from_steps, inputs_to_steps, layout_of

CASES = [
    "ann_digits_cnn_bn_dyn",
    "ann_digits_mlp_qdq",
    "ann_digits_mlp_ts",
    "custom_op_lif_step_ts",
    "egru_temporal_step_ts",
    "gru_op_temporal_ts",
    "norse_digits_lif_step_ts",
    "norse_digits_seq_unroll_dyn",
    "norse_lifrec_temporal_step_ts",
    "norse_refrac_step_dyn",
    "onnx_delay_conv1d_unroll_dyn",
    "onnx_delay_shiftreg_step_ts",
    "plain_baked_init_unroll_ts",
    "plain_scan_dyn",
    "plain_styles_step_dyn",
    "plain_styles_step_ts",
    "rockpool_lif_dyn",
    "sinabs_iaf_conv_dyn",
    "sinabs_lif_single_step_ts",
    "sj14_conv_lif_loop_ts",
    "sj14_if_soft_step_ts",
    "sj_lif_di1_hard_step_dyn",
    "sj_sew_if_ms_dyn",
    "sj_ssa_ms_dyn",
    "snn07_leaky_zero_step_ts",
    "snn_conv_hidden_unroll_ts",
    "snn_digits_mlp_step_ts",
    "snn_digits_mlp_unroll_dyn",
    "snn_lapicque_step_ts",
    "snn_rleaky_temporal_step_ts",
    "snn_synaptic_step_ts",
]

TOLERANCE = 1e-5

NOT_NEURONS = {
    "egru_temporal_step_ts": 1,
    "gru_op_temporal_ts": 1,
    "plain_styles_step_dyn": 1,
    "plain_styles_step_ts": 1,
}
"""Populations outside the known families: gated cells, and a spike that is a half exactly at its threshold."""


@dataclass(frozen=True)
class Case:
    name: str
    graph: Graph
    meta: dict[str, Any]
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]


@cache
def case_at(folder: Path) -> Case:
    return Case(
        folder.name,
        load(folder / "model.onnx"),
        json.loads((folder / "meta.json").read_text()),
        dict(np.load(folder / "input.npz")),
        dict(np.load(folder / "expected.npz")),
    )


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, shared: Path) -> Case:
    return case_at(shared / "corpus" / request.param)


def steps_of(case: Case, array: np.ndarray) -> dict[str, np.ndarray]:
    """The input as (steps, samples, *shape); step models get it that way."""
    return {"x": array} if case.meta["form"] == "step" else inputs_to_steps(case.graph, {"x": array})


def as_in_file(case: Case, name: str, array: np.ndarray) -> np.ndarray:
    layout = layout_of(case.graph, name)
    if case.meta["form"] == "step" or layout is None:
        return array[:, : case.expected[name].shape[1]]
    return from_steps(layout, array)


def test_corpus_case_is_a_lawful_graph(case: Case) -> None:
    assert verify(case.graph) == []
    assert text.parse(text.show(case.graph), text.tensors(case.graph)) == case.graph


def test_corpus_case_gives_the_frameworks_outputs(case: Case) -> None:
    result = simulate(case.graph, steps_of(case, case.inputs["x"]), dtype=np.float32)
    for name, array in result.outputs.items():
        np.testing.assert_allclose(
            as_in_file(case, name, array).astype(float), case.expected[name], rtol=TOLERANCE, atol=TOLERANCE
        )


def test_corpus_case_gives_the_frameworks_states(case: Case) -> None:
    states = {each.name: each for each in case.graph.layouts if each.variable and each.slots is None}
    record = [layout.variable for layout in states.values()]
    trace = simulate(case.graph, steps_of(case, case.inputs["x"]), dtype=np.float32, record=record).trace
    for name in states.keys() & case.expected.keys():
        got = trace[states[name].variable]
        wanted = case.expected[name]
        np.testing.assert_allclose(got[:, : wanted.shape[1]], wanted, rtol=TOLERANCE, atol=TOLERANCE)


def test_corpus_case_lifts_every_population(case: Case) -> None:
    programs = [node for node in case.graph.nodes if isinstance(node.op, Elementwise) and node.op.initial]
    membranes = {name for name in ("mem2", "pre1", "v_T", "w_T") if name in case.graph}
    assert len(programs) == NOT_NEURONS.get(case.name, 0) + len(membranes)


FULL = [
    ("ann_digits_cnn_bn_dyn", "logits", "logits_all"),
    ("ann_digits_mlp_qdq", "logits", "logits_all"),
    ("ann_digits_mlp_ts", "logits", "logits_all"),
    ("egru_temporal_step_ts", "logits", "logit_sum_all"),
    ("norse_digits_lif_step_ts", "out", "max_out_all"),
    ("norse_lifrec_temporal_step_ts", "out", "max_out_all"),
    ("onnx_delay_conv1d_unroll_dyn", "spk", "spike_counts_all"),
    ("onnx_delay_shiftreg_step_ts", "spk", "spike_counts_all"),
    ("sinabs_iaf_conv_dyn", "spk", "spike_counts_all"),
    ("sj14_conv_lif_loop_ts", "spk", "spike_counts_all"),
    ("sj14_if_soft_step_ts", "spk", "spike_counts_all"),
    ("sj_lif_di1_hard_step_dyn", "spk", "spike_counts_all"),
    ("sj_sew_if_ms_dyn", "spk", "spike_counts_all"),
    ("snn07_leaky_zero_step_ts", "spk", "spike_counts_all"),
    ("snn_conv_hidden_unroll_ts", "spk", "spike_counts_all"),
    ("snn_digits_mlp_step_ts", "spk", "spike_counts_all"),
    ("snn_rleaky_temporal_step_ts", "spk", "spike_counts_all"),
    ("snn_synaptic_step_ts", "spk", "spike_counts_all"),
]


@pytest.mark.parametrize(("name", "output", "total"), FULL)
def test_corpus_case_classifies_the_whole_test_set_as_the_framework(
    shared: Path, name: str, output: str, total: str
) -> None:
    case = case_at(shared / "corpus" / name)
    whole = case.inputs.get("x_full", case.inputs["x"])
    shape = case.graph.inputs[0].op.signal.shape  # type: ignore[union-attr]
    if case.meta["form"] == "ann":
        whole = whole[None]
    elif whole.ndim == len(shape) + 1:
        whole = np.broadcast_to(whole, (case.meta["T"], *whole.shape))
    got = (
        simulate(case.graph, {"x": np.ascontiguousarray(whole)}, dtype=np.float32)
        .outputs[output]
        .astype(float)
    )
    got = got.max(axis=0) if total.startswith("max") else got.sum(axis=0)
    wanted = case.expected[total]
    assert (got.argmax(-1) == case.inputs["y"]).sum() == pytest.approx(
        (wanted.argmax(-1) == case.inputs["y"]).sum(), abs=1
    )
    if total == "spike_counts_all":
        np.testing.assert_array_equal(got, wanted)
    elif total != "logit_sum_all":  # which is a tenth of the sum
        np.testing.assert_allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["onnx_delay_conv1d_unroll_dyn", "onnx_delay_shiftreg_step_ts"])
def test_corpus_delay_net_has_the_trained_delays(shared: Path, name: str) -> None:
    case = case_at(shared / "corpus" / name)
    layers = [node.op for node in case.graph.nodes if isinstance(node.op, Sparse)]
    assert len(layers) == 2
    for number, op in enumerate(layers, 1):
        weight, delay = case.expected[f"w{number}"], case.expected[f"d{number}"]
        post, pre = np.nonzero(weight)
        got = {
            (int(i), int(j)): (int(d), float(w))
            for i, j, d, w in zip(op.post.data, op.pre.data, op.delay.data, op.weight.data, strict=True)
        }
        wanted = {
            (int(i), int(j)): (int(delay[i, j]), float(weight[i, j])) for i, j in zip(post, pre, strict=True)
        }
        assert got == wanted


def test_corpus_reset_rules_are_those_of_the_frameworks(shared: Path) -> None:
    def fires(name: str) -> set[tuple[str, str, str]]:
        graph = case_at(shared / "corpus" / name).graph
        return {
            (op.fire.comparison.name, op.fire.reset.name, op.fire.when.name)
            for op in (node.op for node in graph.nodes)
            if isinstance(op, Neuron) and op.fire is not None
        }

    assert fires("snn_digits_mlp_step_ts") == {("ABOVE", "SUBTRACT", "NEXT_AFTER_LEAK")}
    assert fires("snn07_leaky_zero_step_ts") == {("ABOVE", "TO_VALUE", "NEXT_AFTER_INPUT")}
    assert fires("sj_lif_di1_hard_step_dyn") == {("AT_LEAST", "TO_VALUE", "SAME_STEP")}
    assert fires("sj_sew_if_ms_dyn") == {("AT_LEAST", "SUBTRACT", "SAME_STEP")}
    assert fires("sinabs_iaf_conv_dyn") == {("AT_LEAST", "MULTI_SPIKE", "SAME_STEP")}
    assert fires("norse_refrac_step_dyn") == {("ABOVE", "TO_VALUE", "SAME_STEP")}


def recorded(case: Case, names: list[str]) -> dict[str, np.ndarray]:
    """What `nmc simulate --record` gives of the samples that the framework recorded."""
    given = steps_of(case, case.inputs["x"])
    return dict(driver.simulate(case.graph, given, record=names, dtype=np.float32).trace)


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("norse_refrac_step_dyn", ["rho_out", "v_out", "i_out"]),
        ("onnx_delay_shiftreg_step_ts", ["buf1_out", "buf2_out", "v1_out", "v2_out"]),
        ("norse_lifrec_temporal_step_ts", ["z_out", "v_out", "i_out", "vo_out", "io_out"]),
        ("egru_temporal_step_ts", ["c_out", "y_out"]),
        ("snn_rleaky_temporal_step_ts", ["spk1_out", "mem1_out"]),
    ],
)
def test_corpus_case_records_every_state_that_the_file_names(
    shared: Path, name: str, states: list[str]
) -> None:
    case = case_at(shared / "corpus" / name)
    for state, got in recorded(case, states).items():
        wanted = case.expected[state]
        np.testing.assert_allclose(got[:, : wanted.shape[1]], wanted, rtol=TOLERANCE, atol=TOLERANCE)


LAYERS = {
    "sinabs_iaf_conv_dyn": {"1": "m.1", "4": "m.4", "spike_output": "m.spike_output"},
    "sj14_conv_lif_loop_ts": {"n.2": "spike", "n.6": "spike.7"},
    "sj_sew_if_ms_dyn": {"stem.2": "stem.2", "c1.2": "c1.2", "c2.2": "c2.2", "out": "out"},
    "sj_ssa_ms_dyn": {"qn": "qn", "kn": "kn", "vn": "vn", "pn": "pn"},
}
"""The framework's layers, and what they are called in the graph."""


@pytest.mark.parametrize("name", LAYERS)
def test_corpus_case_has_the_frameworks_spikes_and_membranes_inside(shared: Path, name: str) -> None:
    case = case_at(shared / "corpus" / name)
    for layer, node in LAYERS[name].items():
        trace = recorded(case, [f"{node}.spikes", f"{node}.v"])
        for kind, got in (("spk", trace[f"{node}.spikes"]), ("v", trace[f"{node}.v"])):
            if (wanted := case.expected.get(f"{kind}__{layer}")) is not None:
                np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=TOLERANCE, atol=TOLERANCE)
        if (last := case.expected.get(f"vend__{layer}")) is not None:
            np.testing.assert_allclose(trace[f"{node}.v"][-1], last, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["ann_digits_cnn_bn_dyn", "ann_digits_mlp_ts"])
def test_corpus_network_of_rectifiers_has_the_frameworks_activations_inside(shared: Path, name: str) -> None:
    case = case_at(shared / "corpus" / name)
    inner = [key for key in case.expected if key.startswith("act__")]
    trace = recorded(case, [f"{key.removeprefix('act__')}.out" for key in inner])
    for key in inner:
        got = trace[f"{key.removeprefix('act__')}.out"]
        np.testing.assert_allclose(got[0], case.expected[key], rtol=TOLERANCE, atol=TOLERANCE)
