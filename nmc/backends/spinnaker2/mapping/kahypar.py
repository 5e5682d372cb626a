"""Mt-KaHyPar, a hypergraph partitioner, in place of nmc's own: `pip install mtkahypar`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.spinnaker2.mapping.refine import UNIT, Hypergraph
from nmc.diagnostics import CompileError, Loc, error

Array = npt.NDArray[Any]

IMBALANCE = 0.03


def kahypar(graph: Hypergraph, parts: int) -> Array:
    """The part of each neuron, as Mt-KaHyPar's deterministic preset finds it for connectivity (km1).

    Raises CompileError (NMC426) if it is not installed.
    """
    if find_spec("mtkahypar") is None:
        message = "`partitioner` is `mtkahypar`, which is not installed"
        raise CompileError(error("NMC426", message, Loc("<command line>"), help="pip install mtkahypar"))
    import mtkahypar

    tool: Any = mtkahypar.initialize(1)  # Any: the package ships no types
    context = tool.context_from_preset(mtkahypar.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(parts, IMBALANCE, mtkahypar.Objective.KM1)
    context.logging = False
    mean = float(graph.rate.mean()) or 1.0
    weight = np.maximum(1, np.rint(graph.rate * (UNIT / mean))).astype(np.int64)
    (used,) = np.nonzero(np.diff(graph.start))
    pins = [graph.pins[graph.start[u] : graph.start[u + 1]].tolist() for u in used]
    neurons = len(graph.first) - 1
    hypergraph = tool.create_hypergraph(
        context, neurons, len(pins), pins, [1] * neurons, weight[used].tolist()
    )
    return np.array(hypergraph.partition(context).get_partition(), np.int64)
