"""The firmware, built: C to an ELF for each kind of PE, by the clang that `ziglang` brings from PyPI."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files as package_files
from pathlib import Path

from nmc.backends.spinnaker2.program import Kind
from nmc.diagnostics import CompileError, Loc, error

SOURCES = ("start.c", "update.c", "packets.c")
FIRMWARE = (*SOURCES, "pe.h", "pe.ld")
FLAGS = (
    "-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp", "-O2", "-std=c11", "-ffreestanding",
    "-nostdlib", "-fno-unroll-loops", "-fno-vectorize", "-fno-slp-vectorize", "-ffp-contract=off", "-fno-exceptions",
    "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-ident", "-g0", "-Wl,--build-id=none",
)  # fmt: skip
"""No contraction: a product and a sum are two roundings, as in golden. Loops stay loops, so that costs are linear."""
TIMEOUT = 300
"""Seconds; the first run of a compiler on a machine unpacks what it needs."""


def check() -> None:
    """Raise CompileError (NMC436) if there is no compiler for the firmware, or no emulator to measure it with."""
    needed = {
        "ziglang": "no compiler for the firmware",
        "unicorn": "no emulator to measure the firmware with",
    }
    lacking = [message for package, message in needed.items() if importlib.util.find_spec(package) is None]
    if lacking:
        advice = "pip install 'nmc[spinnaker2]'"
        raise CompileError(error("NMC436", " and ".join(lacking), Loc("<command line>"), help=advice))


def sources() -> dict[str, bytes]:
    """The firmware's files by name."""
    folder = package_files("nmc.backends.spinnaker2") / "firmware"
    return {name: (folder / name).read_bytes() for name in FIRMWARE}


def command(folder: str = ".") -> list[str]:
    """The arguments of `zig cc`, run where the firmware is, for the `kind.h` in `folder`."""
    return ["cc", *FLAGS, f"-I{folder}", "-T", "pe.ld", *SOURCES, "-o", f"{folder}/pe.elf"]


def build(kinds: Sequence[Kind], *, sram_bytes: int) -> Mapping[str, bytes]:
    """The ELF of each kind, by its name. Equal kinds and compilers give equal bytes, wherever they are built.

    Raises CompileError (NMC437) with what the compiler says, as when the code is larger than its room.
    """
    with ThreadPoolExecutor(2) as pool:
        elves = pool.map(partial(_build, sram_bytes=sram_bytes), kinds)
        return {kind.name: elf for kind, elf in zip(kinds, elves, strict=True)}


def _build(kind: Kind, *, sram_bytes: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, content in sources().items():
            (place / name).write_bytes(content)
        (place / "kind.h").write_text(kind.header)
        linker = (place / "pe.ld").read_text().replace("SRAM_BYTES", str(sram_bytes))
        (place / "pe.ld").write_text(linker)
        run = subprocess.run(
            [sys.executable, "-m", "ziglang", *command()],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        if run.returncode != 0:
            message = f"the firmware `{kind.name}` was not built: {run.stderr.strip()[-400:]}"
            raise CompileError(error("NMC437", message, Loc("<firmware>")))
        return (place / "pe.elf").read_bytes()
