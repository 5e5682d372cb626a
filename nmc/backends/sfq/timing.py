"""Static timing: the longest way of a pulse within a slot, and the slot that is long enough for it."""

from __future__ import annotations

from dataclasses import dataclass

from nmc.backends.sfq.cells import FEMTO, Library
from nmc.backends.sfq.netlist import Netlist


@dataclass(frozen=True, slots=True)
class Timing:
    """The longest way from a net from outside to where a pulse ends, fs; the nets along it; a slot that is enough."""

    longest: int
    path: tuple[str, ...]
    slot: int


def analyse(netlist: Netlist, library: Library, *, margin: int) -> Timing:
    """Longest paths over all arcs from an input to an output of a cell; what only changes a state ends a path.

    A slot is enough if all pulses of it come a window before the first of the next: whole picoseconds of the longest
    path plus the longest window plus `margin`.
    """
    arcs: dict[str, list[tuple[int, int, int]]] = {}
    window = 0
    for name in netlist.cells():
        cell = library[name]
        window = max([window, *(each.time for each in cell.windows)])
        arcs[name] = [
            (i, len(cell.inputs) + o, delay)
            for i, source in enumerate(cell.inputs)
            for o, output in enumerate(cell.outputs)
            if (delay := cell.delay(source, output)) is not None
        ]
    after: dict[str, list[tuple[str, int]]] = {}
    entering: dict[str, int] = dict.fromkeys(netlist.inputs, 0)
    for instance in netlist.instances:
        for i, o, delay in arcs[instance.cell]:
            after.setdefault(instance.nets[i], []).append((instance.nets[o], delay))
            entering[instance.nets[o]] = entering.get(instance.nets[o], 0) + 1
    arrival = dict.fromkeys(netlist.inputs, 0)
    before: dict[str, str] = {}
    ready = [net for net, count in entering.items() if count == 0]
    for net in ready:
        time = arrival.setdefault(net, 0)
        for following, delay in after.get(net, ()):
            if time + delay > arrival.get(following, -1):
                arrival[following] = time + delay
                before[following] = net
            entering[following] -= 1
            if entering[following] == 0:
                ready.append(following)
    assert len(ready) == len(entering), "a loop that no cell with a state breaks"
    last = max(arrival, key=lambda net: arrival[net])
    path = [last]
    while path[-1] in before:
        path.append(before[path[-1]])
    needed = arrival[last] + window + margin
    return Timing(arrival[last], tuple(reversed(path)), -(-needed // FEMTO) * FEMTO)
