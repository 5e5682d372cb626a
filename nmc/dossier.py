"""Everything there is to look at of an artifact, gathered by running it, as one HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc import artifact as artifacts
from nmc.artifact import Artifact
from nmc.backends import registry
from nmc.backends.backend import Backend
from nmc.driver import LOSSES
from nmc.engines import GOLDEN, MACHINE, Network, graph_of, simulate, stimulus, variables, verify
from nmc.ir.connections import connections
from nmc.ir.graph import Graph
from nmc.ir.linear import Matrix, matrix, size_of, synapses
from nmc.ir.ops import LinearOp, Neuron, output_shape
from nmc.report import charts
from nmc.report.describe import layers
from nmc.report.html import Figure, Page, Section, Table, render
from nmc.sim.trace import SimResult

Array = npt.NDArray[Any]
"""Any: inputs of every numeric dtype."""

SHOWN_NEURONS = 5
"""Membranes that a chart of a population shows: those of its most active neurons."""


def dossier(
    folder: Path,
    inputs: Mapping[str, Array] | None = None,
    *,
    given: str = "",
    doing: Callable[[str], None] = lambda what: None,
) -> bytes:
    """The report of an artifact's folder, run on `inputs` (steps, samples, *shape) or on seeded random ones.

    `given` is the name of the file of inputs, for the commands that the report shows. Raises CompileError for a folder
    that is no whole artifact.
    """
    artifact = artifacts.read(folder)
    graph = graph_of(artifact, str(folder))
    network = Network(graph, artifact)
    backend = registry.load(artifact.manifest.target)
    stimuli = stimulus(graph) if inputs is None else inputs
    record = [name for node in graph.nodes for name in variables(graph, node.name)]
    doing(GOLDEN)
    golden = simulate(network, stimuli, engine=GOLDEN, record=record)
    doing(MACHINE)
    machine = simulate(network, stimuli, engine=MACHINE)
    agreed = verify(network, stimuli, engines=(), doing=doing)
    how = f" --input {given}" if given else ""
    sections = [
        _layers(artifact, graph, folder),
        _activity(graph, golden, folder, how),
        _chip(artifact, graph, golden, folder),
        _costs(backend, machine, folder, how),
        *_pictures(backend, artifact),
        _notes(graph),
        _reproduce(artifact, folder, how),
    ]
    agree = "golden = machine" if agreed.agree else f"golden and machine diverge: {agreed.divergence}"
    summary = (
        f"{sum(n.neurons for n in layers(graph)):,} neurons in {len(layers(graph))} layers; "
        f"{golden.steps} steps of {golden.samples} samples "
        f"of {given or 'seeded random spikes'}; {agree}; digest {artifact.digest[:12]}"
    )
    return render(Page(f"{artifact.manifest.model} on {artifact.manifest.target}", summary, tuple(sections)))


def _layers(artifact: Artifact, graph: Graph, folder: Path) -> Section:
    rows = tuple(
        (
            layer.name,
            layer.kind,
            "x".join(map(str, layer.shape)),
            f"{layer.neurons:,}",
            f"{layer.synapses:,}",
            "" if layer.bits is None else str(layer.bits),
            str(layer.cores or ""),
        )
        for layer in layers(graph)
    )
    head = ("layer", "neuron", "shape", "neurons", "synapses", "bits", "cores")
    figures: list[Figure] = []
    losses = json.loads(artifact.files[LOSSES]) if LOSSES in artifact.files else []
    if losses:
        weights = [(each["node"], 100 * each["weight_error"]) for each in losses]
        figures.append(
            Figure(
                charts.bars(weights, "root mean square error of the weights of each layer", "%"),
                "What quantization changes of each layer's weights (root mean square, relative).",
            )
        )
    measured = [(each["node"], 100 * each["output"]) for each in losses if each["output"] is not None]
    if measured:
        figures.append(
            Figure(
                charts.bars(measured, "share of outputs that each layer's integers change", "%"),
                "Outputs that change if this layer alone is quantized, on the calibration data.",
            )
        )
    return Section(
        "Layers",
        (),
        (Table("Layers in the order of signals", head, rows),),
        tuple(figures),
        f"nmc inspect {folder}",
    )


def _activity(graph: Graph, golden: SimResult, folder: Path, how: str) -> Section:
    figures: list[Figure] = []
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, Neuron):
            continue
        spikes = golden.trace.get(f"{node.name}.spikes")
        if spikes is not None:
            flat = spikes[:, 0].reshape(len(spikes), -1)
            title = f"{node.name}: {int((flat != 0).sum()):,} spikes of {flat.shape[1]:,} neurons, sample 0"
            figures.append(Figure(charts.raster(flat, title), title))
            chosen = np.argsort(-(flat != 0).sum(axis=0), kind="stable")[:SHOWN_NEURONS]
        else:
            chosen = np.arange(min(SHOWN_NEURONS, size_of(output_shape(op))))
        v = golden.trace[f"{node.name}.v"][:, 0].reshape(len(golden.trace[f"{node.name}.v"]), -1)
        title = f"{node.name}: membranes of the neurons {', '.join(map(str, chosen.tolist()))}, in integers"
        figures.append(Figure(charts.traces(v[:, chosen], _threshold(op), title), title))
    words = (
        "Zoom along time: Ctrl and the wheel, or + and - and the arrows on a chart that has the focus; 0 for all.",
    )
    record = " ".join(f"--record {node.name}.spikes" for node in graph.nodes if isinstance(node.op, Neuron))
    command = f"nmc simulate {folder}{how or ' --input IN.npz'} {record} --output OUT.npz"
    return Section("Activity", words, (), tuple(figures), command)


def _threshold(op: Neuron) -> float | None:
    """The threshold that all neurons share, in units of the state."""
    if op.fire is None or op.fire.threshold.size != 1:
        return None
    number = op.fire.threshold.number
    shift = 0 if number is None else number.exponent - op.exponent
    return float(np.ldexp(float(np.asarray(op.fire.threshold.data).ravel()[0]), shift))


# ---- the chip ---------------------------------------------------------------------------------------------


def _chip(artifact: Artifact, graph: Graph, golden: SimResult, folder: Path) -> Section:
    rows = tuple(
        (
            name,
            f"{used:,.6g}",
            f"{limit:,.6g}" if limit else "",
            f"{100 * used / limit:.2f} %" if limit else "",
        )
        for name, (used, limit) in artifact.manifest.resources.items()
    )
    table = Table("What the network takes of the chip", ("resource", "used", "limit", "share"), rows)
    figures: list[Figure] = []
    if graph.placement:
        cells = list(_cores(graph, golden))
        title = f"{len(cells)} cores: neurons as the fill, incoming messages as the disc"
        figures.append(
            Figure(
                charts.floorplan(cells, title),
                f"{title}; full and all traffic are those of the largest core.",
            )
        )
    return Section("Chip", (), (table,), tuple(figures), f"nmc fit MODEL --target {artifact.manifest.target}")


def _cores(graph: Graph, golden: SimResult) -> Iterator[tuple[str, float, float]]:
    """Of each core: its name with what it holds, its share of neurons and of messages of the most that one has."""
    count = 1 + max(part.core for part in graph.placement)
    neurons, messages = np.zeros(count), np.zeros(count)
    names: list[list[str]] = [[] for _ in range(count)]
    for part in graph.placement:
        neurons[part.core] += part.stop - part.start
        names[part.core].append(f"{part.node} {part.start} to {part.stop - 1}")
    for link in connections(graph):
        sent = golden.trace.get(f"{link.src}.spikes")
        if sent is None:
            continue
        spikes = (sent != 0).sum(axis=(0, 1)).ravel()
        op = graph[link.name].op
        assert isinstance(op, LinearOp)
        reached: Matrix = matrix(synapses(op))
        for part in graph.placement:
            if part.node == link.dst:
                rows: Matrix = reached[part.start : part.stop]
                messages[part.core] += spikes[np.unique(rows.indices)].sum()
    most, busiest = neurons.max(initial=0) or 1.0, messages.max(initial=0) or 1.0
    for core in range(count):
        label = f"core {core}: {', '.join(names[core]) or 'empty'}"
        yield label, float(neurons[core] / most), float(messages[core] / busiest)


# ---- time and energy --------------------------------------------------------------------------------------


def _costs(backend: Backend, machine: SimResult, folder: Path, how: str) -> Section:
    rows: list[tuple[str, ...]] = []
    if machine.cycles is not None:
        cells = machine.steps * machine.samples
        rows += [("cycles", f"{machine.cycles:,}", f"{machine.cycles / cells:,.1f} a step")]
    if machine.seconds is not None:
        rows.append(
            (
                "time on the chip",
                f"{machine.seconds:.4g} s",
                f"{machine.seconds / machine.samples:.4g} s a sample",
            )
        )
    if machine.energy is not None:
        each = machine.energy.joules / machine.samples
        rows.append(("energy", f"{machine.energy.joules:.4g} J", f"{each:.4g} J a sample"))
    rows += [(name.replace("_", " "), f"{value:,.6g}", "") for name, value in machine.counts.items()]
    words = [f"Energy: {machine.energy.basis}."] if machine.energy is not None else []
    tables = [Table("What the machine counted, of all samples", ("what", "in all", "each"), tuple(rows))]
    figures = [
        Figure(charts.cycles(values[:, 0], f"{name}, sample 0"), f"{name} of each step of sample 0")
        for name, values in machine.by_step.items()
    ]
    costs = tuple(
        (name.replace("_", " "), f"{figure.value:.4g} {figure.unit}", figure.basis.value, figure.source)
        for name, figure in backend.target.costs.items()
    )
    if costs:
        words.append("Figures below are measured, documented or assumed, as their basis says.")
        tables.append(
            Table("Figures of the model and their sources", ("figure", "value", "basis", "source"), costs)
        )
    command = f"nmc simulate {folder} --engine machine{how or ' --input IN.npz'}"
    return Section("Time and energy", tuple(words), tuple(tables), tuple(figures), command)


def _pictures(backend: Backend, artifact: Artifact) -> Sequence[Section]:
    if backend.pictures is None:
        return ()
    drawn = backend.pictures(artifact)
    figures = tuple(Figure(_framed(title, svg), title) for title, svg in drawn.items())
    return (Section("Pictures", (), (), figures),) if figures else ()


def _framed(title: str, svg: str) -> str:
    """A target's own picture, whose style sheet must not reach the page."""
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<div class="picture" tabindex="0" role="region" aria-label="{escape(title, quote=True)}">'
        f'<img alt="{escape(title, quote=True)}" src="data:image/svg+xml;base64,{data}"></div>'
    )


# ---- words ------------------------------------------------------------------------------------------------


def _notes(graph: Graph) -> Section:
    rows = tuple((note.severity.value, note.code, note.message, str(note.loc)) for note in graph.notes)
    words = () if rows else ("Nothing was assumed or approximated.",)
    table = (Table("What was assumed or approximated", ("", "code", "what", "where"), rows),) if rows else ()
    return Section("Diagnostics", words, table, (), "nmc explain CODE" if rows else "")


def _reproduce(artifact: Artifact, folder: Path, how: str) -> Section:
    manifest = artifact.manifest
    settings = " ".join(
        f"--set {key}={value}"
        for _, chosen in manifest.pipeline
        for key, value in chosen.items()
        if key in SETTINGS
    )
    rows = (
        ("nmc", manifest.nmc),
        ("model", f"{manifest.model}, SHA-256 {manifest.model_digest}"),
        ("target", f"{manifest.target}, SHA-256 of its description {manifest.target_digest}"),
        ("artifact", f"SHA-256 {artifact.digest}"),
        (
            "compile",
            f"nmc compile {manifest.model} --target {manifest.target} {settings} -o {folder}".replace(
                "  ", " "
            ),
        ),
        ("verify", f"nmc verify {folder}{how}"),
        ("this page", f"nmc report {folder}{how}"),
    )
    passes = tuple(
        (name, ", ".join(f"{k}={v}" for k, v in chosen.items())) for name, chosen in manifest.pipeline
    )
    tables = (
        Table("What this was made of, and the commands that make it again", ("", ""), rows),
        Table("Passes and their settings", ("pass", "settings"), passes),
    )
    return Section("How to reproduce", (), tables)


SETTINGS = ("weight_bits", "message_bits", "lanes", "cycles_per_step", "part")
"""Settings of passes that users give by the same name."""
