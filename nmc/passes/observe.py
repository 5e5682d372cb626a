"""What reaches each population on data and what it makes of it; and what that does to a membrane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.connections import Connection, connections
from nmc.ir.graph import Graph
from nmc.ir.linear import Reals
from nmc.ir.neuron import Reset
from nmc.ir.ops import Conv, Linear, Neuron, Sparse, output_shape
from nmc.passes.round_on_data import WIDEST_FAN_IN
from nmc.sim.arrays import spread

Array = npt.NDArray[Any]

SAMPLES = 64
"""Samples that are enough to choose by; more cost time and move little."""

CELLS = 1 << 26
"""Values (step, sample, neuron) that are recorded at most; large networks are observed on fewer samples."""

ROWS = 8192
"""Observations of an input vector that make a second moment; more are thinned out evenly."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What nodes give on data, (steps, samples, *shape) by node: spikes, or values of inputs and membranes."""

    given: Mapping[str, Array]

    def rate(self, name: str) -> float:
        """Spikes per neuron and step."""
        return float(np.mean(self.given[name]))


def observe(graph: Graph, data: Mapping[str, Array]) -> Observed:
    """Run the graph, in reals, on `data` (steps, samples, *shape) by input, and keep what sources give."""
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    names = [node.name for node in graph.nodes if isinstance(node.op, Neuron)]
    inputs = at_most(graph, data)
    trace = simulate(graph, inputs, record=[f"{name}.out" for name in names]).trace
    entering = {name: spread(array, graph.stretch) for name, array in inputs.items()}
    return Observed({**entering, **{name: trace[f"{name}.out"] for name in names}})


def at_most(graph: Graph, data: Mapping[str, Array], samples: int = SAMPLES) -> dict[str, Array]:
    """The first samples of data, as many as can be recorded."""
    cells = sum(prod(output_shape(node.op)) for node in graph.nodes if isinstance(node.op, Neuron))
    steps = max((array.shape[0] for array in data.values()), default=1)
    kept = max(1, min(samples, CELLS // max(1, cells * steps)))
    return {name: array[:, :kept] for name, array in data.items()}


def into(graph: Graph) -> dict[str, tuple[Connection, ...]]:
    """The connections into each population."""
    found: dict[str, list[Connection]] = {}
    for link in connections(graph):
        found.setdefault(link.dst, []).append(link)
    return {name: tuple(links) for name, links in found.items()}


def delayed(array: Array, steps: int) -> Array:
    """What was given `steps` before, zero before the first."""
    return (
        array if steps == 0 else np.concatenate([np.zeros_like(array[:steps]), array[: len(array) - steps]])
    )


# ---- what inputs do to a membrane -------------------------------------------------------------------------


def traces(messages: Array, op: Neuron, rate: float) -> Reals:
    """What a unit of weight on each message adds up to in the membrane, step by step; of the messages' shape.

    The synaptic current and the membrane keep their decays, of heterogeneous populations the mean. Spikes that reset
    a membrane to a value make it forget, on average `rate` of it in a step.
    """
    kept = 1.0 if op.membrane.decay is None else float(np.mean(op.membrane.decay.values))
    if op.fire is not None and op.fire.reset is Reset.TO_VALUE:
        kept *= 1 - min(1.0, rate)
    current_kept = 0.0 if op.synapse is None else float(np.mean(op.synapse.decay.values))
    seen = np.empty(messages.shape)
    current, membrane = np.zeros(messages.shape[1:]), np.zeros(messages.shape[1:])
    for t, arriving in enumerate(messages):
        current = current_kept * current + arriving
        membrane = kept * membrane + current
        seen[t] = membrane
    return seen


def moments(op: Linear | Conv, seen: Reals) -> list[Reals]:
    """Second moments of what enters the rows of `op.weight`, from `traces`: one for each group of a convolution.

    `fan_in_moments` serves synapses one by one. Too many inputs give the diagonal alone.
    """
    match op:
        case Linear():
            return [_second_moment(seen.reshape(-1, op.weight.shape[1]))]
        case Conv():
            patches = _patches(op, seen)
            return [_second_moment(patches[:, group]) for group in range(op.groups)]


def _second_moment(rows: Reals) -> Reals:
    rows = rows[:: max(1, len(rows) // ROWS)]
    if rows.shape[1] > WIDEST_FAN_IN:
        return np.mean(np.square(rows), axis=0)
    return rows.T @ rows / max(1, len(rows))


def _patches(op: Conv, seen: Reals) -> Reals:
    """What the kernel sees, (observations, groups, inputs of a group times taps), evenly thinned out."""
    space = op.weight.shape[2:]
    flat = seen.reshape(-1, *op.in_shape)
    places = prod(output_shape(op)[1:])
    flat = flat[:: max(1, len(flat) * places // ROWS)]
    padded = np.pad(flat, [(0, 0), (0, 0), *op.padding])
    reach = tuple(d * (k - 1) + 1 for k, d in zip(space, op.dilation, strict=True))
    axes = tuple(range(2, 2 + len(space)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axes)
    strides = tuple(slice(None, None, s) for s in op.stride)
    taps = tuple(slice(None, None, d) for d in op.dilation)
    windows = windows[(slice(None), slice(None), *strides, *taps)]
    spread = np.moveaxis(windows, 1, 1 + len(space))  # (n, *places, channels, *taps)
    return spread.reshape(-1, op.groups, op.weight.shape[1] * prod(space))


def fan_in_moments(op: Sparse, seen: Reals) -> tuple[Reals, Array]:
    """Second moments of all pairs (pre, delay) that `op` uses, and which of them each synapse takes.

    The diagonal alone if there are too many pairs.
    """
    flat = seen.reshape(*seen.shape[:2], -1)
    longest = int(op.delay.data.max(initial=0)) + 1
    pairs, of = np.unique(op.pre.data * longest + op.delay.data, return_inverse=True)
    columns = [delayed(flat[:, :, pair // longest], int(pair % longest)).ravel() for pair in pairs]
    rows = np.stack(columns, axis=1) if columns else np.zeros((1, 0))
    return _second_moment(rows), of


def unobserved(inputs: int) -> Reals:
    """Second moments to round by without data: inputs that are active alike, so that sums keep their mean."""
    if inputs > WIDEST_FAN_IN:
        return np.ones(inputs)
    return np.eye(inputs) + 1.0


def thinned(messages: Array, cells: int = 1 << 23) -> Array:
    """The first samples of messages (steps, samples, *shape), as many as second moments need and memory allows."""
    each = max(1, messages[:, :1].size)
    return messages[:, : max(1, min(messages.shape[1], cells // each))]
