"""Pictures of an artifact: its netlist as a schematic, its pulses as a timing diagram; SVG, without libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from nmc.backends.sfq import files
from nmc.backends.sfq.cells import FEMTO
from nmc.backends.sfq.files import Schedule
from nmc.backends.sfq.machine import BEGIN, Tables, stimulus
from nmc.backends.sfq.netlist import Netlist
from nmc.backends.sfq.verilog import example_inputs
from nmc.ir.tensor import Array

MOST_CELLS = 400
"""Of larger netlists a schematic shows nothing that anybody sees."""

MOST_TRAINS = 48
"""Pulse trains in one diagram."""

WIDTH, HEIGHT, ACROSS, DOWN = 74, 20, 128, 22
COLOURS = {
    "SPLIT": "#dbe7f5",
    "MERGE": "#f6e3d3",
    "DFF": "#dcefdc",
    "NOT": "#f3dcdc",
    "NDRO": "#e4dcf0",
    "TFF": "#f5efc9",
    "JTL": "#eeeeee",
    "SINK": "#ffffff",
}
STYLE = (
    "text{font:10px sans-serif;fill:#222}.pin{font-size:8px;fill:#666}rect{stroke:#444;stroke-width:.8}"
    "path{fill:none;stroke:#557;stroke-width:.9}.clock{stroke:#b9b9c6}.grid{stroke:#ddd}.pulse{stroke:#124;stroke-width:1.6}"
)


def pictures(found: Mapping[str, bytes]) -> dict[str, str]:
    """SVG by title for an artifact's files: the schematic of a small one, and the pulses of the example stimulus."""
    netlist = files.read_netlist(found[files.NETLIST])
    schedule = files.read_schedule(found[files.SCHEDULE])
    tables = Tables(netlist, files.read_cells(found[files.CELLS]), slot=schedule.slot)
    made: dict[str, str] = {}
    if len(netlist.instances) <= MOST_CELLS:
        made["netlist"] = schematic(
            netlist, {cell.name: (cell.inputs, cell.outputs) for cell in tables.cells}
        )
    made["pulses"] = timing_diagram(netlist, schedule, tables)
    return made


# ---- schematic --------------------------------------------------------------------------------------------


def schematic(netlist: Netlist, ports: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> str:
    """Cells in columns by how far they are from the inputs, wires from left to right; clocks in grey."""
    driver: dict[str, int] = {}
    for k, each in enumerate(netlist.instances):
        for net in each.nets[len(ports[each.cell][0]) :]:
            driver[net] = k
    depth = _depths(netlist, ports, driver)
    columns: dict[int, list[int]] = {}
    for k in range(len(netlist.instances)):
        columns.setdefault(depth[k], []).append(k)
    last = max(columns, default=0) + 1
    place: dict[str, tuple[float, float]] = {}
    row = {net: k for k, net in enumerate(netlist.inputs)}
    parts: list[str] = []
    for k, net in enumerate(netlist.inputs):
        place[net] = (96, 24 + k * DOWN)
        parts.append(f'<text x="92" y="{27 + k * DOWN}" text-anchor="end">{escape(net)}</text>')
    pins: list[tuple[str, float, float, bool]] = []
    at_row: dict[int, float] = {}
    tall = len(netlist.inputs)
    for column in sorted(columns):
        wanted = {
            k: float(np.mean([
                at_row[driver[net]] if net in driver and driver[net] in at_row else row.get(net, 0)
                for net in netlist.instances[k].nets[: len(ports[netlist.instances[k].cell][0])]
            ] or [0]))
            for k in columns[column]
        }  # fmt: skip
        top = 0.0
        for k in sorted(wanted, key=lambda k: (wanted[k], k)):
            each = netlist.instances[k]
            ins, outs = ports[each.cell]
            at = max(top, wanted[k] - 0.5)
            lines = max(len(ins), len(outs), 1)
            at_row[k] = at + lines / 2 - 0.5
            top = at + lines + 0.4
            x, y = 130 + column * ACROSS, 14 + at * DOWN
            tall = max(tall, int(top) + 1)
            fill = COLOURS.get(each.cell, "#f4f4f4")
            parts.append(
                f'<rect x="{x}" y="{y:.1f}" width="{WIDTH}" height="{lines * DOWN - 4}" rx="3" fill="{fill}"/>'
            )
            parts.append(
                f'<text x="{x + WIDTH / 2}" y="{y + lines * DOWN / 2 + 1:.1f}" text-anchor="middle">{each.cell}</text>'
                f"<title>{escape(each.name)}</title>"
            )
            for n, (port, net) in enumerate(zip(ins, each.nets, strict=False)):
                pins.append((net, x, y + 9 + n * DOWN, port in {"clk", "r", "b"} and each.cell != "MERGE"))
                parts.append(f'<text class="pin" x="{x + 2}" y="{y + 8 + n * DOWN:.1f}">{port}</text>')
            for n, net in enumerate(each.nets[len(ins) :]):
                place[net] = (x + WIDTH, y + 9 + n * DOWN)
    for k, net in enumerate(netlist.outputs):
        x, y = 150 + last * ACROSS, place[net][1] if net in place else 24 + k * DOWN
        pins.append((net, x, y, False))
        parts.append(f'<text x="{x + 4}" y="{y + 3:.1f}">{escape(net)}</text>')
    wires = [_wire(place[net], (x, y), clock) for net, x, y, clock in pins if net in place]
    return _svg(230 + last * ACROSS, 30 + tall * DOWN, [*wires, *parts])


def _depths(
    netlist: Netlist, ports: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]], driver: Mapping[str, int]
) -> list[int]:
    """How far each cell is from the inputs, loops left out: a cell is behind the first input that it waits for."""
    depth = [0] * len(netlist.instances)
    for _ in range(len(depth)):
        moved = False
        for k, each in enumerate(netlist.instances):
            before = [depth[driver[net]] for net in each.nets[: len(ports[each.cell][0])] if net in driver]
            wanted = 1 + max(before, default=-1)
            if wanted > depth[k] and wanted <= 60:
                depth[k], moved = wanted, True
        if not moved:
            break
    return depth


def _wire(start: tuple[float, float], end: tuple[float, float], clock: bool) -> str:
    (x, y), (u, v) = start, end
    bend = max(20.0, abs(u - x) / 2)
    kind = ' class="clock"' if clock else ""
    return f'<path{kind} d="M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {u - bend:.1f} {v:.1f} {u:.1f} {v:.1f}"/>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">'
    )
    paper = '<rect width="100%" height="100%" fill="#fff" style="stroke:none"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", paper, *parts, "</svg>", ""])


# ---- timing diagram ---------------------------------------------------------------------------------------


def timing_diagram(netlist: Netlist, schedule: Schedule, tables: Tables) -> str:
    """Pulses at inputs, at the wires of neurons and at outputs while the example stimulus runs; frames as lines."""
    inputs = example_inputs(schedule)
    steps = next(iter(inputs.values())).shape[0]
    pulses = stimulus(schedule, inputs, steps=steps)
    neurons = [
        (f"{name}[{k}]{' (none)' if off else ''}", net)
        for name, seen in schedule.populations.items()
        for k, (net, off) in enumerate(zip(seen.nets, seen.inverted, strict=True))
        if net is not None
    ]
    ends = set(netlist.outputs)
    shown = [(net, net) for net in netlist.inputs] + [each for each in neurons if each[1] not in ends]
    shown = [*shown[: MOST_TRAINS - len(netlist.outputs)], *((net, net) for net in netlist.outputs)]
    events = np.array([(time, tables.numbers[net]) for time, net in pulses], np.int64).reshape(-1, 2)
    run = tables.run(events, tuple(dict.fromkeys(net for _, net in shown)))
    begin = BEGIN - schedule.slot
    end = begin + schedule.slot * (schedule.lead + 2) + steps * schedule.frame
    scale = 900 / max(1, end - begin)
    parts: list[str] = []
    first = begin + schedule.slot * (1 + schedule.lead)
    for step in range(steps + 1):
        x = 150 + (first + step * schedule.frame - begin) * scale
        parts.append(f'<path class="grid" d="M{x:.1f} 18V{30 + 18 * len(shown)}"/>')
        if step < steps:
            parts.append(
                f'<text class="pin" x="{x + 3:.1f}" y="14">step {step}: {escape(_values(inputs, step))}</text>'
            )
    for k, (label, net) in enumerate(shown):
        y = 36 + 18 * k
        parts.append(f'<text x="144" y="{y}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<path class="grid" d="M150 {y}H1050"/>')
        marks = "".join(f"M{150 + (time - begin) * scale:.1f} {y}v-11" for time in run.pulses[net].tolist())
        if marks:
            parts.append(f'<path class="pulse" d="{marks}"/>')
    y = 52 + 18 * len(shown)
    length = f"{(end - begin) / FEMTO:.0f} ps; a step is {schedule.frame / FEMTO:.0f} ps"
    parts.append(f'<text class="pin" x="150" y="{y}">{length}</text>')
    return _svg(1060, y + 12, parts)


def _values(inputs: Mapping[str, Array], step: int) -> str:
    texts = ["".join(map(str, array[step].tolist())) for array in inputs.values()]
    text = " ".join(texts)
    return text if len(text) <= 12 else ""
