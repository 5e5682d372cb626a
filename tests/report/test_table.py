"""Tables are aligned whatever is in them."""

from __future__ import annotations

import pytest

from nmc.report.table import Align, table, width


def test_table_aligns_words_left_and_numbers_right() -> None:
    text = table(["layer", "neurons", "bits"], [["hidden", "1,024", "8"], ["out", "10", ""]])
    assert text.splitlines() == [
        "layer   neurons  bits",
        "------  -------  ----",
        "hidden    1,024     8",
        "out          10",
    ]


def test_table_keeps_to_the_side_it_is_told() -> None:
    text = table(["a", "b"], [["1", "x"], ["22", "yy"]], align=[Align.LEFT, Align.RIGHT])
    assert text.splitlines()[2:] == ["1    x", "22  yy"]


def test_table_aligns_names_left_even_if_they_are_numbers() -> None:
    assert table(["layer", "n"], [["1", "5"], ["12", "10"]]).splitlines()[2:] == ["1       5", "12     10"]


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("é", 1), ("e\u0301", 1), ("神経", 4), ("", 0), ("naïve", 5)]
)
def test_width_counts_terminal_columns(text: str, columns: int) -> None:
    assert width(text) == columns


def test_table_aligns_wide_and_combining_characters() -> None:
    rows = [["神経", "1"], ["cafe\u0301", "2"], ["fc1", "3"]]
    lines = table(["layer", "n"], rows).splitlines()
    assert {width(line) for line in lines} == {width("layer  n")}


def test_table_shows_control_characters_as_escapes() -> None:
    lines = table(["layer"], [["two\nlines"], ["\x1b[31mred"]]).splitlines()
    assert lines[2:] == ["two\\nlines", "\\x1b[31mred"]


def test_table_without_rows_is_its_head() -> None:
    assert table(["a", "bb"], []).splitlines() == ["a  bb", "-  --"]
