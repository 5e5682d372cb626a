"""The Fisher information: gradients are where outputs mind weights, and it ranks widths as measurements do."""

import numpy as np
import pytest

from nmc.ir.graph import Graph
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.connect import connect
from nmc.passes.fisher import expected_loss, fisher
from nmc.passes.normalize import normalize
from nmc.passes.quantize import quantize
from nmc.sim import differentiable
from tests.passes.nets import chain, lif, linear, spikes
from tests.targets import TARGET

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(differentiable.ready() is not None, reason=str(differentiable.ready())),
]

DATA = {"x": spikes(20, 8, (12,)) * (np.arange(12) > 3)}
"""The first four inputs are silent."""


def real() -> Graph:
    rng = np.random.default_rng(0)
    model = chain(
        ("a", linear(rng, 10, 12)),
        ("l", lif((10,))),
        ("b", linear(rng, 4, 10)),
        ("m", lif((4,))),
        shape=(12,),
    )
    return choose_neurons(normalize(connect(model)), target=TARGET, unsupported=Unsupported.CUSTOM)


def test_fisher_is_zero_where_no_spike_comes_and_positive_elsewhere() -> None:
    information = fisher(real(), DATA)
    assert information["a"].shape == (10, 12) and information["b"].shape == (4, 10)
    assert not information["a"][:, :4].any()
    assert (information["a"][:, 4:] > 0).mean() > 0.5
    np.testing.assert_array_equal(information["a"], fisher(real(), DATA)["a"])


def test_expected_loss_falls_with_the_width_of_weights() -> None:
    graph, information = real(), fisher(real(), DATA)
    expected = [
        expected_loss(
            information,
            graph,
            quantize(graph, target=TARGET, weight_bits=bits, message_bits=8, calibration={}),
            ("a",),
        )
        for bits in (2, 4, 8)
    ]
    assert expected[0] > 4 * expected[1] > 16 * expected[2] > 0
