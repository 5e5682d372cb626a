"""The front: what no other outcome dominates, held against the definition on random outcomes."""

from __future__ import annotations

import numpy as np

from nmc.exploration.pareto import front
from nmc.exploration.point import Outcome, Point


def outcome(name: str, accuracy: float, *costs: float) -> Outcome:
    metrics = {"accuracy": accuracy, **{f"cost{k}": cost for k, cost in enumerate(costs)}}
    return Outcome(Point({"name": name}, None), metrics)


def names(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [each.point.settings["name"] for each in outcomes]


def test_front_keeps_what_no_other_dominates() -> None:
    found = front(
        [outcome("a", 0.9, 10), outcome("b", 0.8, 10), outcome("c", 0.8, 5), outcome("d", 0.7, 6)], ["cost0"]
    )
    assert names(found) == ["a", "c"]


def test_front_keeps_one_of_equal_outcomes() -> None:
    assert names(front([outcome("a", 0.9, 10), outcome("b", 0.9, 10)], ["cost0"])) == ["a"]


def test_front_leaves_out_what_was_refused_or_lacks_a_metric() -> None:
    refused = Outcome(Point({"name": "r"}, None), refused="too large")
    lacking = Outcome(Point({"name": "l"}, None), {"accuracy": 1.0})
    assert names(front([refused, lacking, outcome("a", 0.1, 10)], ["cost0"])) == ["a"]


def test_front_is_the_set_of_undominated_outcomes_on_random_ones() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        rows = random.integers(0, 5, (20, 3)).astype(float)
        outcomes = [outcome(str(k), *row) for k, row in enumerate(rows)]
        kept = {names((each,))[0] for each in front(outcomes, ["cost0", "cost1"])}
        keys = rows * [-1, 1, 1]
        for k, mine in enumerate(keys):
            dominated = any((other <= mine).all() and (other < mine).any() for other in keys)
            first = not any((other == mine).all() for other in keys[:k])
            assert (str(k) in kept) == (not dominated and first)
