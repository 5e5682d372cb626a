"""How often each neuron spikes on the user's data: what a packet's way is weighed with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.network import Network
from nmc.ir.graph import Graph
from nmc.ir.ops import Input, Neuron

Array = npt.NDArray[Any]

SAMPLES = 16
"""Samples that are enough for rates."""


def firing_rates(graph: Graph, network: Network, calibration: Mapping[str, Array]) -> Array:
    """Packets a step of every neuron of the network, measured on the first samples; 1 without data.

    `calibration` holds an array (steps, samples, *shape) for each input, or nothing. A neuron that gives a value and
    no spike sends in every step; so does an element of an input wherever it is not zero.
    """
    if not calibration:
        return np.ones(network.neurons)
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    inputs = {name: array[:, :SAMPLES] for name, array in calibration.items()}
    firing = [node.name for node in graph.nodes if isinstance(node.op, Neuron) and node.op.fire is not None]
    trace = simulate(graph, inputs, record=[f"{name}.spikes" for name in firing]).trace
    found: list[Array] = []
    for population in network.populations:
        if isinstance(population.op, Input):
            sent = inputs[population.name] != 0
        elif population.op.fire is None:
            sent = np.ones((1, 1, population.size))
        else:
            sent = trace[f"{population.name}.spikes"]
        found.append(sent.reshape(-1, population.size).mean(axis=0))
    return np.concatenate(found)
