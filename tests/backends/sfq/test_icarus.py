"""Icarus Verilog gives every pulse of the machine at its time, from the emitted Verilog."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.sfq import icarus
from nmc.sim import golden
from tests.backends.sfq.networks import compiled, random_network, spikes

pytestmark = pytest.mark.skipif(icarus.ready() is not None, reason=str(icarus.ready()))


def agrees(seed: int) -> bool:
    """Whether Icarus has golden's outputs; it raises unless its pulses are the machine's, time for time."""
    done = compiled(random_network(seed))
    inputs = spikes(seed, done.graph)
    expected = golden.simulate(done.graph, inputs)
    got = icarus.simulate(done.artifact, inputs, ())
    return all(np.array_equal(array, got.outputs[name]) for name, array in expected.outputs.items())


@pytest.mark.parametrize("seed", [5, 6, 7, 9])
def test_icarus_gives_the_machines_pulses(seed: int) -> None:
    assert agrees(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_icarus_gives_the_machines_pulses_on_50_networks(block: int) -> None:
    assert all(agrees(seed) for seed in range(2000 + 10 * block, 2010 + 10 * block))


def test_check_pulses_names_the_first_that_only_one_has() -> None:
    with pytest.raises(RuntimeError, match=r"sample 2: only Icarus has a pulse on `y` at 0\.030 ps"):
        icarus.check_pulses({"y": np.array([10, 40])}, {"y": np.array([10, 30])}, 2)


def test_models_report_a_pulse_in_a_window() -> None:
    done = compiled(random_network(5), {"period": "15"})
    with pytest.raises(RuntimeError, match="the Verilog models say"):
        icarus.simulate(done.artifact, spikes(5, done.graph), ())
