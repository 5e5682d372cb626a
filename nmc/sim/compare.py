"""Two runs side by side: equal to the last bit, or where they first differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.sim.trace import SimResult

Array = npt.NDArray[Any]
"""Any: spikes, integers and reals are compared alike."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference: in `step` of `sample`, `variable` of a node's `neuron` (in C order) is not the same."""

    step: int
    sample: int
    node: str
    neuron: int
    variable: str
    expected: float
    got: float

    def __str__(self) -> str:
        return (
            f"step {self.step}, sample {self.sample}: `{self.node}` neuron {self.neuron}, {self.variable}: "
            f"expected {self.expected}, got {self.got}"
        )


def first_divergence(expected: SimResult, got: SimResult, *, later: int = 0) -> Divergence | None:
    """Where two results first differ, in what both have recorded; None if they are equal.

    First by step; within a step by variable, traces before outputs in the order of `expected`; then by sample
    and neuron. `got` may be `later` by some steps: its step t + later is compared with step t of `expected`, as
    far as both go. NaN equals NaN. Raises ValueError if a common array differs in its shape, steps aside.
    """
    earliest: Divergence | None = None
    for node, variable, a, whole in _common(expected, got):
        b = whole[later:]
        if a.shape[1:] != b.shape[1:]:
            raise ValueError(
                f"`{node}.{variable}` is {a.shape[1:]} in one result and {b.shape[1:]} in the other"
            )
        steps = min(a.shape[0], b.shape[0])
        if earliest is not None:
            steps = min(steps, earliest.step)
        different = _different(a[:steps], b[:steps])
        if not different.any():
            continue
        at = tuple(int(i) for i in np.argwhere(different)[0])
        neuron = int(np.ravel_multi_index(at[2:], a.shape[2:])) if a.ndim > 2 else 0
        earliest = Divergence(at[0], at[1], node, neuron, variable, a[at].item(), b[at].item())
    return earliest


def _common(expected: SimResult, got: SimResult) -> Iterator[tuple[str, str, Array, Array]]:
    """Node, variable and both arrays of all that both results have."""
    for name, array in expected.trace.items():
        if name in got.trace:
            node, _, variable = name.rpartition(".")
            yield node, variable, array, got.trace[name]
    for name, array in expected.outputs.items():
        if name in got.outputs:
            yield name, "out", array, got.outputs[name]


def _different(a: Array, b: Array) -> Array:
    different = a != b
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        different &= ~(np.isnan(a) & np.isnan(b))
    return different
