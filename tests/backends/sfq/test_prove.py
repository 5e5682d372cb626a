"""A note says which counters only the length of a run bounds."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Reset
from nmc.ir.ops import Input, Linear, Output, Signal, SignalKind
from nmc.ir.tensor import Tensor
from tests.backends.sfq.networks import STEPS, compiled, neurons


@pytest.mark.parametrize(("weights", "noted"), [([2.0, 3.0], False), ([2.0, -3.0], True), ([2.0, 7.0], True)])
def test_prove_notes_what_only_the_length_of_a_run_bounds(weights: list[float], noted: bool) -> None:
    nodes = (
        Node("x", Input(Signal((2,), SignalKind.REAL))),
        Node("w", Linear(Tensor(np.array([weights])))),
        Node("n", neurons(1, np.array([6.0]), reset=Reset.SUBTRACT)),
        Node("y", Output((1,))),
    )
    done = compiled(Graph(nodes, (Edge("x", "w"), Edge("w", "n"), Edge("n", "y"))))
    said = [each.message for each in done.notes if each.code == "NMC483"]
    assert bool(said) is noted
    assert all(f"proved for runs of {STEPS} steps" in each for each in said)
