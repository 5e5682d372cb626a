"""Pair STDP: the rule by hand and by the literature's formula, the machine, and the RTL."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.fpga import emit, files, machine, verilator
from nmc.backends.fpga.host import Host
from nmc.backends.fpga.program import Design, Io
from nmc.backends.fpga.serial import SimulatedPort
from nmc.backends.fpga.stdp import Rule, learned, pair_change, plasticity_of, read_rules, table_of
from nmc.diagnostics import CompileError
from nmc.ir.graph import Graph
from nmc.ir.ops import Linear, Output
from nmc.ir.tensor import Tensor
from tests.backends.fpga.nets import compiled
from tests.backends.fpga.test_verilator import needs, put
from tests.passes import nets

RULE = Rule("fc", a_plus=0.25, a_minus=0.125, tau_plus=4.0, tau_minus=6.0)


def taught(weight_bits: str = "8") -> Graph:
    """Two sources whose weights learn, and a teacher for each of two neurons: neuron j spikes when teacher j does, and
    at no other time."""
    ops = {
        "x": nets.chain(("a", nets.lif((2,))), shape=(2,))["x"].op,
        "teacher": nets.chain(("a", nets.lif((2,))), shape=(2,))["x"].op,
        "fc": Linear(Tensor(np.array([[0.0, 0.1], [-0.1, 0.2]])), None),
        "teach": Linear(Tensor(np.eye(2) * 8.0), None),
        "lif": nets.lif((2,), decay=0.0, spikes=nets.fire(6.0)),
        "y": Output((2,)),
    }
    edges: list[tuple[str, str] | tuple[str, str, int]] = [
        ("x", "fc"), ("fc", "lif"), ("teacher", "teach"), ("teach", "lif"), ("lif", "y"),
    ]  # fmt: skip
    return compiled(nets.graph(ops, edges), weight_bits=weight_bits, lanes="2", weights="runtime")


def trains(steps: int, x: dict[int, list[int]], teacher: dict[int, list[int]]) -> dict[str, np.ndarray]:
    """Inputs with spikes of each neuron at the given steps."""
    found: dict[str, np.ndarray] = {}
    for name, given in (("x", x), ("teacher", teacher)):
        found[name] = np.zeros((steps, 1, 2), np.int64)
        for neuron, times in given.items():
            found[name][times, 0, neuron] = 1
    return found


def lowered(graph: Graph, *rules: Rule, io: Io = Io.STREAM) -> Design:
    return files.read(files.write(emit.lower(graph, part="ecp5-85", io=io, rules=rules)))


def mantissas(graph: Graph, name: str) -> np.ndarray:
    op = graph[name].op
    assert isinstance(op, Linear)
    return op.weight.data.astype(np.int64)


# ---- the rule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", range(-12, 13))
def test_pair_changes_a_weight_as_the_formula_says(apart: int) -> None:
    """One spike of the source and one of the neuron, `apart` steps later: A+ exp(-dt / tau+) or -A- exp(dt / tau-)."""
    graph = taught(weight_bits="12")
    op = graph["fc"].op
    assert isinstance(op, Linear) and op.weight.number is not None
    unit = 2.0**op.weight.number.exponent
    rule = Rule("fc", a_plus=40 * unit, a_minus=30 * unit, tau_plus=4.0, tau_minus=6.0)
    pre = 15
    ran = machine.run(lowered(graph, rule), trains(32, {0: [pre]}, {1: [pre + apart]}))
    change = ran.weights["fc"] - mantissas(graph, "fc")
    real = 40 * math.exp(-apart / 4.0) if apart >= 0 else -30 * math.exp(apart / 6.0)
    assert abs(change[1, 0] - real) <= 0.5
    assert change[0, 0] == change[0, 1] == change[1, 1] == 0


def test_nearest_neighbours_pair_on_a_table_worked_by_hand() -> None:
    """A+ = 8, A- = 4 units, time constants so short that pairs 2 steps apart change nothing more: potentiation 8, 3, 1;
    depression by 1 step 2, by 2 steps 1.

    | step | source | neuron | pairs                                     | change |
    | 2    | spike  |        | no neuron before                          | 0      |
    | 3    |        | spike  | source 1 step ago                         | +3     |
    | 4    |        | spike  | source 2 steps ago, the same spike again  | +1     |
    | 5    | spike  |        | neuron 1 step ago, not also the one of 2  | -2     |
    | 6    | spike  | spike  | source now +8, neuron 2 steps ago -1      | +7     |
    | 12   |        | spike  | source 6 steps ago: too long              | 0      |
    | 13   | spike  |        | neuron 1 step ago                         | -2     |
    """
    potentiation, depression = (8, 3, 1, 0), (4, 2, 1, 0)
    assert table_of(8.0, 1.0, 1.0) == potentiation[:3]
    assert table_of(4.0, 1.4, 1.0) == depression[:3]
    graph = taught(weight_bits="8")
    op = graph["fc"].op
    assert isinstance(op, Linear) and op.weight.number is not None
    unit = 2.0**op.weight.number.exponent
    rule = Rule("fc", a_plus=8 * unit, a_minus=4 * unit, tau_plus=1.0, tau_minus=1.4)
    spikes = ([2, 5, 6, 13], [3, 4, 6, 12])
    design = lowered(graph, rule)
    after = [
        machine.run(design, trains(steps, {0: [s for s in spikes[0] if s < steps]},
                                   {0: [s for s in spikes[1] if s < steps]})).weights["fc"][0, 0]
        for steps in range(1, 16)
    ]  # fmt: skip
    start = mantissas(graph, "fc")[0, 0]
    expected = {2: 0, 3: 3, 4: 1, 5: -2, 6: 7, 12: 0, 13: -2}
    changes = np.diff([start, *after])
    assert changes.tolist() == [expected.get(step, 0) for step in range(15)]


def test_change_and_bounds_at_their_edges() -> None:
    up, down = np.array([8, 3, 0]), np.array([4, 2, 0])
    cases = [((0, 1, 2), 8), ((1, 1, 1), 3), ((2, 1, 2), 0), ((0, 0, 1), -2), ((0, 1, 1), 6), ((1, 0, 1), 0)]
    assert [pair_change(*case, up, down) for case, _ in cases] == [change for _, change in cases]
    bounded = [(120, 8, 127), (127, 1, 127), (-3, -8, -5), (100, 0, 100), (-100, 0, -100), (-100, 1, -5)]
    assert [learned(w, change, -5, 127) for w, change, _ in bounded] == [w for *_, w in bounded]


# ---- the RTL --------------------------------------------------------------------------------------------------


def learning(seed: int, *, steps: int, samples: int = 2) -> tuple[Design, dict[str, np.ndarray]]:
    """Two layers that learn, the second also with a recurrent connection that does not."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, 3)
    ops = {
        "x": nets.chain(("a", nets.lif((int(sizes[0]),))), shape=(int(sizes[0]),))["x"].op,
        "fc1": nets.linear(rng, int(sizes[1]), int(sizes[0]), mean=0.3),
        "lif1": nets.lif((int(sizes[1]),)),
        "fc2": nets.linear(rng, int(sizes[2]), int(sizes[1]), mean=0.3),
        "lif2": nets.lif((int(sizes[2]),)),
        "rec": nets.linear(rng, int(sizes[2]), int(sizes[2])),
        "y": Output((int(sizes[2]),)),
    }
    edges = [
        ("x", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "lif2"), ("lif2", "rec", 1), ("rec", "lif2"),
        ("lif2", "y"),
    ]  # fmt: skip
    bits, lanes = int(rng.integers(5, 17)), int(rng.choice([1, 2, 3, 5, 8, 12]))
    graph = compiled(nets.graph(ops, edges), weight_bits=str(bits), lanes=str(lanes), weights="runtime")
    rules: list[Rule] = []
    for name, maximum in (("fc1", 1.0), ("fc2", math.inf)):
        (up, down), (tau_up, tau_down) = rng.uniform(0.1, 0.3, 2), rng.uniform(1, 8, 2)
        rules.append(Rule(name, float(up), float(down), float(tau_up), float(tau_down), -0.2, maximum))
    rates = rng.uniform(0.05, 0.6, sizes[0])
    spikes = (rng.random((steps, samples, sizes[0])) < rates).astype(np.int64)
    return lowered(graph, *rules), {"x": spikes}


def compare(
    simulator: verilator.Simulator, design: Design, inputs: dict[str, np.ndarray], folder: Path
) -> None:
    verilator.build(simulator, files.write(design), folder)
    record = tuple(layer.name for layer in design.layers)
    for stall in (False, True):
        expected = machine.run(design, inputs, record=record, stall=stall)
        got = verilator.run(simulator, design, folder, inputs, record=record, stall=stall)
        verilator.check_cycles(expected, got)
        verilator.check_weights(expected, got)
        for name, values in expected.v.items():
            np.testing.assert_array_equal(got.v[name], values)


@pytest.mark.parametrize("seed", range(8))
def test_rtl_in_icarus_learns_what_the_machine_learns(seed: int, tmp_path: Path) -> None:
    needs(verilator.ICARUS)
    design, inputs = learning(seed, steps=40)
    compare(verilator.ICARUS, design, inputs, tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_files_of_what_learns_pass_every_warning_of_verilator(seed: int, tmp_path: Path) -> None:
    needs(verilator.VERILATOR)
    design, _ = learning(seed, steps=1)
    put(files.write(design), tmp_path)
    tool = verilator.program(verilator.VERILATOR)
    assert tool is not None
    rtl = sorted(f"rtl/{path.name}" for path in (tmp_path / "rtl").iterdir())
    command = [tool, "--lint-only", "-Wall", "--top-module", "top", *rtl, "top.sv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_rtl_in_verilator_has_the_weights_of_the_machine_after_1000_steps(tmp_path: Path) -> None:
    needs(verilator.VERILATOR)
    design, inputs = learning(3, steps=1000, samples=1)
    weights = machine.run(design, inputs).weights
    first = machine.run(design, {"x": inputs["x"][:1]}).weights
    assert all((weights[name] != first[name]).mean() > 0.5 for name in ("fc1", "fc2"))
    compare(verilator.VERILATOR, design, inputs, tmp_path)


def test_learned_weights_are_read_over_the_serial_line(tmp_path: Path) -> None:
    needs(verilator.ICARUS)
    design = lowered(taught(), RULE, io=Io.UART)
    put(files.write(design), tmp_path)
    inputs = trains(10, {0: [1, 5], 1: [3, 4]}, {0: [2, 7], 1: [4]})
    expected = machine.run(design, inputs)
    with SimulatedPort(tmp_path, verilator.ICARUS) as port:
        host = Host(port, tmp_path)
        found = host.run(inputs)["y"]
        np.testing.assert_array_equal(host.weights("fc"), expected.weights["fc"])
        host.reset()
        np.testing.assert_array_equal(host.weights("fc"), expected.weights["fc"])
    np.testing.assert_array_equal(found, machine.result("", design, expected, inputs, ()).outputs["y"])


# ---- what is asked for ------------------------------------------------------------------------------------------

TOML = "[fc]\na_plus = 0.25\na_minus = 0.125\ntau_plus = 4\ntau_minus = 6.0\n"


def rules_in(tmp_path: Path, text: str) -> str:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return str(path)


def test_rules_are_read_from_toml(tmp_path: Path) -> None:
    assert read_rules(rules_in(tmp_path, TOML)) == (RULE,)
    (bounded,) = read_rules(rules_in(tmp_path, TOML + "minimum = 0\nmaximum = 1.5\n"))
    assert (bounded.minimum, bounded.maximum) == (0.0, 1.5)
    assert read_rules("") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fc = 3", "`fc` is no table"),
        ("[fc\n", "no rules of learning"),
        (TOML.replace("a_plus", "aplus"), "`aplus` is no number of a rule"),
        (TOML.replace("a_plus = 0.25\n", ""), "the rule has no `a_plus`"),
        (TOML.replace("4", "0"), "`tau_plus` is 0, and must be above 0"),
        (TOML.replace("0.25", "-1"), "`a_plus` is -1, and must not be below 0"),
        (TOML.replace("0.25", "'a'"), "`a_plus` is no number"),
        (TOML + "minimum = 2\nmaximum = 1\n", "`minimum` 2 is not below 1"),
    ],
)
def test_rules_that_are_none_are_refused_at_their_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as refused:
        read_rules(rules_in(tmp_path, text))
    assert {finding.code for finding in refused.value.findings} == {"NMC460"}
    assert any(message in finding.message for finding in refused.value.findings)
    assert refused.value.findings[0].loc.file.endswith("rules.toml")


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (Rule("fd", 0.2, 0.2, 4.0, 4.0), "NMC461"),
        (Rule("fc", 1e-6, 1e-6, 4.0, 4.0), "NMC462"),
        (Rule("fc", 1e6, 0.2, 4.0, 4.0), "NMC462"),
        (Rule("fc", 0.2, 0.2, 1e4, 4.0), "NMC463"),
        (Rule("fc", 0.2, 0.2, 4.0, 4.0, 1e-9, 2e-9), "NMC462"),
    ],
)
def test_rules_that_the_weights_cannot_follow_are_refused(rule: Rule, code: str) -> None:
    with pytest.raises(CompileError) as refused:
        plasticity_of(taught(), rule)
    assert [finding.code for finding in refused.value.findings] == [code]


def test_second_rule_into_one_population_is_refused() -> None:
    with pytest.raises(CompileError, match="learns from another connection already"):
        lowered(taught(), RULE, Rule("teach", 0.2, 0.2, 4.0, 4.0))


def test_compile_simulate_and_verify_know_what_learns(tmp_path: Path) -> None:
    needs(verilator.ICARUS)
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 9, 6)), ("lif", nets.lif((9,))), shape=(6,))
    settings = {"stdp": rules_in(tmp_path, TOML), "lanes": "3"}
    done = driver.compile(graph, target="fpga", request=Request(settings=settings))
    driver.write(done.artifact, tmp_path / "out")
    inputs = {"x": (rng.random((30, 2, 6)) < 0.4).astype(np.int64)}
    result = driver.simulate(tmp_path / "out", inputs, engine="machine")
    before = mantissas(done.graph, "fc")
    assert result.weights["fc"].shape == before.shape and (result.weights["fc"] != before).any()
    answer = driver.verify(tmp_path / "out", inputs, engines=["icarus"])
    assert answer.agree and "lif.v" in answer.compared["icarus"]
    assert "NMC464" in {note.code for note in answer.notes}
