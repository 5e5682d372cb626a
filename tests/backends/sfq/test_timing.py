"""Static timing finds the longest way and stops at what keeps a pulse."""

from __future__ import annotations

from nmc.backends.sfq.cells import standard
from nmc.backends.sfq.netlist import Instance, Netlist
from nmc.backends.sfq.timing import analyse


def test_longest_path_ends_where_a_pulse_is_kept() -> None:
    instances = (
        Instance("line", "JTL", ("x", "a")),
        Instance("latch", "DFF", ("a", "clk", "b")),
        Instance("after", "JTL", ("b", "y")),
    )
    timing = analyse(Netlist("n", instances, ("x", "clk"), ("y",)), standard(), margin=1000)
    jtl, dff = standard()["JTL"].delay("a", "q"), standard()["DFF"].delay("clk", "q")
    assert jtl is not None and dff is not None
    assert timing.longest == dff + jtl
    assert timing.path == ("clk", "b", "y")
    assert timing.slot >= timing.longest + 1000 and timing.slot % 1000 == 0
