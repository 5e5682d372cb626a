"""A compiled network as named bytes with a digest, and the directory that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact is. No dates and no host paths, so that equal inputs give equal bytes.

    `files` maps each file's name to its SHA-256. `pipeline` lists the passes with their settings. `resources` is
    name -> (used, limit).
    """

    nmc: str
    target: str
    target_digest: str
    model: str
    model_digest: str
    pipeline: tuple[tuple[str, Mapping[str, str]], ...]
    resources: Mapping[str, tuple[float, float]]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest and the bytes of every file it names (`graph.nmc`, `tensors/…`, the target's program)."""

    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical manifest, which names every file's digest."""
        raise NotImplementedError


def write(artifact: Artifact, directory: Path) -> None:
    """Write the whole artifact or nothing: into a new folder beside `directory`, then renamed into place."""
    raise NotImplementedError


def read(directory: Path) -> Artifact:
    """Read and check every digest. Raises CompileError that names the file which is missing or differs."""
    raise NotImplementedError
