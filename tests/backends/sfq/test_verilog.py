"""Verilog models, delays and test bench say what the table of cells says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nmc.backends.sfq import files, verilog
from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.netlist import Instance, Netlist
from tests.backends.sfq.networks import compiled, random_network

LINE = Netlist("one", (Instance("line", "JTL", ("x", "y")),), ("x",), ("y",))


def test_delays_name_every_instance_with_its_paths_and_windows() -> None:
    text = verilog.delays(LINE, standard()).decode()
    delay = (standard()["JTL"].delay("a", "q") or 0) / 1000
    assert f'(CELL (CELLTYPE "JTL") (INSTANCE line) (DELAY (ABSOLUTE (IOPATH a q ({delay:.3f}))))' in text
    assert text.count("(") == text.count(")")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not here")
def test_the_folder_runs_as_it_stands(tmp_path: Path) -> None:
    done = compiled(random_network(5))
    for name in ("tb.v", "netlist.v", "cells.v", "stimulus.txt"):
        (tmp_path / name).write_bytes(done.artifact.files[name])
    command = ["iverilog", "-g2012", "-o", "tb.vvp", "tb.v", "netlist.v", "cells.v"]
    subprocess.run(command, cwd=tmp_path, check=True)
    ran = subprocess.run(["vvp", "-N", "tb.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert re.search(r"^P out_y_\d+ \d+\.\d{3}$", ran.stdout, re.MULTILINE)
    assert not re.search(r"^[VE] ", ran.stdout, re.MULTILINE)


def test_example_shows_every_pattern_of_few_inputs() -> None:
    schedule = files.Schedule(1000, 0, (), (), None, {"x": files.Port((2,), ("a", "b"))}, {}, {}, None)
    assert verilog.example_inputs(schedule)["x"].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
