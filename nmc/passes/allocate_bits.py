"""Which width each layer's weights and states get, and how many steps run, so that a budget loses least.

After Shen et al., Are Conventional SNNs Really Efficient? A Perspective from Network Quantization, CVPR 2024: bits of
weights, bits of spikes and steps are paid from one budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, error, note
from nmc.ir.fixed import Overflow
from nmc.ir.graph import Graph
from nmc.ir.ops import Neuron, Op
from nmc.passes.budget import Budget, Resource, Taken, taken
from nmc.passes.calibrate import Range, calibrate
from nmc.passes.choose_scales import Recipe
from nmc.passes.knapsack import Choice, Pick, frontier, lower_bound
from nmc.passes.measure import distance, in_reals, rates
from nmc.passes.observe import SAMPLES, at_most, into
from nmc.passes.quantize import AtWidth, Lower, messages, quantize, with_constants
from nmc.passes.units import HEADROOM
from nmc.target import TargetSpec

Array = npt.NDArray[Any]

WIDEST = 8
"""Weights wider than this are not tried: nothing that is measured here loses at it."""

SHORTER = (1.0, 0.875, 0.75, 0.5)
"""Shares of the steps of the data that are tried."""

FINALISTS = 3
"""Allocations that are run as integers in full, besides the best uniform one."""

NEAR_ONE = math.sqrt(2.0)
"""At most what a real one is worth in a population's integers, whose unit is chosen so (`units.Units`)."""

CLEARLY = 0.97
"""A mixed allocation is taken where it loses at most this share of what one width for all loses."""

Cores = Callable[[Graph], int]
"""How many cores an integer graph takes; raises CompileError if there are not so many."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Weight bits by population, and steps; what they take, and the mean squared error of rates that they cost.

    `predicted` is the sum of what single layers cost, which the solver made least, and `bound` what no allocation in
    the budget is predicted to go below. `loss` is measured, of all layers together; `uniform` is that of the widest
    uniform width in the budget, None if there is none.
    """

    widths: Mapping[str, int]
    steps: int
    taken: int
    loss: float
    predicted: float
    bound: float
    uniform: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Each population at each width: what it takes and what it loses alone."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    taken: Mapping[tuple[str, int], Taken]
    loss: Mapping[tuple[str, int], float]
    steps: Mapping[int, float]
    """What fewer steps lose, by their number."""


Quantize = Callable[[Mapping[str, int]], Graph]
"""The network in integers, at a width of weights for each population."""


def quantize_within(
    graph: Graph,
    *,
    budget: Budget,
    target: TargetSpec,
    weight_bits: int,
    message_bits: int,
    calibration: Mapping[str, Array],
    recipe: Recipe,
    at_width: AtWidth | None = None,
    lower: Lower | None = None,
    cores: Cores | None = None,
) -> Graph:
    """The network in integers with the widths that lose least within `budget`, noted with what they take and lose.

    Raises CompileError: NMC221 without calibration data, NMC222 for a budget that nothing fits, and as `quantize`.
    """
    if not calibration:
        message = f"the budget `{budget}` is shared out by what layers lose on data, and there are none"
        raise CompileError(error("NMC221", message, graph.nodes[0].loc, help="give `--calibrate IN.npz`"))
    real = with_constants(graph, messages(graph, calibration, message_bits, target)[0])
    ranges = calibrate(real, calibration)

    def integers(widths: Mapping[str, int]) -> Graph:
        done = quantize(
            graph,
            target=target,
            weight_bits=weight_bits,
            message_bits=message_bits,
            calibration=calibration,
            recipe=recipe,
            widths=widths,
            at_width=at_width,
            lower=lower,
        )
        return fit_states(done, ranges) if at_width is not None else done

    found = allocate_bits(real, integers, budget=budget, target=target, calibration=calibration, cores=cores)
    widths = ", ".join(f"`{name}` {bits}" for name, bits in found.widths.items())
    used = f"{found.taken} {budget.resource.value} of {budget.limit}"
    message = f"the budget `{budget}` gives weights of {widths} bits: {used}"
    steps = len(next(iter(calibration.values())))
    if found.steps < steps:
        message += f", in {found.steps} of {steps} steps"
    against = "" if found.uniform is None else f", {found.uniform:.3g} at one width for all"
    size = f"mean squared error of output rates {found.loss:.3g}{against}"
    return integers(found.widths).with_notes([note("NMC223", f"{message}; {size}", graph.nodes[0].loc)])


def allocate_bits(
    graph: Graph,
    integers: Quantize,
    *,
    budget: Budget,
    target: TargetSpec,
    calibration: Mapping[str, Array],
    cores: Cores | None = None,
) -> Allocation:
    """The widths and steps that lose least within `budget`.

    Each layer is measured alone at each width, the sum of losses is made least exactly (`knapsack`), and the best few
    allocations and the widest uniform one run in full: what is returned loses the least of these.
    """
    data = at_most(graph, calibration)
    measured = measure(graph, integers, target, data)
    trial = _Trial(graph, integers, at_most(graph, calibration, samples=4 * SAMPLES))
    finalists: list[tuple[Pick, int]] = []
    bounds: list[float] = []
    for steps, lost in measured.steps.items():
        if budget.resource is not Resource.BITS and steps < max(measured.steps):
            continue
        items = _items(measured, budget, steps)
        limit = (
            budget.limit
            if budget.resource is not Resource.CORES
            else sum(max(c.cost for c in i) for i in items)
        )
        bound = lower_bound(items, limit)
        if bound is None:
            continue
        bounds.append(bound + lost)
        within = [pick for pick in frontier(items) if pick.cost <= limit]
        finalists += [(replace(pick, loss=pick.loss + lost), steps) for pick in within[::-1]]
    finalists.sort(key=lambda each: (each[0].loss, each[0].cost, each[0].choices))
    uniform = _widest_uniform(measured, budget)
    if budget.resource is Resource.CORES and cores is not None:
        finalists = _on_cores(finalists, measured, integers, cores, budget.limit)
        uniform = uniform and next(iter(_on_cores([uniform], measured, integers, cores, budget.limit)), None)
    if not finalists:
        raise _too_small(graph, measured, budget)
    tried = [*finalists[:FINALISTS], *([uniform] if uniform is not None else [])]
    losses = [trial.loss(_widths(pick, measured), steps) for pick, steps in tried]
    best = int(np.argmin(losses))
    if uniform is not None and losses[best] > CLEARLY * losses[-1]:
        best = len(losses) - 1  # a gain this small may be the data's
    pick, steps = tried[best]
    return Allocation(
        _widths(pick, measured),
        steps,
        pick.cost,
        losses[best],
        finalists[0][0].loss,
        min(bounds, default=0.0),
        None if uniform is None else losses[-1],
    )


# ---- measuring --------------------------------------------------------------------------------------------


def measure(graph: Graph, integers: Quantize, target: TargetSpec, data: Mapping[str, Array]) -> Measured:
    """Quantize the network at each width, and put each layer of it into the network in reals, alone."""
    names = tuple(n.name for n in graph.nodes if isinstance(n.op, Neuron) and into(graph).get(n.name))
    exact = rates(graph, data)
    steps = len(next(iter(data.values())))
    weights: dict[tuple[str, int], Taken] = {}
    losses: dict[tuple[str, int], float] = {}
    widths: list[int] = []
    for bits in (each for each in target.weights.bits if 2 <= each <= WIDEST):
        try:
            coarse = integers(dict.fromkeys(names, bits))
        except CompileError:
            continue  # a width at which a threshold does not fit is no choice
        widths.append(bits)
        for name in names:
            links = tuple(link.name for link in into(graph)[name])
            alone: dict[str, Op] = {each: in_reals(coarse[each].op) for each in (name, *links)}
            weights[name, bits] = taken(coarse, name, links)
            losses[name, bits] = distance(exact, rates(graph.replace_nodes(alone), data))
    shorter = {math.ceil(steps * share): 0.0 for share in SHORTER}
    for fewer in shorter:
        first = {name: array[:fewer] for name, array in data.items()}
        shorter[fewer] = 0.0 if fewer == steps else distance(exact, rates(graph, first))
    return Measured(names, tuple(widths), weights, losses, shorter)


class _Trial:
    """Allocations run in full."""

    def __init__(self, graph: Graph, integers: Quantize, data: Mapping[str, Array]) -> None:
        self.integers, self.data = integers, data
        self.exact = rates(graph, data)
        self.known: dict[tuple[tuple[tuple[str, int], ...], int], float] = {}

    def loss(self, widths: Mapping[str, int], steps: int) -> float:
        """What the network in integers loses in so many steps."""
        key = (tuple(sorted(widths.items())), steps)
        if key not in self.known:
            first = {name: array[:steps] for name, array in self.data.items()}
            self.known[key] = distance(self.exact, rates(self.integers(widths), first))
        return self.known[key]


# ---- what fits --------------------------------------------------------------------------------------------


def cost_of(one: Taken, budget: Budget, steps: int) -> int:
    """What a population counts in a budget."""
    match budget.resource:
        case Resource.BITS:
            return one.weights + one.states + steps * one.spikes
        case Resource.BYTES:
            return -(-one.weights // 8) + -(-one.states // 8)
        case Resource.CORES:
            return one.weights


def _items(measured: Measured, budget: Budget, steps: int) -> list[list[Choice]]:
    return [
        [
            Choice(cost_of(measured.taken[name, bits], budget, steps), measured.loss[name, bits])
            for bits in measured.widths
        ]
        for name in measured.names
    ]


def _widths(pick: Pick, measured: Measured) -> dict[str, int]:
    return {name: measured.widths[k] for name, k in zip(measured.names, pick.choices, strict=True)}


def uniform_cost(measured: Measured, budget: Budget, bits: int, steps: int) -> int:
    """What a network takes with one width for all weights and one for all states, the widest that a layer needs."""
    each = [measured.taken[name, bits] for name in measured.names]
    widest = max((one.state_bits for one in each), default=0)
    each = [replace(one, state_bits=widest) for one in each]
    return sum(cost_of(one, budget, steps) for one in each)


def _widest_uniform(measured: Measured, budget: Budget) -> tuple[Pick, int] | None:
    steps = max(measured.steps)
    found: tuple[Pick, int] | None = None
    for index, bits in enumerate(measured.widths):
        cost = uniform_cost(measured, budget, bits, steps)
        loss = sum(measured.loss[name, bits] for name in measured.names)
        if cost <= budget.limit or budget.resource is Resource.CORES:
            found = (Pick((index,) * len(measured.names), cost, loss), steps)
    return found


def _on_cores(
    picks: Sequence[tuple[Pick, int]], measured: Measured, integers: Quantize, cores: Cores, limit: int
) -> list[tuple[Pick, int]]:
    """The first few picks that fit the cores, with cores as their cost."""
    found: list[tuple[Pick, int]] = []
    for pick, steps in picks:
        try:
            used = cores(integers(_widths(pick, measured)))
        except CompileError:
            continue
        if used <= limit:
            found.append((replace(pick, cost=used), steps))
        if len(found) == FINALISTS:
            break
    return found


def _too_small(graph: Graph, measured: Measured, budget: Budget) -> CompileError:
    least = min(
        (
            sum(
                min(cost_of(measured.taken[name, bits], budget, steps) for bits in measured.widths)
                for name in measured.names
            )
            for steps in measured.steps
        ),
        default=0,
    )
    if budget.resource is Resource.CORES:
        message = f"the network takes more than {budget.limit} cores at any width of weights"
    else:
        message = (
            f"the network takes at least {least} {budget.resource.value}, and the budget is {budget.limit}"
        )
    return CompileError(error("NMC222", message, graph.nodes[0].loc, help="raise the budget"))


# ---- states -----------------------------------------------------------------------------------------------


def fit_states(graph: Graph, ranges: Mapping[str, Range]) -> Graph:
    """Registers of states that hold twice what was seen on data and every parameter, and saturate beyond.

    For targets whose registers are made for the network.
    """
    new: dict[str, Op] = {}
    for node in graph.nodes:
        op, seen = node.op, ranges.get(node.name)
        if not isinstance(op, Neuron) or op.arithmetic is None or seen is None:
            continue
        arithmetic = op.arithmetic
        held = [op.membrane.initial, op.membrane.minimum, op.membrane.bias]
        held += [] if op.fire is None else [op.fire.threshold, op.fire.value]
        fixed = [float(np.abs(tensor.values).max(initial=0)) for tensor in held if tensor is not None]
        v = max([HEADROOM * NEAR_ONE * seen.v, *(2 * each for each in fixed)])
        arithmetic = replace(
            arithmetic,
            v_bits=_bits(v, op.exponent, arithmetic.v_bits),
            v_overflow=Overflow.SATURATE,
            i_bits=_bits(HEADROOM * NEAR_ONE * seen.i, op.exponent, arithmetic.i_bits),
            i_overflow=Overflow.SATURATE,
        )
        new[node.name] = replace(op, arithmetic=arithmetic)
    return graph.replace_nodes(new)


def _bits(value: float, exponent: int, most: int) -> int:
    needed = math.ceil(math.log2(max(1.0, math.ldexp(value, -exponent)) + 1)) + 1
    return min(most, max(needed, 2))
