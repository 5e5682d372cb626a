"""How many lanes each population gets, from a goal in cycles a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nmc.backends.fpga.rows import rows_of, window_lanes, words_of
from nmc.backends.fpga.windows import blocks_of
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
    """What lanes are chosen for: a number for all layers, or cycles a step."""

    lanes: int | None = None
    cycles: int | None = None


def used_lanes(graph: Graph, name: str, lanes: int) -> int:
    """The lanes that remain when so many, at most one a neuron, hold as much each; of a convolution whole channels."""
    size = size_of(output_shape(graph[name].op))
    channels = window_lanes(graph, name)
    if lanes <= channels:
        return -(-channels // blocks_of(channels, lanes))
    return -(-size // words_of(graph, name, min(lanes, size)))


def neurons_at_once(lanes: int) -> int:
    """How many neurons are stepped in a cycle: the least divisor of `lanes` that keeps sweeps short."""
    return next(u for u in range(1, lanes + 1) if lanes % u == 0 and lanes // u <= UPDATE_SHARE)


def choose_lanes(graph: Graph, *, goal: Goal, calibration: Mapping[str, Array]) -> Graph:
    """Each population in slices, one a lane; lanes are the placement's cores. The choice is a note.

    Without `lanes`, the fewest lanes with which every layer ends a step in `cycles`, at the rates of the calibration
    data or a tenth. Raises CompileError (NMC451) if none are enough.
    """
    sizes = {n.name: size_of(output_shape(n.op)) for n in graph.nodes if isinstance(n.op, Neuron)}
    events = expected_events(graph, calibration)
    if goal.lanes is not None:
        chosen = {name: used_lanes(graph, name, goal.lanes) for name in sizes}
    else:
        assert goal.cycles is not None
        chosen = {name: _fastest_enough(graph, name, events, goal.cycles) for name in sizes}
    placement: list[Slice] = []
    for name, size in sizes.items():
        words = words_of(graph, name, chosen[name])
        placement += [
            Slice(name, start, min(start + words, size), len(placement) + k)
            for k, start in enumerate(range(0, size, words))
        ]
    known = "measured" if calibration else f"assumed {ASSUMED_RATE:g}"
    notes = [
        note(
            "NMC452",
            f"`{name}` gets {lanes} lanes: about {step_cycles(graph, name, lanes, events):.0f} cycles a step at "
            f"{known} rates",
            graph[name].loc,
            help="`--set lanes=` or `cycles_per_step=` chooses otherwise",
        )
        for name, lanes in chosen.items()
    ]
    return replace_graph(graph, placement=tuple(placement)).with_notes(notes)


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


def _choices(graph: Graph, name: str) -> list[int]:
    size = size_of(output_shape(graph[name].op))
    return sorted({used_lanes(graph, name, lanes) for lanes in range(1, size + 1)})


def _fastest_enough(graph: Graph, name: str, events: Mapping[str, Array], cycles: int) -> int:
    choices = _choices(graph, name)
    low, high = 0, len(choices) - 1
    if step_cycles(graph, name, choices[high], events) > cycles:
        least = step_cycles(graph, name, choices[high], events)
        message = (
            f"`{name}` takes about {least:.0f} cycles a step with {choices[high]} lanes; {cycles} are wanted"
        )
        raise CompileError(error("NMC451", message, graph[name].loc, help="raise `--set cycles_per_step=`"))
    while low < high:
        middle = (low + high) // 2
        if step_cycles(graph, name, choices[middle], events) <= cycles:
            high = middle
        else:
            low = middle + 1
    return choices[low]
