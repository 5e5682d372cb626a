"""Which counters their weights bound for any run, and which only the length of a run does: a note for these."""

from __future__ import annotations

import numpy as np

from nmc.backends.sfq.counters import span
from nmc.backends.sfq.network import network_of
from nmc.diagnostics import note
from nmc.ir.graph import Graph


def prove(graph: Graph, *, steps: int) -> Graph:
    """The same graph, with a note (NMC483) for each population that is proved for runs of `steps` and no longer."""
    notes = [
        note(
            "NMC483",
            f"counters of `{cluster.name}` are proved for runs of {steps} steps: its weights alone do not bound them",
            graph[cluster.name].loc,
            help="`--set steps=` gives another length; longer runs are refused",
        )
        for cluster in network_of(graph).clusters
        if any(
            rule.integrates
            and not span(
                rule,
                int(np.minimum(weights, 0).sum()) + rule.bias,
                int(np.maximum(weights, 0).sum()) + rule.bias,
                steps=steps,
            )[2]
            for rule, weights in zip(cluster.rules, cluster.weights, strict=True)
        )
    ]
    return graph.with_notes(notes)
