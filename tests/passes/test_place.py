from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError
from nmc.ir.graph import Graph
from nmc.ir.linear import make_sparse
from nmc.passes.place import core_loads, place
from nmc.target import TargetSpec
from tests.passes.nets import chain, lif, linear
from tests.passes.test_lower_delays import integers
from tests.targets import TARGET, figure


def limited(**limits: float) -> TargetSpec:
    return replace(
        TARGET, limits={**TARGET.limits, **{name: figure(value) for name, value in limits.items()}}
    )


def network(*sizes: int) -> Graph:
    rng = np.random.default_rng(0)
    named = []
    for k, (pre, post) in enumerate(pairwise(sizes)):
        named += [(f"w{k}", linear(rng, post, pre)), (f"l{k}", lif((post,)))]
    return integers(chain(*named, shape=(sizes[0],)))


def spans(graph: Graph, name: str) -> list[tuple[int, int]]:
    return [(s.start, s.stop) for s in graph.placement if s.node == name]


def test_place_fills_cores_up_to_their_neurons() -> None:
    placed = place(network(4, 70), target=limited(neurons_per_core=32))
    assert spans(placed, "l0") == [(0, 32), (32, 64), (64, 70)]


def test_place_fills_cores_up_to_their_synaptic_words() -> None:
    # 8-bit weights, 8 a word of 64 bits: 16 inputs a neuron take 2 words, 5 words hold 2 neurons.
    placed = place(network(16, 5), target=limited(synaptic_words_per_core=5))
    assert spans(placed, "l0") == [(0, 2), (2, 4), (4, 5)]


def test_place_fills_cores_up_to_their_input_axons() -> None:
    # Neuron k listens to input k alone: as many neurons a core as it has input axons.
    ids = np.arange(10)
    op = make_sparse((10,), (10,), pre=ids, post=ids, weight=np.ones(10), delay=np.zeros(10))
    placed = place(
        integers(chain(("w", op), ("l", lif((10,))), shape=(10,))), target=limited(input_axons_per_core=4)
    )
    assert spans(placed, "l") == [(0, 4), (4, 8), (8, 10)]


def test_place_cuts_a_population_whose_spikes_go_to_too_many_cores() -> None:
    # `l1` takes 4 cores, so each neuron of `l0` needs 4 output axons: 2 neurons a core.
    target = limited(neurons_per_core=8, output_axons_per_core=8, cores=64)
    placed = place(network(4, 8, 32), target=target)
    assert len(spans(placed, "l1")) == 4
    assert max(stop - start for start, stop in spans(placed, "l0")) == 2
    assert all(core.axons_out <= 8 for core in core_loads(placed, target=target))


def test_place_puts_small_populations_onto_one_core() -> None:
    placed = place(network(4, 6, 5), target=TARGET)
    assert {s.core for s in placed.placement} == {0}


def test_place_names_a_neuron_that_no_core_holds() -> None:
    with pytest.raises(CompileError, match=r"NMC300.*neuron 0 of `l0` takes 5 synaptic words.*has 4 and"):
        place(network(40, 3), target=limited(synaptic_words_per_core=4))


def test_place_names_a_population_whose_single_spike_goes_to_too_many_cores() -> None:
    with pytest.raises(CompileError, match=r"NMC302.*`l0` reaches 4 cores.*has 3 output"):
        place(network(4, 8, 32), target=limited(neurons_per_core=8, output_axons_per_core=3, cores=64))


def test_place_says_how_many_cores_are_missing() -> None:
    with pytest.raises(CompileError, match=r"NMC301.*takes 5 cores.*which has 4"):
        place(network(4, 160), target=limited(cores=4))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=5),
    st.integers(1, 40),
    st.integers(8, 64),
    st.integers(60, 200),
    st.integers(20, 200),
)
def test_place_covers_every_neuron_once_within_every_limit(
    sizes: list[int], neurons: int, words: int, axons_in: int, axons_out: int
) -> None:
    target = limited(
        cores=10**6,
        neurons_per_core=neurons,
        synaptic_words_per_core=words,
        input_axons_per_core=axons_in,
        output_axons_per_core=axons_out,
    )
    model = network(*sizes)
    try:
        placed = place(model, target=target)
    except CompileError as refused:
        assert {finding.code for finding in refused.findings} <= {"NMC300", "NMC302"}
        return
    for k, size in enumerate(sizes[1:]):
        parts = spans(placed, f"l{k}")
        assert [0, *(stop for _, stop in parts)] == [*(start for start, _ in parts), size]
    for core in core_loads(placed, target=target):
        assert core.neurons <= neurons
        assert core.words <= words
        assert core.axons_in <= axons_in
        assert core.axons_out <= axons_out


def test_place_is_the_same_every_time() -> None:
    model = network(20, 50, 40)
    assert place(model, target=TARGET).placement == place(model, target=TARGET).placement
