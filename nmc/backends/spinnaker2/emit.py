"""From a graph in the firmware's numbers and its mapping to the program of every PE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.arithmetic import DECAY_BITS, INPUT_SHIFT
from nmc.backends.spinnaker2.convolution import convolution
from nmc.backends.spinnaker2.mapping.mapping import Mapping as Placement
from nmc.backends.spinnaker2.mapping.mapping import Part
from nmc.backends.spinnaker2.program import (
    OWN,
    SUMS,
    SWITCHES,
    Array,
    Block,
    Entrance,
    Exit,
    Group,
    Kind,
    Network,
    Pe,
    Source,
)
from nmc.backends.spinnaker2.rows import Lists, list_block, lists_of, matrix_block
from nmc.backends.spinnaker2.sums import bounds_of
from nmc.ir.connections import Connection, connections
from nmc.ir.graph import Graph
from nmc.ir.neuron import Comparison
from nmc.ir.ops import Conv, Linear, LinearOp, Neuron, Output, SignalKind, output_shape
from nmc.ir.tensor import Tensor

NARROW_DRIVE = 1 << (30 - INPUT_SHIFT)
"""A sum below this, shifted to the state's unit, leaves room for a bias in 32 bits."""


def lower(graph: Graph, placement: Placement) -> Network:
    """The program that a graph stands for, on the PEs and with the keys of `placement`."""
    builder = _Builder(graph, placement)
    pes = sorted([*builder.neuron_pes(), *builder.sum_pes()], key=lambda each: each.pe)
    incoming = graph.incoming()
    signals = graph.signals()
    return Network(
        placement.chip,
        tuple(
            Entrance(each.population, signals[each.population], each.neurons, each.key, each.sends)
            for each in placement.inputs
        ),
        tuple(Group(node.name, node.op.shape) for node in graph.nodes if isinstance(node.op, Neuron)),
        tuple(
            Exit(node.name, edge.src, edge.delay)
            for node in graph.nodes
            if isinstance(node.op, Output)
            for edge in incoming[node.name]
        ),
        tuple(pes),
        placement.tables,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows `start` to `stop` of one connection from one source, which one PE holds."""

    source: int
    start: int
    stop: int


class _Builder:
    """What is known of the whole graph, and each PE built from it."""

    def __init__(self, graph: Graph, placement: Placement) -> None:
        self.graph = graph
        self.placement = placement
        self.signals = graph.signals()
        self.links: dict[str, list[Connection]] = defaultdict(list)
        for link in connections(graph):
            self.links[link.dst].append(link)
        self.bounds = bounds_of(graph)
        self.by_source: dict[str, list[int]] = defaultdict(list)
        for index, part in enumerate(placement.sources):
            self.by_source[part.population].append(index)
        self.parts_of: dict[str, list[int]] = defaultdict(list)
        for index, part in enumerate(placement.parts):
            self.parts_of[part.population].append(index)
        self.elsewhere: dict[int, dict[str, list[_Run]]] = defaultdict(lambda: defaultdict(list))
        for each in placement.synapse_parts:
            for rows in each.rows:
                self.elsewhere[each.part][rows.connection].append(_Run(rows.source, rows.start, rows.stop))
        self.lists: dict[str, Lists] = {}

    # ---- PEs

    def neuron_pes(self) -> Iterator[Pe]:
        """Those with neurons, population by population: the lists of a connection are in memory once at a time."""
        for parts in self.parts_of.values():
            self.lists = {}
            for index in parts:
                yield self._neuron_pe(index, self.placement.parts[index])
        self.lists = {}

    def sum_pes(self) -> Iterator[Pe]:
        """Those that sum for the neurons of others."""
        for each in self.placement.synapse_parts:
            part = self.placement.parts[each.part]
            runs: dict[str, list[_Run]] = defaultdict(list)
            for rows in each.rows:
                runs[rows.connection].append(_Run(rows.source, rows.start, rows.stop))
            sources, slots, layouts = self._sources(each.part, part, runs)
            switches = self._sum_switches(part, layouts) | {"NEURON": 0, "SENDS": 1}
            yield Pe(
                each.pe,
                _kind(switches),
                each.part,
                part.population,
                part.neurons,
                each.key,
                True,
                slots,
                np.zeros((0, 0), np.int32),
                (0,) * 6,
                tuple(sources),
            )

    def _neuron_pe(self, index: int, part: Part) -> Pe:
        op = self.graph[part.population].op
        assert isinstance(op, Neuron)
        runs = {link.name: self._own_runs(index, link) for link in self.links[part.population]}
        sources, slots, layouts = self._sources(index, part, runs)
        helpers = [each for each in self.placement.synapse_parts if each.part == index]
        for each in helpers:
            block = Block(SUMS, 1, 0, part.size, None, None)
            sources.append(Source(each.key, each.mask, (block,)))
        sources.sort(key=lambda each: each.key)
        switches = self._sum_switches(part, layouts) | _neuron_switches(op)
        switches["HAS_SUMS"] = int(bool(helpers))
        switches["SENDS"] = int(part.sends and op.fire is None)
        low, high = self.bounds[part.population].span(part.neurons)
        if not switches["REAL"]:
            switches["WIDE_DRIVE"] = int(max(high, -low) >= NARROW_DRIVE)
        kind = _kind(switches)
        cells, shared = _cells(op, part.neurons, kind)
        return Pe(
            part.pe, kind, index, part.population, part.neurons, part.key, part.sends, slots, cells, shared,
            tuple(sources),
        )  # fmt: skip

    def _sum_switches(self, part: Part, layouts: set[int]) -> dict[str, int]:
        graded = any(
            self.signals[link.src].kind is not SignalKind.SPIKE for link in self.links[part.population]
        )
        low, high = self.bounds[part.population].span(part.neurons)
        bits = blocks.sum_bits(low, high)
        assert bits is not None, "`prove_sums` refuses what no ring holds"
        named = {f"HAS_{each.name}": int(each in layouts) for each in blocks.Format}
        return {"SUM_BITS": 32 if graded else bits, "GRADED": int(graded), **named}

    # ---- synapses

    def _own_runs(self, index: int, link: Connection) -> list[_Run]:
        """The rows of a connection that no other PE holds for a part."""
        found: list[_Run] = []
        taken = self.elsewhere[index][link.name] if index in self.elsewhere else []
        for source in self.by_source[link.src]:
            spans = sorted((run.start, run.stop) for run in taken if run.source == source)
            ends = [(0, 0), *spans, (self.placement.sources[source].size,) * 2]
            found += [_Run(source, a, b) for (_, a), (b, _) in pairwise(ends) if a < b]
        return found

    def _sources(
        self, index: int, part: Part, runs: Mapping[str, list[_Run]]
    ) -> tuple[list[Source], int, set[int]]:
        """The sources of a PE with their blocks; the slots of its ring; the formats in use."""
        found: dict[int, list[Block]] = defaultdict(list)
        simd = self._sum_switches(part, set())["SUM_BITS"] == 16
        for link in self.links[part.population]:
            for run in runs.get(link.name, ()):
                block = self._block(link, run, index, part, simd=simd)
                if block is not None:
                    found[run.source].append(block)
        longest, layouts = 1, set[int]()
        for each in found.values():
            for block in each:
                layouts.add(block.layout)
                longest = max(longest, block.delay + _further(block))
        sources = [
            Source(self.placement.sources[source].key, self.placement.sources[source].mask, tuple(each))
            for source, each in sorted(found.items())
        ]
        return sources, blocks.slots(longest), layouts

    def _block(self, link: Connection, run: _Run, index: int, part: Part, *, simd: bool) -> Block | None:
        """The synapses of some rows in the format that takes fewest bytes; None if there are none."""
        op = self.graph[link.name].op
        assert isinstance(op, LinearOp)
        source = self.placement.sources[run.source]
        rows = run.stop - run.start
        shared = None
        if isinstance(op, Conv):
            shared = convolution(op, part.neurons, source.neurons, start=run.start, simd=simd)
        if isinstance(op, Linear):
            columns = source.neurons[run.start : run.stop]
            weights = op.weight.data[np.ix_(part.neurons, columns)].T
            return matrix_block(weights, delay=link.delay, start=run.start, simd=simd)
        block = self._list(link, op, run, index, part, simd=simd)
        if block is None or shared is None or _size(block) <= _shared_size(op, part.neurons):
            return block
        return Block(int(blocks.Format.CONV), link.delay, run.start, rows, *shared)

    def _list(
        self, link: Connection, op: LinearOp, run: _Run, index: int, part: Part, *, simd: bool
    ) -> Block | None:
        if link.name not in self.lists:
            targets = [self.placement.parts[each] for each in self.parts_of[part.population]]
            sources = [self.placement.sources[each] for each in self.by_source[link.src]]
            self.lists[link.name] = lists_of(op, targets, sources)
        target = self.parts_of[part.population].index(index)
        source = self.by_source[link.src].index(run.source)
        return list_block(
            self.lists[link.name],
            target,
            source,
            start=run.start,
            stop=run.stop,
            delay=link.delay,
            simd=simd,
        )


def _further(block: Block) -> int:
    """Steps of the longest delay in a list beyond the block's own."""
    if block.data is None or len(block.data) == 0:
        return 0
    if block.layout == blocks.Format.DELAYED:
        return int((block.data >> 9 & 7).max())
    return int((block.data >> 16 & 255).max()) if block.layout == blocks.Format.WIDE else 0


def _size(block: Block) -> int:
    """The bytes of a block of rows or lists."""
    table = 0 if block.table is None else 4 * len(block.table)  # type: ignore[arg-type]
    return blocks.BLOCK_BYTES + table + (0 if block.data is None else -(-block.data.nbytes // 4) * 4)


def _shared_size(op: LinearOp, neurons: Array) -> int:
    assert isinstance(op, Conv)
    box = blocks.box_of(neurons, output_shape(op))
    assert box is not None
    return blocks.conv_bytes(op, box)


# ---- neurons ----------------------------------------------------------------------------------------------


def _kind(switches: Mapping[str, int]) -> Kind:
    values = {"DECAY_BITS": DECAY_BITS, "INPUT_SHIFT": INPUT_SHIFT} | dict(switches)
    return Kind(tuple(values.get(name, 0) for name in SWITCHES))


def _neuron_switches(op: Neuron) -> dict[str, int]:
    own = {f"OWN_{name.upper()}": 1 for name in blocks.own_parameters(op)}
    found = {
        "NEURON": 1,
        "REAL": int(op.arithmetic is None),
        "SYNAPSE": int(op.synapse is not None),
        "LEAK": int(op.membrane.decay is not None),
        "BIAS": int(op.membrane.bias is not None),
        "CLAMP": int(op.membrane.minimum is not None),
        "FIRE": int(op.fire is not None),
        "REFRACTORY": int(blocks.rests(op)),
        **own,
    }
    if op.fire is not None:
        found |= {
            "RESET": int(op.fire.reset),
            "WHEN": int(op.fire.when),
            "AT_LEAST": int(op.fire.comparison is Comparison.AT_LEAST),
        }
    return found


def _cells(op: Neuron, neurons: Array, kind: Kind) -> tuple[Array, tuple[int | float, ...]]:
    """The cells of a PE's neurons as int32 words, and the parameters that they share as int32 words too."""
    fire, synapse, membrane = op.fire, op.synapse, op.membrane
    values = {
        "V": _words(op, membrane.initial),
        "I": _words(op, synapse and synapse.initial),
        "WAIT": _words(op, None),
        "DECAY": _words(op, membrane.decay, decay=True),
        "SYNAPSE_DECAY": _words(op, synapse and synapse.decay, decay=True),
        "BIAS": _words(op, membrane.bias),
        "THRESHOLD": _words(op, fire and fire.threshold),
        "MINIMUM": _words(op, membrane.minimum),
        "REFRACTORY": np.asarray(0 if fire is None else fire.refractory.data, np.int32),
    }
    cells = np.zeros((len(neurons), len(kind.words)), np.int32)
    for column, name in enumerate(kind.words):
        cells[:, column] = np.broadcast_to(values[name], op.shape).ravel()[neurons]
    return cells, tuple(int(np.ravel(values[name])[0]) for name in OWN)


def _words(op: Neuron, tensor: Tensor | None, *, decay: bool = False) -> Array:
    """A parameter as the 32 bits that the firmware reads: units of the state, or single precision."""
    if tensor is None:
        return np.zeros((), np.int32)
    if op.arithmetic is None:
        return tensor.values.astype(np.float32).view(np.int32)
    assert tensor.number is not None
    shift = 0 if decay else tensor.number.exponent - op.exponent
    return (tensor.data.astype(np.int64) << shift).astype(np.int32)
