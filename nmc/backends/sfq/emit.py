"""From a graph in integers to the files of a netlist."""

from __future__ import annotations

from dataclasses import dataclass

from nmc.backends.backend import Program, Resource
from nmc.backends.sfq import files, junction_level, liberty, verilog
from nmc.backends.sfq.cells import Library
from nmc.backends.sfq.counters import Counter
from nmc.backends.sfq.files import Port, Schedule, Seen
from nmc.backends.sfq.lower import MARGIN, Lowered, lower
from nmc.backends.sfq.netlist import size
from nmc.backends.sfq.network import network_of
from nmc.backends.sfq.spec import STATE_BITS
from nmc.backends.sfq.timing import Timing, analyse
from nmc.diagnostics import CompileError, error
from nmc.ir.graph import Graph
from nmc.ir.ops import output_shape


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose of a netlist. `period` is a slot in fs, 0 for the shortest that static timing allows."""

    own_toggle: bool = True
    on_chip: bool = False
    sharing: bool = True
    steps: int = 256
    period: int = 0


def emit(graph: Graph, library: Library, choices: Choices) -> Program:
    """The files and what they take.

    Raises CompileError: NMC482 for a neuron whose counter would be wider than any that is built.
    """
    lowered = lower_graph(graph, library, choices)
    timing = analyse(lowered.netlist, library, margin=MARGIN)
    schedule = schedule_of(graph, lowered, choices.period or timing.slot)
    return Program(write(lowered, schedule, library), resources(lowered, schedule, timing, library))


def lower_graph(graph: Graph, library: Library, choices: Choices) -> Lowered:
    """The netlist of a graph whose delays are lowered; see `emit`."""
    lowered = lower(
        network_of(graph),
        library,
        own_toggle=choices.own_toggle,
        on_chip=choices.on_chip,
        sharing=choices.sharing,
        steps=choices.steps,
    )
    findings = [
        error(
            "NMC482",
            f"neuron {widest} of `{name}` needs a counter of {several[widest].bits} bits; {STATE_BITS} are possible",
            graph[name].loc,
            help="give fewer steps, fewer weight bits, or a lower threshold",
        )
        for name, several in lowered.counters.items()
        if several
        and several[widest := max(range(len(several)), key=lambda k: several[k].bits)].bits > STATE_BITS
    ]
    if findings:
        raise CompileError(*findings)
    return lowered


def schedule_of(graph: Graph, lowered: Lowered, slot: int) -> Schedule:
    """How the netlist is driven with slots of so many fs."""

    def ports(nets: dict[str, tuple[str | None, ...]]) -> dict[str, Port]:
        return {name: Port(output_shape(graph[name].op), each) for name, each in nets.items()}

    populations = {
        name: Seen(
            output_shape(graph[name].op),
            tuple(net for net, _ in each),
            tuple(inverted for _, inverted in each),
        )
        for name, each in lowered.populations.items()
    }
    return Schedule(
        slot,
        lowered.lead,
        lowered.start,
        lowered.slots,
        lowered.clock,
        ports(dict(lowered.inputs)),
        ports(dict(lowered.outputs)),
        populations,
        lowered.steps,
    )


def write(lowered: Lowered, schedule: Schedule, library: Library) -> dict[str, bytes]:
    """Every file of the artifact."""
    netlist = lowered.netlist
    used = tuple(sorted(netlist.cells()))
    pulses = verilog.example(schedule)
    return {
        files.NETLIST: files.write_netlist(netlist, library),
        files.CELLS: files.write_cells(library, used),
        files.SCHEDULE: files.write_schedule(schedule),
        "cells.v": verilog.models([library[name] for name in used]),
        "cells.lib": liberty.write([library[name] for name in used]),
        "netlist.sdf": verilog.delays(netlist, library),
        "stimulus.txt": verilog.stimulus_text(netlist, pulses),
        "tb.v": verilog.bench(netlist),
        **junction_level.write(netlist, pulses, slot=schedule.slot),
    }


def resources(lowered: Lowered, schedule: Schedule, timing: Timing, library: Library) -> tuple[Resource, ...]:
    """Junctions, bias current, power and time. What a process can hold is not for the compiler to say: no limits."""
    total = size(lowered.netlist, library)
    widest = max((c.bits for each in lowered.counters.values() for c in each), default=0)
    figures = (
        ("Josephson junctions", float(total.jj)),
        ("cells", float(total.cells)),
        ("bias current (mA)", round(total.bias, 3)),
        ("static power (mW)", round(total.static_power, 4)),
        ("longest path (ps)", timing.longest / 1000),
        ("slots a step", float(len(schedule.slots))),
        ("slot (ps)", schedule.slot / 1000),
        ("step (ns)", schedule.frame / 1e6),
        ("widest counter (bits)", float(widest)),
    )
    return tuple(Resource(name, value, 0.0) for name, value in figures)


__all__ = ["Choices", "Counter", "emit", "lower_graph", "resources", "schedule_of", "write"]
