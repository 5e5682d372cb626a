"""Random models in reals that Loihi can hold, and Lava's recordings as programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.loihi.program import (
    BIAS,
    BIAS_EXPONENT,
    DECAY,
    DELAY,
    STATE,
    STOCK,
    THRESHOLD,
    WEIGHT,
    Connection,
    Dense,
    Network,
    Population,
    Rule,
    Sign,
    Source,
    Sparse,
)
from nmc.ir import ops
from nmc.ir.graph import Edge, Graph, Node, Slice
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.tensor import Tensor

Array = npt.NDArray[Any]

KINDS = ("feed_forward", "recurrent", "convolutional", "delayed")

# ---- models -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A neuron, as far as machine code is made for it: few kinds, so that tests do not wait for compilers."""

    reset: Reset = Reset.TO_VALUE
    when: ResetWhen = ResetWhen.SAME_STEP
    comparison: Comparison = Comparison.ABOVE
    refractory: int = 0
    clamped: bool = False
    own: bool = False
    """Decays and thresholds of each neuron's own."""


NEURONS = (
    *[Kind()] * 8,
    Kind(comparison=Comparison.AT_LEAST),
    Kind(own=True),
    *[Kind(Reset.SUBTRACT)] * 2,
    Kind(Reset.SUBTRACT, ResetWhen.NEXT_AFTER_LEAK),
    Kind(Reset.SUBTRACT, ResetWhen.SAME_STEP_ONCE),
    Kind(Reset.TO_VALUE, ResetWhen.NEXT_AFTER_INPUT),
    Kind(Reset.MULTI_SPIKE),
    Kind(Reset.NONE, clamped=True),
    Kind(refractory=2),
)
"""Half of all populations are what Lava's LIF is."""


def model(kind: str, seed: int) -> Graph:
    """A random network of one of `KINDS`; every attribute of a neuron occurs."""
    return _Builder(kind, seed).build()


class _Builder:
    def __init__(self, kind: str, seed: int) -> None:
        self.kind = kind
        self.random = np.random.default_rng([KINDS.index(kind), seed])
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []

    def build(self) -> Graph:
        image = self.kind == "convolutional"
        shape = (
            tuple(self.random.integers(4, 8, 3) - (2, 0, 0)) if image else (int(self.random.integers(4, 20)),)
        )
        shape = tuple(int(size) for size in shape)
        self.add("input", ops.Input(ops.Signal(shape, ops.SignalKind.SPIKE)))
        at = "input"
        layers = int(self.random.integers(1, 4))
        for layer in range(layers):
            at = self.layer(layer, at, self.shape_of(at))
        self.add("output", ops.Output(self.shape_of(at)), at)
        return Graph(tuple(self.nodes), tuple(self.edges))

    def add(self, name: str, op: ops.Op, src: str | None = None, *, delay: int = 0) -> str:
        self.nodes.append(Node(name, op))
        if src is not None:
            self.edges.append(Edge(src, name, delay))
        return name

    def shape_of(self, name: str) -> ops.Shape:
        return ops.output_shape(next(node.op for node in self.nodes if node.name == name))

    def layer(self, index: int, at: str, shape: ops.Shape) -> str:
        if len(shape) == 3 and index < 2:
            connection = self.add(f"w{index}", self.conv(shape), at)
        elif self.kind == "delayed":
            connection = self.add(f"w{index}", self.delayed(shape, (int(self.random.integers(3, 16)),)), at)
        else:
            if len(shape) > 1:
                at = self.add(f"flat{index}", ops.Flatten(shape, 0, len(shape) - 1), at)
                shape = self.shape_of(at)
            post = int(self.random.integers(3, 16))
            connection = self.add(f"w{index}", self.linear(shape[0], post), at)
        size = self.shape_of(connection)
        name = self.add(f"l{index}", self.neuron(size), connection)
        if self.kind == "recurrent" or self.random.random() < 0.2:
            back = (
                self.delayed(size, size)
                if self.kind == "delayed" or len(size) > 1
                else self.linear(size[0], size[0])
            )
            self.add(f"r{index}", back, name, delay=int(self.random.integers(1, 4)))
            self.edges.append(Edge(f"r{index}", name))
        return name

    def weights(self, shape: ops.Shape, fan_in: int) -> Tensor:
        return Tensor(self.random.normal(0.35, 1.0, shape) / np.sqrt(fan_in))

    def linear(self, pre: int, post: int) -> ops.Linear:
        bias = self.bias((post,)) if self.random.random() < 0.5 else None
        return ops.Linear(self.weights((post, pre), pre), bias)

    def delayed(self, shape: ops.Shape, out: ops.Shape) -> ops.Sparse:
        pre, post = int(np.prod(shape)), int(np.prod(out))
        longest = int(self.random.choice([1, 4, 20]))
        keys = np.flatnonzero(self.random.random(pre * longest * post) < 0.5 / longest)
        source, rest = np.divmod(keys, longest * post)
        delay, target = np.divmod(rest, post)
        weight = self.weights((keys.size,), max(1, pre // 2))
        return ops.Sparse(shape, out, Tensor(source), Tensor(target), weight, Tensor(delay))

    def conv(self, shape: ops.Shape) -> ops.Conv:
        channels, height, width = shape
        grouped = self.random.random() < 0.3
        groups = channels if grouped else 1
        kernel = (
            int(self.random.integers(1, min(4, height + 1))),
            int(self.random.integers(1, min(4, width + 1))),
        )
        out = groups * int(self.random.integers(1, 4))
        bias = self.bias((out,)) if self.random.random() < 0.5 else None
        stride = tuple(int(s) for s in self.random.integers(1, 3, 2))
        padding = tuple(
            (int(p), int(p) + int(self.random.random() < 0.2)) for p in self.random.integers(0, 2, 2)
        )
        fan_in = channels // groups * kernel[0] * kernel[1]
        weight = self.weights((out, channels // groups, *kernel), fan_in)
        return ops.Conv(shape, weight, bias, stride, padding, (1, 1), groups)

    def neuron(self, shape: ops.Shape) -> ops.Neuron:
        what = NEURONS[int(self.random.integers(len(NEURONS)))]
        each = shape if what.own else ()
        zero = Tensor(np.float64(0))
        synapse = None
        if self.random.random() < 0.5:
            synapse = ops.Synapse(Tensor(self.random.uniform(0, 0.95, each)), None, CurrentUsed.NEW, zero)
        decay = Tensor(self.random.uniform(0.5, 0.99, each)) if self.random.random() < 0.8 else None
        bias = self.bias(shape) if self.random.random() < 0.3 and synapse is None else None
        fire = ops.Fire(
            Tensor(self.random.uniform(0.5, 1.5, each)),
            what.comparison,
            SpikeFrom.NEW,
            what.reset,
            what.when,
            zero,
            Tensor(np.int64(what.refractory)),
        )
        minimum = Tensor(np.float64(-1)) if what.clamped else None
        return ops.Neuron(shape, synapse, ops.Membrane(decay, None, bias, minimum, zero), fire)

    def bias(self, shape: ops.Shape) -> Tensor:
        """Small enough above zero that a layer that starts some steps early does not spike at once."""
        return Tensor(np.clip(self.random.normal(0, 0.1, shape), -0.2, 0.05))


def spikes(graph: Graph, seed: int, *, steps: int, samples: int) -> dict[str, Array]:
    """Random input spikes."""
    random = np.random.default_rng(seed)
    return {
        node.name: (random.random((steps, samples, *ops.output_shape(node.op))) < 0.4).astype(np.uint8)
        for node in graph.inputs
    }


# ---- programs ---------------------------------------------------------------------------------------------


def population(name: str, shape: ops.Shape, *, rule: Rule = STOCK, **parameters: Any) -> Population:
    """A population with Lava's names for its parameters."""
    values = {"du": 0, "dv": 0, "vth": 10, "bias_mant": 0, "bias_exp": 0, "u": 0, "v": 0} | parameters
    formats = (DECAY, DECAY, THRESHOLD, BIAS, BIAS_EXPONENT, STATE, STATE)
    tensors = [
        Tensor(np.asarray(value).astype(int), number)
        for value, number in zip(values.values(), formats, strict=True)
    ]
    return Population(name, shape, *tensors, rule)


def on_one_core(
    sources: tuple[Source, ...], populations: tuple[Population, ...], connections: tuple[Connection, ...]
) -> Network:
    """A network whose every neuron is on core 0."""
    ends = (*sources, *populations)
    cores = tuple(Slice(end.name, 0, int(np.prod(end.shape)), 0) for end in ends)
    return Network(sources, populations, connections, (), cores)


# ---- Lava's recordings ------------------------------------------------------------------------------------

EXPRESSIBLE = {"source", "lif", "dense", "sparse", "delay", "delaysparse"}
NOT_HELD = {"mix_0", "conv_0"}
"""A negative bias exponent; odd weights of mixed sign, which only Lava's CPU takes."""


def recordings(folder: Path) -> Iterator[str]:
    """The names of those recordings that are programs of ours."""
    cases = json.loads((folder / "manifest.json").read_text())["cases"]
    for name, case in cases.items():
        if {node["kind"] for node in case["nodes"].values()} <= EXPRESSIBLE and name not in NOT_HELD:
            yield name


def recording(folder: Path, name: str) -> tuple[Network, dict[str, Array], dict[str, Array]]:
    """The program, the inputs (steps, 1 sample, size), and what Lava recorded (steps, 1, size) as `node.variable`."""
    case = json.loads((folder / "manifest.json").read_text())["cases"][name]
    with np.load(folder / case["file"]) as arrays:
        table = {key: arrays[key] for key in arrays.files}
    nodes = {
        key: {
            field: table.get(value, value) if isinstance(value, str) else value
            for field, value in node.items()
        }
        for key, node in case["nodes"].items()
    }
    pre = {dst: src for src, dst in case["edges"]}
    post = dict(case["edges"])
    sources: list[Source] = []
    populations: list[Population] = []
    connections: list[Connection] = []
    inputs: dict[str, Array] = {}
    for key, node in nodes.items():
        kind = node.pop("kind")
        if kind == "source":
            inputs[key] = np.moveaxis(node["data"], -1, 0)[:, None]
            sources.append(Source(key, inputs[key].shape[2:]))
        elif kind == "lif":
            populations.append(population(key, tuple(node.pop("shape")), **node))
        else:
            connections.append(_connection(key, kind, node, pre[key], post[key]))
    recorded = {
        f"{key}.{ours}": table[f"out/{key}/{theirs}"][:, None]
        for key in (p.name for p in populations)
        for ours, theirs in (("spikes", "s_out"), ("u", "u"), ("v", "v"))
    }
    return on_one_core(tuple(sources), tuple(populations), tuple(connections)), inputs, recorded


def _connection(name: str, kind: str, node: dict[str, Any], pre: str, post: str) -> Connection:
    bits = node.get("num_weight_bits", 8)
    weight, sign = _as_lava_sees(node["weights"], bits, node.get("sign_mode"))
    how = (node.get("weight_exp", 0), bits, sign, node.get("num_message_bits", 0))
    delays = np.asarray(node["delays"]).astype(int) if "delays" in node else None
    if kind in {"dense", "delay"}:
        delay = None if delays is None else Tensor(delays, DELAY)
        return Dense(name, pre, post, Tensor(weight, WEIGHT), *how, delay)
    rows, columns = np.nonzero(weight)
    delay = None if delays is None else Tensor(delays[rows, columns], DELAY)
    return Sparse(
        name, pre, post, Tensor(rows), Tensor(columns), Tensor(weight[rows, columns], WEIGHT), *how, delay
    )


def _as_lava_sees(weights: Array, bits: int, given: str | None) -> tuple[Array, Sign]:
    """Weights clipped and cut to their bits, as Lava does in silence and as a program must have them already."""
    weights = np.asarray(weights).astype(np.int64)
    by_name = {"EXC": Sign.EXCITATORY, "INH": Sign.INHIBITORY, "MIX": Sign.MIXED}
    sign = Sign.EXCITATORY if weights.min() >= 0 else Sign.INHIBITORY if weights.max() <= 0 else Sign.MIXED
    sign = by_name[given] if given else sign
    turned = -1 if sign is Sign.INHIBITORY else 1
    dropped = 8 - bits + (sign is Sign.MIXED)
    kept = np.clip(turned * weights, -256 if sign is Sign.MIXED else 0, 255) >> dropped << dropped
    return turned * kept, sign
