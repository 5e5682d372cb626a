"""Elementwise populations and products of activations, as golden runs them."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.ops import Elementwise, Input, MatMul, Output, Reshape, Shape, Signal, SignalKind, Transpose
from nmc.ir.program import Instruction, Program, Scalar
from nmc.ir.tensor import Tensor
from nmc.sim import layout
from nmc.sim.golden import simulate
from nmc.sim.programs import moved

RNG = np.random.default_rng(0)


def real(value: float) -> Tensor:
    return Tensor(np.asarray(value, np.float32))


def graph(op: Elementwise | MatMul, *ports: str, shapes: list[Shape]) -> Graph:
    inputs = [Node(f"in_{k}", Input(Signal(shape, SignalKind.REAL))) for k, shape in enumerate(shapes)]
    out = (
        op.shape
        if isinstance(op, Elementwise)
        else np.matmul(np.empty(op.a_shape), np.empty(op.b_shape)).shape
    )
    edges = [Edge(node.name, "op", 0, port) for node, port in zip(inputs, ports, strict=True)]
    return Graph((*inputs, Node("op", op), Node("y", Output(tuple(out)))), (*edges, Edge("op", "y")))


LEAKY = Program(
    ("x",),
    ("v",),
    (real(0.5), real(1.0)),
    (Instruction(Scalar.MUL, (1, 2)), Instruction(Scalar.ADD, (4, 0)), Instruction(Scalar.ABOVE, (5, 3))),
    6,
    (5,),
)
"""v = v / 2 + x; out = v > 1."""


@pytest.mark.parametrize("kind", [SignalKind.SPIKE, SignalKind.REAL])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_program_keeps_its_state_from_step_to_step(kind: SignalKind, shape: Shape) -> None:
    op = Elementwise(shape, LEAKY, (real(0.25),), kind)
    x = RNG.normal(0.6, 0.5, (9, 2, *shape))
    result = simulate(graph(op, "x", shapes=[shape]), {"in_0": x}, record=["op.v"])
    v = np.full((2, *shape), 0.25)
    for t, entering in enumerate(x):
        v = 0.5 * v + entering
        np.testing.assert_array_equal(result.trace["op.v"][t], v)
        np.testing.assert_array_equal(result.outputs["y"][t], v > 1)


def test_program_takes_constants_of_each_element() -> None:
    factor = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    program = Program(("x",), (), (Tensor(factor),), (Instruction(Scalar.MUL, (0, 1)),), 2, ())
    op = Elementwise((2, 3, 4), program, (), SignalKind.REAL)
    x = RNG.normal(size=(2, 2, 2, 3, 4))
    result = simulate(graph(op, "x", shapes=[(2, 3, 4)]), {"in_0": x})
    np.testing.assert_array_equal(result.outputs["y"], x * factor)


def test_program_with_two_inputs_tells_them_apart() -> None:
    program = Program(("a", "b"), (), (), (Instruction(Scalar.SUB, (0, 1)),), 2, ())
    op = Elementwise((3,), program, (), SignalKind.REAL)
    a, b = RNG.normal(size=(2, 4, 2, 3))
    result = simulate(graph(op, "a", "b", shapes=[(3,), (3,)]), {"in_0": a, "in_1": b})
    np.testing.assert_array_equal(result.outputs["y"], a - b)


@pytest.mark.parametrize(
    ("a_shape", "b_shape"), [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((1, 2, 3, 4), (1, 2, 4, 3))]
)
def test_product_of_two_activations_is_numpys(a_shape: Shape, b_shape: Shape) -> None:
    a, b = RNG.normal(size=(3, 2, *a_shape)), RNG.normal(size=(3, 2, *b_shape))
    op = MatMul(a_shape, b_shape)
    result = simulate(graph(op, "a", "b", shapes=[a_shape, b_shape]), {"in_0": a, "in_1": b})
    np.testing.assert_allclose(result.outputs["y"], a @ b, rtol=1e-12)


@pytest.mark.parametrize(
    "op",
    [
        Reshape((4, 6), (2, 3, 4)),
        Reshape((2, 3, 4), (24,)),
        Transpose((2, 3, 4), (2, 0, 1)),
        Transpose((3, 4), (1, 0)),
    ],
)
def test_movement_puts_elements_where_numpy_does(op: Reshape | Transpose) -> None:
    x = RNG.normal(size=op.in_shape)
    wanted = x.transpose(op.axes) if isinstance(op, Transpose) else x.reshape(op.out_shape)
    row = layout.inner(x, np.dtype(np.float64))
    places = moved(op)
    got = np.empty_like(row)
    got[places if places is not None else np.arange(row.size)] = row
    np.testing.assert_array_equal(got, layout.inner(wanted, np.dtype(np.float64)))
