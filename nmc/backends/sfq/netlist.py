"""A netlist as a value: instances of cells, nets with one driver and one sink, ends, states after power-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nmc.backends.sfq.cells import Cell, Library

PHI0 = 2.067833848
"""The flux quantum, mV*ps (CODATA 2018: h / 2e)."""

RAIL = 2.6
"""The voltage of the bias rail in mV; RSFQ's usual one. Bias resistors take all of it, pulses or not."""


class Instance(NamedTuple):
    """A cell by name, and its nets in the order of the cell's ports: inputs, then outputs."""

    name: str
    cell: str
    nets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Netlist:
    """Instances, and the nets through which pulses come in and go out.

    Every net has one driver (an input of the netlist or an output of a cell) and one sink. A cell that `initial` does
    not name is in state 0 after power-up.
    """

    name: str
    instances: tuple[Instance, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    initial: Mapping[str, int] = field(default_factory=dict[str, int])

    def cells(self) -> Counter[str]:
        """How many of each cell there are."""
        return Counter(instance.cell for instance in self.instances)


@dataclass(frozen=True, slots=True)
class Size:
    """What a netlist takes: junctions, bias current in mA, static power in mW, its sum of critical currents in mA."""

    cells: int
    jj: int
    bias: float
    static_power: float
    critical: float


def size(netlist: Netlist, library: Library) -> Size:
    """The sums over all cells."""
    counts = netlist.cells()
    bias = sum(library[name].bias * count for name, count in counts.items()) / 1000
    return Size(
        sum(counts.values()),
        sum(library[name].jj * count for name, count in counts.items()),
        bias,
        bias * RAIL / 1000,
        sum(library[name].critical * count for name, count in counts.items()) / 1000,
    )


def check(netlist: Netlist, library: Library) -> list[str]:
    """What is wrong with a netlist, in words: nets without exactly one driver and one sink, unknown cells."""
    wrong: list[str] = []
    drivers: Counter[str] = Counter(netlist.inputs)
    sinks: Counter[str] = Counter(netlist.outputs)
    for instance in netlist.instances:
        cell: Cell | None = library.get(instance.cell)
        if cell is None or len(instance.nets) != len(cell.ports):
            wrong.append(f"`{instance.name}` is no `{instance.cell}` of the library")
            continue
        sinks.update(instance.nets[: len(cell.inputs)])
        drivers.update(instance.nets[len(cell.inputs) :])
    for net in sorted({*drivers, *sinks}):
        if drivers[net] != 1 or sinks[net] != 1:
            wrong.append(f"net `{net}` has {drivers[net]} drivers and {sinks[net]} sinks")
    names = Counter(instance.name for instance in netlist.instances)
    wrong += [f"{count} instances are called `{name}`" for name, count in names.items() if count > 1]
    return wrong
