"""The witness: Lava runs the artifact's script, and what it cannot do is said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nmc.backends.loihi import files, machine
from nmc.backends.loihi import lava as witness
from nmc.backends.loihi.program import (
    DELAY,
    REFRACTORY,
    STATE,
    WEIGHT,
    Conv,
    Dense,
    Network,
    Output,
    Rule,
    Sign,
    Source,
    Sparse,
)
from nmc.backends.loihi.spec import PROGRAMMED
from nmc.ir.neuron import Comparison, Reset, SpikeFrom, current_integer, step_integer
from nmc.ir.tensor import Tensor
from tests.backends.loihi.networks import Array, on_one_core, population, recording, recordings

SCRIPT = (Path(files.__file__).parent / "run_lava.py.txt").read_bytes()


def job(network: Network, inputs: dict[str, Array]) -> witness.Job:
    return witness.Job({**files.write(network), witness.SCRIPT: SCRIPT}, inputs)


def assert_lava_is_the_machine(runs: list[tuple[Network, dict[str, Array]]]) -> None:
    """Every spike and every state; the machine is held to Lava's recordings elsewhere."""
    done = witness.run([job(network, inputs) for network, inputs in runs])
    for index, ((network, inputs), got) in enumerate(zip(runs, done, strict=True)):
        expected = machine.run(network, inputs, record=tuple(p.name for p in network.populations))
        for each in network.populations:
            name = each.name
            sent = expected.sent[name]
            np.testing.assert_array_equal(got[f"{name}.spikes"], sent, f"{index}: spikes of {name}")
            np.testing.assert_array_equal(
                got[f"{name}.u"], expected.states[f"{name}.u"], f"{index}: u of {name}"
            )
            np.testing.assert_array_equal(
                got[f"{name}.v"], expected.states[f"{name}.v"], f"{index}: v of {name}"
            )


RULES = [
    Rule(comparison=Comparison.AT_LEAST),
    Rule(minimum=Tensor(-500, STATE)),
    Rule(refractory=Tensor(2, REFRACTORY)),
    Rule(fire=False),
    Rule(Comparison.AT_LEAST, Reset.SUBTRACT, refractory=Tensor([1, 0, 3, 2], REFRACTORY)),
    *[Rule(reset=reset, when=when) for reset, when in PROGRAMMED.resets],
    Rule(every=3, phase=1),
    Rule(fire=False, every=2),
    Rule(refractory=Tensor(2, REFRACTORY), every=2, phase=1),
]


def ruled(rule: Rule, seed: int) -> tuple[Network, dict[str, Array]]:
    """Four neurons with inputs large enough to exceed thresholds several times over."""
    random = np.random.default_rng(seed)
    weight = Tensor(2 * random.integers(-40, 90, (4, 6)), WEIGHT)
    neurons = population(
        "out",
        (4,),
        rule=rule,
        du=random.integers(0, 4096, 4),
        dv=random.integers(0, 4096, 4),
        vth=random.integers(20, 300, 4),
        bias_mant=random.integers(-50, 100, 4),
        bias_exp=2,
        u=random.integers(-1000, 1000, 4),
        v=random.integers(-1000, 1000, 4),
    )
    network = on_one_core(
        (Source("in", (6,)),), (neurons,), (Dense("w", "in", "out", weight, 1, 8, Sign.MIXED),)
    )
    return network, {"in": (random.random((30, 2, 6)) < 0.5).astype(np.uint8)}


def by_the_rules(network: Network, inputs: dict[str, Array]) -> dict[str, Array]:
    """The one population of `ruled`, step by step, by the rules of `nmc.ir.neuron` as they stand there."""
    (p,), (connection,) = network.populations, network.connections
    assert isinstance(connection, Dense)
    rule, arithmetic = p.rule, PROGRAMMED

    def each(tensor: Tensor) -> list[int]:
        return np.broadcast_to(tensor.data, p.shape).astype(int).tolist()

    given = inputs["in"]
    steps, samples = given.shape[:2]
    found = {name: np.zeros((steps, samples, *p.shape), np.int64) for name in ("spikes", "u", "v")}
    for sample in range(samples):
        for k in range(p.size):
            u, v, wait = each(p.initial_u)[k], each(p.initial_v)[k], 0
            bias = each(p.bias_mantissa)[k] << each(p.bias_exponent)[k]
            for t in range(steps):
                if t % rule.every != rule.phase:
                    found["u"][t, sample, k], found["v"][t, sample, k] = u, v
                    found["spikes"][t, sample, k] = 0 if rule.fire else v
                    continue
                sent = given[t - 1, sample] if t else 0 * given[0, sample]
                x = int(connection.weight.data[k].astype(int) @ sent) << connection.exponent
                form, rounding = arithmetic.decay_form, arithmetic.rounding
                u = current_integer(
                    u, x << 6, 4095 - each(p.current_decay)[k], 12, form, rounding, 24, arithmetic.i_overflow
                )
                v, wait, spikes = step_integer(
                    v,
                    wait,
                    u + bias,
                    4096 - each(p.voltage_decay)[k],
                    each(p.threshold)[k] << 6,
                    0,
                    0 if rule.minimum is None else int(rule.minimum.data),
                    each(rule.refractory)[k],
                    12,
                    form,
                    rounding,
                    24,
                    arithmetic.v_overflow,
                    False,
                    rule.comparison,
                    SpikeFrom.NEW,
                    rule.reset if rule.fire else Reset.NONE,
                    rule.when,
                    rule.minimum is not None,
                )
                found["u"][t, sample, k], found["v"][t, sample, k] = u, v
                found["spikes"][t, sample, k] = spikes if rule.fire else v
    return found


def test_programmed_neurons_follow_every_rule(lava: None) -> None:
    runs = [ruled(rule, seed) for seed, rule in enumerate(RULES)]
    done = witness.run([job(network, inputs) for network, inputs in runs])
    fired = 0
    for rule, (network, inputs), got in zip(RULES, runs, done, strict=True):
        for variable, values in by_the_rules(network, inputs).items():
            np.testing.assert_array_equal(got[f"out.{variable}"], values, f"{rule}: {variable}")
        fired += int(got["out.spikes"].any())
    assert fired == len(RULES)


def test_parameters_of_each_neurons_own_are_lavas_arithmetic_on_single_neurons(lava: None) -> None:
    """A population with unlike parameters does what as many stock populations of one neuron do."""
    together, inputs = ruled(Rule(), 7)
    (whole,), (connection,) = together.populations, together.connections
    assert not whole.stock
    assert isinstance(connection, Dense)
    parameters = {
        "du": whole.current_decay,
        "dv": whole.voltage_decay,
        "vth": whole.threshold,
        "bias_mant": whole.bias_mantissa,
        "u": whole.initial_u,
        "v": whole.initial_v,
    }
    singles = tuple(
        population(f"n{k}", (1,), bias_exp=2, **{name: int(t.data[k]) for name, t in parameters.items()})
        for k in range(4)
    )
    assert all(single.stock for single in singles)
    lines = tuple(
        Dense(f"w{k}", "in", f"n{k}", Tensor(connection.weight.data[k : k + 1], WEIGHT), 1, 8, Sign.MIXED)
        for k in range(4)
    )
    apart = on_one_core(together.sources, singles, lines)
    one, many = witness.run([job(together, inputs), job(apart, inputs)])
    for variable in ("spikes", "u", "v"):
        joined = np.concatenate([many[f"n{k}.{variable}"] for k in range(4)], axis=2)
        np.testing.assert_array_equal(one[f"out.{variable}"], joined)


def test_recordings_come_out_again(lava: None, recorded: Path) -> None:
    """The script builds what Lava's own recordings were made with; the middle sample must not disturb the third."""
    names = list(recordings(recorded))
    cases = [recording(recorded, name) for name in names]
    jobs: list[witness.Job] = []
    for network, inputs, _ in cases:
        thrice = {key: np.repeat(values, 3, axis=1) for key, values in inputs.items()}
        for values in thrice.values():
            values[:, 1] = values[::-1, 1]
        jobs.append(job(network, thrice))
    for name, (_, _, expected), got in zip(names, cases, witness.run(jobs), strict=True):
        for variable, values in expected.items():
            for sample in (0, 2):
                np.testing.assert_array_equal(got[variable][:, sample], values[:, 0], f"{name} {variable}")


def test_every_connection_is_the_machines(lava: None) -> None:
    random = np.random.default_rng(3)

    def weights(*shape: int) -> Tensor:
        return Tensor(2 * random.integers(-100, 120, shape), WEIGHT)

    def spikes(*shape: int) -> Array:
        return (random.random((20, 2, *shape)) < 0.4).astype(np.int64)

    lif = {"du": 3000, "dv": 500, "vth": 200}
    image = Conv("c", "in", "out", weights(4, 3, 2, 1), (1, 2), (0, 1), (2, 1), 2, 1, 8, Sign.MIXED)
    line = Conv("c", "in", "out", weights(3, 3, 1, 2), (2, 1), (1, 0), (1, 1), 1, 0, 8, Sign.MIXED)
    heavy = Conv("c", "in", "out", weights(2, 3, 3, 2), (1, 1), (1, 1), (1, 1), 1, 0, 8, Sign.MIXED, 12)
    runs: list[tuple[Network, dict[str, Array]]] = [
        (
            on_one_core((Source("in", (2, 5, 9)),), (population("out", (4, 3, 5), **lif),), (image,)),
            {"in": spikes(2, 5, 9)},
        ),
        (
            on_one_core((Source("in", (2, 9)),), (population("out", (3, 5), **lif),), (line,)),
            {"in": spikes(2, 9)},
        ),
        (
            on_one_core(
                (Source("in", (2, 4, 5), 12, True),), (population("out", (2, 4, 5), **lif),), (heavy,)
            ),
            {"in": random.integers(-2048, 2048, (20, 2, 2, 4, 5))},
        ),
    ]
    post, pre = np.nonzero(random.random((60, 12)) < 0.3)
    delay = Tensor(random.integers(0, 63, post.size), DELAY)
    for exponent, delays, bits in ((0, None, 0), (2, delay, 0), (-3, None, 5), (-3, delay, 5)):
        many = Sparse(
            "s",
            "in",
            "out",
            Tensor(post),
            Tensor(pre),
            weights(post.size),
            exponent,
            8,
            Sign.MIXED,
            bits,
            delays,
        )
        values = random.integers(-16, 16, (70, 2, 3, 4)) if bits else spikes(3, 4)
        source = Source("in", (3, 4), bits, bits > 0)
        runs.append((on_one_core((source,), (population("out", (5, 12), **lif),), (many,)), {"in": values}))
    assert_lava_is_the_machine(runs)


def test_lavas_own_delay_sparse_is_the_machines(lava: None) -> None:
    """Too large for the script to take DelayDense for it."""
    random = np.random.default_rng(4)
    post, pre = np.nonzero(random.random((300, 300)) < 0.01)
    delay = Tensor(random.integers(0, 63, post.size), DELAY)
    weight = Tensor(2 * random.integers(-100, 120, post.size), WEIGHT)
    line = Sparse("s", "in", "out", Tensor(post), Tensor(pre), weight, 0, 8, Sign.MIXED, 0, delay)
    network = on_one_core(
        (Source("in", (300,)),), (population("out", (300,), du=2000, dv=500, vth=50),), (line,)
    )
    assert_lava_is_the_machine([(network, {"in": (random.random((12, 1, 300)) < 0.4).astype(np.int64)})])


def test_pieces_that_are_not_connected_all_run(lava: None) -> None:
    weight = Tensor([[100]], WEIGHT)
    lines = tuple(Dense(f"w{k}", f"in{k}", f"out{k}", weight, 0, 8, Sign.MIXED) for k in range(2))
    ends = tuple(population(f"out{k}", (1,), du=4095, dv=100, vth=60) for k in range(2))
    alone = population("alone", (1,), dv=10, vth=20, bias_mant=100, bias_exp=2)
    network = on_one_core((Source("in0", (1,)), Source("in1", (1,))), (*ends, alone), lines)
    random = np.random.default_rng(5)
    inputs = {f"in{k}": (random.random((15, 2, 1)) < 0.5).astype(np.int64) for k in range(2)}
    assert_lava_is_the_machine([(network, inputs)])


def one_neuron(*outputs: Output) -> Network:
    bare = on_one_core(
        (Source("in", (1,)),),
        (population("out", (1,), vth=5),),
        (Dense("w", "in", "out", Tensor([[20]], WEIGHT), 0, 8, Sign.MIXED),),
    )
    return Network(bare.sources, bare.populations, bare.connections, outputs, bare.cores)


def test_outputs_come_as_late_as_they_say(lava: None) -> None:
    network = one_neuron(Output("now", "out"), Output("late", "out", 2), Output("echo", "in", 1))
    (got,) = witness.run([job(network, {"in": np.array([1, 0, 0, 0, 0, 0]).reshape(6, 1, 1)})])
    assert got["now"].ravel().tolist() == got["out.spikes"].ravel().tolist()
    assert got["late"].ravel().tolist() == [0, 0, *got["now"].ravel().tolist()[:4]]
    assert got["echo"].ravel().tolist() == [0, 1, 0, 0, 0, 0]


def test_the_script_runs_by_itself_as_a_user_would_run_it(lava: None, tmp_path: Path) -> None:
    import subprocess

    for name, content in job(one_neuron(Output("o", "out")), {}).files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "given.npz", anything=np.array([1, 0, 1, 0]).reshape(4, 1))
    python = witness.find_python()
    assert python is not None
    command = [str(python), "run_lava.py", "given.npz", "found.npz"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    with np.load(tmp_path / "found.npz") as found:
        assert sorted(found.files) == ["o", "out.spikes"]
        assert found["o"].shape == (4, 1)
    np.savez(tmp_path / "given.npz", x=np.zeros((4, 1)), y=np.zeros((4, 1)))
    refused = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120)
    assert refused.returncode != 0
    assert "no array for: in" in refused.stderr


def test_a_model_that_fails_ends_the_job_and_says_why(lava: None) -> None:
    broken = SCRIPT.replace(
        b"self.u[:], self.v[:] = self.initial", b"raise RuntimeError('broken on purpose')"
    )
    assert broken != SCRIPT
    bad = witness.Job({**files.write(one_neuron()), witness.SCRIPT: broken}, {"in": np.zeros((3, 1, 1), int)})
    with pytest.raises(witness.LavaError, match="broken on purpose"):
        witness.run([bad], timeout=60)


def test_a_job_that_takes_too_long_is_ended(lava: None) -> None:
    slow = SCRIPT.replace(
        b"def build(network, data):\n", b"def build(network, data):\n    import time; time.sleep(60)\n"
    )
    assert slow != SCRIPT
    job_ = witness.Job({**files.write(one_neuron()), witness.SCRIPT: slow}, {"in": np.zeros((3, 1, 1), int)})
    with pytest.raises(witness.LavaError, match="took too long"):
        witness.run([job_], timeout=3)


# ---- where Lava is ------------------------------------------------------------------------------------------


def test_the_python_that_the_user_names_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMC_LAVA_PYTHON", "/somewhere/python")
    assert witness.find_python() == Path("/somewhere/python")


def test_the_environment_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NMC_CACHE", str(tmp_path / "a"))
    assert witness.environment() == tmp_path / "a" / "lava"
    monkeypatch.delenv("NMC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert witness.environment() == tmp_path / "b" / "nmc" / "lava"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert witness.environment() == tmp_path / ".cache" / "nmc" / "lava"


def test_without_lava_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NMC_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("NMC_CACHE", str(tmp_path))
    monkeypatch.setattr(witness.importlib.util, "find_spec", lambda name: None)
    assert witness.find_python() is None
    assert "nmc tools install lava" in (witness.ready() or "")
    with pytest.raises(witness.LavaError, match="nmc tools install lava"):
        witness.run([job(one_neuron(), {})])


def test_an_environment_that_was_not_finished_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NMC_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("NMC_CACHE", str(tmp_path))
    monkeypatch.setattr(witness.importlib.util, "find_spec", lambda name: None)
    python = tmp_path / "lava" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert witness.find_python() is None
    (tmp_path / "lava" / "ready").touch()
    assert witness.find_python() == python
    assert witness.install(lambda what: None) == python


def test_a_python_without_lava_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMC_LAVA_PYTHON", sys.executable)
    if witness.importlib.util.find_spec("lava") is not None:
        pytest.skip("this Python has Lava")
    with pytest.raises(witness.LavaError, match="could not be started by"):
        witness.run([job(one_neuron(), {"in": np.zeros((3, 1, 1), int)})])


def test_no_jobs_are_no_work(lava: None) -> None:
    assert witness.run([]) == []


def test_install_makes_an_environment_and_tells_pip_what_lava_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []

    def make(place: Path, *, with_pip: bool, clear: bool) -> None:
        assert with_pip
        assert clear
        (place / "bin").mkdir(parents=True)
        (place / "bin" / "python").touch()

    monkeypatch.setenv("NMC_CACHE", str(tmp_path))
    monkeypatch.setattr(witness.venv, "create", make)
    monkeypatch.setattr(witness, "_pip", commands.append)
    said: list[str] = []
    python = witness.install(said.append)
    assert python == tmp_path / "lava" / "bin" / "python"
    assert commands[0][-4:] == ["numpy", "scipy", "networkx", "asteval"]
    assert commands[1][-3:] == ["--no-deps", "--ignore-requires-python", "lava-nc==0.10.0"]
    assert said[-1] == "done"
    assert witness.install(said.append) == python
    assert len(commands) == 2


def test_install_passes_on_what_pip_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(place: Path, *, with_pip: bool, clear: bool) -> None:
        (place / "bin").mkdir(parents=True)
        script = place / "bin" / "python"
        script.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
        script.chmod(0o755)

    monkeypatch.setenv("NMC_CACHE", str(tmp_path))
    monkeypatch.setattr(witness.venv, "create", make)
    with pytest.raises(witness.LavaError, match="no such package"):
        witness.install(lambda what: None)
    assert not (tmp_path / "lava" / "ready").exists()
