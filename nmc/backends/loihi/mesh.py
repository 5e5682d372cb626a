# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""How long a step takes: cores that work side by side, messages between them, and the barrier at the end.

In a step every core goes through its neurons in order and sends a message for each spike to each core that the
spike reaches. Messages travel first along x, then along y. A core takes messages one after the other, in the order
in which they arrive. Links hold a few messages each; where a path is full, the sender waits for as long as the
receivers need for the surplus. This estimate of contention is the one of Boyle et al., SANA-FE, IEEE TCAD, 2025:
a message in flight is spread evenly over the links of its path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.sim.compiled import compiled

Array = npt.NDArray[Any]
"""Any: kernels take arrays of several dtypes."""

IDLE, ACTIVE, FIRED = 0, 1, 2
"""What a neuron did in a step."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Cores, neurons and messages as flat arrays, ready for `step_seconds`.

    Neurons are numbered over all ends of the network. `unit[first[c]:first[c + 1]]` are those on core c, in the
    order in which it visits them. `axon_first[n]` to `axon_first[n + 1]` are the messages of a spike of neuron n:
    the core it goes to and the seconds it takes there. `soma` is (2, 3): what a source and what a neuron costs that
    is idle, active, or fired, in seconds.
    """

    first: Array
    unit: Array
    is_neuron: Array
    soma: Array
    send: float
    axon_first: Array
    axon_core: Array
    axon_seconds: Array
    hop: Array
    rows: int
    cores_per_tile: int
    buffer: int
    barrier: float


@compiled
def path(density: Array, src: int, dst: int, rows: int, cores_per_tile: int, share: float) -> float:
    """The messages on the links from core to core, to each of which `share` is added.

    Links: the one out of the core, then the one into each next tile, by the direction it comes from.
    """
    tile, goal = src // cores_per_tile, dst // cores_per_tile
    x, y = tile // rows, tile % rows
    to_x, to_y = goal // rows, goal % rows
    width = 4 + cores_per_tile
    link = tile * width + 4 + src % cores_per_tile
    total = density[link]
    density[link] += share
    while x != to_x or y != to_y:
        if x != to_x:
            way = 0 if to_x > x else 1
            x += 1 if to_x > x else -1
        else:
            way = 2 if to_y > y else 3
            y += 1 if to_y > y else -1
        link = (x * rows + y) * width + way
        total += density[link]
        density[link] += share
    return total


@compiled
def step_seconds(
    status: Array, first: Array, unit: Array, is_neuron: Array, soma: Array, send: float, axon_first: Array,
    axon_core: Array, axon_seconds: Array, hop: Array, rows: int, cores_per_tile: int, buffer: int, work: Array,
) -> float:  # fmt: skip
    """Seconds from the start of the step to the last thing done, without the barrier.

    `status` says what each neuron did. Adds to `work` (cores, 2) the seconds that each core spent on its neurons
    and on messages.
    """
    cores = first.shape[0] - 1
    tiles = (cores + cores_per_tile - 1) // cores_per_tile
    columns = (tiles + rows - 1) // rows
    density = np.zeros(columns * rows * (4 + cores_per_tile))
    free_at = np.zeros(cores)
    clock = np.zeros(cores)
    at_unit = first[:-1].copy()
    at_axon = np.full(cores, -1)
    event = np.full(cores, np.inf)
    is_message = np.zeros(cores, np.bool_)
    total = 0
    for n in range(status.shape[0]):
        if status[n] == 2:
            total += axon_first[n + 1] - axon_first[n]
    flight_end = np.empty(total + 1)
    flight_axon = np.empty(total + 1, np.int64)
    flight_src = np.empty(total + 1, np.int64)
    flying, pending = 0, 0.0
    last = 0.0
    for c in range(cores):
        next_event(
            c,
            status,
            first,
            unit,
            is_neuron,
            soma,
            send,
            axon_first,
            clock,
            at_unit,
            at_axon,
            event,
            is_message,
            work,
        )
    while True:
        c = np.argmin(event)
        now = event[c]
        if now == np.inf:
            return float(last)
        last = max(last, now)
        while flying > 0 and flight_end[0] <= now:
            src, axon = flight_src[0], flight_axon[0]
            flying -= 1
            pending = pending - axon_seconds[axon] if flying > 0 else 0.0
            hops = distance(src, axon_core[axon], rows, cores_per_tile)
            path(density, src, axon_core[axon], rows, cores_per_tile, -1.0 / (hops[0] + hops[1] + 2))
            sift_down(flight_end, flight_axon, flight_src, flying)
        if is_message[c]:
            axon = at_axon[c]
            dst = axon_core[axon]
            x, y = distance(c, dst, rows, cores_per_tile)
            mean = pending / flying if flying > 0 else 0.0
            ahead = path(density, c, dst, rows, cores_per_tile, 0.0)
            room = (x + y + 1) * buffer
            if ahead > room:
                now += (ahead - room) * mean
            travel = max(x * hop[0] + y * hop[1], ahead * mean / (x + y + 1))
            arrived = max(free_at[dst], now + travel)
            free_at[dst] = arrived + axon_seconds[axon]
            work[dst, 1] += axon_seconds[axon]
            last = max(last, free_at[dst])
            path(density, c, dst, rows, cores_per_tile, 1.0 / (x + y + 2))
            pending += axon_seconds[axon]
            sift_up(flight_end, flight_axon, flight_src, flying, arrived, axon, c)
            flying += 1
        clock[c] = now
        next_event(
            c,
            status,
            first,
            unit,
            is_neuron,
            soma,
            send,
            axon_first,
            clock,
            at_unit,
            at_axon,
            event,
            is_message,
            work,
        )


@compiled
def next_event(
    c: int, status: Array, first: Array, unit: Array, is_neuron: Array, soma: Array, send: float,
    axon_first: Array, clock: Array, at_unit: Array, at_axon: Array, event: Array, is_message: Array, work: Array,
) -> None:  # fmt: skip
    """Moves core c on to its next message, or to the end of its neurons; `event` is when that is."""
    spent = 0.0
    axon = at_axon[c]
    if axon >= 0:
        n = unit[at_unit[c]]
        if axon + 1 < axon_first[n + 1]:
            at_axon[c] = axon + 1
            event[c] = clock[c] + send
            work[c, 0] += send
            return
        at_axon[c] = -1
        at_unit[c] += 1
    while at_unit[c] < first[c + 1]:
        n = unit[at_unit[c]]
        spent += soma[is_neuron[n], status[n]]
        if status[n] == 2 and axon_first[n + 1] > axon_first[n]:
            at_axon[c] = axon_first[n]
            event[c] = clock[c] + spent + send
            is_message[c] = True
            work[c, 0] += spent + send
            return
        at_unit[c] += 1
    is_message[c] = False
    event[c] = clock[c] + spent if spent > 0 else np.inf
    work[c, 0] += spent


@compiled
def distance(src: int, dst: int, rows: int, cores_per_tile: int) -> tuple[int, int]:
    """Hops between two cores along x and along y. Tiles are numbered column by column."""
    a, b = src // cores_per_tile, dst // cores_per_tile
    return abs(a // rows - b // rows), abs(a % rows - b % rows)


@compiled
def sift_up(
    end: Array, axon: Array, src: Array, count: int, new_end: float, new_axon: int, new_src: int
) -> None:
    """Puts a message into the heap of those in flight, by the time of its end."""
    k = count
    while k > 0 and end[(k - 1) // 2] > new_end:
        parent = (k - 1) // 2
        end[k], axon[k], src[k] = end[parent], axon[parent], src[parent]
        k = parent
    end[k], axon[k], src[k] = new_end, new_axon, new_src


@compiled
def sift_down(end: Array, axon: Array, src: Array, count: int) -> None:
    """Removes the first of count + 1 messages in flight: the last one takes its place."""
    last_end, last_axon, last_src = end[count], axon[count], src[count]
    k = 0
    while 2 * k + 1 < count:
        child = 2 * k + 1
        if child + 1 < count and end[child + 1] < end[child]:
            child += 1
        if end[child] >= last_end:
            break
        end[k], axon[k], src[k] = end[child], axon[child], src[child]
        k = child
    if count > 0:
        end[k], axon[k], src[k] = last_end, last_axon, last_src
