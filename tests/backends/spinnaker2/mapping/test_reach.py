"""Who reaches which part, against the matrices of the operations."""

import numpy as np
import pytest

from nmc.backends.spinnaker2.mapping.network import network_of
from nmc.backends.spinnaker2.mapping.reach import reach, reach_of_source
from nmc.ir.graph import Graph
from nmc.ir.linear import matrix
from nmc.ir.ops import Conv, Linear, Sparse
from nmc.ir.tensor import Tensor
from tests.backends.spinnaker2.mapping.networks import WEIGHTS, chain, conv, dense, recurrent, ring


def with_holes(op: Linear | Conv) -> Linear | Conv:
    data = op.weight.data.copy()
    data[np.random.default_rng(3).random(data.shape) < 0.7] = 0
    weight = Tensor(data, WEIGHTS)
    if isinstance(op, Linear):
        return Linear(weight)
    return Conv(op.in_shape, weight, None, op.stride, op.padding, op.dilation, op.groups)


GRAPHS = {
    "matrix": chain(with_holes(dense(40, 30)), in_shape=(40,)),
    "convolution": chain(with_holes(conv((3, 7, 6), 4, 3)), in_shape=(3, 7, 6)),
    "stride": chain(with_holes(conv((2, 9, 9), 5, 3, stride=2)), in_shape=(2, 9, 9)),
    "groups": chain(with_holes(conv((6, 5, 5), 6, 3, groups=3)), in_shape=(6, 5, 5)),
    "lists": recurrent(*ring(60, 4), 60),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_source_reaches_the_parts_to_which_it_has_a_weight(name: str) -> None:
    graph: Graph = GRAPHS[name]
    network = network_of(graph)
    for projection in network.projections:
        assert isinstance(projection.op, Linear | Sparse | Conv)
        size = network.populations[projection.dst].size
        parts = np.array_split(np.random.default_rng(0).permutation(size), 7)
        found = reach(network, projection, parts)
        weights = matrix(projection.op).toarray() != 0
        for source in range(weights.shape[1]):
            wanted = [k for k, neurons in enumerate(parts) if weights[neurons, source].any()]
            assert found.part[found.start[source] : found.start[source + 1]].tolist() == wanted


def test_projections_of_one_source_are_joined() -> None:
    network = network_of(recurrent(*ring(60, 4), 60, inputs=4))
    parts = [[], np.array_split(np.arange(60), 6)]
    whole = reach_of_source(network, 1, parts)
    alone = reach(network, network.projections[1], parts[1])
    np.testing.assert_array_equal(whole.part, alone.part)
