"""Files say the same as the values that they were written from."""

from __future__ import annotations

import pytest

from nmc.backends.sfq import files
from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.files import Port, Schedule, Seen
from nmc.backends.sfq.netlist import check
from tests.backends.sfq.networks import compiled, random_network


def test_cells_are_read_as_they_were_written() -> None:
    names = tuple(sorted(standard()))
    assert files.read_cells(files.write_cells(standard(), names)) == {
        name: standard()[name] for name in names
    }


def test_schedule_is_read_as_it_was_written() -> None:
    schedule = Schedule(
        217_500,
        3,
        ("start_r0",),
        ("slot_0", None),
        None,
        {"x": Port((2, 1), ("a", "b"))},
        {"y": Port((1,), (None,))},
        {"n": Seen((1,), ("c",), (True,))},
        12,
    )
    assert files.read_schedule(files.write_schedule(schedule)) == schedule
    assert schedule.frame == 435_000


@pytest.mark.parametrize("seed", range(3))
def test_netlist_is_read_as_it_was_written(seed: int) -> None:
    content = compiled(random_network(seed)).artifact.files[files.NETLIST]
    netlist = files.read_netlist(content)
    assert check(netlist, standard()) == []
    assert files.write_netlist(netlist, standard()) == content
