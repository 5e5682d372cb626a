"""A pipeline is a tuple of passes that can be printed and is checked before a model is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nmc.ir.graph import Graph, replace_graph
from nmc.passes.facts import Fact, check


@dataclass(frozen=True, slots=True)
class Pass:
    """A pure function over graphs, the facts it needs and the facts it gives.

    `settings` are the keyword arguments that are bound into `run`, as text, for people and manifests.
    """

    name: str
    run: Callable[[Graph], Graph]
    needs: frozenset[Fact] = frozenset()
    gives: frozenset[Fact] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


def check_order(passes: tuple[Pass, ...], *, given: frozenset[Fact] = frozenset()) -> None:
    """Raise ValueError if a pass needs a fact that nothing before it gives."""
    known = set(given)
    for step in passes:
        missing = step.needs - known
        if missing:
            names = ", ".join(sorted(fact.value for fact in missing))
            raise ValueError(f"pass `{step.name}` needs {names}, which no pass before it gives")
        known |= step.gives


def run_pipeline(
    graph: Graph, passes: tuple[Pass, ...], *, after: Callable[[Pass, Graph], None] = lambda step, graph: None
) -> Graph:
    """Run the passes in order, check every fact after each, and call `after(pass, graph)`."""
    check_order(passes, given=frozenset(Fact(name) for name in graph.facts))
    for step in passes:
        graph = step.run(graph)
        facts = frozenset(graph.facts | {fact.value for fact in step.gives})
        graph = replace_graph(graph, facts=facts)
        check(graph, after=step.name)
        after(step, graph)
    return graph
