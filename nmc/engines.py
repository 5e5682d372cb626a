"""Engines: golden, a target's machine and its witnesses, each run on the same network and compared."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc import artifact as artifacts
from nmc.artifact import Artifact, npy_from_bytes
from nmc.backends import registry
from nmc.backends.backend import Backend, Request, Witness
from nmc.diagnostics import CompileError, Diagnostic, Loc, UsageError, error, nearest, note
from nmc.frontend import load
from nmc.frontend.load import NO_HINTS, Hints
from nmc.ir import text
from nmc.ir.graph import Graph, Layout
from nmc.ir.ops import Elementwise, Input, Neuron, SignalKind, Threshold, output_shape
from nmc.ir.tensor import FixedPoint
from nmc.passes.discretize import discretize
from nmc.report import describe
from nmc.sim.arrays import spread
from nmc.sim.compare import Divergence, first_divergence
from nmc.sim.interchange import held, with_initial
from nmc.sim.trace import SimResult

Array = npt.NDArray[Any]
"""Any: inputs and outputs of every numeric dtype."""

Doing = Callable[[str], None]
"""Told what is being done, for people who wait."""

COMMAND_LINE = Loc("<command line>")
NOTHING_ASKED = Request()

GRAPH_FILE, TENSORS = "graph.nmc", "tensors"
GOLDEN, MACHINE = "golden", "machine"
COMPILED = np.float32
"""The precision of reals that were compiled: chips have no other. Integers do not ask."""

STIMULUS_STEPS, STIMULUS_SAMPLES, STIMULUS_SEED = 64, 2, 0
STIMULUS_RATES = (0.25, 0.5, 0.9)
"""The random spikes on which `verify` runs when it is given no inputs: the first rate at which all is active."""

STIMULUS_WORK = 20_000_000
"""Synapses times steps times samples that `verify` asks of the witnesses: minutes where they are slowest."""


def silent(what: str) -> None:
    """Say nothing."""


# ---- simulate ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Network:
    """What can be simulated: a graph in steps and, if it was compiled, the artifact that holds it."""

    graph: Graph
    artifact: Artifact | None = None

    @property
    def neurons(self) -> dict[str, int]:
        """The size of each population."""
        return {
            node.name: int(np.prod(output_shape(node.op), dtype=np.int64))
            for node in self.graph.nodes
            if isinstance(node.op, Neuron | Threshold)
        }


def open_network(path: Path, request: Request = NOTHING_ASKED, hints: Hints = NO_HINTS) -> Network:
    """A model file, in steps as `request` and `hints` say, or an artifact's folder, to be simulated.

    Raises UsageError if they say what an artifact has settled already; its file's steps it does not know.
    """
    if path.is_dir():
        if (request.dt, request.preset, request.reset) != (None, None, None):
            message = "`--dt`, `--preset` and `--reset` were settled when the artifact was compiled"
            raise UsageError(error("NMC905", message, COMMAND_LINE, help="compile again to change them"))
        refuse_hints(replace(hints, steps=None))
        artifact = artifacts.read(path)
        return Network(graph_of(artifact, str(path)), artifact)
    graph = load.load(path, hints)
    return Network(discretize(graph, dt=request.dt, preset=request.preset, reset=request.reset))


def begin(network: Network, initial: Mapping[str, Array]) -> Network:
    """The network of an ONNX step model with states that begin with the arrays of `initial`, by their inputs.

    Raises UsageError for an artifact, whose states begin as they did when it was compiled, if one is not zero.
    """
    if network.artifact is None:
        return Network(with_initial(network.graph, initial)) if initial else network
    begun = [name for name, array in initial.items() if array.any()]
    if begun:
        message = f"the initial value `{begun[0]}` was settled when the artifact was compiled"
        raise UsageError(error("NMC905", message, COMMAND_LINE, help="leave the array out, or make it zero"))
    return network


def refuse_hints(hints: Hints) -> None:
    """Raise UsageError if there are hints: about an artifact, whose file was read when it was compiled."""
    if hints.given:
        options = ", ".join(f"`{option}`" for option in hints.given)
        message = f"{options}: the model's file was read when the artifact was compiled"
        raise UsageError(error("NMC905", message, COMMAND_LINE, help="compile again to change it"))


def simulate(
    network: Network | Graph | Path,
    inputs: Mapping[str, Array],
    *,
    engine: str = GOLDEN,
    record: Sequence[str] = (),
    steps: int | None = None,
    dtype: npt.DTypeLike = np.float64,
    progress: Callable[[int, int], None] | None = None,
) -> SimResult:
    """Run a network on inputs (steps, samples, *shape) by name, on golden, its machine or a witness.

    `record` names `node.v`, `node.i` or `node.spikes`, or a state by what the model's file calls its next value.
    `steps` cuts the inputs or adds silence to them. An artifact whose outputs come `latency` steps late runs that
    much longer, and its outputs are moved back by it: they hold the model's steps, graded ones as values rather
    than mantissas. Traces hold every step that ran; a stretched network runs several for each of the model.
    `dtype` is of graphs in reals. `progress` is called with the sample-steps done and those to do, by golden only.
    """
    network = _as_network(network)
    graph = network.graph
    check_record(graph, record)
    known = states(graph)
    wanted = {name: known[name].variable if name in known else name for name in record}
    late, slow = graph.latency, graph.stretch
    given = {name: _lengthened(array, steps, -(-late // slow)) for name, array in inputs.items()}
    if engine == GOLDEN:
        precision = dtype if network.artifact is None else COMPILED
        result = _golden(graph, given, record=tuple(wanted.values()), dtype=precision, progress=progress)
    else:
        spaced = {name: spread(array, slow) for name, array in given.items()}
        result = _run(_artifact(network, engine), spaced, engine=engine, record=tuple(wanted.values()))
    numbers = {node.name: graph.signals()[node.name].number for node in graph.outputs}
    ran = steps or max(map(len, inputs.values()), default=0)
    outputs = {
        name: _values(array[late::slow][:ran], numbers.get(name)) for name, array in result.outputs.items()
    }
    trace = {
        name: held(known[name], result.trace[variable]) if name in known else result.trace[variable]
        for name, variable in wanted.items()
        if variable in result.trace
    }
    return replace(result, outputs=outputs, trace=trace)


def _golden(
    graph: Graph,
    inputs: Mapping[str, Array],
    *,
    record: Sequence[str],
    dtype: npt.DTypeLike = np.float64,
    progress: Callable[[int, int], None] | None = None,
) -> SimResult:
    from nmc.sim import golden  # here: its kernels' compiler takes half a second to import

    return golden.simulate(graph, inputs, record=record, dtype=dtype, progress=progress)


def _values(output: Array, number: FixedPoint | None) -> Array:
    """An output in the model's units: mantissas of a graded one as reals."""
    return output if number is None or number.exponent == 0 else np.ldexp(output, number.exponent)


def _as_network(network: Network | Graph | Path) -> Network:
    match network:
        case Network():
            return network
        case Graph():
            return Network(network)
        case Path():
            return open_network(network)


def _lengthened(array: Array, steps: int | None, late: int) -> Array:
    """The first `steps` of an input, then silence for as long as it has fewer, and for `late` steps more."""
    kept = array[: steps or len(array)]
    silence = (steps or len(array)) + late - len(kept)
    return np.concatenate([kept, np.zeros((silence, *array.shape[1:]), array.dtype)]) if silence else kept


def _artifact(network: Network, engine: str) -> Artifact:
    if network.artifact is None:
        message = f"engine `{engine}` runs a compiled artifact, and this is a model"
        raise UsageError(
            error(
                "NMC905",
                message,
                COMMAND_LINE,
                help="compile it first: nmc compile MODEL --target NAME -o DIR",
            )
        )
    return network.artifact


def _run(artifact: Artifact, inputs: Mapping[str, Array], *, engine: str, record: Sequence[str]) -> SimResult:
    """Run the machine or a witness from the artifact's files; `record` names variables as `node.variable`."""
    backend = registry.load(artifact.manifest.target)
    populations = tuple(dict.fromkeys(name.rpartition(".")[0] for name in record))
    if engine == MACHINE:
        result = backend.simulate(artifact, inputs, populations)
    else:
        witness = find_witness(backend, engine)
        missing = witness.ready()
        if missing is not None:
            raise CompileError(_not_ready(witness, missing))
        try:
            result = witness.run(artifact, inputs, populations)
        except (RuntimeError, subprocess.SubprocessError) as failed:
            raise CompileError(
                error("NMC907", f"witness `{engine}` failed: {failed}", COMMAND_LINE)
            ) from failed
    return replace(result, trace={name: result.trace[name] for name in record if name in result.trace})


def find_witness(backend: Backend, name: str) -> Witness:
    """A target's witness by name. Raises UsageError, with the nearest name, if it has no such witness."""
    known = {witness.name: witness for witness in backend.witnesses}
    if name not in known:
        engines = (GOLDEN, MACHINE, *known)
        message = f"`{backend.target.name}` has no engine `{name}`"
        raise UsageError(error("NMC903", message, COMMAND_LINE, help=nearest(name, engines)))
    return known[name]


def _not_ready(witness: Witness, missing: str) -> Diagnostic:
    way = f"nmc tools install {witness.name}"
    shown = way if witness.install is not None and way not in missing else ""
    return error("NMC907", f"witness `{witness.name}` cannot run here: {missing}", COMMAND_LINE, help=shown)


def check_record(graph: Graph, record: Sequence[str]) -> None:
    """Raise UsageError with every name of `record` that is no variable of a population, and the nearest."""
    known = [*states(graph), *(name for each in graph.nodes for name in variables(graph, each.name))]
    findings = [
        error("NMC904", f"there is no variable `{name}` to record", COMMAND_LINE, help=nearest(name, known))
        for name in record
        if name not in known
    ]
    if findings:
        raise UsageError(*findings)


def states(graph: Graph) -> dict[str, Layout]:
    """The states that can be recorded, by what the model's file calls their next value."""
    found: dict[str, Layout] = {}
    for layout in graph.layouts:
        node, _, variable = layout.variable.rpartition(".")
        if node not in graph:
            continue
        known, spikes = variables(graph, node), f"{node}.spikes"
        if variable == "out" and spikes in known:
            found[layout.name] = replace(layout, variable=spikes)
        elif layout.variable in known or layout.slots is not None:
            found[layout.name] = layout
    return found


def variables(graph: Graph, node: str) -> tuple[str, ...]:
    """What can be recorded of a node, as `node.variable`; nothing unless it is a population."""
    match op := graph[node].op:
        case Neuron():
            spikes = (f"{node}.spikes",) if op.fire is not None else ()
            current = (f"{node}.i",) if op.synapse is not None else ()
            rests = op.fire is not None and bool(op.fire.refractory.data.any())
            return (*spikes, f"{node}.v", *current, *((f"{node}.wait",) if rests else ()))
        case Threshold():
            return (f"{node}.spikes",)
        case Elementwise():
            return (*(f"{node}.{state}" for state in op.program.states), f"{node}.out")
        case _:
            return ()


# ---- verify -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether engines gave the same on the same inputs; the last of `engines` is the one that diverged.

    `compared` names, for each engine but golden, the variables that both had: `node.v`, outputs by their
    name.
    """

    engines: tuple[str, ...]
    divergence: Divergence | None
    compared: Mapping[str, tuple[str, ...]]
    seconds: Mapping[str, float | None]
    """Time on the chip, of the engines of `compared` that have a notion of it."""
    joules: Mapping[str, float | None]
    steps: int
    samples: int
    notes: tuple[Diagnostic, ...]

    @property
    def agree(self) -> bool:
        """Whether there is no divergence."""
        return self.divergence is None


def verify(
    network: Network | Path,
    inputs: Mapping[str, Array] | None = None,
    *,
    engines: Sequence[str] | None = None,
    doing: Doing = silent,
) -> Verification:
    """Compare golden with the machine and witnesses: outputs, and spikes and states of every population.

    Without `inputs`, seeded random ones. Without `engines`, every witness of the target that can run here;
    those that cannot are named in a note. The comparison ends with the first engine that diverges from
    golden.
    """
    network = _as_network(network)
    graph = network.graph
    artifact = _artifact(network, MACHINE)
    backend = registry.load(artifact.manifest.target)
    notes: list[Diagnostic] = []
    if engines is None:
        chosen, notes = _ready_witnesses(backend, graph)
    else:
        chosen = [name for name in dict.fromkeys(engines) if name not in (GOLDEN, MACHINE)]
        for name in chosen:
            find_witness(backend, name)
    record = [name for node in graph.nodes for name in variables(graph, node.name)]
    doing(GOLDEN)
    tried = [inputs] if inputs is not None else (stimulus(graph, rate) for rate in STIMULUS_RATES)
    given, expected = _first_active(graph, tried, record)
    notes += _never_spiked(graph, expected)
    spaced = {name: spread(array, graph.stretch) for name, array in given.items()}
    compared: dict[str, tuple[str, ...]] = {}
    ran: dict[str, SimResult] = {}
    divergence: Divergence | None = None
    for engine in (MACHINE, *chosen):
        doing(engine)
        try:
            got = _run(artifact, spaced, engine=engine, record=record)
        except CompileError as refused:
            if engines is None and isinstance(refused.__cause__, subprocess.TimeoutExpired):
                notes.append(note("NMC921", refused.findings[0].message, COMMAND_LINE))
                continue
            raise
        if got.steps != expected.steps:
            raise RuntimeError(f"engine `{engine}` ran {got.steps} steps of {expected.steps}")
        ran[engine] = got
        if engine == MACHINE and got.weights:
            notes.append(_learns(graph, got))
            compared[engine] = ()
            expected = got
            continue
        compared[engine] = (*(n for n in record if n in got.trace), *got.outputs)
        divergence = first_divergence(expected, got)
        if divergence is not None:
            break
    return Verification(
        (GOLDEN, *compared),
        divergence,
        compared,
        {engine: got.seconds for engine, got in ran.items()},
        {engine: None if got.energy is None else got.energy.joules for engine, got in ran.items()},
        expected.steps,
        expected.samples,
        tuple(notes),
    )


def _learns(graph: Graph, result: SimResult) -> Diagnostic:
    names = ", ".join(f"`{name}`" for name in result.weights)
    message = (
        f"{names} learns on the chip, and golden keeps all weights: witnesses were compared with the machine"
    )
    return note("NMC464", message, graph.nodes[0].loc)


def _first_active(
    graph: Graph, tried: Iterable[Mapping[str, Array]], record: Sequence[str]
) -> tuple[Mapping[str, Array], SimResult]:
    """Golden on the first inputs under which every population spikes, else on those with the fewest silent."""
    best: tuple[Mapping[str, Array], SimResult] | None = None
    for inputs in tried:
        result = _golden(graph, inputs, record=record, dtype=COMPILED)
        if best is None or _silent(result) < _silent(best[1]):
            best = (inputs, result)
        if not _silent(result):
            break
    assert best is not None
    return best


def _silent(result: SimResult) -> int:
    return sum(count == 0 for count in result.spikes.values())


def _ready_witnesses(backend: Backend, graph: Graph) -> tuple[list[str], list[Diagnostic]]:
    """The witnesses that can run here, and a note for each that cannot or would take too long."""
    ready: list[str] = []
    notes: list[Diagnostic] = []
    synapses = _synapses(graph)
    for witness in backend.witnesses:
        missing = witness.ready()
        if missing is None and witness.patience is not None and synapses > witness.patience:
            message = f"witness `{witness.name}` left out: {synapses:,} synapses would take it many minutes"
            notes.append(
                note("NMC921", message, COMMAND_LINE, help=f"ask for it with `--engine {witness.name}`")
            )
        elif missing is None:
            ready.append(witness.name)
        else:
            refused = _not_ready(witness, missing)
            notes.append(note("NMC921", refused.message, COMMAND_LINE, help=refused.help))
    return ready, notes


def _never_spiked(graph: Graph, result: SimResult) -> list[Diagnostic]:
    """A note if populations never spiked, which leaves them nearly unchecked."""
    names = [f"`{name}`" for name, count in result.spikes.items() if count == 0]
    if not names:
        return []
    message = f"never spiked, so that little of it was compared: {', '.join(names)}"
    advice = (
        "give inputs with --input; if none makes it spike, the model may have been read with a wrong step"
    )
    return [note("NMC920", message, graph.nodes[0].loc, help=f"{advice}: --preset, --dt")]


def stimulus(graph: Graph, rate: float = STIMULUS_RATES[0]) -> dict[str, Array]:
    """Seeded random inputs for a graph: spikes at `rate`, or mantissas over the whole range of a graded input."""
    random = np.random.default_rng(STIMULUS_SEED)
    steps, samples = max(STIMULUS_STEPS, 4 * graph.latency), STIMULUS_SAMPLES
    synapses = _synapses(graph)
    if synapses * steps * samples > STIMULUS_WORK:
        steps, samples = max(STIMULUS_WORK // synapses, 4 * graph.latency), 1
    inputs: dict[str, Array] = {}
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        signal = node.op.signal
        shape = (steps, samples, *signal.shape)
        if signal.kind is SignalKind.SPIKE or signal.number is None:
            inputs[node.name] = (random.random(shape) < rate).astype(np.uint8)
        else:
            inputs[node.name] = random.integers(signal.number.lowest, signal.number.highest + 1, shape)
    return inputs


def _synapses(graph: Graph) -> int:
    return sum(describe.synapse_count(node.op) for node in graph.nodes)


def graph_of(artifact: Artifact, folder: str) -> Graph:
    """The integer graph of an artifact."""
    tensors: dict[str, Array] = {}
    for name, content in artifact.files.items():
        place, slash, rest = name.partition("/")
        if slash and place == TENSORS:
            tensors[rest.removesuffix(".npy")] = npy_from_bytes(content)
    if GRAPH_FILE not in artifact.files:
        raise CompileError(error("NMC908", f"the artifact has no `{GRAPH_FILE}`", Loc(folder)))
    return text.parse(artifact.files[GRAPH_FILE].decode(), tensors, file=f"{folder}/{GRAPH_FILE}")


# ---- tools ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tool:
    """A witness, the targets that it serves, and why it cannot run here (None if it can)."""

    name: str
    targets: tuple[str, ...]
    missing: str | None
    installable: bool


def tools() -> tuple[Tool, ...]:
    """Every witness of every target."""
    found: dict[str, Tool] = {}
    for target in registry.names():
        for witness in registry.load(target).witnesses:
            if witness.name in found:
                known = found[witness.name]
                found[witness.name] = replace(known, targets=(*known.targets, target))
            else:
                installable = witness.install is not None
                found[witness.name] = Tool(witness.name, (target,), witness.ready(), installable)
    return tuple(found.values())


def install(name: str, *, doing: Doing = silent) -> Tool:
    """Install a witness where nmc finds it. Does nothing if it is ready already.

    Raises UsageError for an unknown name, CompileError (NMC910) if nmc cannot install it or that failed.
    """
    known = {tool.name: tool for tool in tools()}
    if name not in known:
        message = f"there is no tool `{name}`"
        raise UsageError(error("NMC903", message, COMMAND_LINE, help=nearest(name, known)))
    tool = known[name]
    if tool.missing is None:
        return tool
    witness = find_witness(registry.load(tool.targets[0]), name)
    if witness.install is None:
        message = f"nmc cannot install `{name}`: {tool.missing}"
        raise CompileError(error("NMC910", message, COMMAND_LINE))
    try:
        witness.install(doing)
    except (RuntimeError, subprocess.SubprocessError) as failed:
        message = f"`{name}` was not installed: {failed}"
        raise CompileError(error("NMC910", message, COMMAND_LINE)) from failed
    return replace(tool, missing=witness.ready())
