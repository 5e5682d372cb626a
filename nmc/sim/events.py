"""Spikes out of marks: the step from a dense row to a list of events. A plain function that kernels compile."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def compact(mark: npt.NDArray[np.uint8], ids: npt.NDArray[Any]) -> int:
    """The places of the ones in `mark` (uint8, whole words of 8), ascending, into `ids`; how many.

    `ids` needs room for one word more than there are ones: a word is written without a branch.
    """
    words = mark.view(np.int64)
    found = 0
    for w in range(words.shape[0]):
        if words[w] != 0:
            for j in range(8 * w, 8 * w + 8):
                ids[found] = j
                found += mark[j]
    return found
