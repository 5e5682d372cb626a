"""A netlist while it is made: numbered nets that may still be joined, trees of splitters and mergers, arrival times."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from nmc.backends.sfq.cells import Library
from nmc.backends.sfq.netlist import Instance, Netlist


class Draft:
    """Cells and nets so far.

    `late[net]` is about when a pulse comes there, in fs after the pulse that began it: trees of mergers take first
    what comes first. A net made with `later` is driven only when `join` says by what.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.names: list[str] = []
        self.kinds: list[str] = []
        self.pins: list[list[int]] = []
        self.late: list[int] = []
        self.driven_by: dict[int, int] = {}
        self.drives: dict[int, int] = {}
        self.net_names: dict[int, str] = {}
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.source: dict[int, int] = {}
        self.sink: dict[int, tuple[int, int]] = {}
        self.delays = {
            name: [[cell.delay(source, output) for source in cell.inputs] for output in cell.outputs]
            for name, cell in library.items()
        }

    def net(self, late: int = 0) -> int:
        """A new net."""
        self.late.append(late)
        return len(self.late) - 1

    later = net

    def join(self, driver: int, waiting: int) -> None:
        """Let the net `waiting`, which has a sink, be the net `driver`, which has none."""
        self.driven_by[waiting] = driver
        self.drives[driver] = waiting

    def input(self, name: str) -> int:
        """A net through which pulses come in."""
        net = self.net()
        self.net_names[net] = name
        self.inputs.append(net)
        return net

    def output(self, net: int, name: str) -> None:
        """Let a net be one through which pulses go out."""
        self.net_names[net] = name
        self.outputs.append(net)

    def add(self, kind: str, *nets: int, name: str) -> tuple[int, ...]:
        """A cell with its input nets; its output nets."""
        number = len(self.names)
        outs: list[int] = []
        for delays in self.delays[kind]:
            late = max(
                (self.late[net] + d for net, d in zip(nets, delays, strict=True) if d is not None), default=0
            )
            outs.append(self.net(late))
        for port, net in enumerate(nets):
            self.sink[net] = (number, port)
        self.names.append(f"{name}_{number}")
        self.kinds.append(kind)
        self.pins.append([*nets, *outs])
        self.source.update(dict.fromkeys(outs, number))
        return tuple(outs)

    def split(self, net: int, count: int, *, name: str) -> list[int]:
        """A balanced tree of splitters: `count` nets, or the net itself."""
        leaves = [net]
        while len(leaves) < count:
            grown: list[int] = []
            spare = count - len(leaves)
            for leaf in leaves:
                if spare > 0:
                    grown += self.add("SPLIT", leaf, name=name)
                    spare -= 1
                else:
                    grown.append(leaf)
            leaves = grown
        return leaves

    def merge(self, nets: Sequence[int], *, name: str) -> int:
        """A tree of mergers that takes first what comes first."""
        heap = [(self.late[net], net) for net in nets]
        heapq.heapify(heap)
        while len(heap) > 1:
            _, a = heapq.heappop(heap)
            _, b = heapq.heappop(heap)
            (made,) = self.add("MERGE", a, b, name=name)
            heapq.heappush(heap, (self.late[made], made))
        return heap[0][1]

    def delay(self, net: int, time: int, *, name: str) -> int:
        """As many JTLs as make a pulse `time` fs later, at least."""
        step = self.delays["JTL"][0][0]
        assert step is not None
        for _ in range(-(-time // step) if time > 0 else 0):
            (net,) = self.add("JTL", net, name=name)
        return net

    def arrivals(self, net: int) -> dict[int, int]:
        """The nets without a sink that a pulse on `net` reaches through cells that keep nothing, and when, in fs."""
        found: dict[int, int] = {}
        stack = [(net, 0)]
        while stack:
            at, time = stack.pop()
            at = self.drives.get(at, at)
            if at not in self.sink:
                found[at] = max(time, found.get(at, 0))
                continue
            number, port = self.sink[at]
            kind = self.kinds[number]
            if self.library[kind].storage:
                continue
            first = len(self.library[kind].inputs)
            for k, delays in enumerate(self.delays[kind]):
                delay = delays[port]
                if delay is not None:
                    stack.append((self.pins[number][first + k], time + delay))
        return found

    def feed(self, net: int, waiting: Sequence[int], *, name: str) -> None:
        """Let a net drive all that waits for it; nothing waiting, it ends in a resistor."""
        if not waiting:
            self.add("SINK", net, name=name)
            return
        for leaf, each in zip(self.split(net, len(waiting), name=name), waiting, strict=True):
            self.join(leaf, each)

    def finish(self, name: str) -> tuple[Netlist, list[str]]:
        """The netlist, its nets joined and named, and the name of each net by its number here."""
        root = list(range(len(self.late)))
        for waiting in self.driven_by:
            at = waiting
            while at in self.driven_by:
                at = self.driven_by[at]
            root[waiting] = at
        named = {root[net]: given for net, given in self.net_names.items()}
        texts = [named.get(net) or f"n{net}" for net in range(len(root))]
        called = [texts[each] for each in root]
        instances = tuple(
            Instance(each, kind, tuple([called[net] for net in pins]))
            for each, kind, pins in zip(self.names, self.kinds, self.pins, strict=True)
        )
        ins, outs = (tuple(called[net] for net in nets) for nets in (self.inputs, self.outputs))
        return Netlist(name, instances, ins, outs), called
