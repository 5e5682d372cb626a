"""Laws of integer operations, each broken alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmc.diagnostics import Diagnostic, Loc
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.laws.integer import integer_laws
from nmc.ir.neuron import Comparison, CurrentUsed, DecayForm, Reset, ResetWhen
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Fire,
    Input,
    Linear,
    Membrane,
    Neuron,
    Pool,
    Pooling,
    Scale,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
    Threshold,
)
from nmc.ir.tensor import FixedPoint, Tensor
from tests.nets import (
    ARITHMETIC,
    FILE,
    STATE,
    chain,
    integer_feed_forward,
    integer_lif,
    integer_linear,
    lif,
    linear,
    spikes,
)

DECAY = FixedPoint(9, False, -8)
WIDE = FixedPoint(60, True, -6)


def the_only(graph: Graph) -> Diagnostic:
    (finding,) = integer_laws(graph)
    return finding


def graph_of(neuron: Neuron) -> Graph:
    return chain(input=spikes(4), fc1=integer_linear(3, 4), lif1=neuron)


def with_membrane(**parts: Any) -> Neuron:
    op = integer_lif(3)
    return replace(op, membrane=replace(op.membrane, **parts))


def with_fire(**parts: Any) -> Neuron:
    op = integer_lif(3)
    assert isinstance(op.fire, Fire)
    return replace(op, fire=replace(op.fire, **parts))


def with_synapse(decay: Tensor, initial: Tensor) -> Neuron:
    return replace(integer_lif(3), synapse=Synapse(decay, None, CurrentUsed.NEW, initial))


def with_arithmetic(op: Neuron, **parts: Any) -> Neuron:
    return replace(op, arithmetic=replace(ARITHMETIC, **parts))


def test_integer_laws_find_nothing_in_a_lawful_graph() -> None:
    assert list(integer_laws(integer_feed_forward())) == []


def test_integer_laws_leave_reals_alone() -> None:
    assert list(integer_laws(chain(input=spikes(4), fc1=linear(3, 4), lif1=lif(3)))) == []


@pytest.mark.parametrize(
    ("graph", "src", "dst"),
    [
        (chain(input=spikes(4), fc1=linear(3, 4), lif1=integer_lif(3)), "fc1", "lif1"),
        (chain(input=Input(Signal((4,), SignalKind.REAL)), fc1=integer_linear(3, 4)), "input", "fc1"),
        (
            chain(
                input=spikes(1, 3, 3),
                pool=Pool((1, 3, 3), Pooling.AVERAGE, (3, 3), (1, 1), ((0, 0), (0, 0))),
                lif1=integer_lif(1, 1, 1),
            ),
            "pool",
            "lif1",
        ),
        (
            chain(input=spikes(4), fc1=linear(3, 4), double=Scale((3,), Tensor(2, STATE))),
            "fc1",
            "double",
        ),
        (
            chain(
                input=spikes(4), fc1=linear(3, 4), past=Threshold((3,), Tensor(2, STATE), Comparison.ABOVE)
            ),
            "fc1",
            "past",
        ),
    ],
)
def test_integer_laws_refuse_reals_into_integers(graph: Graph, src: str, dst: str) -> None:
    finding = the_only(graph)
    assert finding.code == "NMC120"
    assert (finding.loc, finding.also) == (Loc(FILE, dst), (Loc(FILE, src),))


@pytest.mark.parametrize(
    ("neuron", "field"),
    [
        (with_membrane(decay=Tensor(0.9)), "membrane.decay"),
        (with_membrane(initial=Tensor(0.0)), "membrane.initial"),
        (with_membrane(bias=Tensor(0.5)), "membrane.bias"),
        (with_fire(threshold=Tensor(1.0)), "fire.threshold"),
        (with_synapse(Tensor(128, DECAY), Tensor(0.0)), "synapse.initial"),
    ],
)
def test_integer_laws_want_a_number_for_each_parameter_of_a_neuron(neuron: Neuron, field: str) -> None:
    finding = the_only(graph_of(neuron))
    assert (finding.code, finding.loc.field) == ("NMC121", field)


def test_integer_laws_want_numbers_for_weight_and_bias() -> None:
    op = integer_linear(3, 4)
    for changed, field in (
        (replace(op, weight=linear(3, 4).weight), "weight"),
        (replace(op, bias=Tensor(np.zeros(3))), "bias"),
    ):
        finding = the_only(chain(input=spikes(4), fc1=changed, lif1=integer_lif(3)))
        assert (finding.code, finding.loc.field) == ("NMC121", field)


FINER = FixedPoint(8, True, -7)


@pytest.mark.parametrize(
    ("neuron", "field"),
    [
        (with_membrane(initial=Tensor(0, FINER)), "membrane.initial"),
        (with_membrane(bias=Tensor(8, FINER)), "membrane.bias"),
        (with_fire(threshold=Tensor(64, FINER)), "fire.threshold"),
        (with_fire(value=Tensor(64, FINER)), "fire.value"),
        (with_synapse(Tensor(128, DECAY), Tensor(0, FINER)), "synapse.initial"),
    ],
)
def test_integer_laws_refuse_what_is_finer_than_the_state(neuron: Neuron, field: str) -> None:
    finding = the_only(graph_of(neuron))
    assert (finding.code, finding.loc.field) == ("NMC122", field)
    assert "-7, finer than -6" in finding.message


@pytest.mark.parametrize(
    "neuron",
    [
        # The threshold has 10 bits in steps of 2**2 units: 0, 4, … 4092.
        with_fire(threshold=Tensor(4092, FixedPoint(16, True, -6))),
        with_fire(threshold=Tensor(1023, FixedPoint(10, False, -4))),
        with_fire(threshold=Tensor(0, STATE)),
        # The bias has 6 bits, shifted left by at most 3: -256 to 248, coarser above 31.
        with_membrane(bias=Tensor(-32, STATE)),
        with_membrane(bias=Tensor(31 * 8, STATE)),
        with_membrane(bias=Tensor(-1, FixedPoint(2, True, 2))),
        with_membrane(decay=Tensor(256, DECAY)),
        with_membrane(initial=Tensor(-512, FixedPoint(10, True, 0))),
        with_arithmetic(with_membrane(minimum=Tensor(-64, STATE)), minimum=True),
        with_arithmetic(with_fire(refractory=Tensor(2)), refractory=2),
        with_arithmetic(with_membrane(decay=None), decay_form=DecayForm.NONE),
        with_arithmetic(with_membrane(bias=Tensor([1, 2, 3], STATE)), heterogeneous=("bias",)),
        with_membrane(bias=Tensor([3, 3, 3], STATE)),
        with_fire(reset=Reset.NONE),
        with_synapse(Tensor(128, DECAY), Tensor(-(2**11), STATE)),
    ],
)
def test_integer_laws_accept_what_the_arithmetic_just_has(neuron: Neuron) -> None:
    assert list(integer_laws(graph_of(neuron))) == []


@pytest.mark.parametrize(
    ("neuron", "field"),
    [
        (with_fire(threshold=Tensor(4096, FixedPoint(16, True, -6))), "fire.threshold"),
        (with_fire(threshold=Tensor(2, STATE)), "fire.threshold"),
        (with_fire(threshold=Tensor(-4, STATE)), "fire.threshold"),
        (with_membrane(bias=Tensor(33, STATE)), "membrane.bias"),
        (with_membrane(bias=Tensor(31 * 8 + 8, STATE)), "membrane.bias"),
        (with_membrane(bias=Tensor(1, FixedPoint(2, True, 3))), "membrane.bias"),
        (with_membrane(decay=Tensor(257, DECAY)), "membrane.decay"),
        (with_membrane(decay=Tensor(115, FixedPoint(8, False, -7))), "membrane.decay"),
        (with_arithmetic(with_membrane(decay=Tensor(0, DECAY)), v_decays=(1, 256)), "membrane.decay"),
        (with_membrane(initial=Tensor(512, FixedPoint(11, True, 0))), "membrane.initial"),
        (with_fire(value=Tensor(-513, FixedPoint(11, True, 0))), "fire.value"),
        (with_synapse(Tensor(300, DECAY), Tensor(0, STATE)), "synapse.decay"),
        (
            with_arithmetic(with_synapse(Tensor(256, DECAY), Tensor(0, STATE)), i_decays=(0, 255)),
            "synapse.decay",
        ),
        (with_synapse(Tensor(128, DECAY), Tensor(512, FixedPoint(11, True, 0))), "synapse.initial"),
    ],
)
def test_integer_laws_refuse_what_a_register_cannot_hold(neuron: Neuron, field: str) -> None:
    finding = the_only(graph_of(neuron))
    assert (finding.code, finding.loc.field) == ("NMC123", field)


@pytest.mark.parametrize(
    ("neuron", "field"),
    [
        (with_membrane(gain=Tensor(1, STATE)), "membrane.gain"),
        (with_membrane(minimum=Tensor(-64, STATE)), "membrane.minimum"),
        (with_membrane(bias=Tensor([1, 2, 3], STATE)), "membrane.bias"),
        (with_membrane(decay=Tensor([1, 2, 3], DECAY)), "membrane.decay"),
        (with_fire(threshold=Tensor([4, 8, 8], STATE)), "fire.threshold"),
        (with_synapse(Tensor([1, 2, 2], DECAY), Tensor(0, STATE)), "synapse.decay"),
        (with_arithmetic(integer_lif(3), decay_form=DecayForm.NONE), "membrane.decay"),
        (with_arithmetic(with_membrane(bias=Tensor(1, STATE)), bias_bits=0), "membrane.bias"),
        (with_fire(comparison=Comparison.AT_LEAST), "fire.comparison"),
        (with_fire(reset=Reset.SUBTRACT), "fire.reset"),
        (with_fire(when=ResetWhen.NEXT_BEFORE_LEAK), "fire.reset"),
        (with_fire(refractory=Tensor([0, 1, 0])), "fire.refractory"),
    ],
)
def test_integer_laws_refuse_what_the_arithmetic_does_not_have(neuron: Neuron, field: str) -> None:
    finding = the_only(graph_of(neuron))
    assert (finding.code, finding.loc.field) == ("NMC124", field)


def narrow(op: Linear, bits: int, overflow: Overflow = Overflow.PROVED_ABSENT) -> Linear:
    return replace(op, accumulator=Accumulator(FixedPoint(bits, True, -6), Rounding.FLOOR, overflow))


def test_integer_laws_prove_from_the_weights_that_a_sum_fits() -> None:
    # Rows of integer_linear(3, 4) are -3 … 0, 1 … 4, 5 … 8: sums of spikes are -6 to 26, six bits.
    op = integer_linear(3, 4)
    accepted = chain(input=spikes(4), fc1=narrow(op, 6), lif1=integer_lif(3))
    assert list(integer_laws(accepted)) == []
    refused = the_only(chain(input=spikes(4), fc1=narrow(op, 5), lif1=integer_lif(3)))
    assert refused.code == "NMC125"
    assert "-6 to 26" in refused.message and "-16 to 15" in refused.message


def test_integer_laws_accept_a_narrow_sum_that_is_said_to_overflow() -> None:
    op = narrow(integer_linear(3, 4), 5, Overflow.WRAP)
    assert list(integer_laws(chain(input=spikes(4), fc1=op, lif1=integer_lif(3)))) == []


def test_integer_laws_count_signed_inputs_and_the_bias_into_a_sum() -> None:
    # Inputs -4 to 3: rows give at most -4 * -6 = 24, 3 * 26 = 78 and at least -4 * 26 = -104.
    messages = Input(Signal((4,), SignalKind.GRADED, FixedPoint(3, True, 0)))
    op = narrow(integer_linear(3, 4), 7)
    assert "-104 to 78" in the_only(chain(input=messages, fc1=op, lif1=integer_lif(3))).message
    biased = narrow(replace(integer_linear(3, 4), bias=Tensor([0, -5, 6], STATE)), 6)
    assert "-11 to 32" in the_only(chain(input=spikes(4), fc1=biased, lif1=integer_lif(3))).message


def test_integer_laws_prove_sums_of_synapses_and_convolutions() -> None:
    weight = Tensor([3, -2, 3, 3], FixedPoint(4, True, -6))
    ids = Tensor([0, 0, 1, 1]), Tensor([0, 1, 0, 2])
    accumulator = Accumulator(FixedPoint(3, True, -6), Rounding.FLOOR, Overflow.PROVED_ABSENT)
    synapses = Sparse((2,), (3,), *ids, weight, Tensor([0, 0, 0, 0]), accumulator)
    finding = the_only(chain(input=spikes(2), syn=synapses, lif1=integer_lif(3)))
    assert "-2 to 6" in finding.message
    kernel = Tensor([[[3, -2]], [[1, 1]]], FixedPoint(4, True, -6))
    conv = Conv(
        (1, 5), kernel, None, (1,), ((0, 0),), (1,), 1, replace(accumulator, number=FixedPoint(2, True, -6))
    )
    finding = the_only(chain(input=spikes(1, 5), conv=conv, lif1=integer_lif(2, 4)))
    assert "-2 to 3" in finding.message


def test_integer_laws_refuse_sums_beyond_62_bits() -> None:
    wide = Input(Signal((4,), SignalKind.GRADED, WIDE))
    op = narrow(integer_linear(3, 4), 12, Overflow.WRAP)
    finding = the_only(chain(input=wide, fc1=op, lif1=integer_lif(3)))
    assert finding.code == "NMC125"
    assert "65 bits" in finding.message


def test_integer_laws_refuse_inputs_that_do_not_fit_once_aligned() -> None:
    coarse = Input(Signal((3,), SignalKind.GRADED, FixedPoint(40, True, 20)))
    finding = the_only(chain(input=coarse, lif1=integer_lif(3)))
    assert finding.code == "NMC125"
    assert "66 bits" in finding.message
    lossy = Input(Signal((3,), SignalKind.GRADED, FixedPoint(40, True, -20)))
    assert list(integer_laws(chain(input=lossy, lif1=integer_lif(3)))) == []


def test_integer_laws_refuse_a_sum_of_edges_that_may_be_too_wide() -> None:
    one = Input(Signal((3,), SignalKind.GRADED, FixedPoint(40, True, -6)))
    two = Node("two", Input(Signal((3,), SignalKind.GRADED, FixedPoint(40, True, 20))), Loc(FILE, "two"))
    graph = chain(one=one, lif1=integer_lif(3))
    graph = Graph((*graph.nodes, two), (*graph.edges, Edge("two", "lif1")))
    assert the_only(graph).code == "NMC125"


def test_integer_laws_name_every_parameter_at_fault() -> None:
    membrane = Membrane(Tensor(0.9), None, Tensor(0.1), None, Tensor(0, FINER))
    findings = integer_laws(graph_of(replace(integer_lif(3), membrane=membrane)))
    assert [(finding.code, finding.loc.field) for finding in findings] == [
        ("NMC121", "membrane.decay"),
        ("NMC121", "membrane.bias"),
        ("NMC122", "membrane.initial"),
    ]
