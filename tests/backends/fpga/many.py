"""Many designs in one Verilator build: each with its own top and test bench under names of its own."""

from __future__ import annotations

import re
from pathlib import Path

from nmc.backends.fpga import files
from nmc.backends.fpga.machine import Run
from nmc.backends.fpga.program import Design
from nmc.backends.fpga.verilator import VERILATOR, program, read_output, run_command
from nmc.ir.tensor import Array


def run_all(designs: list[Design], inputs: list[dict[str, Array]], folder: Path) -> dict[bool, list[Run]]:
    """What Verilator makes of the designs, free and with back-pressure (True)."""
    sources: list[str] = []
    for k, (design, given) in enumerate(zip(designs, inputs, strict=True)):
        for name, content in files.write(design).items():
            if name.startswith("rtl/") and k == 0:
                _put(folder / name, content.decode())
            elif name.startswith("memory/"):
                _put(folder / f"memory/{k}.{name.removeprefix('memory/')}", content.decode())
            elif name in {files.TOP_FILE, files.BENCH_FILE}:
                text = re.sub(r"\bmodule (top|tb)\b", rf"module \1_{k}", content.decode())
                text = text.replace("  top dut (", f"  top_{k} dut (").replace('"memory/', f'"memory/{k}.')
                text = text.replace('"output.txt"', f'"{k}.txt"').replace('"stimulus"', f'"stimulus{k}"')
                text = text.replace("      $finish;\n", "      finished <= 1;\n")
                text = text.replace("end else if (over) begin", "end else if (over && finished == 0) begin")
                text = text.replace("  longint total = 0;", "  longint total = 0;\n  integer finished = 0;")
                _put(folder / f"{name.removesuffix('.sv')}_{k}.sv", text)
                sources.append(f"{name.removesuffix('.sv')}_{k}.sv")
        steps, samples = next(iter(given.values())).shape[:2]
        for source in design.sources:
            values = given[source.name].reshape(steps, samples, -1)
            _put(folder / f"stimulus{k}" / f"{source.instance}.txt", files.stimulus(design, source, values))
    count = range(len(designs))
    done = " && ".join(f"b{k}.finished != 0" for k in count)
    benches = "\n".join(f"  tb_{k} b{k} ();" for k in count)
    _put(
        folder / "all.sv",
        f"`timescale 1ns/1ps\nmodule all;\n{benches}\n  always #5 if ({done}) $finish;\nendmodule\n",
    )
    rtl = sorted(f"rtl/{path.name}" for path in (folder / "rtl").iterdir())
    tool = program(VERILATOR)
    assert tool is not None
    flags = [
        "--binary",
        "--timing",
        "-O1",
        "-j",
        "2",
        "-MAKEFLAGS",
        "CFG_CXXFLAGS_PCH_I=-include",
        "--Mdir",
        "build",
        "-o",
        "all",
    ]
    run_command([tool, *flags, "--top-module", "all", "all.sv", *sources, *rtl], folder)
    found: dict[bool, list[Run]] = {}
    for stall in (False, True):
        run_command(["./build/all", f"+stall={int(stall)}", "+states=1"], folder)
        found[stall] = []
        for k, (design, given) in enumerate(zip(designs, inputs, strict=True)):
            steps, samples = next(iter(given.values())).shape[:2]
            found[stall].append(
                read_output(design, (folder / f"{k}.txt").read_text(), samples=samples, steps=steps)
            )
    return found


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
