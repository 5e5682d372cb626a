"""Verilog around a netlist: models of the cells, delays, a test bench that reads its stimulus from a file.

A model takes and gives pulses as edges. Its delays are assignments that carry every edge over, however close: a path
delay of `specify` is inertial in event simulators and swallows two pulses that are nearer than it. `netlist.sdf` has
the same figures for tools that read it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmc.backends.sfq.cells import FEMTO, Cell, Library
from nmc.backends.sfq.files import TOP, Schedule
from nmc.backends.sfq.machine import stimulus
from nmc.backends.sfq.netlist import Netlist
from nmc.ir.linear import size_of
from nmc.ir.tensor import Array

FEW = 4
"""Inputs of which the example stimulus shows every pattern."""


def models(cells: Sequence[Cell]) -> bytes:
    """A module for each cell: its transition table, its delays, and a line on stdout for each violated window."""
    head = "// Every edge, rising or falling, is one pulse. Times in ps.\n`timescale 1ps/1fs\n"
    return (head + "".join(_model(cell) for cell in cells)).encode()


def _model(cell: Cell) -> str:
    lines = [
        "",
        f"// {cell.title}: {cell.jj} JJ, {cell.source}",
        f"module {cell.name} ({', '.join(cell.ports)});",
        *(f"  input {port};" for port in cell.inputs),
        *(f"  output reg {port};" for port in cell.outputs),
        *(f"  reg next_{port};" for port in cell.outputs),
        *(f"  real last_{port};" for port in cell.inputs),
        "  integer state;",
        "  initial begin",
        "    state = 0;",
        *(f"    {port} = 0; next_{port} = 0;" for port in cell.outputs),
        *(f"    last_{port} = -1e9;" for port in cell.inputs),
        "  end",
    ]
    for port in cell.inputs:
        lines.append(f"  always @({port}) if ($realtime > 0) begin")
        for window in cell.windows:
            if window.second == port and window.time:
                needed = _ps(window.time)
                lines.append(
                    f'    if ($realtime - last_{window.first} < {needed} - 0.0005) $display("V %m {port} '
                    f'{window.first} %0.3f %0.3f", $realtime, last_{window.first} + {needed});'
                )
        lines.append(f"    last_{port} = $realtime;")
        mine = [each for each in cell.transitions if each.input == port]
        if mine:
            lines.append("    case (state)")
            for each in mine:
                acts = [f"state = {each.after};"] if each.after != each.state else []
                acts += [f"next_{o} = !next_{o}; {o} <= #{_ps(time)} next_{o};" for o, time in each.pulses]
                lines.append(f"      {each.state}: begin {' '.join(acts)} end")
            lines += ["      default: ;", "    endcase"]
        lines.append("  end")
    return "\n".join([*lines, "endmodule", ""])


def _ps(time: int) -> str:
    return f"{time / FEMTO:.3f}"


def delays(netlist: Netlist, library: Library) -> bytes:
    """The delays of every instance in the Standard Delay Format (IEEE 1497), and the windows as its timing checks."""
    lines = ["(DELAYFILE", '  (SDFVERSION "3.0")', f'  (DESIGN "{TOP}")', "  (TIMESCALE 1ps)"]
    bodies = {name: _sdf_body(library[name]) for name in netlist.cells()}
    for instance in netlist.instances:
        lines.append(
            f'  (CELL (CELLTYPE "{instance.cell}") (INSTANCE {instance.name}){bodies[instance.cell]})'
        )
    return ("\n".join([*lines, ")"]) + "\n").encode()


def _sdf_body(cell: Cell) -> str:
    paths = [
        f"(IOPATH {source} {output} ({_ps(delay)}))"
        for source in cell.inputs
        for output in cell.outputs
        if (delay := cell.delay(source, output)) is not None
    ]
    checks = [
        f"(HOLD {w.second} {w.first} ({_ps(w.time)}))"
        if w.first != w.second
        else f"(PERIOD {w.first} ({_ps(w.time)}))"
        for w in cell.windows
    ]
    body = f" (DELAY (ABSOLUTE {' '.join(paths)}))" if paths else ""
    return body + (f" (TIMINGCHECK {' '.join(checks)})" if checks else "")


def bench(netlist: Netlist) -> bytes:
    """A test bench that reads `stimulus.txt`, a line a pulse: time in ps, number of the input. It prints every pulse
    at an output as `P net time`."""
    count = len(netlist.inputs)
    pins = ", ".join(
        [f".{net}(pin[{k}])" for k, net in enumerate(netlist.inputs)]
        + [f".{net}({net})" for net in netlist.outputs]
    )
    lines = [
        "`timescale 1ps/1fs",
        "module tb;",
        f"  reg [{max(count, 1) - 1}:0] pin = 0;",
        *(f"  wire {net};" for net in netlist.outputs),
        f"  {TOP} dut ({pins});",
        "  integer file, got, number;",
        "  real at;",
        "  reg [8*256:1] name;",
        "  initial begin",
        '    if (!$value$plusargs("stimulus=%s", name)) name = "stimulus.txt";',
        '    file = $fopen(name, "r");',
        "    if (file == 0) begin",
        '      $display("E there is no stimulus");',
        "      $finish;",
        "    end",
        '    got = $fscanf(file, "%f %d\\n", at, number);',
        "    while (got == 2) begin",
        "      if (at > $realtime) #(at - $realtime);",
        "      pin[number] = !pin[number];",
        '      got = $fscanf(file, "%f %d\\n", at, number);',
        "    end",
        "    #100000 $finish;",
        "  end",
        *(
            f'  always @({net}) if ($realtime > 0) $display("P {net} %0.3f", $realtime);'
            for net in netlist.outputs
        ),
        "endmodule",
    ]
    return ("\n".join(lines) + "\n").encode()


def stimulus_text(netlist: Netlist, pulses: Sequence[tuple[int, str]]) -> bytes:
    """Pulses as lines: time in ps, number of the input in the netlist's order."""
    number = {net: k for k, net in enumerate(netlist.inputs)}
    return "".join(f"{time / FEMTO:.3f} {number[net]}\n" for time, net in pulses).encode()


def example(schedule: Schedule) -> list[tuple[int, str]]:
    """The pulses of `example_inputs`."""
    inputs = example_inputs(schedule)
    return stimulus(schedule, inputs, steps=next(iter(inputs.values())).shape[0])


def example_inputs(schedule: Schedule) -> dict[str, Array]:
    """Inputs (steps, elements) that show something: every pattern of few; of more nothing, all, and every other one."""
    sizes = {name: size_of(port.shape) for name, port in schedule.inputs.items()}
    total = sum(sizes.values())
    if total <= FEW:
        patterns = [[number >> k & 1 for k in range(total)] for number in range(1 << total)]
    else:
        patterns = [
            [0] * total,
            [1] * total,
            [k % 2 for k in range(total)],
            [1 - k % 2 for k in range(total)],
        ]
    values = np.array(patterns[: schedule.steps], np.uint8)
    inputs: dict[str, Array] = {}
    at = 0
    for name, count in sizes.items():
        inputs[name] = values[:, at : at + count]
        at += count
    return inputs
