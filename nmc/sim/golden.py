"""What a network does, exactly: real graphs in float64 or float32, integer graphs in integers.

A graph is planned once (`prepare`) and runs any number of inputs (`Simulator.run`). Samples are independent: a
pool of threads takes them in groups; the compiled kernels hold no interpreter lock. The numbers do not depend
on how many threads, groups or chunks of time there are.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.graph import Graph
from nmc.ir.ops import Elementwise, Input, MatMul, Neuron, Threshold, input_shape, output_shape
from nmc.sim import kernels, layout
from nmc.sim.arrays import checked_inputs, spread
from nmc.sim.plan import EVENTS, Plan, make_plan
from nmc.sim.streams import Arena, Kept, Stage, make_arena
from nmc.sim.trace import SimResult

Array = npt.NDArray[Any]
"""Any: inputs of every numeric dtype."""

CHUNK_BYTES = 1 << 21
"""Signals of a chunk of time and a group of samples stay in a core's second cache, 1 to 2 MiB on current CPUs."""

Progress = Callable[[int, int], None]
"""Called with the sample-steps done and those to do, from one thread at a time."""


def simulate(
    graph: Graph,
    inputs: Mapping[str, Array],
    *,
    record: Sequence[str] = (),
    dtype: npt.DTypeLike = np.float64,
    threads: int = 0,
    progress: Progress | None = None,
) -> SimResult:
    """Run a graph on inputs (steps, samples, *shape), one array for each `Input`, of any numeric dtype.

    Inputs have the model's steps, outputs and traces the graph's, `stretch` times as many. Outputs are spikes as
    uint8; of an integer graph mantissas as int64, of a real graph values in `dtype`
    (float64 or float32). `record` names what to trace: `node.v` and `node.i`, as they are at the end of a step,
    `node.spikes`, `node.in`, the sum of what enters, and `node.out`. `threads` 0 takes all cores.
    Raises CompileError for inputs, recordings and graphs that cannot be.
    """
    return prepare(graph, record=record, dtype=dtype).run(inputs, threads=threads, progress=progress)


@dataclass(frozen=True, slots=True)
class Simulator:
    """A graph ready to run: its stages by component, with those behind them that write outputs and traces."""

    plan: Plan
    components: tuple[tuple[Stage, ...], ...]
    blocks: tuple[int | None, ...]
    outputs: tuple[str, ...]
    record: tuple[str, ...]
    kept: Mapping[str, tuple[Kept, tuple[int, ...]]]

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        threads: int = 0,
        progress: Progress | None = None,
        chunk: int | None = None,
        group: int | None = None,
    ) -> SimResult:
        """As `simulate`. `chunk` steps of `group` samples run at a time, which costs memory and no exactness."""
        graph, plan = self.plan.graph, self.plan
        sources, steps, samples = checked_inputs(graph, inputs, integer=plan.integer, dtype=plan.dtype)
        sources = {name: spread(array, graph.stretch) for name, array in sources.items()}
        steps *= graph.stretch
        kept = {
            name: (np.zeros if spec.dtype == np.uint8 else np.empty)((steps, samples, spec.size), spec.dtype)
            for name, (spec, _) in self.kept.items()
        }
        workers = min(threads or os.cpu_count() or 1, samples)
        chunk, group = self._portion(steps, samples, workers, chunk, group)
        groups = [(first, min(group, samples - first)) for first in range(0, samples, group)]
        workers = min(workers, len(groups))
        report = _Report(progress, steps * samples)
        arenas = [
            make_arena(self.components, samples=group, chunk=chunk, sources=sources, kept=kept)
            for _ in range(workers)
        ]
        pending = iter(groups)
        lock = Lock()

        def work(arena: Arena) -> None:
            while True:
                with lock:
                    job = next(pending, None)
                if job is None:
                    return
                self._run_group(arena, *job, steps=steps, chunk=chunk, report=report)

        if workers == 1:
            work(arenas[0])
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(work, arenas))
        return self._result(arenas, kept)

    def _portion(
        self, steps: int, samples: int, workers: int, chunk: int | None, group: int | None
    ) -> tuple[int, int]:
        """Steps and samples that run at a time, so that their signals stay in a cache."""
        streams = {stream for c in self.components for stage in c for stream in stage.streams()}
        # Of events, one in sixteen elements is a usual load.
        step_bytes = sum(s.size * (s.dtype.itemsize if s.dtype is not None else 1) for s in streams)
        room = max(1, CHUNK_BYTES // max(1, step_bytes))
        share = -(-samples // workers)
        if any(block is not None for block in self.blocks):
            # Loops pay for every block of steps: many samples at once, few steps.
            chosen_group = min(share, room)
            chosen_chunk = _even(steps, max(1, room // chosen_group))
        else:
            chosen_chunk = _even(steps, room)
            chosen_group = _even(share, max(1, room // chosen_chunk))
        return chunk or chosen_chunk, group or chosen_group

    def _run_group(
        self, arena: Arena, first: int, samples: int, *, steps: int, chunk: int, report: _Report
    ) -> None:
        arena.begin()
        for start in range(0, steps, chunk):
            stop = min(start + chunk, steps)
            for component, block in zip(arena.steps, self.blocks, strict=True):
                size = block or stop - start
                for t in range(start, stop, size):
                    for stage in component:
                        stage(first, samples, t, min(t + size, stop))
            report.add((stop - start) * samples)

    def _result(self, arenas: list[Arena], kept: Mapping[str, Array]) -> SimResult:
        graph = self.plan.graph
        found = {name: layout.outer(kept[name], shape) for name, (_, shape) in self.kept.items()}
        for name, array in found.items():
            if array.dtype.kind == "i":
                found[name] = array.astype(np.int64, copy=False)
            node, _, variable = name.rpartition(".")
            op = graph[node].op
            if variable == "wait" and isinstance(op, Neuron) and op.fire is not None:
                found[name] = _waits(array, op.fire.refractory.data)
        spikes = {
            node.name: sum(int(arena.totals[node.name][0]) for arena in arenas)
            for node in graph.nodes
            if isinstance(node.op, Threshold) or (isinstance(node.op, Neuron) and node.op.fire is not None)
        }
        outputs = {name: found[f"{name}.out"] for name in self.outputs}
        trace = {name: found[name] for name in self.record}
        return SimResult("golden", outputs, trace, spikes)


def _waits(spikes: Array, periods: Array) -> Array:
    """How many steps of rest are left after each step: the period after a spike, then one less a step."""
    left = np.zeros(spikes.shape, np.int64)
    for t, fired in enumerate(spikes):
        before = left[t - 1] if t else np.zeros_like(left[0])
        left[t] = np.where(fired != 0, periods, np.maximum(before - 1, 0))
    return left


def _even(amount: int, largest: int) -> int:
    """The size of equal portions of `amount`, none above `largest`."""
    return -(-amount // -(-amount // largest))


class _Report:
    """Counts what is done and tells the caller, one thread at a time."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, Lock()

    def add(self, amount: int) -> None:
        """So many sample-steps more."""
        if self.progress is None:
            return
        with self.lock:
            self.done += amount
            self.progress(self.done, self.total)


VARIABLES = ("v", "i", "wait", "spikes", "in", "out")
"""What can be recorded of a node."""


def _recording(graph: Graph, name: str) -> tuple[str, str]:
    """The node and the variable of `node.variable`. Raises CompileError for what does not exist."""
    node, _, variable = name.rpartition(".")
    if node not in graph:
        near = difflib.get_close_matches(node, [each.name for each in graph.nodes], 1)
        raise CompileError(
            error(
                "NMC505",
                f"nothing can be recorded of `{node or name}`, which the model does not have",
                Loc("<record>", name),
                help=f"did you mean `{near[0]}.{variable}`?" if near else "name it as `node.variable`",
            )
        )
    op = graph[node].op
    has = {
        "v": isinstance(op, Neuron),
        "i": isinstance(op, Neuron) and op.synapse is not None,
        "wait": isinstance(op, Neuron) and op.fire is not None and bool(op.fire.refractory.data.any()),
        "spikes": isinstance(op, Threshold) or (isinstance(op, Neuron) and op.fire is not None),
        "in": not isinstance(op, Input | Elementwise | MatMul),
        "out": True,
    }
    if isinstance(op, Elementwise):
        has |= dict.fromkeys(op.program.states, True)
    if not has.get(variable, False):
        names = ", ".join(f"`{each}`" for each, there in has.items() if there)
        raise CompileError(
            error(
                "NMC505", f"`{node}` has no `{variable}` to record", graph[node].loc, help=f"it has {names}"
            )
        )
    return node, variable


def prepare(graph: Graph, *, record: Sequence[str] = (), dtype: npt.DTypeLike = np.float64) -> Simulator:
    """Plan a graph once, to run it many times; arguments as `simulate`."""
    wanted = [_recording(graph, name) for name in dict.fromkeys(record)]
    watched = frozenset(node for node, variable in wanted if variable == "in")
    plan = make_plan(graph, dtype=np.dtype(dtype), watched=watched)
    outputs = tuple(node.name for node in graph.outputs)
    stages: list[Stage] = []
    kept: dict[str, tuple[Kept, tuple[int, ...]]] = {}
    for node, variable in [*((name, "out") for name in outputs), *wanted]:
        name = f"{node}.{variable}"
        if name in kept:
            continue
        if variable not in ("wait", "spikes", "in", "out"):
            spec = next(
                a
                for c in plan.components
                for s in c
                for a in s.arguments
                if isinstance(a, Kept) and a.name == name
            )
            kept[name] = (spec, output_shape(graph[node].op))
            continue
        view = plan.entering[node] if variable == "in" else plan.views[node]
        shape = input_shape(graph[node].op) if variable == "in" else output_shape(graph[node].op)
        spec = Kept(name, view.stream.size, view.stream.dtype or np.dtype(np.uint8))
        kept[name] = (spec, shape)
        kernel = kernels.keep_spikes if view.stream.dtype is EVENTS else kernels.keep_values
        stages.append(Stage(node, kernel, (view, spec)))
    components = (*plan.components, *((tuple(stages),) if stages else ()))
    blocks = (*plan.blocks, *((None,) if stages else ()))
    return Simulator(plan, components, blocks, outputs, tuple(dict.fromkeys(record)), kept)
