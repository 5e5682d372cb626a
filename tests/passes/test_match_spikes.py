"""A population alone beside the model's: decay, threshold and bias at which its spikes come nearest."""

from dataclasses import replace

import numpy as np

from nmc.ir.graph import Graph
from nmc.ir.ops import Input, Linear, LinearOp, Neuron, Signal, SignalKind
from nmc.ir.tensor import Tensor
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.choose_scales import BEST, Calibration, Recipe
from nmc.passes.connect import connect
from nmc.passes.match_spikes import _Trial, begin, match_spikes
from nmc.passes.normalize import normalize
from nmc.passes.observe import observe
from nmc.passes.quantize import quantize
from tests.passes.nets import chain, lif, linear, spikes
from tests.targets import TARGET

X = {"x": spikes(40, 16, (16,))}


def real() -> Graph:
    rng = np.random.default_rng(0)
    model = chain(("a", linear(rng, 20, 16)), ("l", lif((20,), bias=0.05)), shape=(16,))
    return choose_neurons(normalize(connect(model)), target=TARGET, unsupported=Unsupported.CUSTOM)


def typed(graph: Graph) -> Graph:
    return graph.replace_nodes({"x": Input(Signal((16,), SignalKind.SPIKE))})


def parts() -> tuple[Graph, Neuron, dict[str, LinearOp]]:
    graph = real()
    coarse = quantize(graph, target=TARGET, weight_bits=8, message_bits=8, calibration=X)
    neuron, connection = coarse["l"].op, coarse["a"].op
    assert isinstance(neuron, Neuron) and isinstance(connection, Linear)
    return graph, neuron, {"a": connection}


def distance(graph: Graph, neuron: Neuron, connections: dict[str, LinearOp]) -> float:
    stage = begin(graph, observe(graph, X), typed(graph).signals())
    return float(_Trial(stage, "l", connections).distance(neuron).sum())


def matched(graph: Graph, neuron: Neuron, connections: dict[str, LinearOp], recipe: Recipe) -> Neuron:
    stage = begin(graph, observe(graph, X), typed(graph).signals())
    return match_spikes(stage, "l", neuron, connections, recipe, new_bias=False)


def test_match_spikes_finds_a_threshold_that_was_moved() -> None:
    graph, neuron, connections = parts()
    assert neuron.fire is not None
    threshold = neuron.fire.threshold
    off = Tensor(np.rint(threshold.data * 1.08).astype(np.int64), threshold.number)
    wrong = replace(neuron, fire=replace(neuron.fire, threshold=off))
    better = matched(graph, wrong, connections, BEST)
    assert distance(graph, better, connections) < 0.5 * distance(graph, wrong, connections)


def test_match_spikes_makes_up_for_a_bias_that_is_missing() -> None:
    graph, neuron, connections = parts()
    bias = neuron.membrane.bias
    assert bias is not None
    half = Tensor(bias.data // 2, bias.number)
    wrong = replace(neuron, membrane=replace(neuron.membrane, bias=half))
    better = matched(graph, wrong, connections, BEST)
    assert distance(graph, better, connections) < 0.5 * distance(graph, wrong, connections)


def test_match_spikes_is_never_worse_and_leaves_other_recipes_alone() -> None:
    graph, neuron, connections = parts()
    better = matched(graph, neuron, connections, BEST)
    assert distance(graph, better, connections) <= distance(graph, neuron, connections)
    assert matched(graph, neuron, connections, Recipe(Calibration.MSE)) is neuron
