"""The emitted design as a value: streams from inputs through layers to outputs. `files.py` is its bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import numpy as np

from nmc.ir.ops import Shape
from nmc.ir.tensor import Array


def index_bits(count: int) -> int:
    """Bits of a number below `count`, at least one: $clog2 where it is not 0."""
    return max(1, (count - 1).bit_length())


KINDS = MappingProxyType(
    {
        "weights": "WEIGHT",
        "runs": "RUN",
        "rows": "ROW",
        "channels": "CHANNEL",
        "lines": "LINE",
        "columns": "COLUMN",
        "each": "EACH",
    }
)
"""What a layer's memories are called, and what the parameters of `nmc_layer` about each begin with."""

DEFAULTS = MappingProxyType({"FIRE": 1, "I_BITS": 1, "WAIT_BITS": 1})
"""Parameters of `nmc_layer` that are not 0 where they are left out; those that are always given apart."""


class Io(Enum):
    """What the streams of a design become at its edge."""

    STREAM = "stream"
    AXI = "axi"
    UART = "uart"
    AER = "aer"


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory of `words`, unsigned, `width` bits each, in slices of `slice` bits and banks of `bank` words."""

    name: str
    width: int
    slice: int
    bank: int
    words: tuple[Array, ...]
    """One array of integers below 2**slice for each slice, all words long."""

    @property
    def depth(self) -> int:
        """How many words."""
        return len(self.words[0])


@dataclass(frozen=True, slots=True)
class Leg:
    """A stream into a layer or an output: of `src`, `delay` steps later, ids from `offset` on.

    `depth` is the size of the queue behind the source's fork, 0 where the stream has the source for itself.
    `connection` is the model's name for the weights between the two, empty where there are none.
    """

    src: str
    delay: int
    offset: int
    depth: int
    connection: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """An input of the model. `value_bits` is 0 for spikes."""

    name: str
    instance: str
    shape: Shape
    value_bits: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """A population: the parameters of its `nmc_layer`, as integers by their names there."""

    name: str
    instance: str
    shape: Shape
    parameters: Mapping[str, int]
    legs: tuple[Leg, ...]
    memories: tuple[Memory, ...]
    synapses: tuple[int, ...] = ()
    """Of each row of weights that may change, bit p for lane p: whether there is a synapse; empty where all are."""

    def __getitem__(self, name: str) -> int:
        return self.parameters.get(name, DEFAULTS.get(name, 0))

    @property
    def words(self) -> int:
        """Words of accumulators."""
        return self["WORDS"] or -(-self["N"] // self["P"])

    @property
    def sweep(self) -> int:
        """Cycles in which all neurons go into their pipeline."""
        return self.words * (self["P"] // self["U"])

    @property
    def order(self) -> Array:
        """The neuron in each place (sweep, U), N and above for none."""
        groups = self["P"] // self["U"]
        at = np.arange(self.sweep)
        lane = (at % groups)[:, None] * self["U"] + np.arange(self["U"])
        return lane * self.words + (at // groups)[:, None]

    @property
    def queue_depth(self) -> int:
        """Words of the queue behind the neurons: DEPTH in nmc_layer.sv."""
        return 1 << (self.sweep + 1).bit_length()

    def memory(self, kind: str) -> Memory:
        """The memory of a kind: weights, runs, rows or each. Raises KeyError if the layer has none."""
        for memory in self.memories:
            if memory.name.endswith(f".{kind}"):
                return memory
        raise KeyError(kind)


@dataclass(frozen=True, slots=True)
class Sink:
    """An output of the model."""

    name: str
    instance: str
    leg: Leg


@dataclass(frozen=True, slots=True)
class Design:
    """The whole design, for one part."""

    part: str
    sources: tuple[Source, ...]
    layers: tuple[Layer, ...]
    sinks: tuple[Sink, ...]
    io: Io = Io.STREAM
    runtime: bool = False
    """Whether weights may be read and written while the design runs."""

    def producer(self, name: str) -> Source | Layer:
        """Who gives a stream."""
        return next(each for each in (*self.sources, *self.layers) if each.name == name)

    def size(self, name: str) -> int:
        """How many neurons a producer has."""
        return math.prod(self.producer(name).shape)

    def value_bits(self, name: str) -> int:
        """Bits of a producer's values, 0 for spikes."""
        producer = self.producer(name)
        if isinstance(producer, Source):
            return producer.value_bits
        return 0 if producer["FIRE"] else producer["V_BITS"]

    def signed(self, name: str) -> bool:
        """Whether a producer's values have a sign."""
        producer = self.producer(name)
        return producer.signed if isinstance(producer, Source) else True

    def word_bits(self, name: str) -> int:
        """Bits of a word {tick, value, id} of a producer."""
        return 1 + self.value_bits(name) + index_bits(self.size(name))

    def legs(self, name: str) -> list[Leg]:
        """The streams that a producer feeds."""
        every = [leg for layer in self.layers for leg in layer.legs] + [sink.leg for sink in self.sinks]
        return [leg for leg in every if leg.src == name]
