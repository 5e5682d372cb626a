"""Connections as rows of weights: what each event adds to which word of accumulators."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmc.backends.fpga.windows import Kernel, Window, blocks_of, kernel_of, window_of
from nmc.ir.connections import Connection, connections
from nmc.ir.graph import Graph
from nmc.ir.linear import size_of, synapses
from nmc.ir.ops import Linear, LinearOp, Sparse, output_shape
from nmc.ir.tensor import Array, Tensor


@dataclass(frozen=True, slots=True)
class Leg:
    """One source of a population with one delay. Its events have the numbers `offset` and up."""

    src: str
    connection: str
    delay: int
    offset: int
    sources: int
    rows_of_source: Array
    """How many operations an event of each source is."""


@dataclass(frozen=True, slots=True)
class Rows:
    """All that comes into a population with so many lanes.

    Dense: an event of source s is WORDS operations, on the weight rows s * stride + word. Table: it is the
    operations `first[s]` to `first[s] + count[s]`, each a word and a weight row. `weights` are (rows, lanes).
    """

    legs: tuple[Leg, ...]
    dense: bool
    words: int
    weights: Array
    first: Array
    count: Array
    word: Array
    row: Array
    window: Window | None = None
    """Of a single convolution, which then needs no table."""
    synapses: tuple[int, ...] = ()
    """Of each row of a table that is not shared, bit p for lane p: whether there is a synapse, of weight 0 perhaps."""


def convolution(graph: Graph, name: str) -> Kernel | None:
    """The convolution that a population's only connection is, along one or two axes, pools before and behind it
    included; None for populations with other connections."""
    links = [c for c in connections(graph) if c.dst == name]
    if len(links) != 1:
        return None
    op = graph[links[0].name].op
    return kernel_of(op) if isinstance(op, LinearOp) else None


def words_of(neurons: int, lanes: int, kernel: Kernel | None) -> int:
    """Words of accumulators: what each lane holds one after the other; of a convolution whole channels."""
    if kernel is not None and lanes <= kernel.out_shape[0]:
        return blocks_of(kernel.out_shape[0], lanes) * (neurons // kernel.out_shape[0])
    return -(-neurons // lanes)


def rows_of(graph: Graph, name: str, lanes: int, *, shared: bool = True) -> Rows:
    """The rows of a population; the neurons of lane p are p * words to p * words + words - 1, in C order.

    Rows that are equal are stored once; unless `shared` only those that are the same weights of the model, such as
    those of a convolution at two places of an image, so that one of them can be changed and no other.
    """
    neurons = size_of(output_shape(graph[name].op))
    words = -(-neurons // lanes)
    links = sorted((c for c in connections(graph) if c.dst == name), key=lambda link: link.delay)
    if not links:
        return _ticks_only(graph, words, lanes)
    kernel = convolution(graph, name) if shared else None
    if kernel is not None and lanes <= kernel.out_shape[0]:
        return _windowed(links[0], window_of(kernel, lanes))
    dense = all(isinstance(graph[link.name].op, Linear) for link in links)
    parts = [part for link in links for part in _by_delay(graph, link, shared=shared)]
    if dense:
        return _dense(parts, words, lanes, graph)
    return _table(parts, words, lanes, graph, shared=shared)


def _ticks_only(graph: Graph, words: int, lanes: int) -> Rows:
    """A population without connections, such as the source of biases: it needs to know when a step ends, so that it
    listens to the first input, whose events add nothing."""
    source = graph.inputs[0]
    size = size_of(output_shape(source.op))
    zeros, one = np.zeros(size, np.int64), np.zeros(1, np.int64)
    leg = Leg(source.name, "", 0, 0, size, zeros)
    return Rows((leg,), False, words, np.zeros((1, lanes), np.int64), zeros, zeros, one, one)


@dataclass(frozen=True, slots=True)
class _Part:
    """Synapses of one delay, or a whole matrix (post, pre) of mantissas. `index` is which weight each synapse is."""

    link: Connection
    delay: int
    matrix: Array | None
    pre: Array
    post: Array
    weight: Array
    index: Array


_NONE = np.zeros(0, np.int64)


def _by_delay(graph: Graph, link: Connection, *, shared: bool) -> list[_Part]:
    op = graph[link.name].op
    assert isinstance(op, LinearOp) and op.weight.number is not None
    if isinstance(op, Linear):
        return [_Part(link, link.delay, op.weight.data.astype(np.int64), _NONE, _NONE, _NONE, _NONE)]
    pre, post, later, index = places_of(op)
    weight = op.weight.data.ravel()[index].astype(np.int64)
    found: list[_Part] = []
    for delay in np.unique(later).tolist() or [0]:
        at = (later == delay) & ((weight != 0) | (not shared))
        found.append(_Part(link, link.delay + delay, None, pre[at], post[at], weight[at], index[at]))
    return found


def places_of(op: LinearOp) -> tuple[Array, Array, Array, Array]:
    """Every synapse that a connection can have, weights of 0 included: its source, its neuron, its delay, and which
    element of the weight tensor, in C order, it has."""
    count = op.weight.data.size
    if isinstance(op, Linear):
        post, pre = np.divmod(np.arange(count), op.weight.shape[1])
        return pre, post, np.zeros(count, np.int64), np.arange(count)
    if isinstance(op, Sparse):
        return op.pre.data, op.post.data, op.delay.data, np.arange(count)
    numbers = Tensor(np.arange(1.0, count + 1).reshape(op.weight.shape))
    single = synapses(replace(op, weight=numbers, bias=None, accumulator=None))
    return single.pre.data, single.post.data, single.delay.data, single.weight.data.astype(np.int64) - 1


def _windowed(link: Connection, window: Window) -> Rows:
    operations = window.operations
    leg = Leg(link.src, link.name, link.delay, 0, operations.size, operations)
    return Rows((leg,), False, window.words, window.weights, _NONE, _NONE, _NONE, _NONE, window)


def _dense(parts: list[_Part], words: int, lanes: int, graph: Graph) -> Rows:
    stride = 1 << (words - 1).bit_length()
    legs: list[Leg] = []
    blocks: list[Array] = []
    offset = 0
    for part in parts:
        assert part.matrix is not None
        post, pre = part.matrix.shape
        padded = np.zeros((lanes * words, pre), np.int64)
        padded[:post] = part.matrix
        block = np.zeros((pre, stride, lanes), np.int64)
        block[:, :words] = padded.reshape(lanes, words, pre).transpose(2, 1, 0)
        blocks.append(block.reshape(pre * stride, lanes))
        legs.append(Leg(part.link.src, part.link.name, part.delay, offset, pre, np.full(pre, words)))
        offset += pre
    weights = np.concatenate(blocks)
    weights = weights[
        : weights.shape[0] - (stride - words)
    ]  # nothing is read behind the last source's last word
    return Rows(tuple(legs), True, words, weights, _NONE, _NONE, _NONE, _NONE)


def _all_pairs(matrix: Array) -> tuple[Array, Array]:
    pre, post = np.indices(matrix.shape)
    return pre.ravel(), post.ravel()


def _table(parts: list[_Part], words: int, lanes: int, graph: Graph, *, shared: bool) -> Rows:
    legs: list[Leg] = []
    firsts: list[Array] = []
    counts: list[Array] = []
    word_parts: list[Array] = []
    row_parts: list[Array] = []
    same_parts: list[Array] = []
    offset = operations = weights_before = 0
    for part in parts:
        sources = size_of(output_shape(graph[part.link.src].op))
        if part.matrix is not None:
            pre, post = np.nonzero(part.matrix.T) if shared else _all_pairs(part.matrix.T)
            weight, index = part.matrix.T[pre, post], post * part.matrix.shape[1] + pre
        else:
            pre, post, weight, index = part.pre, part.post, part.weight, part.index
        key = pre * words + post % words
        unique, inverse = np.unique(key, return_inverse=True)
        block = np.zeros((unique.size, lanes), np.int64)
        block[inverse, post // words] = weight
        same = np.zeros_like(block)
        same[inverse, post // words] = index + weights_before + 1
        weights_before += int(index.max(initial=0)) + 1
        same_parts.append(same)
        source, word = np.divmod(unique, words)
        count = np.bincount(source, minlength=sources)
        first = operations + np.concatenate(([0], np.cumsum(count)[:-1]))
        legs.append(Leg(part.link.src, part.link.name, part.delay, offset, sources, count))
        firsts.append(first)
        counts.append(count)
        word_parts.append(word)
        row_parts.append(block)
        offset += sources
        operations += unique.size
    every, same = np.concatenate(row_parts), np.concatenate(same_parts)
    if every.shape[0] == 0:
        every = same = np.zeros((1, lanes), np.int64)
        word_parts.append(np.zeros(1, np.int64))
    _, first_of, row = np.unique(every if shared else same, axis=0, return_index=True, return_inverse=True)
    there = () if shared else tuple(_bits(lanes_of) for lanes_of in same[first_of] != 0)
    return Rows(
        tuple(legs), False, words, every[first_of], np.concatenate(firsts), np.concatenate(counts),
        np.concatenate(word_parts), row.ravel().astype(np.int64), synapses=there,
    )  # fmt: skip


def _bits(flags: Array) -> int:
    return sum(1 << k for k in np.flatnonzero(flags).tolist())
