"""Threshold neurons as one junction each: a bias current sets the threshold, currents of synapses add up.

A pulse drives a current through a synapse, 12 pH and half an ohm for a weight of one, into the soma's junction, and the
current leaks away in tens of picoseconds. The junction flips, and the neuron gives a pulse, if what comes together
and the bias exceed its critical current. A negative weight is a transformer that takes current away. How much bias
makes which threshold is measured in ngspice on the neuron's own circuit; all inputs of a step come at the same time.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from nmc.backends.backend import Program, Resource
from nmc.backends.sfq import circuit, decks, ngspice
from nmc.backends.sfq.circuit import Circuit, Element
from nmc.backends.sfq.decks import Deck
from nmc.backends.sfq.netlist import RAIL, Instance
from nmc.backends.sfq.network import Cluster, Network, Source, network_of
from nmc.diagnostics import CompileError, Diagnostic, Loc, UsageError, error
from nmc.ir.graph import Graph
from nmc.ir.ops import output_shape
from nmc.ir.tensor import Array
from nmc.sim.trace import SimResult

FILE = "analogue.json"
"""What the machine reads: shapes, neurons, sources, weights, thresholds, bias currents and their windows."""

MOST_WEIGHT = 6
"""The largest sum of absolute weights of a neuron: beyond, windows of bias close."""

STEP = 150.0
"""Picoseconds between steps, for each layer: currents of the step before have leaked away."""

HOLD = 1
"""JTLs before positive synapses of a neuron that has negative ones: inhibition must be there first."""

BIASES = tuple(range(20, 260, 5))
"""Microamperes that are tried for a soma."""

NARROWEST = 10
"""Microamperes that a window must have at least."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A neuron: its weights, positive and negative, and the weighted sum from which on it spikes."""

    weights: tuple[int, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Neuron:
    """A unit in a network: its name, its sources as (node, element), its bias current and the window of it, uA."""

    name: str
    sources: tuple[tuple[str, int], ...]
    unit: Unit
    bias: float
    window: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Analogue:
    """A network of analogue neurons, layer after layer; inputs and outputs by name with their shapes."""

    inputs: Mapping[str, tuple[int, ...]]
    neurons: tuple[Neuron, ...]
    outputs: Mapping[str, tuple[tuple[int, ...], tuple[tuple[str, int], ...]]]


Run = Callable[[Deck], ngspice.Pulses]
"""A circuit simulator: from a deck to its pulses."""


# ---- one neuron -------------------------------------------------------------------------------------------


def soma(unit: Unit, bias: float, *, name: str = "NEURON") -> Circuit:
    """The circuit of a neuron: one port a synapse, and q. `bias` in uA."""
    ports = tuple(f"a{k}" for k in range(len(unit.weights)))
    elements: list[Element] = []
    excitation = 8e-12 if inhibited(unit) else 12e-12
    for k, (port, weight) in enumerate(zip(ports, unit.weights, strict=True)):
        strength = abs(weight)
        if weight > 0:
            elements += [
                Element(f"LE{k}", "L", (port, f"x{k}"), excitation / strength),
                Element(f"RE{k}", "R", (f"x{k}", "s"), 0.5 / strength),
            ]
        else:
            elements += [
                Element(f"LP{k}", "L", (port, f"x{k}"), 12e-12 / strength),
                Element(f"RP{k}", "R", (f"x{k}", "0"), 0.25 / strength),
                Element(f"LS{k}", "L", ("s", f"y{k}"), 12e-12 / strength),
                Element(f"RS{k}", "R", (f"y{k}", "0"), 0.25 / strength),
                Element(f"K{k}", "K", (f"LP{k}", f"LS{k}"), -0.7),
            ]
    elements += [
        Element("XJ1", "J", ("s", "0"), 200e-6),
        Element("I1", "I", ("0", "s"), bias * 1e-6),
        Element("LO", "L", ("s", "1"), 4e-12),
        Element("XJ2", "J", ("1", "2"), 180e-6),
        Element("L1", "L", ("2", "3"), 2e-12),
        Element("XJ3", "J", ("3", "0"), 250e-6),
        Element("I2", "I", ("0", "3"), 175e-6),
        Element("L2", "L", ("3", "4"), 4e-12),
        Element("XJ4", "J", ("4", "0"), 250e-6),
        Element("I3", "I", ("0", "4"), 175e-6),
        Element("L3", "L", ("4", "q"), 2e-12),
    ]
    return Circuit(
        name, (*ports, "q"), tuple(elements), f"weights {unit.weights}, threshold {unit.threshold}"
    )


def inhibited(unit: Unit) -> bool:
    """Whether a unit has a negative weight. What takes current away also shunts the soma: the others are stronger."""
    return any(weight < 0 for weight in unit.weights)


def patterns(unit: Unit) -> tuple[tuple[int, ...], ...]:
    """Which synapses get a pulse: one pattern for each number of positive and of negative pulses of each strength."""
    kinds = sorted(set(unit.weights))
    at = {kind: [k for k, weight in enumerate(unit.weights) if weight == kind] for kind in kinds}
    found: list[tuple[int, ...]] = []
    for counts in itertools.product(*(range(len(at[kind]) + 1) for kind in kinds)):
        active = {k for kind, count in zip(kinds, counts, strict=True) for k in at[kind][:count]}
        found.append(tuple(int(k in active) for k in range(len(unit.weights))))
    return tuple(found)


def serves(unit: Unit, bias: float) -> bool:
    """Whether a neuron with this bias (uA) gives one pulse where the weighted sum reaches the threshold, else none."""
    given = patterns(unit)
    instances = [Instance("N", "NEURON", (*(f"to{k}" for k in range(len(unit.weights))), "out"))]
    pulses: dict[str, tuple[float, ...]] = {}
    held = inhibited(unit)
    for k, weight in enumerate(unit.weights):
        line = [f"in{k}", *(f"d{k}_{n}" for n in range(HOLD if held and weight > 0 else 0)), f"to{k}"]
        instances += [Instance(f"J{k}_{n}", "JTL", pair) for n, pair in enumerate(itertools.pairwise(line))]
        pulses[line[0]] = tuple(40 + STEP * t for t, pattern in enumerate(given) if pattern[k])
    cells = {**circuit.library(), "NEURON": soma(unit, bias)}
    deck = Deck(tuple(instances), cells, pulses, ("out",), ("out",), 40 + STEP * len(given))
    times = ngspice.run(deck, step=0.5)["out"]
    counts = [sum(40 + STEP * t <= time < 40 + STEP * (t + 1) for time in times) for t in range(len(given))]
    wanted = [int(np.dot(unit.weights, pattern) >= unit.threshold) for pattern in given]
    return counts == wanted and len(times) == sum(counts)


@cache
def window(unit: Unit) -> tuple[float, float] | None:
    """The widest run of BIASES that serve a unit, uA, or None. Measured in ngspice once for each unit."""
    runs: list[list[int]] = [[]]
    for bias in BIASES:
        if serves(unit, bias):
            runs[-1].append(bias)
        elif runs[-1]:
            runs.append([])
    widest = max(runs, key=len)
    return (float(widest[0]), float(widest[-1])) if widest else None


# ---- a network --------------------------------------------------------------------------------------------


def of_graph(graph: Graph) -> Analogue:
    """The analogue network of a quantized graph: see `build`. Raises UsageError (NMC494) where ngspice is missing."""
    missing = ngspice.ready()
    if missing is not None:
        text = f"bias currents of analogue neurons are measured in ngspice, and {missing}"
        raise UsageError(error("NMC494", text, Loc("<command line>")))
    places = {node.name: node.loc for node in graph.nodes}
    return build(network_of(graph), places, {node.name: output_shape(node.op) for node in graph.nodes})


def build(network: Network, places: Mapping[str, Loc], shapes: Mapping[str, tuple[int, ...]]) -> Analogue:
    """The analogue network of threshold units, with the middle of each unit's window as its bias.

    Raises CompileError: NMC492 for what is no network of threshold units layer after layer, NMC493 for a unit that no
    bias serves.
    """
    depth: dict[str, int] = {name: 0 for name, _ in network.inputs}
    neurons: list[Neuron] = []
    findings: list[Diagnostic] = []
    for cluster in network.clusters:
        place = places.get(cluster.name, Loc("<model>"))
        said = _unfit(cluster, depth)
        if said:
            findings.append(
                error("NMC492", f"`{cluster.name}` {said}", place, help="compile with `--set neuron=counter`")
            )
            continue
        depth[cluster.name] = 1 + max(depth[s.node] for several in cluster.sources for s in several)
        for k in range(len(cluster.rules)):
            made = _neuron(cluster, k, place)
            if isinstance(made, Neuron):
                neurons.append(made)
            else:
                findings.append(made)
    late = {s.node for _, several in network.outputs for s in several if s.delay or s.node not in depth}
    if late and not findings:
        text = "an output is delayed; analogue neurons have no memory"
        findings.append(error("NMC492", text, Loc("<model>"), help="compile with `--set neuron=counter`"))
    if findings:
        raise CompileError(*findings)
    return Analogue(
        {name: shapes[name] for name, _ in network.inputs},
        tuple(neurons),
        {
            name: (shapes[name], tuple((s.node, s.element) for s in several))
            for name, several in network.outputs
        },
    )


def _unfit(cluster: Cluster, depth: Mapping[str, int]) -> str:
    """Why a population is none of threshold units behind one layer, or nothing."""
    sources = [each for several in cluster.sources for each in several]
    if any(rule.integrates for rule in cluster.rules):
        return "keeps its membrane from step to step; an analogue neuron forgets in tens of picoseconds"
    if any(each.delay for each in sources) or any(each.node not in depth for each in sources):
        return "has delays or loops; analogue neurons have no memory"
    if len({depth[each.node] for each in sources}) != 1:
        return "hears several layers, or none: pulses would not come together"
    return ""


def _neuron(cluster: Cluster, k: int, place: Loc) -> Neuron | Diagnostic:
    """Neuron k of a population with its bias, or why there is none."""
    weights, rule = cluster.weights[k], cluster.rules[k]
    heard = [(s, int(w)) for s, w in zip(cluster.sources[k], weights.tolist(), strict=True) if w]
    scale = int(np.gcd.reduce([abs(w) for _, w in heard])) if heard else 1
    unit = Unit(tuple(w // scale for _, w in heard), -(-(rule.threshold - rule.bias) // scale))
    total = sum(abs(w) for w in unit.weights)
    most = sum(w for w in unit.weights if w > 0)
    name = f"{cluster.name}[{k}]"
    what = f"`{name}` spikes from {unit.threshold} on with weights {list(unit.weights)}"
    advice = "compile with `--set neuron=counter`"
    if not 1 <= unit.threshold <= most or total > MOST_WEIGHT:
        limit = (
            f"an analogue neuron has thresholds from 1 to {most} here, and weights of {MOST_WEIGHT} in all"
        )
        return error("NMC493", f"{what}; {limit}", place, help=advice)
    found = window(unit)
    if found is None or found[1] - found[0] < NARROWEST:
        return error("NMC493", f"{what}; no bias current does that over {NARROWEST} µA", place, help=advice)
    return Neuron(name, tuple(_at(s) for s, _ in heard), unit, (found[0] + found[1]) / 2, found)


def _at(source: Source) -> tuple[str, int]:
    return source.node, source.element


def netlist(
    network: Analogue,
) -> tuple[tuple[Instance, ...], dict[str, Circuit], tuple[str, ...], tuple[str, ...]]:
    """Instances, their circuits, input nets and output nets: a JTL an input, splitters, somas, JTLs that hold back."""
    instances: list[Instance] = []
    cells = dict(circuit.library())
    waiting: dict[tuple[str, int], list[str]] = {}
    for n, neuron in enumerate(network.neurons):
        kind = f"NEURON{n}"
        cells[kind] = soma(neuron.unit, neuron.bias, name=kind)
        held = inhibited(neuron.unit)
        pins: list[str] = []
        for k, (source, weight) in enumerate(zip(neuron.sources, neuron.unit.weights, strict=True)):
            line = [f"s{n}_{k}_{j}" for j in range(1 + (HOLD if held and weight > 0 else 0))]
            instances += [
                Instance(f"H{n}_{k}_{j}", "JTL", pair) for j, pair in enumerate(itertools.pairwise(line))
            ]
            waiting.setdefault(source, []).append(line[0])
            pins.append(line[-1])
        instances.append(Instance(f"N{n}", kind, (*pins, f"n{n}")))
    outputs: list[str] = []
    for name, (_, sources) in network.outputs.items():
        for k, source in enumerate(sources):
            outputs.append(f"out_{name}_{k}")
            waiting.setdefault(source, []).append(outputs[-1])
    inputs: list[str] = []
    drivers: dict[tuple[str, int], str] = {
        _place(each.name): f"n{n}" for n, each in enumerate(network.neurons)
    }
    for name, shape in network.inputs.items():
        for k in range(int(np.prod(shape))):
            inputs.append(f"in_{name}_{k}")
            drivers[name, k] = f"fan_{name}_{k}"
            instances.append(Instance(f"IN_{name}_{k}", "JTL", (inputs[-1], drivers[name, k])))
    renamed: dict[str, str] = {}
    for number, (source, driver) in enumerate(drivers.items()):
        instances += _fan(driver, waiting.get(source, []), f"F{number}", renamed)
    renamed_instances = tuple(
        replace_nets(each, [renamed.get(net, net) for net in each.nets]) for each in instances
    )
    return renamed_instances, cells, tuple(inputs), tuple(renamed.get(net, net) for net in outputs)


def replace_nets(instance: Instance, nets: Iterable[str]) -> Instance:
    """An instance on other nets."""
    return Instance(instance.name, instance.cell, tuple(nets))


def _place(name: str) -> tuple[str, int]:
    cluster, _, number = name.rpartition("[")
    return cluster, int(number.rstrip("]"))


def _fan(driver: str, waiting: Sequence[str], name: str, renamed: dict[str, str]) -> list[Instance]:
    """A balanced tree of splitters from a driver to what waits; one that waits alone is the driver's own net."""
    if not waiting:
        return [Instance(f"{name}_end", "SINK", (driver,))]
    if len(waiting) == 1:
        renamed[waiting[0]] = driver
        return []
    half = (len(waiting) + 1) // 2
    left, right = f"{name}_l", f"{name}_r"
    nets = [
        part[0] if len(part) == 1 else side
        for part, side in ((waiting[:half], left), (waiting[half:], right))
    ]
    made = [Instance(name, "SPLIT", (driver, *nets))]
    for part, side in ((waiting[:half], left), (waiting[half:], right)):
        if len(part) > 1:
            made += _fan(side, part, side, renamed)
    return made


def deck(
    network: Analogue, steps: Sequence[Sequence[int]], *, bias: float = 1.0, noise: bool = False
) -> Deck:
    """A network for ngspice or JoSIM with a row of input elements each STEP ps: those that are 1 get a pulse."""
    instances, cells, inputs, outputs = netlist(network)
    pulses = {
        net: tuple(40 + STEP * t for t, row in enumerate(steps) if row[k]) for k, net in enumerate(inputs)
    }
    duration = 40 + STEP * (len(steps) + 1)
    return Deck(instances, cells, pulses, outputs, outputs, duration, bias=bias, noise=noise)


def measured(
    network: Analogue,
    steps: Sequence[Sequence[int]],
    *,
    bias: float = 1.0,
    noise: bool = False,
    run: Run = ngspice.run,
) -> Array:
    """How many pulses each output element gives in each step, in a circuit simulator: (steps, outputs)."""
    found = run(deck(network, steps, bias=bias, noise=noise))
    counts = np.zeros((len(steps), len(found)), np.int64)
    for k, times in enumerate(found.values()):
        for time in times:
            at = int((time - 40) // STEP)
            if 0 <= at < len(steps):
                counts[at, k] += 1
    return counts


def expected(network: Analogue, steps: Array) -> Array:
    """What the network is to compute: spikes of the output elements for rows of input elements, (steps, outputs)."""
    values: dict[tuple[str, int], Array] = {}
    at = 0
    for name, shape in network.inputs.items():
        for k in range(int(np.prod(shape))):
            values[name, k] = (steps[:, at] != 0).astype(np.int64)
            at += 1
    for neuron in network.neurons:
        total = sum(w * values[s] for s, w in zip(neuron.sources, neuron.unit.weights, strict=True))
        values[_place(neuron.name)] = (np.asarray(total) >= neuron.unit.threshold).astype(np.int64)
    return np.stack([values[s] for _, sources in network.outputs.values() for s in sources], axis=1)


def margin(
    network: Analogue, which: int, steps: Array, *, grid: Sequence[float]
) -> tuple[float, float] | None:
    """The widest run of biases (uA) of one neuron at which the whole network still computes `steps`; others stay."""
    wanted = expected(network, steps)
    runs: list[list[float]] = [[]]
    for bias in grid:
        changed = replace(network.neurons[which], bias=bias)
        neurons = (*network.neurons[:which], changed, *network.neurons[which + 1 :])
        if np.array_equal(measured(replace(network, neurons=neurons), steps.tolist()), wanted):
            runs[-1].append(bias)
        elif runs[-1]:
            runs.append([])
    widest = max(runs, key=len)
    return (widest[0], widest[-1]) if widest else None


def probability(bias: float, *, cycles: int, seed: int = 1) -> float:
    """How often a stochastic synapse passes a pulse on, at 4.2 K in ngspice: a neuron of one input, biased (uA) so that
    a pulse by itself all but flips it, and thermal noise decides.
    """
    neuron = Neuron("synapse[0]", (("x", 0),), Unit((1,), 1), bias, (bias, bias))
    one = Analogue({"x": (1,)}, (neuron,), {"y": ((1,), (("synapse", 0),))})
    noisy = replace(deck(one, [[1]] * cycles, noise=True), seed=seed)
    (times,) = ngspice.run(noisy, step=0.5).values()
    return len(times) / cycles


# ---- the artifact -----------------------------------------------------------------------------------------


def emit(network: Analogue) -> Program:
    """Files: the network with its bias table, and decks that run every pattern of few inputs."""
    instances, cells, inputs, _ = netlist(network)
    steps = _examples(len(inputs))
    found = deck(network, steps)
    junctions = sum(len(circuit.junctions(cells[each.cell], cells)) for each in instances)
    current = sum(circuit.bias_current(cells[each.cell], cells) for each in instances) * 1e3
    table = ["neuron,weights,threshold,bias_uA,lowest_uA,highest_uA"]
    for each in network.neurons:
        weights = " ".join(map(str, each.unit.weights))
        low, high = each.window
        table.append(f"{each.name},{weights},{each.unit.threshold},{each.bias:g},{low:g},{high:g}")
    return Program(
        {
            FILE: _write(network),
            "bias.csv": ("\n".join(table) + "\n").encode(),
            "ngspice.cir": decks.ngspice(found).encode(),
            "josim.cir": decks.josim(found).encode(),
        },
        (
            Resource("Josephson junctions", float(junctions), 0.0),
            Resource("bias current (mA)", round(current, 3), 0.0),
            Resource("static power (mW)", round(current * RAIL / 1000, 4), 0.0),
            Resource("step (ns)", STEP / 1000, 0.0),
        ),
    )


def _examples(count: int) -> list[list[int]]:
    """All patterns of few inputs; of more none, each by itself, and all."""
    if count <= 6:
        return [[number >> k & 1 for k in range(count)] for number in range(1 << count)]
    return [[0] * count, *([int(j == k) for j in range(count)] for k in range(count)), [1] * count]


def _write(network: Analogue) -> bytes:
    neurons = [
        {
            "name": each.name,
            "sources": [list(s) for s in each.sources],
            "weights": list(each.unit.weights),
            "threshold": each.unit.threshold,
            "bias_uA": each.bias,
            "window_uA": list(each.window),
        }
        for each in network.neurons
    ]
    outputs = {
        name: {"shape": list(shape), "sources": [list(s) for s in sources]}
        for name, (shape, sources) in network.outputs.items()
    }
    inputs = {name: list(shape) for name, shape in network.inputs.items()}
    return (json.dumps({"inputs": inputs, "neurons": neurons, "outputs": outputs}, indent=1) + "\n").encode()


def read(content: bytes) -> Analogue:
    """The network of an artifact's FILE."""
    found = json.loads(content)
    neurons = tuple(
        Neuron(
            each["name"],
            tuple((node, element) for node, element in each["sources"]),
            Unit(tuple(each["weights"]), each["threshold"]),
            each["bias_uA"],
            (each["window_uA"][0], each["window_uA"][1]),
        )
        for each in found["neurons"]
    )
    outputs = {
        name: (tuple(each["shape"]), tuple((node, element) for node, element in each["sources"]))
        for name, each in found["outputs"].items()
    }
    return Analogue({name: tuple(shape) for name, shape in found["inputs"].items()}, neurons, outputs)


def simulate(
    by: str,
    compute: Callable[[Analogue, Array], Array],
    found: Mapping[str, bytes],
    inputs: Mapping[str, Array],
) -> SimResult:
    """Run an artifact on inputs (steps, samples, *shape): `compute` gives output spikes for rows of input elements."""
    network = read(found[FILE])
    steps, samples = next(iter(inputs.values())).shape[:2]
    flat = [np.asarray(inputs[name]).reshape(steps, samples, -1) for name in network.inputs]
    rows = np.concatenate(flat, axis=2)
    values = np.stack([compute(network, rows[:, sample]) for sample in range(samples)], axis=1)
    outputs: dict[str, Array] = {}
    at = 0
    for name, (shape, sources) in network.outputs.items():
        part = values[:, :, at : at + len(sources)].astype(np.uint8)
        outputs[name] = part.reshape(steps, samples, *shape)
        at += len(sources)
    return SimResult(by, outputs, {}, {})


def witness(run: Run, network: Analogue, rows: Array) -> Array:
    """Output pulses in a circuit simulator. Raises RuntimeError where they are not what the bias table promises."""
    got, wanted = measured(network, rows.tolist(), run=run), expected(network, rows)
    if not np.array_equal(got, wanted):
        step, output = np.argwhere(got != wanted)[0].tolist()
        raise RuntimeError(
            f"step {step}, output {output}: {got[step, output]} pulses, not {wanted[step, output]}"
        )
    return got
