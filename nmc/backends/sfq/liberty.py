"""The cells as a Liberty file, for tools that read one: area is the number of junctions."""

from __future__ import annotations

from collections.abc import Sequence

from nmc.backends.sfq.cells import FEMTO, Cell
from nmc.backends.sfq.netlist import RAIL


def write(cells: Sequence[Cell]) -> bytes:
    """Liberty text: areas in junctions, static power of the bias resistors in nW, delays and windows in ps."""
    lines = [
        "library (nmc_sfq) {",
        '  comment : "single flux quantum: an edge is a pulse; area is Josephson junctions";',
        "  delay_model : table_lookup;",
        '  time_unit : "1ps";',
        '  voltage_unit : "1mV";',
        '  current_unit : "1uA";',
        '  leakage_power_unit : "1nW";',
        "  capacitive_load_unit (1, ff);",
        f"  nom_voltage : {RAIL};",
        "  nom_temperature : -269;",
        "  nom_process : 1;",
    ]
    for cell in cells:
        lines += [*_cell(cell)]
    return ("\n".join([*lines, "}"]) + "\n").encode()


def _cell(cell: Cell) -> list[str]:
    lines = [
        f"  cell ({cell.name}) {{",
        f"    area : {cell.jj};",
        f"    cell_leakage_power : {cell.bias * RAIL:.3f};",
        f'    user_function_class : "{cell.title.replace(chr(34), chr(39))}";',
    ]
    for port in cell.inputs:
        lines += [f"    pin ({port}) {{", "      direction : input;", "      capacitance : 0;"]
        lines += [
            line
            for window in cell.windows
            if window.second == port and window.time
            for line in _timing(
                window.first, "hold_rising", window.time, ("rise_constraint", "fall_constraint")
            )
        ]
        lines.append("    }")
    for port in cell.outputs:
        lines += [f"    pin ({port}) {{", "      direction : output;"]
        lines += [
            line
            for source in cell.inputs
            if (delay := cell.delay(source, port)) is not None
            for line in _timing(source, "combinational", delay, ("cell_rise", "cell_fall"))
        ]
        lines.append("    }")
    return [*lines, "  }"]


def _timing(related: str, kind: str, time: int, tables: tuple[str, str]) -> list[str]:
    return [
        "      timing () {",
        f'        related_pin : "{related}";',
        f"        timing_type : {kind};",
        *(f'        {table} (scalar) {{ values ("{time / FEMTO:g}"); }}' for table in tables),
        "      }",
    ]
