"""What is kept of a fault of nmc itself, so that somebody else can see it happen again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import nmc

COPIED_BYTES = 50_000_000
"""Files and artifacts of the command line up to this size are copied; of larger ones only the digests are kept."""

PACKAGES = ("click", "numpy", "scipy", "networkx", "h5py", "nir", "numba")


def keep(fault: BaseException, arguments: Sequence[str], folder: Path) -> Path:
    """Write a new folder inside `folder` and return it; the same fault of the same command has the same name.

    It holds `command.txt` (to be run inside it), `traceback.txt`, `versions.json`, `inputs.json` (name, size and
    SHA-256 of every file that the command line names) and copies of those that are not too large.
    """
    text = "".join(traceback.format_exception(fault))
    key = hashlib.sha256("\0".join([*arguments, text]).encode()).hexdigest()[:10]
    final = folder / f"nmc-fault-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".nmc-fault-", dir=folder))
    try:
        command, inputs = _inputs(arguments, building)
        (building / "command.txt").write_text(shlex.join(["nmc", *command]) + "\n", encoding="utf-8")
        (building / "traceback.txt").write_text(text, encoding="utf-8")
        (building / "versions.json").write_text(_document(_versions()), encoding="utf-8")
        (building / "inputs.json").write_text(_document(inputs), encoding="utf-8")
        if final.exists():
            shutil.rmtree(final)
        building.rename(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return final


def command(folder: Path) -> str:
    """The command that replays the fault inside its folder."""
    return (folder / "command.txt").read_text(encoding="utf-8").strip()


def _inputs(arguments: Sequence[str], into: Path) -> tuple[list[str], dict[str, object]]:
    """The command with the names that files and artifacts have in the folder, and what these are."""
    command: list[str] = []
    inputs: dict[str, object] = {}
    for argument in arguments:
        path = Path(argument)
        if not (path.is_file() or (path / "manifest.json").is_file()):
            command.append(argument)
            continue
        files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
        size = sum(each.stat().st_size for each in files)
        name = path.resolve().name
        if name in inputs:
            name = f"{len(inputs)}-{name}"
        copied = size <= COPIED_BYTES
        if copied:
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, into / name)
        digests = {each.relative_to(path.parent).as_posix(): _digest(each) for each in files}
        inputs[name] = {"bytes": size, "copied": copied, "sha256": digests}
        command.append(name)
    return command, inputs


def _versions() -> dict[str, object]:
    found: dict[str, object] = {
        "nmc": nmc.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _document(value: dict[str, object]) -> str:
    return json.dumps(value, indent=2) + "\n"
