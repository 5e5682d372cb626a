"""The pulse simulator gives what golden gives, and names what comes too close."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.sfq import files, machine
from nmc.backends.sfq.backend import SFQ
from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.machine import Tables
from nmc.backends.sfq.netlist import Instance, Netlist
from nmc.diagnostics import CompileError
from nmc.ir.ops import Neuron
from nmc.sim import golden
from tests.backends.sfq.networks import STEPS, compiled, random_network, spikes


def disagreements(seed: int, settings: dict[str, str]) -> list[str]:
    """The outputs and spikes of populations in which the machine and golden differ."""
    done = compiled(random_network(seed), settings)
    inputs = spikes(seed, done.graph)
    names = [node.name for node in done.graph.nodes if isinstance(node.op, Neuron)]
    expected = golden.simulate(done.graph, inputs, record=[f"{name}.spikes" for name in names])
    got = SFQ.simulate(done.artifact, inputs, tuple(names))
    pairs = [*((k, a, got.outputs[k]) for k, a in expected.outputs.items())]
    pairs += [(k, a, got.trace[k]) for k, a in expected.trace.items()]
    assert got.spikes == {name: int(expected.trace[f"{name}.spikes"].sum()) for name in names}
    return [name for name, a, b in pairs if not np.array_equal(a, b)]


@pytest.mark.parametrize("seed", range(16))
def test_machine_gives_the_spikes_of_golden(seed: int) -> None:
    assert disagreements(seed, {}) == []


@pytest.mark.parametrize(
    "settings", [{"toggle": "library"}, {"sequencer": "on-chip"}, {"sharing": "off"}], ids=str
)
@pytest.mark.parametrize("seed", range(100, 105))
def test_machine_gives_the_spikes_of_golden_in_every_way_to_build(
    seed: int, settings: dict[str, str]
) -> None:
    assert disagreements(seed, settings) == []


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_machine_gives_the_spikes_of_golden_on_500_networks(block: int) -> None:
    assert {
        seed: found
        for seed in range(1000 + 50 * block, 1050 + 50 * block)
        if (found := disagreements(seed, {}))
    } == {}


def test_a_latch_gives_its_pulse_when_it_is_clocked() -> None:
    netlist = Netlist("one", (Instance("latch", "DFF", ("x", "t", "q")),), ("x", "t"), ("q",))
    tables = Tables(netlist, standard(), slot=1000)
    delay = standard()["DFF"].delay("clk", "q")
    assert delay is not None
    run = tables.run(np.array([[0, 0], [20_000, 1], [40_000, 1], [60_000, 0], [80_000, 1]]), ("q",))
    assert run.pulses["q"].tolist() == [20_000 + delay, 80_000 + delay]
    assert run.violations == ()
    assert run.events == 7


def test_violation_names_the_earliest_legal_time() -> None:
    netlist = Netlist("one", (Instance("line", "JTL", ("x", "q")),), ("x",), ("q",))
    window = standard()["JTL"].window("a", "a")
    run = Tables(netlist, standard(), slot=1000).run(
        np.array([[0, 0], [window - 1000, 0], [3 * window, 0]]), ()
    )
    (found,) = run.violations
    assert (found.instance, found.cell, found.input, found.after) == ("line", "JTL", "a", "a")
    assert (found.time, found.gap, found.legal) == (window - 1000, window - 1000, window)
    assert run.violated == 1


def test_initial_state_of_a_cell_is_the_netlists() -> None:
    latch = Instance("latch", "DFF", ("x", "t", "q"))
    netlist = Netlist("one", (latch,), ("x", "t"), ("q",), {"latch": 1})
    run = Tables(netlist, standard(), slot=1000).run(np.array([[0, 1]]), ("q",))
    assert run.pulses["q"].size == 1


def test_simulate_refuses_slots_that_are_too_short() -> None:
    done = compiled(random_network(3), {"period": "12"})
    with pytest.raises(CompileError) as refused:
        SFQ.simulate(done.artifact, spikes(3, done.graph), ())
    assert {finding.code for finding in refused.value.findings} == {"NMC486"}
    assert "the earliest legal time is" in refused.value.findings[0].message


def test_simulate_refuses_a_run_longer_than_the_counters_are_proved_for() -> None:
    seed = next(
        s
        for s in range(50)
        if files.read_schedule(compiled(random_network(s)).artifact.files[files.SCHEDULE]).steps
    )
    done = compiled(random_network(seed))
    longer = {name: np.concatenate([a, a]) for name, a in spikes(seed, done.graph).items()}
    with pytest.raises(CompileError) as refused:
        SFQ.simulate(done.artifact, longer, ())
    (finding,) = refused.value.findings
    assert finding.code == "NMC487"
    assert f"{2 * STEPS} steps" in finding.message and str(STEPS) in finding.message


def test_frames_counts_pulses_by_frame() -> None:
    schedule = files.Schedule(1000, 0, (), ("a", None), None, {}, {}, {}, None)
    times = np.array([machine.BEGIN, machine.BEGIN + 1999, machine.BEGIN + 4000])
    assert machine.frames(schedule, times, 3).tolist() == [2, 0, 1]
