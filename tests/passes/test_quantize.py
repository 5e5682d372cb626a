from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError
from nmc.ir.graph import Graph
from nmc.ir.neuron import Comparison, Reset
from nmc.ir.ops import Conv, Input, Linear, Neuron, SignalKind
from nmc.ir.tensor import Tensor
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.connect import connect
from nmc.passes.facts import Fact, violations
from nmc.passes.measure import layer_errors, worst
from nmc.passes.normalize import normalize
from nmc.passes.quantize import quantize
from nmc.sim.arrays import to_mantissas
from nmc.sim.golden import simulate
from tests.passes.nets import chain, cubalif, fire, lif, linear, real, spikes
from tests.targets import STOCK, TARGET


def populations(model: Graph, *, unsupported: Unsupported = Unsupported.CUSTOM) -> Graph:
    return choose_neurons(normalize(connect(model)), target=TARGET, unsupported=unsupported)


def quantized(model: Graph, *, bits: int = 8, calibration: np.ndarray | None = None) -> Graph:
    data = {} if calibration is None else {"x": calibration}
    return quantize(populations(model), target=TARGET, weight_bits=bits, message_bits=8, calibration=data)


def neuron(graph: Graph, name: str = "l") -> Neuron:
    op = graph[name].op
    assert isinstance(op, Neuron)
    return op


def weight(graph: Graph, name: str = "w") -> Tensor:
    op = graph[name].op
    assert isinstance(op, Linear | Conv)
    return op.weight


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_quantize_rounds_every_weight_to_the_nearest_unit(bits: int) -> None:
    rng = np.random.default_rng(1)
    model = chain(("w", linear(rng, 6, 8)), ("l", lif((6,))), shape=(8,))
    exact, coarse = weight(model), weight(quantized(model, bits=bits))
    assert coarse.number is not None and coarse.number.bits == bits
    top = (1 << (bits - 1)) - 1
    assert np.abs(coarse.data).max() == top, "the largest weight takes the largest mantissa"
    unit = np.abs(exact.values).max() / top
    np.testing.assert_array_equal(coarse.data, np.rint(exact.values / unit))


def test_quantize_gives_every_number_a_format() -> None:
    rng = np.random.default_rng(1)
    model = chain(("w", linear(rng, 6, 8, bias=True)), ("l", cubalif((6,), bias=0.1)), shape=(8,))
    assert not list(violations(quantized(model), Fact.QUANTIZED))


def test_quantize_makes_integers_of_the_neuron_by_hand() -> None:
    # One weight of 0.5 is 127 units of 2 accumulator units, so a real one is 254 weight units, 508 accumulator
    # units and 508 * 64 state units: threshold 1.001 -> 508.5 -> 509, bias 0.125 -> 4064, decay 7/8 -> 3584/4096.
    model = chain(
        ("w", Linear(Tensor(np.array([[0.5]])))),
        ("l", lif((1,), bias=0.125, initial=-0.25, spikes=fire(1.001))),
        shape=(1,),
    )
    integers = quantized(model)
    op = neuron(integers)
    assert op.fire is not None and op.membrane.decay is not None and op.membrane.bias is not None
    assert weight(integers).data.tolist() == [[127]]
    assert int(op.fire.threshold.data) == 509
    assert int(op.membrane.bias.data) == 4064
    assert int(op.membrane.decay.data) == 3584
    assert int(op.membrane.initial.data) == -8128
    assert op.arithmetic is not None and op.exponent == weight(integers).number.exponent - 7  # pyright: ignore


def test_quantize_shares_one_scale_over_the_connections_of_a_population() -> None:
    rng = np.random.default_rng(2)
    from tests.passes.nets import graph  # the builder, local to keep the name free above

    wide = Linear(Tensor(rng.normal(0, 4.0, (6, 8))))
    model = graph(
        {
            "x": Input(connect(chain(("l", lif((8,))), shape=(8,))).inputs[0].op.signal),  # pyright: ignore
            "w": linear(rng, 6, 8),
            "wide": wide,
            "l": lif((6,)),
            "y": chain(("l", lif((6,))), shape=(6,)).outputs[0].op,
        },
        [("x", "w"), ("w", "l"), ("x", "wide"), ("wide", "l"), ("l", "y")],
    )
    integers = quantized(model)
    small, large = weight(integers), weight(integers, "wide")
    assert small.number is not None and large.number is not None
    assert large.number.exponent > small.number.exponent, "larger weights, larger units"
    ratio = small.values.ravel() @ weight(model).values.ravel() / np.square(weight(model).values).sum()
    other = large.values.ravel() @ wide.weight.values.ravel() / np.square(wide.weight.values).sum()
    assert ratio == pytest.approx(other, rel=0.01)


def test_quantize_keeps_the_units_of_a_membrane_that_is_read() -> None:
    rng = np.random.default_rng(3)
    model = chain(
        ("w", linear(rng, 6, 8)),
        ("l", lif((6,))),
        ("v", linear(rng, 4, 6)),
        ("m", lif((4,), silent=True)),
        shape=(8,),
    )
    integers = quantized(model)
    x = spikes(40, 3, (8,))
    # Compare on the integer network's own spikes: the readout alone.
    scale = np.abs(weight(model, "v").values).max() / 127
    np.testing.assert_allclose(weight(integers, "v").values, weight(model, "v").values, atol=scale)
    out = simulate(integers, {"x": x}).outputs["y"]
    assert out.any()


def test_quantize_takes_inputs_for_spikes_and_says_so() -> None:
    rng = np.random.default_rng(4)
    model = chain(("w", linear(rng, 6, 8)), ("l", lif((6,))), shape=(8,))
    integers = quantized(model)
    assert integers.inputs[0].op.signal.kind is SignalKind.SPIKE  # pyright: ignore
    assert "NMC202" in {note.code for note in integers.notes}
    known = quantized(model, calibration=spikes(10, 2, (8,)))
    assert "NMC202" not in {note.code for note in known.notes}


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 20.0)])
def test_quantize_sends_an_analogue_input_as_messages(low: float, high: float) -> None:
    rng = np.random.default_rng(5)
    model = chain(
        ("w", linear(rng, 6, 8)), ("l", lif((6,), spikes=fire(1.0 if high == 1 else 20.0))), shape=(8,)
    )
    x = rng.uniform(low, high, (40, 4, 8))
    integers = quantized(model, calibration=x)
    signal = integers.inputs[0].op.signal  # pyright: ignore
    assert signal.kind is SignalKind.GRADED and signal.number is not None
    assert signal.number.signed == (low < 0)
    assert np.ldexp(signal.number.highest + 1, signal.number.exponent) >= high
    exact = simulate(model, {"x": x}).outputs["y"]
    coarse = simulate(integers, {"x": to_mantissas(x, signal.number)}).outputs["y"]
    assert exact.any() and np.mean(exact != coarse) < 0.05


def test_quantize_keeps_whole_numbers_whole() -> None:
    rng = np.random.default_rng(6)
    model = chain(("w", linear(rng, 6, 8)), ("l", lif((6,))), shape=(8,))
    integers = quantized(model, calibration=rng.integers(0, 4, (10, 2, 8)))
    number = integers.inputs[0].op.signal.number  # pyright: ignore
    assert number is not None and number.exponent == 0
    (note,) = [note for note in integers.notes if note.code == "NMC204"]
    assert "off by 0 at most" in note.message


def test_quantize_is_exact_for_whole_weights_and_a_threshold_that_is_reached() -> None:
    # `>=` on a chip that has `>`: nothing leaks, so that states are whole weights and one unit less is the same.
    rng = np.random.default_rng(7)
    w = Linear(Tensor(rng.integers(-3, 8, (6, 8)).astype(float)))
    population = lif((6,), decay=None, spikes=fire(5.0, comparison=Comparison.AT_LEAST))
    model = chain(("w", w), ("l", population), shape=(8,))
    integers = quantized(model, bits=4)
    assert neuron(integers).fire.comparison is Comparison.ABOVE  # pyright: ignore
    (note,) = [note for note in integers.notes if note.code == "NMC205"]
    assert "exact" in note.message
    x = spikes(60, 4, (8,))
    expected = simulate(model, {"x": x}).outputs["y"]
    assert expected.any()
    np.testing.assert_array_equal(simulate(integers, {"x": x}).outputs["y"], expected)


def test_quantize_says_how_far_a_threshold_moved_where_a_comparison_changed() -> None:
    rng = np.random.default_rng(8)
    model = chain(
        ("w", linear(rng, 6, 8)), ("l", lif((6,), spikes=fire(comparison=Comparison.AT_LEAST))), shape=(8,)
    )
    (note,) = [note for note in quantized(model).notes if note.code == "NMC205"]
    assert "apart by 1 in" in note.message


def test_quantize_shrinks_the_scale_for_a_high_threshold() -> None:
    rng = np.random.default_rng(9)
    model = chain(("w", linear(rng, 6, 8)), ("l", lif((6,), spikes=fire(5000.0))), shape=(8,))
    op = neuron(quantized(model))
    assert op.fire is not None and int(op.fire.threshold.data) <= (1 << 17) - 1


def test_quantize_shrinks_the_scale_for_states_seen_on_data() -> None:
    rng = np.random.default_rng(10)
    model = chain(("w", linear(rng, 6, 64, mean=1.0)), ("l", lif((6,), decay=None, silent=True)), shape=(64,))
    x = spikes(40, 2, (64,), rate=0.9)
    integers = quantized(model, calibration=x)
    result = simulate(integers, {"x": x}, record=["l.v"])
    assert np.abs(result.trace["l.v"]).max() < (1 << 23) - 1, "nothing saturates"
    exact = simulate(model, {"x": x}).outputs["y"]
    number = integers.signals()["y"].number
    assert number is not None
    np.testing.assert_allclose(np.ldexp(result.outputs["y"], number.exponent), exact, rtol=0.05)


@pytest.mark.parametrize("bits", [0, 9])
def test_quantize_refuses_widths_that_the_target_lacks(bits: int) -> None:
    model = chain(("w", linear(np.random.default_rng(0), 6, 8)), ("l", lif((6,))), shape=(8,))
    with pytest.raises(CompileError, match="NMC201"):
        quantized(model, bits=bits)


def test_choose_neurons_makes_thresholds_equal_where_the_target_shares_one() -> None:
    rng = np.random.default_rng(11)
    model = chain(
        ("w", linear(rng, 6, 8)),
        ("l", lif((6,), bias=0.1, spikes=fire(np.linspace(0.5, 2.0, 6)))),
        shape=(8,),
    )
    chosen = populations(model)
    assert neuron(chosen).fire.threshold.size == 1  # pyright: ignore
    x = spikes(60, 4, (8,))
    expected = simulate(model, {"x": x}).outputs["y"]
    np.testing.assert_array_equal(simulate(chosen, {"x": x}).outputs["y"], expected)
    assert neuron(quantized(model)).arithmetic == STOCK


@pytest.mark.parametrize(
    ("population", "what"),
    [
        (lif((6,), spikes=fire(reset=Reset.SUBTRACT)), "reset `subtract`"),
        (lif((6,), spikes=fire(refractory=3)), "refractory period of 3 steps"),
        (lif((6,), minimum=-1.0), "lower bound"),
        (lif((6,), decay=np.linspace(0.5, 0.9, 6)), "decay of each neuron's own"),
    ],
)
def test_choose_neurons_offers_three_ways_where_the_chip_lacks_something(
    population: Neuron, what: str
) -> None:
    model = chain(("w", linear(np.random.default_rng(1), 6, 8)), ("l", population), shape=(8,))
    custom = populations(model)
    assert [note.code for note in custom.notes] == ["NMC211"] and what in custom.notes[0].message
    assert neuron(custom).fire == population.fire
    with pytest.raises(CompileError, match="NMC210") as refused:
        populations(model, unsupported=Unsupported.REFUSE)
    assert what in str(refused.value) and "neurons=custom" in str(refused.value)


def test_choose_neurons_approximates_a_subtracting_reset_on_request() -> None:
    model = chain(
        ("w", linear(np.random.default_rng(1), 6, 8)),
        ("l", lif((6,), spikes=fire(reset=Reset.SUBTRACT))),
        shape=(8,),
    )
    near = populations(model, unsupported=Unsupported.STOCK)
    assert neuron(near).fire.reset is Reset.TO_VALUE  # pyright: ignore
    assert [note.code for note in near.notes] == ["NMC212", "NMC213"]
    assert "not measured" in near.notes[1].message


def test_choose_neurons_measures_what_an_approximation_changes() -> None:
    subtracting = lif((6,), spikes=fire(reset=Reset.SUBTRACT))
    model = chain(("w", linear(np.random.default_rng(1), 6, 8, mean=0.3)), ("l", subtracting), shape=(8,))
    x = spikes(50, 4, (8,))
    exact = normalize(connect(model))
    near = choose_neurons(exact, target=TARGET, unsupported=Unsupported.STOCK, calibration={"x": x})
    outputs = [simulate(graph, {"x": x}).outputs["y"] for graph in (exact, near)]
    share = np.mean(outputs[0] != outputs[1])
    assert share > 0
    assert f"changes {share:.2%} of the outputs" in near.notes[1].message


def test_layer_errors_name_the_layer_that_was_coarsened() -> None:
    rng = np.random.default_rng(12)
    model = chain(
        ("a", linear(rng, 12, 8)), ("l", lif((12,))), ("b", linear(rng, 4, 12)), ("m", lif((4,))), shape=(8,)
    )
    real_graph = populations(model)
    fine = quantize(real_graph, target=TARGET, weight_bits=8, message_bits=8, calibration={})
    coarse = quantize(real_graph, target=TARGET, weight_bits=2, message_bits=8, calibration={})
    mixed = fine.replace_nodes({name: coarse[name].op for name in ("b", "m")})
    errors = layer_errors(real_graph, mixed, {"x": spikes(60, 8, (8,))})
    found = worst(errors)
    assert found is not None and found.node == "m"
    by_name = {error.node: error for error in errors}
    assert by_name["m"].weight_error > 10 * by_name["l"].weight_error


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_quantize_does_not_depend_on_the_units_of_the_model(seed: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    w = rng.normal(0.1, 0.3, (6, 8))
    plain = chain(("w", Linear(Tensor(w))), ("l", lif((6,), bias=0.1)), shape=(8,))
    other = replace(lif((6,), bias=0.1 * unit), fire=fire(unit))
    scaled = chain(("w", Linear(Tensor(w * unit))), ("l", other), shape=(8,))
    a, b = quantized(plain), quantized(scaled)
    np.testing.assert_array_equal(weight(a).data, weight(b).data)
    np.testing.assert_allclose(neuron(a).fire.threshold.data, neuron(b).fire.threshold.data, atol=1)  # pyright: ignore
    assert real(unit).values == unit


def test_quantize_keeps_a_network_in_the_target_s_own_integers_to_the_bit() -> None:
    # As lava-dl writes them: even weights, whole thresholds, decays in 1/4096, biases in 1/64.
    rng = np.random.default_rng(13)
    w = Linear(Tensor(rng.integers(-20, 30, (6, 8)) * 2.0))
    population = lif((6,), decay=3501 / 4096, bias=5 / 64, spikes=fire(301.0))
    integers = quantized(chain(("w", w), ("l", population), shape=(8,)))
    op = neuron(integers)
    assert op.fire is not None and op.membrane.bias is not None and op.exponent == -6
    np.testing.assert_array_equal(2 * weight(integers).data.astype(int), w.weight.values)
    assert (int(op.fire.threshold.data), int(op.membrane.bias.data)) == (301, 5)


@pytest.mark.parametrize("unit", [1.0, 0.25, 3 * 2.0**-9])
def test_quantize_loses_nothing_where_all_parameters_lie_on_one_grid(unit: float) -> None:
    rng = np.random.default_rng(14)
    w = Linear(Tensor(rng.integers(-15, 32, (6, 8)) * unit))
    integers = quantized(chain(("w", w), ("l", lif((6,), decay=0.9, spikes=fire(40 * unit))), shape=(8,)))
    np.testing.assert_array_equal(weight(integers).values, w.weight.values)
    assert neuron(integers).fire.threshold.values == 40 * unit  # pyright: ignore
    assert np.abs(weight(integers).data).max() > 31, "the finest such grid"
