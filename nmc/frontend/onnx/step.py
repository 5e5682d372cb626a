"""One step of a network: what it computes from its inputs and from what it kept of the step before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from nmc.diagnostics import Diagnostic
from nmc.frontend.onnx.evaluate import evaluate
from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.frontend.onnx.values import Axis
from nmc.ir.graph import OverTime
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array


@dataclass(frozen=True, slots=True)
class Kept:
    """A value that one step leaves to the next; `leaf` is what the next step sees, `next` what this one makes.

    `initial` is what step 0 sees: a constant that broadcasts to the leaf. Names are those of the file's state input
    and state output, "" if it has none.
    """

    leaf: int
    next: int
    initial: Array
    entering: str = ""
    leaving: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A result that the file gives, of every step or of all steps together; `axes` are those of the file."""

    name: str
    tile: int
    axes: tuple[Axis, ...]
    over_time: OverTime = OverTime.EVERY


@dataclass(frozen=True, slots=True)
class Buffer:
    """A state of the file that holds values of several steps, slot by slot along an axis of it.

    `slots` are what this step makes of each. Names are those of the file's state input and state output.
    """

    entering: str
    leaving: str
    axis: int
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepNet:
    """A network as one step."""

    tiles: Tiles
    inputs: Mapping[str, int]
    kept: tuple[Kept, ...]
    given: tuple[Given, ...]
    notes: tuple[Diagnostic, ...] = field(default=())
    buffers: tuple[Buffer, ...] = field(default=())

    def roots(self) -> list[int]:
        """Everything that must be computed."""
        slots = [tile for each in self.buffers for tile in each.slots]
        return [*(each.next for each in self.kept), *(each.tile for each in self.given), *slots]

    def with_roots(self, roots: Sequence[int]) -> StepNet:
        """The network with other tiles in the place of its roots, in their order."""
        left = iter(roots)
        return replace(
            self,
            kept=tuple(replace(each, next=next(left)) for each in self.kept),
            given=tuple(replace(each, tile=next(left)) for each in self.given),
            buffers=tuple(
                replace(each, slots=tuple(next(left) for _ in each.slots)) for each in self.buffers
            ),
        )


def simulate(net: StepNet, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the network gives, (steps, samples, *shape), for inputs of that form, in their real type."""
    first = next(iter(inputs.values()))
    steps, samples = first.shape[:2]
    states = {
        kept.leaf: np.broadcast_to(kept.initial.astype(first.dtype), (samples, *net.tiles.shapes[kept.leaf]))
        for kept in net.kept
    }
    columns: dict[str, list[Array]] = {given.name: [] for given in net.given}
    roots = net.roots()
    for t in range(steps):
        leaves = {**states, **{tile: inputs[name][t] for name, tile in net.inputs.items()}}
        values = evaluate(net.tiles, roots, leaves, samples)
        for given in net.given:
            columns[given.name].append(values[given.tile])
        states = {kept.leaf: values[kept.next] for kept in net.kept}
    return {name: np.stack(column) for name, column in columns.items()}


# ---- what was kept, simplified ----------------------------------------------------------------------------


def normalized(net: StepNet) -> StepNet:
    """The network with shift registers as chains, and functions of old values as old values of functions."""
    net = _merged(_biased(_pruned(_without_blocks(net))))
    return _pruned(_merged(_delayed(net)))


def _biased(net: StepNet) -> StepNet:
    """Constants that are added to a linear operation, and to nothing else of it, as its bias."""
    tiles = net.tiles
    cone = tiles.cone(net.roots())
    uses: dict[int, int] = {}
    for tile in cone:
        for arg in tiles.args[tile]:
            uses[arg] = uses.get(arg, 0) + 1
    for root in net.roots():
        uses[root] = uses.get(root, 0) + 1
    replaced: dict[int, int] = {}
    for tile in cone:
        if tiles.ops[tile] not in {Scalar.ADD, Scalar.SUB}:
            continue
        for own, other in ((0, 1), (1, 0)):
            linear, constant = tiles.args[tile][own], tiles.value(tiles.args[tile][other])
            negative = tiles.ops[tile] is Scalar.SUB
            if constant is None or uses[linear] > 1 or (negative and own == 1):
                continue
            if tiles.ops[linear] in {Kind.LINEAR, Kind.CONV}:
                tiles.label = tiles.names[linear]
                folded = tiles.scaled(linear, np.ones((), np.float32), -constant if negative else constant)
                if tiles.ops[folded] in {Kind.LINEAR, Kind.CONV}:
                    replaced[tile] = folded
    return _rebuilt(net, replaced, net.kept) if replaced else net


def _rebuilt(
    net: StepNet,
    replaced: Mapping[int, int],
    kept: Sequence[Kept],
    *,
    entering: Mapping[int, int] | None = None,
) -> StepNet:
    """Other tiles in place of some; `kept` are the new records, their `next` not rebuilt yet."""
    changed = replace(net, kept=tuple(kept))
    return changed.with_roots(net.tiles.rebuild(changed.roots(), replaced, entering=entering))


def _without_blocks(net: StepNet) -> StepNet:
    """States that hold several values in slots, which move from slot to slot, as one state a slot."""
    tiles = net.tiles
    replaced: dict[int, int] = {}
    kept: list[Kept] = []
    buffers: list[Buffer] = []
    for each in net.kept:
        axis = _axis_of_slots(tiles, each)
        if axis is None:
            kept.append(each)
            continue
        shape = tiles.shapes[each.leaf]
        initial = np.moveaxis(np.broadcast_to(each.initial, shape), axis, 0)
        index = np.moveaxis(tiles.arrays[tiles.arange(shape)], axis, 0)
        slots: list[Kept] = []
        for k in range(shape[axis]):
            leaf = tiles.state(index.shape[1:])
            slots.append(Kept(leaf, tiles.gather([each.next], index[k]), np.asarray(initial[k])))
        together = np.moveaxis(np.arange(index.size).reshape(index.shape), 0, axis)
        replaced[each.leaf] = tiles.gather([slot.leaf for slot in slots], together)
        kept += slots
        if each.leaving:
            now = tuple(slot.next for slot in slots)
            buffers.append(Buffer(each.entering, each.leaving, axis, now))
    if not replaced:
        return net
    return _rebuilt(replace(net, buffers=(*net.buffers, *buffers)), replaced, kept)


def _axis_of_slots(tiles: Tiles, kept: Kept) -> int | None:
    """The axis along which each slot takes a whole slot of the step before, or nothing of it."""
    shape = tiles.shapes[kept.leaf]
    args = tiles.args[kept.next]
    if tiles.ops[kept.next] is not Kind.GATHER or kept.leaf not in args or not shape:
        return None
    number = tiles.attrs[kept.next]
    assert isinstance(number, int)
    start = sum(prod(tiles.shapes[arg]) for arg in args[: args.index(kept.leaf)])
    size = prod(shape)
    for axis, count in enumerate(shape):
        taken = np.moveaxis(tiles.arrays[number], axis, 0).reshape(count, -1) - start
        own = np.moveaxis(np.arange(size).reshape(shape), axis, 0).reshape(count, -1)
        slot_of = {int(row[0]): row for row in own}
        inside = (taken >= 0) & (taken < size)
        rows = taken[inside[:, 0]]
        whole = [int(row[0]) in slot_of and np.array_equal(slot_of[int(row[0])], row) for row in rows]
        if bool((inside == inside[:, :1]).all()) and all(whole):
            return axis
    return None


def _pruned(net: StepNet) -> StepNet:
    """Without what is kept but needed by nothing that the file gives, unless the file itself keeps it."""
    tiles = net.tiles
    by_leaf = {each.leaf: each for each in net.kept}
    live = {each.leaf for each in net.kept if each.leaving}
    pending = [each.tile for each in net.given] + [by_leaf[leaf].next for leaf in live]
    pending += [tile for each in net.buffers for tile in each.slots]
    while pending:
        for tile in tiles.cone([pending.pop()]):
            if tile in by_leaf and tile not in live:
                live.add(tile)
                pending.append(by_leaf[tile].next)
    kept = tuple(each for each in net.kept if each.leaf in live)
    return replace(net, kept=kept)


def _merged(net: StepNet) -> StepNet:
    """One record for what is kept twice: the same value from the same start."""
    while True:
        first: dict[tuple[int, bytes], Kept] = {}
        replaced: dict[int, int] = {}
        kept: list[Kept] = []
        for each in net.kept:
            shape = net.tiles.shapes[each.leaf]
            start = np.broadcast_to(each.initial.astype(np.float64), shape).tobytes()
            known = first.setdefault((each.next, start), each)
            if known is not each and not (each.leaving and known.leaving):
                replaced[each.leaf] = known.leaf
            else:
                kept.append(each)
        if not replaced:
            return net
        net = _rebuilt(net, replaced, kept)


def _delayed(net: StepNet) -> StepNet:
    """What is computed of old values alone becomes the old value of what is computed.

    So it is for what enters a linear operation, and for what is kept again for another step.
    """
    tiles = net.tiles
    by_leaf = {each.leaf: each for each in net.kept}
    kept = list(net.kept)
    replaced: dict[int, int] = {}
    entering = [
        arg for tile in tiles.cone(net.roots()) if tiles.ops[tile] in _LAYERS for arg in tiles.args[tile]
    ]
    for arg in dict.fromkeys([*entering, *(each.next for each in net.kept)]):
        if not isinstance(tiles.ops[arg], Scalar):
            continue
        leaves = _old_only(tiles, arg, by_leaf)
        if not leaves or any(by_leaf[leaf].next == arg for leaf in leaves):
            continue
        (now,) = tiles.rebuild([arg], {leaf: by_leaf[leaf].next for leaf in leaves})
        start = _started(tiles, arg, [by_leaf[leaf] for leaf in leaves])
        leaf = tiles.state(tiles.shapes[arg])
        kept.append(Kept(leaf, now, start))
        replaced[arg] = leaf
    if not replaced:
        return net
    kept = [
        Kept(each.leaf, replaced.get(each.next, each.next), each.initial, each.entering, each.leaving)
        for each in kept
    ]
    return _rebuilt(net, {}, kept, entering=replaced)


_LAYERS = frozenset({Kind.LINEAR, Kind.CONV, Kind.POOL, Kind.MATMUL, Kind.GATHER})


def _started(tiles: Tiles, tile: int, kept: Sequence[Kept]) -> Array:
    """A function of old values before step 0."""
    leaves = {
        each.leaf: np.broadcast_to(each.initial.astype(np.float64), tiles.shapes[each.leaf])[None]
        for each in kept
    }
    value = evaluate(tiles, [tile], leaves, 1)[tile][0]
    return value.ravel()[0].reshape(()) if bool((value == value.ravel()[0]).all()) else value


def _old_only(tiles: Tiles, tile: int, by_leaf: Mapping[int, Kept]) -> list[int]:
    """The kept values that a tile is computed of, if of nothing else and element by element."""
    found: list[int] = []
    for each in tiles.cone([tile]):
        if each in by_leaf:
            found.append(each)
        elif not isinstance(tiles.ops[each], Scalar) and tiles.ops[each] is not Kind.CONST:
            return []
    return found
