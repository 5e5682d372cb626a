"""Make `xor.nir` and `test.npz`: exclusive or of two spikes in three threshold units."""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np

HERE = Path(__file__).parent
PATTERNS = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], np.uint8)


def network() -> nir.NIRGraph:
    """either = x0 or x1; both = x0 and x1; y = either and not both."""
    nodes = {
        "x": nir.Input(input_type={"input": np.array([2])}),
        "w_hidden": nir.Linear(weight=np.array([[1.0, 1.0], [1.0, 1.0]])),
        "hidden": nir.Threshold(threshold=np.array([0.5, 1.5])),
        "w_output": nir.Linear(weight=np.array([[1.0, -1.0]])),
        "output": nir.Threshold(threshold=np.array([0.5])),
        "y": nir.Output(output_type={"output": np.array([1])}),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(names)))


def main() -> None:
    """Write both files: one step a pattern, four samples that begin with each of them."""
    nir.write(HERE / "xor.nir", network())
    x = np.stack([np.roll(PATTERNS, -k, axis=0) for k in range(4)], axis=1)
    np.savez(HERE / "test.npz", x=x, y=(x[..., 0] ^ x[..., 1])[..., None])


if __name__ == "__main__":
    main()
