"""Spikes out of marks: from a dense row to a list of events. A plain function that kernels compile."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 4
"""Words of eight marks that are looked at together."""


def compact(mark: npt.NDArray[np.uint8], ids: npt.NDArray[Any]) -> int:
    """The places of the ones in `mark` (zeros and ones, uint8), ascending, into `ids`; how many.

    Blocks without a one are skipped; of others every place is written without a branch and kept if it is a one
    (spikes are too irregular to predict), so `ids` needs room for one more than there are ones.
    """
    size = mark.shape[0]
    words = mark[: size // 8 * 8].view(np.int64)
    whole = words.shape[0] // BLOCK * BLOCK
    found = 0
    for w in range(0, whole, BLOCK):
        if words[w] | words[w + 1] | words[w + 2] | words[w + 3] != 0:
            for j in range(8 * w, 8 * (w + BLOCK)):
                ids[found] = j
                found += mark[j]
    for j in range(8 * whole, size):
        ids[found] = j
        found += mark[j]
    return found
