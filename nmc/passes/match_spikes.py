"""Threshold, decay and bias together, so that a population's spikes come at the rates and times of the model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.linear import Reals, matrix
from nmc.ir.ops import Input, LinearOp, Neuron, Output, Signal, input_shape
from nmc.ir.tensor import Tensor
from nmc.passes.choose_scales import Calibration, Recipe
from nmc.passes.mantissas import bias_mantissas
from nmc.passes.observe import Observed, delayed, into
from nmc.passes.units import rows_of
from nmc.sim.arrays import to_mantissas

Array = npt.NDArray[Any]

MEMORY = 0.8
"""What a spike counts for one step later when spike times are compared (van Rossum, Neural Computation 13, 2001)."""

CHANGES = (0.0, 0.005, -0.005, 0.01, -0.01, 0.02, -0.02, 0.04, -0.04, 0.08, -0.08, 0.12, -0.12)
"""Thresholds that are tried, as changes of the exact one, and biases, as shares of it; small ones first."""

WORK = 1 << 30
"""Synapses times steps times samples of one trial; larger populations are matched on fewer samples."""


@dataclass(slots=True)
class Stage:
    """The network while its populations become integers one after the other.

    `graph` is in reals, `observed` what it gives on data, `signals` the types of what integer sources send. `sent` is
    what the populations that are done give, in reals: later ones are matched with these inputs, so that they make up
    for what earlier ones lost.
    """

    graph: Graph
    observed: Observed
    signals: Mapping[str, Signal]
    sent: dict[str, Array]


def begin(graph: Graph, observed: Observed, signals: Mapping[str, Signal]) -> Stage:
    """Before any population is an integer one."""
    return Stage(graph, observed, signals, {})


def match_spikes(
    stage: Stage,
    name: str,
    neuron: Neuron,
    connections: Mapping[str, LinearOp],
    recipe: Recipe,
    *,
    new_bias: bool,
) -> Neuron:
    """The integer population with decay, threshold and bias, one after the other, at which it comes nearest.

    Each is tried on a grid on data, with the integer weights; rows take what is best for them where the target lets
    them differ. `new_bias` says whether a population without a bias may get one. What this population then gives is
    kept in `stage`.
    """
    trial = _Trial(stage, name, connections)
    if recipe.calibration is Calibration.SPIKES:
        for vary in (_decays, _thresholds, _biases):
            neuron = _best(trial, neuron, vary, new_bias=new_bias)
    stage.sent[name] = trial.run(neuron)
    return neuron


# ---- trials -----------------------------------------------------------------------------------------------


class _Trial:
    """A population alone, driven by what its sources give."""

    def __init__(self, stage: Stage, name: str, connections: Mapping[str, LinearOp]) -> None:
        self.name = name
        self.wanted = stage.observed.given[name]
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.data: dict[str, Array] = {}
        work = max(1, sum(_synapse_count(op) for op in connections.values()) * len(self.wanted))
        samples = max(1, min(self.wanted.shape[1], WORK // work))
        self.wanted = self.wanted[:, :samples]
        for link in into(stage.graph).get(name, ()):
            op = connections[link.name]
            given = stage.sent.get(link.src, stage.observed.given[link.src])[:, :samples]
            signal = stage.signals[link.src]
            shape = input_shape(op)
            values = delayed(given, link.delay).reshape(*given.shape[:2], *shape)
            if signal.number is not None:
                lowest, highest = signal.number.lowest, signal.number.highest
                values = np.clip(to_mantissas(values, signal.number), lowest, highest)
            source = f"{link.name}.in"
            self.data[source] = values
            self.nodes += [
                Node(source, Input(Signal(shape, signal.kind, signal.number))),
                Node(link.name, op),
            ]
            self.edges += [Edge(source, link.name), Edge(link.name, name)]
        if not self.data:  # a constant: something has to say how long to run
            self.data["time"] = np.zeros((*self.wanted.shape[:2], 1), np.uint8)
            self.nodes.append(Node("time", Input(Signal((1,), stage.signals[name].kind))))

    def run(self, neuron: Neuron) -> Array:
        """What the population gives, in reals."""
        from nmc.sim.golden import simulate  # here: its kernels' compiler takes half a second to import

        end = f"{self.name}.out"
        nodes: list[Node] = [*self.nodes, Node(self.name, neuron), Node(end, Output(neuron.shape))]
        edges: list[Edge] = [*self.edges, Edge(self.name, end)]
        given = simulate(Graph(tuple(nodes), tuple(edges)), self.data).outputs[end]
        return given if neuron.fire is not None else np.ldexp(given, neuron.exponent)

    def distance(self, neuron: Neuron) -> Reals:
        """How far each row is from the model's: squares of differences of the traces that spikes leave, and of counts.

        Of membranes that are read, the squares of differences.
        """
        difference = self.run(neuron).astype(np.float32) - self.wanted
        if neuron.fire is None:
            return _by_row(np.square(difference), neuron)
        trace = np.zeros(difference.shape[1:], np.float32)
        total = np.zeros(difference.shape[1:], np.float64)
        for step in difference:
            trace = MEMORY * trace + step
            total += np.square(trace)
        count = np.square(difference.sum(axis=0))
        return _by_row((total + count)[None], neuron)


def _by_row(cells: Array, neuron: Neuron) -> Reals:
    """Sums of (steps, samples, *shape) over all but the row."""
    flat = cells.reshape(cells.shape[0] * cells.shape[1], rows_of(neuron), -1)
    return flat.sum(axis=(0, 2), dtype=np.float64)


def _synapse_count(op: LinearOp) -> int:
    return int(matrix(op).nnz)


# ---- what is varied ---------------------------------------------------------------------------------------

Variation = tuple[bool, list[Neuron], Callable[[Array], Neuron]]
"""Whether rows may differ; the population with each change for all rows; the population with a change for each."""

Vary = Callable[[Neuron, bool], "Variation | None"]


def _best(trial: _Trial, neuron: Neuron, vary: Vary, *, new_bias: bool) -> Neuron:
    found = vary(neuron, new_bias)
    if found is None:
        return neuron
    each_row, tried, mixed = found
    distances: list[Reals] = []
    for variant in tried:
        distances.append(trial.distance(variant))
        if not distances[0].any():
            return neuron  # nothing can be nearer
    if each_row:
        return mixed(np.argmin(distances, axis=0))
    return tried[int(np.argmin([each.sum() for each in distances]))]


def _decays(neuron: Neuron, new_bias: bool) -> Variation | None:
    """One mantissa up and down, of the membrane and of the current, where the decay is coarse."""
    del new_bias
    arithmetic, membrane = neuron.arithmetic, neuron.membrane
    assert arithmetic is not None
    tried = [neuron]
    for step in (1, -1):
        if membrane.decay is not None and (decay := _moved(membrane.decay, step, arithmetic.v_decays)):
            tried.append(replace(neuron, membrane=replace(membrane, decay=decay)))
        synapse = neuron.synapse
        if synapse is not None and (decay := _moved(synapse.decay, step, arithmetic.i_decays)):
            tried.append(replace(neuron, synapse=replace(synapse, decay=decay)))
    return (False, tried, lambda chosen: neuron) if len(tried) > 1 else None


def _moved(decay: Tensor, step: int, span: tuple[int, int] | None) -> Tensor | None:
    """The decay one mantissa away; None where it is one or zero exactly, or would be."""
    assert decay.number is not None
    whole = 1 << -decay.number.exponent
    low, high = span or (0, whole)
    mantissa = decay.data.astype(np.int64)
    if mantissa.min() <= max(low, 1) or mantissa.max() >= min(high, whole - 1):
        return None
    return Tensor(mantissa + step, decay.number)


def _thresholds(neuron: Neuron, new_bias: bool) -> Variation | None:
    del new_bias
    fire, arithmetic = neuron.fire, neuron.arithmetic
    if fire is None or arithmetic is None or not fire.threshold.data.any():
        return None
    number, exact = fire.threshold.number, fire.threshold.data.astype(np.float64)
    assert number is not None
    each_row = "threshold" in arithmetic.heterogeneous

    def at(change: Reals) -> Neuron:
        mantissa = np.clip(np.rint(exact * (1 + change)), 1, number.highest).astype(np.int64)
        return replace(neuron, fire=replace(fire, threshold=Tensor(mantissa, number)))

    changes = np.array(CHANGES)
    tried = [at(change) for change in changes]
    return each_row, tried, lambda chosen: at(_spread(changes[chosen], neuron))


def _biases(neuron: Neuron, new_bias: bool) -> Variation | None:
    """Biases that move a resting membrane by shares of the threshold; where it is read, of a 64th of its range."""
    arithmetic, membrane = neuron.arithmetic, neuron.membrane
    assert arithmetic is not None
    if arithmetic.bias_bits == 0 or (membrane.bias is None and not new_bias):
        return None
    own = np.zeros(()) if membrane.bias is None else _in_states(membrane.bias, neuron.exponent)
    kept = 1.0 if membrane.decay is None else float(np.mean(membrane.decay.values))
    if neuron.fire is not None:
        size = float(np.mean(_in_states(neuron.fire.threshold, neuron.exponent)))
    else:
        size = float(1 << (arithmetic.v_bits - 7))
    unit = size * max(1 - kept, 1 / 32)

    def at(share: Reals) -> Neuron | None:
        wanted = np.rint(own + share * unit)
        if not wanted.any():
            return replace(neuron, membrane=replace(membrane, bias=None))
        bias = bias_mantissas(wanted, arithmetic, neuron.exponent)
        return None if bias is None else replace(neuron, membrane=replace(membrane, bias=bias))

    shares = [share for share in CHANGES if at(np.asarray(share)) is not None]
    tried = [variant for share in shares if (variant := at(np.asarray(share))) is not None]

    def mixed(chosen: Array) -> Neuron:
        return at(_spread(np.array(shares)[chosen], neuron)) or neuron

    return "bias" in arithmetic.heterogeneous, tried, mixed


def _in_states(tensor: Tensor, exponent: int) -> Reals:
    assert tensor.number is not None
    return np.ldexp(tensor.data.astype(np.float64), tensor.number.exponent - exponent)


def _spread(values: Reals, neuron: Neuron) -> Reals:
    """(rows,) such that it broadcasts to the population's shape."""
    return values.reshape(-1, *(1,) * (len(neuron.shape) - 1))
