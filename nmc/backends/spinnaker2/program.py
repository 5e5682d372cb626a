"""The emitted program as a value: which code runs on each PE, and what stands in its memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from nmc.backends.spinnaker2.blocks import Format
from nmc.backends.spinnaker2.mapping.mapping import Table
from nmc.backends.spinnaker2.spec import Chip
from nmc.ir.ops import Shape, Signal

Array = npt.NDArray[Any]

SWITCHES = (
    "NEURON", "SENDS", "REAL", "SUM_BITS", "WIDE_DRIVE", "SYNAPSE", "LEAK", "FIRE", "RESET", "WHEN", "AT_LEAST",
    "CLAMP", "REFRACTORY", "BIAS", "OWN_DECAY", "OWN_SYNAPSE_DECAY", "OWN_BIAS", "OWN_THRESHOLD", "OWN_MINIMUM",
    "OWN_REFRACTORY", "GRADED", "HAS_DENSE", "HAS_NARROW", "HAS_DELAYED", "HAS_WIDE", "HAS_CONV", "HAS_SUMS",
    "DECAY_BITS", "INPUT_SHIFT",
)  # fmt: skip
"""The switches of `kind.h`, in its order."""

STATE = ("V", "I", "WAIT")
OWN = ("DECAY", "SYNAPSE_DECAY", "BIAS", "THRESHOLD", "MINIMUM", "REFRACTORY")
"""The words of `struct cell` that can be there, states and then own parameters, in its order."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A program: the firmware with these switches, in the order of `SWITCHES`."""

    values: tuple[int, ...]

    def __getitem__(self, switch: str) -> int:
        return self.values[SWITCHES.index(switch)]

    @property
    def header(self) -> str:
        """`kind.h`."""
        lines = [f"#define {name} {value}\n" for name, value in zip(SWITCHES, self.values, strict=True)]
        return f"/* Which neuron, which formats: the program `{self.name}`. */\n{''.join(lines)}"

    @property
    def name(self) -> str:
        """A short name for people, and a digest, since there are many kinds."""
        what = "sums"
        if self["NEURON"]:
            what = ("cuba" if self["SYNAPSE"] else "") + ("l" if self["LEAK"] else "") + "i"
            what += ("f" if self["FIRE"] else "") + ("-float" if self["REAL"] else "")
        return f"{what}-{hashlib.sha256(repr(self.values).encode()).hexdigest()[:8]}"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `struct cell`, in its order; nothing on a PE that sums for others."""
        if not self["NEURON"]:
            return ()
        state = ("V", *(("I",) if self["SYNAPSE"] else ()), *(("WAIT",) if self["REFRACTORY"] else ()))
        return (*state, *(name for name in OWN if self[f"OWN_{name}"]))


@dataclass(frozen=True, slots=True)
class Convolution:
    """What the firmware knows of a convolution, `struct conv`: see there."""

    channels: Array
    """(channel in, 3): where its kernels begin, in bytes, the first channel of the box that they serve, how many."""
    rows: Array
    """(row in, 3): the first tap, how many, the row of the box that the first tap serves."""
    columns: Array
    offset: int
    radix: tuple[int, int]
    role: tuple[int, int, int]
    origin: tuple[int, int, int]
    depth: int
    width: int
    kernel_width: int
    steps: tuple[int, int, int, int]
    """From tap to tap in y and x; from place to place in y and x."""


SUMS = 5
"""The format of partial sums: `Format` has those of synapses."""


@dataclass(frozen=True, slots=True)
class Block:
    """The synapses from local neurons `start` to `start + rows` of a source; `delay` is the least, 1 or more.

    `table` is where each row begins in words of `data`, for lists; `data` are rows, words or kernels.
    """

    layout: int
    delay: int
    start: int
    rows: int
    table: Array | Convolution | None
    data: Array | None

    @property
    def format(self) -> Format | None:
        """The format of its synapses; None of partial sums."""
        return None if self.layout == SUMS else Format(self.layout)


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends packets with keys `key` to `key | ~mask`, and what they mean here."""

    key: int
    mask: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Pe:
    """A PE with work to do.

    `neurons` are ids in the population, in local order; of a PE that sums for others (`part` is theirs) those of
    the part. `cells` (neurons, words) are int32, or float32 as they are. `shared` are the parameters in `struct pe`.
    """

    pe: int
    kind: Kind
    part: int
    population: str
    neurons: Array
    key: int
    sends: bool
    slots: int
    cells: Array
    shared: tuple[int | float, ...]
    sources: tuple[Source, ...]


SHARED = ("DECAY", "SYNAPSE_DECAY", "BIAS", "THRESHOLD", "MINIMUM", "REFRACTORY")
"""The parameters in `struct pe`, in its order."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """An input of the model: local neuron k is element `neurons[k]` and sends `key + k`."""

    name: str
    signal: Signal
    neurons: Array
    key: int
    sends: bool


@dataclass(frozen=True, slots=True)
class Exit:
    """An output of the model: what `of` gives, `delay` steps later."""

    name: str
    of: str
    delay: int


@dataclass(frozen=True, slots=True)
class Group:
    """A population, for people who ask for its spikes and states."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Network:
    """The whole program. PEs ascend; a population's parts are in the order of `part`."""

    chip: Chip
    inputs: tuple[Entrance, ...]
    populations: tuple[Group, ...]
    outputs: tuple[Exit, ...]
    pes: tuple[Pe, ...]
    tables: tuple[Table, ...]
