"""Programs of PEs as files: the segments of an ELF, its symbols, and what each instruction of its code takes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nmc.backends.spinnaker2.program import Array

LOAD = 1
"""PT_LOAD."""
SYMBOLS, STRINGS = 2, 3
"""SHT_SYMTAB, SHT_STRTAB."""

TAKEN = 2
"""Cycles of a taken branch beyond its own: 1 to 3 to refill the pipeline (ARM 100166, Cortex-M4 TRM r0p1, 3.3.1)."""
DIVIDE = 7
"""Of a division, 2 to 12: in the middle."""


@dataclass(frozen=True, slots=True)
class Elf:
    """What is loaded, (address, bytes) each, and symbols by name; `parts` are ($t or $d, address), ascending."""

    segments: tuple[tuple[int, bytes], ...]
    symbols: Mapping[str, int]
    parts: tuple[tuple[str, int], ...]

    @property
    def end(self) -> int:
        """The address behind the last segment."""
        return max(start + len(content) for start, content in self.segments)


def parse(content: bytes) -> Elf:
    """A 32-bit little-endian ELF. Raises ValueError if it is none."""
    if content[:6] != b"\x7fELF\x01\x01":
        raise ValueError("not a 32-bit little-endian ELF")
    segments_at, sections_at = struct.unpack_from("<II", content, 28)
    segment_size, segments, section_size, sections = struct.unpack_from("<HHHH", content, 42)
    loaded: list[tuple[int, bytes]] = []
    for index in range(segments):
        kind, at, address, _, size = struct.unpack_from("<IIIII", content, segments_at + index * segment_size)
        if kind == LOAD and size:
            loaded.append((address, content[at : at + size]))
    headers = [struct.unpack_from("<10I", content, sections_at + k * section_size) for k in range(sections)]
    symbols: dict[str, int] = {}
    parts: list[tuple[str, int]] = []
    for header in headers:
        if header[1] != SYMBOLS:
            continue
        names = headers[header[6]][4]
        for at in range(header[4], header[4] + header[5], 16):
            name_at, value = struct.unpack_from("<II", content, at)
            name = content[names + name_at : content.index(b"\0", names + name_at)].decode()
            if name[:2] in {"$t", "$d"}:
                parts.append((name[:2], value))
            elif name:
                symbols[name] = value
    return Elf(tuple(loaded), symbols, tuple(sorted(parts, key=lambda part: part[1])))


def code_table(elf: Elf) -> tuple[Array, Array]:
    """Of every half word of the code the instructions and the cycles before it, uint64.

    Cycles are those of the Cortex-M4 (ARM 100166, 3.3.1) with every load alone and without wait states of the memory.
    """
    halves = np.zeros(elf.end // 2 + 2, np.uint16)
    for start, content in elf.segments:
        words = np.frombuffer(content[: len(content) // 2 * 2], "<u2")
        halves[start // 2 : start // 2 + len(words)] = words
    instructions, cycles = np.zeros(len(halves) + 1, np.uint64), np.zeros(len(halves) + 1, np.uint64)
    ends = [at for _, at in elf.parts[1:]] + [elf.end]
    for (kind, start), stop in zip(elf.parts, ends, strict=True):
        at = (start & ~1) // 2
        while kind == "$t" and at < stop // 2:
            wide = halves[at] >> 11 in (0x1D, 0x1E, 0x1F)
            instructions[at + 1] = 1
            cycles[at + 1] = _cycles(int(halves[at]), int(halves[at + 1]), wide=bool(wide))
            at += 1 + int(wide)
    return np.cumsum(instructions, dtype=np.uint64), np.cumsum(cycles, dtype=np.uint64)


def _cycles(first: int, second: int, *, wide: bool) -> int:
    """Of one instruction that takes no branch."""
    if not wide:
        return _cycles_narrow(first)
    if first >> 6 in (0x3A2, 0x3A3, 0x3A4, 0x3A5) and not first & 0x40:  # LDM, STM
        return 1 + (second & 0xFFFF).bit_count()
    if first & 0xFE40 == 0xE840:  # LDRD, STRD
        return 3
    if first & 0xFE50 == 0xF810 or first & 0xFE70 in (0xF810, 0xF830, 0xF850):  # loads
        return 2
    if first & 0xFFD0 == 0xFB90:  # SDIV, UDIV
        return DIVIDE
    return 14 if first & 0xFFB0 == 0xEE80 and second & 0x0F50 == 0x0A00 else 1  # VDIV


def _cycles_narrow(first: int) -> int:
    top = first >> 11
    if top == 0b01001 or (first >> 12 == 0b0101 and first >> 9 & 7 >= 3):  # LDR literal, register
        return 2
    if top in (0b01101, 0b01111, 0b10001, 0b10011):  # LDR, LDRB, LDRH, LDR from the stack
        return 2
    if first & 0xF600 == 0xB400:  # PUSH, POP
        return 1 + (first & 0x1FF).bit_count()
    if first >> 12 == 0b1100:  # LDM, STM
        return 1 + (first & 0xFF).bit_count()
    return 1
