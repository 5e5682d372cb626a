"""Netlists: nets with one driver and one sink, and what they take."""

from __future__ import annotations

from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.netlist import Instance, Netlist, check, size

LINE = Instance("line", "JTL", ("x", "y"))


def test_check_finds_nets_without_one_driver_and_one_sink() -> None:
    assert check(Netlist("one", (LINE,), ("x",), ("y",)), standard()) == []
    fan_out = Netlist("two", (LINE, Instance("other", "JTL", ("x", "z"))), ("x",), ("y",))
    assert check(fan_out, standard()) == [
        "net `x` has 1 drivers and 2 sinks",
        "net `z` has 1 drivers and 0 sinks",
    ]
    assert check(Netlist("x", (Instance("line", "JTM", ("x", "y")),), ("x",), ("y",)), standard())[0] == (
        "`line` is no `JTM` of the library"
    )


def test_size_adds_cells_up() -> None:
    total = size(Netlist("one", (LINE,), ("x",), ("y",)), standard())
    jtl = standard()["JTL"]
    assert (total.cells, total.jj, total.bias) == (1, jtl.jj, jtl.bias / 1000)
    assert total.static_power == jtl.bias / 1000 * 2.6 / 1000
