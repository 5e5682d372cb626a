"""How finely a population's weights are cut: one scale, one a channel or a power of two, from weights or from data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nmc.ir.connections import Connection
from nmc.ir.linear import Reals
from nmc.ir.ops import Conv, Linear, LinearOp, Neuron, Sparse
from nmc.passes.observe import Observed, delayed, fan_in_moments, moments, thinned, traces, unobserved
from nmc.passes.round_on_data import Integers, compensated, error_of, round_on_data
from nmc.passes.units import (
    Frame,
    Units,
    exponent_of,
    lossless_scale,
    of_weights,
    row_count,
    scale_limit,
    units_at,
    widest_scale,
)

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

MOST_CELLS = 1 << 23
"""Synapses one by one are rounded on data as long as all pairs of a neuron and an input are no more than this."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Second moments of what enters each connection, by its name: one for each group of a convolution.

    `of` says for synapses one by one which row and column of the moment each takes.
    """

    by_connection: Mapping[str, Sequence[Reals]]
    of: Mapping[str, Array]


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
        exponents = {name: exponent_of(w, frame.numbers[name], units, frame) for name, w in incoming.items()}
        return Chosen(units, _nearest(incoming, units.scale, exponents, frame), exponents)
    each_row = (
        recipe.scales is Scales.CHANNEL
        and op.fire is not None
        and "threshold" in frame.arithmetic.heterogeneous
    )
    widest = widest_scale(op, incoming, frame, each_row=each_row)
    if recipe.scales is Scales.POWER_OF_TWO:
        widest = np.exp2(np.floor(np.log2(widest)))
    start = units_at(widest, op, frame)
    exponents = {name: exponent_of(w, frame.numbers[name], start, frame) for name, w in incoming.items()}
    limit = scale_limit(op, frame)
    limit = limit if each_row else np.asarray(limit.min())
    whole = op.fire is None or recipe.scales is Scales.POWER_OF_TWO
    scales = [np.minimum(start.scale * growth, limit) for growth in _growths(incoming, start, frame, recipe, whole)]
    scale = _least(scales, incoming, exponents, frame, recipe, known, each_row=each_row)
    units = units_at(scale, op, frame)
    by_data = known if recipe.rounding is RoundingRule.DATA else None
    return Chosen(units, _rounded(incoming, units.scale, exponents, frame, by_data, round_on_data), exponents)


def _growths(
    incoming: Mapping[str, LinearOp], start: Units, frame: Frame, recipe: Recipe, whole: bool
) -> tuple[float, ...]:
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


def _least(
    scales: Sequence[Reals],
    incoming: Mapping[str, LinearOp],
    exponents: Mapping[str, int],
    frame: Frame,
    recipe: Recipe,
    known: Moments | None,
    *,
    each_row: bool,
) -> Reals:
    """Of the scales the one with the least error, for each row on its own if each has its own."""
    if len(scales) == 1:
        return scales[0]
    by_data = recipe.calibration is Calibration.SPIKES
    errors = np.stack(
        [_errors(scale, incoming, exponents, frame, recipe, known if by_data else None) for scale in scales]
    )
    if not each_row:
        return scales[int(errors.sum(axis=1).argmin())]
    best = errors.argmin(axis=0)
    return np.stack([np.broadcast_to(scale, best.shape) for scale in scales])[best, np.arange(len(best))]


def _errors(
    scale: Reals,
    incoming: Mapping[str, LinearOp],
    exponents: Mapping[str, int],
    frame: Frame,
    recipe: Recipe,
    known: Moments | None,
) -> Reals:
    """The squared error of each row at a scale, in the model's units: of its membrane, or of its weights."""
    by_data = known is not None and recipe.rounding is RoundingRule.DATA
    rounded = _rounded(incoming, scale, exponents, frame, known if by_data else None, compensated)
    total = np.zeros(max((row_count(op) for op in incoming.values()), default=1))
    for name, op in incoming.items():
        unit = np.ldexp(1 / of_weights(scale, op), exponents[name] - frame.numbers[name].exponent)
        difference = rounded[name] * unit - op.weight.values
        if known is None:
            squares = np.square(difference)
            if isinstance(op, Sparse):
                np.add.at(total, op.post.data // math.prod(op.out_shape[1:]), squares)
            else:
                total += squares.reshape(len(total), -1).sum(axis=1)
        else:
            total += _membrane_error(op, difference, known, name)
    return total


def _membrane_error(op: LinearOp, difference: Reals, known: Moments, name: str) -> Reals:
    moments = known.by_connection[name]
    match op:
        case Linear():
            return error_of(difference, moments[0])
        case Conv():
            groups = np.split(difference.reshape(op.weight.shape[0], -1), op.groups)
            return np.concatenate([error_of(d, m) for d, m in zip(groups, moments, strict=True)])
        case Sparse():
            moment, of = moments[0], known.of[name]
            posts, rows = np.unique(op.post.data, return_inverse=True)
            total = np.zeros(row_count(op))
            if moment.ndim == 1:
                by_post = np.bincount(rows, np.square(difference) * moment[of], len(posts))
            else:
                spread = np.zeros((len(posts), len(moment)))
                np.add.at(spread, (rows, of), difference)
                by_post = error_of(spread, moment)
            np.add.at(total, posts // math.prod(op.out_shape[1:]), by_post)
            return total


class Rule(Protocol):
    """How rows of weights become integers: `round_on_data` or `compensated`."""

    def __call__(self, weights: Reals, moments: Reals, *, top: int | Reals) -> Integers:
        """Integers in [-top, top]."""
        ...


# ---- rounding ---------------------------------------------------------------------------------------------


def _scaled(op: LinearOp, scale: Reals, exponent: int, frame: Frame, name: str) -> Reals:
    """Weights in units of the connection."""
    return op.weight.values * np.ldexp(of_weights(scale, op), frame.numbers[name].exponent - exponent)


def _nearest(
    incoming: Mapping[str, LinearOp], scale: Reals, exponents: Mapping[str, int], frame: Frame
) -> dict[str, Integers]:
    return {
        name: np.clip(np.rint(_scaled(op, scale, exponents[name], frame, name)), -frame.top, frame.top).astype(
            np.int64
        )
        for name, op in incoming.items()
    }


def _rounded(
    incoming: Mapping[str, LinearOp],
    scale: Reals,
    exponents: Mapping[str, int],
    frame: Frame,
    known: Moments | None,
    rule: Rule,
) -> dict[str, Integers]:
    """Weights by `rule` on what is known of their inputs, or to the nearest."""
    if known is None:
        return _nearest(incoming, scale, exponents, frame)
    return {
        name: _on_data(op, _scaled(op, scale, exponents[name], frame, name), known, name, frame.top, rule)
        for name, op in incoming.items()
    }


def _on_data(op: LinearOp, weights: Reals, known: Moments, name: str, top: int, rule: Rule) -> Integers:
    moments = known.by_connection[name]
    match op:
        case Linear():
            return rule(weights, moments[0], top=top)
        case Conv():
            groups = np.split(weights.reshape(weights.shape[0], -1), op.groups)
            done = [rule(each, m, top=top) for each, m in zip(groups, moments, strict=True)]
            return np.concatenate(done).reshape(weights.shape)
        case Sparse():
            return _synapses_on_data(op, weights, moments[0], known.of[name], top, rule)


def _synapses_on_data(op: Sparse, weights: Reals, moment: Reals, of: Array, top: int, rule: Rule) -> Integers:
    """As rows over all pairs (pre, delay), with nothing where a row has no synapse."""
    posts, rows = np.unique(op.post.data, return_inverse=True)
    if moment.ndim == 1 or len(posts) * len(moment) > MOST_CELLS:
        return np.clip(np.rint(weights), -top, top).astype(np.int64)
    spread, bound = np.zeros((len(posts), len(moment))), np.zeros((len(posts), len(moment)))
    spread[rows, of], bound[rows, of] = weights, top
    return rule(spread, moment, top=bound)[rows, of]
