"""An ONNX file as a graph: the reading of its axes that makes sense, its states, its step, its neurons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nmc.diagnostics import Diagnostic, Loc, note
from nmc.frontend.onnx.build import Builder
from nmc.frontend.onnx.held import held
from nmc.frontend.onnx.read import ModelIn, Port, read
from nmc.frontend.onnx.refuse import TRACED, Refusal
from nmc.frontend.onnx.roll import roll
from nmc.frontend.onnx.states import pair
from nmc.frontend.onnx.step import Given, Kept, StepNet, normalized
from nmc.frontend.onnx.sweep import swept
from nmc.frontend.onnx.tiles import Kind
from nmc.frontend.onnx.trace import Plan, Trace, Tracer
from nmc.frontend.onnx.values import BATCH, TIME, Axis, Value
from nmc.ir.graph import Graph, replace_graph

STAND_IN_BATCH = 1009
"""Samples where the file does not say how many: a prime that no axis of features has."""

STAND_IN_STEPS = 6
"""Steps where the file does not say how many."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the axes of the inputs may be."""

    plan: Plan
    words: str


def load(
    path: Path,
    *,
    states: Mapping[str, str] | None = None,
    time_axis: int | None = None,
    steps: int | None = None,
) -> Graph:
    """The graph of an ONNX file.

    `states` says which output is the next value of which input (output -> input), `time_axis` which axis of the
    inputs is time, `steps` how many steps are folded into an axis: for files that do not tell. Everything that was
    inferred is a note of the graph. Raises CompileError with the node, the operator and a way out.
    """
    try:
        # Wild constants, and lifts that are tried and dropped, overflow without harm.
        with np.errstate(all="ignore"):
            return _load(read(path), dict(states or {}), time_axis, steps)
    except Refusal as refusal:
        raise refusal.finding(path.name) from None
    except RecursionError:
        raise Refusal("NMC053", "the file is nested too deeply").finding(path.name) from None
    except (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError) as fault:
        # A damaged file can contradict itself in ways that no reader foresees; the cause stays attached.
        way_out = "export the model again; if it runs elsewhere, report it with the file"
        detail = str(fault).splitlines()[0][:160] if str(fault) else type(fault).__name__
        raise Refusal("NMC061", f"the file contradicts itself: {detail}", help=way_out).finding(
            path.name
        ) from fault


def _load(model: ModelIn, states: Mapping[str, str], time_axis: int | None, steps: int | None) -> Graph:
    refusals: list[Refusal] = []
    single: Trace | None = None
    repeats: set[int] = set()
    if time_axis is None and steps is None:
        tracer = None
        try:
            tracer = Tracer(model, _step_plan(model))
            single = tracer.run()
            pairing = pair(single, states)
            if pairing.pairs:
                return _finish(model, _step_net(model, single, pairing.pairs, pairing.reasons), single.plan)
        except Refusal as refusal:
            refusals.append(refusal.after(traced=single is not None))
        repeats = set() if tracer is None else tracer.space.repeats
    if states and single is not None:
        raise refusals[0] if refusals else Refusal("NMC058", "the named states are not in the model")
    for reading in _sequence_readings(model, time_axis, steps):
        trace: Trace | None = None
        try:
            trace = Tracer(model, reading.plan).run()
            if _remembers(trace) or time_axis is not None:
                return _finish(model, _rolled(model, trace, reading.words), reading.plan)
        except Refusal as refusal:
            refusals.append(refusal.after(traced=trace is not None))
    graph = _without_time(model, single, repeats, refusals)
    if graph is not None:
        return graph
    if not refusals and steps is not None:
        raise Refusal(
            "NMC055",
            f"no axis of the inputs holds {steps} steps",
            help="give the number of steps that the file folds into one axis with its samples",
        )
    if not refusals:
        raise Refusal("NMC055", "the model has no input whose axes can be read")
    furthest = max(refusals, key=lambda refusal: refusal.progress)
    if steps is None and furthest.code in {"NMC059", "NMC060"} and _may_fold(model):
        hint = "if an axis holds steps and samples, give the number of steps with `--steps-in-file T`"
        furthest.help = f"{furthest.help}; {hint}" if furthest.help else hint
    raise furthest


def _without_time(
    model: ModelIn, single: Trace | None, repeats: Iterable[int], refusals: list[Refusal]
) -> Graph | None:
    """A model whose inputs are no states and have no time: steps over one and the same input, or no steps at all."""
    plans = [replace(_step_plan(model), steps=count, held=True) for count in sorted(repeats) if count >= 3]
    for plan in [*plans, None]:
        trace: Trace | None = None
        try:
            trace = held(single) if plan is None and single is not None else None
            trace = held(Tracer(model, plan).run()) if plan is not None else trace
            if trace is not None:
                return _held(model, trace)
        except Refusal as refusal:
            refusals.append(refusal.after(traced=plan is not None and trace is not None))
    if single is None:
        return None
    fires = _threshold(single)
    if fires is not None and any(refusal.progress >= TRACED for refusal in refusals):
        return None
    if fires is not None:
        raise _lost_state(single, fires)
    return _finish(model, _step_net(model, single, {}, {}), single.plan)


def _held(model: ModelIn, trace: Trace) -> Graph:
    """The graph of a trace whose inputs enter in each of its steps."""
    names = " and ".join(f"`{port.name}`" for port in model.graph.inputs)
    words = f"{names} has no time and enters in each of {trace.plan.steps} steps"
    graph = _finish(model, _rolled(model, trace, words), trace.plan)
    layouts = tuple(
        replace(each, held=trace.plan.steps) if each.name in trace.plan.axes else each
        for each in graph.layouts
    )
    return replace_graph(graph, layouts=layouts)


def _rolled(model: ModelIn, trace: Trace, words: str) -> StepNet:
    """The step of a trace that holds many."""
    rolled = roll(trace)
    found = f"{words}; {rolled.steps} steps are the repetition of one, compared in {rolled.compared} values"
    return replace(rolled.net, notes=(_note(model, "NMC071", found), *_silenced(model, trace)))


def _note(model: ModelIn, code: str, message: str, where: str | None = None) -> Diagnostic:
    return note(code, message, Loc(model.file, where))


def _finish(model: ModelIn, net: StepNet, plan: Plan) -> Graph:
    """The graph of a step."""
    if model.half:
        half = _note(model, "NMC076", "numbers stored in half precision are computed in single precision")
        net = replace(net, notes=(*net.notes, half))
    builder = Builder(normalized(swept(normalized(net))), model.file, plan.axes)
    graph = builder.build()
    proved = sum(proof.points for proof in builder.proofs)
    notes: list[Diagnostic] = []
    if builder.proofs:
        close = sum(proof.at_threshold for proof in builder.proofs)
        notes.append(
            _note(
                model,
                "NMC077",
                f"each lift agrees with the file's own operations on {proved} points, {close} of them at a threshold",
            )
        )
    elif builder.programs == 0 or not net.kept:
        notes.append(_note(model, "NMC079", "no state and no threshold: an artificial network, run as it is"))
    return replace_graph(graph, notes=_grouped((*graph.notes, *notes)))


def _grouped(notes: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """One note for equal ones, which lists their nodes."""
    places: dict[Diagnostic, list[str]] = {}
    for each in notes:
        places.setdefault(replace(each, loc=Loc(each.loc.file)), []).append(each.loc.node or "")
    found: list[Diagnostic] = []
    for each, nodes in places.items():
        if len(nodes) == 1:
            found.append(replace(each, loc=Loc(each.loc.file, nodes[0] or None)))
        else:
            names = ", ".join(f"`{name}`" for name in nodes)
            found.append(replace(each, message=f"{each.message} ({len(nodes)} nodes: {names})"))
    return tuple(found)


# ---- one step in the file ---------------------------------------------------------------------------------


def _step_plan(model: ModelIn) -> Plan:
    ports = model.graph.inputs
    ranks = [_dims(port) for port in ports]
    firsts = {dims[0] for dims in ranks if dims}
    batched = len(firsts) == 1 and all(len(dims) >= 2 for dims in ranks if dims)
    first = next(iter(firsts)) if batched else 1
    batch = STAND_IN_BATCH if isinstance(first, str) else first
    axes: dict[str, tuple[Axis, ...]] = {}
    for port, dims in zip(ports, ranks, strict=True):
        axes[port.name] = tuple(
            (BATCH,) if place == 0 and batched else _feature(port, size, first)
            for place, size in enumerate(dims)
        )
    return Plan(axes, batch, 0)


def _dims(port: Port) -> tuple[int | str, ...]:
    if port.dims is None:
        raise Refusal(
            "NMC055",
            f"the rank of input `{port.name}` is not known",
            help="export with example inputs, or run onnx.shape_inference",
        )
    return port.dims


def _feature(port: Port, size: int | str, first: int | str) -> Axis:
    if isinstance(size, str):
        if size and size == first:
            return (BATCH,)
        raise Refusal(
            "NMC055",
            f"an axis of input `{port.name}` has no size (`{size or '?'}`)",
            help="only samples and time may be dynamic; export with fixed sizes of features",
        )
    return (size,) if size != 1 else ()


def _step_net(model: ModelIn, trace: Trace, pairs: Mapping[str, str], reasons: Mapping[str, str]) -> StepNet:
    tiles = trace.tiles
    leaves = {
        attr[0]: tile
        for tile, (op, attr) in enumerate(zip(tiles.ops, tiles.attrs, strict=True))
        if op is Kind.INPUT and isinstance(attr, tuple)
    }
    replaced = {leaves[into]: tiles.state(tiles.shapes[leaves[into]]) for into in pairs.values()}
    names = [name for name, value in trace.outputs.items() if isinstance(value, Value)]
    values = [trace.outputs[name] for name in names]
    roots = tiles.rebuild([value.tiles[0] for value in values if isinstance(value, Value)], replaced)
    kept: list[Kept] = []
    given: list[Given] = []
    for name, value, root in zip(names, values, roots, strict=True):
        if name in pairs:
            leaf = replaced[leaves[pairs[name]]]
            kept.append(Kept(leaf, root, np.zeros((), np.float32), pairs[name], name))
        elif isinstance(value, Value):
            given.append(Given(name, root, value.axes))
    inputs = {name: tile for name, tile in leaves.items() if name not in pairs.values()}
    notes: list[Diagnostic] = []
    for reason in dict.fromkeys(reasons.values()):
        told = [f"`{out}` is the next `{into}`" for out, into in pairs.items() if reasons[out] == reason]
        notes.append(_note(model, "NMC070", f"states, {reason}: {', '.join(told)}"))
    if not given:
        raise Refusal(
            "NMC058",
            "every output is a state; nothing leaves the model",
            help="give the spikes as an output too",
        )
    return StepNet(tiles, inputs, tuple(kept), tuple(given), (*notes, *_silenced(model, trace)))


def _silenced(model: ModelIn, trace: Trace) -> list[Diagnostic]:
    return [
        _note(model, "NMC080", "the random values are multiplied by zero and left out", title)
        for title in trace.silenced
    ]


def _threshold(trace: Trace) -> int | None:
    """A tile that compares; None if there is none."""
    tiles = trace.tiles
    roots = [value.tiles[0] for value in trace.outputs.values() if isinstance(value, Value)]
    return next((tile for tile in tiles.cone(roots) if tiles.is_truth(tile)), None)


def _lost_state(trace: Trace, fires: int) -> Refusal:
    """A threshold without anything kept: a single step of a module that keeps its membrane to itself."""
    return Refusal(
        "NMC057",
        "the model compares with a threshold but keeps no state: its membrane is a constant of the file",
        node=trace.tiles.names[fires],
        help="export the step with its states as inputs and outputs, or several steps at once "
        "(snnTorch: `init_hidden=False`; SpikingJelly: multi-step mode; or name them with `--state out=in`)",
    )


# ---- all steps in the file --------------------------------------------------------------------------------


def _sequence_readings(model: ModelIn, time_axis: int | None, steps: int | None) -> Iterator[Reading]:
    ports = model.graph.inputs
    if not ports or not all(port.dims for port in ports):
        return
    rank = min(len(port.dims or ()) for port in ports)
    if steps is not None:
        for order in ((TIME, BATCH), (BATCH, TIME)):
            yield from _folded(ports, time_axis or 0, steps, order)
    for time in [time_axis] if time_axis is not None else [0, 1]:
        samples = [place for place in (0, 1) if place != time and place < rank]
        for batch in [*samples, None]:
            yield from _plain(ports, time, batch, steps=steps)
    if steps is None:
        yield from _guessed(model, ports, time_axis or 0)


def _plain(ports: Sequence[Port], time: int, batch: int | None, *, steps: int | None) -> Iterator[Reading]:
    """Time and samples on axes of their own."""
    axes: dict[str, tuple[Axis, ...]] = {}
    lengths: set[int | str] = set()
    samples: set[int | str] = set()
    for port in ports:
        dims = port.dims or ()
        if not -len(dims) <= time < len(dims):
            return
        place = time % len(dims)
        lengths.add(dims[place])
        if batch is not None:
            samples.add(dims[batch])
        axes[port.name] = tuple(
            (TIME,) if k == place else (BATCH,) if k == batch else (size,) if size != 1 else ()
            for k, size in enumerate(dims)
        )
    if len(lengths) != 1 or len(samples) > 1:
        return
    if any(
        isinstance(token, str) and token not in {TIME, BATCH}
        for each in axes.values()
        for axis in each
        for token in axis
    ):
        return
    length = lengths.pop()
    count = samples.pop() if samples else 1
    found = (steps or STAND_IN_STEPS) if isinstance(length, str) else length
    if found < 3 or steps not in {None, found}:
        return
    plan = Plan(axes, STAND_IN_BATCH if isinstance(count, str) else count, found)
    where = f"axis {time} is time" + (f", axis {batch} samples" if batch is not None else "")
    yield Reading(plan, where)


def _folded(ports: Sequence[Port], place: int, steps: int, order: Axis) -> Iterator[Reading]:
    axes: dict[str, tuple[Axis, ...]] = {}
    batch = 1
    for port in ports:
        dims = port.dims or ()
        size = dims[place] if place < len(dims) else 0
        if not isinstance(size, int) or size % steps or any(isinstance(dim, str) for dim in dims):
            return
        batch = size // steps
        folded = order if batch > 1 else (TIME,)
        axes[port.name] = tuple(
            folded if k == place else (dim,) if isinstance(dim, int) and dim != 1 else ()
            for k, dim in enumerate(dims)
        )
    words = "time and samples" if order[0] == TIME else "samples and time"
    yield Reading(Plan(axes, batch, steps), f"axis {place} is {words}, {steps} steps")


def _may_fold(model: ModelIn) -> bool:
    """Whether an axis of an input is so long that it may hold steps and samples."""
    return any(
        isinstance(size, int) and size >= 6 for port in model.graph.inputs for size in (port.dims or ())[:1]
    )


def _guessed(model: ModelIn, ports: Sequence[Port], place: int) -> Iterator[Reading]:
    """Steps folded into an axis, as the shapes in the file suggest."""
    size = (ports[0].dims or ())[place] if place < len(ports[0].dims or ()) else 0
    if not isinstance(size, int) or size < 6:
        return
    seen: list[int] = []
    for array in list(model.graph.constants.values())[:2000]:
        if array.dtype == np.int64 and array.ndim == 1 and 2 <= array.size <= 6:
            seen += [int(each) for each in array]
    for node in model.graph.nodes[:2000]:
        value = node.attrs.get("value")
        if (
            node.op == "Constant"
            and isinstance(value, np.ndarray)
            and value.dtype == np.int64
            and 2 <= value.size <= 6
        ):
            seen += [int(each) for each in value.ravel()]
    for steps in dict.fromkeys(each for each in seen if 3 <= each < size and size % each == 0):
        for order in ((TIME, BATCH), (BATCH, TIME)):
            yield from _folded(ports, place, steps, order)
        if size // steps >= 3:
            for order in ((TIME, BATCH), (BATCH, TIME)):
                yield from _folded(ports, place, size // steps, order)


def _remembers(trace: Trace) -> bool:
    """Whether something depends on an earlier step."""
    tiles = trace.tiles
    return any(
        len({tiles.times[arg] for arg in tiles.args[tile] if tiles.times[arg] >= 0}) > 1
        for tile in range(len(tiles))
    )
