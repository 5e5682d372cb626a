"""What the specification says is what the program's formats and Lava's source say."""

from __future__ import annotations

from nmc.backends.loihi import program
from nmc.backends.loihi.spec import COSTS, LIMITS, LOIHI, PROGRAMMED, STOCK
from nmc.target import Basis


def test_the_neurons_are_what_the_programs_formats_hold() -> None:
    assert program.STATE.bits == STOCK.v_bits == STOCK.i_bits
    assert program.THRESHOLD.bits == STOCK.threshold_bits
    assert program.BIAS.bits == STOCK.bias_bits
    assert program.BIAS_EXPONENT.highest == STOCK.bias_shift
    assert program.STATE_SHIFT == STOCK.threshold_shift == STOCK.input_shift
    assert STOCK.decay_bits == program.DECAY_BITS
    assert program.REFRACTORY.highest == PROGRAMMED.refractory
    assert LOIHI.weights.exponents == program.WEIGHT_EXPONENTS
    assert LOIHI.message_bits == program.MESSAGE_BITS
    assert LOIHI.max_delay.value <= program.DELAY.highest


def test_every_figure_has_a_unit_and_a_source() -> None:
    for figure in (*LIMITS.values(), *COSTS.values(), LOIHI.max_delay):
        assert figure.unit
        assert figure.source
        assert figure.value > 0
    assert all(figure.basis is Basis.MEASURED for figure in COSTS.values())
