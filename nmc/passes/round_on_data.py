"""Weights onto integers so that sums over real inputs, not the weights one by one, come out right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.linear import Reals

Integers = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

DAMPING = 0.01
"""Share of the mean second moment that is added to each input's own: inputs that the data hardly show keep to
nearest rounding. Frantar et al., GPTQ, ICLR 2023, section 3.3, take the same."""

SWEEPS = 4
"""Passes of coordinate descent; further ones change no weight on the networks of the examples."""

WIDEST_FAN_IN = 2048
"""Inputs up to which second moments are held as a matrix; its factors cost the cube of this."""


def round_on_data(weights: Reals, moments: Reals, *, top: int | Reals) -> Integers:
    """Integers q in [-top, top] for weights w (rows, inputs), with a small (q - w) M (q - w) for each row.

    `top` is one number or (rows, inputs), zero where there is no weight.

    M (inputs, inputs) is the second moment of what the inputs do to the membrane. It begins with `compensated`, or
    with the nearest integers where they are better; then single weights move by whole units as long as that makes
    the error less. M may be the diagonal alone, (inputs,): then the nearest integers are best.
    """
    nearest = np.clip(np.rint(weights), -top, top)
    if _is_plain(weights, moments):
        return nearest.astype(np.int64)
    damped = _damped(moments)
    start = compensated(weights, moments, top=top).astype(np.float64)
    better = error_of(start - weights, damped) < error_of(nearest - weights, damped)
    return _descended(np.where(better[:, None], start, nearest), weights, damped, top).astype(np.int64)


def compensated(weights: Reals, moments: Reals, *, top: int | Reals) -> Integers:
    """As `round_on_data`, in one go: inputs are rounded one after the other, those that matter most first, and what
    each lost is put upon those that are left (Frantar et al., GPTQ, ICLR 2023). No random number is used.
    """
    if _is_plain(weights, moments):
        return np.clip(np.rint(weights), -top, top).astype(np.int64)
    damped = _damped(moments)
    order = np.argsort(-np.diagonal(damped), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    rest = np.ascontiguousarray(
        weights[:, order].T
    )  # (inputs, rows): each step works on whole lines of memory
    bound = np.ascontiguousarray(np.broadcast_to(np.asarray(top, float), weights.shape)[:, order].T)
    rounded = np.empty_like(rest)
    for j in range(len(order)):
        np.clip(np.rint(rest[j]), -bound[j], bound[j], out=rounded[j])
        lost = (rest[j] - rounded[j]) / upper[j, j]
        rest[j + 1 :] -= upper[j, j + 1 :, None] * lost
    back = np.empty_like(rounded)
    back[order] = rounded
    return back.T.astype(np.int64)


def _is_plain(weights: Reals, moments: Reals) -> bool:
    """Whether inputs are not known to have to do with each other."""
    return moments.ndim == 1 or weights.size == 0 or not np.diagonal(moments).any()


def _damped(moments: Reals) -> Reals:
    return moments + np.eye(len(moments)) * (DAMPING * float(np.mean(np.diagonal(moments))))


def error_of(difference: Reals, moments: Reals) -> Reals:
    """The mean squared error that a difference of weights (rows, inputs) makes in each row's membrane."""
    if moments.ndim == 1:
        return np.square(difference) @ moments
    return np.einsum("ri,ri->r", difference @ moments, difference)


def _descended(start: Reals, weights: Reals, moments: Reals, top: int | Reals) -> Reals:
    """Coordinate descent: each input in turn takes the integer that is best while all others stay."""
    q, exact = np.ascontiguousarray(start.T), weights.T  # (inputs, rows), as in `compensated`
    bound = np.ascontiguousarray(np.broadcast_to(np.asarray(top, float), weights.shape).T)
    slope = moments @ (q - exact)
    own = np.diagonal(moments)
    for _ in range(SWEEPS):
        moved = False
        for j in np.flatnonzero(own > 0):
            step = np.clip(np.rint(q[j] - slope[j] / own[j]), -bound[j], bound[j]) - q[j]
            # A step that gains nothing beyond rounding noise is not made, so that the descent ends.
            step[-step * (2 * slope[j] + step * own[j]) <= 1e-9 * own[j]] = 0
            rows = step.nonzero()[0]
            if rows.size:
                q[j] += step
                slope[:, rows] += moments[j][:, None] * step[rows]
                moved = True
        if not moved:
            break
    return q.T
