# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Fewer packets: neurons move or swap between the parts of a population, as Fiduccia and Mattheyses have it.

The hypergraph has a net for each source, whose pins are the neurons that it reaches; a net that touches l parts
costs its rate times l packets. Sweep by sweep every neuron looks for the part that would save most packets. It moves
there if there is room, or swaps with one that waits to come the other way. Early sweeps also accept losses up to a
threshold that falls to nothing (Dueck and Scheuer, Threshold accepting, J. Comput. Phys. 90, 1990). Only integers are
added and compared, so that every machine comes to the same parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.sim.compiled import compiled, prefetch

Array = npt.NDArray[Any]
"""Any: kernels take arrays of several dtypes."""

UNIT = 1 << 8
"""Rates become integers in units of the mean rate over this."""

SWEEPS = 40
"""Sweeps, unless the network is so large that they would take more than `WORK`."""

WORK = 150_000_000
"""Parts that all sweeps together may look at, net by net: a few seconds."""


AHEAD = 6
"""Nets that are loaded before they are needed."""


@dataclass(frozen=True, slots=True)
class Hypergraph:
    """A population's neurons and the sources that reach them.

    Net u has `rate[u]` and the pins `pins[start[u]:start[u + 1]]`; neuron n is in `nets[first[n]:first[n + 1]]`.
    """

    start: Array
    pins: Array
    first: Array
    nets: Array
    rate: Array


@dataclass(frozen=True, slots=True)
class Room:
    """The most neurons and the most synapses that a part may hold; one that holds more may only lose some."""

    neurons: int
    synapses: int


def refined(graph: Hypergraph, part_of: Array, parts: int, room: Room) -> Array:
    """The part of each neuron, with at most as many packets as `part_of` has."""
    mean = float(graph.rate.mean()) or 1.0
    weight = np.clip(np.rint(graph.rate * (UNIT / mean)), 1, 64 * UNIT).astype(np.int32)
    part = part_of.astype(np.int32)
    slot, nets = count_pins(graph.start, graph.pins, weight, part, parts)
    size = np.diff(graph.first)
    held = np.stack((np.bincount(part, minlength=parts), np.bincount(part, size, parts).astype(np.int64)))
    best, least = part.copy(), packets(slot, nets)
    sweeps = min(SWEEPS, max(1, WORK // max(1, int(nets[slot[:-1]] @ np.diff(graph.start)))))
    for sweep in range(sweeps):
        heat = int(2 * UNIT * max(0.0, 1 - sweep / (0.75 * sweeps)) ** 2) if sweeps >= SWEEPS // 4 else 0
        moved = sweep_once(
            graph.first, graph.nets, part, slot, nets, held, room.neurons, room.synapses, heat, sweep
        )
        total = packets(slot, nets)
        if total < least:
            best, least = part.copy(), total
        if not moved:
            break
    return best


# A net is a row of integers from `slot[u]` on: how many parts it touches, its weight, then part and pins of each.


@compiled
def count_pins(start: Array, pins: Array, weight: Array, part: Array, parts: int) -> tuple[Array, Array]:
    """(slot, nets): the nets as rows, one after the other, each with room for all parts that it could touch."""
    slot = np.zeros(start.size, np.int64)
    for u in range(start.size - 1):
        slot[u + 1] = slot[u] + 2 + 2 * min(parts, start[u + 1] - start[u])
    nets = np.zeros(slot[-1], np.int32)
    for u in range(start.size - 1):
        nets[slot[u] + 1] = weight[u]
        for k in range(start[u], start[u + 1]):
            add_pin(nets, slot[u], part[pins[k]])
    return slot, nets


@compiled
def packets(slot: Array, nets: Array) -> int:
    """The weighted packets of all nets."""
    total = 0
    for u in range(slot.size - 1):
        total += int(nets[slot[u]]) * int(nets[slot[u] + 1])
    return total


@compiled
def add_pin(nets: Array, at: int, b: int) -> None:
    """One pin more in part b of the net at `at`."""
    last = at + 2 + 2 * nets[at]
    for k in range(at + 2, last, 2):
        if nets[k] == b:
            nets[k + 1] += 1
            return
    nets[last], nets[last + 1] = b, 1
    nets[at] += 1


@compiled
def drop_pin(nets: Array, at: int, a: int) -> None:
    """One pin less in part a, where it has one, of the net at `at`."""
    k = at + 2
    while nets[k] != a:
        k += 2
    nets[k + 1] -= 1
    if nets[k + 1] == 0:
        last = at + 2 * nets[at]
        nets[k], nets[k + 1] = nets[last], nets[last + 1]
        nets[at] -= 1


@compiled
def put(
    first: Array, nets_of: Array, part: Array, slot: Array, nets: Array, held: Array, n: int, b: int
) -> None:
    """Move neuron n to part b."""
    a = part[n]
    for k in range(first[n], first[n + 1]):
        drop_pin(nets, slot[nets_of[k]], a)
        add_pin(nets, slot[nets_of[k]], b)
    size = first[n + 1] - first[n]
    held[0, a] -= 1
    held[0, b] += 1
    held[1, a] -= size
    held[1, b] += size
    part[n] = b


@compiled
def weigh(first: Array, nets_of: Array, slot: Array, nets: Array, n: int, a: int, score: Array) -> int:
    """What leaving part a for one that none of its nets touches saves neuron n, less than nothing as a rule.

    `score[b]` becomes what nets that touch part b save besides.
    """
    score[:] = 0
    saved = 0
    for k in range(first[n], first[n + 1]):
        if k + AHEAD < nets_of.size:
            prefetch(nets, slot[nets_of[k + AHEAD]])
        at = slot[nets_of[k]]
        w = int(nets[at + 1])
        saved -= w
        for j in range(at + 2, at + 2 + 2 * nets[at], 2):
            score[nets[j]] += w
            if nets[j] == a and nets[j + 1] == 1:
                saved += w
    return saved


@compiled
def sweep_once(
    first: Array, nets_of: Array, part: Array, slot: Array, nets: Array, held: Array, most_neurons: int,
    most_synapses: int, heat: int, seed: int,
) -> int:  # fmt: skip
    """Let every neuron move or swap once; how many did."""
    parts = held.shape[1]
    score = np.zeros(parts, np.int32)
    waiting = np.full((parts, parts), -1, np.int32)
    state = np.uint64(seed * 2 + 1) * np.uint64(0x9E3779B97F4A7C15)
    moved = 0
    for n in range(first.size - 1):
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        slack = int(state >> np.uint64(40)) * heat >> 24
        a = part[n]
        saved = weigh(first, nets_of, slot, nets, n, a, score)
        score[a] = -1
        b = 0
        for c in range(1, parts):
            if score[c] > score[b]:
                b = c
        gain = saved + int(score[b])
        if gain + slack <= 0:
            continue
        size = first[n + 1] - first[n]
        if held[0, b] < most_neurons and held[1, b] + size <= most_synapses:
            put(first, nets_of, part, slot, nets, held, n, b)
            moved += 1
            continue
        other = waiting[b, a]
        waiting[a, b] = n
        if other < 0 or part[other] != b:
            continue
        grows = size - (first[other + 1] - first[other])
        if (grows > 0 and held[1, b] + grows > most_synapses) or (
            grows < 0 and held[1, a] - grows > most_synapses
        ):
            continue
        put(first, nets_of, part, slot, nets, held, n, b)
        back = weigh(first, nets_of, slot, nets, other, b, score)
        if gain + back + int(score[a]) + slack > 0:
            put(first, nets_of, part, slot, nets, held, other, a)
            waiting[a, b] = waiting[b, a] = -1
            moved += 2
        else:
            put(first, nets_of, part, slot, nets, held, n, a)
    return moved
