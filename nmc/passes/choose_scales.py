"""How finely a population's weights are cut: one scale, one a channel or a power of two, from weights or from data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.connections import Connection
from nmc.ir.linear import Reals
from nmc.ir.ops import Conv, LinearOp, Neuron, Sparse
from nmc.passes.layer_weights import Layer, Moments, exponents_at
from nmc.passes.observe import Observed, delayed, fan_in_moments, moments, thinned, traces, unobserved
from nmc.passes.round_on_data import Integers, compensated, round_on_data
from nmc.passes.units import Frame, Units, lossless_scale, scale_limit, units_at, widest_scale

Array = npt.NDArray[Any]


class Calibration(Enum):
    """From what a scale is chosen."""

    MAX = "max"
    """The largest weight takes the largest mantissa."""
    PERCENTILE = "percentile"
    """So do all weights beyond the 99.9th percentile of sizes."""
    MSE = "mse"
    """The scale at which the weights' squared error is least."""
    SPIKES = "spikes"
    """The scale at which the membrane's squared error is least on data; then threshold, bias and decay at which firing
    rates and spike times come nearest to the model's. Without data, inputs are taken to be active alike."""


class Scales(Enum):
    """How many scales a population has, and which ones are possible."""

    CHANNEL = "channel"
    """One a channel (or neuron), where the target has thresholds of their own for them."""
    LAYER = "layer"
    POWER_OF_TWO = "power-of-two"
    """One, such that a unit of weight is a power of two in the model's units."""


class RoundingRule(Enum):
    """How a weight between two integers is rounded."""

    NEAREST = "nearest"
    DATA = "data"
    """So that sums over the inputs of the data come out right: `round_on_data`."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to quantize. The default rounds each weight to the nearest of a layer's integers, as is done everywhere."""

    calibration: Calibration = Calibration.MAX
    scales: Scales = Scales.LAYER
    rounding: RoundingRule = RoundingRule.NEAREST

    @property
    def uses_data(self) -> bool:
        """Whether data that there are would be used."""
        return self.calibration is Calibration.SPIKES or self.rounding is RoundingRule.DATA


BEST = Recipe(Calibration.SPIKES, Scales.CHANNEL, RoundingRule.DATA)
"""The best that needs no retraining: what targets do unless they are told otherwise."""

PERCENTILE = 99.9

GROWTHS = tuple(2 ** (k / 8) for k in range(14))
"""Scales that are tried, as multiples of the one at which the largest weight just fits; larger ones clip it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The units of a population, and the mantissas and exponents of its connections by name."""

    units: Units
    mantissas: Mapping[str, Integers]
    exponents: Mapping[str, int]


def moments_into(
    op: Neuron,
    incoming: Mapping[str, LinearOp],
    links: Sequence[Connection],
    observed: Observed | None,
    recipe: Recipe,
) -> Moments | None:
    """What the recipe needs to know about the inputs of a population: from data, or for inputs active alike."""
    if not recipe.uses_data:
        return None
    found: dict[str, Sequence[Reals]] = {}
    of: dict[str, Array] = {}
    for link in links:
        weights = incoming[link.name]
        if observed is None:
            if isinstance(weights, Sparse):
                found[link.name] = [np.ones(weights.pre.size)]
                of[link.name] = np.arange(weights.pre.size)
            else:
                groups = weights.groups if isinstance(weights, Conv) else 1
                found[link.name] = [unobserved(math.prod(weights.weight.shape[1:]))] * groups
            continue
        rate = 0.0 if op.fire is None else observed.rate(link.dst)
        seen = traces(delayed(thinned(observed.given[link.src]), link.delay), op, rate)
        if isinstance(weights, Sparse):
            moment, of[link.name] = fan_in_moments(weights, seen)
            found[link.name] = [moment]
        else:
            found[link.name] = moments(weights, seen)
    return Moments(found, of)


def choose_scales(
    op: Neuron, incoming: Mapping[str, LinearOp], frame: Frame, recipe: Recipe, known: Moments | None
) -> Chosen:
    """The scale of a population as the recipe says, and its weights as integers.

    Weights that lie on a grid of the target already, with the threshold and all else, keep to it exactly.
    """
    exact = lossless_scale(op, incoming, frame)
    if exact is not None:
        units = units_at(exact, op, frame)
        layer = Layer(incoming, exponents_at(units, incoming, frame), frame, None)
        return Chosen(units, layer.nearest(units.scale), layer.exponents)
    each_row = (
        recipe.scales is Scales.CHANNEL
        and op.fire is not None
        and "threshold" in frame.arithmetic.heterogeneous
    )
    widest = widest_scale(op, incoming, frame, each_row=each_row)
    if recipe.scales is Scales.POWER_OF_TWO:
        widest = np.exp2(np.floor(np.log2(widest)))
    start = units_at(widest, op, frame)
    if not incoming:
        return Chosen(start, {}, {})
    layer = Layer(incoming, exponents_at(start, incoming, frame), frame, known)
    limit = scale_limit(op, frame)
    limit = limit if each_row else np.asarray(limit.min())
    whole = op.fire is None or recipe.scales is Scales.POWER_OF_TWO
    scales = [np.minimum(start.scale * growth, limit) for growth in _growths(incoming, recipe, whole=whole)]
    units = units_at(_least(scales, layer, recipe, each_row=each_row), op, frame)
    by_data = recipe.rounding is RoundingRule.DATA
    mantissas = layer.rounded(units.scale, round_on_data) if by_data else layer.nearest(units.scale)
    return Chosen(units, mantissas, layer.exponents)


def _growths(incoming: Mapping[str, LinearOp], recipe: Recipe, *, whole: bool) -> tuple[float, ...]:
    """Multiples of the widest scale that the recipe wants to be tried."""
    match recipe.calibration:
        case Calibration.MAX:
            return (1.0,)
        case Calibration.PERCENTILE:
            sizes = [np.abs(op.weight.values).ravel() for op in incoming.values() if op.weight.size]
            if not sizes:
                return (1.0,)
            every = np.concatenate(sizes)
            usual = float(np.percentile(every, PERCENTILE)) if every.any() else 1.0
            growth = float(every.max()) / usual if usual > 0 else 1.0
            return (2.0 ** math.floor(math.log2(growth)),) if whole else (growth,)
        case Calibration.MSE | Calibration.SPIKES:
            return tuple(growth for growth in GROWTHS if not whole or math.log2(growth).is_integer())


def _least(scales: Sequence[Reals], layer: Layer, recipe: Recipe, *, each_row: bool) -> Reals:
    """Of the scales the one with the least error, for each row on its own if each has its own."""
    if len(scales) == 1:
        return scales[0]
    if recipe.calibration is not Calibration.SPIKES or layer.known is None:
        errors = np.stack([layer.weight_errors(scale) for scale in scales])
    else:
        by_data = recipe.rounding is RoundingRule.DATA
        rounded = [layer.rounded(s, compensated) if by_data else layer.nearest(s) for s in scales]
        errors = np.stack([layer.membrane_errors(*pair) for pair in zip(scales, rounded, strict=True)])
    if not each_row:
        return scales[int(errors.sum(axis=1).argmin())]
    best = errors.argmin(axis=0)
    return np.stack([np.broadcast_to(scale, best.shape) for scale in scales])[best, np.arange(len(best))]
