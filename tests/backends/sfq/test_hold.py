"""What counters cannot hold is refused with the nearest neuron, or becomes it, measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.sfq.hold import hold, lacking
from nmc.diagnostics import CompileError
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import CurrentUsed, Reset, ResetWhen
from nmc.ir.ops import Input, Linear, Membrane, Neuron, Output, Signal, SignalKind, Synapse
from nmc.ir.tensor import Tensor
from nmc.sim import golden
from tests.backends.sfq.networks import neurons


def plain() -> Neuron:
    return neurons(2, np.array([3.0, 4.0]), reset=Reset.SUBTRACT)


def network(op: Neuron) -> Graph:
    nodes = (
        Node("x", Input(Signal((2,), SignalKind.REAL))),
        Node("fc", Linear(Tensor(np.array([[2.0, 1.0], [-1.0, 3.0]])))),
        Node("lif", op),
        Node("y", Output((2,))),
    )
    return Graph(nodes, (Edge("x", "fc"), Edge("fc", "lif"), Edge("lif", "y")))


def with_decay(decay: float) -> Neuron:
    op = plain()
    return replace(op, membrane=replace(op.membrane, decay=Tensor(np.float64(decay))))


def untouched(graph: Graph) -> Graph:
    return graph


def random_data() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).integers(0, 2, (40, 4, 2)).astype(np.uint8)}


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_decay_of_all_or_nothing_is_exact(decay: float) -> None:
    graph = network(with_decay(decay))
    done = driver.compile(graph, target="sfq", request=Request(settings={"steps": "40"}))
    inputs = random_data()
    expected = golden.simulate(graph, inputs).outputs["y"]
    assert np.array_equal(golden.simulate(done.graph, inputs).outputs["y"], expected)


def test_an_exponential_leak_is_refused_with_the_nearest_neuron() -> None:
    with pytest.raises(CompileError) as refused:
        driver.compile(network(with_decay(0.9)), target="sfq")
    (finding,) = refused.value.findings
    assert finding.code == "NMC480"
    assert "`lif`: it has an exponential leak" in finding.message
    assert "nearest is an integrate-and-fire neuron with no leak" in finding.help
    assert "--approximate" in finding.help


@pytest.mark.parametrize(
    ("op", "said"),
    [
        (replace(plain(), fire=None), "an output that is a membrane"),
        (
            replace(plain(), membrane=replace(plain().membrane, minimum=Tensor(np.float64(-1)))),
            "a lower bound of the membrane",
        ),
        (
            replace(
                plain(),
                synapse=Synapse(Tensor(np.float64(0.5)), None, CurrentUsed.NEW, Tensor(np.float64(0))),
            ),
            "a synaptic current that decays",
        ),
    ],
)
def test_lacking_says_what_a_counter_has_not(op: Neuron, said: str) -> None:
    assert any(said in each for each in lacking(op))
    with pytest.raises(CompileError, match=said):
        hold(network(op), approximate=False, in_integers=untouched, calibration={})


def test_approximate_takes_what_changes_least_and_says_how_much() -> None:
    asked = Request(calibration=random_data(), settings={"neurons": "stock", "steps": "40"})
    done = driver.compile(network(with_decay(0.97)), target="sfq", request=asked)
    (said,) = [note.message for note in done.notes if note.code == "NMC481"]
    assert "an integrate-and-fire neuron with" in said
    share = float(said.rsplit("; ", 1)[1].split("%")[0])
    exact = golden.simulate(network(with_decay(0.97)), random_data()).outputs["y"]
    near = golden.simulate(done.graph, random_data()).outputs["y"]
    assert share == pytest.approx(100 * np.mean(exact != near), abs=0.01)
    assert share < 50


def test_approximate_without_data_says_that_nothing_was_measured() -> None:
    near = hold(network(with_decay(0.2)), approximate=True, in_integers=untouched, calibration={})
    (said,) = [note for note in near.notes if note.code == "NMC481"]
    assert "cleared in every step; its effect was not measured" in said.message
    assert "--calibrate" in said.help


def test_a_late_reset_without_a_leak_is_one_in_the_same_step() -> None:
    op = plain()
    assert op.fire is not None
    late = network(replace(op, fire=replace(op.fire, when=ResetWhen.NEXT_AFTER_INPUT)))
    held = hold(late, approximate=False, in_integers=untouched, calibration={})
    inputs = random_data()
    expected, got = (golden.simulate(each, inputs).outputs["y"] for each in (late, held))
    assert isinstance(held["lif"].op, Neuron) and held["lif"].op.fire == op.fire
    assert np.array_equal(expected, got)


def test_membrane_has_no_decay_where_nothing_leaks() -> None:
    held = hold(network(with_decay(1.0)), approximate=False, in_integers=untouched, calibration={})["lif"].op
    assert isinstance(held, Neuron) and isinstance(held.membrane, Membrane) and held.membrane.decay is None
