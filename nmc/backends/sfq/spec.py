"""Superconducting counters as data: what a neuron of single flux quanta computes, and what it cannot."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset, ResetWhen
from nmc.ir.ops import Family
from nmc.target import Basis, Figure, TargetSpec, WeightFormat

SOURCE = "this project's own netlists: nmc/backends/sfq"

STATE_BITS = 40
"""The widest counter that is built; `Counter` makes each as narrow as the weights prove."""

WEIGHT_BITS = tuple(range(2, 13))
"""Bits of a weight, sign included."""

INTEGRATING = Arithmetic(
    v_bits=STATE_BITS,
    i_bits=STATE_BITS,
    decay_form=DecayForm.NONE,
    decay_bits=0,
    rounding=Rounding.FLOOR,
    v_overflow=Overflow.PROVED_ABSENT,
    i_overflow=Overflow.PROVED_ABSENT,
    comparisons=tuple(Comparison),
    resets=(
        (Reset.SUBTRACT, ResetWhen.SAME_STEP),
        (Reset.TO_VALUE, ResetWhen.SAME_STEP),
        (Reset.NONE, ResetWhen.SAME_STEP),
    ),
    threshold_bits=24,
    threshold_shift=0,
    input_shift=0,
    bias_bits=24,
    bias_shift=0,
    heterogeneous=("bias", "threshold"),
)
"""A counter that keeps its count: integrate and fire. A negative bias is a leak by a constant."""

CLEARED = replace(INTEGRATING, decay_form=DecayForm.MULTIPLY, v_decays=(0, 0))
"""A counter that is cleared in every step: a decay of zero, the threshold unit."""

MAX_DELAY = 1023


def spec(weight_bits: int) -> TargetSpec:
    """The target with weights of so many bits."""
    return replace(SFQ, weights=WeightFormat((weight_bits,), shift=0, exponents=(0, 0), unscaled=()))


SFQ = TargetSpec(
    name="sfq",
    title="a netlist of single-flux-quantum cells: threshold and integrate-and-fire neurons as counters of pulses",
    source=SOURCE,
    neurons=MappingProxyType({Family.IF: INTEGRATING, Family.LIF: CLEARED}),
    programmable=MappingProxyType({}),
    weights=WeightFormat(WEIGHT_BITS, shift=0, exponents=(0, 0), unscaled=()),
    connections=("Linear", "Sparse", "Conv"),
    connection_delay=0,  # a layer's slots come after those of the layer before it, in the same frame
    max_delay=Figure(MAX_DELAY, "steps", SOURCE, Basis.DOCUMENTED),
    message_bits=0,
    limits=MappingProxyType({}),
    costs=MappingProxyType({}),
)
