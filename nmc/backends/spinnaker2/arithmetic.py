"""What the firmware's neurons compute in integers, as comes naturally on a Cortex-M4F."""

from __future__ import annotations

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset, ResetWhen

WEIGHT_BITS = (4, 8)
"""Signs included. Words of four bits have room for a delay of their own."""
MESSAGE_BITS = 16
"""A payload has 32 bits; what is multiplied by weights and summed must leave room for the sum."""

DECAY_BITS = 24
"""A product of 64 bits (SMULL) and a shift: more bits cost nothing, and 24 leave golden's 64 bits room."""
INPUT_SHIFT = 8
"""A weight's unit is 256 units of the state: narrow weights leave thresholds of few units, decays need finer ones."""

INTEGER = Arithmetic(
    v_bits=32,
    i_bits=31,  # SSAT: current and bias together stay within the 32 bits of QADD
    decay_form=DecayForm.MULTIPLY,
    decay_bits=DECAY_BITS,
    rounding=Rounding.FLOOR,
    v_overflow=Overflow.SATURATE,
    i_overflow=Overflow.SATURATE,
    comparisons=tuple(Comparison),
    resets=(
        (Reset.TO_VALUE, ResetWhen.SAME_STEP),
        (Reset.SUBTRACT, ResetWhen.SAME_STEP),
        (Reset.NONE, ResetWhen.SAME_STEP),
        (Reset.MULTI_SPIKE, ResetWhen.SAME_STEP),
        *(
            (reset, when)
            for reset in (Reset.TO_VALUE, Reset.SUBTRACT)
            for when in (
                ResetWhen.NEXT_BEFORE_LEAK,
                ResetWhen.NEXT_AFTER_LEAK,
                ResetWhen.NEXT_AFTER_INPUT,
            )
        ),
        (Reset.SUBTRACT, ResetWhen.SAME_STEP_ONCE),
    ),
    threshold_bits=30,
    threshold_shift=0,
    input_shift=INPUT_SHIFT,
    bias_bits=30,
    bias_shift=0,
    minimum=True,
    refractory=65535,
    heterogeneous=("bias", "decay", "synapse_decay", "threshold"),
)
"""Every family of neurons; `firmware/update.c` is the code."""
