"""Pulses out of phases, raw files, and what ngspice says when it fails."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nmc.backends.sfq import ngspice
from nmc.backends.sfq.circuit import library, parse
from nmc.backends.sfq.decks import Deck
from nmc.backends.sfq.netlist import Instance

needs_ngspice = pytest.mark.skipif(ngspice.ready() is not None, reason=str(ngspice.ready()))


def line(count: int) -> Deck:
    """JTLs in a row with two pulses."""
    instances = tuple(Instance(f"J{k}", "JTL", (f"n{k}", f"n{k + 1}")) for k in range(count))
    probes = tuple(f"n{k}" for k in range(count + 1))
    return Deck(instances, library(), {"n0": (40.0, 80.0)}, (probes[-1],), probes, 140.0)


def test_a_pulse_is_where_the_phase_first_passes_an_odd_multiple_of_pi() -> None:
    times = np.linspace(0.0, 10.0, 101)
    assert ngspice.pulses(times, 2 * math.pi * times / 5) == pytest.approx((2.5, 7.5))
    assert ngspice.pulses(times, np.zeros(101)) == ()


def test_a_phase_that_falls_back_and_rises_again_is_no_second_pulse() -> None:
    phase = np.array([0.0, 4.0, 2.0, 4.0, 6.0])
    assert len(ngspice.pulses(np.arange(5.0), phase)) == 1


def test_a_raw_file_gives_time_and_vectors() -> None:
    values = np.array([[0.0, 1.0], [1e-12, 2.0]])
    header = "Title: x\nNo. Variables: 2\nVariables:\n\t0\ttime\ttime\n\t1\tv(a)\tvoltage\nBinary:\n"
    times, found = ngspice.read_raw(header.encode() + values.tobytes())
    assert times.tolist() == [0.0, 1e-12]
    assert found["v(a)"].tolist() == [1.0, 2.0]


@needs_ngspice
def test_a_pulse_takes_the_same_time_through_each_jtl() -> None:
    found = ngspice.run(line(6))
    assert all(len(times) == 2 for times in found.values())
    delays = [found[f"n{k + 1}"][0] - found[f"n{k}"][0] for k in range(1, 5)]
    assert max(delays) - min(delays) < 0.05


@needs_ngspice
def test_a_deck_that_ngspice_refuses_is_an_error_with_its_words() -> None:
    broken = parse(".subckt JTL a q\nL1 a q 2p\nL1 a q 2p\n.ends JTL\n")
    with pytest.raises(RuntimeError, match="ngspice"):
        ngspice.run(replace(line(2), cells={"JTL": broken}))
