"""How the mapping onto SpiNNaker2 grows, how good its cuts and places are, and sPyNNaker's cuts beside them.

    python bench/bench_mapping.py                      # a few sizes, a minute or two
    python bench/bench_mapping.py --large              # up to a million neurons, an hour and 24 GB
    python bench/bench_mapping.py --plot docs/targets/spinnaker2-mapping.svg
    python bench/bench_mapping.py --spynnaker PYTHON   # an interpreter that has sPyNNaker

Each size runs in a process of its own, so that its memory is its own. Times are of the processor.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nmc.backends.spinnaker2.emit import lower
from nmc.backends.spinnaker2.files import images_of
from nmc.backends.spinnaker2.mapping.build import mapping_of
from nmc.backends.spinnaker2.mapping.cost import costs_of
from nmc.backends.spinnaker2.mapping.locate import located
from nmc.backends.spinnaker2.mapping.partition import Partitioner, partition
from nmc.backends.spinnaker2.mapping.place import flows_of, place
from nmc.backends.spinnaker2.mapping.plan import plan_of
from nmc.backends.spinnaker2.mapping.routes import grid_of, links_of, load_links
from nmc.backends.spinnaker2.spec import SPINNAKER2_BOARD, SPINNAKER2_CHIP
from nmc.ir.graph import Graph
from tests.backends.spinnaker2.mapping.networks import recurrent, ring, shuffled

SIZES = ((1_000, 20), (3_000, 50), (10_000, 50), (30_000, 50))
LARGE = ((100_000, 100), (300_000, 100), (1_000_000, 100))

SPYNNAKER = """
import json, sys, time
import pyNN.spiNNaker as sim
size, degree, atoms = map(int, sys.argv[1:4])
rng = __import__("numpy").random.default_rng(0)
sim.setup(1.0)
sim.set_number_of_neurons_per_core(sim.IF_curr_exp, atoms)
pop = sim.Population(size, sim.IF_curr_exp())
pre = rng.integers(0, size, size * degree); post = rng.integers(0, size, size * degree)
sim.Projection(pop, pop, sim.FromListConnector(list(zip(pre.tolist(), post.tolist())), column_names=[]),
               synapse_type=sim.StaticSynapse(weight=0.1, delay=1.0))
start = time.perf_counter()
sim.run(0)
print("RESULT", json.dumps({"seconds": time.perf_counter() - start}))
"""


def network(kind: str, size: int, degree: int) -> Graph:
    """A recurrent network of a kind, seeded."""
    rng = np.random.default_rng(0)
    if kind == "random":
        pre, post = rng.integers(0, size, size * degree), rng.integers(0, size, size * degree)
    elif kind == "small world":
        pre, post = shuffled(*ring(size, degree, rewired=0.1), size)
    else:
        pre, post = shuffled(*ring(size, degree), size)
    return recurrent(pre, post, size)


def one(kind: str, size: int, degree: int) -> dict[str, float]:
    """Map one network and pack every PE's image: seconds of the processor, bytes at the most, packets a neuron."""
    chip = SPINNAKER2_CHIP if size <= 10_000 else SPINNAKER2_BOARD
    warm = network(kind, 600, 10)  # compiles the kernels, once and for all
    warm = place(warm, chip=chip)
    images_of(lower(warm, mapping_of(warm, chip=chip)))
    graph = network(kind, size, degree)
    begin = time.process_time()
    placed = place(graph, chip=chip)
    between = time.process_time()
    mapping = mapping_of(placed, chip=chip)
    routed = time.process_time()
    images = images_of(lower(placed, mapping))
    end = time.process_time()
    return {
        "neurons": size,
        "synapses": size * degree,
        "place": between - begin,
        "route": routed - between,
        "pack": end - routed,
        "fullest": max(each.used for each in images),
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "parts": len(mapping.parts),
        "further": len(mapping.synapse_parts),
        "packets": mapping.traffic.packets / size,
        "grain": mapping.grain,
        "entries": max(table.entries for table in mapping.tables),
    }


def apart(*arguments: str) -> dict[str, float] | str:
    """What `--one` prints, in a process of its own; the last line of its fault if it has one."""
    run = subprocess.run(
        [sys.executable, __file__, "--one", *arguments], capture_output=True, text=True, check=False
    )
    if run.returncode:
        return (run.stderr.strip().splitlines() or ["killed"])[-1]
    return json.loads(run.stdout.splitlines()[-1])


def cuts() -> None:
    """Packets a spike, slices and ours and Mt-KaHyPar's, and hops beside a long annealing run."""
    for kind in ("local", "small world", "random"):
        graph = network(kind, 4_000, 50)
        costs = costs_of(graph)
        rates = np.ones(costs.network.neurons)
        line = [f"{kind:12}"]
        for how in Partitioner:
            try:
                begin = time.process_time()
                parts = partition(costs, rates, 60_000, how=how)
            except Exception as fault:
                line.append(f"{how.value}: {fault}")
                continue
            plan = plan_of(costs, parts, SPINNAKER2_BOARD)
            packets = len(plan.reach.part) / costs.network.neurons
            line.append(
                f"{how.value} {packets:.2f} ({plan.parts} parts, {time.process_time() - begin:.1f} s)"
            )
            if how is Partitioner.KM1:
                flows = flows_of(costs.network, plan, rates)
                found: list[int] = []
                for effort in (1, 20):
                    pes = located(SPINNAKER2_CHIP, flows, plan.parts, effort=effort)
                    walk = links_of(grid_of(SPINNAKER2_CHIP))
                    sources = np.where(flows.source < 0, -1, pes[flows.source])
                    load_links(
                        sources, flows.start, pes[flows.part], flows.weight, grid_of(SPINNAKER2_CHIP), walk
                    )
                    found.append(int(walk.load.sum()))
                line.append(f"hops {found[0] / found[1]:.3f} of a long run's")
        print("  ".join(line), flush=True)


def growth(sizes: tuple[tuple[int, int], ...]) -> list[dict[str, float]]:
    """Time and memory of local networks with shuffled ids, of several sizes."""
    rows: list[dict[str, float]] = []
    for kind in ("local", "random"):
        for size, degree in sizes:
            found = apart(kind, str(size), str(degree))
            print(kind, size, degree, found, flush=True)
            if kind == "local" and not isinstance(found, str):
                rows.append(found)
    return rows


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """Time and memory against synapses, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "nmc"
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5))
    synapses = np.array([row["synapses"] for row in rows])
    for axis, name, values in (
        (axes[0], "seconds", np.array([row["place"] + row["route"] + row["pack"] for row in rows])),
        (axes[1], "gigabytes", np.array([row["bytes"] / 1e9 for row in rows])),
    ):
        axis.loglog(synapses, values, "o-")
        axis.loglog(synapses, values[-1] * synapses / synapses[-1], "--", color="grey", label="linear")
        axis.set_xlabel("synapses")
        axis.set_ylabel(name)
        axis.grid(True, which="both", alpha=0.3)
        axis.legend()
        twin = axis.secondary_xaxis("top")
        twin.set_xticks(synapses, [f"{int(row['neurons']):,}" for row in rows], fontsize=7)
        twin.set_xlabel("neurons")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def spynnaker(python: str) -> None:
    """sPyNNaker on its virtual board: the seconds of its whole mapping, if it can be run."""
    run = subprocess.run(
        [python, "-c", SPYNNAKER, "4000", "20", "128"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT")]
    print("sPyNNaker:", lines[0] if lines else (run.stderr.strip().splitlines() or ["nothing"])[-1])


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--one", nargs=3, metavar=("KIND", "NEURONS", "DEGREE"))
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--spynnaker", metavar="PYTHON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], int(given.one[1]), int(given.one[2]))))
        return
    rows = growth(SIZES + (LARGE if given.large else ()))
    if given.plot:
        plot(rows, given.plot)
    else:
        cuts()
    if given.spynnaker:
        spynnaker(given.spynnaker)


if __name__ == "__main__":
    main()
