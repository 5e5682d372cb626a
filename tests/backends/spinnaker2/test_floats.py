"""Single precision: weights become whole numbers, everything else follows; what needs integers is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.spinnaker2.floats import to_floats
from nmc.diagnostics import CompileError
from nmc.ir.ops import Linear, Neuron
from nmc.ir.tensor import Tensor
from tests.passes import nets


def test_weights_on_a_grid_become_its_steps_and_the_threshold_goes_along() -> None:
    grid = 0.125 / 3
    weight = np.array([[126.0, -3.0], [5.0, 0.0]]) * grid
    graph = nets.chain(("fc", Linear(Tensor(weight))), ("lif", nets.lif((2,))), shape=(2,))
    found = to_floats(graph, weight_bits=8, calibration={})
    connection, neuron = found["fc"].op, found["lif"].op
    assert isinstance(connection, Linear) and isinstance(neuron, Neuron) and neuron.fire is not None
    assert connection.weight.data.tolist() == [[126, -3], [5, 0]]
    assert neuron.fire.threshold.data.dtype == np.float32
    assert float(neuron.fire.threshold.data) == pytest.approx(1 / grid, rel=1e-6)


def test_other_weights_are_rounded_to_127_steps_of_the_largest() -> None:
    weight = np.array([[1.0, 0.3333]])
    graph = nets.chain(("fc", Linear(Tensor(weight))), ("lif", nets.lif((1,))), shape=(2,))
    connection = to_floats(graph, weight_bits=8, calibration={})["fc"].op
    assert isinstance(connection, Linear)
    assert connection.weight.data.tolist() == [[127, 42]]


def test_inputs_that_are_no_spikes_are_refused() -> None:
    graph = nets.chain(("fc", Linear(Tensor(np.ones((1, 2))))), ("lif", nets.lif((1,))), shape=(2,))
    name = graph.inputs[0].name
    with pytest.raises(CompileError) as refused:
        to_floats(graph, weight_bits=8, calibration={name: np.full((3, 1, 2), 0.5)})
    assert refused.value.findings[0].code == "NMC439"
