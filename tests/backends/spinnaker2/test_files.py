"""Files are read back as they were written, and nothing else is taken for a program."""

from __future__ import annotations

import pytest

from nmc.backends.spinnaker2 import emulator, files
from nmc.diagnostics import CompileError
from tests.backends.loihi import networks
from tests.backends.spinnaker2.running import compiled


@pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))
def test_program_is_read_back_with_its_tables_and_the_same_bytes_again() -> None:
    graph = networks.model("delayed", 0)
    first, second = (compiled(graph).artifact for _ in range(2))
    assert first.files == second.files
    program = files.read(first.files)
    for table in program.tables:
        name = files.table_name(program.chip, table.chip)
        assert files.table_bytes(table) == first.files[f"{name}.bin"]
    assert program.tick_cycles > 0
    assert {pe.population for pe in program.pes} == {each.name for each in program.populations}


@pytest.mark.parametrize(
    "found",
    [{}, {"network.json": b'{"format": "another/1"}'}, {"network.json": b"[]"}, {"network.json": b"{"}],
)
def test_files_that_are_no_program_are_refused(found: dict[str, bytes]) -> None:
    with pytest.raises(CompileError) as refused:
        files.read(found)
    assert refused.value.findings[0].code == "NMC438"
