"""The table of cells, and files of users that change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmc.backends.sfq.cells import load, parse, standard
from nmc.diagnostics import CompileError

FASTER = """
[JTL]
title = "a faster line"
inputs = ["a"]
outputs = ["q"]
jj = 2
bias = 300.0
critical = 480.0
transitions = ["0 a -> 0 q@2.25"]
windows = ["a a 3.0"]
source = "a test"
"""


def test_standard_cells_have_the_junctions_of_the_table() -> None:
    assert {name: standard()[name].jj for name in ("JTL", "SPLIT", "MERGE", "DFF")} == {
        "JTL": 2,
        "SPLIT": 3,
        "MERGE": 7,
        "DFF": 7,
    }
    assert 8 <= standard()["TFF"].jj <= 15


def test_every_cell_says_where_its_figures_are_from() -> None:
    assert all(cell.source and cell.title for cell in standard().values())


def test_load_replaces_cells_by_those_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "cells.toml").write_text(FASTER)
    library = load(str(tmp_path / "cells.toml"))
    assert library["JTL"].delay("a", "q") == 2250
    assert library["DFF"] == standard()["DFF"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('inputs = ["a"]', 'inputs = ["x"]', "names `a`"),
        ("jj = 2", "jj = -2", "`jj` is no number"),
        ("q@2.25", "q@2.2500001", "at most three decimals"),
        ("a a 3.0", "a 3.0", "is no window"),
        ("0 a -> 0", "0 a => 0", "is no transition"),
        ('source = "a test"', "", "lacks `source`"),
        ("[JTL]", "[JTL", "is no TOML"),
        ("0 a -> 0 q@2.25", "0 a -> 1 q@2.25", "other ports or transitions"),
    ],
)
def test_load_refuses_what_is_no_cell(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in FASTER
    (tmp_path / "cells.toml").write_text(FASTER.replace(old, new))
    with pytest.raises(CompileError) as refused:
        load(str(tmp_path / "cells.toml"))
    assert refused.value.findings[0].code == "NMC484"
    assert said in str(refused.value)


def test_load_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="cannot be read"):
        load(str(tmp_path / "none.toml"))


def test_parse_reads_states_and_windows() -> None:
    (cell,) = parse(FASTER.replace("0 a -> 0 q@2.25", '0 a -> 1", "1 a -> 0 q@2.25'), "here").values()
    assert cell.states == 2 and cell.storage
    assert cell.window("a", "a") == 3000
