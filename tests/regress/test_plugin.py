"""The pytest plugin, as a user has it: suites among tests, fixtures, options, and under xdist."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import numpy as np

def test_machine_is_golden(nmc_compile, nmc_simulate, assert_bit_exact):
    done = nmc_compile("net.nir", settings={"weight_bits": 4})
    x = np.load("data.npz")["x"]
    golden = nmc_simulate(done, {"input": x}, record=("lif1.v",))
    assert_bit_exact(golden, nmc_simulate(done, {"input": x}, engine="machine", record=("lif1.v",)))

def test_another_width_is_not_the_same(nmc_compile, nmc_simulate, assert_bit_exact):
    x = np.load("data.npz")["x"]
    runs = [nmc_simulate(nmc_compile("net.nir", settings={"weight_bits": bits}), {"input": x}) for bits in (2, 8)]
    assert_bit_exact(*runs)
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NMC_CACHE": str(folder / "cache"), "NO_COLOR": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def test_cases_of_a_suite_are_tests_that_fail_with_what_moved(folder: Path) -> None:
    first = pytest_in(folder, "net.suite.toml")
    assert first.returncode == 1, first.stdout
    assert "a case without a baseline" in first.stdout
    assert "Traceback" not in first.stdout
    assert pytest_in(folder, "net.suite.toml", "--nmc-update", "the first").returncode == 0
    assert '"reason": "the first"' in (folder / "net.suite.baselines" / "net@loihi.json").read_text()
    again = pytest_in(folder, "net.suite.toml", "-n", "2")
    assert again.returncode == 0, again.stdout
    assert "2 passed" in again.stdout
    suite = folder / "net.suite.toml"
    suite.write_text(suite.read_text().replace('labels = "y"', 'labels = "y"\npreset = "snntorch"'))
    moved = pytest_in(folder, "net.suite.toml", "--nmc-target", "loihi")
    assert moved.returncode == 1
    assert "option preset: nothing -> snntorch" in moved.stdout
    assert "1 failed" in moved.stdout


def test_a_suite_with_faults_is_an_error_that_names_them(folder: Path) -> None:
    (folder / "net.suite.toml").write_text('[[case]]\nname = "a"\nmodle = "net.nir"\n')
    ran = pytest_in(folder)
    assert ran.returncode == 2
    assert "there is no key `modle`" in ran.stdout
    assert "did you mean `model`?" in ran.stdout


def test_fixtures_compile_simulate_and_compare(folder: Path) -> None:
    (folder / "test_net.py").write_text(TESTS)
    ran = pytest_in(folder, "test_net.py", "--nmc-target", "loihi")
    assert "1 failed, 1 passed" in ran.stdout, ran.stdout
    assert "golden and golden diverge: step" in ran.stdout


def test_a_compile_without_a_target_says_what_is_missing(folder: Path) -> None:
    (folder / "test_net.py").write_text(TESTS)
    ran = pytest_in(folder, "test_net.py")
    assert ran.returncode == 1
    assert "run pytest with --nmc-target" in ran.stdout
