"""The witness: each PE's ELF in Unicorn, a CPU emulator, driven by the packets that the machine delivered.

Nothing but the PE's own memory is mapped, code read-only: any other access ends the run with the address.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmc.backends.spinnaker2 import blocks, elf, files, machine
from nmc.backends.spinnaker2.files import Placed
from nmc.backends.spinnaker2.image import (
    BASE,
    INBOX,
    OUTBOX,
    W_CELLS,
    W_RECEIVED,
    W_SENT,
    memory_of,
)
from nmc.backends.spinnaker2.program import Array
from nmc.sim.compiled import callback
from nmc.sim.trace import SimResult

TOLERANCE = 0.02
"""Of the machine's instruction counts."""

TICK_VECTOR, PACKETS_VECTOR, IDLE_VECTOR = 16, 17, 1


def missing() -> str | None:
    """What to install so that the emulator can run; None if nothing."""
    if importlib.util.find_spec("unicorn") is None:
        return "no emulator: pip install 'nmc[spinnaker2]'"
    return None


class StrayError(RuntimeError):
    """A program that left its memory, or did not come back."""


# ---- one CPU ------------------------------------------------------------------------------------------------


def count_block(_engine: int, address: int, size: int, table: Any) -> None:
    """On every basic block: its instructions and cycles, and whether it was jumped to.

    The table: instructions, cycles, where the last block ended, half words of code; then both sums by half word.
    """
    half = address >> 1
    after = (address + size) >> 1
    length = table[3]
    table[0] += table[4 + after] - table[4 + half]
    table[1] += table[4 + length + after] - table[4 + length + half]
    if table[2] != address:
        table[1] += elf.TAKEN
    table[2] = address + size


class Cpu:
    """A Cortex-M4F with one PE's memory, in Unicorn. `memory` is that memory, which others may read and write."""

    def __init__(self, program: bytes, sram_bytes: int) -> None:
        package: Any = importlib.import_module("unicorn")
        unicorn, arm_const = package, package.arm_const
        self.unicorn, self.arm = unicorn, arm_const
        parsed = elf.parse(program)
        self.segments = parsed.segments
        self.memory = _pages(sram_bytes)
        self.words = self.memory.view(np.int32)
        self.engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.engine.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        start = self.memory.ctypes.data
        code = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        self.engine.mem_map_ptr(0, BASE, code, start)
        data = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        self.engine.mem_map_ptr(BASE, sram_bytes - BASE, data, start + BASE)
        self.sram_bytes = sram_bytes
        instructions, cycles = elf.code_table(parsed)
        self.table = np.concatenate(([0, 0, 0, len(instructions)], instructions, cycles)).astype(np.uint64)
        self._count_blocks()
        self.load(b"")

    def load(self, image: bytes) -> None:
        """The memory as it is before the first tick: code, and an image."""
        self.memory[:] = memory_of(image, self.sram_bytes)
        for start, content in self.segments:
            self.memory[start : start + len(content)] = np.frombuffer(content, np.uint8)
        self._enable_float()

    def call(self, vector: int) -> int:
        """Run the handler of a vector until it returns; what it returns. Raises StrayError if it does not."""
        arm, engine = self.arm, self.engine
        idle = int(self.words[IDLE_VECTOR]) & ~1
        engine.reg_write(arm.UC_ARM_REG_SP, self.sram_bytes)
        engine.reg_write(arm.UC_ARM_REG_LR, idle | 1)
        try:
            engine.emu_start(int(self.words[vector]) | 1, idle)
        except self.unicorn.UcError as failed:
            at = engine.reg_read(arm.UC_ARM_REG_PC)
            raise StrayError(f"{failed} at {at:#x}") from failed
        if engine.reg_read(arm.UC_ARM_REG_PC) != idle:
            raise StrayError(f"stopped at {engine.reg_read(arm.UC_ARM_REG_PC):#x}")
        return int(engine.reg_read(arm.UC_ARM_REG_R0))

    @property
    def spent(self) -> tuple[int, int]:
        """Instructions and cycles so far."""
        return int(self.table[0]), int(self.table[1])

    def take(self, keys: Array, values: Array) -> None:
        """Packets, as many at a time as the inbox holds."""
        for start in range(0, len(keys), blocks.INBOX):
            part = slice(start, start + blocks.INBOX)
            count = len(keys[part])
            box = self.words[INBOX // 4 : INBOX // 4 + 2 * count].reshape(count, 2)
            box[:, 0], box[:, 1] = keys[part].astype(np.uint32).view(np.int32), values[part]
            self.words[BASE // 4 + W_RECEIVED] = count
            self.call(PACKETS_VECTOR)

    def tick(self) -> tuple[Array, Array]:
        """The handler of the timer until there is no more; the keys and values of what it sends."""
        found: list[Array] = []
        more = 1
        while more:
            more = self.call(TICK_VECTOR)
            sent = int(self.words[BASE // 4 + W_SENT])
            found.append(self.words[OUTBOX // 4 : OUTBOX // 4 + 2 * sent].reshape(sent, 2).copy())
        sent_all = np.concatenate(found)
        return sent_all[:, 0].view(np.uint32).astype(np.int64), sent_all[:, 1].astype(np.int64)

    def _count_blocks(self) -> None:
        """Have every block counted by machine code: a callback into Python takes longer than the block."""
        self.counter = callback(count_block)
        handle = ctypes.c_size_t()
        library: Any = importlib.import_module("unicorn.unicorn_py3.unicorn").uclib
        engine: Any = self.engine
        status = library.uc_hook_add(
            engine._uch,
            ctypes.byref(handle),
            self.unicorn.UC_HOOK_BLOCK,
            ctypes.cast(self.counter.address, ctypes.c_void_p),
            ctypes.c_void_p(self.table.ctypes.data),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        assert status == 0, status

    def _enable_float(self) -> None:
        """What a start-up does on the chip: access to the FPU (CPACR, ARM DDI 0403E, B3.2.20)."""
        self.engine.reg_write(self.arm.UC_ARM_REG_FPEXC, 1 << 30)


def _pages(size: int) -> Array:
    """Zeros that begin on a page."""
    raw = np.zeros(size + 4096, np.uint8)
    start = -raw.ctypes.data % 4096
    return raw[start : start + size]


# ---- all PEs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spent:
    """What a PE spent over a run, beside what the machine says."""

    place: str
    instructions: int
    machine: float

    @property
    def error(self) -> float:
        """By how much the machine is off."""
        return abs(self.machine - self.instructions) / max(1, self.instructions)


def simulate(
    artifact_files: Mapping[str, bytes], inputs: Mapping[str, Array], record: tuple[str, ...]
) -> SimResult:
    """Run every PE's ELF on inputs (steps, samples, *shape); as `machine.simulate`.

    Raises RuntimeError where a program leaves its memory, where memory differs from the machine's at the end of a
    step, and where its instructions and the machine's are more than `TOLERANCE` apart.
    """
    program = files.read(artifact_files)
    chip = machine.Chip(program)
    given, steps, samples = machine.checked(program, inputs)
    kept = machine.recordings(chip, record, steps, samples)
    ran: list[machine.Sample] = []
    spent = np.zeros(len(program.pes))
    expected = np.zeros(len(program.pes))
    cpus: dict[str, Cpu] = {}
    for b in range(samples):
        sample = chip.run({name: values[:, b] for name, values in given.items()}, {}, states=True)
        made: list[tuple[Array, Array, Array]] = []
        for index, pe in enumerate(program.pes):
            cpu = cpus.setdefault(pe.kind.name, Cpu(program.elves[pe.kind.name], program.chip.sram_bytes))
            before = cpu.spent[0]
            made.append(_run(cpu, chip, sample, index, {name: array[:, b] for name, array in kept.items()}))
            spent[index] += cpu.spent[0] - before
            expected[index] += machine.instructions(program, sample, index)
        ran.append(_emitted(sample, made, chip))
    off = [Spent(program.chip.name_of(pe.pe), int(spent[k]), expected[k]) for k, pe in enumerate(program.pes)]
    worst = max(off, key=lambda each: each.error)
    if worst.error > TOLERANCE:
        raise RuntimeError(
            f"PE {worst.place} took {worst.instructions} instructions, the machine says {worst.machine:.0f}: more "
            f"than {TOLERANCE:.0%} apart"
        )
    done = machine.result("unicorn", chip, ran, given, kept, record)
    counts = {"instructions": float(spent.sum()), "instructions off at most": float(worst.error)}
    return SimResult(done.by, done.outputs, done.trace, done.spikes, counts=counts)


def _run(
    cpu: Cpu, chip: machine.Chip, sample: machine.Sample, index: int, kept: Mapping[str, Array]
) -> tuple[Array, Array, Array]:
    """One PE through one sample: (step, key, value) of what it sent."""
    pe = chip.program.pes[index]
    cpu.load(pe.image)
    packets = machine.delivered(chip, sample, index)
    steps = len(sample.first) - 1
    found: list[tuple[Array, Array, Array]] = []
    cells = int(cpu.words[BASE // 4 + W_CELLS]) // 4
    for t in range(steps):
        try:
            cpu.take(*packets.sums(t))
            keys, values = cpu.tick()
            cpu.take(*packets.spikes(t))
        except StrayError as fault:
            place = chip.program.chip.name_of(pe.pe)
            raise RuntimeError(f"PE {place}, step {t}: {fault}") from fault
        found.append((np.full(len(keys), t), keys, values))
        if machine.state_digest(cpu.memory, *pe.states) != sample.states[t, index]:
            place = chip.program.chip.name_of(pe.pe)
            raise RuntimeError(f"PE {place}, step {t}: its sums or neurons are not the machine's")
        if pe.kind["NEURON"]:
            _record(cpu.words[cells:], pe, t, kept)
    step, key, value = (np.concatenate(column) for column in zip(*found, strict=True))
    return step, key, value


def _record(cells: Array, pe: Placed, t: int, kept: Mapping[str, Array]) -> None:
    """Keep the states of a step, of which `cells` are the words."""
    width, size = len(pe.kind.words), len(pe.neurons)
    for at, variable in enumerate(("v", "i")[: 1 + pe.kind["SYNAPSE"]]):
        name = f"{pe.population}.{variable}"
        if name in kept:
            words = cells[at : width * size : width]
            kept[name][t, pe.neurons] = words.view(np.float32) if pe.kind["REAL"] else words


def _emitted(
    sample: machine.Sample, made: list[tuple[Array, Array, Array]], chip: machine.Chip
) -> machine.Sample:
    """A sample with the packets that the ELFs sent, instead of the machine's."""
    columns: list[tuple[Array, Array, Array]] = []
    for index, (step, key, value) in enumerate(made):
        sender = key - chip.program.pes[index].key + chip.wiring.offset[index]
        columns.append((step, sender, value))
    step, sender, value = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(step, kind="stable")
    steps = len(sample.first) - 1
    first = np.searchsorted(step[order], np.arange(steps + 1))
    return machine.Sample(sender[order], value[order], first, sample.sums, sample.counts, sample.states)
