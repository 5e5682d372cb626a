"""The weights into a population at a scale: as integers, and what these cost its membranes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nmc.ir.linear import Reals
from nmc.ir.ops import Conv, Linear, LinearOp, Sparse
from nmc.passes.round_on_data import Integers, error_of
from nmc.passes.units import Frame, Units, exponent_of, of_weights, row_count

Array = npt.NDArray[Any]

MOST_CELLS = 1 << 23
"""Synapses one by one are rounded on data as long as all pairs of a neuron and an input are no more than this."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Second moments of what enters each connection, by its name: one for each group of a convolution.

    `of` says for synapses one by one which row and column of the moment each takes.
    """

    by_connection: Mapping[str, Sequence[Reals]]
    of: Mapping[str, Array]


class Rule(Protocol):
    """How rows of weights become integers: `round_on_data` or `compensated`."""

    def __call__(self, weights: Reals, moments: Reals, *, top: int | Reals) -> Integers:
        """Integers in [-top, top]."""
        ...


def exponents_at(units: Units, incoming: Mapping[str, LinearOp], frame: Frame) -> dict[str, int]:
    """The shift of each connection."""
    return {name: exponent_of(op, frame.numbers[name], units, frame) for name, op in incoming.items()}


@dataclass(frozen=True, slots=True)
class Layer:
    """The connections into a population by name, their shifts, and what is known of their inputs."""

    incoming: Mapping[str, LinearOp]
    exponents: Mapping[str, int]
    frame: Frame
    known: Moments | None

    def scaled(self, name: str, scale: Reals) -> Reals:
        """Weights in units of the connection."""
        op, exponent = self.incoming[name], self.frame.numbers[name].exponent - self.exponents[name]
        return op.weight.values * np.ldexp(of_weights(scale, op), exponent)

    def nearest(self, scale: Reals) -> dict[str, Integers]:
        """Each weight to the nearest integer."""
        top = self.frame.top
        return {
            name: np.clip(np.rint(self.scaled(name, scale)), -top, top).astype(np.int64)
            for name in self.incoming
        }

    def rounded(self, scale: Reals, rule: Rule) -> dict[str, Integers]:
        """Weights by `rule` on what is known of their inputs; to the nearest where nothing is."""
        if self.known is None:
            return self.nearest(scale)
        return {name: self._by(rule, name, self.scaled(name, scale)) for name in self.incoming}

    def _by(self, rule: Rule, name: str, weights: Reals) -> Integers:
        assert self.known is not None
        op, moments, top = self.incoming[name], self.known.by_connection[name], self.frame.top
        match op:
            case Linear():
                return rule(weights, moments[0], top=top)
            case Conv():
                groups = np.split(weights.reshape(weights.shape[0], -1), op.groups)
                done = [rule(each, m, top=top) for each, m in zip(groups, moments, strict=True)]
                return np.concatenate(done).reshape(weights.shape)
            case Sparse():  # rows over all pairs (pre, delay), with nothing where a row has no synapse
                moment, of = moments[0], self.known.of[name]
                posts, rows = np.unique(op.post.data, return_inverse=True)
                if moment.ndim == 1 or len(posts) * len(moment) > MOST_CELLS:
                    return np.clip(np.rint(weights), -top, top).astype(np.int64)
                spread, bound = np.zeros((len(posts), len(moment))), np.zeros((len(posts), len(moment)))
                spread[rows, of], bound[rows, of] = weights, top
                return rule(spread, moment, top=bound)[rows, of]

    def _differences(self, scale: Reals, mantissas: Mapping[str, Integers]) -> dict[str, Reals]:
        """What integers are off by, in the model's units."""
        found: dict[str, Reals] = {}
        for name, op in self.incoming.items():
            exponent = self.exponents[name] - self.frame.numbers[name].exponent
            found[name] = mantissas[name] * np.ldexp(1 / of_weights(scale, op), exponent) - op.weight.values
        return found

    def weight_errors(self, scale: Reals) -> Reals:
        """The squared error of the weights into each row, rounded to the nearest."""
        total = np.zeros(max(map(row_count, self.incoming.values())))
        for name, difference in self._differences(scale, self.nearest(scale)).items():
            op, squares = self.incoming[name], np.square(difference)
            if isinstance(op, Sparse):
                np.add.at(total, op.post.data // math.prod(op.out_shape[1:]), squares)
            else:
                total += squares.reshape(len(total), -1).sum(axis=1)
        return total

    def membrane_errors(self, scale: Reals, mantissas: Mapping[str, Integers]) -> Reals:
        """The mean squared error of each row's membrane on what is known of its inputs."""
        assert self.known is not None
        total = np.zeros(max(map(row_count, self.incoming.values())))
        for name, difference in self._differences(scale, mantissas).items():
            total += _membrane_error(self.incoming[name], difference, self.known, name)
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
