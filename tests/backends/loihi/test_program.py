"""Programs hold what Lava and the chip hold, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmc.backends.loihi.program import (
    DECAY,
    DELAY,
    REFRACTORY,
    STOCK,
    WEIGHT,
    Conv,
    Dense,
    Network,
    Output,
    Rule,
    Sign,
    Source,
    Sparse,
    conv_shape,
)
from nmc.ir.graph import Slice
from nmc.ir.neuron import Reset, ResetWhen
from nmc.ir.tensor import Tensor
from tests.backends.loihi.networks import on_one_core, population


def dense(weights: object, **changed: object) -> Dense:
    fields: dict[str, object] = {"exponent": 0, "weight_bits": 8, "sign": Sign.MIXED} | changed
    return Dense("w", "in", "out", Tensor(weights, WEIGHT), **fields)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("sign", "bits", "weights"),
    [
        (Sign.MIXED, 8, [[-256, 254]]),
        (Sign.MIXED, 1, [[-256, 0]]),
        (Sign.EXCITATORY, 8, [[0, 255]]),
        (Sign.EXCITATORY, 3, [[224, 32]]),
        (Sign.INHIBITORY, 8, [[-255, 0]]),
    ],
)
def test_dense_holds_weights_of_its_sign_and_width(sign: Sign, bits: int, weights: list[list[int]]) -> None:
    assert dense(weights, sign=sign, weight_bits=bits).weight.shape == (1, 2)


@pytest.mark.parametrize(
    ("sign", "bits", "weights", "message"),
    [
        (Sign.MIXED, 8, [[3]], "multiples of 2"),
        (Sign.MIXED, 5, [[8]], "multiples of 16"),
        (Sign.EXCITATORY, 8, [[-2]], "excitatory ones are 0 to 255"),
        (Sign.INHIBITORY, 8, [[-256]], "inhibitory ones are -255 to 0"),
        (Sign.EXCITATORY, 3, [[16]], "multiples of 32"),
        (Sign.MIXED, 9, [[2]], "9 bits; 1 to 8"),
        (Sign.MIXED, 8, [2, 4], "a weight matrix of shape"),
    ],
)
def test_dense_refuses_weights_that_lava_would_cut(
    sign: Sign, bits: int, weights: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dense(weights, sign=sign, weight_bits=bits)


@pytest.mark.parametrize("weight", [256, -257])
def test_a_weight_beyond_nine_bits_is_no_weight(weight: int) -> None:
    with pytest.raises(ValueError, match="do not fit 9 signed bits"):
        dense([[weight]])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"exponent": 8}, "-8 to 7"),
        ({"exponent": -9}, "-8 to 7"),
        ({"message_bits": 25}, "0 to 24"),
        ({"delay": Tensor([[1, 2]], DELAY)}, "delays of shape"),
        ({"delay": Tensor([[1]])}, "`delay` is None"),
    ],
)
def test_dense_refuses_what_a_synapse_cannot_hold(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dense([[2]], **changed)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("du", -1),
        ("du", 4096),
        ("dv", 4096),
        ("dv", -1),
        ("vth", 1 << 17),
        ("vth", -1),
        ("bias_mant", 4096),
        ("bias_mant", -4097),
        ("bias_exp", 8),
        ("bias_exp", -1),
        ("u", 1 << 23),
        ("v", -(1 << 23) - 1),
    ],
)
def test_a_stock_neuron_refuses_what_lava_takes_in_silence(parameter: str, value: int) -> None:
    with pytest.raises(ValueError, match=r"do not fit|is 0 to 4095"):
        population("l", (2,), **{parameter: value})


def test_a_programmed_neuron_keeps_all_or_nothing() -> None:
    rule = Rule(reset=Reset.SUBTRACT)
    assert not population("l", (2,), rule=rule, du=-1, dv=4096).stock
    with pytest.raises(ValueError, match="`voltage_decay` is 0 to 4096"):
        population("l", (2,), rule=rule, dv=4097)
    with pytest.raises(ValueError, match="`current_decay` is -1 to 4095"):
        population("l", (2,), rule=rule, du=4096)


@pytest.mark.parametrize("parameter", ["du", "dv", "vth"])
def test_a_population_with_parameters_of_each_neurons_own_is_not_lavas(parameter: str) -> None:
    assert not population("l", (2,), **{parameter: [1, 2]}).stock
    assert population("l", (2,), **{parameter: 1}).stock
    assert population("l", (2,), bias_mant=[1, 2]).stock


def test_a_population_refuses_parameters_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"`threshold` has shape \(3,\), the population \(2,\)"):
        population("l", (2,), vth=[1, 2, 3])
    with pytest.raises(ValueError, match="`refractory` has shape"):
        population("l", (2,), rule=Rule(refractory=Tensor([1, 2, 3], REFRACTORY)))


def test_a_rule_refuses_other_formats_and_a_reset_that_happens_once_and_is_no_subtraction() -> None:
    with pytest.raises(ValueError, match="only a subtraction"):
        Rule(reset=Reset.TO_VALUE, when=ResetWhen.SAME_STEP_ONCE)
    with pytest.raises(ValueError, match="`refractory` is"):
        replace(STOCK, refractory=Tensor(1, DECAY))


def conv(**changed: object) -> Conv:
    fields: dict[str, object] = {
        "weight": Tensor(np.full((4, 3, 2, 1), 2), WEIGHT),
        "stride": (1, 2),
        "padding": (0, 1),
        "dilation": (1, 1),
        "groups": 2,
        "exponent": 0,
        "weight_bits": 8,
        "sign": Sign.MIXED,
    } | changed
    return Conv("c", "in", "out", **fields)  # pyright: ignore[reportArgumentType]


def test_conv_shape_counts_x_and_y() -> None:
    # x: (9 - 3) / 1 + 1 = 7 columns of 9; y: (5 + 2 - 2) // 2 + 1 = 3 rows of 5
    assert conv_shape(conv(), (2, 5, 9)) == (4, 3, 7)
    line = conv(weight=Tensor(np.full((4, 3, 1, 2), 2), WEIGHT), groups=1, stride=(2, 1), padding=(1, 0))
    assert conv_shape(line, (2, 9)) == (4, 5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stride": (0, 1)}, "at most 127"),
        ({"dilation": (128, 1)}, "at most 127"),
        ({"groups": 3}, "divide into groups"),
        ({"exponent": -1}, "at least 0"),
        ({"weight": Tensor([2], WEIGHT)}, "kernels of shape"),
    ],
)
def test_conv_refuses_what_lavas_conv_cannot_hold(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conv(**changed)


def test_sparse_refuses_synapses_out_of_order_or_twice() -> None:
    def sparse(post: list[int], pre: list[int]) -> Sparse:
        weight = Tensor([2] * len(post), WEIGHT)
        return Sparse("s", "in", "out", Tensor(post), Tensor(pre), weight, 0, 8, Sign.MIXED)

    assert sparse([0, 0, 1], [0, 2, 1]).weight.size == 3
    for post, pre in (([1, 0], [0, 0]), ([0, 0], [1, 0]), ([0, 0], [1, 1])):
        with pytest.raises(ValueError, match="out of order"):
            sparse(post, pre)
    with pytest.raises(ValueError, match="different shapes"):
        sparse([0, 1], [0])


def network(**changed: object) -> Network:
    fields: dict[str, object] = {
        "sources": (Source("in", (2,)),),
        "populations": (population("out", (1,)),),
        "connections": (dense([[2, 4]]),),
        "outputs": (Output("o", "out"),),
        "cores": (Slice("in", 0, 2, 1), Slice("out", 0, 1, 0)),
    } | changed
    return Network(**fields)  # pyright: ignore[reportArgumentType]


def test_a_network_knows_its_ends() -> None:
    whole = network()
    assert list(whole.ends) == ["in", "out"]
    assert whole.population("out").size == 1
    assert not whole.graded("in")
    assert not whole.graded("out")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"populations": (population("in", (1,)),)}, "used twice"),
        ({"connections": (replace(dense([[2, 4]]), pre="x"),)}, "leaves `x`"),
        ({"connections": (replace(dense([[2, 4]]), post="in"),)}, "no population"),
        ({"connections": (dense([[2]]),)}, "between 2 and 1 values"),
        ({"connections": (dense([[2, 4]], message_bits=3),)}, "`in` sends spikes"),
        ({"sources": (Source("in", (2,), 4),)}, "`in` sends graded values"),
        ({"outputs": (Output("o", "x"),)}, "shows `x`"),
        ({"outputs": (Output("o", "out"), Output("o", "in"))}, "named twice"),
        ({"cores": (Slice("in", 0, 2, 0),)}, "`out` has 1 neurons, 0 of them placed"),
        ({"cores": (Slice("in", 0, 1, 0), Slice("in", 0, 2, 1), Slice("out", 0, 1, 0))}, "gap or twice"),
        ({"cores": (Slice("x", 0, 2, 0),)}, "holds `x`"),
        ({"cores": (Slice("in", 0, 2, -1), Slice("out", 0, 1, 0))}, "on core -1"),
    ],
)
def test_a_network_refuses_parts_that_do_not_fit(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**changed)


def test_a_network_refuses_a_convolution_between_other_shapes() -> None:
    source, kernel = Source("in", (2, 5, 9)), conv()
    on_one_core((source,), (population("out", (4, 3, 7)),), (kernel,))
    with pytest.raises(ValueError, match=r"`c` gives shape \(4, 3, 7\), `out` has \(4, 7, 3\)"):
        on_one_core((source,), (population("out", (4, 7, 3)),), (kernel,))
    with pytest.raises(ValueError, match="kernels for 2 channels"):
        on_one_core((Source("in", (3, 5, 9)),), (population("out", (4, 3, 7)),), (kernel,))
    with pytest.raises(ValueError, match="over two axes"):
        on_one_core((Source("in", (2, 9)),), (population("out", (4, 7)),), (kernel,))


def test_a_network_refuses_a_synapse_outside_of_its_ends() -> None:
    line = Sparse("s", "in", "out", Tensor([1]), Tensor([0]), Tensor([2], WEIGHT), 0, 8, Sign.MIXED)
    with pytest.raises(ValueError, match="a synapse outside of 1 values"):
        network(connections=(line,))


def test_an_output_cannot_be_early() -> None:
    with pytest.raises(ValueError, match="output delay of -1"):
        Output("o", "out", -1)
