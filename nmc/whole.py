"""A file written whole or not at all: beside its place first, then moved there, so that nobody sees half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nmc.diagnostics import CompileError, Loc, error


@contextmanager
def whole(path: Path) -> Generator[IO[bytes]]:
    """A new file that takes the place of `path` when the block ends, and leaves no trace if it fails.

    Raises OSError where the file system refuses.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it. Raises CompileError (NMC148) if the file system refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as file:
            file.write(content)
    except OSError as refused:
        reason = (refused.strerror or str(refused)).lower()
        raise CompileError(error("NMC148", f"the file system refuses: {reason}", Loc(str(path)))) from refused
