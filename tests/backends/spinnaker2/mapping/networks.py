"""Networks of one kind each, as mapping sees them: after quantization, before placement."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.ops import Conv, Linear, Output, Shape, Sparse, output_shape
from nmc.ir.tensor import FixedPoint, Tensor
from tests.nets import lif, spikes

WEIGHTS = FixedPoint(8, True, -4)
Array = npt.NDArray[Any]


def ring(
    size: int, degree: int, *, rewired: float = 0.0, spread: int = 0, seed: int = 0
) -> tuple[Array, Array]:
    """(pre, post): each neuron reaches `degree` others nearby, some of them `rewired` to anywhere."""
    rng = np.random.default_rng(seed)
    pre = np.repeat(np.arange(size), degree)
    near = rng.integers(-(spread or degree), (spread or degree) + 1, pre.size)
    post = (pre + near) % size
    far = rng.random(pre.size) < rewired
    post[far] = rng.integers(0, size, int(far.sum()))
    return pre, post


def shuffled(pre: Array, post: Array, size: int, seed: int = 0) -> tuple[Array, Array]:
    """The same synapses with ids that say nothing."""
    ids = np.random.default_rng(seed + 1000).permutation(size)
    return ids[pre], ids[post]


def sparse_of(pre: Array, post: Array, sizes: tuple[int, int], seed: int = 0) -> Sparse:
    """Synapses with random weights and no delays of their own; each pair once."""
    pairs = np.unique(pre.astype(np.int64) * sizes[1] + post)
    weights = np.random.default_rng(seed).integers(1, 8, pairs.size)
    pre, post = np.divmod(pairs, sizes[1])
    return Sparse(
        (sizes[0],),
        (sizes[1],),
        Tensor(pre),
        Tensor(post),
        Tensor(weights, WEIGHTS),
        Tensor(np.zeros_like(pre)),
    )


def recurrent(pre: Array, post: Array, size: int, *, inputs: int = 16) -> Graph:
    """One population with synapses onto itself, driven by a few inputs."""
    into = np.arange(inputs)
    nodes = (
        Node("in", spikes(inputs)),
        Node("drive", sparse_of(into, into * (size // inputs), (inputs, size))),
        Node("pop", lif(size)),
        Node("loop", sparse_of(pre, post, (size, size))),
        Node("out", Output((size,))),
    )
    edges = (
        Edge("in", "drive", delay=1),
        Edge("drive", "pop"),
        Edge("pop", "loop", delay=1),
        Edge("loop", "pop"),
        Edge("pop", "out"),
    )
    return Graph(nodes, edges)


def chain(*ops: Linear | Conv | Sparse, in_shape: Shape) -> Graph:
    """Layers one after the other, a LIF population after each."""
    nodes, edges = [Node("in", spikes(*in_shape))], []
    last = "in"
    for index, op in enumerate(ops):
        name = f"lif{index}"
        nodes += [Node(f"w{index}", op), Node(name, lif(*output_shape(op)))]
        edges += [Edge(last, f"w{index}"), Edge(f"w{index}", name)]
        last = name
    nodes.append(Node("out", Output(output_shape(nodes[-1].op))))
    return Graph(tuple(nodes), (*edges, Edge(last, "out")))


def dense(pre: int, post: int, seed: int = 0) -> Linear:
    """A full matrix."""
    return Linear(Tensor(np.random.default_rng(seed).integers(-100, 100, (post, pre)), WEIGHTS))


def conv(
    in_shape: Shape, channels: int, kernel: int, *, stride: int = 1, groups: int = 1, seed: int = 0
) -> Conv:
    """A convolution of a square kernel that keeps the size of the plane, but for its stride."""
    shape = (channels, in_shape[0] // groups, kernel, kernel)
    weight = Tensor(np.random.default_rng(seed).integers(-100, 100, shape), WEIGHTS)
    pad = (kernel // 2, kernel // 2)
    return Conv(in_shape, weight, None, (stride, stride), (pad, pad), (1, 1), groups)


__all__ = ["chain", "conv", "dense", "recurrent", "ring", "shuffled", "sparse_of"]
