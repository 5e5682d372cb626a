"""Spikes out of marks: from a dense row to a list of events. A plain function that kernels compile."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 32
"""Marks looked at together."""


def padded(size: int) -> int:
    """The length of an array of marks for so many elements: whole blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def compact(mark: npt.NDArray[np.uint8], ids: npt.NDArray[Any]) -> int:
    """The places of the ones in `mark` (uint8, whole blocks), ascending, into `ids`; how many.

    Blocks without a one are skipped; of others every place is written without a branch and kept if it is a one
    (spikes are too irregular to predict), so `ids` needs room for one more than there are ones.
    """
    words = mark.view(np.int64)
    found = 0
    for w in range(0, words.shape[0], 4):
        if words[w] | words[w + 1] | words[w + 2] | words[w + 3] != 0:
            for j in range(8 * w, 8 * w + BLOCK):
                ids[found] = j
                found += mark[j]
    return found
