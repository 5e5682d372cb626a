"""Scales: each recipe's by hand on small populations, and what data gain."""

from dataclasses import replace

import numpy as np
import pytest

from nmc.ir.graph import Graph
from nmc.ir.ops import Linear, Neuron
from nmc.ir.tensor import Tensor
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.choose_scales import BEST, Calibration, Recipe, RoundingRule, Scales
from nmc.passes.connect import connect
from nmc.passes.measure import distance, rates
from nmc.passes.normalize import normalize
from nmc.passes.quantize import quantize
from nmc.target import TargetSpec
from tests.passes.nets import chain, fire, lif, linear, spikes
from tests.targets import TARGET

RECIPES = [
    Recipe(calibration, scales, rounding)
    for calibration in Calibration
    for scales in Scales
    for rounding in RoundingRule
]

ARITHMETIC = {
    family: replace(each, heterogeneous=(*each.heterogeneous, "threshold"))
    for family, each in TARGET.neurons.items()
}
OWN_THRESHOLDS = replace(TARGET, neurons=ARITHMETIC)


def real(weights: np.ndarray) -> Graph:
    model = chain(
        ("w", Linear(Tensor(weights))),
        ("l", lif((len(weights),), spikes=fire(1.0))),
        shape=(weights.shape[1],),
    )
    return choose_neurons(normalize(connect(model)), target=TARGET, unsupported=Unsupported.CUSTOM)


def integers(
    graph: Graph,
    recipe: Recipe,
    *,
    bits: int = 4,
    data: np.ndarray | None = None,
    target: TargetSpec = TARGET,
) -> Graph:
    given = {} if data is None else {"x": data}
    return quantize(graph, target=target, weight_bits=bits, message_bits=8, calibration=given, recipe=recipe)


def mantissas(graph: Graph) -> np.ndarray:
    op = graph["w"].op
    assert isinstance(op, Linear)
    return op.weight.data


def outlying(seed: int = 0) -> np.ndarray:
    """Weights of which one is far larger than the others."""
    weights = np.random.default_rng(seed).normal(0, 0.1, (6, 400))
    weights[0, 0] = 1.0
    return weights


@pytest.mark.parametrize(
    "recipe", RECIPES, ids=lambda r: f"{r.calibration.value}-{r.scales.value}-{r.rounding.value}"
)
@pytest.mark.parametrize("with_data", [False, True])
def test_every_recipe_gives_a_lawful_network_that_spikes(recipe: Recipe, with_data: bool) -> None:
    graph = real(np.random.default_rng(1).normal(0.1, 0.3, (6, 8)))
    x = spikes(30, 8, (8,))
    coarse = integers(graph, recipe, data=x if with_data else None)
    got, exact = rates(coarse, {"x": x}), rates(graph, {"x": x})
    assert distance(exact, got) < 0.1


def test_max_gives_the_largest_weight_the_largest_mantissa() -> None:
    assert np.abs(mantissas(integers(real(outlying()), Recipe()))).max() == 7
    assert np.abs(mantissas(integers(real(outlying()), Recipe()))[1:]).max() < 4


def test_percentile_clips_what_lies_beyond_it() -> None:
    found = mantissas(integers(real(outlying()), Recipe(Calibration.PERCENTILE)))
    assert found[0, 0] == 7 and np.abs(found[1:]).max() > 3


def test_mse_has_a_smaller_squared_error_than_max() -> None:
    weights = np.random.default_rng(2).normal(0, 0.1, (20, 200))

    def error(calibration: Calibration) -> float:
        coarse = integers(real(weights), Recipe(calibration), bits=3)
        op, neuron = coarse["w"].op, coarse["l"].op
        assert isinstance(op, Linear) and isinstance(neuron, Neuron) and neuron.fire is not None
        values = op.weight.values / float(neuron.fire.threshold.values)
        return float(np.square(values - weights).sum())

    assert error(Calibration.MSE) < 0.8 * error(Calibration.MAX)


def test_power_of_two_makes_a_unit_of_weight_a_power_of_two() -> None:
    coarse = integers(real(outlying()), Recipe(scales=Scales.POWER_OF_TWO))
    op = coarse["l"].op
    assert isinstance(op, Neuron) and op.fire is not None
    assert float(op.fire.threshold.values) == 1.0


def test_channel_gives_each_row_its_own_scale_where_thresholds_may_differ() -> None:
    weights = np.random.default_rng(3).normal(0, 1, (4, 8)) * np.array([[0.01], [0.1], [0.3], [1.0]])
    recipe = Recipe(scales=Scales.CHANNEL)
    shared = mantissas(integers(real(weights), recipe))
    own = integers(real(weights), recipe, target=OWN_THRESHOLDS)
    assert np.abs(shared[0]).max() <= 1, "one threshold for all: the small row has no bits left"
    np.testing.assert_array_equal(np.abs(mantissas(own)).max(axis=1), [7, 7, 7, 7])
    op = own["l"].op
    assert isinstance(op, Neuron) and op.fire is not None and op.fire.threshold.size == 4


@pytest.mark.parametrize("bits", [3, 4])
def test_the_best_recipe_comes_nearer_to_the_model_on_other_data(bits: int) -> None:
    rng = np.random.default_rng(4)
    model = chain(
        ("a", linear(rng, 24, 32)),
        ("l", lif((24,))),
        ("b", linear(rng, 6, 24)),
        ("m", lif((6,))),
        shape=(32,),
    )
    graph = choose_neurons(normalize(connect(model)), target=TARGET, unsupported=Unsupported.CUSTOM)
    here, there = spikes(30, 32, (32,), seed=1), {"x": spikes(30, 64, (32,), seed=2)}
    exact = rates(graph, there)
    plain, best = (
        distance(exact, rates(integers(graph, r, bits=bits, data=here), there)) for r in (Recipe(), BEST)
    )
    assert best < plain
