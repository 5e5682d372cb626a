"""What a network's values are on data: ranges of states and firing rates, from golden in reals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.graph import Graph
from nmc.ir.ops import Neuron

Array = npt.NDArray[Any]

SAMPLES = 64
"""Samples that are enough for ranges and rates; more cost time and move neither."""


@dataclass(frozen=True, slots=True)
class Range:
    """Of one population on data: the largest |v| and |i| at the end of a step; spikes per neuron and step."""

    v: float
    i: float
    rate: float


def calibrate(graph: Graph, data: Mapping[str, Array], *, samples: int = SAMPLES) -> dict[str, Range]:
    """Run `graph` (real) on the first `samples` of `data` (steps, samples, *shape) by input name."""
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    populations = [node.name for node in graph.nodes if isinstance(node.op, Neuron)]
    record = [f"{name}.v" for name in populations]
    record += [f"{name}.i" for name in populations if _has_current(graph, name)]
    inputs = {name: array[:, :samples] for name, array in data.items()}
    result = simulate(graph, inputs, record=record)
    steps, count = result.steps, result.samples
    ranges: dict[str, Range] = {}
    for name in populations:
        v = float(np.abs(result.trace[f"{name}.v"]).max(initial=0))
        current = result.trace.get(f"{name}.i")
        i = 0.0 if current is None else float(np.abs(current).max(initial=0))
        cells = steps * count * max(1, int(result.trace[f"{name}.v"][0, 0].size))
        ranges[name] = Range(v, i, result.spikes.get(name, 0) / cells)
    return ranges


def _has_current(graph: Graph, name: str) -> bool:
    op = graph[name].op
    return isinstance(op, Neuron) and op.synapse is not None
