"""Spiking operators of custom domains: what each means, in scalar operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nmc.frontend.onnx.elementwise import Builder
from nmc.frontend.onnx.movement import Args, data
from nmc.frontend.onnx.read import NodeIn
from nmc.frontend.onnx.values import Space, Traced
from nmc.ir.program import Scalar


def _lif(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    """(x, mem, beta, threshold) -> (spikes, mem): m = beta * mem + x; s = m > threshold; mem' = m - s * threshold."""
    build = Builder(space)
    x, memory, decay, threshold = (data(args, place) for place in range(4))
    membrane = build(Scalar.ADD, build(Scalar.MUL, decay, memory), x)
    spikes = build(Scalar.ABOVE, membrane, threshold)
    return [spikes, build(Scalar.SUB, membrane, build(Scalar.MUL, spikes, threshold))]


HANDLERS: Mapping[tuple[str, str], Callable[[Space, NodeIn, Args], list[Traced]]] = {
    ("SNN_implementation", "LIF"): _lif,
}
"""(domain, operator) -> what it does. The operator's arguments must be as described."""
