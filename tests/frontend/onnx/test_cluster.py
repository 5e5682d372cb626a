"""Which tiles are one population, on tiles made by hand, and the program that they are."""

from __future__ import annotations

import numpy as np

from nmc.frontend.onnx.cluster import Cluster, Clusters, program_of, rebased
from nmc.frontend.onnx.step import Given, Kept, StepNet
from nmc.frontend.onnx.tiles import Tiles
from nmc.ir.program import Scalar

ZERO = np.zeros((), np.float32)


def number(tiles: Tiles, value: float) -> int:
    return tiles.const(np.asarray(value, np.float32))


def leaky(tiles: Tiles, v: int, x: int) -> int:
    return tiles.scalar(Scalar.ADD, [tiles.scalar(Scalar.MUL, [v, number(tiles, 0.9)]), x])


def above(tiles: Tiles, h: int) -> int:
    return tiles.scalar(Scalar.ABOVE, [h, number(tiles, 1.0)])


def reset(tiles: Tiles, s: int, h: int) -> int:
    return tiles.scalar(Scalar.WHERE, [s, number(tiles, 0.0), h])


def test_two_layers_of_neurons_are_two_populations() -> None:
    tiles = Tiles()
    x, v, w = tiles.input("x", 0, (3,)), tiles.state((3,)), tiles.state((3,))
    first = leaky(tiles, v, x)
    spikes = above(tiles, first)
    weight = tiles.intern(np.eye(3, dtype=np.float32) + 1)
    second = leaky(tiles, w, tiles.linear(spikes, weight))
    out = above(tiles, second)
    kept = (Kept(v, reset(tiles, spikes, first), ZERO), Kept(w, reset(tiles, out, second), ZERO))
    found = Clusters(StepNet(tiles, {"x": x}, kept, (Given("y", out, ()),))).find()
    assert [each.kept for each in found] == [(kept[0],), (kept[1],)]
    assert [each.leaving for each in found] == [(spikes,), (out,)]
    assert not found[0].members & found[1].members


def test_synaptic_current_that_serves_one_membrane_is_part_of_its_population() -> None:
    tiles = Tiles()
    x, i, v = tiles.input("x", 0, (3,)), tiles.state((3,)), tiles.state((3,))
    current = leaky(tiles, i, x)
    h = leaky(tiles, v, current)
    s = above(tiles, h)
    kept = (Kept(i, current, ZERO), Kept(v, reset(tiles, s, h), ZERO))
    (found,) = Clusters(StepNet(tiles, {"x": x}, kept, (Given("y", s, ()),))).find()
    assert found.kept == kept
    assert {i, v, current, h, s} <= found.members
    assert x not in found.members


def test_what_is_computed_of_spikes_alone_belongs_to_their_population() -> None:
    tiles = Tiles()
    x, v = tiles.input("x", 0, (3,)), tiles.state((3,))
    h = leaky(tiles, v, x)
    s = above(tiles, h)
    doubled = tiles.scalar(Scalar.MUL, [s, number(tiles, 2.0)])
    net = StepNet(tiles, {"x": x}, (Kept(v, reset(tiles, s, h), ZERO),), (Given("y", doubled, ()),))
    (found,) = Clusters(net).find()
    assert found.leaving == (doubled,)
    assert s in found.members


def population() -> tuple[Tiles, Cluster, int, int]:
    """A membrane that is kept before its reset: R = v > 1; h = 0.9 (v - R) + x."""
    tiles = Tiles()
    x, v = tiles.input("x", 0, (3,)), tiles.state((3,))
    after = tiles.scalar(Scalar.SUB, [v, above(tiles, v)])
    h = leaky(tiles, after, x)
    s = above(tiles, h)
    net = StepNet(tiles, {"x": x}, (Kept(v, h, ZERO),), (Given("y", s, ()),))
    (found,) = Clusters(net).find()
    return tiles, found, s, x


def test_program_of_a_population_is_its_step() -> None:
    tiles, cluster, s, x = population()
    (kept,) = cluster.kept
    program = program_of(tiles, {kept.leaf: ("v", kept.next)}, s, {x: "in"})
    assert program.inputs == ("in",)
    assert program.states == ("v",)
    assert sorted(each.op.name for each in program.code) == ["ABOVE", "ABOVE", "ADD", "MUL", "SUB"]


def test_membrane_kept_before_its_reset_is_also_one_kept_after_it() -> None:
    tiles, cluster, s, x = population()
    changed = rebased(tiles, cluster, s)
    assert changed is not None
    (kept,), output = changed
    program = program_of(tiles, {kept.leaf: ("v", kept.next)}, output, {x: "in"})
    assert sorted(each.op.name for each in program.code) == ["ABOVE", "ADD", "MUL", "SUB"]
