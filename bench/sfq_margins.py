"""Draw how far bias currents may fall and rise: each cell, and exclusive or as a whole netlist, in ngspice.

    python bench/sfq_margins.py [docs/targets/sfq/bias_margins.svg]

Takes about two minutes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.sfq import characterise, files, junction_level, machine, ngspice
from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.circuit import library
from nmc.backends.sfq.machine import Tables
from nmc.frontend.load import load

ROOT = Path(__file__).parents[1]
PATTERNS = np.array([(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], np.uint8)
STEP, LIMIT = 0.025, 0.4


def network_margins() -> tuple[float, float]:
    """Exclusive or, in the slots that static timing gives it at nominal bias."""
    done = driver.compile(load(ROOT / "examples" / "xor" / "xor.nir"), target="sfq", request=Request())
    found = done.artifact.files
    schedule, netlist = files.read_schedule(found[files.SCHEDULE]), files.read_netlist(found[files.NETLIST])
    stimulus = machine.stimulus(schedule, {"x": PATTERNS}, steps=len(PATTERNS))
    tables = Tables(netlist, files.read_cells(found[files.CELLS]), slot=schedule.slot)
    events = np.array([(time, tables.numbers[net]) for time, net in stimulus], np.int64)
    expected = tables.run(events, netlist.outputs).pulses
    deck = junction_level.deck(netlist, stimulus, slot=schedule.slot)

    def works(bias: float) -> bool:
        got = ngspice.run(replace(deck, bias=bias), step=0.5)
        return all(
            len(got[net]) == len(times) and np.ptp(np.array(got[net]) - times / 1000) < schedule.slot / 1000
            for net, times in expected.items()
        )

    found_margins: list[float] = []
    for sign in (-1, 1):
        count = 0
        while (count + 1) * STEP <= LIMIT + 1e-9 and works(1 + sign * (count + 1) * STEP):
            count += 1
        found_margins.append(count * STEP)
    return found_margins[0], found_margins[1]


def picture(margins: dict[str, tuple[float, float]]) -> str:
    """Bars from the lowest to the highest bias that works; the band is 15 %."""
    left, width, row = 130, 520, 24
    height = 60 + row * len(margins)

    def x(part: float) -> float:
        return left + width * (part + 0.45) / 0.9

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 20}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{left + width + 20}" height="{height}" fill="#fff"/>',
        f'<rect x="{x(-0.15):.1f}" y="10" width="{x(0.15) - x(-0.15):.1f}" height="{height - 45}" fill="#eef2f7"/>',
    ]
    for tick in (-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4):
        lines.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="10" y2="{height - 35}" stroke="#ccd"/>'
        )
        lines.append(f'<text x="{x(tick):.1f}" y="{height - 18}" text-anchor="middle">{tick:+.0%}</text>')
    for k, (name, (low, high)) in enumerate(margins.items()):
        y = 16 + row * k
        colour = "#b5542b" if name == "XOR network" else "#35618f"
        lines.append(f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{name}</text>')
        lines.append(
            f'<rect x="{x(-low):.1f}" y="{y}" width="{x(high) - x(-low):.1f}" height="16" fill="{colour}"/>'
        )
    lines.append(
        f'<text x="{left + width / 2}" y="{height - 3}" text-anchor="middle">all bias currents together</text>'
    )
    return "\n".join([*lines, "</svg>", ""])


def main(arguments: list[str]) -> None:
    place = Path(arguments[0]) if arguments else ROOT / "docs" / "targets" / "sfq" / "bias_margins.svg"
    margins: dict[str, tuple[float, float]] = {"XOR network": network_margins()}
    for name, cell in standard().items():
        if name in library() and cell.outputs and name != "DCSFQ":
            margins[name] = characterise.margins(cell, library(), step=STEP, limit=LIMIT)
    for name, (low, high) in margins.items():
        print(f"{name:12} {-low:+.1%} to {high:+.1%}")
    place.write_text(picture(margins))


if __name__ == "__main__":
    main(sys.argv[1:])
