"""Spikes as a value: a list of events that knows its size."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTrain:
    """The spikes of one sample: event k is neuron[k] in step[k]; events are unique, by step and then by neuron.

    Made by `of_events` or `of_dense`, which check and sort.
    """

    step: Integers
    neuron: Integers
    n_steps: int
    n_neurons: int

    @staticmethod
    def of_events(step: npt.ArrayLike, neuron: npt.ArrayLike, *, n_steps: int, n_neurons: int) -> SpikeTrain:
        """Events in any order. Raises ValueError for one outside the sizes or given twice."""
        steps, neurons = np.asarray(step, np.int64).reshape(-1), np.asarray(neuron, np.int64).reshape(-1)
        if steps.shape != neurons.shape:
            raise ValueError(f"{steps.shape[0]} steps for {neurons.shape[0]} neurons")
        for name, values, size in (("step", steps, n_steps), ("neuron", neurons, n_neurons)):
            if values.size and not (values.min() >= 0 and values.max() < size):
                raise ValueError(f"{name}s {values.min()} to {values.max()} of {size}")
        key = np.sort(steps * n_neurons + neurons)
        if (key[1:] == key[:-1]).any():
            raise ValueError("an event is given twice")
        steps, neurons = np.divmod(key, max(1, n_neurons))
        steps.flags.writeable = neurons.flags.writeable = False
        return SpikeTrain(steps, neurons, n_steps, n_neurons)

    @staticmethod
    def of_dense(dense: npt.NDArray[Any]) -> SpikeTrain:
        """From zeros and ones (steps, *shape), flattened in C order. Raises ValueError for other values."""
        flat = dense.reshape(dense.shape[0], prod(dense.shape[1:]))
        if not ((flat == 0) | (flat == 1)).all():
            raise ValueError("spikes are 0 or 1")
        step, neuron = np.nonzero(flat)
        return SpikeTrain.of_events(step, neuron, n_steps=flat.shape[0], n_neurons=flat.shape[1])

    def dense(self) -> npt.NDArray[np.uint8]:
        """Zeros and ones (n_steps, n_neurons)."""
        out = np.zeros((self.n_steps, self.n_neurons), np.uint8)
        out[self.step, self.neuron] = 1
        return out

    def by_step(self) -> Integers:
        """`start`: the events of step t are start[t] .. start[t + 1]."""
        return np.searchsorted(self.step, np.arange(self.n_steps + 1))

    def __len__(self) -> int:
        return self.step.shape[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SpikeTrain):
            return NotImplemented
        return (
            (self.n_steps, self.n_neurons) == (other.n_steps, other.n_neurons)
            and np.array_equal(self.step, other.step)
            and np.array_equal(self.neuron, other.neuron)
        )

    def __hash__(self) -> int:
        return hash((self.n_steps, self.n_neurons, self.step.tobytes(), self.neuron.tobytes()))
