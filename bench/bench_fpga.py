"""The FPGA core: cycles a step, and how fast the machine is beside Verilator. CPU seconds, one thread.

python bench/bench_fpga.py [steps]
"""

from __future__ import annotations

import itertools
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nmc.backends.backend import Request
from nmc.backends.fpga import backend, emit, files, machine, verilator
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Fire, Input, Linear, Membrane, Neuron, Output, Signal, SignalKind
from nmc.ir.tensor import Tensor
from nmc.passes.pipeline import run_pipeline

EVENTS = 102
SIZES = (784, 128, 10)


def lif(size: int) -> Neuron:
    zero = Tensor(0.0)
    fire = Fire(
        Tensor(1.0),
        Comparison.ABOVE,
        SpikeFrom.NEW,
        Reset.TO_VALUE,
        ResetWhen.SAME_STEP,
        zero,
        Tensor(np.int64(0)),
    )
    return Neuron((size,), None, Membrane(Tensor(0.9), None, None, None, zero), fire)


def network(lanes: int) -> Graph:
    rng = np.random.default_rng(0)
    nodes = [Node("x", Input(Signal((SIZES[0],), SignalKind.SPIKE)))]
    for k, (pre, post) in enumerate(itertools.pairwise(SIZES)):
        nodes += [Node(f"fc{k}", Linear(Tensor(rng.normal(0, 0.2, (post, pre))))), Node(f"lif{k}", lif(post))]
    nodes.append(Node("y", Output((SIZES[-1],))))
    edges = tuple(Edge(a.name, b.name) for a, b in itertools.pairwise(nodes))
    chosen = {setting.name: setting.default for setting in backend.SETTINGS}
    chosen |= {"weight_bits": "6", "lanes": str(lanes)}
    return run_pipeline(Graph(tuple(nodes), edges), backend.pipeline(Request(settings=chosen)))


def children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(steps: int) -> None:
    rng = np.random.default_rng(1)
    values = np.zeros((steps, 1, SIZES[0]), np.int64)
    for step in values:
        step[0, rng.choice(SIZES[0], EVENTS, replace=False)] = 1
    print(
        f"{'-'.join(map(str, SIZES))}, {EVENTS} events a step, {steps} steps; load {os.getloadavg()[0]:.1f}"
    )
    for lanes in (16, 64, 128):
        design = emit.lower(network(lanes), part="ecp5-85")
        machine.run(design, {"x": values[:4]})
        start = time.process_time()
        ran = machine.run(design, {"x": values})
        ours = ran.events[0].cycles / (time.process_time() - start)
        line = f"P={lanes:<4} {ran.events[0].cycles / steps:8.1f} cycles a step   machine {ours / 1e6:6.2f} M cycles/s"
        if verilator.ready(verilator.VERILATOR) is None:
            with tempfile.TemporaryDirectory() as folder:
                verilator.build(verilator.VERILATOR, files.write(design), Path(folder))
                before = children()
                theirs = verilator.run(verilator.VERILATOR, design, Path(folder), {"x": values})
                rate = ran.events[0].cycles / (children() - before)
            verilator.check_cycles(ran, theirs)
            line += f"   Verilator {rate / 1e6:6.2f}   {ours / rate:5.1f} x   every event in the same cycle"
        print(line)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
