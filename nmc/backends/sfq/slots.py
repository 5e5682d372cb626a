"""The frame: which slot each source is heard in, and what comes before and after the sources.

A frame is one step. In a slot at most one source reaches any neuron, and all is quiet before the next slot. Layers
follow one another in the same frame: a neuron is heard in a slot after all that it hears.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nmc.backends.sfq.counters import Counter, Kind
from nmc.backends.sfq.network import Network, Source


@dataclass(frozen=True, slots=True)
class Frame:
    """The slots of a frame, counted from 0; None for what this network does not need.

    Slot 0 takes the inputs. `reset` are the slots that clear counters bit by bit (one clears all where a bit's clear
    gives no carry), `clear` forgets carries, `preset` are for even and odd bits; so are `spike` and `after`.
    """

    slots: int
    reset: tuple[int, ...]
    clear: int
    preset: tuple[int, int]
    source: Mapping[Source, int]
    read: Mapping[str, int]
    spike_reset: tuple[int, ...]
    spike: tuple[int, int]
    after: tuple[int, int]
    end: int


def schedule(
    network: Network,
    counters: Mapping[str, Sequence[Counter]],
    heard: Mapping[tuple[str, int], Sequence[Source]],
    *,
    ripples: bool,
) -> Frame:
    """The earliest slots, population after population. `heard` are the sources of each neuron that it counts.

    `ripples`: clearing a bit may give a carry, so that bits are cleared from the lowest on, and carries are read only
    when asked for.
    """
    everyone = [each for several in counters.values() for each in several]
    cleared = [each for each in everyone if each.kind is Kind.CLEARED and each.bits]
    integrating = [each for each in everyone if each.kind is Kind.INTEGRATING]
    widest = max((each.bits for each in cleared), default=0)
    at = 0
    reset: tuple[int, ...] = ()
    clear = 0
    if cleared:
        reset = tuple(range(widest)) if ripples else (0,)
        at = len(reset)
    if ripples and cleared:
        clear, at = at, at + 1
    at = max(at, 1)
    preset, at = _pair([each.preset for each in everyone], at)
    hears: dict[Source, list[tuple[str, int]]] = {}
    for neuron, sources in heard.items():
        for source in sources:
            hears.setdefault(source, []).append(neuron)
    taken: dict[tuple[str, int], int] = dict.fromkeys(heard, (1 << at) - 1)
    source_slot: dict[Source, int] = {}
    read: dict[str, int] = {}
    waiting = sorted(source for source in hears if source.delay or source.node not in counters)
    late = _place(waiting, at, hears, taken, source_slot)
    names = {cluster.name: cluster for cluster in network.clusters}
    for name, cluster in names.items():
        several = counters[name]
        ready = [taken[name, k].bit_length() for k in range(len(several))]
        if any(_is_read(each, ripples) for each in several):
            read[name] = max(ready, default=at)
            ready = [read[name] + 1] * len(several)
        mine = [source for source in hears if source.node == name and source.delay == 0]
        for source in sorted(mine):
            late = max(late, _place([source], ready[source.element], hears, taken, source_slot))
        late = max(late, *ready, at)
        del cluster
    last = max(
        [
            late - 1,
            at - 1,
            *source_slot.values(),
            *read.values(),
            *(m.bit_length() - 1 for m in taken.values()),
        ]
    )
    at = last + 1
    clears = [each for each in integrating if each.clears]
    spike_reset: tuple[int, ...] = ()
    if clears and ripples:
        spike_reset = tuple(range(at, at + max(each.bits for each in clears)))
        at += len(spike_reset)
    spike, at = _pair([each.spike for each in integrating], at)
    after, at = _pair([each.after for each in integrating], at)
    return Frame(at + 1, reset, clear, preset, source_slot, read, spike_reset, spike, after, at)


def _is_read(each: Counter, ripples: bool) -> bool:
    return each.kind is Kind.INTEGRATING or (ripples and each.kind is Kind.CLEARED and each.bits > 0)


def _pair(masks: Sequence[int], at: int) -> tuple[tuple[int, int], int]:
    """Slots for the even and the odd bits of constants, as far as there are any, and the first slot behind them."""
    even = any(mask & 0x5555555555555555 for mask in masks)
    odd = any(mask & 0xAAAAAAAAAAAAAAAA for mask in masks)
    return (at, at + int(even)), at + int(even) + int(odd)


def _place(
    sources: Sequence[Source],
    ready: int,
    hears: Mapping[Source, Sequence[tuple[str, int]]],
    taken: dict[tuple[str, int], int],
    slots: dict[Source, int],
) -> int:
    """Give each source the first slot from `ready` on in which none of its neurons hears another; the last one + 1."""
    last = ready
    for source in sources:
        busy = (1 << ready) - 1
        for neuron in hears[source]:
            busy |= taken[neuron]
        free = (~busy & (busy + 1)).bit_length() - 1
        for neuron in hears[source]:
            taken[neuron] |= 1 << free
        slots[source] = free
        last = max(last, free + 1)
    return last
