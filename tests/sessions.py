"""Sessions in the documentation: ```console blocks with `$ command` lines and what they print.

`python -m tests.sessions README.md docs/tutorial.md` runs them and writes what they print now into the files.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """A command and what the document says that it prints."""

    command: str
    printed: str


def steps(block: str) -> list[Step]:
    """The commands of a block, in order."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [Step(command, "\n".join(lines).rstrip()) for command, lines in found]


def blocks(document: str) -> list[str]:
    """The sessions of a document."""
    return _BLOCK.findall(document)


def prepare(folder: Path) -> dict[str, str]:
    """A folder in which the examples are found, and an environment in which `nmc` is this checkout's."""
    (folder / "examples").symlink_to(ROOT / "examples")
    programs = folder / ".bin"
    programs.mkdir()
    for name, command in (("nmc", [sys.executable, str(ROOT / "cli.py")]), ("python", [sys.executable])):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def run(step: Step, folder: Path, environment: dict[str, str]) -> str:
    """What a command prints, without trailing spaces."""
    ran = subprocess.run(
        step.command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return "\n".join(line.rstrip() for line in ran.stdout.splitlines()).rstrip()


def renewed(document: str) -> str:
    """The document with what its sessions print now; they share one folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment = prepare(folder)

        def renew(match: re.Match[str]) -> str:
            lines: list[str] = []
            for step in steps(match[1]):
                printed = run(step, folder, environment)
                lines += [f"$ {step.command}", *([printed] if printed else []), ""]
            return "```console\n" + "\n".join(lines).rstrip() + "\n```"

        return _BLOCK.sub(renew, document)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
