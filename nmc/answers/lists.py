"""What the commands answer that tell what there is: targets, passes, findings, witnesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmc.answers.answer import Answer, Document
from nmc.answers.words import count, paragraph, plain, words, wrapped
from nmc.report.table import table

if TYPE_CHECKING:
    from nmc.backends.backend import Backend
    from nmc.driver import Tool
    from nmc.errors import Entry
    from nmc.ir.neuron import Arithmetic
    from nmc.passes.pipeline import Pass


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
        f"each takes {count(spec.connection_delay, 'step')}, a synapse up to {spec.max_delay.value:g} more",
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
    lines += paragraph(f"[{number}] {source}" for number, source in enumerate(sources, 1))
    if settings:
        lines += ["", table(["--set", "default", "choices", "meaning"], settings)]
    document: Document = {
        "name": spec.name,
        "title": spec.title,
        "source": spec.source,
        "neurons": {family.value: plain(asdict(a)) for family, a in spec.neurons.items()},
        "weights": plain(asdict(spec.weights)),
        "connections": list(spec.connections),
        "connection_delay": spec.connection_delay,
        "max_delay": plain(asdict(spec.max_delay)),
        "message_bits": spec.message_bits,
        "limits": {name: plain(asdict(figure)) for name, figure in spec.limits.items()},
        "costs": {name: plain(asdict(figure)) for name, figure in spec.costs.items()},
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
    decays = f", decays of {a.decay_bits} bits rounded {words(a.rounding)}" if a.decay_bits else ""
    return f"v of {a.v_bits} bits, {words(a.v_overflow)}{decays}; reset {resets or 'none'}"


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
    example = wrapped(entry.example, indent="  ")
    text = f"{code}: {entry.title}\n\n{wrapped(entry.explanation)}\n\nexample:\n{example}"
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
