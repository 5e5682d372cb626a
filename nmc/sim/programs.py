"""Operations of a real graph that run element by element or product by product: plain numpy, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmc.ir.ops import Elementwise, MatMul, Reshape, Transpose, output_shape
from nmc.ir.program import Program
from nmc.ir.tensor import Tensor
from nmc.sim import layout
from nmc.sim.streams import Array


class Run:
    """An elementwise population, as a stage's kernel.

    Called with, for each port, its rows and their delay, then each state (samples, size), the recording of each, then
    the ring of the output: rows, or counts and events; then first, samples, t0, t1 as every kernel.
    """

    def __init__(self, op: Elementwise, dtype: np.dtype[Any], *, events: bool) -> None:
        constants = tuple(
            Tensor(layout.inner(np.broadcast_to(each.values, op.shape), np.dtype(np.float64)))
            for each in op.program.constants
        )
        program = op.program
        self.program = Program(
            program.inputs, program.states, constants, program.code, program.output, program.next
        )
        self.dtype = dtype
        self.events = events

    def __call__(self, *arguments: Any) -> None:
        """Run samples first .. first + samples through the steps t0 .. t1 - 1."""
        first, samples, t0, t1 = arguments[-4:]
        ports, states = len(self.program.inputs), len(self.program.states)
        views = [(arguments[2 * k], arguments[2 * k + 1]) for k in range(ports)]
        kept: list[Array] = [arguments[2 * ports + k] for k in range(states)]
        recorded: list[Array] = [arguments[2 * ports + states + k] for k in range(states)]
        out = arguments[2 * ports + 2 * states : -4]
        slots = out[0].shape[1]
        for t in range(t0, t1):
            entering = [ring[:samples, (t - delay) % ring.shape[1]] for ring, delay in views]
            old = [state[:samples] for state in kept]
            result, new = self.program.run(entering, old) if entering or old else (np.zeros((samples, 1)), [])
            for state, record, values in zip(kept, recorded, [np.array(each) for each in new], strict=True):
                state[:samples] = values
                if len(record):
                    record[t, first : first + samples] = state[:samples]
            if self.events:
                for b in range(samples):
                    fired = np.flatnonzero(np.broadcast_to(result, (samples, result.shape[-1]))[b])
                    out[0][b, t % slots] = len(fired)
                    out[1][b, t % slots, : len(fired)] = fired
            else:
                out[0][:samples, t % slots] = result


class Product:
    """A product of two activations, as a stage's kernel: rows and delay of each, the ring of the output, time."""

    def __init__(self, op: MatMul) -> None:
        self.op = op
        self.shape = output_shape(op)

    def __call__(  # noqa: PLR0917 - the order of every kernel's arguments
        self,
        a: Array,
        a_delay: int,
        b: Array,
        b_delay: int,
        out: Array,
        first: int,
        samples: int,
        t0: int,
        t1: int,
    ) -> None:
        """The product at the steps t0 .. t1 - 1."""
        for t in range(t0, t1):
            left = layout.outer(a[None, :samples, (t - a_delay) % a.shape[1]], self.op.a_shape)[0]
            right = layout.outer(b[None, :samples, (t - b_delay) % b.shape[1]], self.op.b_shape)[0]
            product = np.matmul(left, right)
            for row in range(samples):
                out[row, t % out.shape[1]] = layout.inner(product[row], out.dtype)


def moved(op: Reshape | Transpose) -> Array | None:
    """Where each element of the input, as it stands in memory, goes; None if it stays."""
    in_shape = op.in_shape
    size = int(np.prod(in_shape, dtype=np.int64))
    elements = np.arange(size).reshape(in_shape)
    given = elements.transpose(op.axes) if isinstance(op, Transpose) else elements.reshape(op.out_shape)
    here = layout.inner(elements, np.dtype(np.int64))
    there = layout.inner(given, np.dtype(np.int64))
    place = np.empty(size, np.int64)
    place[there] = np.arange(size)
    result = place[here]
    return None if bool((result == np.arange(size)).all()) else result
