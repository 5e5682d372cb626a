"""Outcomes on disk: read back as they were, never half of one, and never those of another study."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmc.diagnostics import CompileError
from nmc.exploration.point import Outcome, Point
from nmc.exploration.store import Store

POINT = Point({"weight_bits": "4"}, 8)
OUTCOME = Outcome(POINT, {"accuracy": 0.1 + 0.2, "steps": 8.0}, {"cores": 3.0})


def test_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    store = Store(tmp_path, "s")
    assert store.find(POINT) is None
    store.keep(OUTCOME)
    assert Store(tmp_path, "s").find(POINT) == OUTCOME
    assert store.find(Point({"weight_bits": "4"}, 9)) is None


def test_store_does_not_give_the_outcomes_of_another_study(tmp_path: Path) -> None:
    Store(tmp_path, "s").keep(OUTCOME)
    assert Store(tmp_path, "t").find(POINT) is None


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_store_measures_again_what_is_damaged(tmp_path: Path, keep: int) -> None:
    store = Store(tmp_path, "s")
    store.keep(OUTCOME)
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(path.read_bytes()[:keep])
    assert store.find(POINT) is None or keep == -1


def test_store_leaves_nothing_but_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CompileError) as refused:
        Store(tmp_path, "s").keep(OUTCOME)
    assert refused.value.findings[0].code == "NMC148"
    assert "no space left" in refused.value.findings[0].message
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
