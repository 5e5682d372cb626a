"""A `.net` file as a `Graph`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nmc.diagnostics import Diagnostic, Loc, error, nearest, note, raise_errors, warning
from nmc.frontend.fields import Fields, Reals
from nmc.frontend.hdf5 import Group, Value, read_groups
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.linear import make_sparse
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Conv,
    Delay,
    Fire,
    Flatten,
    Input,
    Linear,
    Membrane,
    Neuron,
    Op,
    Output,
    Shape,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
    output_shape,
)
from nmc.ir.tensor import Tensor

DECAY_UNIT = 4096
"""iDecay and vDecay are 12-bit fractions: lava-dl, slayer/neuron/cuba.py, p_scale."""

NO_NEURON: Mapping[str, Value] = MappingProxyType(
    {
        "neuron/iDecay": np.array(0),
        "neuron/vDecay": np.array(DECAY_UNIT),
        "neuron/vThMant": np.array(1 << 17),
    }
)
"""What netx makes of a dense layer without `neuron`: an integrator that hardly spikes (netx/hdf5.py)."""

NEURONS = frozenset({"CUBA", "LOIHI"})
"""Neuron types that are Loihi's current-based LIF."""

LONGEST_DELAY = 62
"""Steps; netx cuts longer delays to it (netx/hdf5.py, create_dense)."""

MIXED_RANGE = (-256, 254)
"""Weights of both signs are even on Loihi; netx cuts larger ones (netx/utils.py, optimize_weight_bits)."""


def read(path: Path) -> Graph:
    """The network of a `.net` file, layer after layer, as lava-dl's netx means it.

    Raises CompileError: NMC001 and NMC002 for files that HDF5 cannot read, NMC005 to NMC008 for fields that are
    missing or malformed, NMC040 for what is no network exchange, NMC041 for layers and neurons other than
    Loihi's spiking ones, NMC043 for shapes that do not fit.
    """
    file = str(path)
    layers = _layers(path, file)
    findings: list[Diagnostic] = []
    chain = _Chain(findings)
    for number, group in enumerate(layers):
        neuron = group.groups.get("neuron")
        values = dict(group.values)
        values |= NO_NEURON if neuron is None else {f"neuron/{key}": v for key, v in neuron.values.items()}
        fields = Fields(Loc(file, f"layer {number}"), values, findings)
        kind = fields.text("type") or ""
        if kind not in LAYERS:
            what = f"nmc does not read layers of the type `{kind}`" if kind else "the layer has no `type`"
            findings.append(error("NMC041", what, fields.at("type"), help=nearest(kind, LAYERS)))
        elif "weight" in group.groups:
            what = "complex weights belong to resonators, which do not spike at a threshold alone"
            findings.append(error("NMC041", what, fields.at("weight")))
        elif chain.start(kind, fields):
            layer = _Layer(fields, chain, f"layer{number}", neuron is not None)
            LAYERS[kind](layer)
        if any(found.loc.node == fields.loc.node for found in findings if found.severity.value == "error"):
            break  # what follows would only be told that its input is missing
    raise_errors(findings)
    chain.append("output", Output(chain.shape), Loc(file))
    return Graph(tuple(chain.nodes), tuple(chain.edges), notes=tuple(findings))


def _layers(path: Path, file: str) -> list[Group]:
    """The layers in the order of their numbers."""
    whole = read_groups(
        path, lambda inside: Loc(file, " ".join(inside[:2]) or None, "/".join(inside[2:]) or None)
    )
    layers = whole.groups["layer"].groups if "layer" in whole.groups else {}
    if not layers:
        message = "a network exchange file has a group `layer` with layers in it; this one has none"
        raise_errors([error("NMC040", message, Loc(file))])
    if set(layers) != {str(number) for number in range(len(layers))}:
        message = f"layers are numbered from 0 on; these are {', '.join(f'`{name}`' for name in layers)}"
        raise_errors([error("NMC040", message, Loc(file))])
    return [layers[str(number)] for number in range(len(layers))]


@dataclass(slots=True)
class _Chain:
    """The graph so far; the next layer takes the output of `last`."""

    findings: list[Diagnostic]
    nodes: list[Node] = field(default_factory=list[Node])
    edges: list[Edge] = field(default_factory=list[Edge])

    @property
    def last(self) -> str:
        """The node whose output the next layer takes."""
        return self.nodes[-1].name

    @property
    def shape(self) -> Shape:
        """The shape of that output."""
        return output_shape(self.nodes[-1].op)

    def append(self, name: str, op: Op, loc: Loc) -> None:
        """Add a node behind the last."""
        if self.nodes:
            self.edges.append(Edge(self.last, name))
        self.nodes.append(Node(name, op, loc))

    def start(self, kind: str, fields: Fields) -> bool:
        """Whether there is something before the layer; a file that starts with weights says how many inputs."""
        if self.nodes or kind == "input":
            return True
        weight = fields.reals("weight") if kind.startswith("dense") else None
        size = None if weight is None else weight.shape[-1] if weight.ndim > 1 else weight.size
        if size is None:
            message = f"the file starts with `{kind}`, and nothing tells the shape of the input"
            self.findings.append(error("NMC043", message, fields.loc, help="export the `input` layer too"))
            return False
        if weight is not None and weight.ndim == 1:
            size //= prod(fields.shape("shape") or (1,))
        self.append("input", Input(Signal((size,), SignalKind.REAL)), fields.loc)
        return True


@dataclass(slots=True)
class _Layer:
    """One layer being read onto the chain."""

    fields: Fields
    chain: _Chain
    name: str
    has_neuron: bool

    def append(self, suffix: str, op: Op, source: str = "") -> None:
        """Add a node of this layer, named after it."""
        loc = self.fields.at(source) if source else self.fields.loc
        self.chain.append(f"{self.name}.{suffix}" if suffix else self.name, op, loc)

    def misfit(self, message: str, name: str) -> None:
        """A finding about sizes."""
        self.fields.findings.append(error("NMC043", message, self.fields.at(name)))

    def flatten(self) -> None:
        """All axes become one, in C order of (channel, y, x)."""
        shape = self.chain.shape
        if len(shape) > 1:
            self.append("flatten", Flatten(shape, 0, len(shape) - 1))

    # ---- populations --------------------------------------------------------------------------------------

    def population(self, shape: Shape, *, bias: Reals | None = None) -> None:
        """Loihi's neuron, named as the layer.

        u = (4096 - iDecay) / 4096 u + x;  v = (4096 - vDecay) / 4096 v + u + bias;  v > vThMant resets v to 0.
        """
        kind = self.fields.text("neuron/type") or "cuba"
        if kind.upper() not in NEURONS:
            message = f"neurons of the type `{kind.upper()}` do not spike at a threshold alone"
            self.fields.findings.append(
                error("NMC041", message, self.fields.at("neuron/type"), help="nmc reads CUBA and LOIHI")
            )
            return
        graded = self.fields.optional("neuron/gradedSpike")
        if graded is not None and graded.any():
            message = "graded spikes carry a membrane; nmc reads spikes of 0 and 1"
            self.fields.findings.append(error("NMC041", message, self.fields.at("neuron/gradedSpike")))
        decay_i, decay_v = self._decay("iDecay", shape), self._decay("vDecay", shape)
        threshold = self._parameter("vThMant", shape)
        refractory = self.fields.counts("neuron/refDelay", 1, least=0, default=1)
        if decay_i is None or decay_v is None or threshold is None or not refractory:
            return
        zero = Tensor(np.float64(0))
        synapse = Synapse(Tensor(decay_i), None, CurrentUsed.NEW, zero) if decay_i.any() else None
        membrane = Membrane(Tensor(decay_v), None, None if bias is None else Tensor(bias), None, zero)
        rest = Tensor(np.int64(max(0, refractory[0] - 1)))
        fire = Fire(
            Tensor(threshold),
            Comparison.ABOVE,
            SpikeFrom.NEW,
            Reset.TO_VALUE,
            ResetWhen.SAME_STEP,
            zero,
            rest,
        )
        self.append("", Neuron(shape, synapse, membrane, fire))

    def _decay(self, name: str, shape: Shape) -> Reals | None:
        kept = self._parameter(name, shape)
        if kept is not None and kept.max() > DECAY_UNIT:
            self.fields.add(
                "NMC008", f"is {kept.max():g}; at most {DECAY_UNIT} is possible", f"neuron/{name}"
            )
            return None
        return None if kept is None else (DECAY_UNIT - kept) / DECAY_UNIT

    def _parameter(self, name: str, shape: Shape) -> Reals | None:
        """A whole number for all, for each channel or for each neuron."""
        array = self.fields.reals(f"neuron/{name}")
        if array is None:
            return None
        if np.any(array < 0) or np.any(array != np.round(array)):
            self.fields.add("NMC008", "holds numbers that are negative or not whole", f"neuron/{name}")
            return None
        return self.spread(array, shape, f"neuron/{name}")

    def bias(self, shape: Shape) -> Reals | None:
        """The layer's biases, which act on the membrane, for each channel or neuron; None where all are 0."""
        array = self.fields.optional("bias")
        spread = None if array is None or not array.any() else self.spread(array, shape, "bias")
        return None if spread is None else spread.astype(np.float64)

    def spread(self, array: Reals, shape: Shape, name: str) -> Reals | None:
        """Values for all, each channel or each neuron, so that they broadcast to `shape`."""
        if array.size == 1:
            return array.reshape(()).astype(np.float64)
        if array.size == prod(shape):
            return array.reshape(shape).astype(np.float64)
        if array.size == shape[0]:
            return array.reshape(-1, *(1,) * (len(shape) - 1)).astype(np.float64)
        self.misfit(f"{array.size} values do not fit a population of {shape}", name)
        return None

    # ---- synapses -----------------------------------------------------------------------------------------

    def matrix(self, name: str, columns: int, rows: int | None) -> Reals | None:
        """Weights (post, pre); lava-dl stores a matrix of one row or one column flat."""
        weight = self.fields.reals(name)
        if weight is None:
            return None
        sizes = "x".join(map(str, weight.shape))
        if weight.size % columns or rows not in {None, weight.size // columns}:
            self.misfit(f"weights of {sizes} do not fit {columns} inputs and {rows} neurons", name)
            return None
        return weight.reshape(-1, columns).astype(np.float64)

    def steps(self, weight: Reals) -> Reals | None:
        """Delays of a dense layer for each synapse: given for all, for each neuron, each input or each synapse."""
        delay = self.fields.optional("delay")
        if delay is None:
            return None
        rows, columns = weight.shape
        whole = np.floor(delay.astype(np.float64))
        if whole.min() < 0:
            self.fields.add("NMC008", f"is {whole.min():g}; it must not be negative", "delay")
            return None
        if whole.max() > LONGEST_DELAY:
            message = (
                f"delays of up to {whole.max():g} steps; lava-dl's netx would cut them to {LONGEST_DELAY}"
            )
            self.fields.findings.append(warning("NMC044", message, self.fields.at("delay")))
        if whole.size == 1:
            return np.full(weight.shape, whole.ravel()[0])
        for size, across in ((rows, (rows, 1)), (columns, (1, columns)), (weight.size, weight.shape)):
            if whole.size == size:
                return np.broadcast_to(whole.reshape(across), weight.shape)
        self.misfit(f"{whole.size} delays do not fit weights of {rows}x{columns}", "delay")
        return None

    def synapses(self, weight: Reals, delay: Reals | None) -> Linear | Sparse:
        """A matrix, or single synapses where they have delays."""
        if delay is None or not delay.any():
            return Linear(Tensor(weight))
        post, pre = np.nonzero(weight)
        return make_sparse(
            (weight.shape[1],),
            (weight.shape[0],),
            pre=pre,
            post=post,
            weight=weight[post, pre],
            delay=delay[post, pre],
        )

    def check_range(self, weights: Reals) -> None:
        """A warning where Lava would change the weights before it uses them."""
        mixed = weights.min() < 0 < weights.max()
        low, high = MIXED_RANGE
        outside = weights.min() < low or weights.max() > (high if mixed else 255)
        odd = mixed and bool(np.any(weights % 2))
        if outside or odd:
            what = "are not all even, as both signs need" if odd else f"leave {low} to {high}"
            message = f"the weights {what}; Lava would round or cut them, nmc keeps them"
            self.fields.findings.append(warning("NMC044", message, self.fields.at("weight")))


# ---- layers -----------------------------------------------------------------------------------------------


def _input(layer: _Layer) -> None:
    """An input; with a neuron, weight * x + bias flows as a current into a population."""
    shape = layer.fields.shape("shape")
    if shape is None:
        layer.fields.add("NMC005", "is missing", "shape")
        return
    layer.chain.append("input", Input(Signal(shape, SignalKind.REAL)), layer.fields.loc)
    if not layer.has_neuron:
        return
    weight = layer.fields.reals("weight", default=64.0)  # netx's defaults, netx/hdf5.py, create_input
    bias = layer.fields.reals("bias", default=0.0)
    if weight is None or bias is None:
        return
    layer.append("injection", _injection(shape, float(weight.ravel()[0]), float(bias.ravel()[0])), "weight")
    layer.population(shape)


def _injection(shape: Shape, weight: float, bias: float) -> Op:
    """weight * x + bias for each element."""
    size = shape[0]
    constant = Tensor(np.full(size, bias))
    if len(shape) == 1:
        return Linear(Tensor(weight * np.eye(size)), constant)
    axes = len(shape) - 1
    kernel = Tensor(np.full((size, 1, *(1,) * axes), weight))
    return Conv(shape, kernel, constant, (1,) * axes, ((0, 0),) * axes, (1,) * axes, size)


def _dense(layer: _Layer) -> None:
    """A weight matrix, with delays of synapses, and a population."""
    _dense_layer(layer, recurrent=False)


def _dense_recurrent(layer: _Layer) -> None:
    """As `dense`; the population's spikes come back one step later through `weight_rec`."""
    _dense_layer(layer, recurrent=True)


def _dense_layer(layer: _Layer, *, recurrent: bool) -> None:
    layer.flatten()
    shape = layer.fields.shape("shape")
    weight = layer.matrix("weight", prod(layer.chain.shape), None if shape is None else prod(shape))
    if weight is None:
        return
    size = len(weight)
    back = layer.matrix("weight_rec", size, size) if recurrent else None
    delay = layer.steps(weight)
    layer.check_range(weight if back is None else np.hstack((weight, back)))
    layer.append("weight", layer.synapses(weight, delay), "weight")
    layer.population((size,), bias=layer.bias((size,)))
    if back is not None and layer.chain.last == layer.name:
        name = f"{layer.name}.recurrent"
        node = Node(name, layer.synapses(back, layer.steps(back)), layer.fields.at("weight_rec"))
        layer.chain.nodes.insert(-1, node)
        layer.chain.edges += [Edge(layer.name, name, 1), Edge(name, layer.name)]


def _flatten(layer: _Layer) -> None:
    layer.flatten()


def _conv(layer: _Layer) -> None:
    """A cross-correlation and a population."""
    weight = layer.fields.reals("weight")
    groups = layer.fields.counts("groups", 1, least=1, default=1)
    if weight is None or not groups:
        return
    while weight.ndim > 4 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    shape = layer.chain.shape
    if weight.ndim != 4 or len(shape) != 3 or weight.shape[1] * groups[0] != shape[0]:
        sizes = "x".join(map(str, weight.shape))
        layer.misfit(f"weights of {sizes} in {groups[0]} groups do not fit an input of {shape}", "weight")
        return
    _window(layer, weight, groups[0])


def _pool(layer: _Layer) -> None:
    """A sum over windows times weights that all channels share, and a population."""
    weight, kernel = layer.fields.reals("weight"), layer.fields.counts("kernelSize", 2, least=1)
    shape = layer.chain.shape
    if weight is None or not kernel:
        return
    if len(shape) != 3 or weight.size not in {1, prod(kernel)}:
        layer.misfit(
            f"{weight.size} weights for a window of {kernel} do not fit an input of {shape}", "weight"
        )
        return
    shared = weight.reshape(kernel) if weight.size > 1 else weight.reshape(1, 1)
    _window(layer, np.broadcast_to(shared, (shape[0], 1, *kernel)), shape[0])


def _window(layer: _Layer, weight: Reals, groups: int) -> None:
    fields, in_shape = layer.fields, layer.chain.shape
    stride = fields.counts("stride", 2, least=1, default=1)
    padding = fields.counts("padding", 2, least=0, default=0)
    dilation = fields.counts("dilation", 2, least=1, default=1)
    if not stride or not padding or not dilation:
        return
    pads = tuple((each, each) for each in padding)
    op = Conv(in_shape, Tensor(weight.astype(np.float64)), None, stride, pads, dilation, groups)
    shape, said = output_shape(op), fields.shape("shape")
    if min(shape) < 1 or (said is not None and said != shape):
        layer.misfit(f"the layer's shape is {said}; its window makes {shape} of {in_shape}", "shape")
        return
    layer.check_range(weight)
    layer.append("weight", op, "weight")
    layer.population(shape, bias=layer.bias(shape))
    delay = fields.optional("delay")
    if delay is not None and layer.chain.last == layer.name:
        steps = layer.spread(np.floor(delay), shape, "delay")
        if steps is not None and steps.any():
            layer.append("delay", Delay(shape, Tensor(steps.astype(np.int64))), "delay")
            message = "the delays act on the output, as they do in training; lava-dl's netx ignores them"
            fields.findings.append(note("NMC045", message, fields.at("delay")))


def _average(layer: _Layer) -> None:
    """The mean over equal groups of neurons, one group after the other, as read-out."""
    layer.flatten()
    shape, (size,) = layer.fields.shape("shape"), layer.chain.shape
    groups = prod(shape or (1,))
    if size % groups:
        layer.misfit(f"{size} values do not form {groups} groups of equal size", "shape")
        return
    weight = np.kron(np.eye(groups), np.full((1, size // groups), groups / size))
    layer.append("average", Linear(Tensor(weight)))


LAYERS: Mapping[str, Callable[[_Layer], None]] = MappingProxyType(
    {
        "input": _input,
        "flatten": _flatten,
        "dense": _dense,
        "dense_rec": _dense_recurrent,
        "conv": _conv,
        "pool": _pool,
        "average": _average,
    }
)
"""The layers of the format's description (lava-dl, netx/README.md) that mean something by themselves."""
