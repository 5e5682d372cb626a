"""The witnesses at circuit level, ngspice and JoSIM: every junction of the netlist, its pulses beside the machine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from nmc.artifact import Artifact
from nmc.backends.sfq import analogue, circuit, decks, files, machine
from nmc.backends.sfq.cells import FEMTO
from nmc.backends.sfq.decks import Deck
from nmc.backends.sfq.files import Schedule
from nmc.backends.sfq.machine import Tables
from nmc.backends.sfq.netlist import Netlist
from nmc.backends.sfq.ngspice import Pulses
from nmc.ir.tensor import Array
from nmc.sim.trace import SimResult

TOLERANCE = 1.0
"""Picoseconds by which a pulse may differ from the machine's, once one constant offset for all outputs is taken off."""

DRIFT = 0.05
"""And by this fraction of the longest delay within a slot: loads differ a little from those of a cell's bench."""

SETTLE = 60.0
"""Picoseconds that a run goes on after the last slot."""

MOST = 2000
"""Cells of a netlist that is written as a deck into the artifact: more takes a circuit simulator hours."""


def simulate(
    run: Callable[[Deck], Pulses],
    name: str,
    artifact: Artifact,
    inputs: Mapping[str, Array],
    record: tuple[str, ...],
) -> SimResult:
    """The netlist's circuit on inputs (steps, samples, *shape).

    Raises RuntimeError unless each output has the machine's pulses, at its times but for one offset and TOLERANCE.
    """
    found = artifact.files
    if analogue.FILE in found:
        return analogue.simulate(name, partial(analogue.witness, run), found, inputs)
    schedule = files.read_schedule(found[files.SCHEDULE])
    netlist = files.read_netlist(found[files.NETLIST])
    machine.check_run(schedule, inputs)
    tables = Tables(netlist, files.read_cells(found[files.CELLS]), slot=schedule.slot)
    steps, samples = next(iter(inputs.values())).shape[:2]
    pulses: list[Mapping[str, Array]] = []
    for sample in range(samples):
        given = {each: np.asarray(a).reshape(steps, samples, -1)[:, sample] for each, a in inputs.items()}
        stimulus = machine.stimulus(schedule, given, steps=steps)
        events = np.array([(time, tables.numbers[net]) for time, net in stimulus], np.int64).reshape(-1, 2)
        expected = tables.run(events, netlist.outputs).pulses
        got = run(deck(netlist, stimulus, slot=schedule.slot))
        try:
            offset = compare(expected, got, longest=schedule.slot / FEMTO)
        except ValueError as different:
            raise RuntimeError(f"sample {sample}: {different}") from None
        pulses.append({
            net: np.array([round((time - offset) * FEMTO) for time in got[net]], np.int64) for net in netlist.outputs
        })  # fmt: skip
    only_outputs: Schedule = replace(schedule, populations={})
    return machine.result(name, only_outputs, pulses, steps, record)


def deck(netlist: Netlist, stimulus: list[tuple[int, str]], *, slot: int) -> Deck:
    """A netlist with pulses (fs, net) for a circuit simulator. Raises RuntimeError for cells without a circuit."""
    missing = sorted(set(netlist.cells()) - set(circuit.library()))
    if missing:
        raise RuntimeError(f"there is no circuit of {', '.join(f'`{each}`' for each in missing)}")
    duration = (max((time for time, _ in stimulus), default=0) + slot) / FEMTO + SETTLE
    return decks.deck_of(netlist, circuit.library(), stimulus, duration=duration)


def compare(expected: Mapping[str, Array], got: Pulses, *, longest: float) -> float:
    """The constant offset, ps, between pulses (fs) and those of a circuit (ps): the middle of all differences.

    Raises ValueError with the first output that has another number of pulses, or one whose time is too far off.
    """
    differences: list[float] = []
    for net, times in expected.items():
        if len(times) != len(got[net]):
            shown = ", ".join(f"{time:.1f}" for time in got[net])
            raise ValueError(
                f"the machine has {len(times)} pulses on `{net}`, the circuit {len(got[net])} (at {shown} ps)"
            )
        differences += [b - a / FEMTO for a, b in zip(times.tolist(), got[net], strict=True)]
    if not differences:
        return 0.0
    offset = (min(differences) + max(differences)) / 2
    allowed = TOLERANCE + DRIFT * longest
    for net, times in expected.items():
        for a, b in zip(times.tolist(), got[net], strict=True):
            if abs(b - a / FEMTO - offset) > allowed:
                message = (
                    f"the pulse on `{net}` at {a / FEMTO:.1f} ps comes at {b - offset:.1f} ps in the circuit"
                )
                raise ValueError(f"{message}; {allowed:.1f} ps are allowed")
    return offset


def write(netlist: Netlist, stimulus: list[tuple[int, str]], *, slot: int) -> dict[str, bytes]:
    """The decks of a netlist as files; none for one with cells that have no circuit, or with more than MOST cells."""
    if len(netlist.instances) > MOST or set(netlist.cells()) - set(circuit.library()):
        return {}
    found = deck(netlist, stimulus, slot=slot)
    return {"ngspice.cir": decks.ngspice(found).encode(), "josim.cir": decks.josim(found).encode()}
