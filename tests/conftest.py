"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("nmc", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("nmc")

OPTIONAL = ("shared", "josim", "JoSIM")
"""What may be absent in CI: recordings that are no part of the project, and JoSIM, which no registry has."""

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
"""Recordings and models that are not part of the project; tests that need them skip where they are absent."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the recordings in the folder `shared` beside the checkout, which is absent")
    return SHARED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything that the project can install is there: a test that skips for want of it fails."""
    report = yield
    absent = report.skipped and not hasattr(report, "wasxfail")
    if absent and "CI" in os.environ and not any(word in str(report.longrepr) for word in OPTIONAL):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be missing: {report.longrepr}"
    return report
