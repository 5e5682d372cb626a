"""How long SFQ netlists take to compile and to simulate: 30,000 junctions, and a million.

python bench/bench_sfq.py [--large]
"""

import argparse
import time
from itertools import pairwise

import numpy as np

from nmc import driver
from nmc.backends.sfq import files, machine
from nmc.backends.sfq.machine import Tables
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison
from nmc.ir.ops import Input, Linear, Output, Signal, SignalKind, Threshold
from nmc.ir.tensor import Tensor


def network(*sizes: int) -> Graph:
    """Threshold units in dense layers, weights -7 to 7."""
    random = np.random.default_rng(0)
    nodes = [Node("x", Input(Signal((sizes[0],), SignalKind.REAL)))]
    for k, (pre, post) in enumerate(pairwise(sizes)):
        nodes.append(Node(f"w{k}", Linear(Tensor(random.integers(-7, 8, (post, pre)).astype(np.float64)))))
        nodes.append(Node(f"n{k}", Threshold((post,), Tensor(np.full(post, 2.0)), Comparison.AT_LEAST)))
    nodes.append(Node("y", Output((sizes[-1],))))
    names = [node.name for node in nodes]
    return Graph(tuple(nodes), tuple(Edge(a, b) for a, b in pairwise(names)))


def build(*sizes: int) -> driver.Compiled:
    """Compile, and say how long it took."""
    graph = network(*sizes)
    begun = time.process_time()
    done = driver.compile(graph, target="sfq")
    seconds = time.process_time() - begun
    resources = {each.name: each.used for each in done.resources}
    synapses = sum(a * b for a, b in pairwise(sizes))
    junctions = resources["Josephson junctions"]
    shape = "-".join(map(str, sizes))
    print(
        f"{shape}: {junctions:,.0f} JJ ({junctions / synapses:.1f} a weight), "
        f"step {resources['step (ns)']:.1f} ns, {resources['static power (mW)']:.2f} mW; compiled in {seconds:.2f} s"
    )
    return done


def run(done: driver.Compiled, steps: int) -> None:
    """Simulate with a tenth of the inputs spiking, twice: the first time compiles the kernel."""
    found = done.artifact.files
    schedule = files.read_schedule(found[files.SCHEDULE])
    begun = time.process_time()
    netlist, library = files.read_netlist(found[files.NETLIST]), files.read_cells(found[files.CELLS])
    tables = Tables(netlist, library, slot=schedule.slot)
    print(f"  read in {time.process_time() - begun:.2f} s")
    size = len(schedule.inputs["x"].nets)
    inputs = {"x": (np.random.default_rng(1).random((steps, size)) < 0.1).astype(np.uint8)}
    pulses = machine.stimulus(schedule, inputs, steps=steps)
    events = np.array([(at, tables.numbers[net]) for at, net in pulses], np.int64)
    tables.run(events[:10], ())
    begun = time.process_time()
    ran = tables.run(events, netlist.outputs)
    seconds = time.process_time() - begun
    rate = ran.events / seconds / 1e6
    print(
        f"  {steps} steps: {ran.events:,} pulses in {seconds:.2f} s, {rate:.1f} M/s; {ran.violated} violations"
    )


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="a million junctions, too")
    large: bool = parser.parse_args().large
    build(2, 2, 1)  # imports
    run(build(64, 16, 10), 200)
    run(build(96, 24, 10), 200)
    if large:
        run(build(784, 64, 10), 1)
        run(build(784, 180, 10), 1)


if __name__ == "__main__":
    main()
