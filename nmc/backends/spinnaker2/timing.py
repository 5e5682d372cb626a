# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""When things happen in a tick: updates, packets on the links of their trees, queues of PEs; and how long a tick is.

A tick begins with a barrier. PEs that sum for others send their sums; PEs with neurons take those, update, and send
what they have each time the outbox is full or all neurons are done. Packets go link by link, first come first served,
and copies part where their ways do; a PE takes its packets in the order of their arrival. Times are cycles of PEs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmc.backends.spinnaker2 import blocks, core
from nmc.backends.spinnaker2.core import BATCHES, COUNTS, TICKS, packet_cycles
from nmc.backends.spinnaker2.files import Program
from nmc.backends.spinnaker2.mapping.routes import grid_of
from nmc.backends.spinnaker2.program import Array
from nmc.sim.compiled import compiled

HOP_CYCLES = 5
"""From one router to the next. An assumption: no document in reach says."""
PATIENCE_CYCLES = 1000
"""For how long a router holds a packet whose link is taken before it drops it. An assumption, generous."""

JOULES_PER_CYCLE = 6.88e-12
"""6.88 uW/MHz of a Cortex-M4 test chip in 22FDX, the process of SpiNNaker2; memory and network are left out."""
ENERGY_BASIS = (
    "not measured: 6.88 pJ a busy cycle, from a Cortex-M4F test chip in 22FDX; network and leakage left out"
)


@dataclass(frozen=True, slots=True)
class Costs:
    """What things take on a program's PEs, in cycles.

    `packet` is of each connection of `Wiring` (as its `pe`), `batch` (PEs,) of looking into the inbox, `update`
    (PEs, counts) of each count of an update, `longest` (PEs,) the longest update.
    """

    packet: Array
    batch: Array
    update: Array
    longest: Array


@dataclass(frozen=True, slots=True)
class Timing:
    """What a run took. `ends` (ticks,) is when the last PE was done, in cycles after the barrier."""

    ends: Array
    late: int
    """Packets that were not taken before the tick was over."""
    dropped: int
    """Packets that waited too long for a link."""
    queue: int
    """The most packets that waited at one PE."""
    hops: int
    hottest: int
    """Packets over the busiest link in one tick."""
    packets: int


def costs_of(program: Program, table: Array, start: Array, first: Array, target: Array, key: Array) -> Costs:
    """The costs of a program whose wiring is `first`, `target`, `key`."""
    cycles = np.array([program.costs[pe.kind.name][1] for pe in program.pes]).reshape(-1, COUNTS)
    words = start.copy()
    packet = packet_cycles(words, words.view(np.int16), table, first, target, key, cycles)
    update = cycles[:, TICKS:BATCHES]
    size = np.array([len(pe.neurons) for pe in program.pes])
    calls = -(-size // blocks.OUTBOX)
    # An update is longest if every neuron took its most expensive way.
    dearest = np.maximum(update[:, core.SPIKES :], 0).sum(axis=1)
    longest = (
        update[:, core.TICKS] + update[:, core.CALLS] * calls + (update[:, core.NEURONS] + dearest) * size
    )
    return Costs(packet, cycles[:, BATCHES], update, longest)


def tick_of(program: Program, costs: Costs, first: Array, target: Array) -> int:
    """The cycles of a tick in which nothing is ever late: every neuron and every input sends in it.

    The longest update, then all packets of the busiest PE behind all packets of the busiest way to it.
    """
    pes = len(program.pes)
    load = np.bincount(target, costs.packet, pes) + np.bincount(target, minlength=pes) * costs.batch
    grid = grid_of(program.chip)
    hops = (grid.width + grid.height) * len(program.chip.chips) * HOP_CYCLES
    sums = any(not pe.kind["NEURON"] for pe in program.pes)
    network = (first.size - 1) * gap_of(program) + hops  # every sender's packet over one link
    whole = (
        float(costs.longest.max(initial=0)) * (1 + sums) + float(load.max(initial=0)) + network * (1 + sums)
    )
    return int(np.ceil(whole))


def gap_of(program: Program) -> float:
    """Cycles between two packets on a link."""
    return program.chip.clock_hz / program.chip.link_capacity


class Clock:
    """The timing of a program, tick by tick."""

    def __init__(self, program: Program, costs: Costs, *, first: Array, target: Array, offset: Array) -> None:
        self.program, self.costs = program, costs
        self.first, self.target = first, target
        self.grid = grid_of(program.chip)
        pes = [pe.pe for pe in program.pes]
        self.pe_at = np.array(pes, np.int64)
        sizes = np.diff(offset)
        self.home = np.repeat(np.array([*range(len(pes)), *[-1] * len(program.inputs)]), sizes)
        self.local = np.arange(int(offset[-1])) - np.repeat(offset[:-1], sizes)
        self.size = np.array([len(pe.neurons) for pe in program.pes])
        self.neuron = np.array([pe.kind["NEURON"] for pe in program.pes])

    def run(self, sender: Array, start: Array, sums: Array, counts: Array) -> Timing:
        """The timing of one sample: packets, those of tick t from `start[t]` on, `sums[t]` partial sums first."""
        chips = len(self.program.chip.chips)
        nodes = chips * self.grid.width * self.grid.height
        ends = np.zeros(len(sums))
        totals = np.zeros(5, np.int64)  # late, dropped, queue, hops, hottest
        packets = 0
        for t in range(len(sums)):
            update = (counts[t, :, TICKS:BATCHES] * self.costs.update).sum(axis=1)
            busy = np.where(self.neuron == 0, update, 0.0)
            state = (np.zeros(nodes * 4 + chips * 6), np.zeros(nodes), np.full(nodes, -1, np.int64))
            a, b, c = int(start[t]), int(start[t] + sums[t]), int(start[t + 1])
            for low, high in ((a, b), (b, c)):
                who = sender[low:high]
                if low == b:  # now those with neurons update
                    begin = busy.copy()
                    busy = np.where(self.neuron == 1, busy + update, busy)
                else:
                    begin = np.zeros(len(busy))
                made = self._made(who, begin, update)
                order = np.argsort(made, kind="stable")
                packets += int((self.first[who + 1] - self.first[who]).sum())
                time_packets(
                    who[order], made[order], self.home, self.pe_at, self.first, self.target, self.costs.packet,
                    self.costs.batch, busy, self.grid.width, self.grid.height, self.grid.node, self.grid.chip_of,
                    self.grid.ports, self.grid.host, self.grid.back, self.grid.before, *state,
                    gap_of(self.program), float(HOP_CYCLES), float(PATIENCE_CYCLES),
                    float(self.program.tick_cycles or 1 << 60), totals,
                )  # fmt: skip
                state[2][:] = -1
            ends[t] = busy.max(initial=0)
        late, dropped, queue, hops, hottest = (int(each) for each in totals)
        return Timing(ends, late, dropped, queue, hops, hottest, packets)

    def _made(self, who: Array, begin: Array, update: Array) -> Array:
        """When each packet leaves: at the end of its run of neurons; those of inputs one a cycle."""
        home = self.home[who]
        runs = np.minimum(self.size[home], blocks.OUTBOX * (self.local[who] // blocks.OUTBOX + 1))
        made = begin[home] + update[home] * runs / np.maximum(self.size[home], 1)
        outer = home < 0
        made[outer] = np.arange(int(outer.sum()))
        return made


@compiled
def time_packets(
    sender: Array, made: Array, home: Array, pe_at: Array, first: Array, target: Array, cycles: Array, batch: Array,
    busy: Array, width: int, height: int, node: Array, chip_of: Array, ports: Array, host: int, back: Array,
    before: Array, free: Array, when: Array, seen: Array, gap: float, hop: float, patience: float, tick: float,
    totals: Array,
) -> None:  # fmt: skip
    """Send packets in the order in which they are made; `busy` is until when each PE is, before and after.

    `free`, of links, `when` and `seen`, of places, belong to the tick; `totals` are added to.
    """
    count = np.zeros(busy.size, np.int64)
    for e in range(sender.size):
        for k in range(first[sender[e]], first[sender[e] + 1]):
            count[target[k]] += 1
    offset = np.zeros(busy.size + 1, np.int64)
    for p in range(busy.size):
        offset[p + 1] = offset[p] + count[p]
    starts = np.zeros(offset[-1])
    filled, head = np.zeros(busy.size, np.int64), np.zeros(busy.size, np.int64)
    load = np.zeros(free.size, np.int64)
    area = width * height
    links = when.size * 4
    chain = np.zeros(back.shape[0] + 1, np.int64)
    entry = np.zeros(back.shape[0], np.int64)
    seen_chip = np.full(back.shape[0], -1, np.int64)
    for e in range(sender.size):
        s = sender[e]
        source = host if home[s] < 0 else node[pe_at[home[s]]]
        origin = 0 if home[s] < 0 else chip_of[pe_at[home[s]]]
        entry[origin], seen_chip[origin] = source, e
        when[source], seen[source] = made[e], e
        for k in range(first[s], first[s + 1]):
            p = target[k]
            chip = chip_of[pe_at[p]]
            depth = 0
            while seen_chip[chip] != e:
                chain[depth] = chip
                depth += 1
                chip = before[origin, chip]
            while depth > 0:
                depth -= 1
                after = chain[depth]
                link = back[origin, after]
                port = chip * area + ports[link, 1] * width + ports[link, 0]
                t = travel(
                    entry[chip], port, e, width, height, free, when, seen, load, gap, hop, patience, totals
                )
                begin = max(t, free[links + chip * 6 + link])
                free[links + chip * 6 + link] = begin + gap
                load[links + chip * 6 + link] += 1
                totals[3] += 1
                inward = (link + 3) % 6
                entry[after] = after * area + ports[inward, 1] * width + ports[inward, 0]
                seen_chip[after] = e
                when[entry[after]], seen[entry[after]] = begin + hop, e
                chip = after
            arrival = hop + travel(
                entry[chip],
                node[pe_at[p]],
                e,
                width,
                height,
                free,
                when,
                seen,
                load,
                gap,
                hop,
                patience,
                totals,
            )
            begin = max(arrival, busy[p])
            if arrival >= busy[p]:
                begin += batch[p]
            busy[p] = begin + cycles[k]
            if busy[p] > tick:
                totals[0] += 1
            starts[offset[p] + filled[p]] = begin
            filled[p] += 1
            while starts[offset[p] + head[p]] < arrival and head[p] < filled[p] - 1:
                head[p] += 1
            totals[2] = max(totals[2], filled[p] - head[p])
    totals[4] = max(totals[4], load.max())


@compiled
def travel(
    start: int, stop: int, stamp: int, width: int, height: int, free: Array, when: Array, seen: Array, load: Array,
    gap: float, hop: float, patience: float, totals: Array,
) -> float:  # fmt: skip
    """When a packet that is at `start` comes to `stop` on the same grid, along x, then along y."""
    area = width * height
    base = start // area * area
    at = start
    to_x, to_y = (stop - base) % width, (stop - base) // width
    while at != stop:
        x, y = (at - base) % width, (at - base) // width
        if x < to_x:
            ahead, way = at + 1, 0
        elif x > to_x:
            ahead, way = at - 1, 2
        elif y < to_y:
            ahead, way = at + width, 1
        else:
            ahead, way = at - width, 3
        if seen[ahead] != stamp:
            seen[ahead] = stamp
            link = at * 4 + way
            begin = max(when[at], free[link])
            if begin - when[at] > patience:
                totals[1] += 1
            free[link] = begin + gap
            load[link] += 1
            totals[3] += 1
            when[ahead] = begin + hop
        at = ahead
    return when[at]
