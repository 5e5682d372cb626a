"""A suite, run: each case from the cache or anew, held against its baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nmc import pool
from nmc.diagnostics import CompileError
from nmc.regress import baseline as baselines
from nmc.regress.baseline import Baseline
from nmc.regress.cache import Cache, key
from nmc.regress.changes import NOTHING, Change, Kind, cause, changes
from nmc.regress.measure import measure
from nmc.regress.result import Result
from nmc.regress.suite import Case, Suite, Tolerance


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case: its result, what moved, and whether it was known from the cache."""

    case: Case
    result: Result | None
    moved: tuple[Change, ...]
    cached: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing moved that may not."""
        return not any(change.fails for change in self.moved)

    @property
    def cause(self) -> Change | None:
        """The first cause, if the case failed."""
        return None if self.passed else cause(self.moved)

    @property
    def effects(self) -> tuple[Change, ...]:
        """The changes that may not be."""
        return tuple(change for change in self.moved if change.fails)


@dataclass(frozen=True, slots=True)
class Report:
    """A suite's verdicts, in the order of its cases."""

    suite: str
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return all(verdict.passed for verdict in self.verdicts)


def run(
    suite: Suite,
    *,
    cache: Cache | None,
    processes: int,
    doing: Callable[[str], None] = lambda what: None,
) -> Report:
    """Run what the cache does not know, over so many processes, and hold every case against its baseline.

    A baseline that is missing or damaged fails its case and no other. Raises CompileError for data that do not fit.
    """
    results = measured(suite, cache=cache, processes=processes, doing=doing)
    return Report(suite.name, tuple(_verdict(suite, case, *results[case.name]) for case in suite.cases))


def measured(
    suite: Suite, *, cache: Cache | None, processes: int, doing: Callable[[str], None] = lambda what: None
) -> dict[str, tuple[Result, bool]]:
    """The result of each case by its name, and whether it was known."""
    keys = {case.name: key(case) for case in suite.cases}
    found: dict[str, tuple[Result, bool]] = {}
    for case in suite.cases:
        known = None if cache is None else cache.find(keys[case.name])
        if known is not None:
            found[case.name] = known, True
    todo = [case for case in suite.cases if case.name not in found]
    doing(f"{len(found)} of {len(suite.cases)} cases are known")
    for case, result in pool.each(measure, todo, processes=max(1, min(processes, len(todo)))):
        if cache is not None:
            cache.keep(keys[case.name], result)
        found[case.name] = result, False
        doing(f"{len(found)} of {len(suite.cases)} cases: {case.name}")
    return found


def _verdict(suite: Suite, case: Case, result: Result, cached: bool) -> Verdict:
    try:
        known = baselines.read(suite.baselines, case.name)
    except CompileError as damaged:
        (finding,) = damaged.findings
        return Verdict(
            case, result, (Change(Kind.BASELINE, finding.loc.file, "as written", finding.message),), cached
        )
    if known is None:
        missing = Change(Kind.BASELINE, case.name, NOTHING, "a case without a baseline: `nmc regress update`")
        return Verdict(case, result, (missing,), cached)
    return Verdict(case, result, changes(known.result, result, case.tolerance), cached)


def update(suite: Suite, report: Report, reason: str) -> tuple[str, ...]:
    """Write a baseline for every case that has none or in which anything moved; their names."""
    written: list[str] = []
    for verdict in report.verdicts:
        if verdict.moved and verdict.result is not None:
            baselines.write(suite.baselines, Baseline(verdict.result, reason))
            written.append(verdict.case.name)
    return tuple(written)


def diff(before: Path, after: Path) -> dict[str, tuple[Change, ...]]:
    """What moved between two folders of baselines, by case; a case that only one has is a change of its own."""
    names = sorted({path.stem for folder in (before, after) for path in folder.glob("*.json")})
    found: dict[str, tuple[Change, ...]] = {}
    for name in names:
        one, other = baselines.read(before, name), baselines.read(after, name)
        if one is None or other is None:
            there = ("gone", "there") if one is None else ("there", "gone")
            found[name] = (Change(Kind.BASELINE, name, *there),)
        else:
            found[name] = changes(one.result, other.result, Tolerance())
    return {name: moved for name, moved in found.items() if moved}
