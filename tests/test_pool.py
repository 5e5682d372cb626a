"""Work over processes: all of it done once, whoever dies on the way."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from nmc import pool
from nmc.diagnostics import CompileError


def square(number: int) -> int:
    return number * number


def die_once(folder: Path, number: int) -> int:
    mark = folder / str(number)
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die_always(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


@pytest.mark.parametrize("processes", [1, 2])
def test_each_does_everything_once(processes: int) -> None:
    found = list(pool.each(square, range(7), processes=processes))
    assert sorted(found) == [(n, n * n) for n in range(7)]


def test_each_does_again_what_a_process_died_of_once(tmp_path: Path) -> None:
    found = list(pool.each(partial(die_once, tmp_path), range(6), processes=2))
    assert sorted(found) == [(n, n * n) for n in range(6)]
    assert (tmp_path / "3").exists()


def test_each_names_what_kills_every_process_and_no_other() -> None:
    done: list[int] = []
    with pytest.raises(CompileError) as refused:
        done += [item for item, _ in pool.each(die_always, range(5), processes=2)]
    (finding,) = refused.value.findings
    assert finding.code == "NMC341"
    assert "`3`" in finding.message
