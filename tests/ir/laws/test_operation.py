"""Laws of one operation: each broken alone gives its finding, at its place, and the lawful one none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmc.diagnostics import Diagnostic, Loc, Severity
from nmc.ir.graph import Node
from nmc.ir.laws.operation import operation_laws
from nmc.ir.neuron import Comparison, CurrentUsed, Reset
from nmc.ir.ops import (
    Conv,
    Delay,
    DelayLine,
    Elementwise,
    Fire,
    Flatten,
    Input,
    Linear,
    MatMul,
    Neuron,
    Ode,
    Op,
    Output,
    Pool,
    Pooling,
    Reshape,
    Scale,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
    Threshold,
    Transpose,
)
from nmc.ir.program import Instruction, Program, Scalar
from nmc.ir.tensor import FixedPoint, Tensor
from tests.nets import FILE, lif, linear

NAN, INF = float("nan"), float("inf")
NUMBER = FixedPoint(8, True, 0)
ONE = Tensor(1.0)
CONV = Conv(
    (4, 6, 5),
    Tensor(np.ones((6, 2, 3, 3))),
    None,
    stride=(1, 1),
    padding=((0, 0), (1, 1)),
    dilation=(1, 1),
    groups=2,
)
POOL = Pool((2, 6, 6), Pooling.SUM, (2, 2), (2, 2), ((0, 0), (0, 0)))
ODE = Ode((3,), ONE, ONE, ONE, ONE, ONE, ONE, ONE)


PROGRAM = Program(
    ("",),
    ("v",),
    (ONE,),
    (Instruction(Scalar.ADD, (0, 1)), Instruction(Scalar.ABOVE, (3, 2))),
    output=4,
    next=(3,),
)
"""v' = x + v; out = v' > 1."""


def elementwise(**change: Any) -> Elementwise:
    return Elementwise((3,), replace(PROGRAM, **change), (Tensor(0.0),), SignalKind.SPIKE)


def laws(op: Op) -> list[Diagnostic]:
    return list(operation_laws(Node("n", op, Loc(FILE, "net.n"))))


def the_only(op: Op) -> Diagnostic:
    (finding,) = laws(op)
    return finding


def fire(op: Neuron) -> Fire:
    assert op.fire is not None
    return op.fire


def sparse(*synapses: tuple[int, int, int]) -> Sparse:
    """Triples (pre, delay, post) from 4 to 3 neurons."""
    pre, delay, post = (np.array([s[k] for s in synapses], np.int64) for k in range(3))
    return Sparse((2, 2), (3,), Tensor(pre), Tensor(post), Tensor(np.ones(len(synapses))), Tensor(delay))


@pytest.mark.parametrize(
    "op",
    [
        Input(Signal((3,), SignalKind.GRADED, NUMBER)),
        Output((3,)),
        replace(linear(3, 4), bias=Tensor(np.zeros(3))),
        sparse(),
        sparse((0, 0, 2), (0, 1, 0), (0, 1, 2), (3, 0, 0)),
        CONV,
        replace(CONV, stride=(2, 3), dilation=(2, 2), padding=((0, 1), (3, 0))),
        POOL,
        replace(POOL, pooling=Pooling.MAX, padding=((1, 1), (0, 1))),
        Scale((3, 2), Tensor(np.ones((3, 1)))),
        Flatten((2, 3), 0, 1),
        Delay((3,), Tensor([0, 1, 2])),
        DelayLine((3,), Tensor(0.0)),
        Threshold((3,), ONE, Comparison.AT_LEAST),
        ODE,
        lif(3, 2),
        elementwise(),
        MatMul((2, 3, 4), (1, 4, 5)),
        Reshape((2, 6), (3, 4)),
        Transpose((2, 3, 4), (2, 0, 1)),
    ],
)
def test_operation_laws_find_nothing_in_a_lawful_operation(op: Op) -> None:
    assert laws(op) == []


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_operation_laws_refuse_numbers_that_are_not_finite(value: float) -> None:
    finding = the_only(Linear(Tensor([[1.0, value], [value, 0.0]])))
    assert finding.code == "NMC111"
    assert finding.message == f"`weight` holds 2 of 4 values that are not finite, such as {value}"
    assert finding.loc == Loc(FILE, "net.n", "weight")


@pytest.mark.parametrize(
    ("op", "field"),
    [
        (Linear(Tensor([[1, 2]])), "weight"),
        (replace(lif(3), membrane=replace(lif(3).membrane, initial=Tensor(0))), "membrane.initial"),
        (Delay((3,), Tensor(1.0)), "steps"),
        (Delay((3,), Tensor(1, NUMBER)), "steps"),
        (Delay((3,), Tensor([0, -1, 0])), "steps"),
        (replace(lif(3), fire=replace(fire(lif(3)), refractory=Tensor(-1))), "fire.refractory"),
        (DelayLine((3,), Tensor(-1e-3)), "seconds"),
        (replace(ODE, tau_mem=Tensor(0.0)), "tau_mem"),
        (replace(ODE, tau_syn=Tensor([1.0, -1.0, 1.0])), "tau_syn"),
        (replace(lif(3), fire=replace(fire(lif(3)), reset=Reset.SUBTRACT, value=ONE)), "fire.value"),
        (
            replace(lif(3), fire=replace(fire(lif(3)), reset=Reset.MULTI_SPIKE, threshold=Tensor(0.0))),
            "fire.threshold",
        ),
        (Input(Signal((3,), SignalKind.GRADED)), "signal"),
        (Input(Signal((3,), SignalKind.SPIKE, NUMBER)), "signal"),
    ],
)
def test_operation_laws_refuse_values_without_meaning(op: Op, field: str) -> None:
    finding = the_only(op)
    assert (finding.code, finding.severity) == ("NMC112", Severity.ERROR)
    assert finding.loc.field == field


@pytest.mark.parametrize("decay", [-0.1, 1.5])
def test_operation_laws_warn_of_decays_that_grow_or_oscillate(decay: float) -> None:
    op = replace(lif(3), membrane=replace(lif(3).membrane, decay=Tensor([0.5, decay, 0.5])))
    finding = the_only(op)
    assert (finding.code, finding.severity) == ("NMC113", Severity.WARNING)
    assert f"{decay:g}" in finding.message
    synapse = Synapse(Tensor(decay), None, CurrentUsed.NEW, Tensor(0.0))
    assert the_only(replace(lif(3), synapse=synapse)).loc.field == "synapse.decay"


@pytest.mark.parametrize(
    ("op", "field"),
    [
        (Output(()), "shape"),
        (Output((3, 0)), "shape"),
        (Input(Signal((-1,), SignalKind.SPIKE)), "signal"),
        (Linear(Tensor(np.ones(3))), "weight"),
        (Linear(Tensor(np.ones((3, 0)))), "weight"),
        (replace(linear(3, 4), bias=Tensor(np.ones(4))), "bias"),
        (replace(linear(3, 4), bias=ONE), "bias"),
        (replace(CONV, bias=Tensor(np.ones((6, 1, 1)))), "bias"),
        (Scale((2, 3), Tensor(np.ones(2))), "factor"),
        (Threshold((2, 3), Tensor(np.ones((1, 2, 3))), Comparison.ABOVE), "threshold"),
        (replace(lif(2, 3), fire=replace(fire(lif(3)), threshold=Tensor(np.ones((2, 2))))), "fire.threshold"),
        (replace(lif(2, 3), membrane=replace(lif(3).membrane, bias=Tensor(np.ones(0)))), "membrane.bias"),
    ],
)
def test_operation_laws_refuse_shapes_that_do_not_fit(op: Op, field: str) -> None:
    finding = the_only(op)
    assert finding.code == "NMC110"
    assert finding.loc.field == field


def test_operation_laws_refuse_synapse_arrays_of_different_lengths() -> None:
    finding = the_only(replace(sparse((0, 0, 0)), weight=Tensor(np.ones(2))))
    assert finding.code == "NMC110"
    assert "`pre` [1], `post` [1], `weight` [2], `delay` [1]" in finding.message


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weight": Tensor(np.ones((6, 2, 3)))}, "weight"),
        ({"in_shape": (6, 5)}, "weight"),
        ({"groups": 1}, "groups"),
        ({"groups": 0}, "groups"),
        ({"groups": 2, "weight": Tensor(np.ones((5, 2, 3, 3)))}, "groups"),
        ({"stride": (0, 1)}, "stride"),
        ({"stride": (1,)}, "stride"),
        ({"dilation": (1, 0)}, "dilation"),
        ({"dilation": (3, 1)}, "kernel"),
        ({"padding": ((0, -1), (1, 1))}, "padding"),
        ({"padding": ((0, 0),)}, "padding"),
        ({"weight": Tensor(np.ones((6, 2, 7, 3)))}, "kernel"),
    ],
)
def test_operation_laws_refuse_convolutions_that_do_not_fit(change: dict[str, object], field: str) -> None:
    finding = the_only(replace(CONV, **change))  # pyright: ignore[reportArgumentType]
    assert finding.code == "NMC115"
    assert finding.loc.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"in_shape": (2, 6, 6, 6)}, "in_shape"),
        ({"in_shape": (6,)}, "in_shape"),
        ({"kernel": (7, 2)}, "kernel"),
        ({"kernel": (0, 2)}, "kernel"),
        ({"pooling": Pooling.MAX, "padding": ((2, 0), (0, 0))}, "padding"),
    ],
)
def test_operation_laws_refuse_pools_that_do_not_fit(change: dict[str, object], field: str) -> None:
    finding = the_only(replace(POOL, **change))  # pyright: ignore[reportArgumentType]
    assert finding.code == "NMC115"
    assert finding.loc.field == field


def test_operation_laws_say_how_large_kernel_and_input_are() -> None:
    finding = the_only(replace(CONV, dilation=(3, 1)))
    assert finding.message == "a kernel that spans 7 on an axis of 6 with 0 of padding"


@pytest.mark.parametrize(("start", "end"), [(1, 2), (1, 0), (-1, 1)])
def test_operation_laws_refuse_to_flatten_axes_that_are_not_there(start: int, end: int) -> None:
    finding = the_only(Flatten((2, 3), start, end))
    assert finding.code == "NMC116"
    assert "axes are 0 to 1" in finding.help


@pytest.mark.parametrize(
    "op",
    [
        MatMul((2, 3), (4, 2)),
        MatMul((3,), (3,)),
        MatMul((2, 3, 4), (4, 2)),
        MatMul((2, 3, 4), (3, 4, 2)),
        Reshape((2, 6), (3, 5)),
        Transpose((2, 3), (0, 0)),
        Transpose((2, 3), (0, 1, 2)),
    ],
)
def test_operation_laws_refuse_products_and_movements_that_do_not_fit(op: Op) -> None:
    assert the_only(op).code == "NMC116"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"next": ()}, "1 states with 1 initial and 0 new values"),
        ({"states": ("v", "w"), "output": 5}, "2 states with 1 initial and 1 new values"),
        ({"code": (Instruction(Scalar.NEG, (0, 1)),), "output": 3}, "`neg` takes 1 arguments, not 2"),
        ({"code": (Instruction(Scalar.NEG, (3,)),), "output": 3}, "instruction 0 takes values [3] of 3"),
        ({"output": 5}, "results are values [5, 3] of 5"),
        ({"next": (-1,)}, "results are values [4, -1] of 5"),
    ],
)
def test_operation_laws_refuse_programs_that_cannot_run(change: dict[str, object], message: str) -> None:
    finding = the_only(elementwise(**change))
    assert (finding.code, finding.loc.field) == ("NMC114", "program")
    assert message in finding.message


def test_operation_laws_look_into_the_constants_of_a_program() -> None:
    assert the_only(elementwise(constants=(Tensor(NAN),))).loc.field == "program.constants.0"
    assert the_only(elementwise(constants=(Tensor([1.0, 2.0]),))).code == "NMC110"


def test_operation_laws_refuse_synapses_of_neurons_that_are_not_there() -> None:
    assert the_only(sparse((0, 0, 3))).message == "`post` names neuron 3 of 3"
    assert the_only(sparse((4, 0, 0))).message == "`pre` names neuron 4 of 4"
    assert the_only(sparse((0, 0, -1))).code == "NMC112"


@pytest.mark.parametrize(
    "synapses",
    [
        [(0, 0, 0), (0, 0, 0)],
        [(1, 0, 0), (0, 0, 0)],
        [(0, 1, 0), (0, 0, 1)],
        [(0, 0, 1), (0, 0, 0)],
    ],
)
def test_operation_laws_refuse_synapses_out_of_order(synapses: list[tuple[int, int, int]]) -> None:
    finding = the_only(sparse(*synapses, (3, 3, 2)))
    assert finding.code == "NMC118"
    assert finding.message.startswith("synapses 0 and 1 are")


def test_operation_laws_name_every_fault_of_an_operation() -> None:
    op = replace(CONV, stride=(0, 1), padding=((-1, 0), (0, 0)), bias=Tensor(np.full(5, NAN)))
    assert {(finding.code, finding.loc.field) for finding in laws(op)} == {
        ("NMC111", "bias"),
        ("NMC110", "bias"),
        ("NMC115", "stride"),
        ("NMC115", "padding"),
    }
