"""Neurons onto cores: contiguous slices of each population, as few cores as the limits of one core allow."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Diagnostic, Excess, error
from nmc.ir.connections import Connection, connections
from nmc.ir.graph import Graph, Node, Slice, replace_graph
from nmc.ir.linear import Matrix, matrix, size_of, synapses
from nmc.ir.ops import Conv, Linear, Neuron, Sparse, output_shape
from nmc.target import TargetSpec

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FanIn:
    """Who reaches a population through one connection: a matrix (post, pre) of synapse counts, bits of each."""

    src: str
    counts: Matrix
    bits: int


@dataclass(slots=True)
class Core:
    """What one core holds so far."""

    slices: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    neurons: int = 0
    words: int = 0
    axons_in: int = 0
    axons_out: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What a slice takes of a core."""

    neurons: int
    words: int
    axons_in: int


def place(graph: Graph, *, target: TargetSpec) -> Graph:
    """Every population in slices on cores, in the order of `nodes`, neighbours of the graph on neighbouring cores.

    A core is full at the first of `neurons_per_core`, `synaptic_words_per_core` (words of `synaptic_word_bits`, a
    synapse never crossing two), `input_axons_per_core` and `output_axons_per_core`.
    Raises CompileError: NMC300 and NMC302 for one neuron that no core can hold or serve, NMC301
    for more cores than there are.
    """
    fan_in = fan_ins(graph)
    widest = {node.name: _limit(target, "neurons_per_core") for node in graph.nodes if _is_placed(node)}
    while True:
        slices = {name: _slices(graph[name], fan_in[name], most, target) for name, most in widest.items()}
        narrower = _too_many_axons_out(graph, slices, fan_in, widest, target=target)
        if not narrower:
            break
        widest |= narrower
    cores = _pack(slices, fan_in, target)
    available = _limit(target, "cores")
    if len(cores) > available:
        message = f"the network takes {len(cores)} cores of `{target.name}`, which has {available}"
        excess = Excess("cores", len(cores), available)
        raise CompileError(error("NMC301", message, graph.nodes[0].loc, help=_advice(slices), excess=excess))
    placement = tuple(
        Slice(name, start, stop, index)
        for index, core in enumerate(cores)
        for name, start, stop in core.slices
    )
    return replace_graph(graph, placement=placement)


def core_loads(graph: Graph, *, target: TargetSpec) -> list[Core]:
    """What each core of a placed graph holds, by core index."""
    fan_in = fan_ins(graph)
    cores = [Core() for _ in range(1 + max((s.core for s in graph.placement), default=-1))]
    where = {(s.node, s.start, s.stop): s.core for s in graph.placement}
    reached = _destinations(
        {name: [(s.start, s.stop) for s in graph.placement if s.node == name] for name in fan_in}, fan_in
    )
    for (name, start, stop), index in where.items():
        load = _load(fan_in[name], start, stop, target)
        core = cores[index]
        core.slices.append((name, start, stop))
        core.neurons += load.neurons
        core.words += load.words
        core.axons_in += load.axons_in
        core.axons_out += int(reached[name][start:stop].sum()) if name in reached else 0
    return cores


def fan_ins(graph: Graph) -> dict[str, list[FanIn]]:
    """The connections into each population."""
    found: dict[str, list[FanIn]] = {node.name: [] for node in graph.nodes if _is_placed(node)}
    for link in connections(graph):
        if link.dst in found:
            found[link.dst].append(_fan_in(graph, link))
    return found


def _fan_in(graph: Graph, link: Connection) -> FanIn:
    op = graph[link.name].op
    assert isinstance(op, Linear | Sparse | Conv)
    number = op.weight.number
    delayed = link.delay > 1 or (isinstance(op, Sparse) and bool(op.delay.data.any()))
    counts: Matrix = matrix(synapses(op))
    counts.data = np.ones_like(counts.data)
    return FanIn(link.src, counts, (8 if number is None else number.bits) + (DELAY_BITS if delayed else 0))


DELAY_BITS = 6
"""Bits of a synapse's delay, 0 to 62: as Loihi stores it (Davies et al., IEEE Micro 38(1), 2018)."""


def _is_placed(node: Node) -> bool:
    return isinstance(node.op, Neuron)


def _limit(target: TargetSpec, name: str) -> int:
    return int(target.limits[name].value)


def _load(fan_in: list[FanIn], start: int, stop: int, target: TargetSpec) -> Load:
    word = _limit(target, "synaptic_word_bits")
    words = axons = 0
    for incoming in fan_in:
        rows: Matrix = incoming.counts[start:stop]
        words += -(-int(rows.nnz) // (word // incoming.bits))
        axons += len(np.unique(rows.indices))
    return Load(stop - start, words, axons)


def _fits(load: Load, target: TargetSpec) -> bool:
    return (
        load.neurons <= _limit(target, "neurons_per_core")
        and load.words <= _limit(target, "synaptic_words_per_core")
        and load.axons_in <= _limit(target, "input_axons_per_core")
    )


def _slices(node: Node, fan_in: list[FanIn], widest: int, target: TargetSpec) -> list[tuple[int, int]]:
    """The longest slices that fit, one after the other."""
    total = size_of(output_shape(node.op))
    found: list[tuple[int, int]] = []
    start = 0
    while start < total:
        low, high = start, min(total, start + widest)
        while low < high:  # the load grows with the slice: bisect on its end
            middle = (low + high + 1) // 2
            if _fits(_load(fan_in, start, middle, target), target):
                low = middle
            else:
                high = middle - 1
        if low == start:
            raise CompileError(_one_neuron_too_large(node, start, fan_in, target))
        found.append((start, low))
        start = low
    return found


def _one_neuron_too_large(node: Node, index: int, fan_in: list[FanIn], target: TargetSpec) -> Diagnostic:
    load = _load(fan_in, index, index + 1, target)
    words, axons = _limit(target, "synaptic_words_per_core"), _limit(target, "input_axons_per_core")
    message = (
        f"neuron {index} of `{node.name}` takes {load.words} synaptic words and {load.axons_in} input axons; "
        f"a core of `{target.name}` has {words} and {axons}"
    )
    excess = max(
        Excess("synaptic_words_per_core", load.words, words),
        Excess("input_axons_per_core", load.axons_in, axons),
        key=lambda each: each.needed / each.available,
    )
    return error(
        "NMC300",
        message,
        node.loc,
        help="use fewer weight bits, prune, or split the layer's inputs",
        excess=excess,
    )


def _destinations(
    slices: dict[str, list[tuple[int, int]]], fan_in: dict[str, list[FanIn]]
) -> dict[str, Integers]:
    """For each neuron of each population how many slices it reaches."""
    reached: dict[str, Integers] = {}
    for name, parts in slices.items():
        for incoming in fan_in[name]:
            counts = reached.setdefault(incoming.src, np.zeros(incoming.counts.shape[1], np.int64))
            for start, stop in parts:
                rows: Matrix = incoming.counts[start:stop]
                counts[np.unique(rows.indices)] += 1
    return reached


def _too_many_axons_out(
    graph: Graph,
    slices: dict[str, list[tuple[int, int]]],
    fan_in: dict[str, list[FanIn]],
    widest: dict[str, int],
    *,
    target: TargetSpec,
) -> dict[str, int]:
    """Smaller slice widths for populations of which a slice would need more output axons than a core has."""
    limit = _limit(target, "output_axons_per_core")
    reached = _destinations(slices, fan_in)
    narrower: dict[str, int] = {}
    for name, parts in slices.items():
        if name not in reached:
            continue
        worst = max(int(reached[name][start:stop].sum()) for start, stop in parts)
        width = min(widest[name], max(stop - start for start, stop in parts))
        if worst > limit and width == 1:
            message = f"a neuron of `{name}` reaches {worst} cores; a core has {limit} output axons"
            raise CompileError(
                error(
                    "NMC302",
                    message,
                    graph[name].loc,
                    help="use a smaller layer after it",
                    excess=Excess("output_axons_per_core", worst, limit),
                )
            )
        if worst > limit:
            narrower[name] = max(1, min(width - 1, limit // max(1, int(reached[name].max()))))
    return narrower


def _pack(
    slices: dict[str, list[tuple[int, int]]], fan_in: dict[str, list[FanIn]], target: TargetSpec
) -> list[Core]:
    """Next fit: a slice goes onto the last core if it fits there too, else onto a new one."""
    reached = _destinations(slices, fan_in)
    cores: list[Core] = []
    for name, parts in slices.items():
        for start, stop in parts:
            load = _load(fan_in[name], start, stop, target)
            out = int(reached[name][start:stop].sum()) if name in reached else 0
            last = cores[-1] if cores else None
            together = last and Load(
                last.neurons + load.neurons, last.words + load.words, last.axons_in + load.axons_in
            )
            outs = 0 if last is None else last.axons_out + out
            if (
                last is None
                or together is None
                or not _fits(together, target)
                or outs > _limit(target, "output_axons_per_core")
            ):
                last = Core()
                cores.append(last)
            last.slices.append((name, start, stop))
            last.neurons += load.neurons
            last.words += load.words
            last.axons_in += load.axons_in
            last.axons_out += out
    return cores


def _advice(slices: dict[str, list[tuple[int, int]]]) -> str:
    name, parts = max(slices.items(), key=lambda item: len(item[1]))
    return f"`{name}` alone takes {len(parts)}: use fewer weight bits or a smaller layer"
