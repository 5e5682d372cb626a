"""Synapses as rows and lists: what each packet of a source adds on one PE, in the words of the firmware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.blocks import Format
from nmc.backends.spinnaker2.mapping.mapping import Part
from nmc.backends.spinnaker2.program import Array, Block
from nmc.backends.spinnaker2.sums import as_synapses
from nmc.ir.linear import size_of
from nmc.ir.ops import LinearOp


@dataclass(frozen=True, slots=True)
class Lists:
    """The synapses of a connection, ordered by target part, source part, local source, delay, local target.

    Those of target part t and source part s are `first[t, s]` to `first[t, s] + count[t, s]`.
    """

    first: Array
    count: Array
    row: Array
    target: Array
    weight: Array
    delay: Array
    neurons: tuple[int, ...]
    """The size of each target part."""


def lists_of(op: LinearOp, targets: Sequence[Part], sources: Sequence[Part]) -> Lists:
    """The synapses of a connection between the parts of two populations."""
    single, weight = as_synapses(op)
    part_of, row_of = _places(sources, size_of(single.in_shape))
    target_of, local_of = _places(targets, size_of(single.out_shape))
    pre, post, delay = single.pre.data, single.post.data, single.delay.data
    pair = target_of[post] * len(sources) + part_of[pre]
    row, local = row_of[pre], local_of[post]
    rows, span, width = (int(each.max(initial=0)) + 1 for each in (row, delay, local))
    order = np.argsort(((pair * rows + row) * span + delay) * width + local, kind="stable")
    count = np.bincount(pair, minlength=len(targets) * len(sources)).reshape(len(targets), len(sources))
    first = np.concatenate(([0], np.cumsum(count)))[:-1].reshape(count.shape)
    sizes = tuple(part.size for part in targets)
    return Lists(first, count, row[order], local[order], weight[order], delay[order], sizes)


def _places(parts: Sequence[Part], size: int) -> tuple[Array, Array]:
    """The part of each neuron of a population, counted from the first given, and its place there."""
    part, place = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for index, each in enumerate(parts):
        part[each.neurons], place[each.neurons] = index, np.arange(each.size)
    return part, place


def list_block(
    lists: Lists, target: int, source: int, *, start: int, stop: int, delay: int, simd: bool
) -> Block | None:
    """Rows `start` to `stop` of a source part as the block with the fewest bytes; None if there is no synapse.

    It begins with the first and ends with the last row that has a synapse.
    """
    first = int(lists.first[target, source])
    last = first + int(lists.count[target, source])
    a, b = first + np.searchsorted(lists.row[first:last], (start, stop))
    if a == b:
        return None
    start, stop = int(lists.row[a]), int(lists.row[b - 1]) + 1
    row, local, weight = lists.row[a:b] - start, lists.target[a:b], lists.weight[a:b]
    least = int(lists.delay[a:b].min())
    extra = lists.delay[a:b] - least
    rows, neurons = stop - start, lists.neurons[target]
    span = int(extra.max())
    layout = blocks.list_format(neurons, span, _bits(weight))
    listed = blocks.SRAM_BYTES if layout is None else blocks.list_bytes(rows, b - a, layout)
    if span == 0 and blocks.dense_bytes(rows, neurons) <= listed:
        matrix = np.zeros((rows, neurons), np.int64)
        matrix[row, local] = weight
        return _dense(matrix, delay + least, start, simd=simd)
    assert layout is not None, "the mapping has cut where no word can name delay and neuron"
    table = np.searchsorted(row, np.arange(rows + 1)).astype(np.uint32)
    words = _pack(layout, weight, extra, local)
    return Block(int(layout), delay + least, start, rows, table, words)


def matrix_block(weights: Array, *, delay: int, start: int, simd: bool) -> Block | None:
    """A matrix (rows, neurons) as the block with the fewest bytes; None if all is zero."""
    rows, neurons = weights.shape
    weights = np.rint(weights).astype(np.int64)
    row, local = np.nonzero(weights)
    if not row.size:
        return None
    values = weights[row, local]
    layout = blocks.list_format(neurons, 0, _bits(values))
    if layout is None or blocks.dense_bytes(rows, neurons) <= blocks.list_bytes(rows, row.size, layout):
        return _dense(weights, delay, start, simd=simd)
    table = np.searchsorted(row, np.arange(rows + 1)).astype(np.uint32)
    return Block(int(layout), delay, start, rows, table, _pack(layout, values, np.zeros_like(values), local))


def _bits(weight: Array) -> int:
    """Signed bits of the largest weight."""
    return max(int(weight.max(initial=0)), -int(weight.min(initial=0)) - 1).bit_length() + 1


def _pack(layout: Format, weight: Array, delay: Array, local: Array) -> Array:
    """Words of a list, as `packets.c` takes them apart."""
    if layout is Format.NARROW:
        return ((weight & 255) << 8 | local).astype(np.uint16)
    if layout is Format.DELAYED:
        return ((weight & 15) << 12 | delay << 9 | local).astype(np.uint16)
    return ((weight & 255) << 24 | delay << 16 | local).astype(np.uint32)


def _dense(weights: Array, delay: int, start: int, *, simd: bool) -> Block:
    return Block(int(Format.DENSE), delay, start, len(weights), None, padded(weights, simd=simd))


def padded(weights: Array, *, simd: bool) -> Array:
    """int8 (..., weights) padded to four; for sums of 16 bits each four in the order in which SXTB16 takes them."""
    size = weights.shape[-1]
    whole = np.zeros((*weights.shape[:-1], -(-size // 4) * 4), np.int8)
    whole[..., :size] = weights
    if not simd:
        return whole
    fours = whole.reshape(*weights.shape[:-1], -1, 4)
    return np.ascontiguousarray(fours[..., [0, 2, 1, 3]]).reshape(whole.shape)
