"""Where two runs first differ."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.sim.compare import Divergence, first_divergence
from nmc.sim.trace import SimResult


def result(v: np.ndarray, out: np.ndarray | None = None) -> SimResult:
    return SimResult("test", {"y": np.zeros((len(v), 2, 1)) if out is None else out}, {"l.v": v})


def zeros() -> np.ndarray:
    return np.zeros((4, 2, 2, 3))


def test_first_divergence_is_none_for_equal_results() -> None:
    assert first_divergence(result(zeros()), result(zeros())) is None


def test_first_divergence_names_step_sample_node_neuron_and_values() -> None:
    got = zeros()
    got[2, 1, 1, 2] = 7.5
    expected = Divergence(step=2, sample=1, node="l", neuron=5, variable="v", expected=0.0, got=7.5)
    assert first_divergence(result(zeros()), result(got)) == expected
    assert str(expected) == "step 2, sample 1: `l` neuron 5, v: expected 0.0, got 7.5"


def test_first_divergence_is_the_earliest_step_of_all_variables() -> None:
    v, out = zeros(), np.zeros((4, 2, 1))
    v[3] = 1
    out[1, 0, 0] = 1
    found = first_divergence(result(zeros()), result(v, out))
    assert found is not None
    assert (found.step, found.node, found.variable) == (1, "y", "out")


def test_first_divergence_names_the_trace_before_the_output_of_one_step() -> None:
    v, out = zeros(), np.zeros((4, 2, 1))
    v[1, 1] = 1
    out[1, 0, 0] = 1
    found = first_divergence(result(zeros()), result(v, out))
    assert found is not None
    assert (found.step, found.sample, found.node) == (1, 1, "l")


def test_first_divergence_aligns_a_later_result() -> None:
    v = np.arange(48.0).reshape(4, 2, 2, 3)
    late = np.concatenate((zeros()[:2], v))
    assert first_divergence(result(v), result(late), later=2) is None
    assert first_divergence(result(v), result(late)) is not None


def test_first_divergence_compares_what_both_have() -> None:
    expected, got = result(zeros()), SimResult("other", {"z": np.ones((4, 2, 1))}, {"k.v": zeros() + 1})
    assert first_divergence(expected, got) is None


def test_first_divergence_takes_nan_for_nan_only() -> None:
    a, b = zeros(), zeros()
    a[0, 0, 0, 0] = b[0, 0, 0, 0] = np.nan
    assert first_divergence(result(a), result(b)) is None
    assert first_divergence(result(a), result(zeros())) is not None


def test_first_divergence_refuses_populations_of_other_shape() -> None:
    with pytest.raises(ValueError, match=r"`l\.v` is \(2, 2, 3\) in one result and \(2, 6\) in the other"):
        first_divergence(result(zeros()), result(zeros().reshape(4, 2, 6)))
