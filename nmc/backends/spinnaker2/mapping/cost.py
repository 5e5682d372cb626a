"""What a part takes of its PE, as `blocks.py` lays it out: no less than what `emit` will pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.blocks import Box
from nmc.backends.spinnaker2.mapping.kernels import fan_of_sparse
from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.mapping.network import Network, Projection, network_of
from nmc.backends.spinnaker2.sums import Bounds, bounds_of
from nmc.ir.graph import Graph
from nmc.ir.ops import Conv, Linear, Neuron, SignalKind, Sparse

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cut:
    """How a population is cut: the part of each neuron, and how many neurons each part has."""

    part_of: npt.NDArray[np.int32]
    sizes: Integers


def cut_of(parts: Sequence[Integers]) -> Cut:
    """The cut into `parts`."""
    sizes = np.array([len(each) for each in parts], np.int64)
    part_of = np.empty(int(sizes.sum()), np.int32)
    for index, neurons in enumerate(parts):
        part_of[neurons] = index
    return Cut(part_of, sizes)


@dataclass(frozen=True, slots=True)
class Fan:
    """What one connection brings to some neurons: from `parts` parts of `width` neurons altogether, `synapses`."""

    parts: int
    width: int
    synapses: int


@dataclass(frozen=True, slots=True)
class Traits:
    """What the bytes of a projection's synapses depend on, whichever neurons they go to."""

    longest: int
    """Steps of the longest delay."""
    span: int
    """Steps between the shortest and the longest."""
    weight_bits: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes of parts of one network. `traits` are by projection, `sum_bits` and `slots` of rings by population."""

    network: Network
    traits: Mapping[str, Traits]
    sum_bits: tuple[int, ...]
    slots: tuple[int, ...]

    def part_bytes(self, population: int, neurons: Integers, cuts: Sequence[Cut]) -> int:
        """Bytes of a PE with these neurons and all their synapses, where populations are cut like that."""
        into = self.network.into(population)
        fans = [self.fan(each, neurons, cuts[each.src]) for each in into]
        synapses = sum(self.fan_bytes(each, neurons, fan) for each, fan in zip(into, fans, strict=True))
        return self.base_bytes(population, len(neurons), sum(fan.parts for fan in fans)) + synapses

    def pes_needed(self, population: int, neurons: Integers, cuts: Sequence[Cut], room: int) -> int | None:
        """PEs that these neurons take if others may hold synapses for them; None if that does not help."""
        into = self.network.into(population)
        if any(isinstance(each.op, Conv) for each in into):
            return None
        total = self.part_bytes(population, neurons, cuts)
        lines = sum(len(cuts[each.src].sizes) for each in into)
        own = self.base_bytes(population, len(neurons), lines)
        helper = room - self.helper_bytes(population, len(neurons), lines)
        if own > room // 2 or helper < room // 2:
            return None
        # A block that is cut in two, on each border between PEs.
        return 1 + max(0, -(-(total - room) // (helper - len(into) * 2 * blocks.BLOCK_BYTES)))

    def helper_bytes(self, population: int, neurons: int, sources: int) -> int:
        """Bytes, without synapses, of a PE that sums for so many neurons of a population."""
        slots, bits = self.slots[population], self.sum_bits[population]
        return blocks.synapse_part_bytes(neurons, slots=slots, sum_bits=bits, sources=sources)

    def base_bytes(self, population: int, neurons: int, sources: int) -> int:
        """Bytes without synapses: program, stack, neurons, rings, and a line for each source."""
        op = self.network.populations[population].op
        assert isinstance(op, Neuron)
        slots, bits = self.slots[population], self.sum_bits[population]
        return blocks.part_bytes(op, neurons, slots=slots, sum_bits=bits, sources=sources)

    def fan(self, projection: Projection, neurons: Integers, cut: Cut) -> Fan:
        """What a projection brings; of a `Linear` every zero counts, of a `Conv` every tap."""
        op = projection.op
        match op:
            case Linear():
                return Fan(len(cut.sizes), len(cut.part_of), op.weight.shape[1] * len(neurons))
            case Sparse():
                touched = np.zeros(len(cut.sizes), np.bool_)
                synapses = fan_of_sparse(projection.first, projection.by_post, neurons, cut.part_of, touched)
                return Fan(int(touched.sum()), int(cut.sizes[touched].sum()), synapses)
            case Conv():
                box = blocks.box_of(neurons, self.network.populations[projection.dst].shape)
                seen = cut.part_of if box is None else field_of(op, box, cut.part_of)
                touched = np.unique(seen)
                taps = int(np.prod(op.weight.shape[1:])) * len(neurons)
                return Fan(len(touched), int(cut.sizes[touched].sum()), taps)

    def fan_bytes(self, projection: Projection, neurons: Integers, fan: Fan) -> int:
        """Bytes of the blocks of a projection to `neurons`."""
        op, single = projection.op, self.block_bytes(projection, fan, len(neurons))
        if not isinstance(op, Conv):
            return single
        box = blocks.box_of(neurons, self.network.populations[projection.dst].shape)
        return single if box is None else min(single, fan.parts * blocks.conv_bytes(op, box))

    def block_bytes(self, projection: Projection, fan: Fan, neurons: int) -> int:
        """Bytes of a projection's blocks as rows or lists."""
        if fan.parts == 0:
            return 0
        traits = self.traits[projection.name]
        whole = blocks.block_bytes(
            fan.width, neurons, fan.synapses, longest=traits.span, weight_bits=traits.weight_bits
        )
        # A table of rows has one entry more than rows, and the words of each block end at a multiple of four bytes.
        return whole + (fan.parts - 1) * (blocks.BLOCK_BYTES + 8)


def field_of(op: Conv, box: Box, values: Array) -> Array:
    """Those of `values`, one for each element that enters, that a box of the output may see."""
    image = values.reshape(blocks.image(op.in_shape))
    out = op.weight.shape[0] // op.groups
    shared = op.weight.shape[1]
    first, last = box.channels[0] // out, (box.channels[1] - 1) // out + 1
    windows: list[tuple[int, int]] = []
    spans = (box.rows, box.columns)[-len(op.stride) :]
    for (start, stop), k, s, (before, _), d in zip(
        spans, op.weight.shape[2:], op.stride, op.padding, op.dilation, strict=True
    ):
        windows.append((max(0, start * s - before), max(0, (stop - 1) * s - before + d * (k - 1) + 1)))
    (y0, y1), (x0, x1) = windows if len(windows) == 2 else ((0, 1), windows[0])
    return image[first * shared : last * shared, y0:y1, x0:x1]


def costs_of(graph: Graph) -> Costs:
    """The costs of a graph's network."""
    network, bounds = network_of(graph), bounds_of(graph)
    graded = {name for name, signal in graph.signals().items() if signal.kind is not SignalKind.SPIKE}
    traits: dict[str, Traits] = {}
    for each in network.projections:
        low = high = 0
        if isinstance(each.op, Sparse) and each.op.delay.size:
            low, high = int(each.op.delay.data.min()), int(each.op.delay.data.max())
        weight = each.op.weight.data
        largest = max(int(weight.max(initial=0)), -int(weight.min(initial=0)) - 1)
        traits[each.name] = Traits(max(1, each.delay + high), high - low, 1 + largest.bit_length())
    slots: list[int] = []
    sum_bits: list[int] = []
    for index, population in enumerate(network.populations):
        into = network.into(index)
        slots.append(blocks.slots(max((traits[each.name].longest for each in into), default=1)))
        wide = population.is_input or any(network.populations[each.src].name in graded for each in into)
        sum_bits.append(32 if wide else _sum_bits(bounds[population.name]))
    return Costs(network, traits, tuple(sum_bits), tuple(slots))


def _sum_bits(bounds: Bounds) -> int:
    return blocks.sum_bits(int(bounds.low.min(initial=0)), int(bounds.high.max(initial=0))) or 32
