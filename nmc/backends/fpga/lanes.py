"""How many lanes each population gets, from a goal in cycles a step or in logic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nmc.backends.fpga.rows import convolution, rows_of, words_of
from nmc.backends.fpga.windows import Kernel, blocks_of
from nmc.diagnostics import CompileError, error, note
from nmc.ir.graph import Graph, Slice, replace_graph
from nmc.ir.linear import size_of
from nmc.ir.ops import Neuron, output_shape
from nmc.ir.tensor import Array
from nmc.sim.golden import simulate

ASSUMED_RATE = 0.1
"""Events of a neuron and step where there are no calibration data."""

SAMPLES = 16
"""Samples that are enough to know rates."""

UPDATE_SHARE = 32
"""Lanes of accumulators that share one neuron: a sweep takes no longer than this many events of a dense layer."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What lanes are chosen for: a number for all layers, cycles a step, or LUT4s."""

    lanes: int | None = None
    cycles_per_step: int | None = None
    luts: int | None = None


def used_lanes(neurons: int, lanes: int, kernel: Kernel | None) -> int:
    """The lanes that remain when so many, at most one a neuron, hold as much each; of a convolution whole channels."""
    if kernel is not None and lanes <= kernel.out_shape[0]:
        return -(-kernel.out_shape[0] // blocks_of(kernel.out_shape[0], lanes))
    return -(-neurons // words_of(neurons, min(lanes, neurons), kernel))


def neurons_at_once(lanes: int) -> int:
    """How many neurons are stepped in a cycle: the least divisor of `lanes` that keeps sweeps short."""
    return next(u for u in range(1, lanes + 1) if lanes % u == 0 and lanes // u <= UPDATE_SHARE)


def choose_lanes(
    graph: Graph, *, goal: Goal, calibration: Mapping[str, Array], luts_of: Callable[[Graph], float]
) -> Graph:
    """Each population in slices, one a lane; lanes are the placement's cores. The choice is a note.

    For cycles a step, the fewest lanes with which every layer ends a step in as many, at the rates of the calibration
    data or a tenth; for LUT4s, those for the fewest cycles a step with which `luts_of` the placed graph are no more.
    Raises CompileError (NMC451, NMC456) if none are enough.
    """
    populations = [_Population(graph, n.name) for n in graph.nodes if isinstance(n.op, Neuron)]
    events = expected_events(graph, calibration)
    if goal.lanes is not None:
        chosen = [used_lanes(each.neurons, goal.lanes, each.kernel) for each in populations]
    elif goal.luts is not None:
        chosen = _within(graph, populations, events, luts=goal.luts, luts_of=luts_of)
    else:
        assert goal.cycles_per_step is not None
        chosen = [_fastest_enough(graph, each, events, goal.cycles_per_step) for each in populations]
    known = "measured" if calibration else f"assumed {ASSUMED_RATE:g}"
    notes = [
        note(
            "NMC452",
            f"`{each.name}` gets {lanes} lanes: about {step_cycles(graph, each.name, lanes, events):.0f} cycles a step "
            f"at {known} rates",
            graph[each.name].loc,
            help="`--set lanes=`, `cycles_per_step=` or `luts=` chooses otherwise",
        )
        for each, lanes in zip(populations, chosen, strict=True)
    ]
    placed = _placed(graph, populations, chosen)
    if goal.luts is not None:
        message = f"the design takes about {luts_of(placed):.0f} of the {goal.luts} LUT4s that it may take"
        notes.append(note("NMC452", message, graph.nodes[0].loc))
    return placed.with_notes(notes)


class _Population:
    """A population to which lanes are given."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.name = name
        self.neurons = size_of(output_shape(graph[name].op))
        self.kernel = convolution(graph, name)
        every = range(1, self.neurons + 1)
        self.choices = sorted({used_lanes(self.neurons, lanes, self.kernel) for lanes in every})


def _placed(graph: Graph, populations: list[_Population], lanes: list[int]) -> Graph:
    """The graph with a slice for each lane."""
    placement: list[Slice] = []
    for each, count in zip(populations, lanes, strict=True):
        words = words_of(each.neurons, count, each.kernel)
        starts = range(0, each.neurons, words)
        placement += [
            Slice(each.name, start, min(start + words, each.neurons), len(placement) + k)
            for k, start in enumerate(starts)
        ]
    return replace_graph(graph, placement=tuple(placement))


def _within(
    graph: Graph,
    populations: list[_Population],
    events: Mapping[str, Array],
    *,
    luts: int,
    luts_of: Callable[[Graph], float],
) -> list[int]:
    """The lanes for the fewest cycles a step whose design takes no more than `luts`."""

    def lanes_for(cycles: int) -> list[int]:
        return [_fastest_enough(graph, each, events, cycles) for each in populations]

    def slowest(choice: int) -> int:
        every = [step_cycles(graph, each.name, each.choices[choice], events) for each in populations]
        return math.ceil(max(every, default=1))

    low, high = slowest(-1), slowest(0)
    least = luts_of(_placed(graph, populations, lanes_for(high)))
    if least > luts:
        message = f"with one lane a layer the design takes about {least:.0f} LUT4; {luts} are wanted"
        raise CompileError(error("NMC456", message, graph.nodes[0].loc, help="raise `--set luts=`"))
    while low < high:
        middle = (low + high) // 2
        if luts_of(_placed(graph, populations, lanes_for(middle))) <= luts:
            high = middle
        else:
            low = middle + 1
    return lanes_for(high)


def expected_events(graph: Graph, calibration: Mapping[str, Array]) -> dict[str, Array]:
    """Events a step of each neuron of each input and population."""
    if not calibration:
        return {n.name: np.full(size_of(output_shape(n.op)), ASSUMED_RATE) for n in graph.nodes}
    data = {name: array[:, :SAMPLES] for name, array in calibration.items()}
    signals = graph.signals()
    given: dict[str, Array] = {}
    for node in graph.inputs:
        number = signals[node.name].number
        scaled = data[node.name] if number is None else np.rint(np.ldexp(data[node.name], -number.exponent))
        given[node.name] = scaled.astype(np.int64)
    names = [n.name for n in graph.nodes if isinstance(n.op, Neuron)]
    record = [f"{name}.{'spikes' if _fires(graph, name) else 'v'}" for name in names]
    result = simulate(graph, given, record=record)
    seen = {**{record_name.rpartition(".")[0]: result.trace[record_name] for record_name in record}, **given}
    return {name: (values != 0).mean(axis=(0, 1)).ravel() for name, values in seen.items()}


def _fires(graph: Graph, name: str) -> bool:
    op = graph[name].op
    return isinstance(op, Neuron) and op.fire is not None


def step_cycles(graph: Graph, name: str, lanes: int, events: Mapping[str, Array]) -> float:
    """Cycles that a step of a layer takes: operations of all events, the tick, and never less than a sweep."""
    layout = rows_of(graph, name, lanes)
    total = float(layout.words) + len(layout.legs) - 1
    for leg in layout.legs:
        total += float((events[leg.src] * np.maximum(leg.rows_of_source, 1)).sum())
    return max(total, sweep_cycles(layout.words, lanes))


def sweep_cycles(words: int, lanes: int) -> int:
    """Cycles from a tick until a layer can take the next: one word of the sweep a cycle, and its pipeline."""
    return words * (1 + lanes // neurons_at_once(lanes)) + PIPELINE


PIPELINE = 12
"""Cycles between a tick at the input and the end of its sweep, beyond the words themselves."""


def _fastest_enough(graph: Graph, each: _Population, events: Mapping[str, Array], cycles: int) -> int:
    """The fewest lanes with which a population ends a step in so many cycles."""
    choices = each.choices
    low, high = 0, len(choices) - 1
    least = step_cycles(graph, each.name, choices[high], events)
    if least > cycles:
        message = f"`{each.name}` takes about {least:.0f} cycles a step with {choices[high]} lanes; {cycles} are wanted"
        raise CompileError(
            error("NMC451", message, graph[each.name].loc, help="raise `--set cycles_per_step=`")
        )
    while low < high:
        middle = (low + high) // 2
        if step_cycles(graph, each.name, choices[middle], events) <= cycles:
            high = middle
        else:
            low = middle + 1
    return choices[low]
