"""How long a user waits for commands: CPU seconds of whole processes, children included; medians.

python bench/bench_startup.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "examples" / "digits" / "digits.nir"


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds: int = parser.parse_args().rounds
    nmc = [sys.executable, str(ROOT / "cli.py")]
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "nmc --help": [*nmc, "--help"],
            "nmc inspect digits.nir": [*nmc, "inspect", str(MODEL)],
            "nmc compile digits.nir": [
                *nmc,
                "compile",
                str(MODEL),
                "--target",
                "loihi",
                "-o",
                f"{folder}/out",
            ],
        }
        for name, command in commands.items():
            cpu_seconds(command)  # compiled and cached from here on
            times = [cpu_seconds(command) for _ in range(rounds)]
            print(f"{name:<24} {median(times):6.3f} s CPU (fastest {min(times):.3f})")


if __name__ == "__main__":
    main()
