"""The Python API: compile, simulate, verify, inspect. Functions from values to values; nothing here prints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import nmc
from nmc import artifact as artifacts
from nmc.artifact import Artifact, Manifest, npy_bytes, sha256
from nmc.backends import registry
from nmc.backends.backend import Backend, Report, Request, Resource
from nmc.diagnostics import Diagnostic, UsageError, error, nearest
from nmc.engines import (
    COMMAND_LINE,
    GRAPH_FILE,
    NOTHING_ASKED,
    TENSORS,
    Network,
    Tool,
    Verification,
    begin,
    graph_of,
    install,
    open_network,
    refuse_hints,
    simulate,
    states,
    tools,
    verify,
)
from nmc.frontend import load
from nmc.frontend.load import NO_HINTS, Hints
from nmc.ir import text
from nmc.ir.graph import Graph, Layout, replace_graph
from nmc.ir.ops import DelayLine, Ode, Shape, output_shape
from nmc.passes.energy import LayerCost, layer_costs, measured_costs
from nmc.passes.measure import LayerError, layer_errors, worst
from nmc.passes.pipeline import Pass, run_pipeline
from nmc.report import describe
from nmc.report.describe import Layer, Loop
from nmc.sim.interchange import follows_file

# ---- models -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Model:
    """A network as it was read, the name of its file, and the SHA-256 of the file's bytes."""

    graph: Graph
    name: str
    digest: str


def read(path: Path, hints: Hints = NO_HINTS) -> Model:
    """Read a model file. Raises CompileError with all findings of the frontend."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Model(load.load(path, hints), path.name, digest)


def _as_model(model: Model | Graph | Path) -> Model:
    match model:
        case Model():
            return model
        case Path():
            return read(model)
        case Graph():
            return Model(model, "<graph>", sha256(text.show(model).encode()))


# ---- compile ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compile gives: the artifact, the integer graph in it, and what there is to say about them."""

    artifact: Artifact
    graph: Graph
    layers: tuple[Layer, ...]
    resources: tuple[Resource, ...]
    losses: tuple[LayerError, ...]
    """What each layer loses to quantization, measured on the calibration data if there were any."""
    costs: tuple[LayerCost, ...] = ()
    """Bits and joules of each layer for one sample of the calibration data; without data, for one step at most."""

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """What was assumed or approximated."""
        return self.graph.notes

    @property
    def loss(self) -> LayerError | None:
        """The layer that loses most to quantization."""
        return worst(self.losses)


def settings(backend: Backend, given: Mapping[str, str]) -> dict[str, str]:
    """The target's settings, the given ones over the defaults.

    Raises UsageError for a name or a value that the target does not have.
    """
    known = {each.name: each for each in backend.settings}
    findings: list[Diagnostic] = []
    for name, value in given.items():
        if name not in known:
            message = f"`{backend.target.name}` has no setting `{name}`"
            findings.append(error("NMC902", message, COMMAND_LINE, help=nearest(name, known)))
        elif known[name].choices and value not in known[name].choices:
            message = f"setting `{name}` is `{value}`"
            findings.append(error("NMC902", message, COMMAND_LINE, help=nearest(value, known[name].choices)))
    if findings:
        raise UsageError(*findings)
    return {name: given.get(name, setting.default) for name, setting in known.items()}


def passes(target: str, request: Request = NOTHING_ASKED) -> tuple[Pass, ...]:
    """The passes of a target for a request, in their order."""
    backend = registry.load(target)
    steps = backend.pipeline(_complete(backend, request))
    if request.budget is not None and not any(str(request.budget) in each for each in _settings_of(steps)):
        message = f"`{target}` does not share out a budget"
        raise UsageError(
            error("NMC224", message, COMMAND_LINE, help="choose its widths with `--set weight_bits=`")
        )
    return steps


def _settings_of(steps: Sequence[Pass]) -> list[str]:
    return [value for step in steps for value in step.settings.values()]


def _complete(backend: Backend, request: Request) -> Request:
    return replace(request, settings=settings(backend, request.settings))


def lower(
    model: Model | Graph | Path,
    *,
    target: str,
    request: Request = NOTHING_ASKED,
    stop_after: str | None = None,
    after: Callable[[Pass, Graph], None] = lambda step, graph: None,
) -> Graph:
    """Run a target's passes, to the end or up to and with `stop_after`; `after` sees the graph after each.

    Raises CompileError with all findings of the pass that could not go on, UsageError for an unknown pass.
    """
    steps = passes(target, request)
    if stop_after is not None:
        known = [step.name for step in steps]
        check_pass(stop_after, steps)
        steps = steps[: known.index(stop_after) + 1]
    return run_pipeline(_as_model(model).graph, steps, after=after)


def check_pass(name: str, steps: Sequence[Pass]) -> None:
    """Raise UsageError, with the nearest name, unless one of `steps` is called `name`."""
    known = [step.name for step in steps]
    if name not in known:
        raise UsageError(
            error("NMC901", f"there is no pass `{name}`", COMMAND_LINE, help=nearest(name, known))
        )


def compile(  # noqa: A001 - the word for it
    model: Model | Graph | Path,
    *,
    target: str,
    request: Request = NOTHING_ASKED,
    after: Callable[[Pass, Graph], None] = lambda step, graph: None,
) -> Compiled:
    """Compile a model to an artifact of `target`. Equal models, requests and versions give equal bytes."""
    backend = registry.load(target)
    request = _complete(backend, request)
    source = _as_model(model)
    seen: list[Graph] = [source.graph]
    around_quantize: list[Graph] = []

    def watch(step: Pass, graph: Graph) -> None:
        if step.name == "quantize":
            around_quantize[:] = [seen[0], graph]
        seen[0] = graph
        after(step, graph)

    graph = lower(source, target=target, request=request, after=watch)
    losses: tuple[LayerError, ...] = ()
    if around_quantize:
        real, integer = around_quantize
        losses = layer_errors(real, integer, request.calibration)
    graph = _named(graph, source.name)
    program = backend.emit(graph, request)
    files = {**_graph_files(graph), LOSSES: _losses_file(losses), **program.files}
    manifest = Manifest(
        nmc=nmc.__version__,
        target=target,
        target_digest=sha256(repr(backend.target).encode()),
        model=source.name,
        model_digest=source.digest,
        pipeline=tuple((step.name, step.settings) for step in backend.pipeline(request)),
        resources={each.name: (each.used, each.limit) for each in program.resources},
        files={name: sha256(content) for name, content in files.items()},
    )
    return Compiled(
        Artifact(manifest, files),
        graph,
        describe.layers(graph),
        program.resources,
        losses,
        measured_costs(graph, request.calibration),
    )


def report(artifact: Artifact) -> Report:
    """What the target's own tools say of an artifact. Raises UsageError (NMC457) where a target has none."""
    asked = registry.load(artifact.manifest.target).report
    if asked is None:
        message = f"`{artifact.manifest.target}` has no tools of its own to ask for a report"
        raise UsageError(error("NMC457", message, COMMAND_LINE, help="leave `--report` out"))
    return asked(artifact)


def _named(graph: Graph, name: str) -> Graph:
    """The graph with every place in the model's file by the file's bare name: an artifact names no folder."""
    nodes = tuple(replace(node, loc=replace(node.loc, file=name)) for node in graph.nodes)
    notes = tuple(
        replace(
            each,
            loc=replace(each.loc, file=name),
            also=tuple(replace(place, file=name) for place in each.also),
        )
        for each in graph.notes
    )
    return replace_graph(graph, nodes=nodes, notes=notes)


LOSSES = "quantization.json"
"""The file of an artifact that says what each layer loses to quantization, as the compile measured it."""


def _losses_file(losses: Sequence[LayerError]) -> bytes:
    return f"{json.dumps([asdict(each) for each in losses], indent=1)}\n".encode()


def _graph_files(graph: Graph) -> dict[str, bytes]:
    files = {GRAPH_FILE: text.show(graph).encode()}
    for name, tensor in text.tensors(graph).items():
        files[f"{TENSORS}/{name}.npy"] = npy_bytes(tensor.data)
    return files


def write(artifact: Artifact, folder: Path) -> None:
    """Write an artifact as a folder; the whole of it or nothing."""
    artifacts.write(artifact, folder)


def changes(artifact: Artifact, folder: Path) -> dict[str, str]:
    """What writing `artifact` to `folder` would change there: file -> `new`, `changed` or `gone`."""
    return artifacts.compare(artifact, folder)


# ---- inspect ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inspection:
    """What there is to see of a network."""

    name: str
    digest: str
    graph: Graph
    layers: tuple[Layer, ...]
    equations: Mapping[str, tuple[str, ...]]
    loops: tuple[Loop, ...]
    delays: tuple[str, ...]
    costs: tuple[LayerCost, ...]
    """Of a network in integers: bits and joules of each layer for one step in which all spikes."""

    @property
    def in_seconds(self) -> bool:
        """Whether some neuron or delay is in seconds, so that a step has yet to be chosen."""
        return any(isinstance(node.op, Ode | DelayLine) for node in self.graph.nodes)

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axes that arrays have in the model's file, where they are not (steps, samples, *shape)."""
        if not follows_file(self.graph):
            return {}
        ends = {*self.inputs, *self.outputs}
        return {each.name: each.axes for each in self.graph.layouts if each.name in ends}

    @property
    def states(self) -> tuple[Layout, ...]:
        """The states that the model's file takes and gives, of populations that are there."""
        known = states(self.graph)
        return tuple(each for each in self.graph.layouts if each.name in known)

    @property
    def inputs(self) -> dict[str, Shape]:
        """The shape of each input."""
        return {node.name: output_shape(node.op) for node in self.graph.inputs}

    @property
    def outputs(self) -> dict[str, Shape]:
        """The shape of each output."""
        return {node.name: output_shape(node.op) for node in self.graph.outputs}


def inspect(model: Model | Graph | Path, hints: Hints = NO_HINTS) -> Inspection:
    """Layers, equations, loops and delays of a model, or of the integer graph of an artifact's folder."""
    if isinstance(model, Path) and model.is_dir():
        refuse_hints(hints)
        artifact = artifacts.read(model)
        source = Model(graph_of(artifact, str(model)), artifact.manifest.model, artifact.digest)
    else:
        source = read(model, hints) if isinstance(model, Path) else _as_model(model)
    graph = source.graph
    equations = {node.name: describe.equation(node.op) for node in graph.nodes}
    return Inspection(
        source.name,
        source.digest,
        graph,
        describe.layers(graph),
        {name: sentences for name, sentences in equations.items() if sentences},
        describe.loops(graph),
        describe.delays(graph),
        layer_costs(graph, {}, 1),
    )


__all__ = [
    "Compiled",
    "Hints",
    "Inspection",
    "Model",
    "Network",
    "Tool",
    "Verification",
    "begin",
    "changes",
    "check_pass",
    "compile",
    "inspect",
    "install",
    "lower",
    "open_network",
    "passes",
    "read",
    "settings",
    "simulate",
    "tools",
    "verify",
    "write",
]
