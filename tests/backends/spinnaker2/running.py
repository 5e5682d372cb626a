"""A network on golden, on the machine and in the emulator, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.spinnaker2 import emulator, machine
from nmc.driver import Compiled
from nmc.engines import variables
from nmc.ir.graph import Graph
from nmc.sim import golden
from nmc.sim.compare import Divergence, first_divergence
from nmc.sim.trace import Array, SimResult


@dataclass(frozen=True)
class Ran:
    """The three results, and where the others first differ from golden."""

    golden: SimResult
    machine: SimResult
    elf: SimResult
    divergences: tuple[Divergence | None, Divergence | None]

    @property
    def spikes(self) -> int:
        return sum(self.golden.spikes.values())


def compiled(graph: Graph, **settings: str) -> Compiled:
    return driver.compile(graph, target="spinnaker2", request=Request(settings=settings))


def run(done: Compiled, inputs: Mapping[str, Array]) -> Ran:
    record = [name for node in done.graph.nodes for name in variables(done.graph, node.name)]
    populations = tuple(dict.fromkeys(name.rpartition(".")[0] for name in record))
    expected = golden.simulate(done.graph, inputs, record=record, dtype=np.float32)
    got = machine.simulate(done.artifact.files, inputs, populations)
    elf = emulator.simulate(done.artifact.files, inputs, populations)
    return Ran(expected, got, elf, (first_divergence(expected, got), first_divergence(expected, elf)))
