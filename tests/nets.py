"""Small networks by hand, with every attribute at its plainest, for tests that change one thing."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from nmc.diagnostics import Loc
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Accumulator,
    Fire,
    Input,
    Linear,
    Membrane,
    Neuron,
    Op,
    Output,
    Shape,
    Signal,
    SignalKind,
    output_shape,
)
from nmc.ir.tensor import FixedPoint, Tensor

FILE = "model.nir"
STATE = FixedPoint(12, True, -6)
ARITHMETIC = Arithmetic(
    v_bits=16,
    i_bits=16,
    decay_form=DecayForm.MULTIPLY,
    decay_bits=8,
    rounding=Rounding.TO_ZERO,
    v_overflow=Overflow.SATURATE,
    i_overflow=Overflow.WRAP,
    comparisons=(Comparison.ABOVE,),
    resets=((Reset.TO_VALUE, ResetWhen.SAME_STEP),),
    threshold_bits=10,
    threshold_shift=2,
    input_shift=0,
    bias_bits=6,
    bias_shift=3,
)


def spikes(*shape: int) -> Input:
    """An input of spikes."""
    return Input(Signal(shape, SignalKind.SPIKE))


def lif(*shape: int) -> Neuron:
    """A LIF population in reals: decay 0.9, threshold 1, reset to zero."""
    zero = Tensor(0.0)
    fire = Fire(
        Tensor(1.0),
        Comparison.ABOVE,
        SpikeFrom.NEW,
        Reset.TO_VALUE,
        ResetWhen.SAME_STEP,
        zero,
        Tensor(0),
    )
    return Neuron(shape, None, Membrane(Tensor(0.9), None, None, None, zero), fire)


def integer_lif(*shape: int) -> Neuron:
    """The same in the integers of `ARITHMETIC`, state exponent -6: decay 230/256, threshold 64 units."""
    real = lif(*shape)
    assert real.fire is not None
    zero = Tensor(0, STATE)
    membrane = replace(real.membrane, decay=Tensor(230, FixedPoint(9, False, -8)), initial=zero)
    fire = replace(real.fire, threshold=Tensor(16, FixedPoint(10, False, -4)), value=zero)
    return Neuron(shape, None, membrane, fire, ARITHMETIC, -6)


def linear(post: int, pre: int) -> Linear:
    """A matrix of small reals, no bias."""
    return Linear(Tensor(np.arange(post * pre).reshape(post, pre) / 64))


def integer_linear(post: int, pre: int) -> Linear:
    """A matrix of small integers at 2**-6 into 12 bits that cannot overflow."""
    weight = Tensor(np.arange(post * pre).reshape(post, pre) - 3, FixedPoint(8, True, -6))
    return Linear(weight, None, Accumulator(STATE, Rounding.FLOOR, Overflow.PROVED_ABSENT))


def chain(**ops: Op) -> Graph:
    """Nodes one after the other, each in the file `FILE`; an output is added."""
    last = list(ops)[-1]
    shape: Shape = output_shape(ops[last])
    nodes = [Node(name, op, Loc(FILE, name)) for name, op in {**ops, "output": Output(shape)}.items()]
    edges = [Edge(a.name, b.name) for a, b in pairwise(nodes)]
    return Graph(tuple(nodes), tuple(edges))


def feed_forward() -> Graph:
    """input -> fc1 -> lif1 -> fc2 -> lif2 -> output, in reals."""
    return chain(input=spikes(4), fc1=linear(3, 4), lif1=lif(3), fc2=linear(2, 3), lif2=lif(2))


def integer_feed_forward() -> Graph:
    """input -> fc1 -> lif1 -> output, in integers."""
    return chain(input=spikes(4), fc1=integer_linear(3, 4), lif1=integer_lif(3))
