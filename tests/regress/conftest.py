"""A suite of small networks on real targets, with its cache and baselines in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nmc.regress import run as suites
from nmc.regress import suite as files
from nmc.regress.cache import Cache
from nmc.regress.run import Report
from nmc.regress.suite import Suite
from tests.toy_files import write_data, write_model

SUITE = """
[tolerance]
seconds = 0.05
joules = 0.05

[[case]]
name = "net"
model = "net.nir"
targets = ["loihi", "fpga"]
stimulus = "data.npz"
labels = "y"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `net.nir`, `data.npz` and `net.suite.toml`."""
    write_model(tmp_path / "net.nir")
    write_data(tmp_path / "data.npz")
    (tmp_path / "net.suite.toml").write_text(SUITE)
    return tmp_path


@pytest.fixture
def suite(folder: Path) -> Suite:
    return files.read(folder / "net.suite.toml")


@pytest.fixture
def run(folder: Path) -> Callable[[Suite], Report]:
    """Run a suite with the folder's own cache, in this process."""
    return lambda suite: suites.run(suite, cache=Cache(folder / "cache"), processes=1)


@pytest.fixture
def known(suite: Suite, run: Callable[[Suite], Report]) -> Suite:
    """The suite with baselines."""
    suites.update(suite, run(suite), "as it is now")
    return suite
