"""The backend as the driver uses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.artifact import Artifact
from nmc.backends.backend import Request
from nmc.backends.loihi import backend, sanafe
from nmc.backends.loihi import machine as machine_module
from nmc.passes.pipeline import check_order
from tests.backends.loihi.networks import model, spikes


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return driver.compile(model("recurrent", 1), target="loihi").artifact


def given() -> dict[str, np.ndarray]:
    return spikes(model("recurrent", 1), 0, steps=12, samples=2)


def test_the_pipeline_is_in_order_for_every_setting() -> None:
    defaults = {setting.name: setting.default for setting in backend.SETTINGS}
    for setting in backend.SETTINGS:
        for choice in setting.choices:
            check_order(backend.pipeline(Request(settings=defaults | {setting.name: choice})))


def test_equal_models_give_equal_bytes(artifact: Artifact) -> None:
    again = driver.compile(model("recurrent", 1), target="loihi").artifact
    assert again.files == artifact.files
    assert again.digest == artifact.digest


def test_machine_and_lava_give_results_of_one_form(artifact: Artifact, lava: None) -> None:
    ours = backend.simulate(artifact, given(), ("l0",))
    theirs = backend.run_lava(artifact, given(), ("l0",))
    assert set(theirs.trace) == set(ours.trace) == {"l0.v", "l0.i", "l0.spikes"}
    assert theirs.spikes == ours.spikes
    for name, array in ours.trace.items():
        assert theirs.trace[name].dtype == array.dtype
        np.testing.assert_array_equal(theirs.trace[name], array)
    np.testing.assert_array_equal(theirs.outputs["output"], ours.outputs["output"])
    assert theirs.outputs["output"].dtype == ours.outputs["output"].dtype


def test_sanafe_gives_its_own_time_and_energy(artifact: Artifact, sanafe: None) -> None:
    ours = backend.simulate(artifact, given(), ())
    theirs = backend.run_sanafe(artifact, given(), ())
    assert theirs.energy is not None
    assert ours.energy is not None
    assert theirs.energy.joules == pytest.approx(ours.energy.joules, rel=0.05)
    assert "SANA-FE" in theirs.energy.basis
    assert theirs.seconds == pytest.approx(ours.seconds, rel=0.1)
    np.testing.assert_array_equal(theirs.outputs["output"], ours.outputs["output"])


@pytest.mark.parametrize(("what", "factor"), [("joules", 1.06), ("seconds", 0.89)])
def test_a_machine_that_is_not_near_sanafe_is_refused(
    artifact: Artifact, what: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimate(jobs: list[tuple[object, object]]) -> list[sanafe.Estimate]:
        fields = {"seconds": run.seconds, "joules": run.joules}
        fields[what] = fields[what] / factor
        return [
            sanafe.Estimate(
                **fields,
                messages=run.messages,
                synaptic_events=run.synaptic_events,
                active_neurons=run.active_neurons,
            )
        ]

    network = backend.files.read(artifact.files)
    run = machine_module.run(network, given())
    monkeypatch.setattr(backend.sanafe, "estimate", estimate)
    with pytest.raises(RuntimeError, match="apart"):
        backend.run_sanafe(artifact, given(), ())


def test_an_artifact_has_no_path_of_this_machine_in_it(artifact: Artifact) -> None:
    here = str(Path(__file__).parents[3]).encode()
    assert not any(here in content for content in artifact.files.values())
