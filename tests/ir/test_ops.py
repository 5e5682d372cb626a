"""Shapes of operations against PyTorch's rules worked by hand, families, and the walk over parameters."""

import numpy as np
import pytest

from nmc.ir.neuron import Comparison, CurrentUsed
from nmc.ir.ops import (
    Conv,
    Delay,
    Family,
    Flatten,
    Input,
    Ode,
    Op,
    Output,
    Pool,
    Pooling,
    Scale,
    Shape,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
    Threshold,
    input_shape,
    output_shape,
    parameters,
    ports,
)
from nmc.ir.tensor import Tensor
from tests.nets import lif, linear

NONE = Tensor(np.zeros(0, np.int64))


def conv(
    in_shape: Shape, weight: Shape, *, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape
) -> Conv:
    groups = in_shape[0] // weight[1]
    return Conv(in_shape, Tensor(np.zeros(weight)), None, stride, padding, dilation, groups)


@pytest.mark.parametrize(
    ("op", "takes", "gives"),
    [
        (Output((2, 3)), (2, 3), (2, 3)),
        (linear(5, 4), (4,), (5,)),
        (Sparse((2, 3), (4,), NONE, NONE, Tensor(np.zeros(0)), NONE), (2, 3), (4,)),
        (Scale((3,), Tensor(2.0)), (3,), (3,)),
        (Delay((3,), Tensor(2)), (3,), (3,)),
        (Threshold((3,), Tensor(2.0), Comparison.ABOVE), (3,), (3,)),
        (lif(2, 2), (2, 2), (2, 2)),
        (Flatten((2, 3, 4), 0, 2), (2, 3, 4), (24,)),
        (Flatten((2, 3, 4), 1, 2), (2, 3, 4), (2, 12)),
        (Flatten((2, 3, 4), 0, 1), (2, 3, 4), (6, 4)),
        (Flatten((2, 3, 4), 1, 1), (2, 3, 4), (2, 3, 4)),
        (
            conv((1, 28, 28), (8, 1, 5, 5), stride=(1, 1), padding=((0, 0),) * 2, dilation=(1, 1)),
            (1, 28, 28),
            (8, 24, 24),
        ),
        (
            conv((4, 9, 7), (6, 2, 3, 2), stride=(2, 3), padding=((1, 0), (2, 2)), dilation=(2, 1)),
            (4, 9, 7),
            (6, 3, 4),
        ),
        (
            conv((2, 10), (3, 2, 4), stride=(3,), padding=((0, 1),), dilation=(1,)),
            (2, 10),
            (3, 3),
        ),
        (Pool((2, 5, 5), Pooling.SUM, (2, 2), (2, 2), ((0, 0), (0, 0))), (2, 5, 5), (2, 2, 2)),
        (Pool((2, 5, 5), Pooling.MAX, (2, 2), (2, 2), ((1, 0), (1, 1))), (2, 5, 5), (2, 3, 3)),
    ],
)
def test_shapes_are_what_the_operation_takes_and_gives(op: Op, takes: Shape, gives: Shape) -> None:
    assert input_shape(op) == takes
    assert output_shape(op) == gives


def test_input_has_an_output_shape_and_no_port() -> None:
    op = Input(Signal((3, 4), SignalKind.REAL))
    assert output_shape(op) == (3, 4)
    assert ports(op) == ()
    assert ports(Output((3,))) == ("",)
    with pytest.raises(TypeError):
        input_shape(op)


@pytest.mark.parametrize(
    ("synapse", "leak", "fire", "family"),
    [
        (False, False, False, Family.INTEGRATOR),
        (False, False, True, Family.IF),
        (False, True, False, Family.LI),
        (False, True, True, Family.LIF),
        (True, True, False, Family.CUBALI),
        (True, True, True, Family.CUBALIF),
    ],
)
def test_family_follows_from_the_parts(synapse: bool, leak: bool, fire: bool, family: Family) -> None:
    one = Tensor(1.0)
    ode = Ode(
        (1,), one if synapse else None, one, one if leak else None, one, None, one if fire else None, None
    )
    assert ode.family is family


def test_parameters_walks_every_tensor_by_path() -> None:
    one = Tensor(1.0)
    op = lif(3)
    assert list(parameters(op)) == [
        "membrane.decay",
        "membrane.initial",
        "fire.threshold",
        "fire.value",
        "fire.refractory",
    ]
    assert parameters(op)["membrane.decay"] == Tensor(0.9)
    synapse = Synapse(one, None, CurrentUsed.NEW, Tensor(2.0))
    with_synapse = parameters(type(op)(op.shape, synapse, op.membrane, None))
    assert with_synapse["synapse.initial"] == Tensor(2.0)
    assert "synapse.gain" not in with_synapse
    assert parameters(Output((3,))) == {}
