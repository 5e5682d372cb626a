"""Golden beside the physical limit: W1, W2 and W3 of the recordings' `bench`, in golden and in hand-written C.

The C kernels (AVX-512) and the seeded workloads come from the folder `shared/bench` beside the checkout, are
copied to a temporary folder and built there with gcc. Both sides run alternately in one process on one thread;
the table shows medians of CPU time and their ratio, and the spike counts must be equal.

    python bench/bench_golden.py [--rounds 9] [--only w1,w2,w3]
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.linear import make_sparse
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Fire,
    Flatten,
    Input,
    Linear,
    Membrane,
    Neuron,
    Op,
    Output,
    Pool,
    Pooling,
    Signal,
    SignalKind,
    Sparse,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.sim import golden

SHARED = Path(__file__).resolve().parents[2] / "shared"
WORD = FixedPoint(32, True, 0)
EXACT = Accumulator(WORD, Rounding.FLOOR, Overflow.PROVED_ABSENT)


@dataclass(frozen=True)
class Contest:
    """One workload: what golden and C run, what both count, and what the time is divided by."""

    name: str
    ours: Callable[[], list[int]]
    limit: Callable[[], list[int]]
    per: int
    unit: str
    events: int
    prepared: float


def number(values: Any) -> Tensor:
    return Tensor(np.asarray(values, np.int64), WORD)


def weight(values: Any, bits: int = 8) -> Tensor:
    return Tensor(np.asarray(values), FixedPoint(bits, True, 0))


def population(
    shape: tuple[int, ...], threshold: int, *, leak: int | None, bias: Any = None, initial: Any = 0
) -> Neuron:
    """v -= v >> leak; v += input + bias; a spike if v >= threshold; v -= threshold."""
    arithmetic = Arithmetic(
        v_bits=32,
        i_bits=32,
        decay_form=DecayForm.NONE if leak is None else DecayForm.SHIFTS,
        decay_bits=leak or 0,
        rounding=Rounding.FLOOR,
        v_overflow=Overflow.PROVED_ABSENT,
        i_overflow=Overflow.PROVED_ABSENT,
        comparisons=(Comparison.AT_LEAST,),
        resets=((Reset.SUBTRACT, ResetWhen.SAME_STEP),),
        threshold_bits=31,
        threshold_shift=0,
        input_shift=0,
        bias_bits=32,
        bias_shift=0,
    )
    decay = None if leak is None else Tensor((1 << leak) - 1, FixedPoint(leak + 1, False, -leak))
    return Neuron(
        shape,
        None,
        Membrane(decay, None, None if bias is None else number(bias), None, number(initial)),
        Fire(
            number(threshold),
            Comparison.AT_LEAST,
            SpikeFrom.NEW,
            Reset.SUBTRACT,
            ResetWhen.SAME_STEP,
            number(0),
            Tensor(0),
        ),
        arithmetic,
    )


def chain(*ops: tuple[str, Op]) -> Graph:
    nodes = tuple(Node(name, op) for name, op in ops)
    return Graph(nodes, tuple(Edge(a.name, b.name) for a, b in pairwise(nodes)))


def timed_prepare(graph: Graph) -> tuple[golden.Simulator, float]:
    start = time.process_time()
    simulator = golden.prepare(graph)
    return simulator, time.process_time() - start


# ---- W1: 784-1024-1024-10, T = 100 ------------------------------------------------------------------------


def w1(workloads: Any, samples: int) -> Contest:
    w = workloads.W1()
    library, theta = workloads.lib(), w["theta"]
    ops: list[tuple[str, Op]] = [("x", Input(Signal((784,), SignalKind.SPIKE)))]
    for layer, rows in enumerate(w["W"], start=1):
        ops.append((f"w{layer}", Linear(weight(rows.T), None, EXACT)))
        ops.append((f"l{layer}", population((rows.shape[1],), int(theta[layer]), leak=workloads.LEAK)))
    simulator, prepared = timed_prepare(chain(*ops, ("y", Output((10,)))))
    x = np.ascontiguousarray(w["S"][:samples].swapaxes(0, 1), np.uint8)

    def ours() -> list[int]:
        return list(simulator.run({"x": x}, threads=1).spikes.values())

    def limit() -> list[int]:
        counts, _ = workloads.c_fc(w, samples, 2, 1, library)
        return [int(c) for c in counts[1:]]

    counts = workloads.c_fc(w, samples, 2, 1, library)[0]
    per = w["T"] * samples
    return Contest(f"W1 batch {samples}", ours, limit, per, "sample-step", workloads.w1_se(counts), prepared)


# ---- W2: 100,000 neurons with 100 synapses each, delays 1 to 16 -------------------------------------------


def w2(workloads: Any) -> Contest:
    w = workloads.W2()
    library, n = workloads.lib(), w["N"]
    packed = workloads.pack_rec(w["tgt"], w["dly"], w["wt"], "delay")
    start = np.arange(n + 1, dtype=np.int64) * w["K"]
    synapses = make_sparse(
        (n,),
        (n,),
        pre=np.repeat(np.arange(n), w["K"]),
        post=w["tgt"].ravel(),
        weight=w["wt"].ravel(),
        delay=w["dly"].ravel() - 1,
    )
    integers = weight(synapses.weight.data.astype(np.int64), 16)
    recurrent = Sparse((n,), (n,), synapses.pre, synapses.post, integers, synapses.delay, EXACT)
    cells = population((n,), w["theta"], leak=w["leak"], bias=w["bias"], initial=w["v0"])
    nodes = (
        Node("x", Input(Signal((1,), SignalKind.SPIKE))),
        Node("cells", cells),
        Node("synapses", recurrent),
        Node("unused", Output((1,))),
    )
    edges = (Edge("cells", "synapses", 1), Edge("synapses", "cells"), Edge("x", "unused"))
    simulator, prepared = timed_prepare(Graph(nodes, edges))
    x = np.zeros((w["T"], 1, 1), np.uint8)

    def ours() -> list[int]:
        return [simulator.run({"x": x}, threads=1).spikes["cells"]]

    def limit() -> list[int]:
        total, _ = workloads.c_rec(w, packed, start, 1, 1, library)
        return [int(total)]

    return Contest("W2", ours, limit, w["T"], "step", limit()[0] * w["K"], prepared)


# ---- W3: the NIR paper's N-MNIST net ----------------------------------------------------------------------


def w3(workloads: Any, samples: int) -> Contest:
    w = workloads.W3()
    library = workloads.lib()
    theta = [int(limit) for limit in w["th"]]
    q = w["q"]

    def conv(in_shape: tuple[int, ...], kernel: Any, stride: int) -> Conv:
        return Conv(in_shape, weight(kernel), None, (stride,) * 2, ((1, 1),) * 2, (1, 1), 1, EXACT)

    def pool(in_shape: tuple[int, ...]) -> Pool:
        return Pool(in_shape, Pooling.SUM, (2, 2), (2, 2), ((0, 0),) * 2)

    graph = chain(
        ("x", Input(Signal((2, 34, 34), SignalKind.SPIKE))),
        ("c1", conv((2, 34, 34), q[0], 2)),
        ("l1", population((16, 16, 16), theta[0], leak=None)),
        ("c2", conv((16, 16, 16), q[1], 1)),
        ("l2", population((16, 16, 16), theta[1], leak=None)),
        ("p2", pool((16, 16, 16))),
        ("c3", conv((16, 8, 8), q[2], 1)),
        ("l3", population((8, 8, 8), theta[2], leak=None)),
        ("p3", pool((8, 8, 8))),
        ("flat", Flatten((8, 4, 4), 0, 2)),
        ("w4", Linear(weight(q[3]), None, EXACT)),
        ("l4", population((256,), theta[3], leak=None)),
        ("w5", Linear(weight(q[4]), None, EXACT)),
        ("l5", population((10,), theta[4], leak=None)),
        ("y", Output((10,))),
    )
    simulator, prepared = timed_prepare(graph)
    x = np.ascontiguousarray(w["S"][:samples].swapaxes(0, 1), np.uint8)
    _, events, _ = workloads.c_conv(w, samples, library)

    def ours() -> list[int]:
        return list(simulator.run({"x": x}, threads=1).spikes.values())

    def limit() -> list[int]:
        counts, _, _ = workloads.c_conv(w, samples, library)
        return [int(c) for c in counts[1:]]

    per = w["T"] * samples
    return Contest(f"W3 batch {samples}", ours, limit, per, "sample-step", int(events.sum()), prepared)


# ---- the contest ------------------------------------------------------------------------------------------


def load_workloads(folder: Path) -> Any:
    """The workloads' module and its C library, built in `folder`."""
    for file in ("workloads.py", "snnc.c"):
        shutil.copy(SHARED / "bench" / file, folder / file)
    shutil.copy(SHARED / "wild" / "nir" / "cnn_sinabs.nir", folder / "cnn_sinabs.nir")
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-pthread"]
    subprocess.run(["gcc", *flags, "-o", "libsnnc.so", "snnc.c"], cwd=folder, check=True)
    spec = importlib.util.spec_from_file_location("workloads", folder / "workloads.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cpu_seconds(run: Callable[[], list[int]]) -> tuple[float, list[int]]:
    start = time.process_time()
    counts = run()
    return time.process_time() - start, counts


def fight(contest: Contest, rounds: int) -> None:
    """Runs both sides alternately and prints a row of the table."""
    contest.ours()
    ours: list[float] = []
    limit: list[float] = []
    for _ in range(rounds):
        limit_time, limit_counts = cpu_seconds(contest.limit)
        our_time, our_counts = cpu_seconds(contest.ours)
        if our_counts != limit_counts:
            sys.exit(f"{contest.name}: golden counts {our_counts} spikes, C counts {limit_counts}")
        ours.append(our_time)
        limit.append(limit_time)
    scale = 1e6 / contest.per
    a, b = median(ours), median(limit)
    print(
        f"{contest.name:13} {a * scale:9.2f} {b * scale:9.2f}  µs a {contest.unit:11} "
        f"{b / a:6.2f} of the limit {contest.events / a / 1e9:7.2f} GSE/s "
        f"{contest.prepared * 1e3:8.0f} ms to prepare; {sum(our_counts)} spikes, equal"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="w1,w2,w3")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit("needs the folder `shared` beside the checkout, which holds the C kernels")
    wanted = options.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        workloads = load_workloads(Path(folder))
        print(f"{'':13} {'golden':>9} {'C':>9}")
        makers: list[tuple[str, Callable[[], Contest]]] = [
            ("w1", lambda: w1(workloads, 1)),
            ("w1", lambda: w1(workloads, 64)),
            ("w2", lambda: w2(workloads)),
            ("w3", lambda: w3(workloads, 1)),
            ("w3", lambda: w3(workloads, 16)),
        ]
        for name, make in makers:
            if name in wanted:
                fight(make(), options.rounds)


if __name__ == "__main__":
    main()
