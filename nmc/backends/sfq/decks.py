"""A netlist with its stimulus as a deck for a circuit simulator: ngspice's dialect and JoSIM's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nmc.backends.sfq.circuit import JUNCTION, Circuit, Element, junction

RAMP = 10.0
"""Picoseconds in which bias currents rise from zero, so that nothing flips when they are turned on."""

PUMP = 500.0
"""Microamperes at the peak of the triangle, 4 ps wide, that makes the source's junction flip once."""

TEMPERATURE = 4.2
"""Kelvin: liquid helium."""

NOISE_STEP = 0.5e-12
"""Seconds for which a noise current is drawn anew: well below the 2 ps of a flip, so that it acts as white noise."""

BOLTZMANN = 1.380649e-23

SOURCE = Circuit(
    "SOURCE",
    ("a", "q"),
    (
        Element("XJ1", "J", ("a", "0"), 250e-6),
        Element("I1", "I", ("0", "a"), 175e-6),
        Element("L1", "L", ("a", "q"), 2e-12),
    ),
    "SOURCE: a current pulse into a makes one flux quantum at q.",
)

SINK = Circuit(
    "SINK",
    ("a",),
    (
        Element("L1", "L", ("a", "1"), 2e-12),
        Element("XJ1", "J", ("1", "0"), 250e-6),
        Element("I1", "I", ("0", "1"), 175e-6),
        Element("R1", "R", ("1", "0"), 4.0),
    ),
    "SINK: takes what leaves the chip, as the first junction of a cell would.",
)


@dataclass(frozen=True, slots=True)
class Instance:
    """A cell in a deck: the nets at its circuit's ports, in their order."""

    name: str
    cell: str
    nets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deck:
    """What a circuit simulator is to run.

    `pulses` are the times, ps, at which current pulses are given to sources that drive nets; nets in `outputs` end
    in a sink. Pulses are observed at the nets of `probes`. `bias` scales every bias current; with `noise` (ngspice
    only) each junction has the thermal current of its resistances, drawn from `seed`.
    """

    instances: tuple[Instance, ...]
    cells: Mapping[str, Circuit]
    pulses: Mapping[str, tuple[float, ...]]
    outputs: tuple[str, ...]
    probes: tuple[str, ...]
    duration: float
    bias: float = 1.0
    noise: bool = False
    seed: int = 1


def used_cells(deck: Deck) -> tuple[Circuit, ...]:
    """The circuits that a deck needs, those inside others first."""
    found: dict[str, Circuit] = {}

    def visit(name: str) -> None:
        if name not in found:
            for each in deck.cells[name].elements:
                if each.cell:
                    visit(each.cell)
            found[name] = deck.cells[name]

    for name in sorted({each.cell for each in deck.instances}):
        visit(name)
    return (SOURCE, SINK, *found.values())


def _terminals(deck: Deck) -> tuple[Instance, ...]:
    sources = [Instance(f"SRC{i}", "SOURCE", (f"in_{net}", net)) for i, net in enumerate(deck.pulses)]
    sinks = [Instance(f"SNK{i}", "SINK", (net,)) for i, net in enumerate(deck.outputs)]
    return (*sources, *sinks)


def _triangles(times: tuple[float, ...]) -> str:
    points = [(0.0, 0.0)]
    for time in times:
        points += [(time - 2, 0.0), (time, PUMP), (time + 2, 0.0)]
    return " ".join(f"{t:.3f}p {i:g}u" for t, i in points)


def ngspice(deck: Deck, *, step: float = 0.25, output: str = "pulses.raw") -> str:
    """The deck in ngspice's dialect. It writes the phase at every probe, V(phase_NET) in radians, to a raw file.

    `step`, ps, is the longest time step.
    """
    lines = ["* SFQ netlist for ngspice; phases in radians at phase_NET, one pulse each 2*pi"]
    lines.append(_noisy_junction() if deck.noise else junction())
    for circuit in used_cells(deck):
        lines.append(f".subckt {circuit.name} {' '.join(circuit.ports)}")
        lines += [_ngspice_line(each, deck.bias) for each in circuit.elements]
        lines.append(f".ends {circuit.name}")
    lines += [
        f"X{each.name} {' '.join(each.nets)} {each.cell}" for each in (*_terminals(deck), *deck.instances)
    ]
    lines += [f"Ipump{i} 0 in_{net} pwl({_triangles(t)})" for i, (net, t) in enumerate(deck.pulses.items())]
    for net in deck.probes:
        lines += [
            f"Gprobe_{net} 0 phase_{net} {net} 0 3038.534895",
            f"Cprobe_{net} phase_{net} 0 1p ic=0",
            f"Rprobe_{net} phase_{net} 0 1e15",
        ]
    lines += [
        f".tran {step}p {deck.duration:.3f}p 0 {step}p uic",
        ".options reltol=1e-3 abstol=1e-8 vntol=1e-6 method=trap",
        *([f".options seed={deck.seed}"] if deck.noise else []),
        ".save " + " ".join(f"v(phase_{net})" for net in deck.probes),
        ".control",
        "set filetype=binary",
        "run",
        f"write {output}",
        "quit",
        ".endc",
        ".end",
        "",
    ]
    return "\n".join(lines)


def _noisy_junction() -> str:
    # S = 4kT/R over all positive frequencies below 1/(2 step): variance 2kT/(R step); 1/R = ic * (1/16m + 1/0.686m).
    scale = math.sqrt(2 * BOLTZMANN * TEMPERATURE / NOISE_STEP * (1 / 16e-3 + 1 / 0.686e-3))
    noise = f"In p n trnoise({{{scale:.6g}*sqrt(ic)}} {NOISE_STEP:g} 0 0)\n.ends"
    return junction().replace(".ends", noise)


def _ngspice_line(each: Element, bias: float) -> str:
    nodes = " ".join(each.nodes)
    match each.kind:
        case "J":
            return f"{each.name} {nodes} {JUNCTION} ic={each.value:.6g}"
        case "L":
            return f"{each.name} {nodes} {each.value:.6g} ic=0"
        case "I":
            return f"{each.name} {nodes} pwl(0 0 {RAMP:g}p {each.value * bias:.6g})"
        case "X":
            return f"{each.name} {nodes} {each.cell}"
        case _:
            return f"{each.name} {nodes} {each.value:.6g}"
