"""A compiled network as named bytes with a digest, and the folder that holds it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Diagnostic, Loc, error

MANIFEST = "manifest.json"
FORMAT = "nmc.artifact/1"
"""The format of the folder, the version after the slash."""

IGNORED = "__pycache__"
"""What Python leaves in a folder whose scripts are run."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact is. No dates and no host paths, so that equal inputs give equal bytes.

    `files` maps each file's name to its SHA-256. `pipeline` lists the passes with their settings. `resources`
    is name -> (used, limit).
    """

    nmc: str
    target: str
    target_digest: str
    model: str
    model_digest: str
    pipeline: tuple[tuple[str, Mapping[str, str]], ...]
    resources: Mapping[str, tuple[float, float]]
    files: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Canonical JSON: one text for equal manifests."""
        document = {
            "format": FORMAT,
            **{each.name: getattr(self, each.name) for each in fields(self)},
            "pipeline": [[name, dict(settings)] for name, settings in self.pipeline],
            "resources": {name: list(pair) for name, pair in self.resources.items()},
            "files": dict(self.files),
        }
        text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest and the bytes of every file it names (`graph.nmc`, `tensors/…`, the target's program).

    Names are relative, with `/`. Raises ValueError for a name that leaves the folder, and for a manifest that
    does not name exactly these files with their digests.
    """

    manifest: Manifest
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        for name in self.files:
            if not _is_inside(name):
                raise ValueError(f"`{name}` is no name of a file in an artifact")
        if self.manifest.files != {name: sha256(content) for name, content in self.files.items()}:
            raise ValueError("the manifest does not name exactly these files with their digests")

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical manifest, which names every file's digest."""
        return sha256(self.manifest.to_bytes())


def sha256(content: bytes) -> str:
    """The digest of a file, as hex."""
    return hashlib.sha256(content).hexdigest()


def _is_inside(name: str) -> bool:
    """Whether the name is that of a file in the folder, on any file system, and not the manifest's."""
    parts = name.split("/")
    return (
        name != MANIFEST
        and all(part not in {"", ".", "..", IGNORED} for part in parts)
        and not any(mark in name for mark in '\\:*?"<>|\0')
        and not PurePosixPath(name).is_absolute()
    )


# ---- arrays -----------------------------------------------------------------------------------------------


def npy_bytes(array: npt.NDArray[Any]) -> bytes:
    """The array as a `.npy` file, little-endian and in C order: equal arrays give equal bytes."""
    buffer = io.BytesIO()
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    np.lib.format.write_array(buffer, little, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def npy_from_bytes(content: bytes) -> npt.NDArray[Any]:
    """The read-only array of a `.npy` file. Raises ValueError for what is not one, whole, without objects."""
    buffer = io.BytesIO(content)
    array: npt.NDArray[Any] = np.lib.format.read_array(buffer, allow_pickle=False)
    if buffer.read(1):
        raise ValueError("there is more in the file than its array")
    array.flags.writeable = False
    return array


# ---- folders ----------------------------------------------------------------------------------------------


def write(artifact: Artifact, directory: Path) -> None:
    """Write the whole artifact or nothing: into a new folder beside `directory`, then renamed into place.

    An artifact that is there is replaced. Raises CompileError: NMC145 if something else is there, NMC148 if the
    file system refuses; `directory` is then as it was.
    """
    target = directory.resolve()
    _check_replaceable(directory)
    with _refusals(directory):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            new, old = scratch / "new", scratch / "old"
            new.mkdir()
            for name, content in {**artifact.files, MANIFEST: artifact.manifest.to_bytes()}.items():
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _swap(new, target, old)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    """`new` becomes `target`; what was there becomes `old`, and is put back if the first cannot be done."""
    if not target.exists():
        new.rename(target)
        return
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:  # an interrupt too must not leave the user without the artifact that was there
        old.rename(target)
        raise


def _check_replaceable(directory: Path) -> None:
    """Nothing is lost if `directory` is replaced: it does not exist, is empty, or holds an artifact alone."""
    if not directory.exists():
        return
    help_ = "choose another folder, or remove this one yourself"
    if not directory.is_dir():
        raise CompileError(error("NMC145", f"`{directory}` is a file", Loc(str(directory)), help=help_))
    with _refusals(directory):
        there = set(_names(directory))
    if not there:
        return
    try:
        known = {MANIFEST, *_read_manifest(directory).files}
    except CompileError:
        message = f"`{directory}` is not empty and not an artifact of nmc"
        raise CompileError(error("NMC145", message, Loc(str(directory)), help=help_)) from None
    if foreign := sorted(there - known):
        message = f"`{directory}` holds `{foreign[0]}`, which is no part of the artifact in it"
        raise CompileError(error("NMC145", message, Loc(str(directory)), help=help_))


def read(directory: Path) -> Artifact:
    """Read and check every digest.

    Raises CompileError: NMC146 if there is no artifact, NMC149 for one of another version, NMC147 for each file
    that is missing, differs or is too much.
    """
    manifest = _read_manifest(directory)
    found = _contents(directory)
    differing = _differences(manifest.files, {name: sha256(content) for name, content in found.items()})
    findings: list[Diagnostic] = []
    for name, kind in differing.items():
        message = {
            "new": "the file is missing",
            "changed": f"the file differs: its digest begins with {sha256(found.get(name, b''))[:12]}, "
            f"the manifest says {manifest.files.get(name, '')[:12]}",
            "gone": "the file is not part of the artifact",
        }[kind]
        findings.append(error("NMC147", message, Loc(str(directory / name)), help="compile the model again"))
    if findings:
        raise CompileError(*findings)
    return Artifact(manifest, found)


def compare(artifact: Artifact, directory: Path) -> dict[str, str]:
    """What `write` would change: file name -> `new`, `changed` or `gone`; empty if every byte is the same.

    Looks at the files themselves, so that a damaged artifact differs too. Raises CompileError (NMC146) if there
    is no artifact.
    """
    _read_manifest(directory)
    wanted = {**artifact.files, MANIFEST: artifact.manifest.to_bytes()}
    found = {**_contents(directory), MANIFEST: (directory / MANIFEST).read_bytes()}
    return _differences(wanted, found)


def _differences(wanted: Mapping[str, object], found: Mapping[str, object]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for name in sorted({*wanted, *found}):
        if name not in found:
            kinds[name] = "new"
        elif name not in wanted:
            kinds[name] = "gone"
        elif wanted[name] != found[name]:
            kinds[name] = "changed"
    return kinds


def _contents(directory: Path) -> dict[str, bytes]:
    """Every file in the folder but the manifest."""
    with _refusals(directory):
        return {name: (directory / name).read_bytes() for name in _names(directory) if name != MANIFEST}


def _names(directory: Path) -> list[str]:
    """The names of all files in the folder and its subfolders, in order."""
    paths = (path for path in directory.rglob("*") if not path.is_dir())
    names = (path.relative_to(directory) for path in paths)
    return sorted(name.as_posix() for name in names if IGNORED not in name.parts)


_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What text that is no manifest leads to; text that is no JSON to a ValueError."""


def _read_manifest(directory: Path) -> Manifest:
    """The manifest alone, with names that stay in the folder. Raises CompileError: NMC146, NMC149."""
    path = directory / MANIFEST
    if not path.is_file():
        what = "has no manifest" if directory.is_dir() else "is no folder"
        help_ = "`nmc compile MODEL --target NAME -o DIR` makes an artifact"
        raise CompileError(error("NMC146", f"`{directory}` {what}", Loc(str(directory)), help=help_))
    with _refusals(directory):
        content = path.read_bytes()
    try:
        document: dict[str, Any] = json.loads(content)  # Any: JSON; the comparison of bytes below checks it
        version = document["format"]
        if version != FORMAT:
            message = f"the artifact's format is `{version}`, this nmc reads `{FORMAT}`"
            help_ = "compile the model again with this nmc"
            raise CompileError(error("NMC149", message, Loc(str(path)), help=help_))
        manifest = Manifest(
            **{each: document[each] for each in ("nmc", "target", "target_digest", "model", "model_digest")},
            pipeline=tuple((name, settings) for name, settings in document["pipeline"]),
            resources={name: (used, limit) for name, (used, limit) in document["resources"].items()},
            files=document["files"],
        )
        if manifest.to_bytes() != content or not all(map(_is_inside, manifest.files)):
            raise ValueError("it is not as nmc writes it")
    except _DAMAGED as fault:
        reason = f"it lacks {fault}" if isinstance(fault, KeyError) else str(fault)
        message = f"the manifest is damaged: {reason}"
        raise CompileError(
            error("NMC146", message, Loc(str(path)), help="compile the model again")
        ) from fault
    return manifest


@contextmanager
def _refusals(directory: Path) -> Generator[None]:
    """What the file system refuses is a finding, not a fault of nmc."""
    try:
        yield
    except OSError as refusal:
        reason = (refusal.strerror or str(refusal)).lower()
        message = f"the file system refuses: {reason}, `{refusal.filename or directory}`"
        raise CompileError(error("NMC148", message, Loc(str(directory)))) from refusal
