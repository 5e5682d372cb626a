"""A budget: what a network may take, and what it takes at each width."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import prod

from nmc.diagnostics import Loc, UsageError, error, nearest
from nmc.ir.graph import Graph
from nmc.ir.ops import Conv, Linear, Neuron, Sparse

COMMAND_LINE = Loc("<command line>")


class Resource(Enum):
    """What a budget counts."""

    BITS = "bits"
    """Of weights, of states, and of spikes over all steps."""
    BYTES = "bytes"
    """Of weights and states: what memory has to hold."""
    CORES = "cores"


@dataclass(frozen=True, slots=True)
class Budget:
    """No more of a resource than `limit`."""

    resource: Resource
    limit: int

    def __str__(self) -> str:
        return f"{self.resource.value}={self.limit}"


def parse_budget(text: str) -> Budget:
    """`bits=N`, `bytes=N` or `cores=N`. Raises UsageError (NMC220) for anything else."""
    name, equals, value = text.partition("=")
    known = [each.value for each in Resource]
    if name not in known:
        message = f"`{name}` is no resource that a budget counts"
        raise UsageError(error("NMC220", message, COMMAND_LINE, help=nearest(name, known)))
    if not equals or not value.isdecimal() or int(value) == 0:
        message = f"the budget `{text}` has no whole number above 0"
        raise UsageError(error("NMC220", message, COMMAND_LINE, help=f"write `{name}=N`"))
    return Budget(Resource(name), int(value))


@dataclass(frozen=True, slots=True)
class Taken:
    """What a population takes: bits of its weights, of the states of each neuron, and of its output in a step."""

    weights: int
    neurons: int
    state_bits: int
    spikes: int

    @property
    def states(self) -> int:
        """Bits of all its states."""
        return self.neurons * self.state_bits


def taken(graph: Graph, name: str, connections: tuple[str, ...]) -> Taken:
    """What a population of an integer graph takes, with the connections into it.

    Weights count as often as they are stored: a kernel once.
    """
    op = graph[name].op
    assert isinstance(op, Neuron) and op.arithmetic is not None
    weights = 0
    for each in connections:
        linear = graph[each].op
        assert isinstance(linear, Linear | Sparse | Conv) and linear.weight.number is not None
        weights += linear.weight.size * linear.weight.number.bits
    neurons = prod(op.shape)
    bits = op.arithmetic.v_bits + (op.arithmetic.i_bits if op.synapse is not None else 0)
    return Taken(weights, neurons, bits, neurons if op.fire is not None else neurons * op.arithmetic.v_bits)
