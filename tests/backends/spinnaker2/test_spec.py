"""SpiNNaker2 as data."""

import pytest

from nmc.backends.spinnaker2.spec import BOARD_48, CHIPS, LIMITS, QUADS, SPINNAKER2_BOARD, SPINNAKER2_CHIP


def test_the_chip_has_what_its_datasheet_says() -> None:
    assert SPINNAKER2_CHIP.pes == LIMITS["pes"].value == 152
    assert len(QUADS) == LIMITS["quads"].value == 38
    assert SPINNAKER2_CHIP.sram_bytes == LIMITS["sram"].value
    assert SPINNAKER2_CHIP.router_entries == LIMITS["router_entries"].value
    assert len(set(BOARD_48)) == LIMITS["board"].value == 48


@pytest.mark.parametrize("name", CHIPS)
def test_indices_of_pes_and_their_places_are_inverse(name: str) -> None:
    chip = CHIPS[name]
    assert [chip.index(*chip.place(pe)) for pe in range(chip.pes)] == list(range(chip.pes))
    assert len({chip.name_of(pe) for pe in range(chip.pes)}) == chip.pes


def test_a_pe_of_several_chips_is_named_with_its_chip() -> None:
    assert SPINNAKER2_BOARD.name_of(0) == "0.0:1.1.0"
    assert SPINNAKER2_CHIP.name_of(0) == "1.1.0"


def test_every_figure_has_a_source() -> None:
    assert all(figure.source and figure.unit for figure in LIMITS.values())
