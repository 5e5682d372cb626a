"""A netlist with its stimulus as a deck for a circuit simulator: ngspice's dialect and JoSIM's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nmc.backends.sfq.cells import FEMTO
from nmc.backends.sfq.circuit import JUNCTION, Circuit, Element, junction
from nmc.backends.sfq.netlist import Instance, Netlist

RAMP = 10.0
"""Picoseconds in which bias currents rise from zero, so that nothing flips when they are turned on."""

LEAD = 2.1
"""Picoseconds by which a source's current peaks before its pulse is at the net that it drives, at nominal bias."""

PUMP = 500.0
"""Microamperes at the peak of the triangle, 4 ps wide, that makes the source's junction flip once."""

TEMPERATURE = 4.2
"""Kelvin: liquid helium."""

NOISE_STEP = 0.5e-12
"""Seconds for which a noise current is drawn anew: well below the 2 ps of a flip, so that it acts as white noise."""

BOLTZMANN = 1.380649e-23
"""J/K (exact in the SI)."""

SHUNT = 0.686e-3
"""Volts: a junction's critical current times its shunt (`jj.cir`)."""

SUBGAP = 16e-3
"""Volts: a junction's critical current times its resistance below the gap (`jj.cir`)."""

SOURCE = Circuit(
    "SOURCE",
    ("a", "q"),
    (
        Element("XJ1", "J", ("a", "0"), 250e-6),
        Element("I1", "I", ("0", "a"), 175e-6),
        Element("L1", "L", ("a", "1"), 4e-12),
        Element("XJ2", "J", ("1", "0"), 250e-6),
        Element("I2", "I", ("0", "1"), 185e-6),
        Element("L2", "L", ("1", "q"), 2e-12),
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


def deck_of(
    netlist: Netlist,
    cells: Mapping[str, Circuit],
    pulses: Sequence[tuple[int, str]],
    *,
    duration: float,
    probes: tuple[str, ...] = (),
    bias: float = 1.0,
) -> Deck:
    """A netlist driven by pulses (fs, net), observed at its outputs and at `probes`. Raises KeyError for a cell that
    has no circuit."""
    times: dict[str, list[float]] = {net: [] for net in netlist.inputs}
    for time, net in pulses:
        times[net].append(time / FEMTO - LEAD)
    used = {each.cell for each in netlist.instances}
    driven = {net: tuple(sorted(each)) for net, each in times.items()}
    watched = tuple(dict.fromkeys((*netlist.outputs, *probes)))
    return Deck(
        netlist.instances, _closed(cells, used), driven, netlist.outputs, watched, duration, bias=bias
    )


def _closed(cells: Mapping[str, Circuit], names: set[str]) -> dict[str, Circuit]:
    """The circuits of some cells and of those inside them."""
    found: dict[str, Circuit] = {}
    stack = sorted(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found[name] = cells[name]
            stack += [each.cell for each in cells[name].elements if each.cell]
    return found


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


def josim(deck: Deck, *, step: float = 0.1, output: str = "pulses.csv") -> str:
    """The deck in JoSIM's dialect. It writes the phase at every probe, in their order, to a file of comma separated
    values.

    `step`, ps, is the time step. Resistances of junctions are those of `jj.cir`: `rtype=1` has the subgap resistance
    below the gap, and the shunt stands beside the junction.
    """
    lines = ["* SFQ netlist for JoSIM; phases of nets in radians, one pulse each 2*pi"]
    lines.append(".model jj jj(rtype=1, vg=2.8m, cap=70f, r0=160, rn=16, icrit=100u)")
    for circuit in used_cells(deck):
        lines.append(f".subckt {circuit.name} {' '.join(circuit.ports)}")
        lines += [line for each in circuit.elements for line in _josim_lines(each, deck.bias)]
        lines.append(f".ends {circuit.name}")
    lines += [
        f"X{each.name} {each.cell} {' '.join(each.nets)}" for each in (*_terminals(deck), *deck.instances)
    ]
    lines += [f"Ipump{i} 0 in_{net} pwl({_triangles(t)})" for i, (net, t) in enumerate(deck.pulses.items())]
    lines.append(f".tran {step}p {deck.duration:.3f}p 0 {step}p")
    lines.append(f".file {output}")
    lines += [f".print nodep {net}" for net in deck.probes]
    return "\n".join([*lines, ".end", ""])


def _josim_lines(each: Element, bias: float) -> tuple[str, ...]:
    nodes = " ".join(each.nodes)
    match each.kind:
        case "J":
            junction = f"B{each.name} {nodes} {JUNCTION} area={each.value / 100e-6:.6g}"
            return junction, f"R{each.name} {nodes} {SHUNT / each.value:.6g}"
        case "I":
            return (f"{each.name} {nodes} pwl(0 0 {RAMP:g}p {each.value * bias:.6g})",)
        case "X":
            return (f"{each.name} {each.cell} {nodes}",)
        case _:
            return (f"{each.name} {nodes} {each.value:.6g}",)


def _noisy_junction() -> str:
    # S = 4kT/R over all positive frequencies below 1/(2 step): variance 2kT/(R step); 1/R = ic * (1/SUBGAP + 1/SHUNT).
    scale = math.sqrt(2 * BOLTZMANN * TEMPERATURE / NOISE_STEP * (1 / SUBGAP + 1 / SHUNT))
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
