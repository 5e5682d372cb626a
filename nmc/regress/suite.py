"""A suite: networks, targets, options, data and tolerances, as a TOML file names them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nmc.backends import registry
from nmc.diagnostics import CompileError, Diagnostic, Loc, error, nearest
from nmc.sim.arrays import Decode

RELATIVE = ("cycles", "seconds", "joules", "resources")
ABSOLUTE = ("accuracy",)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a metric may move, as parts of one: cycles, seconds, joules, resources relatively, accuracy absolutely.

    Spikes, outputs and bytes must be equal, and there is no tolerance for them.
    """

    cycles: float = 0.0
    seconds: float = 0.0
    joules: float = 0.0
    resources: float = 0.0
    accuracy: float = 0.0
    dependencies: bool = False
    """Whether another version of a package that results may depend on fails by itself."""


@dataclass(frozen=True, slots=True)
class Case:
    """One network on one target. Paths are absolute; `name` is unique in the suite.

    Without `stimulus`, seeded random inputs. `samples` and `steps` are the most that are taken of it; `witnesses` run
    beside golden and the machine.
    """

    name: str
    model: Path
    target: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    dt: float | None = None
    preset: str | None = None
    reset: str | None = None
    stretch: int = 1
    state: Mapping[str, str] = field(default_factory=dict[str, str])
    time_axis: int | None = None
    steps_in_file: int | None = None
    calibrate: Path | None = None
    stimulus: Path | None = None
    labels: str | None = None
    decode: Decode = Decode.COUNT
    samples: int = 16
    steps: int | None = None
    witnesses: tuple[str, ...] = ()
    tolerance: Tolerance = Tolerance()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of a suite file, in its order; `baselines` is the folder of what they gave."""

    name: str
    file: Path
    baselines: Path
    cases: tuple[Case, ...]

    def only(self, names: Sequence[str]) -> Suite:
        """The suite with the cases of these names, or of these networks; all if there are none.

        Raises CompileError (NMC941) for a name that no case has.
        """
        if not names:
            return self
        known = {case.name for case in self.cases} | {case.name.partition("@")[0] for case in self.cases}
        findings = [
            error("NMC941", f"the suite has no case `{name}`", Loc(str(self.file)), help=nearest(name, known))
            for name in names
            if name not in known
        ]
        if findings:
            raise CompileError(*findings)
        chosen = [case for case in self.cases if {case.name, case.name.partition("@")[0]} & set(names)]
        return replace(self, cases=tuple(chosen))


def read(path: Path) -> Suite:
    """Read a suite. Raises CompileError with all that is wrong with it (NMC940 syntax, NMC941 names and values)."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise CompileError(error("NMC940", f"the suite is no TOML: {wrong}", Loc(str(path)))) from wrong
    reader = _Reader(path)
    suite = reader.suite(document)
    if reader.findings:
        raise CompileError(*reader.findings)
    return suite


_TOP = ("suite", "tolerance", "case")
_SUITE = ("name", "baselines")
_CASE = (
    "name",
    "model",
    "targets",
    "set",
    "dt",
    "preset",
    "reset",
    "stretch",
    "state",
    "time_axis",
    "steps_in_file",
    "calibrate",
    "stimulus",
    "labels",
    "decode",
    "samples",
    "steps",
    "witnesses",
    "tolerance",
)
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "model": str,
    "targets": list,
    "set": dict,
    "dt": (int, float),
    "preset": str,
    "reset": str,
    "stretch": int,
    "state": dict,
    "time_axis": int,
    "steps_in_file": int,
    "calibrate": str,
    "stimulus": str,
    "labels": str,
    "decode": str,
    "samples": int,
    "steps": int,
    "witnesses": (list, dict),
    "tolerance": dict,
    "baselines": str,
}

Table = Mapping[str, Any]
"""Any: values of TOML, whose types are checked where they are read."""


class _Reader:
    """Collects cases, and all that is wrong with them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.resolve().parent
        self.findings: list[Diagnostic] = []

    def wrong(self, message: str, where: str, help: str = "") -> None:  # noqa: A002 - the field's name
        self.findings.append(error("NMC941", message, Loc(str(self.path), where), help=help))

    def checked(self, table: object, known: Sequence[str], where: str) -> Table:
        """The table, without what is unknown or of another type, each of which is a finding."""
        if not isinstance(table, dict):
            self.wrong(f"`{where}` is no table", where)
            return {}
        found: dict[str, Any] = {}
        content: Table = table
        for key, value in content.items():
            kind = _TYPES.get(key)
            if key not in known:
                self.wrong(f"there is no key `{key}`", where, nearest(key, known))
            elif kind is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                self.wrong(f"`{key}` is {value!r}", where, f"it is a {_word(kind)}")
            else:
                found[key] = value
        return found

    def suite(self, document: Table) -> Suite:
        """The whole file."""
        top = self.checked(document, _TOP, "suite file")
        head = self.checked(top.get("suite", {}), _SUITE, "suite")
        tolerance = self.tolerance(top.get("tolerance", {}), Tolerance(), "tolerance")
        entries: object = top.get("case", [])
        cases: list[Case] = []
        if not isinstance(entries, list) or not entries:
            self.wrong("there is no `[[case]]`", "case")
        else:
            listed: list[object] = entries
            for number, entry in enumerate(listed, 1):
                cases += self.cases(entry, tolerance, f"case {number}")
        seen: set[str] = set()
        for case in cases:
            if case.name in seen:
                self.wrong(f"two cases are called `{case.name}`", case.name)
            seen.add(case.name)
        baselines = self.folder / str(head.get("baselines", f"{self.path.stem}.baselines"))
        return Suite(str(head.get("name", self.path.stem)), self.path, baselines, tuple(cases))

    def tolerance(self, table: object, base: Tolerance, where: str) -> Tolerance:
        known = (*RELATIVE, *ABSOLUTE, "dependencies")
        content = self.checked(table, known, where)
        for key, value in content.items():
            kind = bool if key == "dependencies" else (int, float)
            if not isinstance(value, kind) or (key != "dependencies" and value < 0):
                self.wrong(f"`{key}` is {value!r}", where, "a share of one, such as 0.02, or true or false")
                return base
        return replace(base, **content)

    def cases(self, entry: object, base: Tolerance, where: str) -> Iterator[Case]:
        content = self.checked(entry, _CASE, where)
        name = content.get("name", where)
        if "model" not in content:
            self.wrong("there is no `model`", name)
            return
        targets: list[object] = content.get("targets", list(registry.names()))
        for target in targets:
            if target not in registry.names():
                self.wrong(f"there is no target `{target}`", name, nearest(str(target), registry.names()))
                continue
            case = self.case(content, str(target), base, str(name))
            if case is not None:
                yield case

    def case(self, content: Table, target: str, base: Tolerance, name: str) -> Case | None:
        before = len(self.findings)
        witnesses: Any = content.get("witnesses", ())
        if isinstance(witnesses, dict):
            by_target: Table = witnesses
            witnesses = by_target.get(target, ())
        known = [witness.name for witness in registry.load(target).witnesses]
        for witness in witnesses:
            if witness not in known:
                self.wrong(f"`{target}` has no witness `{witness}`", name, nearest(str(witness), known))
        decode = content.get("decode", Decode.COUNT.value)
        if decode not in {each.value for each in Decode}:
            self.wrong(f"`decode` is `{decode}`", name, nearest(str(decode), [each.value for each in Decode]))
        for key, least in (("samples", 1), ("steps", 1), ("stretch", 1), ("steps_in_file", 1)):
            if content.get(key, least) < least:
                self.wrong(f"`{key}` is {content[key]}", name, "it is at least 1")
        paths = {key: self.file(content, key, name) for key in ("model", "calibrate", "stimulus")}
        if len(self.findings) > before or paths["model"] is None:
            return None
        return Case(
            f"{name}@{target}",
            paths["model"],
            target,
            settings=self.settings(content.get("set", {}), target),
            dt=content.get("dt"),
            preset=content.get("preset"),
            reset=content.get("reset"),
            stretch=content.get("stretch", 1),
            state={str(key): str(value) for key, value in content.get("state", {}).items()},
            time_axis=content.get("time_axis"),
            steps_in_file=content.get("steps_in_file"),
            calibrate=paths["calibrate"],
            stimulus=paths["stimulus"],
            labels=content.get("labels"),
            decode=Decode(decode),
            samples=content.get("samples", 16),
            steps=content.get("steps"),
            witnesses=tuple(str(each) for each in witnesses),
            tolerance=self.tolerance(content.get("tolerance", {}), base, name),
        )

    def file(self, content: Table, key: str, name: str) -> Path | None:
        if key not in content:
            return None
        path = self.folder / str(content[key])
        if not path.is_file():
            self.wrong(f"`{key}` is `{content[key]}`, and there is no such file", name)
        return path

    def settings(self, table: Table, target: str) -> dict[str, str]:
        """Settings for all targets, and those below a target's name for it alone."""
        found = {str(key): str(value) for key, value in table.items() if not isinstance(value, dict)}
        own: Table = table.get(target, {})
        return found | {str(key): str(value) for key, value in own.items()}


def _word(kind: type | tuple[type, ...]) -> str:
    words = {str: "text", int: "whole number", float: "number", list: "list", dict: "table"}
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(words[each] for each in kinds)
