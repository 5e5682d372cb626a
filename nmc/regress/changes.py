"""What moved between two results of a case, from causes to effects, and whether it may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from nmc.regress.measure import MODEL
from nmc.regress.result import Nodes, Result, Text, first_line
from nmc.regress.suite import ABSOLUTE, RELATIVE, Tolerance
from nmc.sim.compare import first_divergence
from nmc.sim.trace import SimResult


class Kind(Enum):
    """What a change is of, in the order from causes to effects."""

    ENVIRONMENT = "environment"
    OPTION = "option"
    DATA = "data"
    MODEL = "model"
    SPEC = "spec"
    SOURCE = "source"
    PIPELINE = "pipeline"
    PASS = "pass"
    FILE = "file"
    REFUSED = "refused"
    DIVERGENCE = "divergence"
    METRIC = "metric"
    ENGINE = "engine"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not as it was: where, what it was and is, and whether that is more than may be."""

    kind: Kind
    where: str
    before: str
    after: str
    fails: bool = True

    def __str__(self) -> str:
        return f"{self.kind.value} {self.where}: {self.before} -> {self.after}"


def changes(before: Result, after: Result, tolerance: Tolerance) -> tuple[Change, ...]:
    """Everything that moved, causes first. Causes alone do not fail, but for packages if the suite says so.

    Of passes, the first whose output changed is named with its nodes and fields; of traces, the first step, neuron
    and variable that differ; of files, the first line that does.
    """
    found = [
        *_mapping(Kind.ENVIRONMENT, before.environment, after.environment, fails=tolerance.dependencies),
        *_mapping(Kind.OPTION, before.options, after.options, fails=False),
        *_mapping(Kind.DATA, _short(before.data), _short(after.data), fails=False),
        *_nodes(Kind.MODEL, MODEL, before.passes.get(MODEL, {}), after.passes.get(MODEL, {})),
        *_mapping(Kind.SPEC, before.spec, after.spec, fails=False),
        *_texts(Kind.SOURCE, before.sources, after.sources, fails=False),
        *_pipeline(before, after),
        *_passes(before, after),
        *_texts(Kind.FILE, before.files, after.files, fails=True),
    ]
    if before.refused != after.refused:
        found.append(
            Change(Kind.REFUSED, "compile", before.refused or "it compiled", after.refused or "it compiles")
        )
    found += _divergence(before, after)
    found += _metrics(before.metrics, after.metrics, tolerance)
    found += _engines(before, after)
    return tuple(found)


def cause(found: tuple[Change, ...]) -> Change | None:
    """The first of the changes, which is what the others follow from as far as can be told."""
    return found[0] if found else None


NOTHING = "nothing"


def _mapping(
    kind: Kind, before: Mapping[str, str], after: Mapping[str, str], *, fails: bool
) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        one, other = before.get(name, NOTHING), after.get(name, NOTHING)
        if one != other:
            yield Change(kind, name, one, other, fails)


def _short(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digest[:12] for name, digest in digests.items()}


def _nodes(kind: Kind, where: str, before: Nodes, after: Nodes) -> Iterator[Change]:
    """The fields of nodes that differ, a node that came or went as one."""
    for node in dict.fromkeys([*before, *after]):
        if node not in before or node not in after:
            yield Change(
                kind, f"{where}: {node}", *(("there", "gone") if node in before else ("gone", "there")), False
            )
            continue
        for each in _mapping(kind, before[node], after[node], fails=False):
            place = f"{where}: {node}.{each.where}" if each.where else f"{where}: {node}"
            yield Change(kind, place, each.before, each.after, False)


def _pipeline(before: Result, after: Result) -> Iterator[Change]:
    if before.pipeline != after.pipeline:
        yield Change(Kind.PIPELINE, "passes", ", ".join(before.pipeline), ", ".join(after.pipeline), False)


def _passes(before: Result, after: Result) -> Iterator[Change]:
    """The first pass whose output changed though all that went into it is as it was, or the first that did at all."""
    same = before.passes.get(MODEL) == after.passes.get(MODEL)
    for name in after.passes:
        if name == MODEL or name not in before.passes:
            continue
        if before.passes[name] != after.passes[name]:
            if same:
                yield from _nodes(Kind.PASS, name, before.passes[name], after.passes[name])
            return


def _texts(
    kind: Kind, before: Mapping[str, Text], after: Mapping[str, Text], *, fails: bool
) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            yield Change(kind, name, *(("there", "gone") if name in before else ("gone", "there")), fails)
        elif before[name].digest != after[name].digest:
            line = first_line(before[name], after[name])
            place = name if line is None else f"{name}, line {line}"
            yield Change(kind, place, before[name].digest[:12], after[name].digest[:12], fails)


def _divergence(before: Result, after: Result) -> Iterator[Change]:
    """The first difference of populations, or, where they are equal, of outputs, which have the model's steps."""
    common = [name for name in before.traces if name in after.traces]
    if any(before.traces[name].shape[1:] != after.traces[name].shape[1:] for name in common):
        yield Change(Kind.DIVERGENCE, "traces", "of these shapes", "of others")
        return
    for chosen in ([n for n in common if "." in n], [n for n in common if "." not in n]):
        found = first_divergence(_as_run(before, chosen), _as_run(after, chosen))
        if found is not None:
            neuron = f"`{found.node}` neuron {found.neuron}, {found.variable}"
            where = f"step {found.step}, sample {found.sample}, {neuron}"
            yield Change(Kind.DIVERGENCE, where, f"{found.expected:g}", f"{found.got:g}")
            return
    for name in common:
        one, other = len(before.traces[name]), len(after.traces[name])
        if one != other:
            yield Change(Kind.DIVERGENCE, name, f"{one} steps", f"{other} steps")
            return


def _as_run(result: Result, names: list[str]) -> SimResult:
    named = {name if "." in name else f"{name}.out": result.traces[name] for name in names}
    return SimResult("golden", {}, named)


def _metrics(
    before: Mapping[str, float], after: Mapping[str, float], tolerance: Tolerance
) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            yield Change(Kind.METRIC, name, _number(before.get(name)), _number(after.get(name)))
            continue
        one, other = before[name], after[name]
        if one != other:
            yield Change(
                Kind.METRIC, name, _number(one), _number(other), not _within(name, one, other, tolerance)
            )


def _within(name: str, one: float, other: float, tolerance: Tolerance) -> bool:
    kind = name.partition(".")[0]
    if kind in ABSOLUTE:
        return abs(other - one) <= getattr(tolerance, kind)
    return kind in RELATIVE and abs(other - one) <= getattr(tolerance, kind) * abs(one)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.10g}"


def _engines(before: Result, after: Result) -> Iterator[Change]:
    """An engine that is not equal to golden fails, whatever it was before; one more or less is told."""
    for name in dict.fromkeys([*before.engines, *after.engines]):
        one, other = before.engines.get(name, NOTHING), after.engines.get(name, NOTHING)
        if one != other or other not in {"equal", NOTHING}:
            yield Change(Kind.ENGINE, name, one, other, other != "equal")
