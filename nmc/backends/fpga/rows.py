"""Connections as rows of weights: what each event adds to which word of accumulators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nmc.ir.connections import Connection, connections
from nmc.ir.graph import Graph
from nmc.ir.linear import size_of, synapses
from nmc.ir.ops import Linear, LinearOp, Sparse, output_shape
from nmc.ir.tensor import Array


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


def rows_of(graph: Graph, name: str, lanes: int) -> Rows:
    """The rows of a population; the neurons of lane p are p * words to p * words + words - 1, in C order."""
    neurons = size_of(output_shape(graph[name].op))
    words = -(-neurons // lanes)
    links = sorted((c for c in connections(graph) if c.dst == name), key=lambda link: link.delay)
    if not links:
        return _ticks_only(graph, words, lanes)
    dense = all(isinstance(graph[link.name].op, Linear) for link in links)
    parts = [part for link in links for part in _by_delay(graph, link)]
    if dense:
        return _dense(parts, words, lanes, graph)
    return _table(parts, words, lanes, graph)


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
    """Synapses of one delay, or a whole matrix (post, pre) of mantissas."""

    link: Connection
    delay: int
    matrix: Array | None
    pre: Array
    post: Array
    weight: Array


_NONE = np.zeros(0, np.int64)


def _by_delay(graph: Graph, link: Connection) -> list[_Part]:
    op = graph[link.name].op
    assert isinstance(op, LinearOp) and op.weight.number is not None
    if isinstance(op, Linear):
        return [_Part(link, link.delay, op.weight.data.astype(np.int64), _NONE, _NONE, _NONE)]
    single = op if isinstance(op, Sparse) else synapses(op)
    mantissa = np.rint(np.ldexp(single.weight.values, -op.weight.number.exponent)).astype(np.int64)
    later = single.delay.data
    found: list[_Part] = []
    for delay in np.unique(later).tolist() or [0]:
        at = later == delay
        found.append(
            _Part(link, link.delay + delay, None, single.pre.data[at], single.post.data[at], mantissa[at])
        )
    return found


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


def _table(parts: list[_Part], words: int, lanes: int, graph: Graph) -> Rows:
    legs: list[Leg] = []
    firsts: list[Array] = []
    counts: list[Array] = []
    word_parts: list[Array] = []
    row_parts: list[Array] = []
    offset = operations = 0
    for part in parts:
        sources = size_of(output_shape(graph[part.link.src].op))
        if part.matrix is not None:
            pre, post = np.nonzero(part.matrix.T)
            weight = part.matrix.T[pre, post]
        else:
            pre, post, weight = part.pre, part.post, part.weight
        key = pre * words + post % words
        unique, inverse = np.unique(key, return_inverse=True)
        block = np.zeros((unique.size, lanes), np.int64)
        block[inverse, post // words] = weight
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
    every = np.concatenate(row_parts)
    if every.shape[0] == 0:
        every = np.zeros((1, lanes), np.int64)
        word_parts.append(np.zeros(1, np.int64))
    weights, row = np.unique(every, axis=0, return_inverse=True)
    return Rows(
        tuple(legs), False, words, weights, np.concatenate(firsts), np.concatenate(counts),
        np.concatenate(word_parts), row.ravel().astype(np.int64),
    )  # fmt: skip
