"""What the commands on suites answer: regress run, update, diff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmc.answers.answer import Answer, Document
from nmc.answers.words import count
from nmc.report.table import table

if TYPE_CHECKING:
    from nmc.regress.changes import Change
    from nmc.regress.run import Report

MOST = 12
"""Changes of a case that are listed; the rest are counted."""


def regressed(report: Report) -> Answer:
    """Every case of a suite, and what moved in those that failed, causes first."""
    failed = [verdict for verdict in report.verdicts if not verdict.passed]
    known = sum(verdict.cached for verdict in report.verdicts)
    rows = [
        [
            verdict.case.name,
            "passed" if verdict.passed else "failed",
            "" if verdict.cause is None else str(verdict.cause),
        ]
        for verdict in report.verdicts
    ]
    lines = [table(["case", "", "first cause"], rows)]
    for verdict in failed:
        lines += ["", f"{verdict.case.name}:", *_moved(verdict.moved)]
    said = f"{len(failed)} of {count(len(report.verdicts), 'case')} failed" if failed else "all cases passed"
    lines += ["", f"{report.suite}: {said}" + (f"; {known} known from the cache" if known else "")]
    if failed:
        lines.append("if this is meant: nmc regress update SUITE --reason TEXT")
    document: Document = {
        "suite": report.suite,
        "passed": report.passed,
        "cases": [
            {"name": verdict.case.name, "passed": verdict.passed, "cached": verdict.cached}
            for verdict in report.verdicts
        ],
        "changes": [
            {"case": verdict.case.name, **_change(change)}
            for verdict in report.verdicts
            for change in verdict.moved
        ],
    }
    return Answer("\n".join(lines), document)


def updated(report: Report, written: Sequence[str], *, reason: str) -> Answer:
    """The difference that was accepted, and the baselines that were written."""
    lines: list[str] = []
    for verdict in report.verdicts:
        if verdict.moved:
            lines += [f"{verdict.case.name}:", *_moved(verdict.moved), ""]
    lines.append(
        f"wrote {count(len(written), 'baseline')}" if written else "nothing moved; nothing was written"
    )
    document: Document = {
        "suite": report.suite,
        "reason": reason,
        "written": list(written),
        "changes": [
            {"case": verdict.case.name, **_change(change)}
            for verdict in report.verdicts
            for change in verdict.moved
        ],
    }
    return Answer("\n".join(lines), document)


def differing(moved: Mapping[str, Sequence[Change]]) -> Answer:
    """What moved between two folders of baselines."""
    lines: list[str] = []
    for name, found in moved.items():
        lines += [f"{name}:", *_moved(found), ""]
    lines.append("" if moved else "no difference")
    changes = [{"case": name, **_change(change)} for name, found in moved.items() for change in found]
    return Answer("\n".join(lines).rstrip("\n"), {"passed": not moved, "changes": changes})


def _moved(moved: Sequence[Change]) -> list[str]:
    lines = [f"  {change}" for change in moved[:MOST]]
    return lines + ([f"  and {len(moved) - MOST} more: --json lists them"] if len(moved) > MOST else [])


def _change(change: Change) -> Document:
    return {**asdict(change), "kind": change.kind.value}
