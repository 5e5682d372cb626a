"""What the commands on one network answer: compile, simulate, verify, inspect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmc.answers.answer import Answer, Document, findings
from nmc.answers.words import count, number, paragraph, percent, shape, si
from nmc.report.table import table

if TYPE_CHECKING:
    from pathlib import Path

    from nmc.backends.backend import Report, Resource
    from nmc.difference import Difference
    from nmc.driver import Compiled, Inspection, Network, Verification
    from nmc.ir.graph import Graph
    from nmc.passes.energy import LayerCost
    from nmc.passes.measure import LayerError
    from nmc.report.describe import Layer
    from nmc.sim.trace import SimResult


def compiled(
    done: Compiled, *, output: Path | None, changes: Mapping[str, str] | None, report: Report | None = None
) -> Answer:
    """The summary of a compile, written to `output`, or compared with what is there already, and what the target's own
    tools report of it."""
    manifest = done.artifact.manifest
    cores = next((each for each in done.resources if each.name == "cores"), None)
    lines = [
        f"{manifest.model} on {manifest.target}: {len(done.layers)} layers, "
        f"{count(sum(layer.neurons for layer in done.layers), 'neuron')}, "
        f"{count(sum(layer.synapses for layer in done.layers), 'synapse')}"
        + (f", every output {count(done.graph.latency, 'step')} later" if done.graph.latency else ""),
        "",
        _layers(done.layers, cores),
        "",
        _resources(done.resources),
    ]
    if done.costs:
        lines += ["", _costs(done.costs)]
    if report is not None:
        lines += ["", _reported(report)]
    lines += paragraph(str(each) for each in done.notes)
    if done.loss is not None:
        lines += ["", _loss(done.loss)]
    if changes is not None:
        lines += (
            ["", *(f"{kind}: {name}" for name, kind in changes.items())] if changes else ["", "unchanged"]
        )
    if output is not None:
        lines += ["", f"wrote {output}; next: nmc verify {output}"]
    document: Document = {
        "target": manifest.target,
        "model": manifest.model,
        "digest": done.artifact.digest,
        "latency": done.graph.latency,
        "resources": {each.name: {"used": each.used, "limit": each.limit} for each in done.resources},
        "layers": [_layer(layer) for layer in done.layers],
        "losses": [asdict(each) for each in done.losses],
        "costs": [asdict(each) for each in done.costs],
        "loses_most": None if done.loss is None else done.loss.node,
        "notes": findings(done.notes),
        "output": None if output is None else str(output),
    }
    if changes is not None:
        document["changes"] = dict(changes)
    if report is not None:
        document["report"] = {
            "by": report.by,
            "resources": {each.name: {"used": each.used, "limit": each.limit} for each in report.resources},
            "clock_mhz": report.clock_mhz,
        }
    return Answer("\n".join(lines), document)


def _layers(layers: Sequence[Layer], cores: Resource | None) -> str:
    head = ["layer", "neuron", "shape", "neurons", "synapses", "bits", "cores", "share of cores"]
    rows = [
        [
            layer.name,
            layer.kind,
            shape(layer.shape),
            f"{layer.neurons:,}",
            f"{layer.synapses:,}",
            "" if layer.bits is None else str(layer.bits),
            str(layer.cores or ""),
            percent(layer.cores / cores.limit) if cores is not None and layer.cores else "",
        ]
        for layer in layers
    ]
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    return table([head[c] for c in used], [[row[c] for c in used] for row in rows])


def _costs(costs: Sequence[LayerCost]) -> str:
    """Bit Budget, synaptic operations and energy of each layer, and of all."""
    from nmc.passes.energy import HOROWITZ  # here: `nmc --help` loads no numpy

    rows = [
        [
            each.name,
            f"{each.memory_bits:,}",
            f"{each.bit_budget:,}",
            number(round(each.synaptic_operations)),
            number(round(each.effort)),
            si(each.joules, "J"),
        ]
        for each in costs
    ]
    synapses = sum(each.synapses for each in costs)
    budget = sum(each.bit_budget for each in costs)
    rows.append(
        [
            "all",
            f"{sum(each.memory_bits for each in costs):,}",
            f"{budget:,}",
            number(round(sum(each.synaptic_operations for each in costs))),
            number(round(sum(each.effort for each in costs))),
            si(sum(each.joules for each in costs), "J"),
        ]
    )
    of = "a step in which all spikes" if costs[0].steps == 1 else f"{costs[0].steps} steps of a sample"
    head = ["layer", "memory bits", "bit budget", "synaptic operations", "times bits", "energy"]
    each = number(round(budget / synapses, 1)) if synapses else "0"
    basis = f"energy estimated with the figures of {HOROWITZ}"
    return f"{table(head, rows)}\nfor {of}; Bit Budget {each} a synapse; {basis}"


def _resources(resources: Sequence[Resource]) -> str:
    rows = [
        [
            each.name,
            number(each.used),
            *([number(each.limit), percent(each.used / each.limit)] if each.limit else ["", ""]),
        ]
        for each in resources
    ]
    return table(["resource", "used", "limit", "share"], rows)


def _reported(report: Report) -> str:
    """What the target's own tools say, and by whom."""
    clock = "" if report.clock_mhz is None else f", clock {number(report.clock_mhz)} MHz"
    return f"after place and route by {report.by}{clock}:\n\n{_resources(report.resources)}"


def _loss(loss: LayerError) -> str:
    """The layer that loses most to quantization, in a sentence."""
    weights = f"its weights are off by {percent(loss.weight_error)} (root mean square)"
    if loss.output is None:
        return f"loses most to quantization: {loss.node}; {weights}"
    own = "" if loss.own is None else f"{percent(loss.own)} of its own spikes and "
    alone = f"alone it changes {own}{percent(loss.output)} of the outputs"
    return f"loses most to quantization: {loss.node}; {alone}; {weights}"


def _layer(layer: Layer) -> Document:
    return {**asdict(layer), "shape": list(layer.shape)}


def stopped(graph: Graph, shown: str, *, after: str) -> Answer:
    """The graph after the pass at which a compile was told to stop."""
    return Answer(shown, {"stopped_after": after, "graph": shown, "notes": findings(graph.notes)})


def simulated(
    result: SimResult, network: Network, *, right: tuple[int, int] | None, output: Path | None
) -> Answer:
    """What a run gave; `right` is how many of how many samples were decoded as labelled."""
    late = network.graph.latency
    lines = [
        f"{result.by}: {count(result.steps, 'step')} of {count(result.samples, 'sample')}"
        + (f", and {count(late, 'step')} more until the last outputs came" if late else "")
    ]
    cells = (result.steps * network.graph.stretch + late) * result.samples
    rows = [
        [name, f"{neurons:,}", f"{result.spikes[name]:,}", f"{result.spikes[name] / (cells * neurons):.4f}"]
        for name, neurons in network.neurons.items()
        if name in result.spikes
    ]
    if rows:
        lines += ["", table(["population", "neurons", "spikes", "per neuron and step"], rows)]
    if result.counts:
        lines += ["", table(["count", "total"], [[name, number(n)] for name, n in result.counts.items()])]
    facts: list[str] = []
    if result.cycles is not None:
        facts.append(f"cycles: {result.cycles:,}")
    if result.seconds is not None:
        each = si(result.seconds / result.samples, "s")
        facts.append(f"time on the chip: {si(result.seconds, 's')}, {each} a sample")
    if result.energy is not None:
        each = si(result.energy.joules / result.samples, "J")
        facts += [f"energy: {si(result.energy.joules, 'J')}, {each} a sample", f"  {result.energy.basis}"]
    if right is not None:
        facts.append(f"accuracy: {percent(right[0] / right[1])} ({right[0]} of {right[1]})")
    if output is not None:
        facts.append(f"wrote {output}")
    lines += paragraph(facts)
    document: Document = {
        "engine": result.by,
        "steps": result.steps,
        "samples": result.samples,
        "latency": late,
        "accuracy": None if right is None else right[0] / right[1],
        "spikes": dict(result.spikes),
        "cycles": result.cycles,
        "seconds": result.seconds,
        "energy_joules": None if result.energy is None else result.energy.joules,
        "energy_basis": None if result.energy is None else result.energy.basis,
        "counts": dict(result.counts),
        "outputs": {name: list(array.shape) for name, array in result.outputs.items()},
        "output": None if output is None else str(output),
        "notes": findings(network.graph.notes),
    }
    return Answer("\n".join(lines), document)


def verified(done: Verification) -> Answer:
    """Whether the engines agree, or where they first do not."""
    ran = f"{count(done.steps, 'step')} of {count(done.samples, 'sample')}"
    if done.divergence is None:
        lines = [f"{' = '.join(done.engines)} in all {ran}"]
    else:
        lines = [f"{done.engines[0]} and {done.engines[-1]} diverge: {done.divergence}"]
    rows = [
        [
            engine,
            _compared(names),
            "" if done.seconds[engine] is None else si(done.seconds[engine] or 0.0, "s"),
            "" if done.joules[engine] is None else si(done.joules[engine] or 0.0, "J"),
        ]
        for engine, names in done.compared.items()
    ]
    head = ["engine", "compared with golden", "time on the chip", "energy"]
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines += ["", table([head[c] for c in used], [[row[c] for c in used] for row in rows])]
    lines += paragraph(str(each) for each in done.notes)
    document: Document = {
        "agree": done.agree,
        "engines": list(done.engines),
        "divergence": None
        if done.divergence is None
        else {"engine": done.engines[-1], **asdict(done.divergence)},
        "compared": {engine: list(names) for engine, names in done.compared.items()},
        "seconds": dict(done.seconds),
        "energy_joules": dict(done.joules),
        "steps": done.steps,
        "samples": done.samples,
        "notes": findings(done.notes),
    }
    return Answer("\n".join(lines), document)


def _compared(names: Sequence[str]) -> str:
    """Outputs by name, and of how many populations each variable was compared."""
    counts: dict[str, int] = {}
    for name in names:
        node, _, variable = name.rpartition(".")
        if node:
            counts[variable] = counts.get(variable, 0) + 1
    parts = [name for name in names if "." not in name]
    for many in dict.fromkeys(counts.values()):
        variables = ", ".join(variable for variable, n in counts.items() if n == many)
        parts.append(f"{variables} of {count(many, 'population')}")
    return "; ".join(parts)


def inspected(seen: Inspection) -> Answer:
    """What a network is: its ends, layers, neurons, loops and delays."""
    graph = seen.graph
    step = "time in seconds, no step yet" if graph.step is None else f"steps of {graph.step:g} s"
    if not seen.in_seconds and graph.step is None:
        step = "time in steps"
    lines = [f"{seen.name}: {step}"]
    for title, ends in (("inputs", seen.inputs), ("outputs", seen.outputs)):
        lines.append(f"{title}: " + ", ".join(f"{name} {shape(size)}" for name, size in ends.items()))
    if seen.axes:
        lines.append("in the file: " + ", ".join(f"{n} ({', '.join(axes)})" for n, axes in seen.axes.items()))
    if seen.states:
        told = (
            f"{s.name} is {s.variable}" + (f" and begins with {s.initial}" * bool(s.initial))
            for s in seen.states
        )
        lines.append("states: " + ", ".join(told))
    lines += ["", _layers(seen.layers, None)]
    if seen.costs:
        lines += ["", _costs(seen.costs)]
    for name, sentences in seen.equations.items():
        lines += ["", f"{name}:", *(f"  {sentence}" for sentence in sentences)]
    loops = [f"  {' -> '.join(loop.nodes)}: {count(loop.delay, 'step')} of delay" for loop in seen.loops]
    lines += ["", "loops:", *loops] if loops else ["", "loops: none"]
    lines += ["", "delays:", *(f"  {each}" for each in seen.delays)] if seen.delays else ["delays: none"]
    lines += paragraph(str(each) for each in graph.notes)
    document: Document = {
        "model": seen.name,
        "digest": seen.digest,
        "step": graph.step,
        "inputs": {name: list(shape) for name, shape in seen.inputs.items()},
        "outputs": {name: list(shape) for name, shape in seen.outputs.items()},
        "axes": {name: list(axes) for name, axes in seen.axes.items()},
        "states": [
            {"name": each.name, "variable": each.variable, "initial": each.initial} for each in seen.states
        ],
        "layers": [_layer(layer) for layer in seen.layers],
        "costs": [asdict(each) for each in seen.costs],
        "equations": {name: list(sentences) for name, sentences in seen.equations.items()},
        "loops": [asdict(loop) for loop in seen.loops],
        "delays": list(seen.delays),
        "nodes": [{"name": node.name, "op": type(node.op).__name__} for node in graph.nodes],
        "edges": [asdict(edge) for edge in graph.edges],
        "notes": findings(graph.notes),
    }
    return Answer("\n".join(lines), document)


def differs(before: str, after: str, found: Sequence[Difference]) -> Answer:
    """What differs between two models or artifacts, from the network down to bytes."""
    lines: list[str] = []
    for level in dict.fromkeys(each.level for each in found):
        lines += [f"{level.value}:", *(f"  {each}" for each in found if each.level is level), ""]
    lines.append(
        f"{count(len(found), 'difference')} between {before} and {after}" if found else "no difference"
    )
    document: Document = {
        "before": before,
        "after": after,
        "same": not found,
        "changes": [{"level": each.level.value, "where": each.where, "what": each.what} for each in found],
    }
    return Answer("\n".join(lines), document)


def reported(path: Path, size: int) -> Answer:
    """Where a report was written."""
    return Answer(f"wrote {path}", {"output": str(path), "bytes": size})
