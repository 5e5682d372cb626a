"""ONNX's recurrent operators, step by step, as the linear operations and gates that they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nmc.frontend.onnx.elementwise import Builder
from nmc.frontend.onnx.layers import linear
from nmc.frontend.onnx.movement import Args, data, known, optional, shape_of
from nmc.frontend.onnx.read import NodeIn
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.values import TIME, Space, Traced, Value
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array

Term = Value | Array


class Cell:
    """The weights of one direction, gate by gate."""

    def __init__(self, space: Space, node: NodeIn, args: Args, direction: int, gates: int) -> None:
        self.space = space
        self.build = Builder(space)
        self.weight = known(args, 1, "a weight")[direction]
        self.recurrent = known(args, 2, "a weight")[direction]
        self.hidden = self.recurrent.shape[-1]
        bias = optional(args, 3, "a bias")
        self.bias = np.zeros(2 * gates * self.hidden, self.weight.dtype) if bias is None else bias[direction]
        if self.weight.shape[0] != gates * self.hidden or self.bias.size != 2 * gates * self.hidden:
            raise Refusal("NMC061", "the weights of the gates do not match")
        self.gates = gates

    def enter(self, gate: int, x: Value) -> Term:
        """W x + b of a gate."""
        rows = slice(gate * self.hidden, (gate + 1) * self.hidden)
        return self._affine(x, self.weight, rows, self.bias[rows], f"w{gate}")

    def recur(self, gate: int, h: Term) -> Term:
        """R h + b of a gate."""
        rows = slice(gate * self.hidden, (gate + 1) * self.hidden)
        offset = self.bias[self.gates * self.hidden :][rows]
        return self._affine(h, self.recurrent, rows, offset, f"r{gate}")

    def _affine(self, x: Term, weight: Array, rows: slice, offset: Array, how: str) -> Term:
        if not isinstance(x, Value):
            return x @ weight[rows].T + offset
        product = linear(self.space, x, weight, how, lambda w: w[rows])
        array = np.asarray(offset)
        tiles = [self.space.tiles.scaled(tile, np.ones((), np.float32), array) for tile in product.tiles]
        return Value(product.axes, tuple(tiles))

    def total(self, *terms: Term) -> Term:
        """The sum."""
        result = terms[0]
        for term in terms[1:]:
            result = self.build(Scalar.ADD, result, term)
        return result


def _activations(node: NodeIn, direction: int, default: Sequence[str]) -> list[Scalar | None]:
    names = [str(each) for each in node.attrs.get("activations", ())]
    count = len(default)
    mine = (
        names[direction * count : (direction + 1) * count]
        if len(names) > direction * count
        else list(default)
    )
    found: list[Scalar | None] = []
    for name in mine:
        if name.lower() not in {"sigmoid", "tanh", "relu"}:
            raise Refusal("NMC054", f"the activation `{name}` of a recurrent operator")
        found.append({"sigmoid": Scalar.SIGMOID, "tanh": Scalar.TANH}.get(name.lower()))
    return found


def _activate(build: Builder, op: Scalar | None, x: Term) -> Term:
    return build(Scalar.MAX, x, 0.0) if op is None else build(op, x)


Step = Callable[[Cell, Value, list[Term]], list[Term]]


def _gru(node: NodeIn, direction: int) -> Step:
    gate, candidate = _activations(node, direction, ("Sigmoid", "Tanh"))
    before = bool(node.attrs.get("linear_before_reset", 0))

    def step(cell: Cell, x: Value, states: list[Term]) -> list[Term]:
        (h,) = states
        build = cell.build
        z = _activate(build, gate, cell.total(cell.enter(0, x), cell.recur(0, h)))
        r = _activate(build, gate, cell.total(cell.enter(1, x), cell.recur(1, h)))
        inner = build(Scalar.MUL, r, cell.recur(2, h)) if before else cell.recur(2, build(Scalar.MUL, r, h))
        n = _activate(build, candidate, cell.total(cell.enter(2, x), inner))
        kept = build(Scalar.MUL, z, h)
        return [build(Scalar.ADD, build(Scalar.MUL, build(Scalar.SUB, 1.0, z), n), kept)]

    return step


def _lstm(node: NodeIn, direction: int) -> Step:
    gate, candidate, shown = _activations(node, direction, ("Sigmoid", "Tanh", "Tanh"))
    if len(node.inputs) > 7 and node.inputs[7]:
        raise Refusal("NMC054", "an LSTM with peepholes")

    def step(cell: Cell, x: Value, states: list[Term]) -> list[Term]:
        h, c = states
        build = cell.build
        i, o, f = (_activate(build, gate, cell.total(cell.enter(k, x), cell.recur(k, h))) for k in range(3))
        g = _activate(build, candidate, cell.total(cell.enter(3, x), cell.recur(3, h)))
        new = build(Scalar.ADD, build(Scalar.MUL, f, c), build(Scalar.MUL, i, g))
        return [build(Scalar.MUL, o, _activate(build, shown, new)), new]

    return step


def _rnn(node: NodeIn, direction: int) -> Step:
    (activation,) = _activations(node, direction, ("Tanh",))

    def step(cell: Cell, x: Value, states: list[Term]) -> list[Term]:
        return [_activate(cell.build, activation, cell.total(cell.enter(0, x), cell.recur(0, states[0])))]

    return step


def _recurrent(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    x = data(args)
    if not isinstance(x, Value):
        raise Refusal("NMC054", f"a {node.op} of a constant")
    if len(args) > 4 and args[4] is not None:
        raise Refusal("NMC054", f"a {node.op} with sequence lengths", help="export without packed sequences")
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[node.op]
    directions = known(args, 1, "a weight").shape[0]
    names = {"forward": 1, "reverse": 1, "bidirectional": 2}
    direction_name = str(node.attrs.get("direction", "forward"))
    if names.get(direction_name) != 1 or directions != 1 or direction_name == "reverse":
        raise Refusal(
            "NMC059", f"a {node.op} that runs backwards in time", help="use a unidirectional network"
        )
    if node.attrs.get("layout", 0):
        x = space.transpose(x, [1, 0, 2])
    if TIME not in x.axes[0] and shape_of(space, x)[0] != 1:
        raise Refusal("NMC060", f"the first axis of a {node.op} is time")
    maker = {"GRU": _gru, "LSTM": _lstm, "RNN": _rnn}[node.op]
    cell = Cell(space, node, args, 0, gates)
    step = maker(node, 0)
    steps = [Value(x.axes[1:], (tile,)) for tile in x.tiles]
    zero: Term = np.zeros((1, 1), np.float32)
    states: list[Term] = []
    for place in (5, 6)[: 2 if node.op == "LSTM" else 1]:
        given = args[place] if place < len(args) else None
        initial: Term = zero
        if given is not None:
            initial = data(args, place)
            initial = space.without(initial, 0) if isinstance(initial, Value) else initial[0]
            if not isinstance(initial, Value):
                initial = _one_sample(initial)
        states.append(initial)
    outputs: list[Value] = []
    for now in steps:
        states = step(cell, now, states)
        shown = states[0]
        assert isinstance(shown, Value)
        outputs.append(shown)
    first = outputs[0]
    whole = space.make([(TIME,), (), *first.axes], [out.tiles[0] for out in outputs])
    last = [space.with_axis(state, 0) if isinstance(state, Value) else state[None] for state in states]
    if node.attrs.get("layout", 0):
        whole = space.transpose(whole, [2, 0, 1, 3])
        last = [space.transpose(each, [1, 0, 2]) if isinstance(each, Value) else each for each in last]
    return [whole, *last]


def _one_sample(array: Array) -> Array:
    if not bool((array == array[:1]).all()):
        raise Refusal("NMC060", "the initial state differs from sample to sample")
    return array[:1]


HANDLERS: Mapping[str, Callable[[Space, NodeIn, Args], list[Traced]]] = dict.fromkeys(
    ("GRU", "LSTM", "RNN"), _recurrent
)
