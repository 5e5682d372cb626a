"""Results that are known already, by the digest of everything that they depend on. Safe for several runs at once."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import nmc
from nmc.artifact import sha256
from nmc.diagnostics import CompileError
from nmc.regress.measure import environment, options_of
from nmc.regress.result import Result, canonical, result_from, traces_from_bytes, traces_to_bytes
from nmc.regress.suite import Case
from nmc.whole import write_whole

IRRELEVANT = (
    "cli",
    "answers",
    "report",
    "exploration",
    "regress/publish.py",
    "regress/changes.py",
    "regress/plugin.py",
)
"""Parts of nmc on which no result depends."""


def default_folder() -> Path:
    """nmc's folder of the user's cache: `NMC_CACHE`, or `nmc` in `XDG_CACHE_HOME` or `~/.cache`."""
    named = os.environ.get("NMC_CACHE")
    if named:
        return Path(named) / "regress"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nmc" / "regress"


def key(case: Case) -> str:
    """The digest of all that a case's result depends on: its files and options, nmc's own source, and packages."""
    paths = [getattr(case, each.name) for each in fields(case)]
    known = {
        "case": case.name,
        "options": options_of(case),
        "files": [sha256(path.read_bytes()) for path in paths if isinstance(path, Path)],
        "environment": environment(),
        "source": source(case.target),
    }
    return sha256(json.dumps(known, sort_keys=True).encode())


@cache
def source(target: str) -> str:
    """The digest of nmc's own files, those of other targets and of what no result depends on left out."""
    folder = Path(nmc.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        parts = name.split("/")
        other = parts[0] == "backends" and len(parts) > 2 and parts[1] != target
        if path.is_dir() or "__pycache__" in parts or other or name.startswith(IRRELEVANT):
            continue
        digest.update(f"{name}\0{sha256(path.read_bytes())}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of results, two files each; what is damaged is not known and will be measured again."""

    folder: Path

    def find(self, name: str) -> Result | None:
        """The result under this key."""
        try:
            document = json.loads((self.folder / f"{name}.json").read_bytes())
            content = (self.folder / f"{name}.npz").read_bytes()
            if document["traces"] != sha256(content) or document["digest"] != _digest(document):
                return None
            return result_from(document["result"], traces_from_bytes(content))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
            return None

    def keep(self, name: str, result: Result) -> None:
        """Keep a result; a folder that cannot be written is no reason to lose it, and is left alone."""
        content = traces_to_bytes(result.traces)
        body: dict[str, object] = {"traces": sha256(content), "result": result.to_document()}
        try:
            write_whole(self.folder / f"{name}.npz", content)
            write_whole(self.folder / f"{name}.json", canonical({**body, "digest": _digest(body)}))
        except CompileError:
            return


def _digest(document: dict[str, object]) -> str:
    return sha256(canonical({name: each for name, each in document.items() if name != "digest"}))
