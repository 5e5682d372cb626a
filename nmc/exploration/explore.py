"""A sweep over settings of a target: accuracy against bits, steps, time and energy, and what is worth choosing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nmc.backends import registry
from nmc.diagnostics import Diagnostic, UsageError, error, nearest
from nmc.engines import COMMAND_LINE
from nmc.exploration import workers
from nmc.exploration.pareto import front
from nmc.exploration.point import Outcome, Point, Study
from nmc.exploration.store import Store

COSTS = ("bits_of_weights", "steps", "cycles", "joules")
"""The metrics over which the front is drawn, of those that the target's machine tells."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The outcomes of a study, in the order of its points, and those that no other dominates over `costs`."""

    target: str
    outcomes: tuple[Outcome, ...]
    costs: tuple[str, ...]
    front: tuple[Outcome, ...]


def default_variations(target: str) -> dict[str, tuple[str, ...]]:
    """What is varied if nothing is named: every width of weights from 2 bits on that the target has."""
    for setting in registry.load(target).settings:
        if setting.name == "weight_bits":
            return {setting.name: tuple(value for value in setting.choices if int(value) >= 2)}
    return {}


def check_variations(target: str, varied: Mapping[str, Sequence[str]]) -> None:
    """Raise UsageError (NMC902) for settings or values that the target does not have."""
    known = {each.name: each for each in registry.load(target).settings}
    findings: list[Diagnostic] = []
    for name, values in varied.items():
        if name not in known:
            message = f"`{target}` has no setting `{name}`"
            findings.append(error("NMC902", message, COMMAND_LINE, help=nearest(name, known)))
            continue
        choices = known[name].choices
        wrong = [value for value in values if choices and value not in choices]
        findings += [
            error("NMC902", f"setting `{name}` is `{value}`", COMMAND_LINE, help=nearest(value, choices))
            for value in wrong
        ]
    if findings:
        raise UsageError(*findings)


def explore(
    study: Study,
    points: Sequence[Point],
    *,
    store: Store | None = None,
    processes: int = 1,
    cluster: str | None = None,
    doing: Callable[[str], None] = lambda what: None,
) -> Sweep:
    """Measure `points` and find the front. What `store` knows is not measured again; the rest is kept as it comes.

    `cluster` is the address of a Dask scheduler; without, so many `processes` of this machine. `doing` is told of
    every point that is done.
    """
    known: dict[str, Outcome] = {}
    for point in points:
        found = None if store is None else store.find(point)
        if found is not None:
            known[str(point)] = found
    todo = [point for point in points if str(point) not in known]
    doing(f"{len(known)} of {len(points)} points are known")
    for outcome in _measured(study, todo, processes=processes, cluster=cluster):
        if store is not None:
            store.keep(outcome)
        known[str(outcome.point)] = outcome
        doing(f"{len(known)} of {len(points)} points: {outcome.point}")
    outcomes = tuple(known[str(point)] for point in points)
    costs = tuple(name for name in COSTS if any(name in each.metrics for each in outcomes))
    return Sweep(study.target, outcomes, costs, front(outcomes, costs))


def _measured(
    study: Study, points: Sequence[Point], *, processes: int, cluster: str | None
) -> Iterator[Outcome]:
    if not points:
        return iter(())
    if cluster is not None:
        return workers.on_cluster(study, points, address=cluster)
    return workers.here(study, points, processes=min(processes, len(points)))
