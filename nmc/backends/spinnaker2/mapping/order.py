# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Orders of a population's neurons in which those side by side share sources, for ids that say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from nmc.backends.spinnaker2.mapping.mapping import Integers
from nmc.backends.spinnaker2.mapping.network import Network
from nmc.ir.ops import Sparse
from nmc.sim.compiled import compiled

Array = npt.NDArray[Any]
"""Any: kernels take arrays of several dtypes."""

PATIENCE = 150_000_000
"""Synapses that `grow` looks at before it gives up: about a second. Networks without any locality take more."""


def cuthill_mckee(network: Network) -> list[Integers]:
    """The ids of each population in the order in which reverse Cuthill-McKee visits them.

    The graph has all neurons and inputs of the network and those synapses that are single ones.
    """
    rows: list[Array] = [np.zeros(0, np.int32)]
    columns: list[Array] = [np.zeros(0, np.int32)]
    for each in network.projections:
        if isinstance(each.op, Sparse):
            rows.append((each.op.pre.data + network.first[each.src]).astype(np.int32))
            columns.append((each.op.post.data + network.first[each.dst]).astype(np.int32))
    pre, post = np.concatenate(rows), np.concatenate(columns)
    size = network.neurons
    directed: Any = sparse.csr_matrix((np.ones(pre.size, np.int8), (pre, post)), shape=(size, size))
    visited = reverse_cuthill_mckee((directed + directed.T).tocsr(), symmetric_mode=True).astype(np.int64)
    owner = np.searchsorted(network.first, visited, side="right") - 1
    return [visited[owner == each] - network.first[each] for each in range(len(network.populations))]


@compiled
def grow(
    start: Array, post: Array, first: Array, nets: Array, order: Array, chunk: int, patience: int
) -> Array:
    """The neurons of `order` again, in chunks of which each grew from a seed by the neuron that shares most sources.

    Net u has the pins `post[start[u]:start[u + 1]]`, neuron n is in `nets[first[n]:first[n + 1]]`. A chunk begins
    where the one before would have gone on. Empty if more than `patience` pins would have to be looked at.
    """
    count = first.size - 1
    shared = np.zeros(count, np.int32)  # sources that a neuron shares with the chunk; -1: taken
    most = 0
    for n in range(count):
        most = max(most, first[n + 1] - first[n])
    head = np.full(most + 1, -1, np.int32)  # neurons by what they share, as lists
    after = np.full(count, -1, np.int32)
    before = np.full(count, -1, np.int32)
    touched = np.full(start.size - 1, -1, np.int32)
    grown = np.empty(count, np.int64)
    top = 0
    seed = 0
    looked = 0
    for at in range(count):
        piece = at // chunk
        while top > 0 and head[top] < 0:
            top -= 1
        if top > 0:
            n = head[top]
            unlink(head, after, before, n, shared[n])
        else:
            while shared[order[seed]] < 0:
                seed += 1
            n = order[seed]
        if at % chunk == 0:  # forget what was shared with the last chunk
            for value in range(1, top + 1):
                each = head[value]
                while each >= 0:
                    following = after[each]
                    shared[each] = 0
                    after[each] = -1
                    before[each] = -1
                    each = following
                head[value] = -1
            top = 0
        shared[n] = -1
        grown[at] = n
        for k in range(first[n], first[n + 1]):
            u = nets[k]
            if touched[u] == piece:
                continue
            touched[u] = piece
            looked += start[u + 1] - start[u]
            for j in range(start[u], start[u + 1]):
                other = post[j]
                value = shared[other]
                if value < 0:
                    continue
                if value > 0:
                    unlink(head, after, before, other, value)
                value += 1
                shared[other] = value
                after[other] = head[value]
                before[other] = -1
                if head[value] >= 0:
                    before[head[value]] = other
                head[value] = other
                top = max(top, value)
        if looked > patience:
            return grown[:0]
    return grown


@compiled
def unlink(head: Array, after: Array, before: Array, n: int, value: int) -> None:
    """Take neuron n out of the list of those that share `value` sources."""
    if before[n] >= 0:
        after[before[n]] = after[n]
    else:
        head[value] = after[n]
    if after[n] >= 0:
        before[after[n]] = before[n]
    after[n] = -1
    before[n] = -1
