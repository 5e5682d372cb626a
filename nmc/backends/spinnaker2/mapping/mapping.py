"""A mapping as a value: the neurons of each PE, the keys that they send, and the tables that route them.

Every source of packets has a block of keys of its own: local neuron k of a part sends `key + k`, and
`key & mask == key` holds for exactly the keys of the block. A packet is looked up once on each chip that it visits:
the first entry of that chip's table with `packet & mask == key` says to which PEs of the chip and over which links
to other chips it goes; within a chip it follows the XY tree of `routes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.spec import Chip

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Array = npt.NDArray[Any]

HOST = -1
"""The PE of an input: its packets come from outside, at the host's place on the first chip."""


@dataclass(frozen=True, slots=True)
class Part:
    """Neurons of one population on one PE, or a whole input, which is on none (`HOST`).

    `neurons` are ids in the population's C order, in local order: `neurons[k]` is local neuron k and sends
    `key + k`. `sends` is False if none of them reaches anybody: then no packet leaves, and the keys are unused.
    """

    population: str
    neurons: Integers
    pe: int
    key: int
    mask: int
    sends: bool = True

    @property
    def size(self) -> int:
        """How many neurons."""
        return len(self.neurons)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one connection for local neurons `start` (inclusive) to `stop` of a source.

    `source` counts `Mapping.sources`: parts first, then inputs.
    """

    connection: str
    source: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class SynapsePart:
    """A PE that holds synapses of a part whose fan-in is too large for one PE, and sums for it.

    In the tick in which its sources' packets count it sends `key + k` with the sum for local neuron k of
    `Mapping.parts[part]` as payload; the tables deliver that to the part's PE alone.
    """

    part: int
    rows: tuple[Rows, ...]
    pe: int
    key: int
    mask: int


@dataclass(frozen=True, slots=True)
class Table:
    """The routing table of one chip; the first entry that matches counts, a packet that none matches is dropped.

    `key`, `mask` are uint32 (entries,). `route` is uint64 (entries, words): bit l of the whole for link l
    (`spec.LINKS`), bit `len(LINKS) + p` for the PE p of the chip.
    """

    chip: int
    key: Array
    mask: Array
    route: Words

    @property
    def entries(self) -> int:
        """How many entries."""
        return len(self.key)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a mapping costs on the network, in packets a step at the given rates.

    `packets`: packets that arrive at PEs. `km1`: PEs beyond the first that packets are copied to (connectivity - 1).
    `hops`: links of all trees. `hottest`: packets on the busiest link.
    """

    packets: float
    km1: float
    hops: float
    hottest: float


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where everything is.

    `parts` are in the order of populations in the graph and of slices in each; a PE has at most one part or
    synapse part. Synapses of a part that no `synapse_parts` holds are on the part's own PE. `tables` has one
    table for each chip that packets visit, in the order of chips.
    """

    chip: Chip
    parts: tuple[Part, ...]
    inputs: tuple[Part, ...]
    synapse_parts: tuple[SynapsePart, ...]
    tables: tuple[Table, ...]
    traffic: Traffic
    grain: int = 0
    """Routing does not tell apart keys that differ in the lowest `grain` bits only: 0 unless the tables are full."""

    @property
    def sources(self) -> tuple[Part, ...]:
        """Everything that sends spikes: parts, then inputs."""
        return self.parts + self.inputs
