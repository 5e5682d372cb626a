"""Laws of a placement: populations are covered once."""

import pytest

from nmc.diagnostics import Loc
from nmc.ir.graph import Slice, replace_graph
from nmc.ir.laws.placement import placement_laws
from tests.nets import FILE, feed_forward

LIF2 = Slice("lif2", 0, 2, 1)


def codes(*slices: Slice) -> list[str]:
    return [finding.code for finding in placement_laws(replace_graph(feed_forward(), placement=slices))]


def test_placement_laws_accept_no_placement_and_a_whole_one() -> None:
    assert codes() == []
    assert codes(Slice("lif1", 0, 3, 0), LIF2) == []
    assert codes(Slice("lif1", 2, 3, 0), Slice("lif1", 0, 2, 1), LIF2) == []


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ((Slice("lif1", 0, 4, 0),), ["NMC130"]),
        ((Slice("lif1", -1, 3, 0),), ["NMC130"]),
        ((Slice("lif1", 0, 3, 0), Slice("lif1", 1, 1, 0)), ["NMC130"]),
        ((Slice("lif1", 0, 3, -1),), ["NMC130"]),
        ((Slice("lif1", 0, 3, 0), Slice("fc1", 0, 3, 0)), ["NMC130"]),
        ((Slice("lif1", 0, 2, 0), Slice("lif1", 1, 3, 1)), ["NMC131"]),
        ((Slice("lif1", 0, 3, 0), Slice("lif1", 0, 3, 1)), ["NMC131"]),
        ((Slice("lif1", 0, 3, 0), Slice("lif1", 1, 2, 1)), ["NMC131"]),
        ((Slice("lif1", 0, 1, 0), Slice("lif1", 2, 3, 0)), ["NMC132"]),
        ((Slice("lif1", 0, 2, 0),), ["NMC132"]),
        ((Slice("lif1", 1, 3, 0),), ["NMC132"]),
        ((), ["NMC132"]),
    ],
)
def test_placement_laws_refuse(slices: tuple[Slice, ...], expected: list[str]) -> None:
    assert codes(*slices, LIF2) == expected


def test_placement_laws_name_the_neurons_at_fault() -> None:
    slices = (Slice("lif1", 0, 2, 0), Slice("lif1", 1, 3, 1), Slice("lif2", 1, 2, 0))
    two, none = placement_laws(replace_graph(feed_forward(), placement=slices))
    assert (two.message, two.loc) == ("neurons 1 to 1 are on two cores", Loc(FILE, "lif1"))
    assert (none.message, none.loc) == ("neurons 0 to 0 are on no core", Loc(FILE, "lif2"))


def test_placement_laws_suggest_the_nearest_population() -> None:
    slices = (Slice("lif1", 0, 3, 0), Slice("lif_2", 0, 2, 0), LIF2)
    (finding,) = placement_laws(replace_graph(feed_forward(), placement=slices))
    assert finding.help == "did you mean `lif2`?"
