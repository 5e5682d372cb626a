"""Fan-in that no PE holds: synapses go to further PEs, row by row, which sum and send what they have to the neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.mapping.cost import Costs
from nmc.backends.spinnaker2.mapping.kernels import count_rows
from nmc.backends.spinnaker2.mapping.mapping import Integers, Part, Rows
from nmc.backends.spinnaker2.mapping.network import Projection
from nmc.ir.ops import Linear, Sparse

LINE = blocks.ENTRY_BYTES
"""Bytes of a source on a PE, besides its blocks."""


def synapses_by_row(projection: Projection, neurons: Integers) -> Integers:
    """How many synapses each source of a projection has to `neurons`; zeros of a row of a `Linear` count."""
    op = projection.op
    if isinstance(op, Linear):
        return np.any(op.weight.data[neurons], axis=0).astype(np.int64) * len(neurons)
    assert isinstance(op, Sparse), "images are cut until they fit"
    count = np.zeros(len(projection.start) - 1, np.int64)
    count_rows(projection.first, projection.by_post, neurons, count)
    return count


@dataclass(slots=True)
class Filling:
    """PEs that are being filled with the rows of one part: the part's own, then further ones."""

    costs: Costs
    population: int
    neurons: int
    limit: int
    rooms: list[int]
    rows: list[list[Rows]]

    def size(self, projection: Projection, rows: int, synapses: int) -> int:
        """Bytes of one block and of its source."""
        traits = self.costs.traits[projection.name]
        block = blocks.block_bytes(
            rows, self.neurons, synapses, longest=traits.span, weight_bits=traits.weight_bits
        )
        return LINE + block

    def open(self) -> None:
        """Go on with a PE more."""
        self.rooms.append(self.limit - self.costs.helper_bytes(self.population, self.neurons, 0))
        self.rows.append([])

    def add(self, projection: Projection, source: int, before: Integers) -> bool:
        """Add the rows of a source, of which the first n have `before[n]` synapses; False if one does not fit.

        They are cut where a PE is full, but only if they are too many for an empty one.
        """
        at, end = 0, len(before) - 1
        whole = self.size(projection, end, int(before[-1]))
        if whole > self.rooms[-1] and whole <= self.limit - self.costs.helper_bytes(
            self.population, self.neurons, 0
        ):
            self.open()
        while before[end] > before[at]:
            stop = self._stop(projection, before, at)
            if stop == at:
                if not self.rows[-1] and len(self.rows) > 1:
                    return False
                self.open()
                continue
            self.rooms[-1] -= self.size(projection, stop - at, int(before[stop] - before[at]))
            self.rows[-1].append(Rows(projection.name, source, at, stop))
            at = stop
        return True

    def _stop(self, projection: Projection, before: Integers, at: int) -> int:
        """Up to where the rows from `at` on fit what is left."""
        low, high = at, len(before)  # up to low fits, up to high does not
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.size(projection, middle - at, int(before[middle] - before[at])) <= self.rooms[-1]
            low, high = (middle, high) if fits else (low, middle)
        return low


def further_rows(
    costs: Costs, population: int, neurons: Integers, sources: Sequence[tuple[int, Part]], limit: int
) -> list[tuple[Rows, ...]] | None:
    """The rows that each further PE of a part holds, none if the part fits; None if a single row does not fit.

    `sources` are all sources of the network with their index, in local order.
    """
    counted = [(each, synapses_by_row(each, neurons)) for each in costs.network.into(population)]
    own = limit - costs.base_bytes(population, len(neurons), 0)
    expected = 0
    while own > 0:
        filling = Filling(costs, population, len(neurons), limit, [own], [[]])
        for projection, count in counted:
            name = costs.network.populations[projection.src].name
            for index, part in sources:
                if part.population == name:
                    before = np.concatenate(([0], np.cumsum(count[part.neurons])))
                    if not filling.add(projection, index, before):
                        return None
        further = [tuple(each) for each in filling.rows[1:]]
        if len(further) <= expected:
            return further
        own -= (len(further) - expected) * (LINE + blocks.BLOCK_BYTES)  # for the sums that each of them sends
        expected = len(further)
    return None
