"""Networks as the recordings from lava-nc 0.10.0 describe them (`golden/loihi`), as integer graphs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.neuron import (
    Arithmetic,
    Comparison,
    CurrentUsed,
    DecayForm,
    Reset,
    ResetWhen,
    SpikeFrom,
)
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Fire,
    Input,
    Linear,
    Membrane,
    Neuron,
    Op,
    Output,
    Signal,
    SignalKind,
    Sparse,
    Synapse,
)
from nmc.ir.tensor import FixedPoint, Tensor

SHIFT = 6
"""Thresholds and inputs stand this many bits above the states: vth_shift and act_shift, proc/lif/models.py."""

ARITHMETIC = Arithmetic(
    v_bits=24,
    i_bits=24,
    decay_form=DecayForm.MULTIPLY,
    decay_bits=12,
    rounding=Rounding.TO_ZERO,
    v_overflow=Overflow.SATURATE_SYMMETRIC,
    i_overflow=Overflow.WRAP_ONCE,
    comparisons=(Comparison.ABOVE,),
    resets=((Reset.TO_VALUE, ResetWhen.SAME_STEP),),
    threshold_bits=17,
    threshold_shift=SHIFT,
    input_shift=SHIFT,
    bias_bits=13,
    bias_shift=7,
)

GRADED = FixedPoint(24, True, 0)
"""A graded message, and what a synapse gives: a_in and s_out, precision 24."""


@dataclass(frozen=True, slots=True)
class Case:
    """One recording: nodes with their parameters as Lava takes them, edges, and what Lava gave."""

    name: str
    steps: int
    nodes: Mapping[str, dict[str, Any]]
    edges: tuple[tuple[str, ...], ...]
    recorded: Mapping[str, np.ndarray]

    def kinds(self) -> set[str]:
        """The processes that occur."""
        return {parameters["kind"] for parameters in self.nodes.values()}


def read_case(folder: Path, name: str) -> Case:
    """The recording of a network."""
    described = json.loads((folder / "manifest.json").read_text())["cases"][name]
    arrays = dict(np.load(folder / described["file"]))
    nodes = {
        node: {key: arrays[v] if isinstance(v, str) and v in arrays else v for key, v in parameters.items()}
        for node, parameters in described["nodes"].items()
    }
    recorded = {key.removeprefix("out/"): value for key, value in arrays.items() if key.startswith("out/")}
    return Case(name, described["T"], nodes, tuple(map(tuple, described["edges"])), recorded)


def read_names(folder: Path) -> list[str]:
    """The names of all recordings."""
    return list(json.loads((folder / "manifest.json").read_text())["cases"])


def weights_of(parameters: Mapping[str, Any]) -> np.ndarray:
    """The weights that Lava computes with: signs and bits as utils/weightutils.py truncates them."""
    w = np.asarray(parameters["weights"], np.int64)
    mode = parameters.get("sign_mode") or ("EXC" if w.min() >= 0 else "INH" if w.max() <= 0 else "MIX")
    mixed = mode == "MIX"
    w = -w if mode == "INH" else w
    w = np.clip(w, -256 if mixed else 0, 255)
    drop = 8 - parameters.get("num_weight_bits", 8) + mixed
    w = (w >> drop) << drop
    return -w if mode == "INH" else w


def rule(source: np.ndarray) -> SignalKind:
    """What a source emits: spikes if it is zeros and ones."""
    return SignalKind.SPIKE if source.min() >= 0 and source.max() <= 1 else SignalKind.GRADED


def number(values: np.ndarray, exponent: int = 0) -> Tensor:
    """Integers as a tensor with a format wide enough."""
    return Tensor(np.asarray(values, np.int64), FixedPoint(32, True, exponent))


def lif(parameters: Mapping[str, Any], shape: tuple[int, ...]) -> Neuron:
    """LIF with current (CubaLIF): proc/lif/models.py, AbstractPyLifModelFixed and PyLifModelBitAcc."""
    decay = FixedPoint(13, False, -12)
    mantissa = np.asarray(parameters.get("bias_mant", 0), np.int64)
    exponent = np.asarray(parameters.get("bias_exp", 0), np.int64)
    bias = np.where(exponent >= 0, mantissa << np.maximum(exponent, 0), mantissa >> np.maximum(-exponent, 0))
    return Neuron(
        shape,
        Synapse(
            Tensor(np.int64(4096 - (parameters["du"] + 1)), decay),
            None,
            CurrentUsed.NEW,
            number(parameters.get("u", 0), -SHIFT),
        ),
        Membrane(
            Tensor(np.int64(4096 - parameters["dv"]), decay),
            None,
            number(bias, -SHIFT),
            None,
            number(parameters.get("v", 0), -SHIFT),
        ),
        Fire(
            number(parameters["vth"]),
            Comparison.ABOVE,
            SpikeFrom.NEW,
            Reset.TO_VALUE,
            ResetWhen.SAME_STEP,
            number(0),
            Tensor(np.int64(0)),
        ),
        ARITHMETIC,
        -SHIFT,
    )


def connection(parameters: Mapping[str, Any], weight: np.ndarray) -> Linear:
    """Dense or Sparse: the sum is shifted by the weight exponent, rounded down where it is negative."""
    exponent = int(parameters.get("weight_exp", 0))
    return Linear(
        Tensor(weight, FixedPoint(9, True, exponent)),
        None,
        Accumulator(GRADED, Rounding.FLOOR, Overflow.PROVED_ABSENT),
    )


def graph_of(case: Case) -> Graph:
    """The network as an integer graph; every connection adds one step of delay.

    With a negative exponent, Lava rounds the sum of each delay by itself, so there every delay is a connection
    of its own.
    """
    nodes: list[Node] = []
    edges: list[Edge] = []
    ends: dict[str, list[str]] = {}
    starts: dict[str, list[tuple[str, int]]] = {}

    def add(name: str, op: Op, of: str, steps: int = 0) -> None:
        nodes.append(Node(name, op))
        ends.setdefault(of, []).append(name)
        starts.setdefault(of, []).append((name, steps))

    for name, p in case.nodes.items():
        match p["kind"]:
            case "source":
                shape = p["data"].shape[:-1]
                shape = (shape[2], *shape[:2]) if len(shape) == 3 else shape
                kind = rule(p["data"])
                signal = Signal(shape, kind, None if kind is SignalKind.SPIKE else GRADED)
                add(name, Input(signal), name)
            case "lif":
                shape = tuple(p["shape"])
                op = lif(p, (shape[2], *shape[:2]) if len(shape) == 3 else shape)
                add(name, op, name)
                nodes.append(Node(f"{name}_out", Output(op.shape)))
                edges.append(Edge(name, f"{name}_out"))
            case "dense" | "sparse":
                add(name, connection(p, weights_of(p)), name, 1)
            case "delay" | "delaysparse" if p.get("weight_exp", 0) < 0:
                weight, delay = weights_of(p), np.asarray(p["delays"])
                for steps in np.unique(delay):
                    part = np.where(delay == steps, weight, 0)
                    add(f"{name}_{steps}", connection(p, part), name, 1 + int(steps))
            case "delay" | "delaysparse":
                add(name, delayed(p), name, 1)
            case "conv":
                add(name, conv(p), name, 1)
            case kind:
                raise AssertionError(kind)
    for source, target, *_ in case.edges:
        for start, _ in starts[source]:
            for end, steps in starts[target]:
                edges.append(Edge(start, end, steps))
    return Graph(tuple(nodes), tuple(edges))


def delayed(parameters: Mapping[str, Any]) -> Sparse:
    """DelayDense or DelaySparse: single synapses."""
    weight, delay = weights_of(parameters), np.asarray(parameters["delays"])
    post, pre = np.nonzero(weight)
    order = np.lexsort((post, delay[post, pre], pre))
    post, pre = post[order], pre[order]
    return Sparse(
        (weight.shape[1],),
        (weight.shape[0],),
        Tensor(pre),
        Tensor(post),
        Tensor(weight[post, pre], FixedPoint(9, True, int(parameters.get("weight_exp", 0)))),
        Tensor(delay[post, pre].astype(np.int64)),
        Accumulator(GRADED, Rounding.FLOOR, Overflow.PROVED_ABSENT),
    )


def conv(parameters: Mapping[str, Any]) -> Conv:
    """Conv: weight (out, x, y, in), a true convolution, wrapped to 24 bits; proc/conv/models.py."""
    x, y, channels = parameters["input_shape"]
    kernel = np.asarray(parameters["weights"], np.int64)[:, ::-1, ::-1].transpose(0, 3, 1, 2)
    return Conv(
        (channels, x, y),
        Tensor(kernel, FixedPoint(9, True, 0)),
        None,
        tuple(parameters["stride"]),
        tuple((p, p) for p in parameters["padding"]),
        tuple(parameters["dilation"]),
        parameters["groups"],
        Accumulator(GRADED, Rounding.FLOOR, Overflow.WRAP),
    )
