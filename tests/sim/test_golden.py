"""Golden against the slow reference, on random graphs of every operation and attribute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError
from nmc.ir.graph import Graph
from nmc.ir.ops import Neuron
from nmc.sim import golden
from nmc.sim.plan import is_integer
from tests.sim.reference import reference
from tests.strategies import integer_graphs, real_graphs, spike_inputs

EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def recordable(graph: Graph) -> list[str]:
    names = [f"{node.name}.out" for node in graph.nodes]
    names += [f"{node.name}.v" for node in graph.nodes if isinstance(node.op, Neuron)]
    return names + [
        f"{node.name}.i" for node in graph.nodes if isinstance(node.op, Neuron) and node.op.synapse
    ]


def assert_equal_to_reference(graph: Graph, inputs: dict[str, Any], *, dtype: type | None) -> None:
    out, traces = reference(graph, inputs, dtype=dtype)
    got = golden.simulate(graph, inputs, record=recordable(graph), dtype=dtype or np.float64)
    for name, array in got.trace.items():
        node, _, variable = name.rpartition(".")
        expected = out[node] if variable == "out" else traces[name]
        np.testing.assert_array_equal(array, expected, err_msg=name)


@EXAMPLES
@given(st.data())
def test_golden_equals_reference_in_float64(data: st.DataObject) -> None:
    graph = data.draw(real_graphs())
    assert_equal_to_reference(graph, data.draw(spike_inputs(graph)), dtype=np.float64)
