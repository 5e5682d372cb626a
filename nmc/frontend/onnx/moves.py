"""Nodes and edges as they are added, and the movements between shapes."""

from __future__ import annotations

from itertools import permutations
from math import prod

import numpy as np

from nmc.diagnostics import Loc
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.ir.graph import Edge, Node
from nmc.ir.ops import Flatten, Input, Op, Output, Reshape, Shape, Sparse, Transpose, output_shape
from nmc.ir.tensor import Array, Tensor


class Moves:
    """The nodes and edges of a graph in the making."""

    def __init__(self, tiles: Tiles) -> None:
        self.tiles = tiles
        self.file = ""
        self.nodes: dict[str, Op] = {}
        self.edges: list[Edge] = []
        self.reserved: set[str] = set()
        self.pending: list[tuple[int, str, str, Shape]] = []
        self.shaped_nodes: dict[tuple[str, Shape], str] = {}

    def unique(self, stem: str) -> str:
        """A name that no node has."""
        name, number = stem, 1
        while name in self.nodes or name in self.reserved:
            number += 1
            name = f"{stem}_{number}"
        self.reserved.add(name)
        return name

    def add(self, stem: str, op: Op, *, exact: bool = False) -> str:
        """A new node; `exact` names have been made unique before."""
        name = stem if exact else self.unique(stem)
        self.reserved.discard(name)
        self.nodes[name] = op
        return name

    def connect(self, src: str, dst: str, delay: int, port: str) -> None:
        """A new edge."""
        self.edges.append(Edge(src, dst, delay, port))

    def shaped(self, name: str, shape: Shape) -> str:
        """A node that gives the same elements in C order in a shape."""
        given = output_shape(self.nodes[name])
        if given == shape:
            return name
        key = (name, shape)
        if key not in self.shaped_nodes:
            flat = len(shape) == 1 and len(given) > 1
            op: Op = Flatten(given, 0, len(given) - 1) if flat else Reshape(given, shape)
            self.shaped_nodes[key] = self.add(f"{name}.{'flat' if flat else 'shaped'}", op)
            self.connect(name, self.shaped_nodes[key], 0, "")
        return self.shaped_nodes[key]

    def transposed(self, name: str, axes: tuple[int, ...], stem: str) -> str:
        """A node that gives the axes in another order."""
        node = self.add(stem, Transpose(output_shape(self.nodes[name]), axes))
        self.connect(name, node, 0, "")
        return node

    def _gather(self, tile: int) -> str:
        """A movement: a shape, an order of axes, or elements one by one."""
        args = self.tiles.args[tile]
        number = self.tiles.attrs[tile]
        assert isinstance(number, int)
        index = self.tiles.arrays[number]
        shape = self.tiles.shapes[tile] or (1,)
        stem = self.tiles.names[tile]
        if len(args) == 1:
            source = self.tiles.shapes[args[0]] or (1,)
            if self.tiles.is_arange(index) and index.size == prod(source):
                name = self.add(stem, _reshaping(source, shape))
                self.pending.append((args[0], name, "", source))
                return name
            turn = _transposition(index, source)
            if turn is not None:
                middle, axes = turn
                name = self.add(stem, Transpose(middle, axes))
                self.pending.append((args[0], name, "", middle))
                return self.shaped(name, shape)
        start = 0
        collected = self.add(stem, Reshape(shape, shape))
        for arg in args:
            source = self.tiles.shapes[arg] or (1,)
            mine = np.flatnonzero((index.ravel() >= start) & (index.ravel() < start + prod(source)))
            pre = index.ravel()[mine] - start
            order = np.lexsort((mine, pre))
            zeros = np.zeros(len(mine), np.int64)
            ones = np.ones(len(mine), np.float32)
            sparse = Sparse(
                source, shape, Tensor(pre[order]), Tensor(mine[order]), Tensor(ones), Tensor(zeros)
            )
            part = self.add(f"{stem}.part", sparse)
            self.pending.append((arg, part, "", source))
            self.connect(part, collected, 0, "")
            start += prod(source)
        return collected

    def _ordered(self) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
        """The nodes in an order in which signals flow, inputs first and outputs last."""
        import networkx as nx

        digraph: nx.DiGraph[str] = nx.DiGraph()
        digraph.add_nodes_from(self.nodes)
        digraph.add_edges_from((edge.src, edge.dst) for edge in self.edges if edge.delay == 0)
        rank = {
            name: (0 if isinstance(op, Input) else 2 if isinstance(op, Output) else 1, number)
            for number, (name, op) in enumerate(self.nodes.items())
        }
        if not nx.is_directed_acyclic_graph(digraph):
            loop = [str(edge[0]) for edge in nx.find_cycle(digraph)]
            names = " and ".join(f"`{name}`" for name in loop)
            raise Refusal(
                "NMC059",
                f"{names} need each other within one step, so that as populations they have no order",
                node=loop[0],
                help="let what feeds back come from the step before",
            )
        names = list(nx.lexicographical_topological_sort(digraph, key=rank.__getitem__))
        place = {name: number for number, name in enumerate(names)}
        nodes = tuple(Node(name, self.nodes[name], Loc(self.file, name)) for name in names)
        edges = tuple(sorted(self.edges, key=lambda edge: (place[edge.dst], edge.port)))
        return nodes, edges


def _reshaping(source: Shape, shape: Shape) -> Op:
    if len(shape) == 1 and len(source) > 1:
        return Flatten(source, 0, len(source) - 1)
    return Reshape(source, shape)


def _transposition(index: Array, source: Shape) -> tuple[Shape, tuple[int, ...]] | None:
    """A shape and an order of its axes that give the index's elements in C order; None if there is none."""
    if prod(source) != index.size:
        return None
    if len(source) <= 5:
        elements = np.arange(prod(source)).reshape(source)
        for axes in permutations(range(len(source))):
            if bool((elements.transpose(axes).ravel() == index.ravel()).all()):
                return source, axes
    strides: list[int] = []
    for axis, size in enumerate(index.shape):
        first = index[tuple(1 if k == axis and size > 1 else 0 for k in range(index.ndim))]
        strides.append(int(first - index.ravel()[0]) if size > 1 else 0)
    order = sorted(range(index.ndim), key=lambda axis: -strides[axis])
    middle = tuple(index.shape[axis] for axis in order)
    axes = tuple(order.index(axis) for axis in range(index.ndim))
    elements = np.arange(index.size).reshape(middle).transpose(axes)
    return (middle, axes) if bool((elements == index).all()) else None


__all__ = ["Kind", "Moves"]
