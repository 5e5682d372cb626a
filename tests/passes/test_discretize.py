import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmc.diagnostics import CompileError, Severity, UsageError
from nmc.frontend.load import load
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, Reset, ResetWhen
from nmc.ir.ops import (
    Delay,
    DelayLine,
    Input,
    Linear,
    Neuron,
    Ode,
    Op,
    Output,
    Shape,
    Signal,
    SignalKind,
    Threshold,
)
from nmc.ir.tensor import Tensor
from nmc.ir.verify import verify
from nmc.passes.discretize import discretize
from nmc.passes.presets import PRESETS
from nmc.sim.golden import simulate

# ---- small graphs in seconds ------------------------------------------------------------------------------


def real(value: Any) -> Tensor:
    return Tensor(np.asarray(value, np.float64))


def ode(
    *,
    shape: Shape = (2,),
    tau_syn: Any = None,
    w_in: Any = None,
    tau: Any = 1e-3,
    r: Any = 1.0,
    v_leak: Any = 0.0,
    threshold: Any = 1.0,
    v_reset: Any = 0.0,
) -> Ode:
    values = (tau_syn, w_in, tau, r, v_leak, threshold, v_reset)
    return Ode(shape, *(None if value is None else real(value) for value in values))


def graph_of(*ops: Op, shape: Shape = (2,), step: float | None = None) -> Graph:
    """input -> ops -> output."""
    nodes = [Node("input", Input(Signal(shape, SignalKind.REAL)))]
    nodes += [Node(f"n{index}", op) for index, op in enumerate(ops)]
    nodes.append(Node("output", Output(shape)))
    edges = tuple(Edge(a.name, b.name) for a, b in itertools.pairwise(nodes))
    return Graph(tuple(nodes), edges, step=step)


def neuron(op: Ode, **options: Any) -> Neuron:
    made = discretize(graph_of(op), **options)["n0"].op
    assert isinstance(made, Neuron)
    return made


def recurrent(bias: float = 0.5) -> Graph:
    """One neuron with feedback through a weight with a bias, as frontends give it."""
    back = Linear(real([[-0.25]]), real([bias]))
    return Graph(
        (
            Node("input", Input(Signal((1,), SignalKind.REAL))),
            Node("w", Linear(real([[1.0]]))),
            Node("back", back),
            Node("lif", ode(shape=(1,), tau=1e-3, r=10.0)),
            Node("output", Output((1,))),
        ),
        (
            Edge("input", "w"),
            Edge("lif", "back", 1),
            Edge("w", "lif"),
            Edge("back", "lif"),
            Edge("lif", "output"),
        ),
    )


def codes(graph: Graph) -> set[str]:
    return {found.code for found in graph.notes}


# ---- the equations ----------------------------------------------------------------------------------------


def test_discretize_takes_a_euler_step_of_a_leaky_neuron() -> None:
    op = neuron(ode(tau=2e-3, r=3.0, v_leak=0.5, v_reset=-0.25))
    assert op.synapse is None
    assert op.fire is not None
    assert op.membrane.decay is not None
    assert op.membrane.gain is not None
    assert op.membrane.bias is not None
    assert float(op.membrane.decay.data) == pytest.approx(0.95)
    assert float(op.membrane.gain.data) == pytest.approx(0.15)
    assert float(op.membrane.bias.data) == pytest.approx(0.025)
    assert float(op.fire.value.data) == -0.25
    assert (op.fire.reset, op.fire.when, op.fire.comparison) == (
        Reset.TO_VALUE,
        ResetWhen.SAME_STEP,
        Comparison.ABOVE,
    )


def test_discretize_takes_a_euler_step_of_a_synaptic_current() -> None:
    op = neuron(ode(tau_syn=4e-4, w_in=2.0))
    assert op.synapse is not None
    assert op.synapse.gain is not None
    assert float(op.synapse.decay.data) == pytest.approx(0.75)
    assert float(op.synapse.gain.data) == pytest.approx(0.5)


def test_discretize_lets_an_integrator_keep_everything() -> None:
    op = neuron(ode(tau=None, v_leak=None, r=1e4, threshold=None, v_reset=None))
    assert op.membrane.decay is None
    assert op.membrane.gain is None
    assert op.fire is None


def test_discretize_drops_a_gain_that_is_one_but_for_its_last_bits() -> None:
    assert 7.0 * (1e-4 / 7e-4) != 1
    assert neuron(ode(tau=7e-4, r=7.0)).membrane.gain is None


def test_discretize_keeps_parameters_of_each_neuron_and_joins_equal_ones() -> None:
    op = neuron(ode(tau=[1e-3, 2e-3], r=[5.0, 5.0]))
    assert op.membrane.decay is not None
    assert op.fire is not None
    assert op.membrane.decay.data.tolist() == [0.9, 0.95]
    assert op.fire.threshold.shape == ()


def test_discretize_rounds_delays_to_the_nearest_step() -> None:
    assert 3e-4 / 1e-4 < 3
    graph = discretize(graph_of(DelayLine((2,), real([3e-4, 1.2e-3]))))
    assert graph["n0"].op == Delay((2,), Tensor(np.array([3, 12])))
    assert "NMC155" not in codes(graph)


def test_discretize_says_by_how_much_a_delay_was_rounded() -> None:
    graph = discretize(graph_of(DelayLine((2,), real([1.5e-4, 2.1e-4]))))
    (found,) = (found for found in graph.notes if found.code == "NMC155")
    assert "by up to 0.5 steps" in found.message


def test_discretize_gives_a_graph_that_verifies() -> None:
    for name in PRESETS:
        assert verify(discretize(recurrent(), preset=name)) == []


# ---- presets ----------------------------------------------------------------------------------------------


def test_sinabs_decays_exponentially_and_clamps_integrators() -> None:
    leaky = neuron(ode(tau=12.0), preset="sinabs")
    assert leaky.membrane.decay is not None
    assert leaky.membrane.gain is not None
    assert leaky.fire is not None
    assert float(leaky.membrane.decay.data) == np.exp(-1 / 12)
    assert float(leaky.membrane.gain.data) == 1 - np.exp(-1 / 12)
    assert leaky.fire.comparison is Comparison.AT_LEAST
    integrator = neuron(ode(tau=None, v_leak=None, threshold=1.5), preset="sinabs")
    assert integrator.membrane.minimum is not None
    assert float(integrator.membrane.minimum.data) == -1.5
    assert integrator.membrane.gain is None


def test_sinabs_counts_in_steps_unless_asked_otherwise() -> None:
    graph = graph_of(ode(tau=12.0))
    assert discretize(graph, preset="sinabs").step is None
    assert discretize(graph, preset="sinabs", dt=0.5).step == 0.5


def test_rockpool_undoes_the_factor_that_its_exporter_wrote() -> None:
    tau, dt = 2.5e-3, 1e-4
    decay = np.exp(-dt / tau)
    op = neuron(ode(tau=tau, r=tau * decay / dt, tau_syn=1e-3, w_in=1.0), preset="rockpool")
    assert op.synapse is not None
    assert op.synapse.gain is not None
    assert op.fire is not None
    assert op.membrane.gain is None
    assert float(op.synapse.gain.data) == np.exp(-dt / 1e-3)
    assert op.fire.reset is Reset.MULTI_SPIKE


def test_spyx_subtracts_after_the_leak_without_a_synapse_and_before_it_with_one() -> None:
    plain, cuba = neuron(ode(), preset="spyx"), neuron(ode(tau_syn=1e-3), preset="spyx")
    assert plain.fire is not None
    assert cuba.fire is not None
    assert (plain.fire.reset, plain.fire.when) == (Reset.SUBTRACT, ResetWhen.NEXT_AFTER_LEAK)
    assert (cuba.fire.reset, cuba.fire.when) == (Reset.SUBTRACT, ResetWhen.SAME_STEP)


def test_snntorch_gives_the_excess_back_when_it_subtracts() -> None:
    op = neuron(ode(), preset="snntorch", reset="subtract")
    assert op.fire is not None
    assert op.fire.when is ResetWhen.SAME_STEP_ONCE


def test_a_comparison_of_the_preset_reaches_thresholds_without_state() -> None:
    graph = graph_of(ode(), Threshold((2,), real(0.5), Comparison.ABOVE))
    op = discretize(graph, preset="spikingjelly")["n1"].op
    assert isinstance(op, Threshold)
    assert op.comparison is Comparison.AT_LEAST


@pytest.mark.parametrize(
    ("preset", "edge"), [("nir", Edge("lif", "back", 1)), ("norse", Edge("back", "lif", 1))]
)
def test_the_step_of_a_loop_is_where_the_preset_takes_it(preset: str, edge: Edge) -> None:
    graph = discretize(recurrent(), preset=preset)
    assert [each for each in graph.edges if each.delay] == [edge]


def test_a_recurrent_bias_acts_in_step_0_unless_the_preset_says_no() -> None:
    silence = {"input": np.zeros((2, 1, 1))}
    first = {
        name: simulate(discretize(recurrent(), preset=name), silence, record=["lif.v"]).trace["lif.v"][
            0, 0, 0
        ]
        for name in ("snntorch", "norse")
    }
    assert first == {"snntorch": 0.5, "norse": 0.0}


def test_every_connection_takes_a_step_where_the_preset_says_so() -> None:
    graph = discretize(recurrent(), preset="spyx")
    assert {edge for edge in graph.edges if edge.delay} == {Edge("w", "lif", 1), Edge("back", "lif", 1)}
    assert "NMC156" in codes(graph)


def test_a_step_of_a_loop_moves_over_all_operations_up_to_the_neuron() -> None:
    nodes = recurrent().nodes
    more = Node("more", Linear(real([[1.0]]), real([0.25])))
    edges = (
        Edge("input", "w"),
        Edge("lif", "back", 1),
        Edge("w", "lif"),
        Edge("back", "more"),
        Edge("more", "lif"),
        Edge("back", "output"),
    )
    graph = discretize(Graph((*nodes, more), edges), preset="norse")
    assert {edge for edge in graph.edges if edge.delay} == {Edge("more", "lif", 1), Edge("back", "output", 1)}


def test_py_spinnaker2_moves_biases_to_the_membrane_and_cuts_weights() -> None:
    loop = recurrent(bias=0.5)
    cuba = ode(shape=(1,), tau_syn=2e-4, w_in=2.0, tau=1e-3, r=10.0)
    graph = discretize(loop.replace_nodes({"lif": cuba}), preset="py-spinnaker2")
    op, back = graph["lif"].op, graph["back"].op
    assert isinstance(op, Neuron)
    assert isinstance(back, Linear)
    assert op.membrane.bias is not None
    assert back.bias is None
    assert float(op.membrane.bias.data) == pytest.approx(0.5 / (1 - 0.5))
    assert float(back.weight.data[0, 0]) == -31 / 127  # trunc(-0.25 * 127 / 1.0) = -31
    assert "NMC157" in codes(graph)


# ---- what the user may say --------------------------------------------------------------------------------


def test_dt_comes_from_the_option_then_the_file_then_the_preset() -> None:
    def dt(step: float | None, asked: float | None) -> tuple[float | None, str]:
        graph = discretize(graph_of(ode(tau=0.5), step=step), dt=asked)
        return graph.step, graph.notes[0].message

    assert dt(1e-3, 1e-2)[0] == 1e-2
    assert dt(1e-3, None)[0] == 1e-3
    assert dt(None, None)[0] == 1e-4
    assert "the file does not say" in dt(None, None)[1]
    assert "from the file's metadata" in dt(1e-3, None)[1]
    assert "as asked" in dt(1e-3, 1e-2)[1]


@pytest.mark.parametrize(("reset", "expected"), [("zero", Reset.TO_VALUE), ("subtract", Reset.SUBTRACT)])
def test_reset_overrules_the_preset(reset: str, expected: Reset) -> None:
    for preset in PRESETS:
        op = neuron(ode(), preset=preset, reset=reset)
        assert op.fire is not None
        assert op.fire.reset is expected


def test_a_reset_value_that_subtraction_ignores_is_a_note() -> None:
    graph = discretize(graph_of(ode(v_reset=-0.5)), reset="subtract")
    assert "NMC159" in codes(graph)
    assert "NMC159" not in codes(discretize(graph_of(ode()), reset="subtract"))


def test_discretize_returns_a_graph_in_steps_as_it_is() -> None:
    graph = discretize(graph_of(ode()))
    assert discretize(graph) is graph


@pytest.mark.parametrize("options", [{"dt": 1e-3}, {"preset": "norse"}, {"reset": "subtract"}])
def test_discretize_refuses_an_option_that_would_change_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="would change nothing"):
        discretize(discretize(graph_of(ode())), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "snntorsch"}, "did you mean `snntorch`"),
        ({"reset": "substract"}, "did you mean `subtract`"),
        ({"dt": 0.0}, "not a positive time"),
        ({"dt": float("nan")}, "not a positive time"),
    ],
)
def test_discretize_refuses_names_that_it_does_not_know(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        discretize(graph_of(ode()), **options)


def test_discretize_refuses_a_step_longer_than_a_time_constant() -> None:
    with pytest.raises(CompileError) as refused:
        discretize(graph_of(ode(tau=[1e-3, 2e-3], tau_syn=2e-4)), dt=1.5e-3)
    messages = [found.message for found in refused.value.findings if found.severity is Severity.ERROR]
    assert len(messages) == 2
    assert "a step of 0.0015 is longer than `tau_syn` = 0.0002 of `n0`" in messages
    assert "at most 0.0002" in refused.value.findings[-2].help


def test_discretize_takes_a_step_as_long_as_the_time_constant() -> None:
    assert neuron(ode(tau=1e-4), dt=1e-4).membrane.decay == real(0.0)


def test_discretize_warns_of_time_constants_in_another_unit() -> None:
    assert "NMC152" in codes(discretize(graph_of(ode(tau=12.0))))
    assert "NMC152" in codes(discretize(graph_of(ode(tau=None, v_leak=None))))
    assert "NMC152" not in codes(discretize(graph_of(ode(tau=12.0)), preset="sinabs"))
    assert "NMC152" not in codes(discretize(graph_of(ode(tau=0.02))))


def test_discretize_refuses_to_count_spikes_of_a_threshold_at_zero() -> None:
    with pytest.raises(CompileError, match="NMC158"):
        discretize(graph_of(ode(threshold=[1.0, 0.0])), preset="rockpool")


# ---- recordings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["golden/chips/braille_noDelay_bias_zero.nir", "wild/nir/nested_braille_zero.nir"]
)
@pytest.mark.parametrize(
    ("preset", "recording"),
    [("snntorch", "snntorch"), ("norse", "norse"), ("spyx", "spyx"), ("py-spinnaker2", "s2")],
)
def test_preset_gives_every_spike_of_its_platform_on_braille(
    shared: Path, name: str, preset: str, recording: str
) -> None:
    recorded = np.load(shared / "golden/chips/braille_sample0.npz")
    graph = discretize(load(shared / name), preset=preset)
    hidden = next(node.name for node in graph.nodes if isinstance(node.op, Neuron) and node.op.shape == (38,))
    result = simulate(graph, {"input": recorded["x"][:, None]}, record=[f"{hidden}.spikes"])
    spikes = result.trace[f"{hidden}.spikes"][:, 0]
    assert spikes.shape == (256, 38)
    assert np.count_nonzero(spikes != recorded[f"noDelay_bias_zero__{recording}"]) == 0


@pytest.mark.parametrize(
    ("preset", "recording", "scale", "late"),
    [
        ("norse", "norse", 1.0, 0),
        ("snntorch", "snntorch", 0.04, 0),
        ("loihi", "lava_cpu_float", 1.0, 0),
        ("nir", "lava_cpu_float", 1.0, 1),
    ],
)
def test_preset_gives_the_membrane_of_its_platform_on_one_neuron(
    shared: Path, preset: str, recording: str, scale: float, late: int
) -> None:
    inputs, v, spikes = np.load(shared / "golden/chips/lif.npz")[recording].T
    graph = discretize(load(shared / "golden/chips/lif_norse.nir"), preset=preset)
    result = simulate(graph, {"input": inputs.reshape(-1, 1, 1)}, record=["1.v", "1.spikes"])
    steps = len(v) - late
    assert np.abs(result.trace["1.v"][:steps, 0, 0] - scale * v[late:]).max() < 1e-6
    assert np.array_equal(result.trace["1.spikes"][:steps, 0, 0], spikes[late:])


def test_rockpool_gives_the_first_membranes_of_its_recording(shared: Path) -> None:
    """Values of neuromorphs/NIR, paper/01_lif/lif_rockpool.csv, rows 60 to 63 and 250 to 251 (BSD-3-Clause)."""
    graph = discretize(load(shared / "wild/nir/lif_rockpool.nir"), preset="rockpool")
    inputs = np.zeros((60, 1, 1))
    inputs[[0, 50]] = 1
    v = simulate(graph, {"input": inputs}, record=["1_LIFNeuronTorch.v"]).trace["1_LIFNeuronTorch.v"][:, 0, 0]
    assert v[:4] == pytest.approx([0.04, 0.038431577, 0.036924653, 0.035476815], rel=1e-6)
    assert v[50] == pytest.approx(0.04 + 0.04 * np.exp(-50 * 0.04), rel=1e-6)


CORPUS = [
    ("nir_snn_mlp", {"preset": "snntorch"}, {"spk1": "1.spikes", "mem1": "1.v", "mem2": "3.v"}),
    ("nir_norse_lifbox", {"preset": "norse", "dt": 1e-3}, {"mem1": "1.v"}),
    ("nir_sinabs_lif", {"preset": "sinabs"}, {"spk1": "1.spikes"}),
    (
        "nir_sj_conv",
        {"preset": "spikingjelly"},
        {"spk__1": "_1.spikes", "v__1": "_1.v", "spk__4": "_4.spikes", "v__4": "_4.v", "v__7": "_7.v"},
    ),
    ("nir_delay_dcls_a", {}, {"spk1": "lif1.spikes", "mem1": "lif1.v", "mem2": "lif2.v"}),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options", "records"), CORPUS, ids=[case[0] for case in CORPUS])
def test_preset_gives_what_the_framework_gave(
    shared: Path, name: str, options: dict[str, Any], records: dict[str, str], dtype: type
) -> None:
    folder = shared / "corpus" / name
    expected = np.load(folder / "expected.npz")
    graph = discretize(load(folder / "model.nir"), **options)
    inputs = {graph.inputs[0].name: np.load(folder / "input.npz")["x"]}
    result = simulate(graph, inputs, record=tuple(records.values()), dtype=dtype)
    (spikes,) = result.outputs.values()
    last = "spk" if "spk" in expected else "spk__7"
    assert np.array_equal(spikes[:, : expected[last].shape[1]], expected[last])
    if "spike_counts_all" in expected:
        assert np.array_equal(spikes.sum(axis=0, dtype=np.int64), expected["spike_counts_all"])
    for key, record in records.items():
        traced = result.trace[record][:, : expected[key].shape[1]]
        assert np.abs(traced - expected[key]).max() < 1e-5, key


def test_mnist_gives_the_spikes_of_its_training_framework(shared: Path) -> None:
    expected = np.load(shared / "mnist/expected.npz")
    graph = discretize(load(shared / "mnist/model.nir"))
    inputs = {"input": np.load(shared / "mnist/test.npz")["x"]}
    result = simulate(graph, inputs, record=["lif1.spikes"])
    assert np.array_equal(result.outputs["output"].sum(axis=0), expected["spike_counts_all"])
    assert np.array_equal(result.outputs["output"][:, :64], expected["spk"])
    assert np.array_equal(result.trace["lif1.spikes"][:, :64], expected["hidden"])


def test_file_in_another_unit_is_pointed_out(shared: Path) -> None:
    for name in (
        "corpus/nir_sinabs_lif/model.nir",
        "wild/nir/cnn_sinabs.nir",
        "wild/nir/old_norse_braille.nir",
    ):
        assert "NMC152" in codes(discretize(load(shared / name))), name
