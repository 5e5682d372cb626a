"""A many-core from a file."""

from pathlib import Path

import pytest

from nmc.backends.spinnaker2.chip import chip_named
from nmc.backends.spinnaker2.spec import SPINNAKER2_CHIP
from nmc.diagnostics import UsageError


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_file_changes_what_it_says_and_leaves_the_rest(tmp_path: Path) -> None:
    chip = chip_named(written(tmp_path, "sram_bytes = 65536\nchips = [2, 1]\nclock_hz = 300e6\n"))
    assert (chip.name, chip.sram_bytes, chip.chips, chip.clock_hz) == ("mine", 65536, ((0, 0), (1, 0)), 300e6)
    assert chip.quads == SPINNAKER2_CHIP.quads


def test_a_board_is_known_by_name_in_a_file_too(tmp_path: Path) -> None:
    assert len(chip_named(written(tmp_path, 'chips = "board-48"\n')).chips) == 48


def test_dead_pes_of_the_file_and_of_the_setting_add_up(tmp_path: Path) -> None:
    chip = chip_named(written(tmp_path, 'dead = ["1.6.0"]\n'), dead="7.1.3, 1.6.1")
    assert {chip.name_of(pe) for pe in chip.dead} == {"1.6.0", "1.6.1", "7.1.3"}
    assert len(chip.alive) == 149


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("sram_byte = 1\n", "NMC420", "did you mean `sram_bytes`"),
        ("sram_bytes = 0\n", "NMC420", "a whole number above 0"),
        ("sram_bytes = true\n", "NMC420", "a whole number above 0"),
        ("clock_hz = -1\n", "NMC420", "a number above 0"),
        ("quads = [[1, 1], [1, 1]]\n", "NMC420", "each once"),
        ("quads = [[1]]\n", "NMC420", "each once"),
        ("chips = [0, 4]\n", "NMC420", "columns and rows"),
        ("chips = [[0, 0], [2, 0]]\n", "NMC420", "(1, 0)"),
        ("ports = [[1, 1]]\n", "NMC420", "6 links"),
        ("key_bits = 40\n", "NMC420", "32 are possible"),
        ('dead = ["4.3.0"]\n', "NMC421", "no PE `4.3.0`"),
        ("dead = [3]\n", "NMC420", "a list of names"),
        ("chips = [\n", "NMC420", "TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, code: str, words: str) -> None:
    with pytest.raises(UsageError) as fault:
        chip_named(written(tmp_path, text))
    assert fault.value.findings[0].code == code
    assert words in str(fault.value)


def test_all_findings_of_a_file_are_listed(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as fault:
        chip_named(written(tmp_path, "sram_bytes = 0\nhosts = 1\n"))
    assert len(fault.value.findings) == 2


def test_a_name_that_is_neither_known_nor_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean `spinnaker2`"):
        chip_named("spinaker2")


def test_a_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="NMC420"):
        chip_named(str(tmp_path / "absent.toml"))
