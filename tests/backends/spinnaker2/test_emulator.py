"""The emulator: nothing but the PE's memory is there, and what differs from the machine ends the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.backends.spinnaker2 import build, emulator, files
from nmc.backends.spinnaker2.emulator import Cpu, StrayError
from nmc.backends.spinnaker2.image import BASE, W_CELLS, W_RING
from nmc.backends.spinnaker2.program import SWITCHES, Kind
from tests.backends.loihi import networks
from tests.backends.spinnaker2.running import compiled

pytestmark = pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))


@pytest.fixture(scope="module")
def program() -> files.Program:
    return files.read(compiled(networks.model("feed_forward", 0)).artifact.files)


@pytest.fixture
def cpu(program: files.Program) -> Cpu:
    pe = program.pes[0]
    made = Cpu(program.elves[pe.kind.name], program.chip.sram_bytes)
    made.load(pe.image)
    return made


@pytest.mark.parametrize("address", [0x20000, 0x20000000, 0xE000E010])
def test_write_outside_the_memory_of_a_pe_is_a_fault(cpu: Cpu, address: int) -> None:
    cpu.words[BASE // 4 + W_CELLS] = np.uint32(address).view(np.int32)
    with pytest.raises(StrayError):
        cpu.tick()


def test_write_into_the_code_is_a_fault(cpu: Cpu) -> None:
    cpu.words[BASE // 4 + W_RING] = 0
    with pytest.raises(StrayError):
        cpu.tick()


def test_tick_stays_within_the_regions_of_the_memory_map(cpu: Cpu, program: files.Program) -> None:
    pe = program.pes[0]
    before = cpu.memory.copy()
    for _ in range(20):
        cpu.take(np.array([each.key for each in program.inputs]), np.array([1]))
        cpu.tick()
    changed = np.flatnonzero(before != cpu.memory)
    stack = program.chip.sram_bytes - 512
    assert ((changed < pe.bytes) | (changed >= stack)).all()
    assert (changed >= BASE).all()


def test_elf_that_computes_something_else_is_named_with_pe_and_step() -> None:
    done = compiled(networks.model("feed_forward", 0))
    found = dict(done.artifact.files)
    kind = files.read(found).pes[0].kind
    at = SWITCHES.index("RESET")
    other = Kind((*kind.values[:at], 3 - kind["RESET"], *kind.values[at + 1 :]))
    elves = build.build([other], sram_bytes=1 << 17)
    found[f"firmware/{kind.name}/pe.elf"] = elves[other.name]
    with pytest.raises(RuntimeError, match=r"PE .*, step \d+"):
        emulator.simulate(found, networks.spikes(done.graph, 0, steps=50, samples=1), ())


def test_replay_script_needs_only_the_emulator_and_finds_a_changed_byte(tmp_path: Path) -> None:
    done = compiled(networks.model("recurrent", 0))
    driver.write(done.artifact, tmp_path / "out")
    script = [sys.executable, "-I", str(tmp_path / "out" / "replay.py")]
    good = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
    assert good.returncode == 0, good.stderr
    document = json.loads((tmp_path / "out" / "network.json").read_text())
    place = tmp_path / "out" / document["pes"][0]["replay"]
    content = bytearray(place.read_bytes())
    content[16] ^= 1  # the checksum of the first tick
    place.write_bytes(bytes(content))
    bad = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
    assert bad.returncode == 1 and "tick 0" in bad.stdout


def test_firmware_has_equal_bytes_wherever_it_is_built(program: files.Program) -> None:
    kind = program.pes[0].kind
    again = build.build([kind], sram_bytes=program.chip.sram_bytes)
    assert again[kind.name] == program.elves[kind.name]
