"""One choice for each item within a limit, with the least loss: the multiple-choice knapsack, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Choice:
    """What an item may be, what it costs (integer, >= 0) and what it loses (>= 0)."""

    cost: int
    loss: float


@dataclass(frozen=True, slots=True)
class Pick:
    """The index of the choice of each item, with the sums of their costs and losses."""

    choices: tuple[int, ...]
    cost: int
    loss: float


def frontier(items: Sequence[Sequence[Choice]]) -> list[Pick]:
    """All picks that no other equals or beats in both cost and loss, by rising cost and falling loss.

    Dynamic programming over items: a pick that is beaten on the first k items is part of no better one (Dudzinski and
    Walukiewicz, European Journal of Operational Research 28, 1987). Of equal picks the first in the order of choices
    stays.
    """
    found = [Pick((), 0, 0.0)]
    for choices in items:
        grown = [
            Pick((*pick.choices, index), pick.cost + choice.cost, pick.loss + choice.loss)
            for pick in found
            for index, choice in enumerate(choices)
        ]
        grown.sort(key=lambda pick: (pick.cost, pick.loss, pick.choices))
        found = []
        for pick in grown:
            if not found or pick.loss < found[-1].loss:
                found.append(pick)
    return found


def solve(items: Sequence[Sequence[Choice]], limit: int) -> Pick | None:
    """The pick of least loss that costs no more than `limit`; None if there is none."""
    within = [pick for pick in frontier(items) if pick.cost <= limit]
    return within[-1] if within else None


def lower_bound(items: Sequence[Sequence[Choice]], limit: int) -> float | None:
    """What no pick within `limit` can lose less than, were choices divisible: the relaxation's optimum.

    Along each item's lower convex hull, the steepest steps first (Sinha and Zoltners, Operations Research 27, 1979).
    None if not even the cheapest choices fit.
    """
    hulls = [_hull(choices) for choices in items]
    left = limit - sum(hull[0].cost for hull in hulls)
    if left < 0:
        return None
    loss = sum(hull[0].loss for hull in hulls)
    steps = [(a.loss - b.loss, b.cost - a.cost) for hull in hulls for a, b in pairwise(hull)]
    for gain, cost in sorted(steps, key=lambda step: -step[0] / step[1]):
        share = min(1.0, left / cost)
        loss -= gain * share
        left -= cost * share
        if left <= 0:
            break
    return loss


def _hull(choices: Sequence[Choice]) -> list[Choice]:
    """The choices on the lower convex hull, by rising cost."""
    best: list[Choice] = []
    for choice in sorted(choices, key=lambda c: (c.cost, c.loss)):
        if best and (choice.loss >= best[-1].loss or choice.cost == best[-1].cost):
            continue
        while len(best) > 1 and _slope(best[-2], best[-1]) <= _slope(best[-2], choice):
            best.pop()
        best.append(choice)
    return best


def _slope(a: Choice, b: Choice) -> float:
    """Loss that is saved per cost from `a` to `b`."""
    return (a.loss - b.loss) / (b.cost - a.cost)
