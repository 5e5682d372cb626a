"""What a case gave: every digest, metric and trace by which a later run is held against it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.artifact import npy_bytes, npy_from_bytes, sha256
from nmc.ir.flat import digest_of

Array = npt.NDArray[Any]
"""Any: traces of every numeric dtype."""

FORMAT = "nmc.case/1"

Nodes = Mapping[str, Mapping[str, str]]
"""Node -> field -> its value, short ones as they are, others as a digest."""


@dataclass(frozen=True, slots=True)
class Text:
    """A file: its digest, and a short digest of each line where it is text of a moderate size."""

    digest: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a case gave, from what went in to what came out; the order of fields is the order of causes.

    `options` are the case's own words. `environment` holds the versions of packages, `spec` every figure of the
    target by its path, `sources` the data files of its backend. `passes` holds the graph after each pass, the
    model's own first. `traces` are outputs and variables (steps, samples, *shape) of a few samples, of golden.
    """

    case: str
    environment: Mapping[str, str]
    options: Mapping[str, str]
    data: Mapping[str, str]
    spec: Mapping[str, str]
    sources: Mapping[str, Text]
    pipeline: tuple[str, ...]
    passes: Mapping[str, Nodes]
    files: Mapping[str, Text]
    metrics: Mapping[str, float]
    engines: Mapping[str, str]
    """Engine -> what it did: `equal`, or where it first diverged from golden."""
    refused: str = ""
    """Why the model did not compile."""
    traces: Mapping[str, Array] = field(default_factory=dict[str, Array], compare=False)

    def to_document(self) -> dict[str, object]:
        """As JSON knows it, without the traces."""
        document = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "traces"}
        for name in ("sources", "files"):
            texts: Mapping[str, Text] = getattr(self, name)
            document[name] = {
                key: {"digest": text.digest, "lines": " ".join(text.lines)} for key, text in texts.items()
            }
        return {"format": FORMAT, **document, "pipeline": list(self.pipeline)}


def result_from(document: Mapping[str, Any], traces: Mapping[str, Array]) -> Result:
    """The result that `to_document` wrote. Raises ValueError, KeyError, TypeError or AttributeError for any other."""
    if document["format"] != FORMAT:
        raise ValueError(f"its format is `{document['format']}`, this nmc reads `{FORMAT}`")
    known: dict[str, Any] = {  # Any: each field of a Result has its own type
        each.name: document[each.name] for each in fields(Result) if each.name != "traces"
    }
    for name in ("sources", "files"):
        known[name] = {
            key: Text(text["digest"], tuple(text["lines"].split())) for key, text in known[name].items()
        }
    known["pipeline"] = tuple(known["pipeline"])
    return Result(**known, traces=traces)


def canonical(document: Mapping[str, object]) -> bytes:
    """One text for equal documents, a line an entry, so that differences can be read."""
    return f"{json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)}\n".encode()


def traces_to_bytes(traces: Mapping[str, Array]) -> bytes:
    """Arrays as a compressed archive; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in traces.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, npy_bytes(array))
    return buffer.getvalue()


def traces_from_bytes(content: bytes) -> dict[str, Array]:
    """The arrays that `traces_to_bytes` wrote. Raises ValueError or zipfile.BadZipFile for anything else."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.removesuffix(".npy"): npy_from_bytes(archive.read(name)) for name in archive.namelist()}


# ---- digests of texts and values --------------------------------------------------------------------------

MOST_LINES = 2_000


def text_of(content: bytes) -> Text:
    """The digests of a file; lines only of text of up to `MOST_LINES`."""
    digest = sha256(content)
    if b"\0" in content or content.count(b"\n") > MOST_LINES:
        return Text(digest)
    return Text(digest, tuple(digest_of(line) for line in content.split(b"\n")))


def first_line(before: Text, after: Text) -> int | None:
    """The first line, from 1, that is not the same; None if lines are not known."""
    if not before.lines or not after.lines:
        return None
    for number, (one, other) in enumerate(zip(before.lines, after.lines, strict=False), 1):
        if one != other:
            return number
    return min(len(before.lines), len(after.lines)) + 1


def integers(array: Array) -> Array:
    """The array in the narrowest type that holds it, to be kept."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    for dtype in (np.uint8, np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return array.astype(dtype)
    return array
