"""The multiple-choice knapsack against all picks there are."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.passes.knapsack import Choice, frontier, lower_bound, solve

ITEMS = st.lists(
    st.lists(st.builds(Choice, st.integers(0, 30), st.integers(0, 50).map(float)), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


def every_pick(items: list[list[Choice]]) -> list[tuple[int, float]]:
    return [
        (sum(choice.cost for choice in pick), sum(choice.loss for choice in pick))
        for pick in itertools.product(*items)
    ]


@settings(max_examples=300, deadline=None)
@given(ITEMS, st.integers(0, 100))
def test_solve_equals_brute_force(items: list[list[Choice]], limit: int) -> None:
    within = [loss for cost, loss in every_pick(items) if cost <= limit]
    found = solve(items, limit)
    if not within:
        assert found is None
        return
    assert found is not None and found.cost <= limit and found.loss == min(within)
    chosen = [choices[k] for choices, k in zip(items, found.choices, strict=True)]
    assert (sum(c.cost for c in chosen), sum(c.loss for c in chosen)) == (found.cost, found.loss)


@settings(max_examples=300, deadline=None)
@given(ITEMS, st.integers(0, 100))
def test_lower_bound_is_not_above_the_optimum(items: list[list[Choice]], limit: int) -> None:
    found, bound = solve(items, limit), lower_bound(items, limit)
    assert (found is None) == (bound is None)
    if found is not None and bound is not None:
        assert bound <= found.loss + 1e-9


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_frontier_holds_exactly_the_picks_that_nothing_beats(items: list[list[Choice]]) -> None:
    every = set(every_pick(items))
    best = {
        (cost, loss)
        for cost, loss in every
        if not any((c <= cost and x <= loss) and (c, x) != (cost, loss) for c, x in every)
    }
    assert [(pick.cost, pick.loss) for pick in frontier(items)] == sorted(best)
