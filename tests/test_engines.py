"""Engines run the same network; what they record, how late they are, and whether they agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import driver, engines
from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError, UsageError
from tests.toy_files import CLASSES, HIDDEN, INPUTS, write_model


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:TOY", "crooked": "tests.toy:CROOKED"})
    monkeypatch.setenv("NMC_TEST_TOY", str(tmp_path / "installed"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "net.nir")


@pytest.fixture
def artifact(model: Path, tmp_path: Path) -> Path:
    driver.write(driver.compile(model, target="toy").artifact, tmp_path / "out")
    return tmp_path / "out"


def crooked(model: Path, tmp_path: Path) -> engines.Network:
    driver.write(driver.compile(model, target="crooked").artifact, tmp_path / "crooked")
    return engines.open_network(tmp_path / "crooked")


def inputs(steps: int = 12, samples: int = 3) -> dict[str, np.ndarray]:
    return {"input": (np.random.default_rng(0).random((steps, samples, INPUTS)) < 0.5).astype(np.uint8)}


def test_simulate_runs_a_model_in_reals(model: Path) -> None:
    result = driver.simulate(model, inputs(), record=["lif1.v"])
    assert result.outputs["output"].shape == (12, 3, CLASSES)
    assert result.trace["lif1.v"].dtype == np.float64
    assert result.outputs["output"].any()


def test_simulate_runs_in_single_precision_when_asked(model: Path) -> None:
    assert (
        driver.simulate(model, inputs(), record=["lif1.v"], dtype="float32").trace["lif1.v"].dtype
        == np.float32
    )


def test_simulate_moves_late_outputs_back_to_the_steps_of_the_model(artifact: Path) -> None:
    network = engines.open_network(artifact)
    late = network.graph.latency
    assert late > 0
    result = driver.simulate(network, inputs(), record=["lif1.spikes"])
    assert result.outputs["output"].shape == (12, 3, CLASSES)
    assert result.trace["lif1.spikes"].shape == (12 + late, 3, HIDDEN)
    longer = driver.simulate(network, inputs(), steps=12 + late)
    assert np.array_equal(longer.outputs["output"][:12], result.outputs["output"])


@pytest.mark.parametrize("factor", [2, 3])
def test_simulate_gives_the_steps_of_the_model_of_a_stretched_artifact(model: Path, factor: int) -> None:
    slow = driver.compile(model, target="toy", request=Request(stretch=factor))
    network = engines.Network(slow.graph, slow.artifact)
    plain = driver.compile(model, target="toy")
    expected = driver.simulate(plain.graph, inputs())
    assert expected.outputs["output"].any()
    for engine in ("golden", "machine", "mirror"):
        got = driver.simulate(network, inputs(), engine=engine, record=["lif1.v"])
        np.testing.assert_array_equal(got.outputs["output"], expected.outputs["output"])
        assert len(got.trace["lif1.v"]) == factor * (12 + -(-slow.graph.latency // factor))
    assert driver.verify(network, inputs()).agree
    assert driver.verify(network).agree


def test_simulate_in_integers_is_near_the_model_in_reals(model: Path, artifact: Path) -> None:
    real = driver.simulate(model, inputs(40, 8)).outputs["output"]
    integer = driver.simulate(artifact, inputs(40, 8)).outputs["output"]
    assert np.mean(real != integer) < 0.05  # one step off, it would be 0.3


def test_simulate_gives_the_same_on_the_machine(artifact: Path) -> None:
    golden = driver.simulate(artifact, inputs(), record=["lif1.v", "lif2.spikes"])
    machine = driver.simulate(artifact, inputs(), engine="machine", record=["lif1.v", "lif2.spikes"])
    assert (golden.by, machine.by, machine.cycles) == ("golden", "machine", 100)
    assert list(machine.trace) == ["lif1.v", "lif2.spikes"]
    for name, trace in golden.trace.items():
        assert np.array_equal(trace, machine.trace[name])
    assert np.array_equal(golden.outputs["output"], machine.outputs["output"])


def test_simulate_cuts_inputs_or_adds_silence(model: Path) -> None:
    short = driver.simulate(model, inputs(), steps=5)
    assert short.steps == 5
    long = driver.simulate(model, inputs(), steps=20)
    assert long.steps == 20
    silent = np.concatenate([inputs()["input"], np.zeros((8, 3, INPUTS), np.uint8)])
    assert np.array_equal(long.outputs["output"], driver.simulate(model, {"input": silent}).outputs["output"])


def test_simulate_names_the_nearest_variable_when_unknown(model: Path) -> None:
    with pytest.raises(UsageError) as refused:
        driver.simulate(model, inputs(), record=["lif1.w", "fc1.v"])
    assert [(f.code, f.help) for f in refused.value.findings] == [
        ("NMC904", "did you mean `lif1.v`?"),
        ("NMC904", "did you mean `lif1.v`?"),
    ]


def test_simulate_names_the_nearest_engine_when_unknown(artifact: Path) -> None:
    with pytest.raises(UsageError) as refused:
        driver.simulate(artifact, inputs(), engine="machin")
    assert [(f.code, f.help) for f in refused.value.findings] == [("NMC903", "did you mean `machine`?")]


def test_simulate_refuses_to_run_a_machine_on_a_model(model: Path) -> None:
    with pytest.raises(UsageError) as refused:
        driver.simulate(model, inputs(), engine="machine")
    assert refused.value.findings[0].code == "NMC905"


def test_simulate_says_how_to_get_a_witness_that_is_not_here(artifact: Path) -> None:
    with pytest.raises(CompileError) as refused:
        driver.simulate(artifact, inputs(), engine="absent")
    (finding,) = refused.value.findings
    assert (finding.code, finding.help) == ("NMC907", "nmc tools install absent")


def test_open_network_refuses_options_that_an_artifact_has_settled(artifact: Path) -> None:
    with pytest.raises(UsageError) as refused:
        engines.open_network(artifact, Request(dt=1e-3))
    assert refused.value.findings[0].code == "NMC905"


def test_open_network_refuses_a_damaged_artifact(artifact: Path) -> None:
    with (artifact / "graph.nmc").open("a") as file:
        file.write(" ")
    with pytest.raises(CompileError) as refused:
        engines.open_network(artifact)
    assert "graph.nmc" in str(refused.value)


def test_verify_compares_outputs_spikes_and_membranes_of_every_population(artifact: Path) -> None:
    done = driver.verify(artifact)
    assert done.agree
    assert done.engines == ("golden", "machine", "mirror")
    everything = ("lif1.spikes", "lif1.v", "lif2.spikes", "lif2.v", "output")
    assert dict(done.compared) == {"machine": everything, "mirror": everything}


def test_verify_notes_the_witnesses_that_are_not_here(artifact: Path) -> None:
    codes = {note.code: note for note in driver.verify(artifact).notes}
    assert "`absent`" in codes["NMC921"].message


def test_verify_notes_populations_that_never_spiked(artifact: Path) -> None:
    done = driver.verify(artifact, {"input": np.zeros((8, 1, INPUTS), np.uint8)})
    assert any(note.code == "NMC920" and "`lif1`, `lif2`" in note.message for note in done.notes)


def test_verify_names_the_first_divergence(model: Path, tmp_path: Path) -> None:
    done = driver.verify(crooked(model, tmp_path), engines=["crooked"])
    assert not done.agree
    assert done.divergence is not None
    where = done.divergence
    assert (where.step, where.sample, where.node, where.neuron, where.variable) == (5, 1, "lif1", 2, "v")
    assert where.got == where.expected + 1
    assert done.engines == ("golden", "machine", "crooked")


def test_verify_reports_a_witness_that_fails(model: Path, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as refused:
        driver.verify(crooked(model, tmp_path), engines=["broken"])
    assert "the witness fell over" in refused.value.findings[0].message


def test_verify_leaves_a_witness_out_that_takes_too_long_unless_it_was_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:SLOW"})
    driver.write(driver.compile(model, target="toy").artifact, tmp_path / "slow")
    done = driver.verify(tmp_path / "slow")
    assert done.engines == ("golden", "machine")
    assert any(note.code == "NMC921" and "timed out" in note.message for note in done.notes)
    with pytest.raises(CompileError):
        driver.verify(tmp_path / "slow", engines=["slow"])


def test_verify_runs_only_the_witnesses_that_are_named(artifact: Path) -> None:
    assert driver.verify(artifact, engines=["mirror"]).engines == ("golden", "machine", "mirror")
    with pytest.raises(UsageError):
        driver.verify(artifact, engines=["mirrow"])
    with pytest.raises(CompileError):
        driver.verify(artifact, engines=["absent"])


def test_stimulus_is_the_same_every_time_and_long_enough_for_the_latency(artifact: Path) -> None:
    graph = engines.open_network(artifact).graph
    first, second = engines.stimulus(graph)["input"], engines.stimulus(graph)["input"]
    assert np.array_equal(first, second)
    assert first.shape[0] >= 4 * graph.latency
    assert 0.1 < first.mean() < 0.5


def test_tools_lists_every_witness_with_its_targets() -> None:
    found = {tool.name: tool for tool in driver.tools()}
    assert set(found) == {"mirror", "absent", "crooked", "broken"}
    assert found["mirror"].missing is None
    assert found["absent"].missing == "`absent` is not installed"
    assert found["absent"].installable


def test_install_makes_a_witness_ready_and_does_nothing_the_second_time() -> None:
    said: list[str] = []
    assert driver.install("absent", doing=said.append).missing is None
    assert said == ["writing the mark"]
    assert driver.install("absent", doing=said.append).missing is None
    assert said == ["writing the mark"]


def test_install_names_the_nearest_tool_when_unknown() -> None:
    with pytest.raises(UsageError) as refused:
        driver.install("mirrors")
    assert refused.value.findings[0].help == "did you mean `mirror`?"
