"""Everything about a chip that a pass may ask. Data only; each figure with its unit, source and basis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from nmc.ir.neuron import Arithmetic
from nmc.ir.ops import Family


class Basis(Enum):
    """How far a figure can be trusted."""

    MEASURED = "measured"
    DOCUMENTED = "documented"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a chip."""

    value: float
    unit: str
    source: str
    basis: Basis


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """What a synapse can hold: signed mantissas of any of `bits`, and how accumulators align to the state.

    `bits` are ascending; a narrower mantissa stands at the upper bits of the widest. `shift` is the exponent of the
    widest weight's unit above the accumulator's (Loihi: mixed-sign weights are even, so 1). `exponents` are the
    further shifts that one connection may add, lowest and highest; those below zero drop bits of the sum and are
    used only where a graded message needs them. Connections of a class in `unscaled` have no exponent.
    """

    bits: tuple[int, ...]
    shift: int
    exponents: tuple[int, int]
    unscaled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A chip, as data.

    `neurons` says which families exist and how each computes; `programmable` what a neuron can compute that the
    user's own microcode would describe, where the chip has that. `connections` are the operations that a connection
    may be (by class name), `connection_delay` the steps that every connection adds by itself, `max_delay` the
    longest further delay of a synapse. `message_bits` is the width of a graded message, 0 where only spikes
    travel. `limits` are named resources, `costs` named times and energies.
    """

    name: str
    title: str
    source: str
    neurons: Mapping[Family, Arithmetic]
    programmable: Mapping[Family, Arithmetic]
    weights: WeightFormat
    connections: tuple[str, ...]
    connection_delay: int
    max_delay: Figure
    message_bits: int
    limits: Mapping[str, Figure]
    costs: Mapping[str, Figure]
