"""What a simulation gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules for the whole run, and where the figure comes from (`modelled from …`)."""

    joules: float
    basis: str


@dataclass(frozen=True, slots=True)
class SimResult:
    """The outcome of one run, of any engine.

    `outputs` and `trace` hold arrays (steps, samples, *shape): outputs by the name of the graph's output; traces by
    `node.variable` (`v`, `i`, `spikes`). Spikes are uint8, integer states int64, reals as computed. `spikes` counts
    the spikes of each population over all steps and samples. Cycles, seconds (of the chip, not of the host) and
    energy are per run, None where an engine has no notion of them. `counts` are further named totals; `weights` what
    connections that learn have at the end, by the connection's name: (post, pre), in units of their mantissas.
    """

    by: str
    outputs: Mapping[str, Array]
    trace: Mapping[str, Array] = field(default_factory=dict[str, Array])
    spikes: Mapping[str, int] = field(default_factory=dict[str, int])
    cycles: int | None = None
    seconds: float | None = None
    energy: Energy | None = None
    counts: Mapping[str, float] = field(default_factory=dict[str, float])
    by_step: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """What each step took, by what it is: (steps, samples)."""
    weights: Mapping[str, Array] = field(default_factory=dict[str, Array])

    @property
    def steps(self) -> int:
        """How many steps ran."""
        return next(iter(self.outputs.values())).shape[0]

    @property
    def samples(self) -> int:
        """How many samples ran."""
        return next(iter(self.outputs.values())).shape[1]
