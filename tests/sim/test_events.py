"""Spikes out of marks."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.sim.compiled import compiled
from nmc.sim.events import compact


@pytest.mark.parametrize("size", [0, 1, 7, 8, 31, 32, 33, 64, 71, 100, 1024])
@pytest.mark.parametrize("rate", [0.0, 0.02, 0.5, 1.0])
def test_compact_lists_the_places_of_the_ones(size: int, rate: float) -> None:
    mark = (np.random.default_rng(size).random(size) < rate).astype(np.uint8)
    ids = np.full(size + 1, -1, np.int32)
    found = compiled(compact)(mark, ids)
    assert ids[:found].tolist() == np.flatnonzero(mark).tolist()
