"""Every cell's circuit does in ngspice what the table says: transitions, delays, windows, over bias and noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmc.backends.sfq import characterise, ngspice
from nmc.backends.sfq.cells import FEMTO, Transition, standard
from nmc.backends.sfq.characterise import Seen
from nmc.backends.sfq.circuit import library

CELLS = sorted(
    name for name in set(library()) & set(standard()) if standard()[name].outputs and name != "DCSFQ"
)
"""Cells that take pulses and give pulses."""

needs_ngspice = pytest.mark.skipif(ngspice.ready() is not None, reason=str(ngspice.ready()))


@pytest.mark.parametrize("name", sorted(standard()))
def test_a_walk_comes_through_every_transition(name: str) -> None:
    cell = standard()[name]
    state = 0
    seen: set[tuple[int, str]] = set()
    for source in characterise.walk(cell):
        seen.add((state, source))
        state = characterise.following(cell, state, source)[0]
    assert seen == {(s, source) for s in range(cell.states) for source in cell.inputs}


@needs_ngspice
@pytest.mark.parametrize("name", CELLS)
def test_a_circuit_has_the_tables_transitions_and_delays(name: str) -> None:
    cell, circuits = standard()[name], library()
    inputs = characterise.spaced(characterise.walk(cell) * 2)
    seen = characterise.observe(cell, characterise.bench(cell, circuits, inputs), inputs)
    assert characterise.faults(cell, seen, within=0.3) == []


@needs_ngspice
@pytest.mark.parametrize("bias", [0.8, 1.2])
@pytest.mark.parametrize("name", CELLS)
def test_a_circuit_works_with_a_fifth_less_or_more_bias(name: str, bias: float) -> None:
    cell, circuits = standard()[name], library()
    assert characterise.works(cell, circuits, characterise.spaced(characterise.walk(cell)), bias=bias)


@needs_ngspice
@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_windows_of_the_table_are_long_enough(name: str) -> None:
    cell, circuits = standard()[name], library()
    for first in cell.inputs:
        for second in cell.inputs:
            needed = characterise.window(cell, circuits, first, second)
            assert needed <= cell.window(first, second) / FEMTO + 0.3, (first, second)


@needs_ngspice
@pytest.mark.parametrize(("bias", "cycles"), [(1.0, 60), pytest.param(0.85, 400, marks=pytest.mark.slow),
                                              pytest.param(1.15, 400, marks=pytest.mark.slow)])  # fmt: skip
def test_the_toggle_cell_counts_in_thermal_noise(bias: float, cycles: int) -> None:
    cell, circuits = standard()["TFF"], library()
    steps = np.random.default_rng(3).choice(["t", "t", "t", "t", "r"], size=cycles).tolist()
    inputs = characterise.spaced(steps)
    deck = characterise.bench(cell, circuits, inputs, bias=bias, noise=True)
    assert characterise.faults(cell, characterise.observe(cell, deck, inputs)) == []


@needs_ngspice
def test_a_circuit_that_is_not_its_table_is_found_out() -> None:
    cell = standard()["DFF"]
    never = replace(cell, transitions=(Transition(0, "a", 1, ()), Transition(1, "clk", 1, (("q", 4200),))))
    inputs = characterise.spaced(["a", "clk", "clk"])
    seen = characterise.observe(never, characterise.bench(never, library(), inputs), inputs)
    assert characterise.faults(never, seen) == ["`DFF` in state 1 at `clk` gave [], not ['q']"]


def test_a_delay_that_is_off_is_a_fault() -> None:
    cell = standard()["JTL"]
    delay = (cell.delay("a", "q") or 0) / FEMTO
    seen = [Seen(0, "a", (("q", delay + 0.2),)), Seen(0, "a", (("q", delay + 0.4),))]
    assert len(characterise.faults(cell, seen, within=0.3)) == 1
