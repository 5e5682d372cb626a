"""A graph of whole numbers on Loihi's arithmetic as it stands: nothing is scaled and nothing is rounded."""

from dataclasses import replace

import numpy as np

from nmc.backends.loihi.spec import STOCK
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Graph
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Flatten,
    Input,
    Linear,
    Neuron,
    Op,
    Output,
    Signal,
    SignalKind,
    Sparse,
)
from nmc.ir.tensor import FixedPoint, Tensor

WEIGHT, BIAS, THRESHOLD = FixedPoint(9, True, 0), FixedPoint(24, True, 0), FixedPoint(18, False, 0)
DECAY, STATE = FixedPoint(13, False, -12), FixedPoint(24, True, -6)
ACCUMULATOR = Accumulator(FixedPoint(32, True, 0), Rounding.FLOOR, Overflow.PROVED_ABSENT)


def whole(tensor: Tensor, number: FixedPoint) -> Tensor:
    mantissas = np.ldexp(tensor.values, -number.exponent)
    assert np.array_equal(mantissas, np.round(mantissas))
    return Tensor(mantissas.astype(np.int64), number)


def optional(tensor: Tensor | None, number: FixedPoint) -> Tensor | None:
    return None if tensor is None else whole(tensor, number)


def on_loihi(graph: Graph, *, input_bits: int = 0) -> Graph:
    """The graph in integers; inputs are spikes, or unsigned numbers of `input_bits`."""
    return graph.replace_nodes({node.name: _in_integers(node.op, input_bits) for node in graph.nodes})


def _in_integers(op: Op, input_bits: int) -> Op:
    match op:
        case Input(signal):
            graded = Signal(signal.shape, SignalKind.GRADED, FixedPoint(max(1, input_bits), False, 0))
            return Input(graded if input_bits else Signal(signal.shape, SignalKind.SPIKE))
        case Linear() | Conv():
            bias = optional(op.bias, BIAS)
            return replace(op, weight=whole(op.weight, WEIGHT), bias=bias, accumulator=ACCUMULATOR)
        case Sparse():
            return replace(op, weight=whole(op.weight, WEIGHT), accumulator=ACCUMULATOR)
        case Neuron():
            return _neuron(op)
        case Flatten() | Output():
            return op
        case _:
            raise AssertionError(type(op).__name__)


def _neuron(op: Neuron) -> Neuron:
    assert op.fire is not None
    assert op.membrane.decay is not None
    zero = Tensor(np.int64(0), STATE)
    synapse = op.synapse
    if synapse is not None:
        synapse = replace(synapse, decay=whole(synapse.decay, DECAY), initial=zero)
    membrane = replace(
        op.membrane,
        decay=whole(op.membrane.decay, DECAY),
        bias=optional(op.membrane.bias, BIAS),
        initial=zero,
    )
    fire = replace(op.fire, threshold=whole(op.fire.threshold, THRESHOLD), value=zero)
    return replace(op, synapse=synapse, membrane=membrane, fire=fire, arithmetic=STOCK, exponent=-6)
