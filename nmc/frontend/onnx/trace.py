"""Runs a file once over tiles instead of numbers: every loop is unrolled, every shape becomes a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from nmc.diagnostics import nearest
from nmc.frontend.onnx import custom, einsum, elementwise, fold, layers, movement, recurrent
from nmc.frontend.onnx.read import NEAR_LIMIT, GraphIn, ModelIn, NodeIn, RefAttr
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.tiles import Tiles
from nmc.frontend.onnx.values import TIME, Axis, Noise, Space, Traced, Value

HANDLERS = {
    **movement.HANDLERS,
    **elementwise.HANDLERS,
    **layers.HANDLERS,
    **einsum.HANDLERS,
    **recurrent.HANDLERS,
}
DEEPEST = 32
"""Nesting of functions and loops."""
LONGEST = 100_000
"""Iterations of a loop, and operators that a file may take in all, times a hundred."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A reading of a file: the axes of each input, the number of samples and of steps (0: none).

    `held`: the inputs have no time, and enter in each step.
    """

    axes: Mapping[str, tuple[Axis, ...]]
    batch: int
    steps: int
    held: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """A file as tiles: the value of each output, and random operators that turned out not to matter."""

    tiles: Tiles
    space: Space
    outputs: Mapping[str, Traced]
    plan: Plan
    silenced: tuple[str, ...]


class Scope:
    """Names of values; a subgraph sees the names around it."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.outer = outer
        self.values: dict[str, Traced] = {}

    def get(self, name: str) -> Traced:
        """The value of a name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        raise Refusal(
            "NMC053",
            f"`{name}` is used but nothing makes it",
            help="the file is damaged; export the model again",
        )


class Tracer:
    """Interprets the nodes of a file in order."""

    def __init__(self, model: ModelIn, plan: Plan) -> None:
        self.model = model
        self.plan = plan
        self.tiles = Tiles()
        self.space = Space(
            self.tiles, plan.batch, sequence=plan.steps > 0, held=plan.steps if plan.held else 0
        )
        self.silenced: list[str] = []
        self.progress = 0
        self.depth = 0

    def run(self) -> Trace:
        """Trace the whole file. Raises Refusal."""
        scope = Scope()
        for port in self.model.graph.inputs:
            axes = self.plan.axes[port.name]
            shape = tuple(token for axis in axes for token in axis if isinstance(token, int))
            steps = self.plan.steps if any(TIME in axis for axis in axes) else 1
            if steps > LONGEST or prod(shape) > NEAR_LIMIT:
                raise Refusal("NMC063", f"input `{port.name}` has {steps} steps of shape {list(shape)}")
            self.tiles.label = port.name
            tiles = [self.tiles.input(port.name, t, shape) for t in range(steps)]
            scope.values[port.name] = self.space.make(axes, tiles, "f")
        self.graph(self.model.graph, scope)
        outputs: dict[str, Traced] = {}
        for port in self.model.graph.outputs:
            outputs[port.name] = scope.get(port.name)
        return Trace(self.tiles, self.space, outputs, self.plan, tuple(self.silenced))

    def graph(self, graph: GraphIn, scope: Scope) -> None:
        """Trace the nodes of a graph whose inputs are in the scope."""
        scope.values.update(graph.constants)
        self.nodes(graph.nodes, scope, {})

    def nodes(self, nodes: Sequence[NodeIn], scope: Scope, given: Mapping[str, object]) -> None:
        """Trace nodes; `given` are the attributes of the function they belong to."""
        for node in nodes:
            self.progress += 1
            if self.progress > 100 * LONGEST:
                raise Refusal("NMC063", "the file takes too many operators", node=node.title)
            try:
                self.node(_bound(node, given), scope)
            except Refusal as refusal:
                raise refusal.at(node.title, self.progress) from None
            except RecursionError:
                raise
            except (
                ValueError,
                IndexError,
                TypeError,
                KeyError,
                AttributeError,
                OverflowError,
                ZeroDivisionError,
                MemoryError,
                AssertionError,
                np.exceptions.AxisError,
            ) as fault:
                raise Refusal(
                    "NMC061",
                    f"`{node.op}` cannot be applied to its arguments",
                    node=node.title,
                    help=f"the file is damaged, or the use of the operator is unknown: {str(fault)[:120]}",
                    progress=self.progress,
                ) from fault

    def node(self, node: NodeIn, scope: Scope) -> None:
        """Trace one node."""
        args = [scope.get(name) if name else None for name in node.inputs]
        self.tiles.label = label(node)
        results = self.apply(node, args, scope)
        for name, result in zip(node.outputs, results, strict=False):
            if name:
                scope.values[name] = result if isinstance(result, Value | Noise) else np.asarray(result)
            if isinstance(result, Value) and self.tiles.names[result.tiles[0]].isdecimal():
                self.rename(result.tiles)
        for name in node.outputs[len(results) :]:
            if name:
                raise Refusal("NMC054", f"output `{name}` of `{node.op}` has no meaning here")

    def rename(self, tiles: Sequence[int]) -> None:
        """The present name for tiles that exporters have numbered: another spelling of the same value."""
        for tile in tiles:
            if self.tiles.names[tile].isdecimal():
                self.tiles.names[tile] = self.tiles.label

    def apply(self, node: NodeIn, args: Sequence[Traced | None], scope: Scope) -> list[Traced]:
        """What a node makes of its arguments."""
        function = self.model.functions.get((node.domain, node.op))
        if function is not None:
            return self.call(node, args)
        if node.domain in {"", "ai.onnx.ml"} or (node.domain, node.op) not in custom.HANDLERS:
            if node.domain not in {"", "com.microsoft"}:
                raise self.unknown(node)
        else:
            return custom.HANDLERS[node.domain, node.op](self.space, node, args)
        match node.op:
            case "Loop":
                return self.loop(node, args, scope)
            case "Scan":
                return self.scan(node, args, scope)
            case "If":
                return self.branch(node, args, scope)
            case _:
                pass
        if node.op in movement.HANDLERS:
            return movement.HANDLERS[node.op](self.space, node, args)
        if all(arg is None or isinstance(arg, np.ndarray) for arg in args):
            folded = fold.fold(
                node, [arg if isinstance(arg, np.ndarray) else None for arg in args], self.model.opset
            )
            if folded is not None:
                return [folded]
        handler = HANDLERS.get(node.op)
        if handler is None:
            raise self.unknown(node)
        silent = any(isinstance(arg, Noise) for arg in args)
        results = handler(self.space, node, args)
        if silent and any(not isinstance(each, Noise) for each in results):
            self.silenced.append(node.title)
        return results

    def unknown(self, node: NodeIn) -> Refusal:
        """An operator without meaning here."""
        if node.domain:
            names = [f"{domain}::{op}" for domain, op in custom.HANDLERS]
            near = nearest(f"{node.domain}::{node.op}", names)
            return Refusal(
                "NMC054",
                f"the operator `{node.domain}::{node.op}` is not known",
                help=f"export its definition as a local function of the model; {near}",
            )
        return Refusal(
            "NMC054",
            f"the operator `{node.op}` is not supported",
            help="replace it by supported operators, or cut it off the model: a readout can be done on the host",
        )

    def call(self, node: NodeIn, args: Sequence[Traced | None]) -> list[Traced]:
        """A local function, inlined."""
        function = self.model.functions[node.domain, node.op]
        self.enter(node)
        inner = Scope()
        for name, arg in zip(function.inputs, args, strict=False):
            if arg is not None:
                inner.values[name] = arg
        self.nodes(function.nodes, inner, {**function.defaults, **node.attrs})
        self.depth -= 1
        return [inner.get(name) for name in function.outputs]

    def enter(self, node: NodeIn) -> None:
        """One level deeper."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Refusal(
                "NMC053", f"`{node.op}` is nested more than {DEEPEST} deep", help="the file is damaged"
            )

    # ---- control ----------------------------------------------------------------------------------------------

    def branch(self, node: NodeIn, args: Sequence[Traced | None], scope: Scope) -> list[Traced]:
        """A conditional whose condition is a constant."""
        chosen = bool(movement.known(args, 0, "a condition").ravel()[0])
        body = _graph(node, "then_branch" if chosen else "else_branch")
        return self.body(node, body, scope, [])

    def body(self, node: NodeIn, body: GraphIn, scope: Scope, args: Sequence[Traced]) -> list[Traced]:
        """The outputs of a subgraph."""
        if len(args) != len(body.inputs):
            raise Refusal(
                "NMC061", f"the body of `{node.op}` takes {len(body.inputs)} values and gets {len(args)}"
            )
        self.enter(node)
        inner = Scope(scope)
        for port, arg in zip(body.inputs, args, strict=True):
            inner.values[port.name] = arg
        self.graph(body, inner)
        self.depth -= 1
        return [inner.get(port.name) for port in body.outputs]

    def loop(self, node: NodeIn, args: Sequence[Traced | None], scope: Scope) -> list[Traced]:
        """A loop, unrolled; its trip count and its condition are constants."""
        body = _graph(node, "body")
        limit = movement.optional(args, 0, "the number of iterations of a loop")
        condition = movement.optional(args, 1, "the condition of a loop")
        count = LONGEST + 1 if limit is None else int(limit.ravel()[0])
        going = True if condition is None else bool(condition.ravel()[0])
        carried = [movement.data([arg]) for arg in args[2:]]
        gathered: list[list[Traced]] = [[] for _ in range(len(body.outputs) - 1 - len(carried))]
        trip = 0
        while going and trip < count:
            if trip > LONGEST:
                raise Refusal("NMC063", f"a loop of more than {LONGEST} iterations")
            results = self.body(node, body, scope, [np.array(trip), np.array(True), *carried])
            going = bool(movement.known(results, 0, "the condition of a loop").ravel()[0])
            carried = [movement.data([each]) for each in results[1 : 1 + len(carried)]]
            for column, each in zip(gathered, results[1 + len(carried) :], strict=True):
                column.append(each)
            trip += 1
        return [*carried, *(self.stacked(column, 0) for column in gathered)]

    def scan(self, node: NodeIn, args: Sequence[Traced | None], scope: Scope) -> list[Traced]:
        """A scan, unrolled."""
        body = _graph(node, "body")
        count = int(node.attrs.get("num_scan_inputs", 1))
        known = [movement.data([arg]) for arg in args]
        carried, scanned = known[: len(known) - count], known[len(known) - count :]
        axes = [int(axis) for axis in node.attrs.get("scan_input_axes", [0] * count)]
        directions = [
            *node.attrs.get("scan_input_directions", [0] * count),
            *node.attrs.get("scan_output_directions", []),
        ]
        if any(directions):
            raise Refusal("NMC059", "a scan that runs backwards in time")
        places = [
            movement.position(axis, len(movement.shape_of(self.space, value)))
            for axis, value in zip(axes, scanned, strict=True)
        ]
        lengths = {
            movement.shape_of(self.space, value)[place] for value, place in zip(scanned, places, strict=True)
        }
        if len(lengths) != 1:
            raise Refusal("NMC061", "the inputs of a scan differ in length")
        gathered: list[list[Traced]] = [[] for _ in range(len(body.outputs) - len(carried))]
        for t in range(lengths.pop()):
            slices = [self.slice(value, place, t) for value, place in zip(scanned, places, strict=True)]
            results = self.body(node, body, scope, [*carried, *slices])
            carried = [movement.data([each]) for each in results[: len(carried)]]
            for column, each in zip(gathered, results[len(carried) :], strict=True):
                column.append(each)
        out_axes = [int(axis) for axis in node.attrs.get("scan_output_axes", [0] * len(gathered))]
        return [
            *carried,
            *(self.stacked(column, axis) for column, axis in zip(gathered, out_axes, strict=True)),
        ]

    def slice(self, value: Value | np.ndarray, place: int, t: int) -> Traced:
        """One step along an axis, without the axis."""
        if isinstance(value, Value):
            return self.space.without(self.space.select(value, place, np.array([t])), place)
        return value.take(t, place)

    def stacked(self, column: Sequence[Traced], axis: int) -> Traced:
        """Values of successive iterations along a new axis."""
        parts: list[Value | np.ndarray] = []
        for each in column:
            part = movement.data([each])
            rank = len(movement.shape_of(self.space, part)) + 1
            place = movement.position(axis, rank)
            parts.append(
                self.space.with_axis(part, place) if isinstance(part, Value) else np.expand_dims(part, place)
            )
        if not parts:
            raise Refusal("NMC061", "a loop without iterations")
        return movement.join(
            self.space, parts, movement.position(axis, len(movement.shape_of(self.space, parts[0])))
        )


def label(node: NodeIn) -> str:
    """What the tiles of a node are called: the module it came from, or its output."""
    return node.scope or next((name for name in node.outputs if name), node.op)


def _graph(node: NodeIn, name: str) -> GraphIn:
    body = node.attrs.get(name)
    if not isinstance(body, GraphIn):
        raise Refusal("NMC053", f"`{node.op}` has no `{name}`")
    return body


def _bound(node: NodeIn, given: Mapping[str, object]) -> NodeIn:
    if not any(isinstance(value, RefAttr) for value in node.attrs.values()):
        return node
    attrs = {
        name: given.get(value.name) if isinstance(value, RefAttr) else value
        for name, value in node.attrs.items()
    }
    attrs = {name: value for name, value in attrs.items() if value is not None}
    return NodeIn(node.op, node.domain, node.inputs, node.outputs, attrs, node.name, node.scope)
