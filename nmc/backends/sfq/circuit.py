"""Cells as circuits: junctions, inductances, resistances and bias currents, read from one SPICE file a cell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SUFFIX = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}
"""SPICE's suffixes of numbers, as far as cells use them."""

JUNCTION = "jj"
"""The subcircuit of a junction: `XJ1 plus minus jj ic=250u`."""


@dataclass(frozen=True, slots=True)
class Element:
    """One line of a subcircuit.

    `kind` is the field's letter: J a junction (value: critical current, A), L (H), R (ohm), I a bias current (A) from
    the first node into the second, K a coupling of two inductances (`nodes` are their names), X another cell's
    circuit, whose name is `cell` (no value).
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    value: float = 0.0
    cell: str = ""


@dataclass(frozen=True, slots=True)
class Circuit:
    """A cell as a circuit. Node `0` is ground; pulses enter and leave through `ports`."""

    name: str
    ports: tuple[str, ...]
    elements: tuple[Element, ...]
    comment: str = ""


def parse_value(text: str) -> float:
    """`2.5p` as 2.5e-12. Raises ValueError for what is no such number."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)([fpnum]?)", text)
    if match is None:
        raise ValueError(f"`{text}` is not a number with a suffix of {', '.join(s for s in SUFFIX if s)}")
    return float(match[1]) * SUFFIX[match[2]]


def parse(text: str) -> Circuit:
    """The one subcircuit of a file. Raises ValueError with the line that is none of a cell's."""
    name, ports = "", ()
    elements: list[Element] = []
    comment: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.startswith(".ends"):
            continue
        if line.startswith("*"):
            comment.append(line[1:].strip())
        elif line.startswith(".subckt"):
            name, ports = words[1], tuple(words[2:])
        else:
            try:
                elements.append(_element(words))
            except (ValueError, IndexError) as fault:
                raise ValueError(f"line {number}, `{line}`: {fault}") from None
    return Circuit(name, ports, tuple(elements), "\n".join(comment))


def _element(words: list[str]) -> Element:
    name, *rest = words
    letter = name[0].upper()
    if letter == "X" and rest[-1].startswith("ic="):
        if rest[2] != JUNCTION or len(rest) != 4:
            raise ValueError(f"a junction is `{name} plus minus {JUNCTION} ic=...`")
        return Element(name, "J", tuple(rest[:2]), parse_value(rest[3].removeprefix("ic=")))
    if letter == "X":
        return Element(name, "X", tuple(rest[:-1]), cell=rest[-1])
    if letter not in "LRIK" or len(rest) != 3:
        raise ValueError("neither a junction nor an L, R, I, K or X")
    return Element(name, letter, tuple(rest[:2]), parse_value(rest[2]))


@cache
def library() -> Mapping[str, Circuit]:
    """Our circuits by the names of their cells."""
    folder = files("nmc.backends.sfq") / "circuits"
    names = sorted(
        path.name for path in folder.iterdir() if path.name.endswith(".cir") and path.name != "jj.cir"
    )
    found = [parse((folder / name).read_text()) for name in names]
    return {circuit.name: circuit for circuit in found}


def junction() -> str:
    """The subcircuit of a junction as ngspice takes it."""
    return (files("nmc.backends.sfq") / "circuits" / "jj.cir").read_text()


def junctions(circuit: Circuit, cells: Mapping[str, Circuit]) -> tuple[float, ...]:
    """The critical current of every junction, A, those of the circuits inside included."""
    inner = [
        current for each in circuit.elements if each.cell for current in junctions(cells[each.cell], cells)
    ]
    return (*(each.value for each in circuit.elements if each.kind == "J"), *inner)


def bias_current(circuit: Circuit, cells: Mapping[str, Circuit]) -> float:
    """The sum of the bias currents, A, those of the circuits inside included."""
    own = sum(each.value for each in circuit.elements if each.kind == "I")
    return own + sum(bias_current(cells[each.cell], cells) for each in circuit.elements if each.cell)


def show(circuit: Circuit) -> str:
    """The file of a circuit; `parse` reads it back. Values are rounded to what a layout resolves: 10 fH, 1 uA."""
    lines = [f"* {line}" for line in circuit.comment.splitlines()]
    lines.append(f".subckt {circuit.name} {' '.join(circuit.ports)}")
    lines += [_line(each) for each in circuit.elements]
    return "\n".join([*lines, f".ends {circuit.name}", ""])


def _line(each: Element) -> str:
    nodes = " ".join(each.nodes)
    match each.kind:
        case "X":
            return f"{each.name} {nodes} {each.cell}"
        case "J":
            return f"{each.name} {nodes} {JUNCTION} ic={each.value * 1e6:.0f}u"
        case "L":
            return f"{each.name} {nodes} {round(each.value * 1e12, 2):g}p"
        case "I":
            return f"{each.name} {nodes} {each.value * 1e6:.0f}u"
        case _:
            return f"{each.name} {nodes} {each.value:g}"
