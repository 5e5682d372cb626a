"""Scalar programs: what a neuron outside the known families does in one step, instruction by instruction.

The semantic of each scalar operation is written once, in `apply`, over numpy arrays of one real type. Truth is the
number 1, falsehood the number 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import erf as scalar_erf

import numpy as np

from nmc.ir.tensor import Array, Tensor


class Scalar(Enum):
    """An operation on numbers."""

    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    POW = "pow"
    MOD = "mod"
    """x - floor(x / y) * y, as numpy.mod: the sign of y."""
    MIN = "min"
    MAX = "max"
    NEG = "neg"
    ABS = "abs"
    SIGN = "sign"
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "round"
    """To nearest, halves to even."""
    TRUNC = "trunc"
    SQRT = "sqrt"
    EXP = "exp"
    LOG = "log"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    ERF = "erf"
    SIN = "sin"
    COS = "cos"
    ABOVE = "above"
    """x > y."""
    AT_LEAST = "at_least"
    """x >= y."""
    EQUAL = "equal"
    AND = "and"
    OR = "or"
    NOT = "not"
    WHERE = "where"
    """where(c, x, y): x where c is not 0, else y."""


ARITY: Mapping[Scalar, int] = {
    op: 3
    if op is Scalar.WHERE
    else 2
    if op
    in {
        Scalar.ADD,
        Scalar.SUB,
        Scalar.MUL,
        Scalar.DIV,
        Scalar.POW,
        Scalar.MOD,
        Scalar.MIN,
        Scalar.MAX,
        Scalar.ABOVE,
        Scalar.AT_LEAST,
        Scalar.EQUAL,
        Scalar.AND,
        Scalar.OR,
    }
    else 1
    for op in Scalar
}
"""How many arguments each takes."""

COMMUTATIVE = frozenset({Scalar.ADD, Scalar.MUL, Scalar.MIN, Scalar.MAX, Scalar.EQUAL, Scalar.AND, Scalar.OR})

TRUTH = frozenset({Scalar.ABOVE, Scalar.AT_LEAST, Scalar.EQUAL, Scalar.AND, Scalar.OR, Scalar.NOT})
"""Operations whose result is 0 or 1."""

_erf = np.vectorize(scalar_erf, otypes=[np.float64])


def apply(op: Scalar, args: Sequence[Array]) -> Array:
    """The operation on arrays of one real type, which the result keeps; numpy broadcasts."""
    a = args[0]
    b = args[1] if len(args) > 1 else a
    match op:
        case Scalar.ADD:
            result = a + b
        case Scalar.SUB:
            result = a - b
        case Scalar.MUL:
            result = a * b
        case Scalar.DIV:
            result = a / b
        case Scalar.POW:
            result = np.power(a, b)
        case Scalar.MOD:
            result = np.mod(a, b)
        case Scalar.MIN:
            result = np.minimum(a, b)
        case Scalar.MAX:
            result = np.maximum(a, b)
        case Scalar.NEG:
            result = -a
        case Scalar.ABS:
            result = np.abs(a)
        case Scalar.SIGN:
            result = np.sign(a)
        case Scalar.FLOOR:
            result = np.floor(a)
        case Scalar.CEIL:
            result = np.ceil(a)
        case Scalar.ROUND:
            result = np.rint(a)
        case Scalar.TRUNC:
            result = np.trunc(a)
        case Scalar.SQRT:
            result = np.sqrt(a)
        case Scalar.EXP:
            result = np.exp(a)
        case Scalar.LOG:
            result = np.log(a)
        case Scalar.SIGMOID:
            result = 1 / (1 + np.exp(-a))
        case Scalar.TANH:
            result = np.tanh(a)
        case Scalar.ERF:
            result = _erf(a)
        case Scalar.SIN:
            result = np.sin(a)
        case Scalar.COS:
            result = np.cos(a)
        case Scalar.ABOVE:
            result = a > b
        case Scalar.AT_LEAST:
            result = a >= b
        case Scalar.EQUAL:
            result = a == b
        case Scalar.AND:
            result = (a != 0) & (b != 0)
        case Scalar.OR:
            result = (a != 0) | (b != 0)
        case Scalar.NOT:
            result = a == 0
        case Scalar.WHERE:
            result = np.where(a != 0, b, args[2])
    return np.asarray(result).astype(args[-1].dtype, copy=False)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation; `args` are indices of values that come before its own."""

    op: Scalar
    args: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """One step of a population, element by element.

    Values are numbered: inputs, states, constants, then the results of the instructions in order. `output` is the
    value that leaves, `next` the states' new values. Constants broadcast to the population's shape.
    """

    inputs: tuple[str, ...]
    states: tuple[str, ...]
    constants: tuple[Tensor, ...]
    code: tuple[Instruction, ...]
    output: int
    next: tuple[int, ...]

    def run(self, inputs: Sequence[Array], states: Sequence[Array]) -> tuple[Array, list[Array]]:
        """The output and the new states, in the real type of the arguments. Division by zero gives inf or nan."""
        dtype = (*inputs, *states)[0].dtype
        values: list[Array] = [*inputs, *states]
        values += [constant.values.astype(dtype) for constant in self.constants]
        with np.errstate(all="ignore"):
            for instruction in self.code:
                values.append(apply(instruction.op, [values[index] for index in instruction.args]))
        return values[self.output], [values[index] for index in self.next]

    def __str__(self) -> str:
        """The program as text, one instruction a line, names as in the source."""
        names = [*self.inputs, *self.states, *(_constant(each) for each in self.constants)]
        lines: list[str] = []
        for number, instruction in enumerate(self.code):
            names.append(f"t{number}")
            lines.append(
                f"t{number} = {instruction.op.value}({', '.join(names[arg] for arg in instruction.args)})"
            )
        lines += [f"{state}' = {names[index]}" for state, index in zip(self.states, self.next, strict=True)]
        return "\n".join([*lines, f"out = {names[self.output]}"])


def _constant(tensor: Tensor) -> str:
    return f"{float(tensor.values.ravel()[0]):g}" if tensor.size == 1 else f"const{list(tensor.shape)}"
