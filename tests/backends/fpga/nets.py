"""Random networks over what the core can compute, and how they are compiled for tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmc.backends.backend import Request
from nmc.backends.fpga import backend
from nmc.backends.fpga.spec import RESETS
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, SpikeFrom
from nmc.ir.ops import (
    Conv,
    Fire,
    Flatten,
    Input,
    Linear,
    Membrane,
    Neuron,
    Op,
    Output,
    Pool,
    Pooling,
    Shape,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
    output_shape,
)
from nmc.ir.tensor import Array, Tensor
from nmc.passes.pipeline import run_pipeline


@dataclass(frozen=True, slots=True)
class Net:
    """A placed integer graph and inputs for it."""

    graph: Graph
    inputs: dict[str, Array]


def compiled(graph: Graph, *, calibration: dict[str, Array] | None = None, **chosen: str) -> Graph:
    """The graph after all passes of the backend, with settings."""
    settings = {setting.name: setting.default for setting in backend.SETTINGS} | chosen
    return run_pipeline(graph, backend.pipeline(Request(calibration=calibration or {}, settings=settings)))


def real(value: float | Array) -> Tensor:
    return Tensor(np.asarray(value, np.float64))


def random_net(seed: int, *, steps: int = 12) -> Net:
    """One network of 1 to 3 layers; everything that may vary does."""
    rng = np.random.default_rng(seed)
    weight_bits, lanes = int(rng.integers(2, 17)), int(rng.choice([1, 2, 3, 4, 5, 7, 8, 12, 16, 31, 64]))
    graded = rng.random() < 0.2
    image = rng.random() < 0.5
    shape: Shape = (
        (int(rng.integers(1, 5)), *rng.integers(3, 8, int(rng.integers(1, 3))).tolist())
        if image
        else (int(rng.integers(1, 20)),)
    )
    nodes: list[Node] = [Node("x", Input(Signal(shape, SignalKind.REAL)))]
    edges: list[Edge] = []
    at, populations = "x", list[str]()

    def add(name: str, op: Op, src: str, delay: int = 0) -> str:
        nodes.append(Node(name, op))
        edges.append(Edge(src, name, delay))
        return name

    def shape_of(name: str) -> Shape:
        return output_shape(next(node.op for node in nodes if node.name == name))

    for k in range(int(rng.integers(1, 4))):
        if len(shape_of(at)) > 1 and rng.random() < 0.7:
            if rng.random() < 0.3:
                at = add(f"before{k}", _pool(rng, shape_of(at)), at)
            if rng.random() < 0.85:
                at = add(f"conv{k}", _conv(rng, shape_of(at)), at)
            if rng.random() < 0.3:
                at = add(f"pool{k}", _pool(rng, shape_of(at)), at)
        else:
            if len(shape_of(at)) > 1:
                at = add(f"flat{k}", Flatten(shape_of(at), 0, len(shape_of(at)) - 1), at)
            post = int(rng.integers(1, 34))
            make = _sparse if rng.random() < 0.2 else _linear
            at = add(f"fc{k}", make(rng, post, shape_of(at)[0]), at, delay=int(rng.choice([0, 0, 0, 1, 4])))
        size = shape_of(at)
        last = rng.random() < 0.15
        at = add(f"n{k}", _neuron(rng, size, fires=not last), at)
        if not last and rng.random() < 0.35 and len(size) == 1:
            rec = add(f"rec{k}", _linear(rng, size[0], size[0]), at, delay=int(rng.integers(1, 4)))
            edges.append(Edge(rec, at))
        if populations and len(size) == 1 and rng.random() < 0.4:
            src = populations[int(rng.integers(len(populations)))]
            if len(shape_of(src)) == 1:
                skip = add(
                    f"skip{k}", _linear(rng, size[0], shape_of(src)[0]), src, delay=int(rng.integers(0, 3))
                )
                edges.append(Edge(skip, at))
        if last:
            break
        populations.append(at)
    add("y", Output(shape_of(at)), at)
    if len(populations) > 1 and rng.random() < 0.3:
        add("z", Output(shape_of(populations[0])), populations[0])
    graph = Graph(tuple(nodes), tuple(edges))
    data = rng.integers(-4, 5, (steps, 2, *shape)).astype(np.float64) * (rng.random((steps, 2, *shape)) < 0.5)
    calibration = {"x": data} if graded else None
    placed = compiled(
        graph, calibration=calibration, weight_bits=str(weight_bits), lanes=str(lanes), message_bits="4"
    )
    signal = placed["x"].op
    assert isinstance(signal, Input)
    number = signal.signal.number
    spikes = (rng.random((steps, 2, *shape)) < 0.35).astype(np.int64)
    values = (
        spikes if number is None else rng.integers(number.lowest, number.highest + 1, spikes.shape) * spikes
    )
    return Net(placed, {"x": values})


def _linear(rng: np.random.Generator, post: int, pre: int) -> Linear:
    bias = Tensor(rng.normal(0, 0.1, post)) if rng.random() < 0.4 else None
    return Linear(Tensor(rng.normal(0.15, 0.5, (post, pre))), bias)


def _sparse(rng: np.random.Generator, post: int, pre: int) -> Sparse:
    """Some of all pairs, each with a delay of its own."""
    keys = np.union1d(np.flatnonzero(rng.random(pre * 3 * post) < 0.2), [0])
    source, rest = np.divmod(keys, 3 * post)
    delay, target = np.divmod(rest, post)
    weight = Tensor(rng.normal(0.3, 0.5, keys.size))
    return Sparse((pre,), (post,), Tensor(source), Tensor(target), weight, Tensor(delay))


def _conv(rng: np.random.Generator, shape: Shape) -> Conv:
    """Any kernel, stride, dilation, groups and padding, the same on both sides or not, that leave an output."""
    channels, *space = shape
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    kernel = tuple(int(rng.integers(1, min(4, size) + 1)) for size in space)
    padding = tuple((int(rng.integers(0, 3)), int(rng.integers(0, 3))) for _ in space)
    stride = tuple(int(rng.integers(1, 4)) for _ in space)
    dilation = tuple(
        int(rng.integers(1, 4)) if 3 * (k - 1) < size + sum(pad) else 1
        for k, size, pad in zip(kernel, space, padding, strict=True)
    )
    out = groups * int(rng.integers(1, 6))
    weight = Tensor(rng.normal(0.2, 0.5, (out, channels // groups, *kernel)))
    bias = Tensor(rng.normal(0, 0.1, out)) if rng.random() < 0.4 else None
    return Conv(shape, weight, bias, stride, padding, dilation, groups)


def _pool(rng: np.random.Generator, shape: Shape) -> Pool:
    """Sums or averages of windows that may overlap, leave gaps, or reach over the border."""
    kernel = tuple(int(rng.integers(1, min(3, size) + 1)) for size in shape[1:])
    tiles = rng.random() < 0.6
    stride = kernel if tiles else tuple(int(rng.integers(1, 4)) for _ in kernel)
    padding = tuple((0, 0) if tiles else (int(rng.integers(0, k)), int(rng.integers(0, k))) for k in kernel)
    return Pool(shape, Pooling.SUM if rng.random() < 0.5 else Pooling.AVERAGE, kernel, stride, padding)


def _neuron(rng: np.random.Generator, shape: Shape, *, fires: bool) -> Neuron:
    def each(low: float, high: float, chance: float = 0.25) -> Tensor:
        return Tensor(rng.uniform(low, high, shape if rng.random() < chance else ()))

    zero = real(0.0)
    synapse = Synapse(each(0.2, 0.9), None, CurrentUsed.NEW, zero) if rng.random() < 0.3 else None
    minimum = each(-1.0, -0.2) if rng.random() < 0.2 else None
    initial = each(-0.4, 0.4) if rng.random() < 0.2 else zero
    decay = each(0.0, 1.0) if rng.random() < 0.8 else None
    membrane = Membrane(decay, None, None, minimum, initial)
    reset, when = RESETS[int(rng.integers(len(RESETS)))]
    if reset is Reset.NONE and decay is None:
        reset = Reset.TO_VALUE
    period = (
        Tensor(rng.integers(0, 4, shape))
        if rng.random() < 0.2
        else Tensor(np.int64(rng.choice([0, 0, 0, 2])))
    )
    comparison = Comparison(int(rng.integers(2)))
    fire = Fire(each(0.5, 1.2), comparison, SpikeFrom.NEW, reset, when, zero, period)
    return Neuron(shape, synapse, membrane, fire if fires else None)


__all__ = ["Net", "compiled", "random_net", "real", "replace"]
