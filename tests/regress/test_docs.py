"""The workflow and the hook of the documentation: their commands run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nmc.regress import suite as files

DOCS = Path(__file__).resolve().parents[2] / "docs"


def commands() -> list[str]:
    """Every command of the workflow and of the hook that is nmc's."""
    workflow = (DOCS / "ci" / "hardware-regression.yml").read_text()
    hook = (DOCS / "ci" / "pre-commit-config.yaml").read_text()
    found = re.findall(r"(?:run|entry): (nmc .*)", workflow + hook)
    assert len(found) == 2
    return found


@pytest.mark.parametrize("command", commands())
def test_command_runs_as_it_stands(folder: Path, command: str) -> None:
    (folder / "networks.suite.toml").write_bytes((folder / "net.suite.toml").read_bytes())
    environment = {
        **os.environ,
        "NMC_CACHE": str(folder / "cache"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    tool = [sys.executable, "-c", "from nmc.cli import main; main()"]

    def run(text: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(text.replace("$GITHUB_STEP_SUMMARY", environment["GITHUB_STEP_SUMMARY"]))
        return subprocess.run(
            [*tool, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    assert run(command).returncode == 1  # no baselines yet
    assert run("nmc regress update networks.suite.toml --reason first").returncode == 0
    done = run(command)
    assert done.returncode == 0, done.stderr
    if "--junit" in command:
        assert (folder / "regress.xml").read_text().count("<testcase") == 2
        assert "2 of 2 moved" in (folder / "summary.md").read_text()
        assert "all as their baselines say" in (folder / "summary.md").read_text()


def test_suite_of_the_documentation_is_one(folder: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / "regression.md").read_text(), re.DOTALL)
    for name, source in (("digits.nir", "net.nir"), ("test.npz", "data.npz"), ("train.npz", "data.npz")):
        (folder / name).write_bytes((folder / source).read_bytes())
    (folder / "networks.suite.toml").write_text(text)
    suite = files.read(folder / "networks.suite.toml")
    assert [case.name for case in suite.cases] == ["digits@loihi", "digits@fpga"]
    assert suite.cases[1].witnesses == ("verilator",)
