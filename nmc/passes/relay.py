"""A population that repeats spikes: how a delay becomes longer than one synapse holds."""

from __future__ import annotations

from nmc.ir.graph import Graph
from nmc.ir.linear import identity
from nmc.ir.ops import LinearOp, Neuron, Shape
from nmc.passes.choose_neurons import in_family_of
from nmc.passes.facts import Fact
from nmc.passes.quantize import quantize_population
from nmc.passes.repeater import repeater
from nmc.target import TargetSpec


def relay(graph: Graph, shape: Shape, *, target: TargetSpec) -> tuple[LinearOp, Neuron]:
    """The connection into, and the population of, a relay for spikes of `shape`; in integers as `graph` is."""
    weight, neuron = identity(shape), repeater(shape)
    if Fact.QUANTIZED.value not in graph.facts:
        return weight, neuron
    fitting, _ = in_family_of(neuron, target.neurons)
    population = quantize_population(fitting, {"in": weight}, target=target)
    return population.connections["in"], population.neuron
