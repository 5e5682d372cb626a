"""The registry names backends, imports them lazily, and every entry is a whole backend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nmc import driver
from nmc.backends import registry
from nmc.backends.backend import Backend, Request
from nmc.diagnostics import UsageError
from nmc.passes.pipeline import check_order


def test_load_names_the_nearest_target_when_unknown() -> None:
    with pytest.raises(UsageError) as refused:
        registry.load("loihy")
    (finding,) = refused.value.findings
    assert finding.code == "NMC900"
    assert "`loihy`" in finding.message
    assert finding.help == "did you mean `loihi`?"


def test_registry_imports_no_backend_before_it_is_asked_for() -> None:
    program = (
        "import sys, nmc.backends.registry as r; r.names(); print([m for m in sys.modules if 'loihi' in m])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.fixture(params=registry.names())
def backend(request: pytest.FixtureRequest) -> Backend:
    return registry.load(request.param)


def defaults(backend: Backend) -> Request:
    return Request(settings={setting.name: setting.default for setting in backend.settings})


def test_entry_is_named_as_its_target(backend: Backend) -> None:
    assert registry.load(backend.target.name) is backend


def test_pipeline_gives_every_fact_that_it_needs(backend: Backend) -> None:
    steps = backend.pipeline(defaults(backend))
    check_order(steps)
    assert len({step.name for step in steps}) == len(steps)


def test_stretch_slows_down_what_every_target_runs(backend: Backend) -> None:
    asked = replace(defaults(backend), stretch=3)
    (found,) = [step for step in backend.pipeline(asked) if step.name == "stretch"]
    assert found.settings == {"factor": "3"}
    assert "stretch" not in [step.name for step in backend.pipeline(defaults(backend))]


def test_every_figure_has_a_unit_and_a_source(backend: Backend) -> None:
    for figure in (*backend.target.limits.values(), *backend.target.costs.values(), backend.target.max_delay):
        assert figure.unit and figure.source


def test_every_setting_accepts_its_default(backend: Backend) -> None:
    for setting in backend.settings:
        assert setting.help
        assert not setting.choices or setting.default in setting.choices
    assert any(setting.name == "weight_bits" for setting in backend.settings)


def test_every_witness_says_whether_it_is_ready(backend: Backend) -> None:
    assert backend.witnesses
    for witness in backend.witnesses:
        missing = witness.ready()
        assert missing is None or missing


# ---- every target, on the example networks ----------------------------------------------------------------

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NETWORKS = ("digits/digits.nir", "temporal/temporal.nir")
WITHOUT_LEAK = ("sfq/digits.nir", "xor/xor.nir")
CASES = [
    (name, network)
    for name in registry.names()
    for network in (
        WITHOUT_LEAK if name == "sfq" else NETWORKS
    )  # counters of pulses hold no exponential leak
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("target", "network"), CASES)
def test_compile_gives_equal_bytes_in_different_folders_and_processes(
    target: str, network: str, tmp_path: Path
) -> None:
    for place, seed in (("a", "1"), ("b", "2")):
        folder = tmp_path / place
        folder.mkdir()
        shutil.copy(EXAMPLES / network, folder / "net.nir")
        program = "from nmc.cli import cli; cli()"
        command = [sys.executable, "-c", program, "compile", "net.nir", "--target", target, "-o", "out", "-q"]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(EXAMPLES.parent)}
        subprocess.run(command, cwd=folder, env=environment, check=True)
    first = contents(tmp_path / "a" / "out")
    assert first == contents(tmp_path / "b" / "out")
    for name, content in first.items():
        assert str(tmp_path).encode() not in content, name
    done = driver.compile(tmp_path / "a" / "net.nir", target=target)
    assert driver.changes(done.artifact, tmp_path / "b" / "out") == {}


@pytest.mark.parametrize(("target", "network"), CASES)
def test_machine_and_golden_agree_on_an_example(target: str, network: str, tmp_path: Path) -> None:
    driver.write(driver.compile(EXAMPLES / network, target=target).artifact, tmp_path / "out")
    done = driver.verify(tmp_path / "out", engines=["machine"])
    assert done.agree, done.divergence
    populations = [layer.name for layer in driver.inspect(tmp_path / "out").layers if layer.kind != "output"]
    seen = "spikes" if target == "sfq" else "v"  # pulses show spikes, not what counters hold
    assert {f"{name}.{seen}" for name in populations} <= set(done.compared["machine"])
