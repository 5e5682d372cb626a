"""Analogue neurons: XOR in two dozen junctions, its bias table, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.sfq import analogue, ngspice
from nmc.backends.sfq.analogue import Analogue, Neuron, Unit
from nmc.backends.sfq.counters import Rule
from nmc.backends.sfq.network import Cluster, Network, Source
from nmc.diagnostics import CompileError
from nmc.ir.neuron import Reset

needs_ngspice = pytest.mark.skipif(ngspice.ready() is not None, reason=str(ngspice.ready()))
PATTERNS = np.array([(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)])
HEARD = (("x", 0), ("x", 1))
XOR = Analogue(
    {"x": (2,)},
    (
        Neuron("hidden[0]", HEARD, Unit((1, 1), 1), 197.5, (160.0, 235.0)),
        Neuron("hidden[1]", HEARD, Unit((1, 1), 2), 105.0, (55.0, 155.0)),
        Neuron("output[0]", (("hidden", 0), ("hidden", 1)), Unit((1, -1), 1), 177.5, (155.0, 200.0)),
    ),
    {"y": ((1,), (("output", 0),))},
)


def cluster(
    *, threshold: int = 1, integrates: bool = False, delay: int = 0, weights: tuple[int, ...] = (1, 1)
) -> Network:
    """One neuron over an input."""
    rule = Rule(threshold, threshold, 0, 0, Reset.NONE, integrates)
    sources = tuple(Source("x", k, delay) for k in range(len(weights)))
    one = Cluster("n", (rule,), (sources,), (np.array(weights),))
    return Network((("x", len(weights)),), (one,), (("y", (Source("n", 0, 0),)),))


def build(network: Network) -> Analogue:
    """The analogue network of a network of one neuron."""
    return analogue.build(network, {}, {"x": (network.inputs[0][1],), "y": (1,)})


@needs_ngspice
def test_xor_computes_its_truth_table_in_ngspice() -> None:
    assert (
        analogue.measured(XOR, PATTERNS.tolist()).ravel().tolist()
        == (PATTERNS[:, 0] ^ PATTERNS[:, 1]).tolist()
    )


@needs_ngspice
@pytest.mark.parametrize(("which", "low", "high"), [(0, 180.0, 220.0), (1, 75.0, 145.0), (2, 172.0, 195.0)])
def test_xor_works_across_the_window_of_each_bias(which: int, low: float, high: float) -> None:
    assert analogue.margin(XOR, which, PATTERNS, grid=(low, high)) == (low, high)


@needs_ngspice
@pytest.mark.parametrize("bias", [0.95, 1.05])
def test_xor_works_with_five_percent_less_or_more_of_all_biases(bias: float) -> None:
    assert np.array_equal(
        analogue.measured(XOR, PATTERNS.tolist(), bias=bias), analogue.expected(XOR, PATTERNS)
    )


@needs_ngspice
@pytest.mark.parametrize(("bias", "fires_on"), [(105.0, 2), (197.5, 1)])
def test_bias_sets_the_threshold(bias: float, fires_on: int) -> None:
    assert [analogue.serves(Unit((1, 1), threshold), bias) for threshold in (1, 2)] == [
        fires_on == 1,
        fires_on == 2,
    ]


@needs_ngspice
def test_the_window_of_a_unit_is_measured() -> None:
    low, high = analogue.window(Unit((1, 1), 2)) or (0.0, 0.0)
    assert low <= 75
    assert 140 <= high <= 160


def test_the_machine_is_the_truth_table() -> None:
    assert analogue.expected(XOR, PATTERNS).ravel().tolist() == (PATTERNS[:, 0] ^ PATTERNS[:, 1]).tolist()


def test_the_files_hold_the_network_its_biases_and_both_decks() -> None:
    program = analogue.emit(XOR)
    assert analogue.read(program.files[analogue.FILE]) == XOR
    assert b"hidden[1],1 1,2,105,55,155" in program.files["bias.csv"]
    assert {"ngspice.cir", "josim.cir"} < set(program.files)
    assert {each.name: each.used for each in program.resources}["Josephson junctions"] <= 26


@pytest.mark.parametrize(
    ("network", "code", "said"),
    [
        (cluster(integrates=True), "NMC492", "keeps its membrane"),
        (cluster(delay=1), "NMC492", "delays or loops"),
        (cluster(threshold=3), "NMC493", "thresholds from 1 to 2"),
        (cluster(threshold=2, weights=(3, 3, 2)), "NMC493", "weights of 6 in all"),
    ],
)
def test_what_no_analogue_neuron_can_be_is_refused(network: Network, code: str, said: str) -> None:
    with pytest.raises(CompileError) as refused:
        build(network)
    assert code in str(refused.value)
    assert said in str(refused.value)


@needs_ngspice
def test_noise_decides_at_a_stochastic_synapse_and_nowhere_else() -> None:
    assert analogue.probability(120.0, cycles=10) == 0
    assert analogue.probability(155.0, cycles=10) == 1


@needs_ngspice
@pytest.mark.slow
def test_a_stochastic_synapse_passes_some_pulses() -> None:
    assert 0 < analogue.probability(139.0, cycles=100) < 1
