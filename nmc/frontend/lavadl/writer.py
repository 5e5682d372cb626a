"""A `Graph` as a `.net` file."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ldexp, prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nmc.diagnostics import Diagnostic, error, raise_errors
from nmc.frontend.fields import Reals
from nmc.frontend.lavadl.reader import DECAY_UNIT, LONGEST_DELAY, MIXED_RANGE
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Conv, Flatten, Input, Linear, LinearOp, Neuron, Output, Sparse, output_shape
from nmc.ir.tensor import Tensor

STATE_SHIFT = 6
"""A weight unit above the state's: Loihi's u and v count 2**-6 of a weight."""

HIGHEST_THRESHOLD = (1 << 17) - 1
"""vThMant has 17 bits (lava-nc 0.10.0, proc/lif/process.py)."""

Layer = dict[str, Any]
"""A layer's fields; Any: strings, integers and arrays, as h5py takes them."""


def write(graph: Graph, path: Path) -> None:
    """Write a chain of populations with one weight layer before each, and one from each to itself at most.

    Reals must be whole numbers of weights (decays: of 1/4096); in an integer graph a weight counts 2**6 of its
    population's state. Raises CompileError (NMC046) with everything that the format cannot hold; then nothing is
    written.
    """
    writer = _Writer(graph)
    layers = writer.layers()
    raise_errors(writer.findings)
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(layers):
            for key, value in layer.items():
                data = np.array([value.encode()], "S10") if key == "type" else value
                file.create_dataset(f"layer/{number}/{key}", data=data)


@dataclass(slots=True)
class _Writer:
    graph: Graph
    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def layers(self) -> list[Layer]:
        """One layer for each input, flatten and population, in the order of flow."""
        incoming, written = self.graph.incoming(), ""
        layers: list[Layer] = []
        if len(self.graph.inputs) != 1 or len(self.graph.outputs) != 1:
            self.refuse("a network exchange has one input and one output", self.graph.nodes[0])
            return layers
        for name in self.graph.order():
            node = self.graph[name]
            match node.op:
                case Input(signal):
                    layers.append({"type": "input", "shape": np.array(signal.shape)})
                    written = name
                case Flatten() as op:
                    self._follows(node, incoming[name], written)
                    layers.append({"type": "flatten", "shape": np.array(output_shape(op))})
                    written = name
                case Neuron() as op:
                    layers.append(self._population(node, op, incoming, written))
                    written = name
                case Output():
                    self._follows(node, incoming[name], written)
                case Linear() | Sparse() | Conv():
                    pass  # part of the population that it enters
                case op:
                    self.refuse(f"`{type(op).__name__.lower()}` is not in the format", node)
        return layers

    def refuse(self, message: str, node: Node, source: str | None = None) -> None:
        """A finding."""
        self.findings.append(error("NMC046", message, node.at(source)))

    def _follows(self, node: Node, edges: list[Edge], written: str) -> None:
        if [(edge.src, edge.delay) for edge in edges] != [(written, 0)]:
            self.refuse(f"`{node.name}` does not follow the layer before it; layers form a chain", node)

    def _population(self, node: Node, op: Neuron, incoming: dict[str, list[Edge]], written: str) -> Layer:
        forward: list[tuple[Node, LinearOp, int]] = []
        back: list[tuple[Node, LinearOp, int]] = []
        for edge in incoming[node.name]:
            source = self.graph[edge.src]
            before = incoming[source.name]
            if not isinstance(source.op, Linear | Sparse | Conv) or len(before) != 1:
                self.refuse(f"`{source.name}` is not a weight layer with one source", node)
                continue
            known = {written: forward, node.name: back}
            if before[0].src in known:
                known[before[0].src].append((source, source.op, edge.delay + before[0].delay))
            else:
                self.refuse(f"`{source.name}` does not come from the layer before", source)
        if len(forward) != 1 or len(back) > 1:
            self.refuse("a population has one weight layer before it and one to itself at most", node)
            return {}
        unit = 1.0 if op.arithmetic is None else ldexp(1.0, op.exponent + STATE_SHIFT)
        layer = self._neuron(node, op, unit)
        layer |= self._connection(*forward[0], unit)
        if back:
            layer |= self._recurrence(layer, *back[0], unit)
        constant = self._bias(node, op, forward[0][1], unit)
        return layer if constant is None else layer | {"bias": constant}

    def _neuron(self, node: Node, op: Neuron, unit: float) -> Layer:
        fire = op.fire
        if fire is None or op.membrane.minimum is not None or op.membrane.gain is not None:
            self.refuse("the format's neurons spike, and have neither gains nor a lower bound", node)
            return {}
        usual = (Comparison.ABOVE, SpikeFrom.NEW, Reset.TO_VALUE, ResetWhen.SAME_STEP)
        if (fire.comparison, fire.spike_from, fire.reset, fire.when) != usual or fire.value.data.any():
            self.refuse("the format's neurons spike above the threshold and reset to zero at once", node)
        starts = [op.membrane.initial]
        decay_i: Tensor | None = None
        if op.synapse is not None:
            decay_i = op.synapse.decay
            starts.append(op.synapse.initial)
            if op.synapse.gain is not None or op.synapse.used is not CurrentUsed.NEW:
                self.refuse("the format's synapses have no gain and drive the membrane at once", node)
        if any(start.data.any() for start in starts):
            self.refuse("the format's states start at zero", node)
        return {
            "shape": np.array(op.shape),
            "neuron/type": "CUBA",
            "neuron/iDecay": self._decay(node, "synapse.decay", decay_i, without=0.0),
            "neuron/vDecay": self._decay(node, "membrane.decay", op.membrane.decay, without=1.0),
            "neuron/vThMant": self._whole(
                node, "threshold", fire.threshold.values / unit, 0, HIGHEST_THRESHOLD
            ),
            "neuron/refDelay": self._whole(node, "refractory", fire.refractory.data + 1.0, 1, 63),
            "neuron/gradedSpike": False,
        }

    def _decay(self, node: Node, name: str, decay: Tensor | None, *, without: float) -> npt.NDArray[np.int64]:
        kept = np.asarray(without) if decay is None else decay.values
        return self._whole(node, name, DECAY_UNIT * (1 - kept), 0, DECAY_UNIT)

    def _matrix(self, node: Node, op: Linear | Sparse) -> tuple[Reals, Reals]:
        """Weights and delays (post, pre); the format has one delay for each pair of neurons."""
        if isinstance(op, Linear):
            return op.weight.values, np.zeros(op.weight.shape)
        shape = (prod(op.out_shape), prod(op.in_shape))
        if len(set(zip(op.post.data.tolist(), op.pre.data.tolist(), strict=True))) < op.weight.size:
            self.refuse("two neurons are joined by synapses with several delays", node, "delay")
        weight, steps = np.zeros(shape), np.zeros(shape)
        weight[op.post.data, op.pre.data] = op.weight.values
        steps[op.post.data, op.pre.data] = op.delay.data
        return weight, steps

    def _connection(self, node: Node, op: LinearOp, delay: int, unit: float) -> Layer:
        low, high = MIXED_RANGE[0], 255
        if isinstance(op, Conv):
            if any(before != after for before, after in op.padding) or len(op.stride) != 2 or delay:
                self.refuse("convolutions are in two dimensions, with equal padding and no delay", node)
            return {
                "type": "conv",
                "weight": self._whole(node, "weight", op.weight.values / unit, low, high),
                "stride": np.array(op.stride),
                "padding": np.array([before for before, _ in op.padding]),
                "dilation": np.array(op.dilation),
                "groups": op.groups,
                "kernelSize": np.array(op.weight.shape[2:]),
                "inChannels": op.in_shape[0],
                "outChannels": op.weight.shape[0],
            }
        weight, steps = self._matrix(node, op)
        layer: Layer = {
            "type": "dense",
            "weight": self._whole(node, "weight", weight / unit, low, high),
            "inFeatures": weight.shape[1],
            "outFeatures": weight.shape[0],
        }
        if steps.any() or delay:
            layer["delay"] = self._whole(node, "delay", steps + delay, 0, LONGEST_DELAY)
        return layer

    def _recurrence(self, layer: Layer, node: Node, op: LinearOp, delay: int, unit: float) -> Layer:
        if isinstance(op, Conv) or layer.get("type") != "dense" or delay != 1 or "delay" in layer:
            self.refuse("a layer's own feedback is dense and takes one step", node)
            return {}
        weight, steps = self._matrix(node, op)
        if steps.any():
            self.refuse("a layer's own feedback takes one step", node)
        back = self._whole(node, "weight", weight / unit, MIXED_RANGE[0], 255)
        return {"type": "dense_rec", "weight_rec": back}

    def _bias(self, node: Node, op: Neuron, layer: LinearOp, unit: float) -> npt.NDArray[np.int64] | None:
        """Constants of the membrane, and of the weight layer where no synapse is in between."""
        own = np.zeros(()) if op.membrane.bias is None else op.membrane.bias.values
        constant = None if isinstance(layer, Sparse) else layer.bias
        if constant is not None and constant.data.any():
            if op.synapse is not None:
                self.refuse("a weight layer's constant cannot reach a synapse", node, "bias")
            own = own + constant.values.reshape(-1, *(1,) * (len(op.shape) - 1))
        if not own.any():
            return None
        full = np.broadcast_to(own, op.shape)
        first = full.reshape(op.shape[0], -1)[:, 0]
        shared = np.array_equal(
            full, np.broadcast_to(first.reshape(-1, *(1,) * (len(op.shape) - 1)), op.shape)
        )
        if not shared:
            self.refuse("a convolution's biases are one for each channel", node, "bias")
        return self._whole(node, "bias", first / unit, -(1 << 12), (1 << 12) - 1)

    def _whole(self, node: Node, name: str, values: Reals, low: int, high: int) -> npt.NDArray[np.int64]:
        """Whole numbers from `low` to `high`; one number where all are equal to it."""
        whole = np.round(values)
        wrong = (whole != values) | (whole < low) | (whole > high)
        if np.any(wrong):
            first = float(np.asarray(values)[wrong].ravel()[0])
            self.refuse(
                f"`{name}` holds {first:g}; whole numbers of {low} to {high} are possible", node, name
            )
        return whole.astype(np.int64)
