"""An unrolled network rolled up: the step whose repetition it is.

Time flows through tiles: the last input step that a tile depends on is the tile's time. What crosses from one
step to the next is what is kept. Two crossings are compared by what their values *mean*: each is evaluated as a
function of the crossing before, so the spelling of a step does not matter. The result is proved by running both.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nmc.frontend.onnx.evaluate import evaluate
from nmc.frontend.onnx.readout import readout
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.step import Given, Kept, StepNet, simulate
from nmc.frontend.onnx.tiles import Kind, Tiles
from nmc.frontend.onnx.trace import Trace
from nmc.frontend.onnx.values import TIME, Value
from nmc.ir.graph import OverTime
from nmc.ir.program import TRUTH, Scalar
from nmc.ir.tensor import Array

_LAYERS = frozenset({Kind.LINEAR, Kind.CONV})

SAMPLES = 3
TOLERANCE = 1e-9
"""Of the relative difference between two evaluations in double precision."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """A step, and how many steps were compared with the file's in how many values."""

    net: StepNet
    steps: int
    compared: int


class _Timeline:
    """The tiles of an unrolled network in time."""

    def __init__(self, trace: Trace, outputs: Mapping[str, Value]) -> None:
        self.tiles: Tiles = trace.tiles
        self.steps = trace.plan.steps
        self.outputs = outputs
        self.roots = [tile for value in outputs.values() for tile in value.tiles]
        self.given = set(self.roots)
        self.cone = self.tiles.cone(self.roots)
        self.users: dict[int, list[int]] = {tile: [] for tile in self.cone}
        for tile in self.cone:
            for arg in self.tiles.args[tile]:
                self.users[arg].append(tile)
        self.time = self.tiles.times
        self._crossings: dict[int, list[int]] = {}
        self._meanings: dict[int, tuple[object, ...]] = {}
        reach: dict[int, int] = {
            tile: max((self.time[user] for user in self.users[tile]), default=-1) for tile in self.cone
        }
        self._reach = reach
        self._since = self._beginnings()

    def crossing(self, step: int) -> list[int]:
        """What is kept from `step` for later: as few values as possible, in the order of their numbers."""
        if step not in self._crossings:
            self._crossings[step] = self._essential(self._postponed(step))
        return self._crossings[step]

    def _postponed(self, step: int) -> set[int]:
        """What crosses, with everything computed only for later left to the later step."""
        queue = [-tile for tile in self.cone if 0 <= self.time[tile] <= step < self._reach[tile]]
        heapq.heapify(queue)
        seen = {-entry for entry in queue}
        later: set[int] = set()
        kept: set[int] = set()
        while queue:
            tile = -heapq.heappop(queue)
            movable = (
                self.tiles.args[tile]
                and self.tiles.ops[tile] not in TRUTH
                and tile not in self.given
                and not self._accumulates(tile)
            )
            if movable and all(self.time[user] > step or user in later for user in self.users[tile]):
                later.add(tile)
                for arg in self.tiles.args[tile]:
                    if arg not in seen and self.time[arg] >= 0:
                        seen.add(arg)
                        heapq.heappush(queue, -arg)
            else:
                kept.add(tile)
        return kept

    def _beginnings(self) -> dict[int, int]:
        """The first step from which each tile accumulates, element by element and in every step."""
        since: dict[int, int] = {}
        for tile in self.cone:
            now = self.time[tile]
            since[tile] = now
            if isinstance(self.tiles.ops[tile], Scalar) and self.tiles.ops[tile] not in TRUTH:
                before = [since[arg] for arg in self.tiles.args[tile] if self.time[arg] >= max(now - 1, 0)]
                since[tile] = min([now, *before])
        return since

    def _accumulates(self, tile: int) -> bool:
        """Whether a tile sums up all steps until now, so that the next step needs the sum and not its terms."""
        now = self.time[tile]
        ages = {
            now - self.time[arg] for arg in self.tiles.args[tile] if self.tiles.ops[arg] is not Kind.CONST
        }
        return len(ages) > 1 and now >= 3 and self._since[tile] <= 1

    def _essential(self, kept: set[int]) -> list[int]:
        """Without what can be computed, element by element, of the rest."""
        result = set(kept)
        for tile in sorted(kept, reverse=True):
            if isinstance(self.tiles.ops[tile], Scalar) and self._computable(tile, result - {tile}):
                result.discard(tile)
        return sorted(result)

    def _computable(self, root: int, sources: set[int]) -> bool:
        pending = list(self.tiles.args[root])
        seen: set[int] = set()
        while pending:
            tile = pending.pop()
            if tile in sources or tile in seen or self.tiles.ops[tile] is Kind.CONST:
                continue
            seen.add(tile)
            if not isinstance(self.tiles.ops[tile], Scalar) and self.tiles.ops[tile] is not Kind.GATHER:
                return False
            if len(seen) > 64:
                return False
            pending.extend(self.tiles.args[tile])
        return True

    def meaning(self, tile: int) -> tuple[object, ...]:
        """What a tile is as a function of its step: equal for tiles of different steps with the same role."""
        if tile not in self._meanings:
            self._learn(self.time[tile])
            if tile not in self._meanings:
                self._meanings[tile] = self._evaluated([tile], self.time[tile])[tile]
        return self._meanings[tile]

    def _learn(self, step: int) -> None:
        born = [tile for tile in self.crossing(min(step, self.steps - 2)) if self.time[tile] == step]
        self._meanings.update(self._evaluated(born, step))

    def _evaluated(self, born: Sequence[int], step: int) -> dict[int, tuple[object, ...]]:
        before = self.crossing(step - 1) if step > 0 else []
        leaves = {tile: _random(self.tiles.shapes[tile], step - self.time[tile]) for tile in before}
        # Layers are known by their weights: what they would give may be nothing at all, for want of spikes.
        layers = [tile for tile in self.tiles.cone(born, stop=leaves) if self.tiles.ops[tile] in _LAYERS]
        leaves |= {
            tile: _random(self.tiles.shapes[tile], self.tiles.attrs[tile])
            for tile in layers
            if tile not in leaves
        }
        for tile in self.tiles.cone(born, stop=leaves):
            if self.tiles.ops[tile] is Kind.INPUT and tile not in leaves:
                attr = self.tiles.attrs[tile]
                assert isinstance(attr, tuple)
                age = 0 if self.time[tile] < 0 else step - attr[1]
                leaves[tile] = _random(self.tiles.shapes[tile], f"{attr[0]} {age}")
        values = evaluate(self.tiles, born, leaves, SAMPLES)
        return {
            tile: (self.tiles.shapes[tile], self.tiles.ops[tile] is Kind.INPUT, values[tile]) for tile in born
        }


def _random(shape: tuple[int, ...], seed: object) -> Array:
    rng = np.random.default_rng(_seed(f"{shape} {seed}"))
    return rng.normal(0.3, 1.0, (SAMPLES, *shape))


def _seed(text: str) -> int:
    return int.from_bytes(text.encode()[:64], "little") % (1 << 63)


def roll(trace: Trace) -> Rolled:
    """The step of an unrolled trace. Raises Refusal if it does not repeat itself."""
    outputs, over = _spread(trace, _outputs(trace))
    line = _Timeline(trace, outputs)
    steps = trace.plan.steps
    if steps < 3:
        raise Refusal(
            "NMC059",
            f"{steps} unrolled steps are too few to see what repeats",
            help="export at least four steps, or one step with its states as inputs and outputs",
        )
    tiles = trace.tiles
    pairs = _paired(line, line.crossing(steps - 3), line.crossing(steps - 2), steps)
    leaves = [tiles.state(tiles.shapes[tile]) for _, tile in pairs]
    inputs = _inputs(tiles, line.cone)
    old = {before: leaf for (before, _), leaf in zip(pairs, leaves, strict=True)}
    new = {now: leaf for (_, now), leaf in zip(pairs, leaves, strict=True)}
    known = {**_shifted(tiles, line.cone, steps - 2, inputs, old), **old}
    nexts = tiles.rebuild([now for _, now in pairs], known)
    names = list(outputs)
    last = [not outputs[name].timed for name in names]
    # What the file gives at every step is taken from the step that also says what is kept: one spelling for both.
    every = tiles.rebuild([outputs[name].tiles[-2] for name in names if outputs[name].timed], known)
    final = {**_shifted(tiles, line.cone, steps - 1, inputs, new), **new}
    only = tiles.rebuild([outputs[name].tiles[-1] for name in names if not outputs[name].timed], final)
    axes = {name: value.axes for name, value in trace.outputs.items() if isinstance(value, Value)}
    given = tuple(
        Given(name, (only if is_last else every).pop(0), axes[name], over[name])
        for name, is_last in zip(names, last, strict=True)
    )
    zero = tuple(Kept(leaf, root, np.zeros((), np.float32)) for leaf, root in zip(leaves, nexts, strict=True))
    net = StepNet(tiles, inputs, zero, given)
    _check_leaves(net)
    return _started(net, trace, outputs)


def _outputs(trace: Trace) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, value in trace.outputs.items():
        if not isinstance(value, Value):
            continue
        if value.timed and len(value.tiles) != trace.plan.steps:
            raise Refusal(
                "NMC059",
                f"output `{name}` has {len(value.tiles)} steps, the input {trace.plan.steps}",
                help="export a model that gives every step, or one step with its states",
            )
        found[name] = value
    if not found:
        raise Refusal("NMC059", "no output depends on an input")
    return found


def _spread(trace: Trace, outputs: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, OverTime]]:
    """The outputs with what each step adds to a sum over time in its place, and what the file makes of it."""
    found = dict(outputs)
    over: dict[str, OverTime] = {}
    for name, value in outputs.items():
        over[name] = OverTime.EVERY if value.timed else OverTime.LAST
        reduced = None if value.timed else readout(trace.tiles, value.tiles[0], trace.plan.steps)
        if reduced is not None:
            over[name] = reduced.over
            found[name] = Value(((TIME,), *value.axes), reduced.terms, value.kind)
    return found, over


def _inputs(tiles: Tiles, cone: Sequence[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for tile in cone:
        attr = tiles.attrs[tile]
        if tiles.ops[tile] is Kind.INPUT and isinstance(attr, tuple):
            found.setdefault(attr[0], tiles.input(attr[0], 0, tiles.shapes[tile]))
    return found


def _shifted(
    tiles: Tiles, cone: Sequence[int], step: int, inputs: Mapping[str, int], known: Mapping[int, int]
) -> dict[int, int]:
    """The inputs of a step as the inputs of any step."""
    replaced: dict[int, int] = {}
    for tile in cone:
        attr = tiles.attrs[tile]
        if (
            tiles.ops[tile] is Kind.INPUT
            and isinstance(attr, tuple)
            and attr[1] == step
            and tile not in known
        ):
            replaced[tile] = inputs[attr[0]]
    return replaced


def _check_leaves(net: StepNet) -> None:
    known = set(net.inputs.values()) | {each.leaf for each in net.kept}
    for tile in net.tiles.cone(net.roots()):
        if net.tiles.ops[tile] in {Kind.INPUT, Kind.STATE} and tile not in known:
            raise Refusal("NMC059", "a step depends on more than what the step before leaves it")


def _paired(line: _Timeline, before: list[int], now: list[int], steps: int) -> list[tuple[int, int]]:
    """The values of two successive crossings by role."""
    if len(before) != len(now):
        raise Refusal(
            "NMC059",
            f"the last steps keep {len(before)} and {len(now)} values: they do not repeat",
            help="export one step with its states as inputs and outputs",
        )
    if steps < 4:
        order = sorted(before, key=lambda tile: (line.tiles.shapes[tile], tile))
        other = sorted(now, key=lambda tile: (line.tiles.shapes[tile], tile))
        return list(zip(order, other, strict=True))
    left = list(before)
    pairs: list[tuple[int, int]] = []
    for tile in now:
        lag = line.time[tile]
        match = next(
            (
                each
                for each in left
                if line.time[each] == lag - 1 and _same(line.meaning(each), line.meaning(tile))
            ),
            None,
        )
        if match is None:
            raise Refusal(
                "NMC059",
                "the last steps do not compute the same",
                help="export one step with its states as inputs and outputs",
            )
        left.remove(match)
        pairs.append((match, tile))
    return pairs


def _same(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    if a[:2] != b[:2]:
        return False
    x, y = np.asarray(a[2]), np.asarray(b[2])
    return bool(np.allclose(x, y, rtol=1e-6, atol=1e-6, equal_nan=True))


# ---- where it starts --------------------------------------------------------------------------------------


def _started(net: StepNet, trace: Trace, outputs: Mapping[str, Value]) -> Rolled:
    """The network with initial states with which it gives what the file gives; found, then proved."""
    rng = np.random.default_rng(1)
    steps = trace.plan.steps
    heavy = sum(array.size for array in trace.tiles.arrays) * steps > 50_000_000
    samples = 1 if heavy else SAMPLES
    inputs = {
        name: rng.normal(0.3, 1.0, (steps, samples, *trace.tiles.shapes[tile]))
        for name, tile in net.inputs.items()
    }
    if any(trace.tiles.times[tile] < 0 for tile in net.inputs.values()):
        inputs = {name: np.broadcast_to(array[:1], array.shape) for name, array in inputs.items()}
    leaves: dict[int, Array] = {}
    for tile in trace.tiles.cone([tile for value in outputs.values() for tile in value.tiles]):
        attr = trace.tiles.attrs[tile]
        if trace.tiles.ops[tile] is Kind.INPUT and isinstance(attr, tuple):
            leaves[tile] = inputs[attr[0]][attr[1]]
    roots = [tile for value in outputs.values() for tile in value.tiles]
    wanted = evaluate(trace.tiles, roots, leaves, samples)
    compared = _agree(net, inputs, outputs, wanted)
    if compared == 0:
        net = _with_initial(net, trace, outputs, inputs, leaves)
        compared = _agree(net, inputs, outputs, wanted)
    if compared == 0:
        raise Refusal(
            "NMC059",
            "the unrolled steps are not the repetition of one step from one initial state",
            help="export one step with its states as inputs and outputs",
        )
    return Rolled(net, steps, compared)


def _agree(
    net: StepNet, inputs: Mapping[str, Array], outputs: Mapping[str, Value], wanted: Mapping[int, Array]
) -> int:
    """How many values agree; 0 if one does not."""
    count = 0
    for name, column in simulate(net, inputs).items():
        value = outputs[name]
        expected = np.stack([np.broadcast_to(wanted[tile], column.shape[1:]) for tile in value.tiles])
        got = column if value.timed else column[-1:]
        close = np.isclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if not bool(close.all()):
            return 0
        count += expected.size
    return count


def _with_initial(
    net: StepNet,
    trace: Trace,
    outputs: Mapping[str, Value],
    inputs: Mapping[str, Array],
    leaves: Mapping[int, Array],
) -> StepNet:
    """The network with initial states for which its step 0 keeps what the file's step 0 keeps."""
    tiles = net.tiles
    line = _Timeline(trace, outputs)
    first = line.crossing(0)
    samples = next(iter(inputs.values())).shape[1]
    seen = evaluate(tiles, first, leaves, samples)
    enter = {tile: inputs[name][0] for name, tile in net.inputs.items()}
    found: dict[int, Array] = {}
    for _ in net.kept:
        guess = {
            each.leaf: np.broadcast_to(
                found.get(each.leaf, each.initial).astype(np.float64), (samples, *tiles.shapes[each.leaf])
            )
            for each in net.kept
        }
        start = evaluate(tiles, [each.next for each in net.kept], {**guess, **enter}, samples)
        more = _solved(net, {**guess, **enter}, start, {tile: seen[tile] for tile in first}, found)
        if not more:
            break
        found.update(more)
    kept = tuple(
        Kept(each.leaf, each.next, found.get(each.leaf, each.initial), each.entering, each.leaving)
        for each in net.kept
    )
    return replace(net, kept=kept)


def _solved(
    net: StepNet,
    leaves: Mapping[int, Array],
    start: Mapping[int, Array],
    seen: Mapping[int, Array],
    found: Mapping[int, Array],
) -> dict[int, Array]:
    """Initial states that follow from what the file's step 0 keeps, where it differs by a constant."""
    tiles = net.tiles
    more: dict[int, Array] = {}
    small = 1e-3
    for each in net.kept:
        if each.leaf in found:
            continue
        moved = evaluate(
            tiles, [each.next], {**leaves, each.leaf: leaves[each.leaf] + small}, len(leaves[each.leaf])
        )[each.next]
        slope = (moved - start[each.next])[0] / small
        if not bool((slope != 0).all()):
            continue
        for tile, values in seen.items():
            if tiles.shapes[tile] != tiles.shapes[each.leaf]:
                continue
            difference = values - start[each.next]
            if bool(np.isclose(difference, difference[:1], rtol=1e-7, atol=1e-9).all()):
                exact = (leaves[each.leaf][0] + difference[0] / slope).astype(np.float32)
                uniform = bool((exact == exact.ravel()[0]).all())
                more[each.leaf] = exact.ravel()[0].reshape(()) if uniform else exact
                break
    return more
