"""Small networks for tests of passes, with every attribute spelled out."""

from itertools import pairwise

import numpy as np

from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Fire,
    Input,
    Linear,
    Membrane,
    Neuron,
    Op,
    Output,
    Signal,
    SignalKind,
    Synapse,
    output_shape,
)
from nmc.ir.tensor import Tensor

ZERO = Tensor(np.float64(0))


def real(value: float | np.ndarray) -> Tensor:
    return Tensor(np.asarray(value, np.float64))


def fire(
    threshold: float | np.ndarray = 1.0,
    *,
    comparison: Comparison = Comparison.ABOVE,
    reset: Reset = Reset.TO_VALUE,
    when: ResetWhen = ResetWhen.SAME_STEP,
    spike_from: SpikeFrom = SpikeFrom.NEW,
    value: float = 0.0,
    refractory: int = 0,
) -> Fire:
    return Fire(
        real(threshold), comparison, spike_from, reset, when, real(value), Tensor(np.int64(refractory))
    )


def lif(
    shape: tuple[int, ...],
    *,
    decay: float | np.ndarray | None = 0.875,
    bias: float | np.ndarray | None = None,
    gain: float | np.ndarray | None = None,
    minimum: float | None = None,
    initial: float = 0.0,
    spikes: Fire | None = None,
    silent: bool = False,
) -> Neuron:
    membrane = Membrane(
        None if decay is None else real(decay),
        None if gain is None else real(gain),
        None if bias is None else real(bias),
        None if minimum is None else real(minimum),
        real(initial),
    )
    return Neuron(shape, None, membrane, None if silent else (spikes or fire()))


def cubalif(
    shape: tuple[int, ...],
    *,
    synapse_decay: float = 0.5,
    synapse_gain: float | None = None,
    used: CurrentUsed = CurrentUsed.NEW,
    decay: float = 0.75,
    gain: float | None = None,
    bias: float | None = None,
    spikes: Fire | None = None,
) -> Neuron:
    plain = lif(shape, decay=decay, bias=bias, gain=gain, spikes=spikes)
    synapse = Synapse(real(synapse_decay), None if synapse_gain is None else real(synapse_gain), used, ZERO)
    return Neuron(shape, synapse, plain.membrane, plain.fire)


def linear(rng: np.random.Generator, post: int, pre: int, *, bias: bool = False, mean: float = 0.1) -> Linear:
    constant = Tensor(rng.normal(0.0, 0.1, post)) if bias else None
    return Linear(Tensor(rng.normal(mean, 0.3, (post, pre))), constant)


def graph(ops: dict[str, Op], edges: list[tuple[str, str] | tuple[str, str, int]]) -> Graph:
    """Nodes by name; edges as (src, dst) or (src, dst, delay)."""
    nodes = tuple(Node(name, op) for name, op in ops.items())
    return Graph(nodes, tuple(Edge(*edge) for edge in edges))


def chain(*named: tuple[str, Op], shape: tuple[int, ...]) -> Graph:
    """Input `x`, the operations one after the other, output `y`."""
    ops: dict[str, Op] = {"x": Input(Signal(shape, SignalKind.REAL)), **dict(named)}
    ops["y"] = Output(output_shape(named[-1][1]))
    names = list(ops)
    return graph(ops, list(pairwise(names)))


def spikes(
    steps: int, samples: int, shape: tuple[int, ...], *, rate: float = 0.3, seed: int = 0
) -> np.ndarray:
    return (np.random.default_rng(seed).random((steps, samples, *shape)) < rate).astype(np.uint8)
