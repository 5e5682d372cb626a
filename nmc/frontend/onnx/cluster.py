"""Which elementwise tiles belong to one population: loops through what is kept, and what only serves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np

from nmc.frontend.onnx.evaluate import evaluate
from nmc.frontend.onnx.step import Kept, StepNet
from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.ir.program import TRUTH, Instruction, Program, Scalar
from nmc.ir.tensor import Array, Tensor

STEPPED = frozenset({Scalar.FLOOR, Scalar.CEIL, Scalar.ROUND, Scalar.TRUNC, Scalar.SIGN}) | TRUTH
"""Operations whose result is one of few numbers: what leaves a spiking neuron."""

AFFINE = frozenset({Scalar.ADD, Scalar.SUB, Scalar.NEG, Scalar.MUL, Scalar.DIV})


@dataclass(frozen=True, slots=True)
class Cluster:
    """One population: its tiles, what it keeps, and the tiles that leave it."""

    members: frozenset[int]
    kept: tuple[Kept, ...]
    leaving: tuple[int, ...]


class Clusters:
    """The populations of a step. Built by `find`."""

    def __init__(self, net: StepNet) -> None:
        self.net = net
        self.tiles: Tiles = net.tiles
        self.cone = self.tiles.cone(net.roots())
        self.by_leaf = {each.leaf: each for each in net.kept}
        self.users: dict[int, list[int]] = {tile: [] for tile in self.cone}
        for tile in self.cone:
            for arg in self.tiles.args[tile]:
                self.users[arg].append(tile)
        self.given = {each.tile for each in net.given}
        self.owner: dict[int, int] = {}
        self.discrete: dict[int, bool] = {}

    def is_scalar(self, tile: int) -> bool:
        """Whether a tile is an operation on each element."""
        return isinstance(self.tiles.ops[tile], Scalar)

    def find(self, *, greedy: frozenset[int] = frozenset()) -> list[Cluster]:
        """The populations, in the order of their first tiles.

        Of a population that has a tile in `greedy`, everything that serves it alone is part; of the others, only
        what is affine.
        """
        self.owner = {}
        groups = self._loops()
        for number, group in enumerate(groups):
            for tile in group:
                self.owner[tile] = number
        self._absorb_functions()
        eager = {self.owner[tile] for tile in greedy if tile in self.owner}
        self._absorb_feeders(eager)
        return [self._cluster(number) for number in range(len(groups))]

    def _loops(self) -> list[set[int]]:
        graph: nx.DiGraph[int] = nx.DiGraph()
        for tile in self.cone:
            if self.is_scalar(tile):
                graph.add_edges_from(
                    (arg, tile) for arg in self.tiles.args[tile] if self.is_scalar(arg) or arg in self.by_leaf
                )
        for each in self.net.kept:
            if each.next == each.leaf or self.is_scalar(each.next):
                graph.add_edge(each.next, each.leaf)
        loops = [
            set(part)
            for part in nx.strongly_connected_components(graph)
            if any(tile in self.by_leaf and (len(part) > 1 or graph.has_edge(tile, tile)) for tile in part)
        ]
        return self._joined(sorted(loops, key=min))

    def _joined(self, loops: list[set[int]]) -> list[set[int]]:
        """Loops that only serve another loop, by a value that is not a spike, are part of its population."""
        home = {tile: number for number, loop in enumerate(loops) for tile in loop}
        parent = list(range(len(loops)))

        def top(number: int) -> int:
            while parent[number] != number:
                number = parent[number]
            return number

        for number in range(len(loops)):
            served = self._served(loops[number], home)
            if served is not None and top(served) != number:
                parent[number] = top(served)
        merged: dict[int, set[int]] = {}
        for number, loop in enumerate(loops):
            merged.setdefault(top(number), set()).update(loop)
        return sorted(merged.values(), key=min)

    def _served(self, loop: set[int], home: Mapping[int, int]) -> int | None:
        found: set[int] = set()
        pending = [(tile, user) for tile in loop for user in self.users.get(tile, ()) if user not in loop]
        seen: set[int] = set()
        while pending:
            tile, user = pending.pop()
            if not self.is_scalar(user) or self.is_discrete(tile) or tile in self.given:
                return None
            if user in home:
                found.add(home[user])
            elif user not in seen:
                seen.add(user)
                further = self.users[user]
                if not further and user not in self.given:
                    continue
                if not further or user in self.given:
                    return None
                pending += [(user, each) for each in further]
        return found.pop() if len(found) == 1 else None

    def is_discrete(self, tile: int) -> bool:
        """Whether a tile takes few values, as spikes do, by what it is made of."""
        pending = [tile]
        while pending:
            each = pending[-1]
            if each in self.discrete:
                pending.pop()
                continue
            op = self.tiles.ops[each]
            if op in STEPPED or op is Kind.CONST:
                self.discrete[each] = True
            elif not isinstance(op, Scalar):
                self.discrete[each] = False
            else:
                unknown = [arg for arg in self.tiles.args[each] if arg not in self.discrete]
                if unknown:
                    pending += unknown
                    continue
                self.discrete[each] = all(self.discrete[arg] for arg in self.tiles.args[each])
        return self.discrete[tile]

    def _absorb_functions(self) -> None:
        """What is computed of one population alone is part of it."""
        for tile in self.cone:
            if tile in self.owner or not self.is_scalar(tile):
                continue
            owners = {
                self.owner.get(arg, -1) for arg in self.tiles.args[tile] if self.tiles.value(arg) is None
            }
            if len(owners) == 1 and (number := owners.pop()) >= 0:
                self.owner[tile] = number

    def _absorb_feeders(self, eager: set[int]) -> None:
        """What only one population uses is part of it."""
        nexts = {each.next for each in self.net.kept}
        for tile in reversed(self.cone):
            if tile in self.owner or not self.is_scalar(tile) or tile in self.given or tile in nexts:
                continue
            owners = {self.owner.get(user, -1) for user in self.users[tile]}
            if len(owners) != 1 or (number := owners.pop()) < 0:
                continue
            if number in eager or self._is_affine(tile):
                self.owner[tile] = number

    def _is_affine(self, tile: int) -> bool:
        op, args = self.tiles.ops[tile], self.tiles.args[tile]
        if op in {Scalar.ADD, Scalar.SUB, Scalar.NEG}:
            return True
        if op is Scalar.MUL:
            return any(self.tiles.value(arg) is not None for arg in args)
        return op is Scalar.DIV and self.tiles.value(args[1]) is not None

    def _cluster(self, number: int) -> Cluster:
        members = frozenset(tile for tile, owner in self.owner.items() if owner == number)
        kept = tuple(each for each in self.net.kept if each.leaf in members)
        inner_nexts = {each.next for each in kept}
        outer_nexts = {each.next for each in self.net.kept if each.leaf not in members}
        leaving: set[int] = set()
        for tile in members:
            used = any(user not in members for user in self.users[tile]) or tile in self.given
            if tile in self.by_leaf:
                if used:
                    leaving.add(self.by_leaf[tile].next)
            elif used or tile in outer_nexts or (not self.users[tile] and tile not in inner_nexts):
                leaving.add(tile)
        return Cluster(members, kept, tuple(sorted(leaving)))


def program_of(
    tiles: Tiles, states: Mapping[int, tuple[str, int]], output: int, inputs: Mapping[int, str]
) -> Program:
    """The scalar program of some elementwise tiles.

    `states` maps a leaf to its name and the tile of its new value, `inputs` a tile from outside to its port.
    """
    shape = tiles.shapes[output]
    needed = tiles.cone([output, *(now for _, now in states.values())], stop=[*states, *inputs])
    numbers: dict[int, int] = {}
    for tile in [*inputs, *states]:
        numbers[tile] = len(numbers)
    constants: list[Tensor] = []
    for tile in needed:
        array = tiles.value(tile)
        if array is not None and tile not in numbers:
            numbers[tile] = len(numbers)
            constants.append(Tensor(_broadcastable(array, shape)))
    code: list[Instruction] = []
    for tile in needed:
        op = tiles.ops[tile]
        if tile in numbers:
            continue
        assert isinstance(op, Scalar)
        numbers[tile] = len(numbers)
        code.append(Instruction(op, tuple(numbers[arg] for arg in tiles.args[tile])))
    return Program(
        tuple(inputs.values()),
        tuple(name for name, _ in states.values()),
        tuple(constants),
        tuple(code),
        numbers[output],
        tuple(numbers[now] for _, now in states.values()),
    )


def _broadcastable(array: Array, shape: tuple[int, ...]) -> Array:
    return np.asarray(array) if array.ndim in {0, len(shape)} else np.broadcast_to(array, shape)


def rebased(tiles: Tiles, cluster: Cluster, output: int) -> tuple[tuple[Kept, ...], int] | None:
    """The states of a population as what the next step makes of them first, and the output in terms of these.

    A membrane that is kept before its reset becomes the membrane after it. None if no state changes.
    """
    if any(each.leaving for each in cluster.kept):
        return None
    replaced: dict[int, int] = {}
    old: list[Kept] = []
    for each in cluster.kept:
        bottle = _bottleneck(tiles, cluster, each.leaf)
        if bottle is None:
            old.append(each)
            continue
        leaf = tiles.state(tiles.shapes[bottle])
        start = {each.leaf: np.broadcast_to(each.initial.astype(np.float64), tiles.shapes[each.leaf])[None]}
        value = evaluate(tiles, [bottle], start, 1)[bottle][0].astype(np.float32)
        uniform = bool((value == value.ravel()[0]).all())
        replaced[bottle] = leaf
        (after,) = tiles.rebuild([bottle], {each.leaf: each.next})
        old.append(Kept(leaf, after, value.ravel()[0].reshape(()) if uniform else value))
    if not replaced:
        return None
    roots = tiles.rebuild([output, *(each.next for each in old)], replaced)
    kept = tuple(Kept(each.leaf, root, each.initial) for each, root in zip(old, roots[1:], strict=True))
    left = {each.leaf for each in cluster.kept} - {each.leaf for each in kept}
    boundary = {arg for tile in cluster.members for arg in tiles.args[tile] if arg not in cluster.members}
    if left & set(tiles.cone(roots, stop=boundary)):
        return None
    return kept, roots[0]


def _bottleneck(tiles: Tiles, cluster: Cluster, leaf: int) -> int | None:
    """The one tile, computed of a state alone, through which the state enters everything else."""
    alone = {leaf}
    for tile in sorted(cluster.members):
        args = [arg for arg in tiles.args[tile] if tiles.value(arg) is None]
        if args and all(arg in alone for arg in args):
            alone.add(tile)
    needed = set(tiles.cone([*(each.next for each in cluster.kept), *cluster.leaving], stop=alone))
    front = {tile for tile in needed if tile in alone}
    if len(front) != 1:
        return None
    tile = front.pop()
    while tile != leaf:
        args = [arg for arg in tiles.args[tile] if tiles.value(arg) is None]
        scaled = tiles.ops[tile] in {Scalar.MUL, Scalar.DIV, Scalar.NEG} and len(args) == 1
        if not scaled:
            break
        tile = args[0]
    return None if tile == leaf else tile
