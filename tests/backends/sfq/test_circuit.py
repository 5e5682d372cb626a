"""Cells as circuits: files are read and shown, and their figures are those of the table."""

from __future__ import annotations

import pytest

from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.circuit import bias_current, junctions, library, parse, parse_value, show


@pytest.mark.parametrize("name", sorted(library()))
def test_a_circuits_file_says_what_was_read(name: str) -> None:
    assert parse(show(library()[name])) == library()[name]


@pytest.mark.parametrize("name", sorted(set(library()) & set(standard())))
def test_ports_and_figures_are_the_tables(name: str) -> None:
    circuit, cell = library()[name], standard()[name]
    currents = junctions(circuit, library())
    assert circuit.ports == cell.ports
    assert (len(currents), round(sum(currents) * 1e6, 1)) == (cell.jj, cell.critical)
    assert round(bias_current(circuit, library()) * 1e6, 1) == cell.bias


def test_the_toggle_cell_has_at_most_fifteen_junctions() -> None:
    assert len(junctions(library()["TFF"], library())) <= 15


def test_numbers_have_spices_suffixes() -> None:
    assert [parse_value(text) for text in ("2p", "0.5", "-0.6", "250u", "1e-3")] == [
        2e-12,
        0.5,
        -0.6,
        250e-6,
        1e-3,
    ]


@pytest.mark.parametrize("line", ["C1 a 0 1p", "L1 a 1", "XJ1 1 0 ic=2u", "L1 a 1 2k"])
def test_a_line_that_no_cell_has_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse(f".subckt X a\n{line}\n.ends X\n")


def test_what_is_inside_a_cell_is_counted() -> None:
    inner = parse(".subckt IN a\nXJ1 a 0 jj ic=100u\nI1 0 a 70u\n.ends IN\n")
    outer = parse(".subckt OUT a\nX1 a IN\nX2 a IN\nXJ1 a 0 jj ic=50u\n.ends OUT\n")
    cells = {"IN": inner, "OUT": outer}
    assert sorted(junctions(outer, cells)) == pytest.approx([50e-6, 100e-6, 100e-6])
    assert bias_current(outer, cells) == pytest.approx(140e-6)
