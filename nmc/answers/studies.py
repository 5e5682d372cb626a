"""What the commands answer that compile one model many times: fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmc.answers.answer import Answer, Document, findings
from nmc.answers.words import number, percent
from nmc.report.table import table

if TYPE_CHECKING:
    from nmc.diagnostics import Excess
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
