"""Measure every cell's circuit in ngspice and write its figures into nmc/backends/sfq/cells.toml.

    python bench/sfq_cells.py [CELL ...]        measure and write; without names, every cell that has a circuit
    python bench/sfq_cells.py --check [CELL ...]  only say what would change

Takes about five seconds a cell. Behaviour (ports, states) is the table's and is never changed: a circuit that does
something else ends the run with what it did.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from nmc.backends.sfq import characterise
from nmc.backends.sfq.cells import Cell, standard
from nmc.backends.sfq.circuit import bias_current, junctions, library

TABLE = Path(__file__).parents[1] / "nmc" / "backends" / "sfq" / "cells.toml"
SOURCE = "our circuit in ngspice"


def fields(cell: Cell) -> dict[str, str]:
    """The fields of a cell's table that its circuit decides, as TOML."""
    circuits = library()
    circuit = circuits[cell.name]
    delays = characterise.delays(cell, circuits) if cell.outputs else {}
    lines: list[str] = []
    for each in cell.transitions:
        pulses = "".join(f" {port}@{delays[each.state, each.input, port]:.1f}" for port, _ in each.pulses)
        lines.append(f'"{each.state} {each.input} -> {each.after}{pulses}"')
    known = Cell(
        **{
            name: getattr(cell, name)
            for name in ("name", "title", "inputs", "outputs", "jj", "bias", "critical")
        },
        transitions=tuple(
            type(each)(
                each.state,
                each.input,
                each.after,
                tuple((port, round(1000 * delays[each.state, each.input, port])) for port, _ in each.pulses),
            )
            for each in cell.transitions
        ),
        windows=(),
        source=SOURCE,
    )
    apart = {
        (a, b): characterise.window(known, circuits, a, b) if cell.outputs else 0.0
        for a in cell.inputs
        for b in cell.inputs
    }
    windows = [f'"{a} {b} {time:.1f}"' for (a, b), time in apart.items() if time > 0.2]
    currents = junctions(circuit, circuits)
    return {
        "jj": str(len(currents)),
        "bias": f"{bias_current(circuit, circuits) * 1e6:.1f}",
        "critical": f"{sum(currents) * 1e6:.1f}",
        "transitions": _listed(lines),
        "windows": _listed(windows),
        "source": f'"{SOURCE}"',
    }


def _listed(items: list[str]) -> str:
    line = f"[{', '.join(items)}]"
    return line if len(line) < 96 else "[\n" + "".join(f"  {each},\n" for each in items) + "]"


def rewrite(text: str, name: str, new: dict[str, str]) -> str:
    """The table's text with the fields of one cell replaced."""
    start = text.index(f"[{name}]\n")
    following = re.search(r"^(\[\w+\]|# [^\n]*\n(#[^\n]*\n)*\n\[\w+\])", text[start + 1 :], re.MULTILINE)
    end = start + 1 + following.start() if following else len(text)
    table = text[start:end]
    for field, value in new.items():
        pattern = rf"^{field} = (?:\[[^\]]*\]|[^\n#]*?) *(?:#[^\n]*)?$"
        table, count = re.subn(pattern, lambda _, f=field, v=value: f"{f} = {v}", table, flags=re.MULTILINE)
        assert count == 1, (name, field)
    return text[:start] + table + text[end:]


def main(arguments: list[str]) -> None:
    only = [each for each in arguments if not each.startswith("-")]
    for name in only or sorted(library()):
        cell = standard()[name]
        new = fields(cell)
        low, high = characterise.margins(cell, library()) if cell.outputs else (0.4, 0.4)
        print(
            f"{name}: bias -{low:.0%} to +{high:.0%}; " + "; ".join(f"{f} {v}" for f, v in new.items()),
            flush=True,
        )
        if "--check" not in arguments:
            TABLE.write_text(rewrite(TABLE.read_text(), name, new))


if __name__ == "__main__":
    main(sys.argv[1:])
