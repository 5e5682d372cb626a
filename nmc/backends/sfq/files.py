"""A lowered network as files, and back: netlist, cells, schedule. The machine reads nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nmc.backends.sfq.cells import FEMTO, Cell, Library, Transition, Window
from nmc.backends.sfq.netlist import Instance, Netlist

NETLIST, CELLS, SCHEDULE = "netlist.v", "cells.json", "schedule.json"
TOP = "network"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: its shape, and in C order a net for each element, None where it never spikes."""

    shape: tuple[int, ...]
    nets: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the spikes of a population show: a pulse on a net means a spike, or none of the frame where `inverted`."""

    shape: tuple[int, ...]
    nets: tuple[str | None, ...]
    inverted: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a netlist is driven. A slot takes `slot` fs; a frame, one step, has one for each of `slots`.

    Each net of `start` gets one pulse, one after the other, before the first frame; a net of `slots` one in its slot of
    each frame. With a `clock` there are none: it gets a pulse in every slot, and the first frame begins `lead` slots
    after its first pulse. Inputs come at the beginning of a frame. `steps` is the longest run, None any.
    """

    slot: int
    lead: int
    start: tuple[str, ...]
    slots: tuple[str | None, ...]
    clock: str | None
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    populations: Mapping[str, Seen]
    steps: int | None

    @property
    def frame(self) -> int:
        """The length of a frame in fs."""
        return self.slot * len(self.slots)


# ---- cells ------------------------------------------------------------------------------------------------


def write_cells(library: Library, used: tuple[str, ...]) -> bytes:
    """The cells that a netlist uses as JSON, times in ps."""
    return _json({name: _cell(library[name]) for name in used})


def _cell(cell: Cell) -> dict[str, object]:
    return {
        "title": cell.title,
        "inputs": list(cell.inputs),
        "outputs": list(cell.outputs),
        "jj": cell.jj,
        "bias_uA": cell.bias,
        "critical_uA": cell.critical,
        "transitions": [
            {
                "state": each.state,
                "input": each.input,
                "after": each.after,
                "pulses": {output: time / FEMTO for output, time in each.pulses},
            }
            for each in cell.transitions
        ],
        "windows": [{"first": w.first, "second": w.second, "ps": w.time / FEMTO} for w in cell.windows],
        "source": cell.source,
    }


def read_cells(content: bytes) -> dict[str, Cell]:
    """The cells of `write_cells`."""
    return {
        name: Cell(
            name,
            each["title"],
            tuple(each["inputs"]),
            tuple(each["outputs"]),
            each["jj"],
            each["bias_uA"],
            each["critical_uA"],
            tuple(
                Transition(
                    t["state"],
                    t["input"],
                    t["after"],
                    tuple((output, round(ps * FEMTO)) for output, ps in t["pulses"].items()),
                )
                for t in each["transitions"]
            ),
            tuple(Window(w["first"], w["second"], round(w["ps"] * FEMTO)) for w in each["windows"]),
            each["source"],
        )
        for name, each in json.loads(content).items()
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


# ---- schedule ---------------------------------------------------------------------------------------------


def write_schedule(schedule: Schedule) -> bytes:
    """The schedule as JSON, times in ps."""
    ports = {
        kind: {name: {"shape": list(port.shape), "nets": list(port.nets)} for name, port in found.items()}
        for kind, found in (("inputs", schedule.inputs), ("outputs", schedule.outputs))
    }
    populations = {
        name: {"shape": list(seen.shape), "nets": list(seen.nets), "inverted": list(seen.inverted)}
        for name, seen in schedule.populations.items()
    }
    return _json(
        {
            "slot_ps": schedule.slot / FEMTO,
            "lead_slots": schedule.lead,
            "start": list(schedule.start),
            "slots": list(schedule.slots),
            "clock": schedule.clock,
            **ports,
            "populations": populations,
            "steps": schedule.steps,
        }
    )


def read_schedule(content: bytes) -> Schedule:
    """The schedule of `write_schedule`."""
    found = json.loads(content)
    inputs, outputs = (
        {name: Port(tuple(each["shape"]), tuple(each["nets"])) for name, each in found[kind].items()}
        for kind in ("inputs", "outputs")
    )
    populations = {
        name: Seen(tuple(each["shape"]), tuple(each["nets"]), tuple(each["inverted"]))
        for name, each in found["populations"].items()
    }
    return Schedule(
        round(found["slot_ps"] * FEMTO),
        found["lead_slots"],
        tuple(found["start"]),
        tuple(found["slots"]),
        found["clock"],
        inputs,
        outputs,
        populations,
        found["steps"],
    )


# ---- netlist ----------------------------------------------------------------------------------------------


def write_netlist(netlist: Netlist, library: Library) -> bytes:
    """Structural Verilog, one instance a line; every edge of a wire, rising or falling, is one pulse."""
    ports = (*netlist.inputs, *netlist.outputs)
    lines = [
        "// Every edge of a wire, rising or falling, is one pulse.",
        "`timescale 1ps/1fs",
        f"module {TOP} ({', '.join(ports)});",
        *(f"  input {net};" for net in netlist.inputs),
        *(f"  output {net};" for net in netlist.outputs),
    ]
    names = {name: cell.ports for name, cell in library.items()}
    outputs = {name: len(cell.inputs) for name, cell in library.items()}
    outside = set(netlist.outputs)
    for instance in netlist.instances:
        for net in instance.nets[outputs[instance.cell] :]:
            if net not in outside:
                lines.append(f"  wire {net};")
    for instance in netlist.instances:
        pins = ", ".join(
            [f".{port}({net})" for port, net in zip(names[instance.cell], instance.nets, strict=True)]
        )
        lines.append(f"  {instance.cell} {instance.name} ({pins});")
    return ("\n".join([*lines, "endmodule"]) + "\n").encode()


_INSTANCE = re.compile(r"^  (\w+) (\w+) \((\..*)\);$", re.MULTILINE)
_PIN = re.compile(r"\.\w+\((\w+)\)")


def read_netlist(content: bytes) -> Netlist:
    """The netlist of `write_netlist`, whose pins stand in the order of the cell's ports."""
    text = content.decode()
    instances = tuple(
        Instance(match[2], match[1], tuple(_PIN.findall(match[3]))) for match in _INSTANCE.finditer(text)
    )
    inputs = tuple(re.findall(r"^  input (\w+);$", text, re.MULTILINE))
    return Netlist(TOP, instances, inputs, tuple(re.findall(r"^  output (\w+);$", text, re.MULTILINE)))
