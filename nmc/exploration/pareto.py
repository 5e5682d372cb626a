"""Which points are worth choosing: those than which no other is better in one thing and worse in none."""

from __future__ import annotations

from collections.abc import Sequence

from nmc.exploration.point import Outcome


def front(
    outcomes: Sequence[Outcome], costs: Sequence[str], *, gain: str = "accuracy"
) -> tuple[Outcome, ...]:
    """The outcomes that no other dominates, by more of `gain` and less of each of `costs`; in the order of `gain`.

    An outcome that lacks one of the metrics is left out. Of equal ones the first is kept.
    """
    able = [each for each in outcomes if not each.refused and {gain, *costs} <= each.metrics.keys()]
    kept: list[Outcome] = []
    seen: set[tuple[float, ...]] = set()
    for each in able:
        mine = _vector(each, costs, gain)
        if mine in seen or any(_dominates(_vector(other, costs, gain), mine) for other in able):
            continue
        seen.add(mine)
        kept.append(each)
    return tuple(sorted(kept, key=lambda each: _vector(each, costs, gain)))


def _vector(outcome: Outcome, costs: Sequence[str], gain: str) -> tuple[float, ...]:
    """Less is better in every place."""
    return (-outcome.metrics[gain], *(outcome.metrics[name] for name in costs))


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
