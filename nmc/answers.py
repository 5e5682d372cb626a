"""What each command answers: text for people and one JSON document for scripts, side by side. Nothing prints."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING

from nmc.diagnostics import Diagnostic
from nmc.report.table import table

if TYPE_CHECKING:
    from pathlib import Path

    from nmc.backends.backend import Backend, Resource
    from nmc.driver import Compiled, Inspection, Network, Tool, Verification
    from nmc.errors import Entry
    from nmc.ir.graph import Graph
    from nmc.ir.neuron import Arithmetic
    from nmc.passes.measure import LayerError
    from nmc.passes.pipeline import Pass
    from nmc.report.describe import Layer
    from nmc.sim.trace import SimResult

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says. `document` lacks its schema, which `as_json` puts first."""

    text: str
    document: Document


def as_json(command: str, document: Document) -> str:
    """The JSON document of a command."""
    return json.dumps({"schema": f"nmc.{command}/1", **document}, indent=2)


# ---- findings ---------------------------------------------------------------------------------------------


def finding(diagnostic: Diagnostic) -> Document:
    """A finding as JSON."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": diagnostic.loc.file,
        "node": diagnostic.loc.node,
        "field": diagnostic.loc.field,
        "help": diagnostic.help,
        "also": [asdict(place) for place in diagnostic.also],
    }


def findings(found: Iterable[Diagnostic]) -> list[Document]:
    """Findings as JSON."""
    return [finding(each) for each in found]


# ---- compile ----------------------------------------------------------------------------------------------


def compiled(done: Compiled, *, output: Path | None, changes: Mapping[str, str] | None) -> Answer:
    """The summary of a compile, written to `output`, or compared with what is there already."""
    manifest = done.artifact.manifest
    cores = next((each for each in done.resources if each.name == "cores"), None)
    lines = [
        f"{manifest.model} on {manifest.target}: {len(done.layers)} layers, "
        f"{_count(sum(layer.neurons for layer in done.layers), 'neuron')}, "
        f"{_count(sum(layer.synapses for layer in done.layers), 'synapse')}"
        + (f", every output {_count(done.graph.latency, 'step')} later" if done.graph.latency else ""),
        "",
        _layers(done.layers, cores),
        "",
        _resources(done.resources),
    ]
    lines += _paragraph(str(each) for each in done.notes)
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
        "loses_most": None if done.loss is None else done.loss.node,
        "notes": findings(done.notes),
        "output": None if output is None else str(output),
    }
    if changes is not None:
        document["changes"] = dict(changes)
    return Answer("\n".join(lines), document)


def _layers(layers: Sequence[Layer], cores: Resource | None) -> str:
    head = ["layer", "neuron", "shape", "neurons", "synapses", "bits", "cores", "share of cores"]
    rows = [
        [
            layer.name,
            layer.kind,
            _shape(layer.shape),
            f"{layer.neurons:,}",
            f"{layer.synapses:,}",
            "" if layer.bits is None else str(layer.bits),
            str(layer.cores or ""),
            _percent(layer.cores / cores.limit) if cores is not None and layer.cores else "",
        ]
        for layer in layers
    ]
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    return table([head[c] for c in used], [[row[c] for c in used] for row in rows])


def _resources(resources: Sequence[Resource]) -> str:
    rows = [
        [each.name, _number(each.used), _number(each.limit), _percent(each.used / each.limit)]
        for each in resources
    ]
    return table(["resource", "used", "limit", "share"], rows)


def _loss(loss: LayerError) -> str:
    """The layer that loses most to quantization, in a sentence."""
    weights = f"its weights are off by {_percent(loss.weight_error)} (root mean square)"
    if loss.output is None:
        return f"loses most to quantization: {loss.node}; {weights}"
    own = "" if loss.own is None else f"{_percent(loss.own)} of its own spikes and "
    alone = f"alone it changes {own}{_percent(loss.output)} of the outputs"
    return f"loses most to quantization: {loss.node}; {alone}; {weights}"


def _layer(layer: Layer) -> Document:
    return {**asdict(layer), "shape": list(layer.shape)}


def stopped(graph: Graph, shown: str, *, after: str) -> Answer:
    """The graph after the pass at which a compile was told to stop."""
    return Answer(shown, {"stopped_after": after, "graph": shown, "notes": findings(graph.notes)})


# ---- simulate and verify ----------------------------------------------------------------------------------


def simulated(
    result: SimResult, network: Network, *, right: tuple[int, int] | None, output: Path | None
) -> Answer:
    """What a run gave; `right` is how many of how many samples were decoded as labelled."""
    late = network.graph.latency
    lines = [
        f"{result.by}: {_count(result.steps, 'step')} of {_count(result.samples, 'sample')}"
        + (f", and {_count(late, 'step')} more until the last outputs came" if late else "")
    ]
    cells = (result.steps + late) * result.samples
    rows = [
        [name, f"{neurons:,}", f"{result.spikes[name]:,}", f"{result.spikes[name] / (cells * neurons):.4f}"]
        for name, neurons in network.neurons.items()
        if name in result.spikes
    ]
    if rows:
        lines += ["", table(["population", "neurons", "spikes", "per neuron and step"], rows)]
    if result.counts:
        lines += ["", table(["count", "total"], [[name, _number(n)] for name, n in result.counts.items()])]
    facts: list[str] = []
    if result.cycles is not None:
        facts.append(f"cycles: {result.cycles:,}")
    if result.seconds is not None:
        each = _si(result.seconds / result.samples, "s")
        facts.append(f"time on the chip: {_si(result.seconds, 's')}, {each} a sample")
    if result.energy is not None:
        each = _si(result.energy.joules / result.samples, "J")
        facts += [f"energy: {_si(result.energy.joules, 'J')}, {each} a sample", f"  {result.energy.basis}"]
    if right is not None:
        facts.append(f"accuracy: {_percent(right[0] / right[1])} ({right[0]} of {right[1]})")
    if output is not None:
        facts.append(f"wrote {output}")
    lines += _paragraph(facts)
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
    ran = f"{_count(done.steps, 'step')} of {_count(done.samples, 'sample')}"
    if done.divergence is None:
        lines = [f"{' = '.join(done.engines)} in all {ran}"]
    else:
        lines = [f"{done.engines[0]} and {done.engines[-1]} diverge: {done.divergence}"]
    rows = [
        [
            engine,
            _compared(names),
            "" if done.seconds[engine] is None else _si(done.seconds[engine] or 0.0, "s"),
            "" if done.joules[engine] is None else _si(done.joules[engine] or 0.0, "J"),
        ]
        for engine, names in done.compared.items()
    ]
    head = ["engine", "compared with golden", "time on the chip", "energy"]
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines += ["", table([head[c] for c in used], [[row[c] for c in used] for row in rows])]
    lines += _paragraph(str(each) for each in done.notes)
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
    for count in dict.fromkeys(counts.values()):
        variables = ", ".join(variable for variable, n in counts.items() if n == count)
        parts.append(f"{variables} of {_count(count, 'population')}")
    return "; ".join(parts)


# ---- inspect ----------------------------------------------------------------------------------------------


def inspected(seen: Inspection) -> Answer:
    """What a network is: its ends, layers, neurons, loops and delays."""
    graph = seen.graph
    step = "time in seconds, no step yet" if graph.step is None else f"steps of {graph.step:g} s"
    if not seen.in_seconds and graph.step is None:
        step = "time in steps"
    lines = [f"{seen.name}: {step}"]
    for title, ends in (("inputs", seen.inputs), ("outputs", seen.outputs)):
        lines.append(f"{title}: " + ", ".join(f"{name} {_shape(shape)}" for name, shape in ends.items()))
    if seen.axes:
        lines.append("in the file: " + ", ".join(f"{n} ({', '.join(axes)})" for n, axes in seen.axes.items()))
    if seen.states:
        told = (
            f"{s.name} is {s.variable}" + (f" and begins with {s.initial}" * bool(s.initial))
            for s in seen.states
        )
        lines.append("states: " + ", ".join(told))
    lines += ["", _layers(seen.layers, None)]
    for name, sentences in seen.equations.items():
        lines += ["", f"{name}:", *(f"  {sentence}" for sentence in sentences)]
    loops = [f"  {' -> '.join(loop.nodes)}: {_count(loop.delay, 'step')} of delay" for loop in seen.loops]
    lines += ["", "loops:", *loops] if loops else ["", "loops: none"]
    lines += ["", "delays:", *(f"  {each}" for each in seen.delays)] if seen.delays else ["delays: none"]
    lines += _paragraph(str(each) for each in graph.notes)
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
        "equations": {name: list(sentences) for name, sentences in seen.equations.items()},
        "loops": [asdict(loop) for loop in seen.loops],
        "delays": list(seen.delays),
        "nodes": [{"name": node.name, "op": type(node.op).__name__} for node in graph.nodes],
        "edges": [asdict(edge) for edge in graph.edges],
        "notes": findings(graph.notes),
    }
    return Answer("\n".join(lines), document)


# ---- targets, passes, codes and tools ---------------------------------------------------------------------


def targets(backends: Sequence[Backend]) -> Answer:
    """Every target, a line each."""
    rows = [[b.target.name, b.target.title, ", ".join(w.name for w in b.witnesses)] for b in backends]
    text = table(["target", "what it is", "witnesses"], rows)
    names: list[Document] = [
        {"name": b.target.name, "title": b.target.title, "witnesses": [w.name for w in b.witnesses]}
        for b in backends
    ]
    return Answer(f"{text}\n\nmore: nmc targets NAME", {"targets": names})


def target(backend: Backend) -> Answer:
    """All that is known of one target: neurons, weights, limits, costs and settings, each with its source."""
    spec = backend.target
    families = [[family.value, _arithmetic(a)] for family, a in spec.neurons.items()]
    settings = [[s.name, s.default, _choices(s.choices), s.help] for s in backend.settings]
    bits = spec.weights.bits
    width = f"{bits[0]} to {bits[-1]} bits"
    lines = [
        f"{spec.name}: {spec.title}",
        f"source: {spec.source}",
        f"weights: {width}",
        f"connections: {', '.join(name.lower() for name in spec.connections)}; "
        f"each takes {_count(spec.connection_delay, 'step')}, a synapse up to {spec.max_delay.value:g} more",
        "messages: spikes" + (f", or integers of {spec.message_bits} bits" if spec.message_bits else " only"),
        "",
        table(["neuron", "in integers"], families),
    ]
    sources = list(dict.fromkeys(f.source for f in (*spec.limits.values(), *spec.costs.values())))
    for title, figures in (("limit", spec.limits), ("cost", spec.costs)):
        if figures:
            rows = [
                [name, f"{f.value:,.6g}", f.unit, f.basis.value, f"[{sources.index(f.source) + 1}]"]
                for name, f in figures.items()
            ]
            lines += ["", table([title, "value", "unit", "basis", "source"], rows)]
    lines += _paragraph(f"[{number}] {source}" for number, source in enumerate(sources, 1))
    if settings:
        lines += ["", table(["--set", "default", "choices", "meaning"], settings)]
    document: Document = {
        "name": spec.name,
        "title": spec.title,
        "source": spec.source,
        "neurons": {family.value: _plain(asdict(a)) for family, a in spec.neurons.items()},
        "weights": _plain(asdict(spec.weights)),
        "connections": list(spec.connections),
        "connection_delay": spec.connection_delay,
        "max_delay": _plain(asdict(spec.max_delay)),
        "message_bits": spec.message_bits,
        "limits": {name: _plain(asdict(figure)) for name, figure in spec.limits.items()},
        "costs": {name: _plain(asdict(figure)) for name, figure in spec.costs.items()},
        "settings": [asdict(setting) for setting in backend.settings],
        "witnesses": [witness.name for witness in backend.witnesses],
    }
    return Answer("\n".join(lines), document)


def _choices(choices: Sequence[str]) -> str:
    """Choices as a person writes them: `2..8` for whole numbers in a row."""
    if not choices:
        return "any"
    if len(choices) > 2 and all(text.isdigit() for text in choices):
        numbers = [int(text) for text in choices]
        if numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{numbers[0]}..{numbers[-1]}"
    return ", ".join(choices)


def _arithmetic(a: Arithmetic) -> str:
    resets = ", ".join(f"{reset.name} {when.name}".lower().replace("_", " ") for reset, when in a.resets)
    decays = f", decays of {a.decay_bits} bits rounded {_words(a.rounding)}" if a.decay_bits else ""
    return f"v of {a.v_bits} bits, {_words(a.v_overflow)}{decays}; reset {resets or 'none'}"


def passes(name: str, steps: Sequence[Pass]) -> Answer:
    """The passes of a target, in the order in which they run."""
    rows = [
        [
            step.name,
            ", ".join(sorted(fact.value for fact in step.needs)),
            ", ".join(sorted(fact.value for fact in step.gives)),
            ", ".join(f"{key}={text}" for key, text in step.settings.items()),
        ]
        for step in steps
    ]
    each: list[Document] = [
        {
            "name": step.name,
            "needs": sorted(fact.value for fact in step.needs),
            "gives": sorted(fact.value for fact in step.gives),
            "settings": dict(step.settings),
        }
        for step in steps
    ]
    return Answer(table(["pass", "needs", "gives", "settings"], rows), {"target": name, "passes": each})


def explained(code: str, entry: Entry) -> Answer:
    """One entry of the catalogue of findings."""
    example = _wrapped(entry.example, indent="  ")
    text = f"{code}: {entry.title}\n\n{_wrapped(entry.explanation)}\n\nexample:\n{example}"
    return Answer(text, {"code": code, **asdict(entry)})


def codes(catalogue: Mapping[str, Entry]) -> Answer:
    """Every code of the catalogue, a line each."""
    rows = [[code, entry.title] for code, entry in catalogue.items()]
    return Answer(table(["code", "title"], rows), {"codes": {code: e.title for code, e in catalogue.items()}})


def tools(found: Sequence[Tool]) -> Answer:
    """Which witnesses are here, and what installs the others."""
    rows = [
        [tool.name, ", ".join(tool.targets), "ready" if tool.missing is None else "missing"] for tool in found
    ]
    lines = [table(["witness", "targets", "state"], rows)]
    for tool in found:
        if tool.missing is not None:
            lines += ["", f"{tool.name}: {tool.missing}"]
            command = f"nmc tools install {tool.name}"
            if tool.installable and command not in tool.missing:
                lines.append(f"  {command}")
    each: list[Document] = [
        {
            "name": tool.name,
            "targets": list(tool.targets),
            "ready": tool.missing is None,
            "missing": tool.missing,
            "installable": tool.installable,
        }
        for tool in found
    ]
    return Answer("\n".join(lines), {"tools": each})


# ---- words and numbers ------------------------------------------------------------------------------------


def _plain(value: object) -> object:
    """The value as JSON knows it: enums by name, mappings with text keys."""
    match value:
        case Enum():
            return value.name.lower()
        case Mapping():
            return {str(_plain(key)): _plain(each) for key, each in value.items()}
        case tuple() | list():
            return [_plain(each) for each in value]
        case _:
            return value


def _words(value: Enum) -> str:
    return value.name.lower().replace("_", " ")


def _paragraph(texts: Iterable[str]) -> list[str]:
    found = list(texts)
    return ["", *found] if found else []


def _wrapped(text: str, *, indent: str = "") -> str:
    """Text in lines that a person reads with ease; what stands in lines of its own stays there."""
    lines = [
        textwrap.fill(line, 100, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _count(number: int, noun: str) -> str:
    """`1 step`, `3 steps`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}s"


def _number(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.4g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _si(number: float, unit: str) -> str:
    """A quantity with the prefix at which it has one to three digits before the point."""
    for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p")):
        if abs(number) >= scale:
            return f"{number / scale:.4g} {prefix}{unit}"
    return f"{number:.4g} {unit}"
