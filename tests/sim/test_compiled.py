"""Machine code: kept on disk, never from other rules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nmc.ir.neuron import step_integer
from nmc.sim import compiled
from nmc.sim.neurons import Rule, integer_kernel, real_kernel

RULE = Rule(
    emits=0,
    synapse=False,
    biased=False,
    refractory=False,
    each=False,
    current_used=0,
    comparison=0,
    spike_from=0,
    reset=2,
    when=0,
    clamped=False,
)


def test_kernels_close_over_the_digest_of_the_rules() -> None:
    for make in (integer_kernel, real_kernel):
        kernel: Any = make(RULE)
        cells = [cell.cell_contents for cell in kernel.py_func.__closure__]
        assert compiled.RULES_DIGEST in cells


def test_digest_changes_with_the_source_of_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest(source: str) -> int:
        (tmp_path / "rules.py").write_text(source)
        module = ModuleType("rules")
        module.__file__ = str(tmp_path / "rules.py")
        return compiled.digest_of(module)

    assert digest("def f(x):\n    return x\n") != digest("def f(x):\n    return -x\n")


def test_compiled_rules_are_those_of_the_ir() -> None:
    def step(v: int, x: int) -> tuple[int, int, int]:
        return step_integer(v, 0, x, 8, 20, 0, 0, 2, 4, 1, 0, 8, 3, False, 1, 0, 2, 0, False)

    kernel = compiled.compiled(step)
    for v in range(-128, 128, 5):
        for x in range(-60, 60, 7):
            assert kernel(v, x) == step(v, x)


def test_kernels_run_where_no_folder_can_be_written(tmp_path: Path) -> None:
    # numba keeps code where NUMBA_CACHE_DIR says; a file in its place cannot hold any
    (tmp_path / "taken").write_text("")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "taken" / "below")}
    code = "\n".join(
        (
            "import numpy as np",
            "from nmc.sim import kernels",
            "x = np.ones((1, 2, 3))",
            "kernels.clear(x, 0, 1, 0, 2)",
            "print(x.sum())",
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "0.0\n", done.stderr
