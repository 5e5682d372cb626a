"""The folder of a sweep: one file a point, each written whole, so that a sweep that was killed goes on where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nmc.exploration.point import Outcome, Point, key, outcome_from
from nmc.whole import write_whole

POINTS = "points"
FORMAT = "nmc.point/1"


@dataclass(frozen=True, slots=True)
class Store:
    """The outcomes of one study. Those of another model, data or version lie beside them under other names."""

    folder: Path
    study: str
    """The digest of the study."""

    def find(self, point: Point) -> Outcome | None:
        """The outcome of a point, if it is known. What is damaged is not: it is measured again."""
        path = self._path(point)
        try:
            document = json.loads(path.read_text())
            if document["format"] != FORMAT or document["study"] != self.study:
                return None
            found = outcome_from(document["outcome"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None
        return found if found.point == point else None

    def keep(self, outcome: Outcome) -> None:
        """Write the outcome of a point, whole or not at all. Raises CompileError (NMC148) if it cannot be written."""
        document = {"format": FORMAT, "study": self.study, "outcome": outcome.to_document()}
        write_whole(self._path(outcome.point), json.dumps(document, indent=1).encode())

    def _path(self, point: Point) -> Path:
        return self.folder / POINTS / f"{key(self.study, point)}.json"
