"""Neurons in words: the equations of those of the known families, and what kind of thing the others are."""

from __future__ import annotations

from nmc.ir.neuron import CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Fire, Neuron
from nmc.ir.program import TRUTH, Program, Scalar
from nmc.ir.tensor import Tensor

_WHEN = {
    ResetWhen.SAME_STEP: "in the same step",
    ResetWhen.NEXT_BEFORE_LEAK: "in the next step, before the leak",
    ResetWhen.NEXT_AFTER_LEAK: "in the next step, after the leak",
    ResetWhen.NEXT_AFTER_INPUT: "in the next step, after the input",
    ResetWhen.SAME_STEP_ONCE: "in the same step, not twice",
}


def number(tensor: Tensor) -> str:
    """A parameter: a number, or the range of the population's."""
    values = tensor.values
    if values.size == 1 or bool((values == values.ravel()[0]).all()):
        return f"{float(values.ravel()[0]):.6g}"
    return f"[{float(values.min()):.4g} .. {float(values.max()):.4g}]"


def equation(neuron: Neuron) -> str:
    """The step of a neuron."""
    parts: list[str] = []
    drive = "x"
    if neuron.synapse is not None:
        gain = f"{number(neuron.synapse.gain)} x" if neuron.synapse.gain is not None else "x"
        parts.append(f"i = {number(neuron.synapse.decay)} i + {gain}")
        drive = "i" if neuron.synapse.used is CurrentUsed.NEW else "old i"
    membrane = neuron.membrane
    v = "v" if membrane.decay is None else f"{number(membrane.decay)} v"
    push = drive if membrane.gain is None else f"{number(membrane.gain)} {drive}"
    bias = "" if membrane.bias is None else f" + {number(membrane.bias)}"
    parts.append(f"v = {v} + {push}{bias}")
    if neuron.fire is not None:
        parts += _fire(neuron.fire)
    else:
        parts.append("output v")
    if membrane.minimum is not None:
        parts.append(f"v is at least {number(membrane.minimum)}")
    return "; ".join([f"{neuron.family.name}: {parts[0]}", *parts[1:]])


def _fire(fire: Fire) -> list[str]:
    compared = "old v" if fire.spike_from is SpikeFrom.OLD else "v"
    sign = ">" if fire.comparison == 0 else ">="
    parts = [f"spike when {compared} {sign} {number(fire.threshold)}"]
    match fire.reset:
        case Reset.NONE:
            parts.append("no reset")
        case Reset.TO_VALUE:
            parts.append(f"reset to {number(fire.value)} {_WHEN[fire.when]}")
        case Reset.SUBTRACT:
            parts.append(f"reset by subtraction {_WHEN[fire.when]}")
        case Reset.MULTI_SPIKE:
            parts.append(f"as many spikes as thresholds fit, each subtracted {_WHEN[fire.when]}")
    if bool(fire.refractory.values.any()):
        parts.append(f"refractory for {number(fire.refractory)} steps")
    return parts


_COMPARED = frozenset({Scalar.ABOVE, Scalar.AT_LEAST, Scalar.EQUAL})
_WHOLE = frozenset({Scalar.FLOOR, Scalar.ROUND, Scalar.CEIL, Scalar.TRUNC, Scalar.SIGN})
_GATES = frozenset({Scalar.SIGMOID, Scalar.TANH})
_CURVES = frozenset({Scalar.EXP, Scalar.POW, Scalar.LOG, Scalar.SQRT, Scalar.SIN, Scalar.COS, Scalar.ERF})


def kind(program: Program) -> str:
    """What a population outside the known families is, in the field's words."""
    ops = {instruction.op for instruction in program.code}
    whole, smooth = _reach(program, passing=True), _reach(program, passing=False)
    states, inputs = set(program.states), set(program.inputs)
    compared = [
        set().union(*(whole[arg] for arg in each.args)) & states
        for each in program.code
        if each.op in _COMPARED
    ]
    by_spikes = {
        state for state, now in zip(program.states, program.next, strict=True) if not smooth[now] & inputs
    }
    curved = bool(ops & _CURVES) or any(
        all(smooth[arg] & states for arg in each.args) for each in program.code if each.op is Scalar.MUL
    )
    if ops & _GATES:
        return "a gated cell with events" if compared else "a gated cell"
    if not compared and not ops & _WHOLE:
        return "a filter with nonlinear dynamics" if curved else "a linear filter"
    if any(len(level) > 1 and level & by_spikes for level in compared):
        return "a neuron whose threshold adapts"
    if curved:
        return "a neuron with nonlinear dynamics"
    if len(states) > 2:
        return f"a neuron with {len(states)} states"
    first = len(whole) - len(program.code)
    binary = program.output >= first and program.code[program.output - first].op in TRUTH
    return "a neuron with a reset of its own" if binary else "a neuron with graded or signed spikes"


def _reach(program: Program, *, passing: bool) -> list[frozenset[str]]:
    """The inputs and states that each value depends on; unless `passing`, not through comparisons."""
    found = [frozenset({name}) for name in (*program.inputs, *program.states)]
    found += [frozenset[str]() for _ in program.constants]
    for instruction in program.code:
        through = passing or instruction.op not in TRUTH
        found.append(frozenset[str]().union(*(found[arg] for arg in instruction.args if through)))
    return found
