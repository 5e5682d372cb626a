"""Which parts the neurons of a source reach: the targets of their packets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.kernels import field_of_conv, join_reach, reach_of_sparse
from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.mapping.network import Network, Projection, Reach
from nmc.ir.ops import Conv, Linear, Shape, Sparse, output_shape

Array = npt.NDArray[Any]


def reach(network: Network, projection: Projection, parts: Sequence[Integers]) -> Reach:
    """Which of `parts`, which together are the projection's target, each source neuron has a synapse to."""
    op = projection.op
    if isinstance(op, Sparse):
        part_of = np.empty(network.populations[projection.dst].size, np.int32)
        for index, neurons in enumerate(parts):
            part_of[neurons] = index
        return Reach(*reach_of_sparse(projection.start, op.post.data, part_of, len(parts)))
    reached = np.zeros((len(parts), network.populations[projection.src].size), np.bool_)
    for index, neurons in enumerate(parts):
        if isinstance(op, Linear):
            np.any(op.weight.data[neurons], axis=0, out=reached[index])
        else:
            field_of_conv(neurons, *_geometry(op), reached[index])
    reached = reached.T
    start = np.concatenate(([0], np.cumsum(reached.sum(axis=1), dtype=np.int64)))
    return Reach(start, np.nonzero(reached)[1].astype(np.int32))


def reach_of_source(network: Network, source: int, parts: Sequence[Sequence[Integers]]) -> Reach:
    """Which parts the neurons of a source reach, over all its projections.

    `parts[p]` are those of population p; they are counted through in that order.
    """
    offset = np.concatenate(([0], np.cumsum([len(each) for each in parts])))
    whole = Reach(np.zeros(network.populations[source].size + 1, np.int64), np.zeros(0, np.int32))
    for projection in network.out_of(source):
        found = reach(network, projection, parts[projection.dst])
        moved = Reach(found.start, found.part + np.int32(offset[projection.dst]))
        whole = (
            Reach(*join_reach(whole.start, whole.part, moved.start, moved.part)) if whole.part.size else moved
        )
    return whole


def _geometry(op: Conv) -> tuple[Array, Array, Array, Array, Array, Array, int]:
    """A convolution as its kernel takes it, over two axes; one over one axis gets a y of size one."""

    def planar(values: Shape) -> Array:
        return np.array((1,) * (2 - len(values)) + values, np.int64)

    def image(shape: Shape) -> Array:
        return np.array((shape[0], *planar(shape[1:])), np.int64)

    before = (0,) * (2 - len(op.padding)) + tuple(pad[0] for pad in op.padding)
    weight = op.weight.data
    nonzero = (weight != 0).reshape(*weight.shape[:2], *planar(weight.shape[2:]))
    return (
        image(op.in_shape),
        image(output_shape(op)),
        nonzero,
        planar(op.stride),
        np.array(before, np.int64),
        planar(op.dilation),
        op.groups,
    )
