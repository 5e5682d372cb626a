"""Decks: what they hold, in both dialects."""

from __future__ import annotations

import re

import pytest

from nmc.backends.sfq import decks
from nmc.backends.sfq.circuit import library
from nmc.backends.sfq.netlist import Instance, Netlist

NETLIST = Netlist(
    "network",
    (Instance("s", "SPLIT", ("in", "x", "y")), Instance("m", "MERGE", ("x", "y", "out"))),
    ("in",),
    ("out",),
)


def deck(**changes: float) -> decks.Deck:
    """A netlist of two cells with one pulse."""
    return decks.deck_of(NETLIST, library(), [(100_000, "in")], duration=200.0, bias=changes.get("bias", 1.0))


def test_ngspice_gets_each_cell_once_and_each_instance() -> None:
    text = decks.ngspice(deck())
    assert re.findall(r"^\.subckt (\w+)", text, re.MULTILINE) == ["jj", "SOURCE", "SINK", "MERGE", "SPLIT"]
    assert "Xs in x y SPLIT" in text
    assert "Xm x y out MERGE" in text
    assert ".save v(phase_out)" in text


def test_josim_gets_names_before_nodes_and_a_shunt_beside_each_junction() -> None:
    text = decks.josim(deck())
    assert "Xs SPLIT in x y" in text
    assert text.count(" jj area=") == len(re.findall(r"^RXJ", text, re.MULTILINE)) > 10
    assert ".print nodep out" in text


def test_a_pulse_is_a_triangle_that_peaks_a_little_earlier() -> None:
    peak = 100 - decks.LEAD
    assert f"{peak - 2:.3f}p 0u {peak:.3f}p {decks.PUMP:g}u {peak + 2:.3f}p 0u" in decks.ngspice(deck())


def test_bias_scales_every_bias_current() -> None:
    pattern = r"^I\w+ 0 \w+ pwl\(0 0 10p ([\d.e-]+)\)$"
    nominal = [float(each) for each in re.findall(pattern, decks.ngspice(deck()), re.MULTILINE)]
    less = [float(each) for each in re.findall(pattern, decks.ngspice(deck(bias=0.8)), re.MULTILINE)]
    assert less == pytest.approx([0.8 * each for each in nominal])


def test_a_cell_without_a_circuit_is_a_key_error() -> None:
    other = Netlist("network", (Instance("s", "MAGIC", ("in", "out")),), ("in",), ("out",))
    with pytest.raises(KeyError, match="MAGIC"):
        decks.deck_of(other, library(), [], duration=10.0)
