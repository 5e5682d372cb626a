"""The witness for pulses: Icarus Verilog on the emitted netlist, models and test bench; every pulse at its time."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nmc.artifact import Artifact
from nmc.backends.sfq import files, machine, verilog
from nmc.backends.sfq.cells import FEMTO
from nmc.backends.sfq.machine import Tables
from nmc.ir.tensor import Array
from nmc.sim.trace import SimResult

TIMEOUT = 3600.0
"""Seconds after which a simulation counts as hung."""


def ready() -> str | None:
    """Why the simulator cannot run here, or None."""
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        return "`iverilog` is not here: install iverilog from your system's packages"
    return None


def simulate(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """The emitted Verilog on inputs (steps, samples, *shape).

    Raises RuntimeError unless it gives the machine's pulses at every output, each at its time, and no violation.
    """
    found = artifact.files
    if files.NETLIST not in found:
        raise RuntimeError("analogue neurons have no Verilog: ask for `ngspice` or `josim`")
    schedule = files.read_schedule(found[files.SCHEDULE])
    netlist = files.read_netlist(found[files.NETLIST])
    machine.check_run(schedule, inputs)
    tables = Tables(netlist, files.read_cells(found[files.CELLS]), slot=schedule.slot)
    steps, samples = next(iter(inputs.values())).shape[:2]
    pulses: list[Mapping[str, Array]] = []
    with tempfile.TemporaryDirectory(prefix="nmc-sfq-") as place:
        folder = Path(place)
        build(found, folder)
        for sample in range(samples):
            given = {name: np.asarray(a).reshape(steps, samples, -1)[:, sample] for name, a in inputs.items()}
            stimulus = machine.stimulus(schedule, given, steps=steps)
            got = run(folder, verilog.stimulus_text(netlist, stimulus))
            events = np.array([(time, tables.numbers[net]) for time, net in stimulus], np.int64)
            check_pulses(tables.run(events.reshape(-1, 2), netlist.outputs).pulses, got, sample)
            pulses.append({net: got.get(net, np.zeros(0, np.int64)) for net in netlist.outputs})
    only_outputs = files.Schedule(
        schedule.slot, schedule.lead, schedule.start, schedule.slots, schedule.clock, schedule.inputs,
        schedule.outputs, {}, schedule.steps,
    )  # fmt: skip
    return machine.result("icarus", only_outputs, pulses, steps, record)


def build(found: Mapping[str, bytes], folder: Path) -> None:
    """Compile the emitted Verilog in a folder. Raises RuntimeError with what the tool says."""
    sources = ("tb.v", files.NETLIST, "cells.v")
    for name in sources:
        (folder / name).write_bytes(found[name])
    _command(["iverilog", "-g2012", "-o", "tb.vvp", *sources], folder)


def run(folder: Path, stimulus: bytes) -> dict[str, Array]:
    """The times of pulses at outputs in fs, by net. Raises RuntimeError for a violation."""
    (folder / "given.txt").write_bytes(stimulus)
    text = _command(["vvp", "-N", "tb.vvp", "+stimulus=given.txt"], folder)
    times: dict[str, list[int]] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind in {"V", "E"}:
            raise RuntimeError(f"the Verilog models say: {rest}")
        if kind == "P":
            net, time = rest.split()
            times.setdefault(net, []).append(round(float(time) * FEMTO))
    return {net: np.array(each, np.int64) for net, each in times.items()}


def check_pulses(expected: Mapping[str, Array], got: Mapping[str, Array], sample: int) -> None:
    """Raise RuntimeError with the first pulse that only one of them has."""
    for net, times in expected.items():
        other = got.get(net, np.zeros(0, np.int64))
        if not np.array_equal(times, other):
            first = min(np.setxor1d(times, other).tolist())
            who = "the machine" if first in times else "Icarus"
            raise RuntimeError(
                f"sample {sample}: only {who} has a pulse on `{net}` at {first / FEMTO:.3f} ps"
            )


def _command(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}`: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
