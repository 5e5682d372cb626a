"""What nmc has to say about a user's model: findings with a code, a place, both numbers and help.

Nothing here prints. A stage collects all its findings and raises them together as `CompileError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum


class Severity(Enum):
    """How bad a finding is. Only `ERROR` ends a compile."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Loc:
    """A place in the user's model: file, node and field, each as the user's file names it."""

    file: str
    node: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        parts = [self.file]
        if self.node is not None:
            parts.append(f"node `{self.node}`")
        if self.field is not None:
            parts.append(f"field `{self.field}`")
        return ", ".join(parts)


NOWHERE = Loc("<graph>")
"""The place of a graph that was built in Python and not read from a file."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit of a target that a network exceeds: the limit's name, what is needed and what there is, in its unit."""

    limit: str
    needed: float
    available: float


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `message` is lower case without a full stop; `also` names further places.

    `excess` says in numbers what a network that does not fit takes too much of.
    """

    code: str
    severity: Severity
    message: str
    loc: Loc
    help: str = ""
    also: tuple[Loc, ...] = ()
    excess: Excess | None = None

    def __str__(self) -> str:
        lines = [f"{self.severity.value}[{self.code}]: {self.message}", f"  --> {self.loc}"]
        lines += [f"  and {place}" for place in self.also]
        if self.help:
            lines.append(f"  = help: {self.help}")
        return "\n".join(lines)


def error(
    code: str,
    message: str,
    loc: Loc,
    *,
    help: str = "",  # noqa: A002 - the field's name
    also: tuple[Loc, ...] = (),
    excess: Excess | None = None,
) -> Diagnostic:
    """A finding that ends the compile."""
    return Diagnostic(code, Severity.ERROR, message, loc, help, also, excess)


def note(code: str, message: str, loc: Loc, *, help: str = "") -> Diagnostic:  # noqa: A002 - the field's name
    """Something that was assumed or approximated, with its size, that the user is shown."""
    return Diagnostic(code, Severity.NOTE, message, loc, help)


def warning(code: str, message: str, loc: Loc, *, help: str = "") -> Diagnostic:  # noqa: A002 - the field's name
    """Something that probably is not what the user wants."""
    return Diagnostic(code, Severity.WARNING, message, loc, help)


class CompileError(Exception):
    """All findings of a stage that could not go on; at least one is an error."""

    def __init__(self, *findings: Diagnostic) -> None:
        super().__init__(*findings)
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class UsageError(CompileError):
    """The command is at fault, not the model: an unknown name, an option that does not apply; exit code 2."""


def raise_errors(findings: list[Diagnostic]) -> None:
    """Raise `CompileError` with all findings if one of them is an error."""
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise CompileError(*findings)


def nearest(name: str, known: Iterable[str]) -> str:
    """Help for a name that is not in `known`: the nearest, if one is near, else all of them."""
    names = tuple(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return "known: " + ", ".join(f"`{each}`" for each in names) if names else ""
