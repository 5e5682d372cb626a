"""The command line: text, documents and exit codes of every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from click.testing import CliRunner, Result

import nmc
from nmc.backends import registry
from nmc.cli import cli
from nmc.cli.options import RESETS
from nmc.errors import CATALOGUE
from nmc.passes import presets
from tests.toy_files import CLASSES, HIDDEN, write_data, write_model

Nmc = Callable[..., Result]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:TOY", "crooked": "tests.toy:CROOKED"})
    monkeypatch.setenv("NMC_TEST_TOY", str(tmp_path / "installed"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy: None) -> Nmc:
    """Run a command in a folder that holds `net.nir` and `in.npz`."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "net.nir")
    write_data(tmp_path / "in.npz")
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


@pytest.fixture
def artifact(run: Nmc) -> str:
    assert run("compile", "net.nir", "--target", "toy", "-o", "out").exit_code == 0
    return "out"


def document(result: Result, command: str) -> dict[str, Any]:
    """The one document on stdout."""
    found = json.loads(result.stdout)
    assert next(iter(found)) == "schema"
    assert found["schema"] == f"nmc.{command}/1"
    return found


# ---- starting ---------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from nmc.cli import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = 'numpy scipy numba onnx h5py networkx nir jinja2 torch matplotlib'.split()\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"
    assert "compile" in ran.stdout


def test_version_is_that_of_the_package(run: Nmc) -> None:
    assert run("--version").output.strip() == f"nmc {nmc.__version__}"


def test_cli_script_of_the_checkout_runs_nmc() -> None:
    script = Path(__file__).resolve().parents[1] / "cli.py"
    ran = subprocess.run(
        [sys.executable, str(script), "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == f"nmc {nmc.__version__}"


@pytest.mark.parametrize(
    "command", ["compile", "simulate", "verify", "inspect", "targets", "passes", "explain", "tools"]
)
def test_every_command_has_help_json_quiet_and_verbose(run: Nmc, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    for option in ("--json", "--quiet", "--verbose"):
        assert option in result.output


def test_resets_are_those_of_discretize() -> None:
    assert tuple(presets.RESETS) == RESETS


# ---- compile ----------------------------------------------------------------------------------------------


def test_compile_prints_a_summary_and_the_next_command(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    head = next(line for line in result.stdout.splitlines() if line.startswith("layer"))
    assert " ".join(head.split()) == "layer neuron shape neurons synapses bits cores share of cores"
    assert "loses most to quantization: lif" in result.stdout
    assert result.stdout.splitlines()[-1] == "wrote out; next: nmc verify out"
    assert Path("out/manifest.json").is_file()


def test_compile_answers_in_json(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", "--json")
    found = document(result, "compile")
    assert found["target"] == "toy"
    assert len(found["digest"]) == 64
    assert found["resources"]["cores"] == {"used": found["resources"]["cores"]["used"], "limit": 16}
    assert [layer["name"] for layer in found["layers"]] == ["lif1", "lif2"]
    assert {"name", "kind", "shape", "neurons", "synapses", "bits", "cores"} <= set(found["layers"][0])
    assert all({"code", "severity", "message", "file"} <= set(note) for note in found["notes"])
    assert found["loses_most"] in {"lif1", "lif2"}
    assert found["output"] == "out"
    assert "wrote out" in result.stderr


def test_compile_is_silent_when_quiet(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", "-q")
    assert (result.exit_code, result.output) == (0, "")


def test_compile_says_what_it_does_when_verbose(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", "-v")
    assert "quantize:" in result.stderr
    assert "quantize:" not in result.stdout


def test_compile_writes_the_same_bytes_in_another_folder(
    run: Nmc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("compile", "net.nir", "--target", "toy", "--calibrate", "in.npz", "-o", "out")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    model, data = str(tmp_path / "net.nir"), str(tmp_path / "in.npz")
    assert run("compile", model, "--target", "toy", "--calibrate", data, "-o", "deep/er").exit_code == 0
    assert contents(tmp_path / "out") == contents(elsewhere / "deep" / "er")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_compile_check_tells_whether_anything_would_change(run: Nmc, artifact: str) -> None:
    before = contents(Path(artifact))
    same = run("compile", "net.nir", "--target", "toy", "--check", artifact)
    assert (same.exit_code, same.stdout.splitlines()[-1]) == (0, "unchanged")
    other = run(
        "compile", "net.nir", "--target", "toy", "--set", "weight_bits=4", "--check", artifact, "--json"
    )
    assert other.exit_code == 1
    assert document(other, "compile")["changes"]["graph.nmc"] == "changed"
    assert "changed: graph.nmc" in other.stderr
    assert contents(Path(artifact)) == before


def test_compile_dumps_the_graph_after_a_pass(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", "--dump-after", "connect")
    assert "# after connect\nnmc-graph 1\n" in result.stdout
    assert "wrote out" in result.stdout


def test_compile_stops_after_a_pass(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "--stop-after", "discretize")
    assert result.exit_code == 0
    assert result.stdout.startswith("nmc-graph 1\n")
    assert "facts discrete" in result.stdout
    found = document(
        run("compile", "net.nir", "--target", "toy", "--stop-after", "discretize", "--json"), "compile"
    )
    assert found["stopped_after"] == "discretize"


@pytest.mark.parametrize("option", ["--dump-after", "--stop-after"])
def test_compile_names_the_nearest_pass(run: Nmc, option: str) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", option, "placed")
    assert result.exit_code == 2
    assert "error[NMC901]" in result.stderr
    assert "did you mean `place`?" in result.stderr
    assert not Path("out").exists()


def test_compile_names_the_nearest_target(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toi", "-o", "out")
    assert result.exit_code == 2
    assert "did you mean `toy`?" in result.stderr


def test_compile_needs_somewhere_to_write(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy")
    assert result.exit_code == 2
    assert "-o" in result.stderr


@pytest.mark.parametrize("option", [("--check", "out"), ("--stop-after", "connect")])
def test_compile_writes_nothing_when_it_checks_or_stops(
    run: Nmc, artifact: str, option: tuple[str, str]
) -> None:
    before = contents(Path(artifact))
    run("compile", "net.nir", "--target", "toy", "--set", "weight_bits=3", "-o", artifact, *option)
    assert contents(Path(artifact)) == before


@pytest.mark.parametrize("text", ["weight_bits", "=4"])
def test_compile_refuses_a_setting_without_a_name_or_a_value(run: Nmc, text: str) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", "--set", text)
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.stderr


def test_compile_refuses_an_unknown_setting(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", "--set", "weight_bit=4")
    assert result.exit_code == 2
    assert "did you mean `weight_bits`?" in result.stderr


def test_compile_refuses_an_unknown_preset(run: Nmc) -> None:
    result = run("compile", "net.nir", "--target", "toy", "-o", "out", "--preset", "snntorsh")
    assert result.exit_code == 2
    assert "did you mean `snntorch`?" in result.stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF\r\n\x1a\n cut short", np.random.default_rng(0).bytes(64), b"not a model at all"],
    ids=["empty", "truncated", "random", "text"],
)
def test_compile_refuses_a_broken_model(run: Nmc, content: bytes) -> None:
    Path("broken.nir").write_bytes(content)
    result = run("compile", "broken.nir", "--target", "toy", "-o", "out", "--json")
    assert result.exit_code == 1, result.output
    (finding, *_) = document(result, "compile")["findings"]
    assert finding["severity"] == "error"
    assert finding["file"] == "broken.nir"
    assert finding["code"] in CATALOGUE
    assert not Path("out").exists()


def test_compile_does_not_overwrite_what_is_no_artifact(run: Nmc) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    result = run("compile", "net.nir", "--target", "toy", "-o", "mine")
    assert result.exit_code == 1
    assert Path("mine/thesis.txt").read_text() == "years of work"


def test_compile_refuses_a_model_that_is_not_there(run: Nmc) -> None:
    assert run("compile", "nothing.nir", "--target", "toy", "-o", "out").exit_code == 2


# ---- simulate ---------------------------------------------------------------------------------------------


def test_simulate_runs_a_model_in_reals(run: Nmc) -> None:
    result = run("simulate", "net.nir", "--input", "in.npz", "--labels", "y", "--json", "--output", "o.npz")
    found = document(result, "simulate")
    assert (found["engine"], found["steps"], found["samples"], found["latency"]) == ("golden", 12, 5, 0)
    assert 0 <= found["accuracy"] <= 1
    assert set(found["spikes"]) == {"lif1", "lif2"}
    assert (found["cycles"], found["seconds"], found["energy_joules"], found["energy_basis"]) == (None,) * 4
    with np.load("o.npz") as written:
        assert written["output"].shape == (12, 5, CLASSES)
        assert int(written["output"].sum()) == found["spikes"]["lif2"]


def test_simulate_runs_an_artifact_on_its_machine(run: Nmc, artifact: str) -> None:
    result = run("simulate", artifact, "--input", "in.npz", "--engine", "machine", "--json")
    found = document(result, "simulate")
    assert found["engine"] == "machine"
    assert found["latency"] > 0
    assert (found["cycles"], found["seconds"], found["energy_joules"]) == (100, 2e-6, 3e-9)
    assert found["energy_basis"] == "modelled from nothing at all"
    assert found["accuracy"] is None


def test_simulate_prints_spikes_energy_and_accuracy(run: Nmc, artifact: str) -> None:
    result = run("simulate", artifact, "--input", "in.npz", "--engine", "machine", "--labels", "y")
    assert result.exit_code == 0
    assert "population" in result.stdout
    assert "energy: 3 nJ, 600 pJ a sample" in result.stdout
    assert "time on the chip: 2 µs, 400 ns a sample" in result.stdout
    assert "accuracy: " in result.stdout


def test_simulate_records_variables(run: Nmc, artifact: str) -> None:
    arguments = ("--input", "in.npz", "--record", "lif1.v", "--record", "lif2.spikes", "--output", "o.npz")
    assert run("simulate", artifact, *arguments).exit_code == 0
    with np.load("o.npz") as written:
        assert written["lif1.v"].dtype == np.int64
        assert written["lif1.v"].shape[1:] == (5, HIDDEN)
        assert set(written.files) == {"output", "lif1.v", "lif2.spikes"}


def test_simulate_names_the_nearest_node(run: Nmc) -> None:
    result = run("simulate", "net.nir", "--input", "in.npz", "--record", "lif9.v")
    assert result.exit_code == 2
    assert "did you mean `lif" in result.stderr


def test_simulate_runs_so_many_steps(run: Nmc) -> None:
    found = document(run("simulate", "net.nir", "--input", "in.npz", "--steps", "7", "--json"), "simulate")
    assert found["steps"] == 7


def test_simulate_takes_samples_from_another_axis(run: Nmc) -> None:
    with np.load("in.npz") as file:
        np.savez("swapped.npz", x=np.moveaxis(file["x"], 1, 0), y=file["y"])
    run("simulate", "net.nir", "--input", "in.npz", "--output", "a.npz")
    swapped = ("--input", "swapped.npz", "--batch-axis", "0", "--output", "b.npz")
    assert run("simulate", "net.nir", *swapped, "--labels", "y").exit_code == 0
    with np.load("a.npz") as a, np.load("b.npz") as b:
        assert np.array_equal(a["output"], np.moveaxis(b["output"], 0, 1))


def test_simulate_in_float32_differs_in_type_only(run: Nmc) -> None:
    for name, flags in (("a", ()), ("b", ("--float32",))):
        run(
            "simulate",
            "net.nir",
            "--input",
            "in.npz",
            "--record",
            "lif1.v",
            "--output",
            f"{name}.npz",
            *flags,
        )
    with np.load("a.npz") as a, np.load("b.npz") as b:
        assert (a["lif1.v"].dtype, b["lif1.v"].dtype) == (np.float64, np.float32)
        np.testing.assert_allclose(a["lif1.v"], b["lif1.v"], atol=1e-5)


def test_simulate_decodes_as_told(run: Nmc) -> None:
    for how in ("count", "last", "membrane", "first-spike"):
        result = run("simulate", "net.nir", "--input", "in.npz", "--labels", "y", "--decode", how, "--json")
        assert document(result, "simulate")["accuracy"] is not None


@pytest.mark.parametrize(
    "arrays",
    [{"x": np.zeros((12, 5, 99))}, {"x": np.full((12, 5, 4), np.nan)}, {"x": np.full((12, 5, 4), 3)}, {}],
    ids=["shape", "nan", "three", "nothing"],
)
def test_simulate_refuses_inputs_that_do_not_fit(run: Nmc, artifact: str, arrays: dict[str, Any]) -> None:
    np.savez("wrong.npz", **arrays)
    result = run("simulate", artifact, "--input", "wrong.npz", "--json")
    assert result.exit_code == 1
    finding = document(result, "simulate")["findings"][0]
    assert finding["code"].startswith("NMC5")
    assert finding["code"] in CATALOGUE


def test_simulate_refuses_options_that_an_artifact_has_settled(run: Nmc, artifact: str) -> None:
    result = run("simulate", artifact, "--input", "in.npz", "--dt", "1e-3")
    assert result.exit_code == 2
    assert "NMC905" in result.stderr


def test_simulate_says_how_to_get_a_witness_that_is_not_here(run: Nmc, artifact: str) -> None:
    result = run("simulate", artifact, "--input", "in.npz", "--engine", "absent")
    assert result.exit_code == 1
    assert "nmc tools install absent" in result.stderr


# ---- verify -----------------------------------------------------------------------------------------------


def test_verify_says_which_engines_agree(run: Nmc, artifact: str) -> None:
    result = run("verify", artifact)
    assert result.exit_code == 0
    assert result.stdout.startswith("golden = machine = mirror in all 64 steps of 2 samples")


def test_verify_answers_in_json(run: Nmc, artifact: str) -> None:
    found = document(run("verify", artifact, "--input", "in.npz", "--json"), "verify")
    assert found["agree"] is True
    assert found["engines"] == ["golden", "machine", "mirror"]
    assert found["divergence"] is None
    assert (found["steps"], found["samples"]) == (12, 5)


def test_verify_ends_with_1_and_the_first_divergence(run: Nmc) -> None:
    run("compile", "net.nir", "--target", "crooked", "-o", "out")
    result = run("verify", "out", "--engine", "crooked", "--json")
    assert result.exit_code == 1
    found = document(result, "verify")
    assert found["agree"] is False
    where = found["divergence"]
    assert (where["step"], where["node"], where["neuron"], where["variable"]) == (5, "lif1", 2, "v")
    assert where["got"] == where["expected"] + 1
    assert "golden and crooked diverge: step 5, sample 1" in result.stderr


def test_verify_refuses_a_folder_that_is_no_artifact(run: Nmc) -> None:
    Path("empty").mkdir()
    assert run("verify", "empty").exit_code == 1


# ---- inspect, targets, passes, explain, tools -------------------------------------------------------------


def test_inspect_shows_layers_equations_loops_and_notes(run: Nmc) -> None:
    result = run("inspect", "net.nir")
    assert result.exit_code == 0
    assert "inputs: input 4" in result.stdout
    assert "0.0008 s * dv/dt = -v + 8 * x" in result.stdout
    assert "loops: none" in result.stdout


def test_inspect_answers_in_json(run: Nmc) -> None:
    write_model(Path("loop.nir"), recurrent=True)
    found = document(run("inspect", "loop.nir", "--json"), "inspect")
    assert found["inputs"] == {"input": [4]}
    assert sorted(found["loops"][0]["nodes"]) == ["lif1", "rec"]
    assert found["equations"]["lif1"]
    assert {"src": "lif1", "dst": "fc2", "delay": 0, "port": ""} in found["edges"]


def test_inspect_shows_the_integers_of_an_artifact(run: Nmc, artifact: str) -> None:
    assert "in integers of 2**" in run("inspect", artifact).stdout


def test_targets_lists_every_target(run: Nmc) -> None:
    assert "a toy for tests" in run("targets").stdout
    found = document(run("targets", "--json"), "targets")
    assert found["targets"][0] == {
        "name": "toy",
        "title": "a toy for tests",
        "witnesses": ["mirror", "absent"],
    }


def test_targets_shows_limits_and_settings_with_their_sources(run: Nmc) -> None:
    result = run("targets", "toy")
    assert "neurons_per_core" in result.stdout
    assert "assumed" in result.stdout
    assert "weight_bits" in result.stdout
    found = document(run("targets", "toy", "--json"), "targets")
    assert found["limits"]["cores"] == {
        "value": 16,
        "unit": "",
        "source": "made up for tests",
        "basis": "assumed",
    }
    assert run("targets", "tox").exit_code == 2


def test_passes_lists_what_each_needs_and_gives(run: Nmc) -> None:
    found = document(run("passes", "--target", "toy", "--set", "weight_bits=3", "--json"), "passes")
    quantize = next(each for each in found["passes"] if each["name"] == "quantize")
    assert quantize["settings"]["weight_bits"] == "3"
    assert "quantized" in quantize["gives"]
    assert "quantize" in run("passes", "--target", "toy").stdout


def test_explain_shows_an_entry_of_the_catalogue(run: Nmc) -> None:
    result = run("explain", "nmc901")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"NMC901: {CATALOGUE['NMC901'].title}\n")
    found = document(run("explain", "NMC901", "--json"), "explain")
    assert set(found) == {"schema", "code", "title", "explanation", "example"}


def test_explain_lists_every_code(run: Nmc) -> None:
    assert set(document(run("explain", "--json"), "explain")["codes"]) == set(CATALOGUE)


def test_explain_refuses_an_unknown_code(run: Nmc) -> None:
    result = run("explain", "NMC909x")
    assert result.exit_code == 2
    assert "did you mean `NMC909`?" in result.stderr


def test_tools_lists_witnesses_and_what_installs_them(run: Nmc) -> None:
    result = run("tools")
    assert "nmc tools install absent" in result.stdout
    found = document(run("tools", "--json"), "tools")
    assert {tool["name"]: tool["ready"] for tool in found["tools"]}["absent"] is False


def test_tools_install_makes_a_witness_ready(run: Nmc) -> None:
    result = run("tools", "install", "absent", "-v", "--json")
    assert result.exit_code == 0, result.output
    assert "writing the mark" in result.stderr
    (tool,) = document(result, "tools")["tools"]
    assert tool["ready"] is True


def test_tools_passes_json_on_to_install(run: Nmc) -> None:
    assert document(run("tools", "--json", "install", "mirror"), "tools")["tools"][0]["ready"] is True


def test_tools_install_refuses_what_it_cannot_install(run: Nmc) -> None:
    assert run("tools", "install", "absnt").exit_code == 2


# ---- what goes wrong --------------------------------------------------------------------------------------


def test_unknown_command_names_the_nearest(run: Nmc) -> None:
    result = run("simulat")
    assert result.exit_code == 2
    assert "did you mean `simulate`?" in result.stderr


def test_fault_ends_with_3_and_keeps_what_replays_it(
    run: Nmc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a wheel came off")

    monkeypatch.setattr("nmc.driver.inspect", fail)
    monkeypatch.setenv("NMC_FAULT_DIR", str(tmp_path / "faults"))
    result = run("inspect", "net.nir", "--json")
    assert result.exit_code == 3
    (folder,) = (tmp_path / "faults").iterdir()
    assert str(folder) in result.stderr
    assert (folder / "command.txt").read_text() == "nmc inspect net.nir --json\n"
    assert (folder / "net.nir").read_bytes() == Path("net.nir").read_bytes()
    found = document(result, "inspect")
    assert found["fault"] == "AssertionError: a wheel came off"
    assert found["folder"] == str(folder)


def test_fault_shows_its_traceback_where_nothing_can_be_written(
    run: Nmc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a wheel came off")

    (tmp_path / "file").write_text("")
    monkeypatch.setattr("nmc.driver.inspect", fail)
    monkeypatch.setenv("NMC_FAULT_DIR", str(tmp_path / "file" / "faults"))
    result = run("inspect", "net.nir")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_colour_is_left_out_when_asked(run: Nmc, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["compile", "net.nir", "--target", "tox", "-o", "out"]
    assert "\x1b[" in CliRunner().invoke(cli, arguments, color=True).stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in CliRunner().invoke(cli, arguments, color=True).stderr


def test_progress_is_shown_on_a_terminal_only(run: Nmc) -> None:
    command = [
        sys.executable,
        "-c",
        "from nmc.cli import main; main()",
        "simulate",
        "net.nir",
        "--input",
        "in.npz",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(nmc.__file__).parents[1])}
    reader, terminal = os.openpty()
    with os.fdopen(terminal, "wb") as stderr:
        shown = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, env=environment, check=True)
    with os.fdopen(reader, "rb") as screen:
        assert b"golden: 100 %" in screen.read1()
    piped = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert piped.stderr == b""
    assert piped.stdout == shown.stdout


def test_fit_tells_of_every_target_whether_the_model_fits(run: Nmc) -> None:
    result = run("fit", "net.nir", "--json")
    assert result.exit_code == 0, result.output
    found = document(result, "fit")
    assert list(found["targets"]) == list(registry.BACKENDS)
    assert found["targets"]["toy"]["fits"] is True
    assert found["targets"]["toy"]["binding_limit"] == "cores"
    assert found["targets"]["toy"]["by"] == 1 / 16


def test_fit_ends_with_1_when_no_target_holds_the_model(run: Nmc) -> None:
    size = 32 * 20  # the toy has 16 cores of 32 neurons
    ones = np.ones(size)
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "fc": nir.Linear(np.ones((size, 4))),
        "if": nir.IF(r=ones, v_threshold=ones, v_reset=0 * ones),
        "output": nir.Output({"output": np.array([size])}),
    }
    nir.write("large.nir", nir.NIRGraph(nodes=nodes, edges=list(pairwise(nodes)), metadata={"dt": 1e-4}))
    result = run("fit", "large.nir", "--target", "toy")
    assert result.exit_code == 1
    assert "does not fit" in result.stdout
    assert "125.00 %" in result.stdout
    assert "error[NMC301]" in result.stdout
