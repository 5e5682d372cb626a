"""What the commands answer that compile one model many times: fit, explore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmc.answers.answer import Answer, Document, findings
from nmc.answers.words import number, percent, si
from nmc.report.table import table

if TYPE_CHECKING:
    from pathlib import Path

    from nmc.diagnostics import Excess
    from nmc.exploration.explore import Sweep
    from nmc.exploration.fit import Fit, Remedy


def fitted(name: str, found: Sequence[Fit]) -> Answer:
    """Whether a model fits each target, and which limit binds."""
    rows = [
        [
            each.target,
            "fits" if each.fits else "does not fit" if each.binding is not None else "cannot hold it",
            "" if each.binding is None else each.binding.limit,
            "" if each.binding is None else number(each.binding.needed),
            "" if each.binding is None else number(each.binding.available),
            "" if each.by is None else percent(each.by),
        ]
        for each in found
    ]
    lines = [name, "", table(["target", "", "binding limit", "needed", "available", "share"], rows)]
    for each in found:
        if each.fits:
            continue
        lines += ["", *(f"{each.target}: {finding}" for finding in each.findings)]
        lines += [f"  {_remedy(remedy)}" for remedy in each.remedies]
    document: Document = {"model": name, "targets": {each.target: _fit(each) for each in found}}
    return Answer("\n".join(lines), document)


def _remedy(remedy: Remedy) -> str:
    left = "" if remedy.binding is None else f", {_share(remedy.binding)}"
    return f"`--set {remedy.setting}={remedy.value}` makes it fit{left}"


def _share(limit: Excess) -> str:
    return f"{number(limit.needed)} of {number(limit.available)}: {limit.limit}"


def _fit(each: Fit) -> Document:
    return {
        "fits": each.fits,
        "binding_limit": None if each.binding is None else each.binding.limit,
        "by": each.by,
        "needed": None if each.binding is None else each.binding.needed,
        "available": None if each.binding is None else each.binding.available,
        "findings": findings(each.findings),
        "remedies": [asdict(remedy) for remedy in each.remedies],
    }


def explored(name: str, sweep: Sweep, *, output: Path | None) -> Answer:
    """The points of a sweep, those on the front marked, with what each measured."""
    settings = list(dict.fromkeys(key for each in sweep.outcomes for key in each.point.settings))
    metrics = list(dict.fromkeys(key for each in sweep.outcomes for key in each.metrics))
    chosen = {id(each) for each in sweep.front}
    rows = [
        [
            "*" if id(each) in chosen else "",
            *(each.point.settings.get(key, "") for key in settings),
            *(_metric(key, each.metrics.get(key)) for key in metrics),
        ]
        for each in sweep.outcomes
        if not each.refused
    ]
    lines = [f"{name} on {sweep.target}: {len(sweep.outcomes)} points, {len(sweep.front)} on the front (*)"]
    if rows:
        lines += ["", table(["", *settings, *metrics], rows)]
    refused = [each for each in sweep.outcomes if each.refused]
    lines += [""] if refused else []
    lines += [f"refused: {each.point}: {each.refused}" for each in refused]
    lines += ["", f"front: no point has more accuracy and less of {', '.join(sweep.costs)}"] if rows else []
    if output is not None:
        lines += [f"wrote {output}"]
    document: Document = {
        "model": name,
        "target": sweep.target,
        "costs": list(sweep.costs),
        "points": [{**each.to_document(), "on_front": id(each) in chosen} for each in sweep.outcomes],
        "output": None if output is None else str(output),
    }
    return Answer("\n".join(lines), document)


def _metric(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name == "accuracy":
        return percent(value)
    units = {"seconds": "s", "joules": "J"}
    return si(value, units[name]) if name in units else number(round(value, 1))
