"""Reals onto a target's integers: weights, thresholds, decays, biases, initial states."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Diagnostic, error, note
from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.graph import Graph, Node
from nmc.ir.ops import (
    Accumulator,
    Conv,
    Input,
    Linear,
    LinearOp,
    Neuron,
    Op,
    Signal,
    SignalKind,
    Sparse,
)
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.types import SPIKE_NUMBER
from nmc.passes.calibrate import Range, calibrate
from nmc.passes.choose_neurons import arithmetic_of
from nmc.passes.choose_scales import (
    Calibration,
    Recipe,
    RoundingRule,
    choose_scales,
    moments_into,
)
from nmc.passes.layer_weights import Moments
from nmc.passes.mantissas import neuron_in_integers
from nmc.passes.match_spikes import begin, match_spikes
from nmc.passes.measure import distance, rates
from nmc.passes.observe import SAMPLES, Observed, at_most, into, observe
from nmc.passes.repeat_constants import repeat_constants
from nmc.passes.units import HEADROOM, Frame, Units, grid_of, with_room
from nmc.target import TargetSpec

Array = npt.NDArray[Any]

ACCUMULATOR_BITS = 32
"""Lava sums a connection in int32, a convolution in 24 bits that wrap: lava-nc 0.10.0, proc/conv/models.py."""

AtWidth = Callable[[int], TargetSpec]
"""A target as it is at a width of weights: cores that are made for a network differ by it."""


Lower = Callable[[Graph], Graph]
"""A pass that follows."""


@dataclass(frozen=True, slots=True)
class Population:
    """A quantized population and its incoming connections by name."""

    neuron: Neuron
    connections: dict[str, LinearOp]
    notes: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a population besides itself: its messages' numbers and, from data, ranges and moments."""

    numbers: Mapping[str, FixedPoint] = field(default_factory=dict[str, FixedPoint])
    seen: Range | None = None
    moments: Moments | None = None
    made_to_measure: bool = False
    """The target's registers are made for the network: bits below a weight's unit may be fewer than it names."""


def quantize(
    graph: Graph,
    *,
    target: TargetSpec,
    weight_bits: int,
    message_bits: int,
    calibration: Mapping[str, Array],
    recipe: Recipe | None = None,
    widths: Mapping[str, int] | None = None,
    at_width: AtWidth | None = None,
    lower: Lower | None = None,
) -> Graph:
    """Every population in integers of `target`, as `recipe` says; by default each weight is rounded to nearest.

    One scale serves all connections into a population (or, per channel, into each of its rows); a connection with
    larger weights gets an exponent where the target has one. The scale shrinks where the threshold, a bias or (on
    calibration data, with headroom of two) a state would not fit. Inputs are spikes if the calibration data are 0
    and 1 or there are none, else messages of `message_bits`. `widths` are the bits of the weights into single
    populations, `weight_bits` those of all others. `lower` is what follows: of several ways to quantize, one that it
    refuses is not taken.

    Raises CompileError: NMC200 where a threshold or bias cannot be represented, NMC201 for weight bits that
    the target does not have.
    """
    recipe = recipe or Recipe()
    width = Widths(weight_bits, widths or {}, at_width or (lambda bits: target), at_width is not None)
    check_bits(graph, target, {weight_bits, *width.by_population.values()})
    new, notes = messages(graph, calibration, message_bits, target)
    graph = with_constants(graph, new)
    ranges = calibrate(graph, calibration) if calibration else {}
    observed = observe(graph, calibration) if calibration and recipe.uses_data else None
    variants = _variants(recipe) if observed is not None else (recipe,)
    done = [
        _integers(graph, new, each, width=width, target=target, ranges=ranges, observed=observed)
        for each in variants
    ]
    if len(done) > 1:
        data = at_most(graph, calibration, samples=4 * SAMPLES)
        exact = rates(graph, data)
        done.sort(key=lambda each: distance(exact, rates(each, data)))
        done = [each for each in done if lower is None or _passes(each, lower)] or done
    return done[0].with_notes(notes)


def _passes(graph: Graph, lower: Lower) -> bool:
    try:
        lower(graph)
    except CompileError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits of weights: `usual`, and those of single populations; and the target at each width."""

    usual: int
    by_population: Mapping[str, int]
    at_width: AtWidth
    made_to_measure: bool

    def of(self, name: str) -> int:
        """The bits of the weights into a population."""
        return self.by_population.get(name, self.usual)


def with_constants(graph: Graph, inputs: Mapping[str, Op]) -> Graph:
    """The graph with constants repeated as `inputs`, typed as the target receives them, need it."""
    typed = graph.replace_nodes(inputs).signals()
    return repeat_constants(graph, {name: signal.number for name, signal in typed.items()})


def _variants(recipe: Recipe) -> tuple[Recipe, ...]:
    """What is tried for a recipe; the one whose outputs come nearest to the model's on data is taken.

    Layer by layer a rule may be better and all layers together worse: errors of layers can make up for each other.
    """
    if recipe.calibration is not Calibration.SPIKES:
        return (recipe,)
    weights_only = replace(recipe, calibration=Calibration.MSE)
    nearest = replace(recipe, rounding=RoundingRule.NEAREST)
    return tuple(dict.fromkeys((recipe, weights_only, nearest)))


def _integers(
    graph: Graph,
    inputs: Mapping[str, Op],
    recipe: Recipe,
    *,
    width: Widths,
    target: TargetSpec,
    ranges: Mapping[str, Range],
    observed: Observed | None,
) -> Graph:
    """Every population in integers, in the order in which signals reach them."""
    new, notes, findings = dict(inputs), list[Diagnostic](), list[Diagnostic]()
    signals = graph.replace_nodes(new).signals()
    stage = None if observed is None else begin(graph, observed, signals)
    links_into = into(graph)
    for name in [each for part in graph.components() for each in part]:
        node = graph[name]
        if not isinstance(node.op, Neuron):
            continue
        links = links_into.get(name, ())
        incoming = {link.name: _linear(graph, link.name) for link in links}
        known = Known(
            {link.name: signals[link.src].number or SPIKE_NUMBER for link in links},
            ranges.get(name),
            moments_into(node.op, incoming, links, observed, recipe),
            width.made_to_measure,
        )
        try:
            population = quantize_population(
                node.op,
                incoming,
                target=width.at_width(width.of(name)),
                weight_bits=width.of(name),
                known=known,
                recipe=recipe,
                node=node,
            )
        except CompileError as refused:
            findings += refused.findings
            continue
        neuron = population.neuron
        if stage is not None:
            new_bias = (
                target.connection_delay == 0
            )  # else a late population would have to be warmed up for it
            neuron = match_spikes(stage, name, neuron, population.connections, recipe, new_bias=new_bias)
        new[name] = neuron
        new.update(population.connections)
        notes += population.notes
    if findings:
        raise CompileError(*findings)
    return graph.replace_nodes(new).with_notes(notes)


def quantize_population(
    op: Neuron,
    incoming: Mapping[str, LinearOp],
    *,
    target: TargetSpec,
    weight_bits: int | None = None,
    known: Known | None = None,
    recipe: Recipe | None = None,
    node: Node | None = None,
) -> Population:
    """One population in integers of `target`; see `quantize`."""
    where = node or Node("relay", op)
    known = known or Known()
    numbers = {name: known.numbers.get(name, SPIKE_NUMBER) for name in incoming}
    frame = Frame(
        target, arithmetic_of(op, target), weight_bits or target.weights.bits[-1], numbers, known.seen
    )
    frame = with_room(op, incoming, frame) if known.made_to_measure else frame
    chosen = choose_scales(op, incoming, frame, recipe or Recipe(), known.moments)
    connections = {
        name: _connection(
            weights,
            chosen.mantissas[name],
            chosen.exponents[name],
            units=chosen.units,
            frame=frame,
            message=frame.numbers[name],
        )
        for name, weights in incoming.items()
    }
    neuron, findings = neuron_in_integers(op, frame.arithmetic, chosen.units, where)
    if any(finding.severity.value == "error" for finding in findings):
        raise CompileError(*findings)
    return Population(neuron, connections, tuple(findings))


def _linear(graph: Graph, name: str) -> LinearOp:
    op = graph[name].op
    assert isinstance(op, Linear | Sparse | Conv), name
    return op


def check_bits(graph: Graph, target: TargetSpec, wanted: set[int]) -> None:
    """Raise CompileError (NMC201) for a width of weights that the target does not have."""
    widths = target.weights.bits
    for bits in sorted(wanted - set(widths)):
        message = f"weights of {bits} bits; `{target.name}` holds {widths[0]} to {widths[-1]}"
        raise CompileError(
            error("NMC201", message, graph.nodes[0].loc, help="choose another `--set weight_bits=`")
        )


def _connection(
    op: LinearOp,
    mantissa: npt.NDArray[np.int64],
    exponent: int,
    *,
    units: Units,
    frame: Frame,
    message: FixedPoint,
) -> LinearOp:
    number = FixedPoint(frame.bits, True, units.unit + exponent - message.exponent)
    wraps = isinstance(op, Conv)
    accumulator = Accumulator(
        FixedPoint(24 if wraps else ACCUMULATOR_BITS, True, units.accumulator),
        Rounding.FLOOR,
        Overflow.WRAP if wraps else Overflow.PROVED_ABSENT,
    )
    return replace(op, weight=Tensor(mantissa, number), accumulator=accumulator)


# ---- inputs -----------------------------------------------------------------------------------------------


def messages(
    graph: Graph, data: Mapping[str, Array], bits: int, target: TargetSpec
) -> tuple[dict[str, Op], list[Diagnostic]]:
    """The inputs as the target receives them, by name, and what there is to say of it."""
    new: dict[str, Op] = {}
    notes: list[Diagnostic] = []
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        signal, said = _message(node, node.op.signal, data.get(node.name), bits, target)
        new[node.name] = Input(signal)
        notes += said
    return new, notes


def _message(
    node: Node, signal: Signal, data: Array | None, bits: int, target: TargetSpec
) -> tuple[Signal, list[Diagnostic]]:
    """The type of an input that was real: spikes, or messages in steps of a power of two that just hold it."""
    if signal.kind is not SignalKind.REAL:
        return signal, []
    if data is None:
        message = f"input `{node.name}` is taken to be spikes (0 or 1)"
        advice = "give `--calibrate` with data if it is not"
        return Signal(signal.shape, SignalKind.SPIKE), [note("NMC202", message, node.loc, help=advice)]
    if np.isin(data, (0, 1)).all():
        return Signal(signal.shape, SignalKind.SPIKE), []
    if target.message_bits == 0:
        message = f"input `{node.name}` is not spikes, and `{target.name}` carries only spikes"
        raise CompileError(error("NMC203", message, node.loc, help="encode the input as spikes"))
    signed = bool(data.min() < 0)
    width = min(bits, target.message_bits)
    top = (1 << (width - signed)) - 1
    largest = float(np.abs(data).max())
    finest = math.ceil(math.log2(largest / top))
    # Data that lie on a coarser grid, as counts and pixels do, need no finer one: states then have room for more.
    grid = grid_of(data.astype(np.float64))
    number = FixedPoint(width, signed, finest if grid is None else max(finest, min(grid, 0)))
    step = math.ldexp(1.0, number.exponent)
    worst = float(np.abs(np.rint(data / step) * step - data).max())
    message = f"input `{node.name}` travels as messages of {width} bits in steps of {step:g}"
    return Signal(signal.shape, SignalKind.GRADED, number), [
        note("NMC204", f"{message}, off by {worst:.3g} at most", node.loc)
    ]


__all__ = ["HEADROOM", "AtWidth", "Population", "Recipe", "quantize", "quantize_population"]
