"""The machine reproduces Lava's recordings, and its costs are counted as worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc.backends.loihi import files, machine
from nmc.backends.loihi.program import WEIGHT, Dense, Network, Output, Rule, Sign, Source, Sparse
from nmc.backends.loihi.spec import BASIS, COSTS
from nmc.diagnostics import CompileError
from nmc.ir.graph import Slice
from nmc.ir.neuron import Reset
from nmc.ir.tensor import Tensor
from tests.backends.loihi.networks import on_one_core, population, recording, recordings


def test_machine_is_lava_on_its_recordings(recorded: Path) -> None:
    names = list(recordings(recorded))
    assert len(names) == 21
    for name in names:
        network, inputs, expected = recording(recorded, name)
        twice = {key: np.repeat(values, 2, axis=1) for key, values in inputs.items()}
        run = machine.run(network, twice, record=tuple(p.name for p in network.populations))
        got = {f"{p.name}.spikes": run.sent[p.name] for p in network.populations} | dict(run.states)
        for variable, values in expected.items():
            for sample in range(2):
                np.testing.assert_array_equal(got[variable][:, sample], values[:, 0], f"{name} {variable}")


def synapse(weight: int, *, message_bits: int = 0) -> Dense:
    return Dense("w", "in", "out", Tensor([[weight]], WEIGHT), 0, 8, Sign.MIXED, message_bits)


def one_neuron(weight: int = 20, **parameters: int) -> Network:
    return on_one_core((Source("in", (1,)),), (population("out", (1,), **parameters),), (synapse(weight),))


def test_a_neuron_decays_and_spikes_as_worked_by_hand() -> None:
    # w = 20, du = 2047: u halves a step. dv = 0. threshold 25 << 6 = 1600. Input 20 << 6 = 1280.
    network = one_neuron(du=2047, dv=0, vth=25)
    spikes = np.array([1, 0, 0, 0, 0, 1, 0, 0]).reshape(8, 1, 1)
    run = machine.run(network, {"in": spikes}, record=("out",))
    assert run.states["out.u"].ravel().tolist() == [0, 1280, 640, 320, 160, 80, 1320, 660]
    # v: 0, 1280, then 1920 > 1600: reset to 0; 320, 480, 560; 1880 > 1600: 0; 660
    assert run.states["out.v"].ravel().tolist() == [0, 1280, 0, 320, 480, 560, 0, 660]
    assert run.sent["out"].ravel().tolist() == [0, 0, 1, 0, 0, 0, 1, 0]


def test_a_negative_membrane_decays_toward_zero() -> None:
    network = one_neuron(weight=-2, du=4095, dv=1000)
    run = machine.run(network, {"in": np.array([1, 0, 0]).reshape(3, 1, 1)}, record=("out",))
    # -2 << 6 = -128; then -(128 * 3096 >> 12) = -96
    assert run.states["out.v"].ravel().tolist() == [0, -128, -96]


def test_samples_do_not_see_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    network = one_neuron(du=100, dv=100, vth=30)
    spikes = (np.random.default_rng(0).random((20, 5, 1)) < 0.5).astype(np.uint8)
    together = machine.run(network, {"in": spikes}, record=("out",))
    monkeypatch.setattr(machine, "BYTES_AT_ONCE", 40)
    apart = machine.run(network, {"in": spikes}, record=("out",))
    np.testing.assert_array_equal(together.states["out.v"], apart.states["out.v"])
    np.testing.assert_array_equal(together.seconds, apart.seconds)
    np.testing.assert_array_equal(together.joules, apart.joules)
    np.testing.assert_allclose(together.work, apart.work)


def two_cores() -> Network:
    """Two lines to three neurons on two tiles; dense, so that a synapse of weight zero costs as well."""
    weight = Tensor([[2, 2], [2, 0], [2, 2]], WEIGHT)
    return Network(
        (Source("in", (2,)),),
        (population("out", (3,), vth=1),),
        (Dense("w", "in", "out", weight, 0, 8, Sign.MIXED),),
        (Output("o", "out"),),
        (Slice("in", 0, 2, 0), Slice("out", 0, 1, 0), Slice("out", 1, 3, 4)),
    )


def cost(name: str) -> float:
    return COSTS[name].value


def test_costs_are_counted_as_worked_by_hand() -> None:
    spikes = np.zeros((2, 1, 2), np.uint8)
    spikes[0, 0, 1] = 1
    run = machine.run(two_cores(), {"in": spikes})
    # Step 0: three looks; a spike of line 1 goes to core 0 (1 synapse) and to core 4, one tile up (2 synapses).
    joules = 3 * cost("access_energy") + 2 * cost("message_out_energy") + 3 * cost("dense_energy")
    joules += cost("hop_y_energy")
    assert run.joules[0, 0] == pytest.approx(joules)
    assert (run.messages[0, 0], run.hops[0, 0], run.synaptic_events[0, 0]) == (2, 1, 3)
    assert run.active_neurons[0].tolist() == [0, 3]
    # The second message leaves after the first, travels a hop up, is taken, and brings two synaptic events.
    last = (
        2 * cost("message_out_time") + cost("hop_y_time") + cost("message_in_time") + 2 * cost("dense_time")
    )
    assert run.seconds[0, 0] == pytest.approx(last + cost("barrier_time_from_2_tiles"))
    # Step 1: all three get something (neuron 1 a weight of zero); neurons 0 and 2 spike, and nothing hears them.
    joules = 3 * (cost("access_energy") + cost("update_energy")) + 2 * cost("spike_energy")
    assert run.joules[0, 1] == pytest.approx(joules)
    assert run.sent["out"][1, 0].tolist() == [1, 0, 1]
    slowest = 2 * (cost("access_time") + cost("update_time")) + cost("spike_time")
    assert run.seconds[0, 1] == pytest.approx(slowest + cost("barrier_time_from_2_tiles"))
    assert run.work[4, 0] == pytest.approx(2 * cost("access_time") + slowest)


def test_a_neuron_is_active_while_its_membrane_is_not_zero_or_it_has_a_bias() -> None:
    spikes = np.array([1, 0, 0, 0]).reshape(4, 1, 1)
    rising = machine.run(one_neuron(weight=2, du=4095, dv=0, vth=100), {"in": spikes})
    assert rising.active_neurons.tolist() == [[0, 1, 1, 1]]
    spent = machine.run(one_neuron(weight=2, du=4095, dv=0, vth=1), {"in": spikes})
    assert spent.active_neurons.tolist() == [[0, 1, 0, 0]]
    biased = machine.run(one_neuron(weight=2, du=4095, dv=4095, vth=100, bias_mant=1), {"in": spikes})
    assert biased.active_neurons.tolist() == [[1, 1, 1, 1]]


def test_simulate_gives_outputs_states_and_costs_in_everybodys_names() -> None:
    written = files.write(two_cores())
    spikes = np.ones((3, 2, 2), np.uint8)
    result = machine.simulate(written, {"in": spikes}, ("out",))
    assert result.by == "machine"
    assert result.outputs["o"].shape == (3, 2, 3)
    assert result.outputs["o"].dtype == np.uint8
    assert set(result.trace) == {"out.v", "out.i", "out.spikes"}
    assert result.spikes["out"] == result.outputs["o"].sum()
    assert result.energy is not None
    assert result.energy.basis == BASIS
    assert result.seconds is not None
    assert result.counts["seconds_in_barriers"] == pytest.approx(6 * cost("barrier_time_from_2_tiles"))
    assert result.counts["messages"] == 3 * 2 * 2 * 2


def test_an_output_comes_as_late_as_it_says() -> None:
    whole = two_cores()
    late = Network(
        whole.sources,
        whole.populations,
        whole.connections,
        (Output("o", "in", 1), Output("p", "in", 9)),
        whole.cores,
    )
    spikes = np.arange(6).reshape(3, 1, 2) % 2
    outputs = machine.outputs(late, machine.run(late, {"in": spikes}).sent)
    assert outputs["o"].ravel().tolist() == [0, 0, 0, 1, 0, 1]
    assert not outputs["p"].any()


def test_graded_messages_weigh_and_are_shifted_as_a_sum() -> None:
    # 3 * 10 + 5 * 7 = 65; 65 >> 3 = 8, where shifting each would give 3 + 4 = 7.
    weight = Tensor([10, 14], WEIGHT)
    network = on_one_core(
        (Source("in", (2,), 4, True),),
        (population("out", (1,), du=4095, dv=4095, vth=1000),),
        (Sparse("w", "in", "out", Tensor([0, 0]), Tensor([0, 1]), weight, -3, 8, Sign.MIXED, 4),),
    )
    run = machine.run(network, {"in": np.array([[[3, 5]], [[-3, -5]], [[0, 0]]])}, record=("out",))
    # 3 * 10 + 5 * 14 = 100 -> 12; -100 -> -13: floor
    assert run.states["out.u"].ravel().tolist() == [0, 12 << 6, -(13 << 6)]


def test_a_readout_sends_its_membrane() -> None:
    rule = Rule(fire=False)
    network = on_one_core(
        (Source("in", (1,)),), (population("out", (1,), rule=rule, du=4095, dv=2048),), (synapse(20),)
    )
    run = machine.run(network, {"in": np.array([1, 1, 0, 0]).reshape(4, 1, 1)})
    assert run.sent["out"].ravel().tolist() == [0, 1280, 1920, 960]


def test_a_multi_spike_neuron_sends_counts() -> None:
    rule = Rule(reset=Reset.MULTI_SPIKE)
    network = on_one_core(
        (Source("in", (1,)),), (population("out", (1,), rule=rule, du=4095, dv=0, vth=6),), (synapse(20),)
    )
    run = machine.run(network, {"in": np.array([1, 1, 0]).reshape(3, 1, 1)}, record=("out",))
    assert run.sent["out"].ravel().tolist() == [0, 3, 3]
    assert run.states["out.v"].ravel().tolist() == [0, 2 << 6, 4 << 6]


def test_an_input_that_lava_would_wrap_is_refused() -> None:
    network = on_one_core(
        (Source("in", (1,), 24),), (population("out", (1,), vth=1000),), (synapse(254, message_bits=24),)
    )
    machine.run(network, {"in": np.array([100]).reshape(1, 1, 1)})
    with pytest.raises(CompileError) as refused:
        machine.run(network, {"in": np.array([1 << 20, 0]).reshape(2, 1, 1)})
    assert [finding.code for finding in refused.value.findings] == ["NMC402"]


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"in": np.zeros((2, 1, 3))},
        {"in": np.full((2, 1, 1), 2)},
        {"in": np.zeros((1, 1, 1)), "x": np.zeros(1)},
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(CompileError):
        machine.run(one_neuron(), inputs)


def test_files_that_are_no_program_are_refused() -> None:
    with pytest.raises(CompileError, match=r"network\.json: missing"):
        machine.simulate({}, {}, ())
