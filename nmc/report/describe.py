"""A network in the field's words: its layers with their sizes, its neurons' equations, its loops and delays."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from nmc.ir.graph import Graph
from nmc.ir.neuron import Arithmetic, Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import (
    Conv,
    Delay,
    DelayLine,
    Elementwise,
    Input,
    Linear,
    Neuron,
    Ode,
    Op,
    Output,
    Pool,
    Shape,
    Sparse,
    Threshold,
    output_shape,
)
from nmc.ir.program import Program, Scalar
from nmc.ir.tensor import Tensor

Population = Neuron | Ode | Threshold


@dataclass(frozen=True, slots=True)
class Layer:
    """A population and the synapses that lead into it.

    `bits` is the width of its widest weights, None while they are real. `cores` is how many cores hold a part of it,
    0 before placement.
    """

    name: str
    kind: str
    shape: Shape
    neurons: int
    synapses: int
    bits: int | None
    cores: int


@dataclass(frozen=True, slots=True)
class Loop:
    """Nodes that feed back into each other, and the sum of the delays of the edges between them."""

    nodes: tuple[str, ...]
    delay: int


def layers(graph: Graph) -> tuple[Layer, ...]:
    """The populations in the order in which signals reach them, and outputs that synapses reach directly."""
    cores: dict[str, set[int]] = {}
    for part in graph.placement:
        cores.setdefault(part.node, set()).add(part.core)
    found: list[Layer] = []
    for name in graph.order():
        op = graph[name].op
        synapses = [graph[feeding].op for feeding in _feeding(graph, name)]
        if (
            isinstance(op, Population)
            or _keeps(op)
            or (isinstance(op, Output) and any(map(synapse_count, synapses)))
        ):
            found.append(
                Layer(
                    name,
                    _kind(op),
                    output_shape(op),
                    0 if isinstance(op, Output) else prod(output_shape(op)),
                    sum(map(synapse_count, synapses)),
                    max((bits for bits in map(weight_bits, synapses) if bits is not None), default=None),
                    len(cores.get(name, ())),
                )
            )
    return tuple(found)


def _keeps(op: Op) -> bool:
    """Whether an operation is a population outside the known families: a program with states."""
    return isinstance(op, Elementwise) and bool(op.initial)


def _kind(op: Op) -> str:
    match op:
        case Neuron() | Ode():
            return op.family.value
        case Elementwise():
            return "program"
        case _:
            return type(op).__name__.lower()


def _feeding(graph: Graph, name: str) -> list[str]:
    """The nodes between `name` and the populations and inputs that feed it, each once."""
    incoming = graph.incoming()
    found: dict[str, None] = {}
    waiting = [edge.src for edge in incoming[name]]
    while waiting:
        node = waiting.pop()
        if node in found or isinstance(graph[node].op, Population | Input) or _keeps(graph[node].op):
            continue
        found[node] = None
        waiting += [edge.src for edge in incoming[node]]
    return list(found)


def synapse_count(op: Op) -> int:
    """How many synapses a linear operation or a pool is, padding left out; 0 for other operations."""
    match op:
        case Linear(weight):
            return weight.size
        case Sparse():
            return op.pre.size
        case Conv(in_shape, weight, _, stride, padding, dilation):
            taps = _taps(in_shape, weight.shape[2:], stride, padding, dilation)
            return weight.shape[0] * weight.shape[1] * taps
        case Pool(in_shape, _, kernel, stride, padding):
            return in_shape[0] * _taps(in_shape, kernel, stride, padding, (1,) * len(kernel))
        case _:
            return 0


def _taps(
    in_shape: Shape, kernel: Shape, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape
) -> int:
    """How many (output position, kernel position) pairs of a sliding window lie inside the input."""
    total = 1
    for size, k, s, (before, after), d in zip(in_shape[1:], kernel, stride, padding, dilation, strict=True):
        starts = np.arange((size + before + after - d * (k - 1) - 1) // s + 1) * s - before
        reached = starts[:, None] + np.arange(k) * d
        total *= int(np.count_nonzero((reached >= 0) & (reached < size)))
    return total


def weight_bits(op: Op) -> int | None:
    """The bits of a linear operation's weights; None if it has none or they are real."""
    match op:
        case Linear() | Sparse() | Conv():
            return None if op.weight.number is None else op.weight.number.bits
        case _:
            return None


def loops(graph: Graph) -> tuple[Loop, ...]:
    """The recurrent parts of a network: strongly connected nodes, or one node that feeds itself."""
    found: list[Loop] = []
    for names in graph.components():
        inside = [edge for edge in graph.edges if edge.src in names and edge.dst in names]
        if inside:
            found.append(Loop(tuple(names), sum(edge.delay for edge in inside)))
    return tuple(found)


def delays(graph: Graph) -> tuple[str, ...]:
    """Every delay, as a sentence each: of edges, of synapses and of delay nodes."""
    found = [f"`{e.src}` -> `{e.dst}`: {_steps(e.delay)}" for e in graph.edges if e.delay]
    for node in graph.nodes:
        match node.op:
            case Delay(_, steps):
                found.append(f"`{node.name}`: {value(steps)} steps")
            case DelayLine(_, seconds):
                found.append(f"`{node.name}`: {value(seconds)} s")
            case Sparse() if node.op.delay.size and node.op.delay.data.any():
                found.append(f"`{node.name}`: {value(node.op.delay)} steps, synapse by synapse")
            case _:
                pass
    return tuple(found)


def _steps(number: int) -> str:
    return f"{number} step" if number == 1 else f"{number} steps"


# ---- equations --------------------------------------------------------------------------------------------


def equation(op: Op) -> tuple[str, ...]:
    """What a population does in a step, as sentences; nothing for other operations."""
    match op:
        case Ode():
            return _ode(op)
        case Neuron():
            return _neuron(op)
        case Threshold(_, threshold, comparison):
            return (f"spike when x {_sign(comparison)} {value(threshold)}",)
        case Elementwise(program=program) if op.initial:
            return _program(program)
        case _:
            return ()


_INFIX = {
    Scalar.ADD: "+",
    Scalar.SUB: "-",
    Scalar.MUL: "*",
    Scalar.DIV: "/",
    Scalar.ABOVE: ">",
    Scalar.AT_LEAST: ">=",
    Scalar.EQUAL: "==",
    Scalar.AND: "and",
    Scalar.OR: "or",
}
_INLINE = 40
"""Characters of the longest part that is written where it is used; longer ones get a name."""


def _program(program: Program) -> tuple[str, ...]:
    """A program as formulas, the names of parts that are used again before them."""
    texts = [*program.inputs, *program.states, *(value(each) for each in program.constants)]
    uses = [index for each in program.code for index in each.args] + [program.output, *program.next]
    lines: list[str] = []
    for instruction in program.code:
        args = [texts[index] for index in instruction.args]
        sign = _INFIX.get(instruction.op)
        text = f"({args[0]} {sign} {args[1]})" if sign else f"{instruction.op.value}({', '.join(args)})"
        if uses.count(len(texts)) > 1 or len(text) > _INLINE:
            name = f"a{len(lines) + 1}"
            lines.append(f"{name} = {_bare(text)}")
            text = name
        texts.append(text)
    lines += [
        f"{state} becomes {_bare(texts[now])}"
        for state, now in zip(program.states, program.next, strict=True)
    ]
    return (*lines, f"output {_bare(texts[program.output])}")


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    return text[1:-1] if text.startswith("(") else text


def value(tensor: Tensor) -> str:
    """One number if all are equal, else the range: `0.5` or `0.5..0.9`."""
    values = tensor.values
    if values.size == 0:
        return "none"
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def _ode(op: Ode) -> tuple[str, ...]:
    lines: list[str] = []
    drive = "x"
    if op.tau_syn is not None:
        gain = "" if op.w_in is None else _times(op.w_in)
        lines.append(f"{value(op.tau_syn)} s * di/dt = -i + {gain}x")
        drive = "i"
    driven = f"{_times(op.r)}{drive}"
    if op.tau_mem is None:
        lines.append(f"dv/dt = {driven}")
    else:
        leak = "-v" if op.v_leak is None or not op.v_leak.data.any() else f"({value(op.v_leak)} - v)"
        lines.append(f"{value(op.tau_mem)} s * dv/dt = {leak} + {driven}")
    if op.threshold is not None:
        to = "0" if op.v_reset is None else value(op.v_reset)
        lines.append(
            f"spike when v exceeds {value(op.threshold)}; "
            f"whether the reset is to {to} or by the threshold is decided with the step"
        )
    return tuple(lines)


def _neuron(op: Neuron) -> tuple[str, ...]:
    lines: list[str] = []
    drive = "x"
    if op.synapse is not None:
        gain = "" if op.synapse.gain is None else _times(op.synapse.gain)
        kept = f"{_times(op.synapse.decay)}i + " if op.synapse.decay.data.any() else ""
        lines.append(f"i = {kept}{gain}x")
        drive = "i" if op.synapse.used is CurrentUsed.NEW else "i(t-1)"
    membrane = op.membrane
    decay = "" if membrane.decay is None else _times(membrane.decay)
    gain = "" if membrane.gain is None else _times(membrane.gain)
    bias = "" if membrane.bias is None or not membrane.bias.data.any() else f" + {value(membrane.bias)}"
    lines.append(f"v = {decay}v + {gain}{drive}{bias}")
    if op.arithmetic is not None and op.arithmetic.leak_after:
        lines[-1] = f"v = {decay}(v + {gain}{drive}{bias})"
    if op.fire is not None:
        v = "v" if op.fire.spike_from is SpikeFrom.NEW else "v(t-1)"
        lines.append(f"spike when {v} {_sign(op.fire.comparison)} {value(op.fire.threshold)}")
        lines.append(_reset(op.fire.reset, op.fire.when, op.fire.value))
        if op.fire.refractory.data.any():
            lines.append(f"after a spike the neuron rests for {value(op.fire.refractory)} steps")
    if membrane.minimum is not None:
        lines.append(f"v is kept at {value(membrane.minimum)} or above")
    if op.arithmetic is not None:
        lines.append(_integers(op.arithmetic, op.exponent, synapse=op.synapse is not None))
    return tuple(lines)


def _times(factor: Tensor) -> str:
    text = value(factor)
    return "" if text == "1" else f"{text} * "


def _sign(comparison: Comparison) -> str:
    return ">" if comparison is Comparison.ABOVE else ">="


_RESETS = {
    Reset.NONE: "a spike leaves v as it is",
    Reset.SUBTRACT: "a spike takes the threshold from v",
    Reset.MULTI_SPIKE: "floor(v / threshold) spikes at once, each of which takes the threshold from v",
}
_WHEN = {
    ResetWhen.SAME_STEP: "in the same step",
    ResetWhen.NEXT_BEFORE_LEAK: "in the next step, before the leak",
    ResetWhen.NEXT_AFTER_LEAK: "in the next step, after the leak",
    ResetWhen.NEXT_AFTER_INPUT: "in the next step, after the input",
    ResetWhen.SAME_STEP_ONCE: "in the same step, less what the step before has taken already",
}


def _reset(reset: Reset, when: ResetWhen, to: Tensor) -> str:
    if reset is Reset.NONE:
        return _RESETS[reset]
    return f"{_RESETS.get(reset, f'a spike sets v to {value(to)}')} {_WHEN[when]}"


def _integers(a: Arithmetic, exponent: int, *, synapse: bool) -> str:
    state = f"v of {a.v_bits} bits" + (f", i of {a.i_bits} bits" if synapse else "")
    decay = "" if a.decay_bits == 0 else f", decays in 1/{1 << a.decay_bits}"
    rounding, overflow = (each.name.lower().replace("_", " ") for each in (a.rounding, a.v_overflow))
    return f"in integers of 2**{exponent}: {state}{decay}, rounding {rounding}, overflow {overflow}"


__all__ = [
    "Layer",
    "Loop",
    "delays",
    "equation",
    "layers",
    "loops",
    "synapse_count",
    "value",
    "weight_bits",
]
