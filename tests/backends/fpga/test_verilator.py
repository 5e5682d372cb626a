"""The RTL in Verilator and Icarus: every output event in the machine's cycle, every membrane as golden has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nmc.backends.fpga import emit, files, machine, verilator
from nmc.backends.fpga.machine import Run
from nmc.backends.fpga.program import Design
from nmc.sim import golden
from tests.backends.fpga.many import run_all
from tests.backends.fpga.nets import Net, compiled, random_net
from tests.passes import nets

BATCH = 20
"""Networks in one build of Verilator."""


def needs(simulator: verilator.Simulator) -> None:
    missing = verilator.ready(simulator)
    if missing is not None:
        pytest.skip(missing)


def design_of(net: Net) -> Design:
    return files.read(files.write(emit.lower(net.graph, part="ecp5-85")))


def check(net: Net, design: Design, ran: Run, *, stall: bool) -> None:
    names = [layer.name for layer in design.layers]
    verilator.check_cycles(machine.run(design, net.inputs, stall=stall), ran)
    firing = [layer.name for layer in design.layers if layer["FIRE"]]
    record = [*(f"{name}.v" for name in names), *(f"{name}.spikes" for name in firing)]
    expected = golden.simulate(net.graph, net.inputs, record=record)
    for name in names:
        np.testing.assert_array_equal(
            ran.v[name], expected.trace[f"{name}.v"].reshape(ran.v[name].shape), name
        )
    for name in firing:
        np.testing.assert_array_equal(
            ran.fired[name], expected.trace[f"{name}.spikes"].reshape(ran.fired[name].shape), name
        )


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 100, BATCH))
def test_rtl_in_verilator_equals_machine_and_golden(first: int, tmp_path: Path) -> None:
    needs(verilator.VERILATOR)
    found = [random_net(seed) for seed in range(first, first + BATCH)]
    designs = [design_of(net) for net in found]
    for stall, runs in run_all(designs, [net.inputs for net in found], tmp_path).items():
        for net, design, ran in zip(found, designs, runs, strict=True):
            check(net, design, ran, stall=stall)


@pytest.mark.parametrize("seed", range(100, 112))
def test_rtl_in_icarus_equals_machine_and_golden(seed: int, tmp_path: Path) -> None:
    needs(verilator.ICARUS)
    net = random_net(seed)
    design = design_of(net)
    verilator.build(verilator.ICARUS, files.write(design), tmp_path)
    record = tuple(layer.name for layer in design.layers)
    for stall in (False, True):
        ran = verilator.run(verilator.ICARUS, design, tmp_path, net.inputs, record=record, stall=stall)
        check(net, design, ran, stall=stall)


@pytest.mark.parametrize("seed", range(100, 108))
def test_files_pass_every_warning_of_verilator(seed: int, tmp_path: Path) -> None:
    needs(verilator.VERILATOR)
    put(files.write(design_of(random_net(seed))), tmp_path)
    rtl = sorted(f"rtl/{path.name}" for path in (tmp_path / "rtl").iterdir())
    tool = verilator.program(verilator.VERILATOR)
    assert tool is not None
    command = [tool, "--lint-only", "-Wall", "--top-module", "top", *rtl, "top.sv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_files_contain_no_waiver() -> None:
    found = files.write(design_of(random_net(100)))
    assert not [name for name, content in found.items() if b"lint_off" in content]


def test_check_cycles_names_the_first_event_that_differs() -> None:
    net = random_net(100)
    ran = machine.run(design_of(net), net.inputs)
    rows = ran.events[1].rows.copy()
    rows[3, 1] += 1
    late = machine.Run((ran.events[0], machine.Events(rows, ran.events[1].cycles)), {}, {}, {}, {})
    with pytest.raises(RuntimeError, match=r"^sample 1, event 3: "):
        verilator.check_cycles(ran, late)


def test_folder_simulates_by_itself(tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("`iverilog` is not here")
    net = random_net(100)
    put(files.write(design_of(net)), tmp_path)
    subprocess.run(["make", "sim", "TOOL=icarus"], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "output.txt").read_text().splitlines()[-1].startswith("E ")


def put(found: dict[str, bytes], folder: Path) -> None:
    for name, content in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_memory_of_more_than_ten_banks_is_read_whole(tmp_path: Path) -> None:
    needs(verilator.ICARUS)
    rng = np.random.default_rng(0)
    graph = compiled(
        nets.chain(("fc", nets.linear(rng, 128, 200, mean=0.0)), ("lif", nets.lif((128,))), shape=(200,)),
        weight_bits="2",
        lanes="1",
    )
    design = files.read(files.write(emit.lower(graph, part="ice40-up5k")))
    weights = design.layers[0].memory("weights")
    assert weights.depth > 10 * weights.bank
    inputs = {"x": np.zeros((2, 1, 200), np.int64)}
    inputs["x"][:, 0, 150::7] = 1
    net = Net(graph, inputs)
    verilator.build(verilator.ICARUS, files.write(design), tmp_path)
    check(
        net, design, verilator.run(verilator.ICARUS, design, tmp_path, inputs, record=("lif",)), stall=False
    )
