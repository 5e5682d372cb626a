"""Scalar programs and their operations."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.ir.program import ARITY, Instruction, Program, Scalar, apply
from nmc.ir.tensor import Tensor


def number(*values: float) -> np.ndarray:
    return np.array(values, float)


@pytest.mark.parametrize(
    ("op", "args", "wanted"),
    [
        (Scalar.MOD, (number(-7, 7), number(3, 3)), (2, 1)),
        (Scalar.ROUND, (number(0.5, 1.5, -0.5),), (0, 2, 0)),
        (Scalar.TRUNC, (number(-1.5, 1.5),), (-1, 1)),
        (Scalar.ABOVE, (number(1, 2), number(1, 1)), (0, 1)),
        (Scalar.AT_LEAST, (number(1, 0), number(1, 1)), (1, 0)),
        (Scalar.WHERE, (number(0, 2), number(5, 6), number(7, 8)), (7, 6)),
        (Scalar.NOT, (number(0, 3),), (1, 0)),
        (Scalar.SIGMOID, (number(0),), (0.5,)),
    ],
)
def test_apply_computes(op: Scalar, args: tuple[np.ndarray, ...], wanted: tuple[float, ...]) -> None:
    assert apply(op, args).tolist() == list(wanted)
    assert ARITY[op] == len(args)


def test_program_runs_one_step_and_keeps_its_states_in_the_arguments_precision() -> None:
    leak = Tensor(np.float32(0.5).reshape(()))
    code = (Instruction(Scalar.MUL, (1, 2)), Instruction(Scalar.ADD, (0, 3)))
    program = Program(("x",), ("v",), (leak,), code, 4, (4,))
    out, (v,) = program.run([np.ones(3, np.float32)], [np.full(3, 4, np.float32)])
    assert out.tolist() == v.tolist() == [3, 3, 3]
    assert out.dtype == np.float32
    assert str(program).splitlines()[0] == "t0 = mul(v, 0.5)"
