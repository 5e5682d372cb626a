"""Whole netlists junction by junction: the machine's pulses at the machine's times, over bias."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nmc.backends.sfq import circuit, decks, files, josim, junction_level, machine, ngspice
from nmc.backends.sfq.cells import FEMTO
from nmc.backends.sfq.machine import Tables
from nmc.backends.sfq.netlist import Instance, Netlist
from nmc.driver import Compiled
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison
from nmc.ir.ops import Input, Linear, Output, Signal, SignalKind, Threshold
from nmc.ir.tensor import Array, Tensor
from nmc.sim import golden
from tests.backends.sfq.networks import compiled

needs_ngspice = pytest.mark.skipif(ngspice.ready() is not None, reason=str(ngspice.ready()))
PATTERNS = np.array([(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], np.uint8)


def xor() -> Compiled:
    """Exclusive or of two spikes in three threshold units."""
    hidden = Threshold((2,), Tensor(np.array([0.5, 1.5])), Comparison.AT_LEAST)
    output = Threshold((1,), Tensor(np.array([0.5])), Comparison.AT_LEAST)
    nodes = (
        Node("x", Input(Signal((2,), SignalKind.REAL))),
        Node("w0", Linear(Tensor(np.ones((2, 2))))),
        Node("hidden", hidden),
        Node("w1", Linear(Tensor(np.array([[1.0, -1.0]])))),
        Node("output", output),
        Node("y", Output((1,))),
    )
    names = [node.name for node in nodes]
    return compiled(Graph(nodes, tuple(Edge(a, b) for a, b in pairwise(names))))


def differences(done: Compiled, *, bias: float = 1.0) -> dict[str, Array]:
    """For each output the circuit's times less the machine's, ps; fails unless both have as many pulses."""
    found = done.artifact.files
    schedule, netlist = files.read_schedule(found[files.SCHEDULE]), files.read_netlist(found[files.NETLIST])
    stimulus = machine.stimulus(schedule, {"x": PATTERNS}, steps=len(PATTERNS))
    tables = Tables(netlist, files.read_cells(found[files.CELLS]), slot=schedule.slot)
    events = np.array([(time, tables.numbers[net]) for time, net in stimulus], np.int64)
    expected = tables.run(events, netlist.outputs).pulses
    got = ngspice.run(
        replace(junction_level.deck(netlist, stimulus, slot=schedule.slot), bias=bias), step=0.5
    )
    assert {net: len(times) for net, times in got.items()} == {
        net: len(times) for net, times in expected.items()
    }
    return {net: np.array(got[net]) - expected[net] / FEMTO for net in netlist.outputs}


@needs_ngspice
def test_xor_gives_the_machines_pulses_within_a_picosecond_of_one_offset() -> None:
    found = np.concatenate(list(differences(xor()).values()))
    assert len(found) == 3
    assert float(np.ptp(found)) <= 1.0
    assert float(np.abs(found).max()) <= 2.0


@needs_ngspice
@pytest.mark.parametrize("bias", [0.85, 1.15])
def test_xor_works_with_fifteen_percent_less_or_more_bias(bias: float) -> None:
    differences(xor(), bias=bias)


@needs_ngspice
def test_ngspice_is_a_witness_for_golden() -> None:
    done = xor()
    inputs = {"x": PATTERNS[:, None]}
    got = junction_level.simulate(ngspice.run, "ngspice", done.artifact, inputs, ())
    assert np.array_equal(got.outputs["y"], golden.simulate(done.graph, inputs).outputs["y"])


@pytest.mark.skipif(josim.ready() is not None, reason=str(josim.ready()))
def test_josim_is_a_witness_for_golden() -> None:
    done = xor()
    inputs = {"x": PATTERNS[:, None]}
    got = junction_level.simulate(josim.run, "josim", done.artifact, inputs, ())
    assert np.array_equal(got.outputs["y"], golden.simulate(done.graph, inputs).outputs["y"])


def test_a_missing_pulse_and_a_late_one_are_told() -> None:
    expected = {"y": np.array([100_000, 200_000])}
    with pytest.raises(ValueError, match="2 pulses on `y`, the circuit 1"):
        junction_level.compare(expected, {"y": (100.0,)}, longest=10.0)
    with pytest.raises(ValueError, match="the pulse on `y`"):
        junction_level.compare(expected, {"y": (100.0, 210.0)}, longest=10.0)
    assert junction_level.compare(expected, {"y": (101.0, 202.0)}, longest=10.0) == 1.5


def test_a_netlist_with_cells_that_have_no_circuit_has_no_decks() -> None:
    other = Netlist("network", (Instance("m", "MAGIC", ("in", "out")),), ("in",), ("out",))
    assert junction_level.write(other, [], slot=1000) == {}
    with pytest.raises(RuntimeError, match="no circuit of `MAGIC`"):
        junction_level.deck(other, [], slot=1000)


def test_the_artifact_holds_both_decks() -> None:
    found = xor().artifact.files
    assert found["ngspice.cir"].startswith(b"* SFQ netlist for ngspice")
    assert found["josim.cir"].startswith(b"* SFQ netlist for JoSIM")
    assert decks.SOURCE.name.encode() in found["josim.cir"]
    assert set(circuit.library())
