"""JoSIM as a process, for users who have it: a deck runs, and pulses are read from the phases it wrote."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from nmc.backends.sfq import decks
from nmc.backends.sfq.decks import Deck
from nmc.backends.sfq.ngspice import TIMEOUT, Pulses, pulses


def ready() -> str | None:
    """Why JoSIM cannot run here, or None."""
    return (
        None
        if shutil.which("josim-cli")
        else "`josim-cli` is not here: build it from github.com/JoeyDelp/JoSIM"
    )


def run(deck: Deck, *, step: float = 0.1, timeout: float = TIMEOUT) -> Pulses:
    """The pulses at a deck's probes. Raises RuntimeError with what JoSIM says if it gives no phases."""
    with tempfile.TemporaryDirectory(prefix="nmc-sfq-") as folder:
        (Path(folder) / "deck.cir").write_text(decks.josim(deck, step=step))
        done = subprocess.run(
            ["josim-cli", "deck.cir"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        path = Path(folder) / "pulses.csv"
        if done.returncode or not path.exists():
            raise RuntimeError(f"josim-cli: {(done.stderr or done.stdout).strip()[-2000:]}")
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    return {net: pulses(table[:, 0] * 1e12, table[:, k + 1]) for k, net in enumerate(deck.probes)}
