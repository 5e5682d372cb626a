"""Baselines: what each case gave when somebody last looked at it and said why; kept with the suite, in its repository.

A case has one readable JSON file, and beside it an archive of traces that the JSON file names by its digest. The
archive is written first, so that at every moment the JSON file names traces that are there.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmc.artifact import sha256
from nmc.diagnostics import CompileError, Loc, error
from nmc.regress.result import Result, canonical, result_from, traces_from_bytes, traces_to_bytes
from nmc.whole import write_whole

UPDATE = "`nmc regress update` makes a new one"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a case gave, and the reason that was given when it was written."""

    result: Result
    reason: str


def write(folder: Path, baseline: Baseline) -> None:
    """Write the baseline of a case, whole or not at all. Raises CompileError (NMC148) if the file system refuses."""
    traces = traces_to_bytes(baseline.result.traces)
    name = f"{baseline.result.case}.{sha256(traces)[:12]}.npz"
    body: dict[str, object] = {
        "reason": baseline.reason,
        "traces": {"file": name, "digest": sha256(traces)},
        "result": baseline.result.to_document(),
    }
    if not (folder / name).is_file() or (folder / name).read_bytes() != traces:
        write_whole(folder / name, traces)
    write_whole(_path(folder, baseline.result.case), canonical({"digest": sha256(canonical(body)), **body}))
    for old in folder.glob(f"{baseline.result.case}.*.npz"):
        if old.name != name:
            old.unlink(missing_ok=True)


def read(folder: Path, case: str) -> Baseline | None:
    """The baseline of a case, None if there is none. Raises CompileError (NMC942) for one that was tampered with."""
    path = _path(folder, case)
    if not path.is_file():
        return None
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())  # Any: JSON; the digest checks it
        digest = document.pop("digest")
    except (ValueError, KeyError, AttributeError) as fault:
        raise _damaged(path, f"it is cut off or no JSON: {fault}") from fault
    found = sha256(canonical(document))
    if found != digest:
        raise _damaged(path, f"its digest begins with {found[:12]}, it says {str(digest)[:12]}")
    try:
        traces = path.parent / document["traces"]["file"]
        content = traces.read_bytes() if traces.parent == path.parent else b""
        if sha256(content) != document["traces"]["digest"]:
            wanted = document["traces"]["digest"]
            raise _damaged(
                traces, f"its digest begins with {sha256(content)[:12]}, {path.name} says {wanted[:12]}"
            )
        arrays = traces_from_bytes(content)
        return Baseline(result_from(document["result"], arrays), str(document["reason"]))
    except FileNotFoundError as fault:
        raise _damaged(Path(str(fault.filename)), "the file is missing") from fault
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as fault:
        raise _damaged(path, str(fault)) from fault


def _path(folder: Path, case: str) -> Path:
    return folder / f"{case}.json"


def _damaged(path: Path, why: str) -> CompileError:
    message = f"the baseline is not what nmc wrote: {why}"
    help_ = f"restore it from version control, or {UPDATE} with a reason"
    return CompileError(error("NMC942", message, Loc(str(path)), help=help_))
