"""Ticks: long enough for the worst case by construction; too short ones are seen as lateness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmc.backends.spinnaker2 import emulator, files, machine, timing
from nmc.backends.spinnaker2.files import Program
from tests.backends.loihi import networks
from tests.backends.spinnaker2.running import compiled

pytestmark = pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))


@pytest.fixture(scope="module")
def program() -> Program:
    return files.read(compiled(networks.model("recurrent", 0)).artifact.files)


def timed(program: Program) -> timing.Timing:
    chip = machine.Chip(program)
    shapes = {each.name: (30, int(np.prod(each.signal.shape))) for each in program.inputs}
    sample = chip.run({name: np.ones(shape, np.int64) for name, shape in shapes.items()}, {})
    wiring = chip.wiring
    costs = timing.costs_of(program, chip.table, chip.start, wiring.first, wiring.pe, wiring.key)
    clock = timing.Clock(program, costs, first=wiring.first, target=wiring.pe, offset=wiring.offset)
    return clock.run(sample.sender, sample.first, sample.sums, sample.counts)


def test_derived_tick_is_long_enough_when_every_input_spikes(program: Program) -> None:
    found = timed(program)
    assert found.late == 0 and found.dropped == 0
    assert 0 < found.ends.max() <= program.tick_cycles


def test_tick_that_is_too_short_makes_packets_late(program: Program) -> None:
    short = replace(program, tick_cycles=int(timed(program).ends.max() // 2))
    assert timed(short).late > 0


def test_packets_queue_where_they_come_faster_than_they_are_taken(program: Program) -> None:
    found = timed(program)
    assert found.queue > 1 and found.hops > 0 and found.hottest > 0


def test_slower_links_end_a_tick_later(program: Program) -> None:
    slow = replace(program, chip=replace(program.chip, link_capacity=program.chip.clock_hz / 2000))
    assert timed(slow).ends.max() > timed(program).ends.max()
