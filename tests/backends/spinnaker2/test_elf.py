"""Instructions and cycles are counted from the code itself."""

from __future__ import annotations

import pytest

from nmc.backends.spinnaker2.elf import DIVIDE, Elf, code_table, parse

CODE = bytes.fromhex(
    "0138"  # subs r0, #1
    "0168"  # ldr r1, [r0]
    "80fb0123"  # smull r2, r3, r0, r1
    "90fbf1f0"  # sdiv r0, r0, r1
    "70b5"  # push {r4, r5, r6, lr}
    "fdd1"  # bne
    "ffffffff"  # a word of data
)


def test_code_table_counts_instructions_of_both_lengths_and_no_data() -> None:
    elf = Elf(((0, CODE),), {}, (("$t", 0), ("$d", 16)))
    instructions, cycles = code_table(elf)
    assert instructions.tolist()[:10] == [0, 1, 2, 3, 3, 4, 4, 5, 6, 6]
    assert int(cycles[8]) == 1 + 2 + 1 + DIVIDE + 5 + 1


def test_file_that_is_no_elf_is_refused() -> None:
    with pytest.raises(ValueError, match="ELF"):
        parse(b"MZ" + bytes(64))
