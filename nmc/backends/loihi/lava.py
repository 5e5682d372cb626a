"""The witness for spikes and membranes: Lava, in its own process and if need be in its own environment.

nmc never imports Lava: lava-nc 0.10.0 pins Python 3.10 and old numpy. What runs is the script of the artifact, in
the first interpreter of these that can import Lava: the one that `NMC_LAVA_PYTHON` names, the one that runs nmc,
the one in the environment that `install` made.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

SCRIPT = "run_lava.py"
"""The name of the script in an artifact."""

VERSION = "0.10.0"
REQUIREMENTS = ("numpy", "scipy", "networkx", "asteval")
"""What Lava needs to run, without the versions that it pins: bit-identical on Python 3.11 to 3.13 and numpy 2."""

_DRIVER = """
import importlib, json, os, runpy, signal, sys, time
jobs, together, limit = json.load(open(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3])
script = runpy.run_path(jobs[0][0])  # imports Lava once, for every job
running = {}
while jobs or running:
    while jobs and len(running) < together:
        path, given, result = jobs.pop(0)
        child = os.fork()
        if child == 0:
            os.setsid()
            log = os.open(result + ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.argv = [path, given, result, "--states"]
            try:
                runpy.run_path(path, run_name="__main__")
            except BaseException:
                import traceback
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        running[child] = time.monotonic()
    child, _ = os.waitpid(-1, os.WNOHANG)
    if child in running:
        del running[child]
        continue
    for child, since in running.items():
        if time.monotonic() - since > limit:
            os.killpg(child, signal.SIGKILL)
    time.sleep(0.005)
"""
"""Runs one script a job, `together` at a time, each in a fork of a process that has imported Lava."""


class LavaError(RuntimeError):
    """Lava is not to be had, or failed; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Job:
    """An artifact's files, and inputs by name with axes (steps, samples, *shape)."""

    files: Mapping[str, bytes]
    inputs: Mapping[str, Array]


Recording = Mapping[str, Array]
"""Outputs by name; `NODE.spikes`, `NODE.u` and `NODE.v` of every population; axes (steps, samples, *shape)."""


def environment() -> Path:
    """Where `install` puts Lava: `lava` in nmc's cache directory."""
    if "NMC_CACHE" in os.environ:
        return Path(os.environ["NMC_CACHE"]) / "lava"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nmc" / "lava"


def find_python() -> Path | None:
    """The interpreter that has Lava, or None. An interpreter that the user names is taken at their word."""
    named = os.environ.get("NMC_LAVA_PYTHON")
    if named:
        return Path(named)
    if importlib.util.find_spec("lava") is not None and importlib.util.find_spec("lava.magma") is not None:
        return Path(sys.executable)
    made = _python_of(environment())
    return made if (environment() / "ready").exists() and made.exists() else None


def ready() -> str | None:
    """Why Lava cannot run here and what to do about it, or None."""
    if find_python() is None:
        return (
            "Lava is not installed: `nmc tools install lava`, or name a Python that has it in NMC_LAVA_PYTHON"
        )
    return None


def install(progress: Callable[[str], None]) -> Path:
    """Make the environment with Lava and return its interpreter; `progress` is told of each stage.

    Raises LavaError with pip's last words. What is there already is kept if it is complete.
    """
    place = environment()
    python = _python_of(place)
    if (place / "ready").exists() and python.exists():
        return python
    progress(f"making an environment in {place}")
    venv.create(place, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    progress(f"installing {', '.join(REQUIREMENTS)}")
    _pip([*pip, *REQUIREMENTS])
    progress(f"installing lava-nc {VERSION}")
    # Lava asks for Python 3.10 and numpy 1, and runs the same on newer ones.
    _pip([*pip, "--no-deps", "--ignore-requires-python", f"lava-nc=={VERSION}"])
    (place / "ready").write_text(f"lava-nc {VERSION}\n")
    progress("done")
    return python


def run(jobs: Sequence[Job], *, together: int = 2, timeout: float = 600.0) -> list[Recording]:
    """What Lava makes of each job, `together` at a time. `timeout` seconds are for each job.

    Raises LavaError if Lava is missing, if a job fails (with the end of what it printed) or takes too long.
    """
    python, missing = find_python(), ready()
    if python is None or missing is not None:
        raise LavaError(missing or "")
    if not jobs:
        return []
    with tempfile.TemporaryDirectory(prefix="nmc-lava-") as folder:
        table = [_write(job, Path(folder) / str(index)) for index, job in enumerate(jobs)]
        listing = Path(folder) / "jobs.json"
        listing.write_text(json.dumps(table))
        command = [str(python), "-c", _DRIVER, str(listing), str(together), str(timeout)]
        _drive(command, limit=60 + timeout * -(-len(jobs) // together))
        return [_read(result, index) for index, (_, _, result) in enumerate(table)]


def _write(job: Job, place: Path) -> tuple[str, str, str]:
    for name, content in job.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    given = place / "in.npz"
    _save(given, job.inputs)
    return str(place / SCRIPT), str(given), str(place / "out.npz")


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    """An .npz of arrays of any name (numpy.savez has parameters of its own)."""
    np.savez(path, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})


def _read(result: str, index: int) -> Recording:
    if not Path(result).exists():
        log = Path(result + ".log")
        said = log.read_text(errors="replace").strip()[-2000:] if log.exists() else ""
        raise LavaError(f"job {index}: Lava failed or took too long\n{said}".rstrip())
    with np.load(result, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _drive(command: list[str], *, limit: float) -> None:
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings},
        start_new_session=True,
    ) as driver:
        try:
            _, said = driver.communicate(timeout=limit)
        except subprocess.TimeoutExpired as late:
            raise LavaError(f"Lava took longer than {limit:.0f} s") from late
        finally:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
        if driver.returncode:
            raise LavaError(f"Lava could not be started by {command[0]}\n{said.strip()[-2000:]}")


def _pip(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LavaError(f"{' '.join(command[3:])} failed\n{done.stderr.strip()[-2000:]}")


def _python_of(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
