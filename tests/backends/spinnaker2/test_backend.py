"""Chips of the user's own and dead PEs, from settings to spikes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nmc.backends.spinnaker2 import emulator, files, machine
from nmc.driver import Compiled
from tests.backends.loihi import networks
from tests.backends.spinnaker2.running import compiled

pytestmark = pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))

OWN_CHIP = 'chips = [2, 1]\nsram_bytes = 98304\nrouter_entries = 2048\ndead = ["0.0:1.6.0"]\n'


def places(done: Compiled) -> set[str]:
    return {each["place"] for each in json.loads(done.artifact.files[files.NETWORK_FILE])["pes"]}


def test_chip_of_a_file_and_dead_pes_give_the_same_spikes_on_other_places(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN_CHIP)
    graph = networks.model(networks.KINDS[0], 0)
    whole = compiled(graph, chip=str(path))
    used = places(whole)
    less = compiled(graph, chip=str(path), dead=",".join(sorted(used)))
    assert used and places(less).isdisjoint(used | {"0.0:1.6.0"})
    inputs = networks.spikes(whole.graph, 0, steps=100, samples=1)
    names = tuple(each.name for each in files.read(whole.artifact.files).populations)
    before = machine.simulate(whole.artifact.files, inputs, names)
    after = machine.simulate(less.artifact.files, inputs, names)
    assert sum(before.spikes.values()) > 0
    assert before.trace.keys() == after.trace.keys()
    for name, values in before.trace.items():
        np.testing.assert_array_equal(values, after.trace[name])
