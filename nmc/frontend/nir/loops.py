"""Where the step of delay of each loop sits, and the order in which nodes run within a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx

Link = tuple[str, str]


def delayed_edges(
    nodes: Iterable[str], edges: Iterable[Link], *, inputs: Iterable[str], stateful: frozenset[str]
) -> tuple[dict[Link, list[str]], list[list[str]]]:
    """The edges that carry a step of delay, each with the loop that it closes; and loops without a state.

    Signals are followed depth first from the inputs, in the order of the file. Where they come back to a node on
    their path, the last node with a state on the way around closes the loop: the edge that leaves it is delayed.
    So a recurrent layer's delay is on the edge from the neuron to its weight, and a loop through two layers has
    it once, on the way back. Repeated until nothing loops within a step.
    """
    following: dict[str, list[str]] = {name: [] for name in nodes}
    for src, dst in dict.fromkeys(edges):
        following[src].append(dst)
    starts = [*inputs, *following]
    delayed: dict[Link, list[str]] = {}
    hopeless: list[list[str]] = []
    while loops := _loops(following, starts):
        for loop in loops:
            links = list(zip(loop, [*loop[1:], loop[0]], strict=True))
            if any(dst not in following[src] for src, dst in links):
                continue  # an edge of it has been taken out for another loop
            closing = next((link for link in reversed(links) if link[0] in stateful), None)
            if closing is None:
                hopeless.append(loop)
                closing = links[-1]
            else:
                delayed[closing] = loop
            following[closing[0]].remove(closing[1])
    return delayed, hopeless


def _loops(following: Mapping[str, list[str]], starts: Iterable[str]) -> list[list[str]]:
    """Loops that one depth-first walk closes, each from where the walk entered it."""
    found: list[list[str]] = []
    place: dict[str, int] = {}  # on the path: its index
    done: set[str] = set()
    for start in starts:
        if start in done:
            continue
        path, pending = [start], [iter(following[start])]
        place[start] = 0
        while path:
            after = next(pending[-1], None)
            if after is None:
                done.add(path[-1])
                del place[path.pop()]
                pending.pop()
            elif after in place:
                found.append(path[place[after] :])
            elif after not in done:
                place[after] = len(path)
                path.append(after)
                pending.append(iter(following[after]))
    return found


def order_within_step(nodes: Iterable[str], edges: Iterable[Link], delayed: Iterable[Link]) -> list[str]:
    """Topological order of the edges that are not delayed; ties keep the order of `nodes`."""
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(nodes)
    digraph.add_edges_from(set(edges) - set(delayed))
    rank = {name: index for index, name in enumerate(digraph)}
    return list(nx.lexicographical_topological_sort(digraph, key=rank.__getitem__))
