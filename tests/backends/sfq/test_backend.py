"""The target as users reach it: settings, refusals, the example networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.sfq.backend import SFQ
from nmc.cli import cli
from nmc.diagnostics import UsageError
from nmc.sim import golden

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.mark.parametrize(
    ("name", "value"), [("steps", "0"), ("steps", "many"), ("period", "-3"), ("period", "x")]
)
def test_settings_that_are_no_number_are_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError) as refused:
        driver.passes("sfq", Request(settings={name: value}))
    assert refused.value.findings[0].code == "NMC485"


@pytest.mark.parametrize("sequencer", ["external", "on-chip"])
def test_exclusive_or_is_exclusive_or(sequencer: str) -> None:
    asked = Request(settings={"sequencer": sequencer})
    done = driver.compile(EXAMPLES / "xor" / "xor.nir", target="sfq", request=asked)
    data = np.load(EXAMPLES / "xor" / "test.npz")
    got = SFQ.simulate(done.artifact, {"x": data["x"]}, ())
    assert np.array_equal(got.outputs["y"], data["y"])
    assert got.seconds is not None and got.energy is not None and got.energy.joules > 0


def test_digits_are_recognized_by_the_netlist_as_by_golden() -> None:
    asked = Request(settings={"steps": "16"})
    done = driver.compile(EXAMPLES / "sfq" / "digits.nir", target="sfq", request=asked)
    data = np.load(EXAMPLES / "sfq" / "test.npz")
    some = {"input": data["x"][:, :12]}
    got = SFQ.simulate(done.artifact, some, ()).outputs["output"]
    assert np.array_equal(got, golden.simulate(done.graph, some).outputs["output"])
    counts = golden.simulate(done.graph, {"input": data["x"]}).outputs["output"].sum(axis=0, dtype=np.int64)
    assert np.array_equal(counts, np.load(EXAMPLES / "sfq" / "expected.npz")["counts"])
    assert np.mean(counts.argmax(axis=1) == data["y"]) >= 0.9


def test_approximate_compiles_a_network_with_a_leak(tmp_path: Path) -> None:
    model = str(EXAMPLES / "digits" / "digits.nir")
    refused = CliRunner().invoke(cli, ["compile", model, "--target", "sfq", "-o", str(tmp_path / "a")])
    assert refused.exit_code == 1 and "NMC480" in refused.output
    asked = [
        "compile",
        model,
        "--target",
        "sfq",
        "-o",
        str(tmp_path / "b"),
        "--approximate",
        "--set",
        "sharing=off",
    ]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0 and "NMC481" in done.output
