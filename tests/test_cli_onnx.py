"""The command line on ONNX files: states, axes of arrays, initial values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from nmc.cli import cli
from tests.toy_files import write_model

Nmc = Callable[..., Result]

INPUTS, NEURONS, STEPS, SAMPLES, LEAK = 3, 4, 6, 5, 0.75
WEIGHT = np.random.default_rng(0).normal(0.5, 0.5, (INPUTS, NEURONS)).astype(np.float32)
X = (np.random.default_rng(1).random((STEPS, SAMPLES, INPUTS)) < 0.5).astype(np.float32)


def _step(x: str, v: str, suffix: str = "") -> list[onnx.NodeProto]:
    """A leaky neuron with a soft reset: `x` and the membrane `v` to `spk` and `v_out`, names with `suffix`."""
    names = ("i", "kept", "h", "over", "spk", "v_out")
    i, kept, h, over, spk, v_out = (f"{name}{suffix}" for name in names)
    return [
        helper.make_node("MatMul", [x, "w"], [i]),
        helper.make_node("Mul", [v, "leak"], [kept]),
        helper.make_node("Add", [kept, i], [h]),
        helper.make_node("Greater", [h, "one"], [over]),
        helper.make_node("Cast", [over], [spk], to=TensorProto.FLOAT),
        helper.make_node("Sub", [h, spk], [v_out]),
    ]


def _save(path: Path, nodes: list[onnx.NodeProto], inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    constants = {"w": WEIGHT, "leak": np.float32(LEAK), "one": np.float32(1), "axis": np.array([0])}
    constants["zero"] = np.zeros((SAMPLES, NEURONS), np.float32)
    constants |= {f"t{t}": np.array(t) for t in range(STEPS)}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_step(path: Path) -> None:
    """One step, its state an input and an output."""
    state = ["batch", NEURONS]
    _save(path, _step("x", "v"), {"x": ["batch", INPUTS], "v": state}, {"spk": state, "v_out": state})


def write_unrolled(path: Path) -> None:
    """All steps, time inside the tensors as their second axis."""
    nodes: list[onnx.NodeProto] = []
    for t in range(STEPS):
        nodes.append(helper.make_node("Gather", ["x", f"t{t}"], [f"x{t}"], axis=1))
        nodes += _step(f"x{t}", f"v_out{t - 1}" if t else "zero", str(t))
    nodes.append(helper.make_node("Concat", [f"u{t}" for t in range(STEPS)], ["spk"], axis=1))
    unsqueezed = [helper.make_node("Unsqueeze", [f"spk{t}", "second"], [f"u{t}"]) for t in range(STEPS)]
    second = helper.make_node("Constant", [], ["second"], value=numpy_helper.from_array(np.array([1])))
    nodes = [second, *nodes[:-1], *unsqueezed, nodes[-1]]
    _save(path, nodes, {"x": [SAMPLES, STEPS, INPUTS]}, {"spk": [SAMPLES, STEPS, NEURONS]})


def write_ann(path: Path) -> None:
    """A function without time."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["i"]), helper.make_node("Relu", ["i"], ["y"])]
    _save(path, nodes, {"x": ["batch", INPUTS]}, {"y": ["batch", NEURONS]})


def reference(v: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Spikes and membranes of the neuron, by its equations."""
    membrane = np.full((SAMPLES, NEURONS), v, np.float32)
    spikes: list[np.ndarray] = []
    membranes: list[np.ndarray] = []
    for x in X:
        membrane = membrane * np.float32(LEAK) + x @ WEIGHT
        spikes.append((membrane > 1).astype(np.float32))
        membrane = membrane - spikes[-1]
        membranes.append(membrane)
    return np.stack(spikes), np.stack(membranes)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Nmc:
    """Run a command in a folder that holds `step.onnx`, `all.onnx`, `ann.onnx` and `net.nir`."""
    monkeypatch.chdir(tmp_path)
    write_step(tmp_path / "step.onnx")
    write_unrolled(tmp_path / "all.onnx")
    write_ann(tmp_path / "ann.onnx")
    write_model(tmp_path / "net.nir")
    np.savez(tmp_path / "steps.npz", x=X, y=reference()[0].sum(axis=0).argmax(axis=1))
    np.savez(tmp_path / "file.npz", x=X.swapaxes(0, 1), y=reference()[0].sum(axis=0).argmax(axis=1))
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


# ---- inspect ----------------------------------------------------------------------------------------------


def test_inspect_lists_what_was_inferred_of_a_step(run: Nmc) -> None:
    shown = done(run("inspect", "step.onnx"))
    assert "NMC070" in shown
    assert "`v_out` is the next `v`" in shown
    assert "states: v_out is over.v and begins with v" in shown
    assert "NMC077" in shown


def test_inspect_gives_states_and_axes_as_a_document(run: Nmc) -> None:
    (state,) = json.loads(done(run("inspect", "step.onnx", "--json")))["states"]
    assert (state["name"], state["initial"]) == ("v_out", "v")
    axes = json.loads(done(run("inspect", "all.onnx", "--json")))["axes"]
    assert axes == {"x": ["samples", "time", str(INPUTS)], "spk": ["samples", "time", str(NEURONS)]}


def test_inspect_takes_named_states(run: Nmc) -> None:
    shown = done(run("inspect", "step.onnx", "--state", "v_out=v"))
    assert "as told" in shown
    assert "time in steps" in shown


def test_inspect_refuses_states_that_the_file_does_not_have(run: Nmc) -> None:
    result = run("inspect", "step.onnx", "--state", "mem_out=mem")
    assert result.exit_code == 1
    assert "NMC05" in result.stderr


def test_inspect_refuses_a_state_that_is_no_pair(run: Nmc) -> None:
    result = run("inspect", "step.onnx", "--state", "v_out")
    assert result.exit_code == 2
    assert "`v_out` is not OUT=IN" in result.stderr


def test_inspect_takes_the_axis_of_time(run: Nmc) -> None:
    shown = done(run("inspect", "all.onnx", "--time-axis", "1"))
    assert "axis 1 is time" in shown
    assert f"in the file: x (samples, time, {INPUTS}), spk (samples, time, {NEURONS})" in shown


@pytest.mark.parametrize("option", [("--state", "a=b"), ("--time-axis", "0"), ("--steps-in-file", "4")])
@pytest.mark.parametrize("command", [("inspect",), ("compile", "--target", "loihi", "-o", "out")])
def test_what_only_onnx_leaves_open_is_refused_for_nir(
    run: Nmc, command: tuple[str, ...], option: tuple[str, str]
) -> None:
    result = run(*command, "net.nir", *option)
    assert result.exit_code == 2
    assert f"`{option[0]}`" in result.stderr
    assert "NMC905" in result.stderr


# ---- simulate ---------------------------------------------------------------------------------------------


def test_simulate_runs_a_step_over_all_steps_and_records_its_state(run: Nmc, tmp_path: Path) -> None:
    command = "simulate step.onnx --input steps.npz --labels y --record v_out --output out.npz --json"
    shown = json.loads(done(run(*command.split())))
    assert shown["accuracy"] == 1.0
    with np.load(tmp_path / "out.npz") as out:
        spikes, membranes = reference()
        np.testing.assert_array_equal(out["spk"], spikes)
        np.testing.assert_allclose(out["v_out"], membranes, atol=1e-6)


def test_simulate_begins_with_the_state_in_the_file(run: Nmc, tmp_path: Path) -> None:
    np.savez(tmp_path / "begun.npz", x=X, v=np.full((SAMPLES, NEURONS), 0.5, np.float32))
    done(run("simulate", "step.onnx", "--input", "begun.npz", "--output", "out.npz"))
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["spk"], reference(0.5)[0])
    assert not np.array_equal(reference(0.5)[0], reference()[0])


@pytest.mark.parametrize(
    ("initial", "why"),
    [
        (np.arange(SAMPLES * NEURONS).reshape(SAMPLES, NEURONS), "differs between samples"),
        (np.zeros(NEURONS + 1), "takes finite numbers"),
        (np.full(NEURONS, np.nan), "takes finite numbers"),
    ],
)
def test_simulate_refuses_a_state_that_cannot_begin_so(
    run: Nmc, tmp_path: Path, initial: np.ndarray, why: str
) -> None:
    np.savez(tmp_path / "begun.npz", x=X, v=initial)
    result = run("simulate", "step.onnx", "--input", "begun.npz")
    assert result.exit_code == 1
    assert "NMC511" in result.stderr
    assert why in result.stderr


def test_simulate_takes_and_gives_arrays_with_the_axes_of_the_file(run: Nmc, tmp_path: Path) -> None:
    command = "simulate all.onnx --input file.npz --labels y --output out.npz --json"
    shown = json.loads(done(run(*command.split())))
    assert (shown["steps"], shown["samples"], shown["accuracy"]) == (STEPS, SAMPLES, 1.0)
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["spk"], reference()[0].swapaxes(0, 1))


def test_simulate_refuses_an_array_with_other_axes(run: Nmc, tmp_path: Path) -> None:
    np.savez(tmp_path / "flat.npz", x=X.reshape(-1))
    result = run("simulate", "all.onnx", "--input", "flat.npz")
    assert result.exit_code == 1
    assert "(samples, time, 3) in the file" in result.stderr


def test_simulate_takes_samples_of_a_model_without_time(run: Nmc, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=X[0])
    done(run("simulate", "ann.onnx", "--input", "in.npz", "--output", "out.npz"))
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_allclose(out["y"], np.maximum(X[0] @ WEIGHT, 0), atol=1e-6)


# ---- compile ----------------------------------------------------------------------------------------------


def test_an_artifact_takes_the_arrays_of_the_models_file(run: Nmc, tmp_path: Path) -> None:
    done(run("compile", "all.onnx", "--target", "loihi", "-o", "out", "--calibrate", "file.npz"))
    command = "simulate out --engine machine --input file.npz --labels y --output out.npz --json"
    shown = json.loads(done(run(*command.split())))
    assert (shown["steps"], shown["samples"]) == (STEPS, SAMPLES)
    with np.load(tmp_path / "out.npz") as out:
        assert out["spk"].shape == (SAMPLES, STEPS, NEURONS)
        assert np.mean(out["spk"] != reference()[0].swapaxes(0, 1)) < 0.05
    assert "golden = machine" in done(run("verify", "out", "--input", "file.npz"))


def test_verify_takes_the_steps_that_a_file_folds(run: Nmc) -> None:
    done(run("compile", "all.onnx", "--target", "loihi", "-o", "out", "--calibrate", "file.npz"))
    given = ("--input", "file.npz", "--steps-in-file", str(STEPS))
    assert "golden = machine" in done(run("verify", "out", *given))


def test_an_artifact_records_the_state_and_refuses_another_beginning(run: Nmc, tmp_path: Path) -> None:
    done(run("compile", "step.onnx", "--target", "loihi", "-o", "out", "--calibrate", "steps.npz"))
    done(run("simulate", "out", "--input", "steps.npz", "--record", "v_out", "--output", "out.npz"))
    with np.load(tmp_path / "out.npz") as out:
        assert out["v_out"].dtype == np.int64
    np.savez(tmp_path / "begun.npz", x=X, v=np.ones(NEURONS))
    result = run("simulate", "out", "--input", "begun.npz")
    assert result.exit_code == 2
    assert "was settled when the artifact was compiled" in result.stderr


def test_an_artifact_has_its_states_settled(run: Nmc) -> None:
    done(run("compile", "step.onnx", "--target", "loihi", "-o", "out"))
    for option in (("--state", "v_out=v"), ("--time-axis", "0")):
        result = run("simulate", "out", "--input", "steps.npz", *option)
        assert result.exit_code == 2
        assert "NMC905" in result.stderr


def test_compile_refuses_a_network_that_is_not_spiking(run: Nmc) -> None:
    result = run("compile", "ann.onnx", "--target", "loihi", "-o", "out")
    assert result.exit_code == 1
    assert "NMC161" in result.stderr
    assert "nmc simulate" in result.stderr
