"""A target for tests of passes: Loihi's integers with few of its limits, so that limits are easy to reach."""

from dataclasses import replace

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset, ResetWhen
from nmc.ir.ops import Family
from nmc.target import Basis, Figure, TargetSpec, WeightFormat

STOCK = Arithmetic(
    v_bits=24,
    i_bits=24,
    decay_form=DecayForm.MULTIPLY,
    decay_bits=12,
    rounding=Rounding.TO_ZERO,
    v_overflow=Overflow.SATURATE_SYMMETRIC,
    i_overflow=Overflow.WRAP_ONCE,
    comparisons=(Comparison.ABOVE,),
    resets=((Reset.TO_VALUE, ResetWhen.SAME_STEP),),
    threshold_bits=17,
    threshold_shift=6,
    input_shift=6,
    bias_bits=13,
    bias_shift=7,
    heterogeneous=("bias",),
    v_decays=(1, 4096),
    i_decays=(0, 4095),
)

PROGRAMMED = replace(
    STOCK,
    comparisons=tuple(Comparison),
    resets=tuple((reset, when) for reset in Reset for when in ResetWhen),
    minimum=True,
    clocked=True,
    refractory=63,
    heterogeneous=("bias", "decay", "synapse_decay", "threshold"),
    v_decays=(0, 4096),
)


def figure(value: float, unit: str = "") -> Figure:
    return Figure(value, unit, "made up for tests", Basis.ASSUMED)


TARGET = TargetSpec(
    name="test",
    title="a target for tests",
    source="made up",
    neurons={Family.CUBALIF: STOCK},
    programmable={Family.CUBALIF: PROGRAMMED, Family.CUBALI: PROGRAMMED},
    weights=WeightFormat(bits=tuple(range(1, 9)), shift=1, exponents=(-8, 7), unscaled=("Conv",)),
    connections=("Linear", "Sparse", "Conv"),
    connection_delay=1,
    max_delay=figure(6, "steps"),
    message_bits=16,
    limits={
        "cores": figure(16),
        "neurons_per_core": figure(32),
        "synaptic_words_per_core": figure(512),
        "synaptic_word_bits": figure(64),
        "input_axons_per_core": figure(128),
        "output_axons_per_core": figure(128),
    },
    costs={},
)
