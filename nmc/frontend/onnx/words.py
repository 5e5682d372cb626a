"""A neuron's equations in words."""

from __future__ import annotations

from nmc.ir.neuron import CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Fire, Neuron
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
