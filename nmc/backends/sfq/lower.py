"""From a network to a netlist: latches for sources, lines and buses, counters, spikes, delays, clocks."""

from __future__ import annotations

import re
from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nmc.backends.sfq.cells import FEMTO, Library
from nmc.backends.sfq.counters import Counter, Kind, counter
from nmc.backends.sfq.draft import Draft
from nmc.backends.sfq.netlist import Netlist
from nmc.backends.sfq.network import Network, Source
from nmc.backends.sfq.sequencer import sequencer
from nmc.backends.sfq.share import Shared, share
from nmc.backends.sfq.slots import Frame, schedule
from nmc.backends.sfq.toggle import Toggle

MARGIN = 1 * FEMTO
"""What is kept beyond every window, fs."""

Neuron = tuple[str, int]
"""A population and the number of a neuron in it."""

Rail = tuple[Source, bool]
"""A source, and whether the pulse means that it spikes."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a neuron's spikes are: a net on which a pulse means a spike, or none if `inverted`.

    `once`: there is at most one pulse in a frame. Without a net the neuron never spikes.
    """

    net: int | None
    inverted: bool = False
    once: bool = True


@dataclass(frozen=True, slots=True)
class Columns:
    """The direct ways into the bits of a counter, before carries: a net each.

    `skews[j, k]`, j < k: how much later than at bit j a pulse that comes to both comes to bit k at most, fs.
    """

    direct: dict[int, int]
    spikes: list[tuple[int, int]]
    """Nets that wait for the counter's own spike, by bit."""
    skews: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])

    def together(self, times: Sequence[tuple[int, int]], skew: int) -> None:
        """Note that a pulse comes to bits at times, known up to `skew`."""
        ordered = sorted(times)
        for at, (low, early) in enumerate(ordered):
            for high, late in ordered[at + 1 :]:
                self.skews[low, high] = max(
                    late - early + skew, self.skews.get((low, high), late - early + skew)
                )


@dataclass(frozen=True, slots=True)
class Lowered:
    """A netlist and how it is driven; see `files.Schedule`. Nets of inputs, outputs and populations by element."""

    netlist: Netlist
    slots: tuple[str | None, ...]
    start: tuple[str, ...]
    clock: str | None
    lead: int
    inputs: Mapping[str, tuple[str | None, ...]]
    outputs: Mapping[str, tuple[str | None, ...]]
    populations: Mapping[str, tuple[tuple[str | None, bool], ...]]
    """Where a neuron's spikes show, and whether a pulse means that there is none."""
    counters: Mapping[str, tuple[Counter, ...]]
    steps: int | None


def plan(network: Network, *, steps: int) -> dict[str, tuple[Counter, ...]]:
    """The counter of each neuron, over those of its sources that can spike at all."""
    counters: dict[str, tuple[Counter, ...]] = {}
    dead: set[Neuron] = set()
    while True:
        known = len(dead)
        for cluster in network.clusters:
            made: list[Counter] = []
            for k, (rule, sources, weights) in enumerate(
                zip(cluster.rules, cluster.sources, cluster.weights, strict=True)
            ):
                alive = [(each.node, each.element) not in dead for each in sources]
                made.append(counter(weights * alive if len(weights) else weights, rule, steps=steps))
                if made[-1].kind is Kind.NEVER:
                    dead.add((cluster.name, k))
            counters[cluster.name] = tuple(made)
        if len(dead) == known:
            return counters


def lower(
    network: Network, library: Library, *, own_toggle: bool, on_chip: bool, sharing: bool, steps: int
) -> Lowered:
    """The netlist of a network. `own_toggle`: bits of one cell; `on_chip`: slots come from one clock."""
    counters = plan(network, steps=steps)
    heard = {
        (cluster.name, k): [s for s, p, m in zip(sources, each.plus, each.minus, strict=True) if p or m]
        for cluster in network.clusters
        for k, (sources, each) in enumerate(zip(cluster.sources, counters[cluster.name], strict=True))
    }
    frame = schedule(network, counters, heard, ripples=not own_toggle)
    making = _Making(network, counters, frame, Draft(library), Toggle(library, own=own_toggle), sharing)
    return making.run(
        on_chip=on_chip, proved=all(c.proved for each in counters.values() for c in each), steps=steps
    )


@dataclass(slots=True)
class _Making:
    """What is waiting to be driven while the netlist is made: each list holds nets without a driver."""

    network: Network
    counters: Mapping[str, tuple[Counter, ...]]
    frame: Frame
    draft: Draft
    toggle: Toggle
    sharing: bool
    in_slot: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    at_start: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    wires: dict[Neuron, Wire] = field(default_factory=dict[Neuron, Wire])
    wanted: dict[Neuron, list[int]] = field(default_factory=dict[Neuron, list[int]])
    wanted_later: dict[Neuron, dict[int, list[int]]] = field(
        default_factory=dict[Neuron, dict[int, list[int]]]
    )
    lines: dict[Rail, int] = field(default_factory=dict[Rail, int])
    names: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, *, on_chip: bool, proved: bool, steps: int) -> Lowered:
        draft, network = self.draft, self.network
        self.names = _identifiers(
            [name for name, _ in network.inputs] + [each.name for each in network.clusters]
        )
        ends = _identifiers([name for name, _ in network.outputs])
        inputs = {
            name: [draft.input(f"in_{self.names[name]}_{k}") for k in range(size)]
            for name, size in network.inputs
        }
        for name, nets in inputs.items():
            self.wires.update({(name, k): Wire(net) for k, net in enumerate(nets)})
        shared = {each.name: self._share(each.name) for each in network.clusters}
        leaves = self._lines(shared)
        for cluster in network.clusters:
            self._counters(cluster.name, *shared[cluster.name], leaves)
        outputs = self._outputs(ends)
        self._chains()
        for neuron, waiting in self.wanted.items():
            wire = self.wires[neuron]
            if wire.net is not None:
                draft.feed(wire.net, waiting, name=f"{self._name(neuron)}_fan")
        for neuron, wire in self.wires.items():
            if wire.net is not None and neuron not in self.wanted:
                draft.add("SINK", wire.net, name=f"{self._name(neuron)}_end")
        slots, start, clock = self._clocks(on_chip)
        netlist, called = draft.finish("network")
        seen = {
            name: tuple(self.wires[name, k] for k in range(len(several)))
            for name, several in self.counters.items()
        }
        return Lowered(
            netlist,
            tuple(None if net is None else called[net] for net in slots),
            tuple(called[net] for net in start),
            None if clock is None else called[clock],
            1 + len(self.at_start) if on_chip else len(start),
            {name: tuple(called[net] for net in each) for name, each in inputs.items()},
            outputs,
            {
                name: tuple((None if wire.net is None else called[wire.net], wire.inverted) for wire in wires)
                for name, wires in seen.items()
            },
            self.counters,
            None if proved else steps,
        )

    # ---- names and clocks ------------------------------------------------------------------------------------

    def _name(self, neuron: Neuron) -> str:
        return f"{self.names[neuron[0]]}_{neuron[1]}"

    def _slot(self, slot: int, late: int = 0) -> int:
        """A net that gets a pulse in a slot."""
        net = self.draft.later(late)
        self.in_slot.setdefault(slot, []).append(net)
        return net

    def _start(self, what: str) -> int:
        """A net that gets one pulse before the first frame: `r0`, `r1` … clear bits, `p0` and `p1` preset them."""
        net = self.draft.later()
        self.at_start.setdefault(what, []).append(net)
        return net

    def _clocks(self, on_chip: bool) -> tuple[list[int | None], list[int], int | None]:
        """Drive what waits for slots: a net for each from outside, or the stages of a ring that one clock moves on."""
        draft = self.draft
        order = sorted(self.at_start, key=lambda what: "rpc".index(what[0]) * 1000 + int(what[1:]))
        slots = range(self.frame.slots)
        if on_chip:
            waiting = [self.at_start[what] for what in order] + [self.in_slot.get(k, []) for k in slots]
            return [None] * len(slots), [], sequencer(draft, waiting, once=len(order), margin=MARGIN)
        start: list[int] = []
        for what in order:
            start.append(draft.input(f"start_{what}"))
            draft.feed(start[-1], self.at_start[what], name=f"start_{what}_fan")
        pins: list[int | None] = []
        for k in slots:
            if k in self.in_slot:
                pins.append(draft.input(f"slot_{k}"))
                draft.feed(draft.inputs[-1], self.in_slot[k], name=f"slot_{k}_fan")
            else:
                pins.append(None)
        return pins, start, None

    def _tap(self, neuron: Neuron) -> int:
        """A net on which the neuron's spikes come as its wire has them."""
        net = self.draft.later()
        self.wanted.setdefault(neuron, []).append(net)
        return net

    # ---- lines -----------------------------------------------------------------------------------------------

    def _share(self, name: str) -> tuple[list[Rail], list[tuple[int, int]], Shared]:
        """The rails that a population hears, its columns as (neuron, bit), and what columns and buses merge."""
        rails: dict[Rail, int] = {}
        places: list[tuple[int, int]] = []
        columns: list[list[int]] = []
        (cluster,) = [each for each in self.network.clusters if each.name == name]
        for k, each in enumerate(self.counters[name]):
            found: dict[int, list[int]] = {}
            for source, plus, minus in zip(
                cluster.sources[k], each.plus.tolist(), each.minus.tolist(), strict=True
            ):
                for mask, spikes in ((plus, True), (minus, False)):
                    for bit in _bits(mask):
                        found.setdefault(bit, []).append(rails.setdefault((source, spikes), len(rails)))
            for bit in sorted(found):
                places.append((k, bit))
                columns.append(found[bit])
        least = 2 if self.sharing else 1 << 30
        return list(rails), places, share(columns, len(rails), least=least)

    def _lines(
        self, shared: Mapping[str, tuple[list[Rail], list[tuple[int, int]], Shared]]
    ) -> dict[str, dict[int, list[int]]]:
        """Each rail's latch, read in its source's slot, and a splitter tree with a leaf for each use.

        The leaves by population and by number of the rail in it.
        """
        uses: dict[Rail, list[tuple[str, int]]] = {}
        for name, (rails, _, found) in shared.items():
            for row in (*found.columns, *found.buses):
                for each in row:
                    if each < found.lines:
                        uses.setdefault(rails[each], []).append((name, each))
        leaves: dict[str, dict[int, list[int]]] = {name: {} for name in shared}
        inverted = {
            (name, k): each.inverted
            for name, several in self.counters.items()
            for k, each in enumerate(several)
        }
        for (source, spikes), users in uses.items():
            neuron = (source.node, source.element)
            # Behind a delay the rail is a spike's again.
            same = spikes if source.delay else spikes != inverted.get(neuron, False)
            data = self._delayed(source) if source.delay else self._tap(neuron)
            name = f"{self._name(neuron)}{f'_after{source.delay}' if source.delay else ''}_{'on' if spikes else 'off'}"
            clock = self._slot(self.frame.source[source])
            (line,) = self.draft.add("DFF" if same else "NOT", data, clock, name=name)
            self.lines[source, spikes] = line
            for leaf, (where, number) in zip(
                self.draft.split(line, len(users), name=name), users, strict=True
            ):
                leaves[where].setdefault(number, []).append(leaf)
        return leaves

    # ---- counters --------------------------------------------------------------------------------------------

    def _counters(
        self,
        name: str,
        rails: list[Rail],
        places: list[tuple[int, int]],
        found: Shared,
        leaves: Mapping[str, dict[int, list[int]]],
    ) -> None:
        """Buses, then for each neuron its columns, its bits and its spike."""
        draft = self.draft
        free = {number: list(nets) for number, nets in leaves[name].items()}
        count = Counts(each for row in (*found.columns, *found.buses) for each in row)
        for k, row in enumerate(found.buses):
            net = draft.merge([free[each].pop() for each in row], name=f"{self.names[name]}_bus")
            free[found.lines + k] = draft.split(net, count[found.lines + k], name=f"{self.names[name]}_bus")
        columns: dict[int, dict[int, list[int]]] = {}
        for (neuron, bit), row in zip(places, found.columns, strict=True):
            columns.setdefault(neuron, {})[bit] = [free[each].pop() for each in row]
        parts = [
            self._columns((name, k), each, columns.get(k, {})) for k, each in enumerate(self.counters[name])
        ]
        place = {net: (k, bit) for k, part in enumerate(parts) for bit, net in part.direct.items()}
        for rail in rails:
            times: dict[int, list[tuple[int, int]]] = {}
            for net, time in draft.arrivals(self.lines[rail]).items():
                if net in place:
                    neuron, bit = place[net]
                    times.setdefault(neuron, []).append((bit, time))
            for neuron, several in times.items():
                parts[neuron].together(several, 0)
        for k, (each, part) in enumerate(zip(self.counters[name], parts, strict=True)):
            self.wires[name, k] = self._neuron((name, k), each, part)

    def _columns(self, neuron: Neuron, each: Counter, columns: dict[int, list[int]]) -> Columns:
        """What comes to each bit: its lines and the constants of the frame, of the start and of a spike, merged."""
        draft = self.draft
        together: list[list[tuple[int, int]]] = []
        spikes: list[tuple[int, int]] = []
        for mask, what in (
            (each.preset, "preset"),
            (each.after, "after"),
            (each.start, "start"),
            (each.spike, "spike"),
        ):
            mine = [(bit, self._constant(what, bit)) for bit in _bits(mask)]
            for bit, net in mine:
                columns.setdefault(bit, []).append(net)
            together += [[pair for pair in mine if pair[0] % 2 == parity] for parity in (0, 1)]
            if what == "spike":
                spikes = mine
        name = self._name(neuron)
        part = Columns(
            {bit: draft.merge(nets, name=f"{name}_bit{bit}") for bit, nets in sorted(columns.items())}, spikes
        )
        skew = draft.delays["SPLIT"][0][0] or 0  # leaves of one tree are a splitter apart at most
        for several in together:
            if len(several) > 1:
                part.together([(bit, draft.arrivals(net)[part.direct[bit]]) for bit, net in several], skew)
        return part

    def _neuron(self, neuron: Neuron, each: Counter, part: Columns) -> Wire:
        draft, name = self.draft, self._name(neuron)
        if each.kind is Kind.NEVER:
            return Wire(None)
        if each.kind is Kind.ALWAYS:
            return Wire(self._slot(0))
        direct = self._staggered(name, part)
        clears: list[tuple[int, int]] = []
        carry: int | None = None
        for bit in range(each.bits):
            entering = [net for net in (direct.get(bit), carry) if net is not None]
            if entering:
                net = (
                    entering[0]
                    if len(entering) == 1
                    else draft.add("MERGE", *entering, name=f"{name}_bit{bit}")[0]
                )
                carry = self.toggle.add(
                    draft, net, self._cleared(each, bit, clears, name), name=f"{name}_bit{bit}"
                )
        last = [net for net in (direct.get(each.bits), carry) if net is not None]
        wire = draft.merge(last, name=f"{name}_carry")
        if each.kind is Kind.INTEGRATING or (self.toggle.ripples and each.bits):
            clock = self._slot(self.frame.read[neuron[0]])
            (wire,) = draft.add("NDRO", wire, self._slot(self.frame.clear), clock, name=f"{name}_spike")
            return Wire(self._after_spike(name, wire, part.spikes, clears), each.inverted)
        most = int(each.plus.clip(min=each.minus).sum()) + each.preset
        return Wire(
            wire, each.inverted, once=each.bits > 0 and most < 2 << each.bits and each.bits not in direct
        )

    def _constant(self, what: str, bit: int) -> int:
        """A net that gets the pulse of a constant: even and odd bits have slots of their own, so that carries pass."""
        match what:
            case "start":
                return self._start(f"p{bit % 2}")
            case "spike":
                return self.draft.later()
            case _:
                slots = self.frame.preset if what == "preset" else self.frame.after
                return self._slot(slots[bit % 2])

    def _cleared(self, each: Counter, bit: int, clears: list[tuple[int, int]], name: str) -> int:
        """What clears a bit: every frame, or the start and, after a reset to zero, a spike."""
        ripples = self.toggle.ripples
        if each.kind is Kind.CLEARED:
            return self._slot(self.frame.reset[bit if ripples else 0])
        start = self._start(f"r{bit if ripples else 0}")
        if not each.clears:
            return start
        net = self.draft.later()
        clears.append((bit, net))
        return self.draft.add("MERGE", start, net, name=f"{name}_clear{bit}")[0]

    def _after_spike(
        self, name: str, wire: int, spikes: list[tuple[int, int]], clears: list[tuple[int, int]]
    ) -> int:
        """What a spike does to its own counter: it clears it, and it adds a constant in later slots."""
        draft = self.draft
        at_once = [net for _, net in clears] if not self.toggle.ripples else []
        odd = {parity: [net for bit, net in spikes if bit % 2 == parity] for parity in (0, 1)}
        later = [(self.frame.spike[parity], nets) for parity, nets in odd.items() if nets]
        if self.toggle.ripples:
            later += [(self.frame.spike_reset[bit], [net]) for bit, net in clears]
        branches = draft.split(wire, 1 + len(later) + len(at_once), name=f"{name}_spike")
        for branch, (slot, nets) in zip(branches[1:], later, strict=False):
            (released,) = draft.add("DFF", branch, self._slot(slot), name=f"{name}_spike")
            draft.feed(released, nets, name=f"{name}_spike")
        for branch, net in zip(branches[1 + len(later) :], at_once, strict=True):
            draft.join(branch, net)
        return branches[0]

    def _staggered(self, name: str, part: Columns) -> dict[int, int]:
        """Columns made later where the carry of a lower bit would meet a pulse at a higher one: JTLs behind them.

        A pulse that comes to bits j < k of a counter at times a and b is at bit k at b and, if it ripples so far, at
        a + (k - j) * carry; these must be a window apart, whatever the counter holds: the direct one comes first.
        """
        apart = max(self.toggle.window, self.draft.library["MERGE"].apart) + MARGIN
        step = self.draft.delays["JTL"][0][0] or 1
        needed = dict.fromkeys(part.direct, 0)
        for (low, high), skew in sorted(part.skews.items(), reverse=True):
            short = skew + needed[high] + apart - (high - low) * self.toggle.carry
            needed[low] = max(needed[low], -(-short // step) * step)
        return {
            bit: self.draft.delay(net, needed[bit], name=f"{name}_bit{bit}")
            for bit, net in part.direct.items()
        }

    # ---- delays and outputs ----------------------------------------------------------------------------------

    def _delayed(self, source: Source) -> int:
        """A net on which a spike comes at the end of the frame `delay - 1` frames later."""
        net = self.draft.later()
        self.wanted_later.setdefault((source.node, source.element), {}).setdefault(source.delay, []).append(
            net
        )
        return net

    def _chains(self) -> None:
        """Delays as chains of latches that move on at the end of a frame.

        A latch's pulse comes to the next one after that one's clock, which may come later by one splitter of the
        clock's tree: JTLs hold it back where its way is shorter.
        """
        draft = self.draft
        split, dff = draft.delays["SPLIT"][0][0] or 0, draft.library["DFF"]
        hold = split + dff.window("clk", "a") + MARGIN
        for neuron, users in self.wanted_later.items():
            name = f"{self._name(neuron)}_delay"
            inverted = self.wires[neuron].inverted
            data = self._tap(neuron)
            for stage in range(1, max(users) + 1):
                kind = "NOT" if inverted and stage == 1 else "DFF"
                (data,) = draft.add(kind, data, self._slot(self.frame.end), name=name)
                goes_on = stage < max(users)
                here = users.get(stage, [])
                leaves = draft.split(data, len(here) + goes_on, name=name)
                for leaf, waiting in zip(leaves[goes_on:], here, strict=True):
                    draft.join(draft.delay(leaf, hold - draft.late[leaf], name=name), waiting)
                if goes_on:
                    data = draft.delay(leaves[0], hold - draft.late[leaves[0]], name=name)

    def _outputs(self, ends: Mapping[str, str]) -> dict[str, tuple[str | None, ...]]:
        """Outputs: the neuron's wire where it has one pulse a spike, else a latch read at the end of the frame."""
        draft = self.draft
        given = {name for name, _ in self.network.inputs}
        found: dict[str, tuple[str | None, ...]] = {}
        for name, sources in self.network.outputs:
            nets: list[str | None] = []
            for k, source in enumerate(sources):
                neuron = (source.node, source.element)
                wire = self.wires[neuron]
                if wire.net is None:
                    nets.append(None)
                    continue
                text = f"out_{ends[name]}_{k}"
                net = self._delayed(source) if source.delay else self._tap(neuron)
                if source.delay or wire.inverted or not wire.once:
                    kind = "NOT" if wire.inverted and not source.delay else "DFF"
                    (net,) = draft.add(kind, net, self._slot(self.frame.end), name=text)
                elif source.node in given:
                    (net,) = draft.add("JTL", net, name=text)
                draft.output(net, text)
                nets.append(text)
            found[name] = tuple(nets)
        return found


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _identifiers(names: Sequence[str]) -> dict[str, str]:
    """Each name as a part of identifiers, unique: letters, digits and underscores."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        plain = plain if re.match("[A-Za-z]", plain) else f"x{plain}"
        text, number = plain, 1
        while text in used:
            number += 1
            text = f"{plain}_{number}x"
        used.add(text)
        found[name] = text
    return found
