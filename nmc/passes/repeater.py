"""A neuron that spikes whenever anything comes in, and keeps nothing: relays, maxima, the constant one."""

from __future__ import annotations

import numpy as np

from nmc.ir.neuron import Comparison, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Fire, Membrane, Neuron, Shape
from nmc.ir.tensor import Tensor


def repeater(shape: Shape, *, bias: float = 0.0) -> Neuron:
    """v += x + bias; a spike where v > 1/2, then v = 0.

    For inputs that are whole and not negative nothing is left after a step without a spike, so that no leak
    is needed and every target has this neuron.
    """
    zero = Tensor(np.float64(0))
    constant = Tensor(np.float64(bias)) if bias else None
    fire = Fire(
        Tensor(np.float64(0.5)),
        Comparison.ABOVE,
        SpikeFrom.NEW,
        Reset.TO_VALUE,
        ResetWhen.SAME_STEP,
        zero,
        Tensor(np.int64(0)),
    )
    return Neuron(shape, None, Membrane(None, None, constant, None, zero), fire)
