"""A neuron's parameters as mantissas of a target: thresholds, decays, biases, initial states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import Diagnostic, error, note
from nmc.ir.graph import Node
from nmc.ir.linear import Reals
from nmc.ir.neuron import Arithmetic, Comparison, Reset
from nmc.ir.ops import Fire, Membrane, Neuron, Synapse
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.passes.units import Units


def neuron_in_integers(
    op: Neuron, arithmetic: Arithmetic, units: Units, node: Node
) -> tuple[Neuron, list[Diagnostic]]:
    """The population with every parameter as a mantissa, and findings: errors (NMC200) where one does not fit."""
    findings: list[Diagnostic] = []
    neuron = replace(
        op,
        synapse=_synapse(op, arithmetic, units),
        membrane=_membrane(op, arithmetic, units, node, findings),
        fire=_fire(op, arithmetic, units, node, findings),
        arithmetic=arithmetic,
        exponent=units.state,
    )
    return neuron, findings


def state(values: npt.NDArray[np.float64], bits: int, exponent: int, states: Reals) -> Tensor:
    """Reals as state mantissas, `states` to a real one, rounded half to even and saturated."""
    number = FixedPoint(bits, True, exponent)
    scaled = np.rint(values * states) if np.any(values) else np.zeros_like(values)
    return Tensor(np.clip(scaled, number.lowest, number.highest).astype(np.int64), number)


def decay_mantissa(decay: Tensor, arithmetic: Arithmetic, span: tuple[int, int] | None) -> Tensor:
    """The nearest mantissa that the target has."""
    n = arithmetic.decay_bits
    low, high = span or (0, 1 << n)
    mantissa = np.clip(np.rint(np.ldexp(decay.values, n)), low, high).astype(np.int64)
    return Tensor(mantissa, FixedPoint(n + 1, False, -n))


def _synapse(op: Neuron, arithmetic: Arithmetic, units: Units) -> Synapse | None:
    synapse = op.synapse
    if synapse is None:
        return None
    return Synapse(
        decay_mantissa(synapse.decay, arithmetic, arithmetic.i_decays),
        None,
        synapse.used,
        state(synapse.initial.values, arithmetic.i_bits, units.state, units.states(op)),
    )


def _membrane(
    op: Neuron, arithmetic: Arithmetic, units: Units, node: Node, findings: list[Diagnostic]
) -> Membrane:
    membrane, states = op.membrane, units.states(op)
    bits = arithmetic.v_bits
    decay = (
        None if membrane.decay is None else decay_mantissa(membrane.decay, arithmetic, arithmetic.v_decays)
    )
    minimum = None if membrane.minimum is None else state(membrane.minimum.values, bits, units.state, states)
    bias = None
    if membrane.bias is not None:
        wanted = np.rint(membrane.bias.values * states)
        bias = bias_mantissas(wanted, arithmetic, units.state)
        if bias is None and wanted.any():
            largest = float(np.abs(membrane.bias.values).max())
            limit = ((1 << (arithmetic.bias_bits - 1)) - 1) << arithmetic.bias_shift
            message = f"bias {largest:.4g} is {int(np.abs(wanted).max())} state units; {limit} fit"
            findings.append(error("NMC200", message, node.loc, help="use fewer weight bits"))
    return Membrane(decay, None, bias, minimum, state(membrane.initial.values, bits, units.state, states))


def bias_mantissas(wanted: Reals, arithmetic: Arithmetic, exponent: int) -> Tensor | None:
    """Biases in state units as mantissas of `bias_bits` at the smallest shift at which all fit.

    None if all are zero, or if there is no such shift.
    """
    top = (1 << (arithmetic.bias_bits - 1)) - 1
    shift = 0
    while np.abs(np.rint(np.ldexp(wanted, -shift))).max() > top:
        shift += 1
    mantissa = np.rint(np.ldexp(wanted, -shift)).astype(np.int64)
    if shift > arithmetic.bias_shift or not mantissa.any():
        return None
    return Tensor(mantissa, FixedPoint(arithmetic.bias_bits, True, exponent + shift))


def _fire(
    op: Neuron, arithmetic: Arithmetic, units: Units, node: Node, findings: list[Diagnostic]
) -> Fire | None:
    """The threshold on its grid; `>=` becomes `>` one grid step lower where states leave nothing between."""
    fire, states = op.fire, units.states(op)
    if fire is None:
        return None
    wanted = fire.threshold.values * np.ldexp(states, -arithmetic.threshold_shift)
    comparison = fire.comparison
    mantissa = np.rint(wanted)
    if comparison not in arithmetic.comparisons:
        comparison = arithmetic.comparisons[0]
        exact = comparison is Comparison.ABOVE and _on_weight_grid(op)
        mantissa = np.ceil(wanted - 1e-9) - 1 if exact else mantissa
        size = "exact: its states are whole weights" if exact else f"apart by 1 in {float(wanted.max()):.4g}"
        written = {Comparison.ABOVE: ">", Comparison.AT_LEAST: ">="}
        message = f"`{written[fire.comparison]}` threshold became `{written[comparison]}`; {size}"
        findings.append(note("NMC205", message, node.loc))
    top = (1 << arithmetic.threshold_bits) - 1
    if mantissa.max() > top or mantissa.min() < 0:
        message = (
            f"threshold {float(fire.threshold.values.max()):.4g} is {int(mantissa.max())} threshold units"
        )
        findings.append(error("NMC200", f"{message}; 0 to {top} fit", node.loc, help="use fewer weight bits"))
        mantissa = np.clip(mantissa, 0, top)
    number = FixedPoint(arithmetic.threshold_bits, False, units.state + arithmetic.threshold_shift)
    threshold = Tensor(mantissa.astype(np.int64), number)
    reset_to = fire.value.values if fire.reset is Reset.TO_VALUE else np.zeros(())
    value = state(reset_to, arithmetic.v_bits, units.state, states)
    return replace(fire, threshold=threshold, comparison=comparison, value=value)


def _on_weight_grid(op: Neuron) -> bool:
    """Whether v is always a whole number of weights: nothing leaks and nothing but weights comes in."""
    leaks = op.membrane.decay is not None and np.any(op.membrane.decay.values != 1)
    current = op.synapse is not None and np.any(op.synapse.decay.values != 0)
    plain = op.membrane.bias is None and not op.membrane.initial.data.any() and op.membrane.minimum is None
    subtracts = op.fire is not None and op.fire.reset not in {Reset.TO_VALUE, Reset.NONE}
    return bool(plain and not leaks and not current and not subtracts)
