"""The FPGA core as data: what its neurons compute, what parts hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset, ResetWhen
from nmc.ir.ops import Family
from nmc.target import Basis, Figure, TargetSpec, WeightFormat

SOURCE = "this project's own core: nmc/backends/fpga/rtl"

STATE_BITS = 24
"""The widest state; `narrow` makes registers as narrow as the weights prove, and saturates where this is reached."""

WEIGHT_BITS = tuple(range(2, 17))
MESSAGE_BITS = 16

RESETS = (
    (Reset.TO_VALUE, ResetWhen.SAME_STEP),
    (Reset.SUBTRACT, ResetWhen.SAME_STEP),
    (Reset.NONE, ResetWhen.SAME_STEP),
    *(
        (reset, when)
        for reset in (Reset.TO_VALUE, Reset.SUBTRACT)
        for when in (ResetWhen.NEXT_BEFORE_LEAK, ResetWhen.NEXT_AFTER_LEAK, ResetWhen.NEXT_AFTER_INPUT)
    ),
    (Reset.SUBTRACT, ResetWhen.SAME_STEP_ONCE),
)


def fraction_bits(weight_bits: int) -> int:
    """Bits of a state below a weight's unit: narrow weights leave thresholds of few units, decays need finer ones."""
    return max(2, 12 - weight_bits)


def shifting(weight_bits: int) -> Arithmetic:
    """Neurons whose decay is a sum of shifts, one for all of a population."""
    return Arithmetic(
        v_bits=STATE_BITS,
        i_bits=STATE_BITS,
        decay_form=DecayForm.SHIFTS,
        decay_bits=8,
        rounding=Rounding.FLOOR,
        v_overflow=Overflow.SATURATE,
        i_overflow=Overflow.SATURATE,
        comparisons=tuple(Comparison),
        resets=RESETS,
        threshold_bits=STATE_BITS - 2,
        threshold_shift=0,
        input_shift=fraction_bits(weight_bits),
        bias_bits=STATE_BITS - 1,
        bias_shift=0,
        minimum=True,
        refractory=255,
        heterogeneous=("bias", "threshold"),
    )


def multiplying(weight_bits: int) -> Arithmetic:
    """Neurons with a multiplier, and with a decay of each neuron's own."""
    return replace(
        shifting(weight_bits),
        decay_form=DecayForm.MULTIPLY,
        decay_bits=12,
        heterogeneous=("bias", "decay", "synapse_decay", "threshold"),
    )


def spec(weight_bits: int) -> TargetSpec:
    """The core with weights of so many bits."""
    families = tuple(each for each in Family if each is not Family.THRESHOLD)
    return replace(
        FPGA,
        neurons=MappingProxyType({family: shifting(weight_bits) for family in families}),
        programmable=MappingProxyType({family: multiplying(weight_bits) for family in families}),
        weights=WeightFormat((weight_bits,), shift=0, exponents=(0, 0), unscaled=()),
    )


def _chosen(value: float, unit: str) -> Figure:
    return Figure(value, unit, SOURCE, Basis.DOCUMENTED)


FPGA = TargetSpec(
    name="fpga",
    title="an event-driven core a population, as SystemVerilog for simulators and open synthesis",
    source=SOURCE,
    neurons=MappingProxyType({family: shifting(8) for family in Family if family is not Family.THRESHOLD}),
    programmable=MappingProxyType(
        {family: multiplying(8) for family in Family if family is not Family.THRESHOLD}
    ),
    weights=WeightFormat(WEIGHT_BITS, shift=0, exponents=(0, 0), unscaled=()),
    connections=("Linear", "Sparse", "Conv"),
    connection_delay=0,  # a tick closes a step: events of step t reach the next layer in step t
    max_delay=_chosen(1023, "steps"),
    message_bits=MESSAGE_BITS,
    limits=MappingProxyType({}),
    costs=MappingProxyType({}),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A chip: its block RAMs as (words, bits) of each shape they can take, and how much of everything it has."""

    name: str
    shapes: tuple[tuple[int, int], ...]
    luts: int
    block_rams: int
    multipliers: int
    source: str
    logic: str = "LUT4"
    """What the place-and-route counts as logic, of which there are `luts`."""


PARTS = MappingProxyType(
    {
        part.name: part
        for part in (
            Part(
                "ecp5-85",
                ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
                luts=83640,
                block_rams=208,
                multipliers=156,
                source="Lattice FPGA-DS-02012, ECP5 and ECP5-5G family; nextpnr-ecp5 0.11.1 reports the same totals",
            ),
            Part(
                "ice40-up5k",
                ((256, 16), (512, 8), (1024, 4), (2048, 2)),
                luts=5280,
                block_rams=30,
                multipliers=8,
                source="Lattice FPGA-DS-02008, iCE40 UltraPlus family; nextpnr-ice40 0.11.1 reports the same totals",
                logic="logic cells",
            ),
        )
    }
)
"""The parts for which there are constraints and a place-and-route."""
