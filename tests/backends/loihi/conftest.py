"""What tests of Loihi need from outside: Lava, SANA-FE, Lava's recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nmc.backends.loihi import lava as lava_witness
from nmc.backends.loihi import sanafe as sanafe_witness


def _need(missing: str | None) -> None:
    if missing is None:
        return
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def lava() -> None:
    """Lava is here, or the test is skipped; in CI it must be here."""
    _need(lava_witness.ready())


@pytest.fixture(scope="session")
def sanafe() -> None:
    """SANA-FE is here, or the test is skipped; in CI it must be here."""
    _need(sanafe_witness.ready())


@pytest.fixture(scope="session")
def recorded(shared: Path) -> Path:
    """The folder of Lava's recordings."""
    return shared / "golden" / "loihi"
