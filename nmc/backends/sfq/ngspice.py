"""ngspice as a process: a deck runs, and the pulses at its probes are read from the phases it wrote."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmc.backends.sfq import decks
from nmc.backends.sfq.decks import Deck

TIMEOUT = 600.0
"""Seconds after which a run counts as hung."""

Pulses = dict[str, tuple[float, ...]]
"""Times of pulses at each probed net, ps."""


def ready() -> str | None:
    """Why ngspice cannot run here, or None."""
    return (
        None if shutil.which("ngspice") else "`ngspice` is not here: install it from your system's packages"
    )


def run(deck: Deck, *, step: float = 0.25, timeout: float = TIMEOUT) -> Pulses:
    """The pulses at a deck's probes. Raises RuntimeError with what ngspice says if it does not reach the end."""
    with tempfile.TemporaryDirectory(prefix="nmc-sfq-") as folder:
        (Path(folder) / "deck.cir").write_text(decks.ngspice(deck, step=step))
        done = subprocess.run(
            ["ngspice", "-b", "deck.cir"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        path = Path(folder) / "pulses.raw"
        if not path.exists():
            raise RuntimeError(f"ngspice: {(done.stderr or done.stdout).strip()[-2000:]}")
        times, phases = read_raw(path.read_bytes())
    if times[-1] < (deck.duration - 1) * 1e-12:
        raise RuntimeError(f"ngspice stopped at {times[-1] * 1e12:.1f} ps: {done.stderr.strip()[-2000:]}")
    return {net: pulses(times * 1e12, phases[f"v(phase_{net.lower()})"]) for net in deck.probes}


def read_raw(content: bytes) -> tuple[npt.NDArray[np.float64], dict[str, npt.NDArray[np.float64]]]:
    """Time, s, and every vector of a binary raw file by its name, in lower case as ngspice writes it."""
    header, _, data = content.partition(b"Binary:\n")
    lines = header.decode().splitlines()
    names = [line.split()[1] for line in lines[lines.index("Variables:") + 1 :] if line.startswith("\t")]
    table = np.frombuffer(data, np.float64).reshape(-1, len(names))
    return table[:, 0], {name: table[:, k] for k, name in enumerate(names)}


def pulses(times: npt.NDArray[np.float64], phase: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """When a phase first crosses pi, 3 pi, 5 pi, ...: the pulses, in the unit of `times`.

    A phase that falls back by 2 pi takes nothing back: pulses are counted at their highest.
    """
    highest = np.maximum.accumulate(phase)
    count = max(0, math.floor((highest[-1] + math.pi) / (2 * math.pi)))
    found: list[float] = []
    for level in math.pi * (2 * np.arange(count) + 1):
        k = int(np.searchsorted(highest, level))
        part = (level - phase[k - 1]) / (phase[k] - phase[k - 1])
        found.append(float(times[k - 1] + part * (times[k] - times[k - 1])))
    return tuple(found)
