"""Every ONNX case of the corpus on Loihi: compiled, with golden and machine agreeing, or refused with a code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nmc import driver, npz
from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError
from nmc.engines import find_witness
from nmc.sim.arrays import Decode

COMPILED = {
    "custom_op_lif_step_ts": (),
    "norse_digits_lif_step_ts": (),
    "norse_digits_seq_unroll_dyn": (),
    "norse_lifrec_temporal_step_ts": (),
    "norse_refrac_step_dyn": (),
    "onnx_delay_conv1d_unroll_dyn": (),
    "onnx_delay_shiftreg_step_ts": (),
    "plain_baked_init_unroll_ts": ("v_T", "w_T"),
    "plain_scan_dyn": ("pre1",),
    "rockpool_lif_dyn": (),
    "sinabs_iaf_conv_dyn": (),
    "sinabs_lif_single_step_ts": (),
    "sj14_conv_lif_loop_ts": (),
    "sj14_if_soft_step_ts": (),
    "sj_lif_di1_hard_step_dyn": (),
    "sj_sew_if_ms_dyn": (),
    "snn07_leaky_zero_step_ts": (),
    "snn_conv_hidden_unroll_ts": (),
    "snn_digits_mlp_step_ts": (),
    "snn_digits_mlp_unroll_dyn": ("mem2",),
    "snn_lapicque_step_ts": (),
    "snn_rleaky_temporal_step_ts": (),
    "snn_synaptic_step_ts": (),
}
"""What Loihi holds, and the outputs that it does not have (membranes before their reset)."""

REFUSED = {
    "ann_digits_cnn_bn_dyn": {"f.2", "f.6"},
    "ann_digits_mlp_qdq": {"x_QuantizeLinear_Output", "1", "3", "logits_2"},
    "ann_digits_mlp_ts": {"1", "3"},
    "egru_temporal_step_ts": {"m"},
    "gru_op_temporal_ts": {"g"},
    "plain_styles_step_dyn": {"mul_3"},
    "plain_styles_step_ts": {"/Mul_5_output_0"},
    "sj_ssa_ms_dyn": {"matmul", "matmul_1"},
}
"""What no target holds, and the nodes that are at fault: functions without spikes, gated cells, attention."""

STEPS = 10

LAVA = ("snn_digits_mlp_step_ts", "sj_lif_di1_hard_step_dyn", "norse_lifrec_temporal_step_ts")
"""Cases that Lava runs too, where it is installed: one for each family of reset and synapse."""


@dataclass(frozen=True)
class Case:
    folder: Path
    compiled: driver.Compiled

    @property
    def network(self) -> driver.Network:
        return driver.Network(self.compiled.graph, self.compiled.artifact)


def compiled(folder: Path) -> Case:
    model = driver.read(folder / "model.onnx")
    calibration = npz.read(folder / "input.npz", model.graph).inputs
    return Case(folder, driver.compile(model, target="loihi", request=Request(calibration=calibration)))


def test_the_table_names_every_case_of_the_corpus(shared: Path) -> None:
    there = {path.parent.name for path in (shared / "corpus").glob("*/model.onnx")}
    assert COMPILED.keys() | REFUSED.keys() == there


@pytest.mark.parametrize("name", COMPILED)
def test_corpus_case_compiles_and_runs_on_loihi_as_golden_says(shared: Path, name: str) -> None:
    case = compiled(shared / "corpus" / name)
    left_out = [each.message.split("`")[1] for each in case.compiled.notes if each.code == "NMC164"]
    assert tuple(left_out) == COMPILED[name]
    data = npz.read(case.folder / "input.npz", case.compiled.graph)
    stimulus = {each: array[:STEPS, :1] for each, array in data.inputs.items()}
    lava = find_witness(registry.load("loihi"), "lava")
    engines = ["lava"] if name in LAVA and lava.ready() is None else []
    done = driver.verify(case.network, stimulus, engines=engines)
    assert done.divergence is None
    assert done.engines == ("golden", "machine", *engines)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMPILED.keys() - set(LAVA)))
def test_corpus_case_runs_in_lava_as_golden_says(shared: Path, name: str) -> None:
    case = compiled(shared / "corpus" / name)
    if (missing := find_witness(registry.load("loihi"), "lava").ready()) is not None:
        pytest.skip(missing)
    data = npz.read(case.folder / "input.npz", case.compiled.graph)
    stimulus = {each: array[:STEPS, :1] for each, array in data.inputs.items()}
    done = driver.verify(case.network, stimulus, engines=["lava"])
    assert done.divergence is None
    assert done.engines == ("golden", "machine", "lava")


@pytest.mark.parametrize("name", REFUSED)
def test_corpus_case_that_no_target_holds_is_refused_with_its_nodes(shared: Path, name: str) -> None:
    with pytest.raises(CompileError) as refused:
        compiled(shared / "corpus" / name)
    assert {finding.code for finding in refused.value.findings} == {"NMC161"}
    assert {finding.loc.node for finding in refused.value.findings} == REFUSED[name]
    assert all("nmc simulate" in finding.help for finding in refused.value.findings)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("norse_digits_lif_step_ts", Decode.MEMBRANE),
        ("norse_lifrec_temporal_step_ts", Decode.MEMBRANE),
        ("onnx_delay_conv1d_unroll_dyn", Decode.COUNT),
        ("onnx_delay_shiftreg_step_ts", Decode.COUNT),
        ("sinabs_iaf_conv_dyn", Decode.COUNT),
        ("sj14_conv_lif_loop_ts", Decode.COUNT),
        ("sj14_if_soft_step_ts", Decode.COUNT),
        ("sj_lif_di1_hard_step_dyn", Decode.COUNT),
        ("sj_sew_if_ms_dyn", Decode.COUNT),
        ("snn07_leaky_zero_step_ts", Decode.COUNT),
        ("snn_conv_hidden_unroll_ts", Decode.COUNT),
        ("snn_digits_mlp_step_ts", Decode.COUNT),
        ("snn_digits_mlp_unroll_dyn", Decode.COUNT),
        ("snn_rleaky_temporal_step_ts", Decode.COUNT),
        ("snn_synaptic_step_ts", Decode.COUNT),
    ],
)
def test_corpus_case_loses_at_most_a_point_at_eight_bits(
    shared: Path, tmp_path: Path, name: str, how: Decode
) -> None:
    case = compiled(shared / "corpus" / name)
    meta = json.loads((case.folder / "meta.json").read_text())
    data = npz.read(whole_test_set(case.folder, meta["T"], tmp_path), case.compiled.graph, labels="y")
    assert data.labels is not None
    right, of = npz.count_right(driver.simulate(case.network, data.inputs), data.labels, how)
    assert right / of >= meta["float_accuracy"] - 0.01 - 1e-6  # of the accuracy in single precision


def whole_test_set(folder: Path, steps: int, into: Path) -> Path:
    """The arrays of a case with all its samples; images are held for all steps."""
    arrays = dict(np.load(folder / "input.npz"))
    if "x_full" not in arrays:
        return folder / "input.npz"
    whole = arrays["x_full"]
    if len(whole) == len(arrays["y"]):
        whole = np.broadcast_to(whole, (steps, *whole.shape))
    np.savez(into / "whole.npz", x=whole, y=arrays["y"])
    return into / "whole.npz"
