"""What a command answers: text for people and one JSON document for scripts, and findings in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from nmc.diagnostics import Diagnostic

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says. `document` lacks its schema, which `as_json` puts first."""

    text: str
    document: Document


def as_json(command: str, document: Document) -> str:
    """The JSON document of a command."""
    return json.dumps({"schema": f"nmc.{command}/1", **document}, indent=2)


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
