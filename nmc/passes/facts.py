"""Facts: predicates over a graph that the pipeline re-checks after each pass. They are not claims."""

from __future__ import annotations

from enum import Enum

from nmc.ir.graph import Graph


class Fact(Enum):
    """What may be true of a graph."""

    DISCRETE = "discrete"
    """No operation is in seconds."""
    CANONICAL = "canonical"
    """Neurons have no gain; only one linear operation lies between two populations."""
    QUANTIZED = "quantized"
    """Every parameter has a number format and every population an arithmetic."""
    DELAYS_LOWERED = "delays_lowered"
    """Every edge and synapse has a delay that the target holds."""
    PLACED = "placed"
    """Every neuron is on exactly one core."""


def check(graph: Graph, *, after: str) -> None:
    """Raise AssertionError, naming the pass `after`, if a fact of the graph does not hold: a fault of nmc."""
    raise NotImplementedError
