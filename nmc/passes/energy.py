"""What a run would cost in bits and joules: Bit Budget, synaptic operations, an estimate that counts accesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from nmc.ir.connections import connections
from nmc.ir.graph import Graph
from nmc.ir.linear import matrix
from nmc.ir.ops import Conv, Linear, Neuron, Sparse, output_shape
from nmc.ir.tensor import Array
from nmc.ir.types import SPIKE_NUMBER
from nmc.passes.measure import to_integers
from nmc.sim.arrays import is_integer
from nmc.target import Basis, Figure

HOROWITZ = "Horowitz, Computing's energy problem, ISSCC 2014, figure 1.1.9: 45 nm, 0.9 V"

ADD_8 = Figure(0.03e-12, "J an addition of 8 bits", HOROWITZ, Basis.DOCUMENTED)
ADD_32 = Figure(0.1e-12, "J an addition of 32 bits", HOROWITZ, Basis.DOCUMENTED)
MULTIPLY_8 = Figure(0.2e-12, "J a product of 8 bits", HOROWITZ, Basis.DOCUMENTED)
MULTIPLY_32 = Figure(3.1e-12, "J a product of 32 bits", HOROWITZ, Basis.DOCUMENTED)
SRAM_8K = Figure(10e-12, "J an access of 64 bits to 8 KiB", HOROWITZ, Basis.DOCUMENTED)
SRAM_32K = Figure(20e-12, "J an access of 64 bits to 32 KiB", HOROWITZ, Basis.DOCUMENTED)
SRAM_1M = Figure(100e-12, "J an access of 64 bits to 1 MiB", HOROWITZ, Basis.DOCUMENTED)

COUNTED = 16
"""Samples on which spikes are counted."""

BASIS = f"an estimate with the figures of {HOROWITZ}; energy a bit of an addition and of an access taken as linear"
"""What the estimate rests on."""


def add(bits: int) -> float:
    """Joules of an addition of `bits`, on the line through 8 and 32 bits."""
    return _line(bits, ADD_8.value, ADD_32.value)


def multiply(bits: int) -> float:
    """Joules of a product of two numbers of `bits`: its array of adders grows with the square."""
    return max(MULTIPLY_8.value * (bits / 8) ** 2, 0.0) if bits <= 8 else MULTIPLY_32.value * (bits / 32) ** 2


def access(bits: int, memory_bits: int) -> float:
    """Joules to read or write `bits` of a memory of so many bits: the smallest of those measured that holds them."""
    kibibytes = memory_bits / 8192
    word = SRAM_8K if kibibytes <= 8 else SRAM_32K if kibibytes <= 32 else SRAM_1M
    return word.value * bits / 64


def _line(bits: int, at_8: float, at_32: float) -> float:
    return at_8 + (at_32 - at_8) * (bits - 8) / 24 if bits >= 8 else at_8 * bits / 8


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one population and the connections into it cost in a run of `steps` on one sample.

    `bit_budget` is steps * bits of a weight * bits of a message, summed over synapses: Shen et al., Are Conventional
    SNNs Really Efficient?, CVPR 2024 (arXiv 2311.10802), whose Bit Budget is that product. `synaptic_operations` are
    the synapses that events meet; of them, `effort` is the sum of the products of bits.
    """

    name: str
    steps: int
    synapses: int
    weight_bits: int
    state_bits: int
    memory_bits: int
    bit_budget: int
    synaptic_operations: float
    effort: float
    joules: float


def layer_costs(graph: Graph, spikes: Mapping[str, float], steps: int) -> tuple[LayerCost, ...]:
    """Costs by population of an integer graph; `spikes` are events a sample by source, inputs included.

    For each synaptic operation a weight is read and added; for each message of more than a bit it is multiplied; each
    neuron reads and writes its states in each step, decays and compares them.
    """
    signals = graph.signals()
    found: list[LayerCost] = []
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, Neuron) or op.arithmetic is None:
            continue
        arithmetic = op.arithmetic
        neurons = prod(op.shape)
        state_bits = arithmetic.v_bits + (arithmetic.i_bits if op.synapse is not None else 0)
        into = [link for link in connections(graph) if link.dst == node.name]
        weight_bits = memory = budget = synapses = 0
        operations = effort = arithmetic_joules = 0.0
        for link in into:
            linear = graph[link.name].op
            if not isinstance(linear, Linear | Sparse | Conv) or linear.weight.number is None:
                continue
            bits, message = linear.weight.number.bits, (signals[link.src].number or SPIKE_NUMBER).bits
            count = int(matrix(linear).nnz)
            sources = max(1, prod(output_shape(graph[link.src].op)))
            met = spikes.get(link.src, float(steps * sources)) * count / sources
            weight_bits = max(weight_bits, bits)
            memory += linear.weight.size * bits
            synapses += count
            budget += steps * bits * message * count
            operations += met
            effort += met * bits * message
            product = multiply(max(bits, message)) if message > 1 else 0.0
            arithmetic_joules += met * (add(arithmetic.v_bits) + product)
        states = neurons * state_bits
        joules = arithmetic_joules + operations * access(weight_bits, max(memory, 1))
        leaks = 0.0 if op.membrane.decay is None else multiply(arithmetic.v_bits)
        joules += steps * neurons * (2 * access(state_bits, states) + leaks + 2 * add(arithmetic.v_bits))
        found.append(
            LayerCost(
                node.name,
                steps,
                synapses,
                weight_bits,
                state_bits,
                memory + states,
                budget,
                operations,
                effort,
                joules,
            )
        )
    return tuple(found)


def measured_costs(graph: Graph, data: Mapping[str, Array]) -> tuple[LayerCost, ...]:
    """Costs of an integer graph for one sample of `data`, on average; without data for one step in which all spikes."""
    if not data or not is_integer(graph):
        return layer_costs(graph, {}, 1)
    from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

    few = {name: array[:, :COUNTED] for name, array in data.items()}
    inputs = to_integers(graph, few)
    ran = simulate(graph, inputs)
    spikes = {name: total / ran.samples for name, total in ran.spikes.items()}
    spikes |= {name: float(np.count_nonzero(array)) / array.shape[1] for name, array in inputs.items()}
    return layer_costs(graph, spikes, ran.steps)
