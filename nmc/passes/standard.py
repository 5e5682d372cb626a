"""The passes that every target needs, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy.typing as npt

from nmc.ir.graph import Graph
from nmc.passes.allocate_bits import quantize_within
from nmc.passes.budget import Budget
from nmc.passes.canonicalize import canonicalize
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.choose_scales import BEST, Recipe
from nmc.passes.connect import connect
from nmc.passes.discretize import discretize
from nmc.passes.facts import Fact
from nmc.passes.lower_delays import lower_delays
from nmc.passes.lower_pools import lower_pools
from nmc.passes.normalize import normalize
from nmc.passes.pipeline import Pass
from nmc.passes.place import place
from nmc.passes.quantize import AtWidth, quantize
from nmc.passes.stretch import stretch as slow_down
from nmc.target import TargetSpec

Array = npt.NDArray[Any]


def to_steps(*, dt: float | None, preset: str | None, reset: str | None) -> tuple[Pass, ...]:
    """From what a file says to a network in steps, still in reals."""
    chosen = {"dt": dt, "preset": preset, "reset": reset}
    settings = {name: str(value) for name, value in chosen.items() if value is not None}
    return (
        _named(
            "discretize",
            partial(discretize, dt=dt, preset=preset, reset=reset),
            gives={Fact.DISCRETE},
            settings=settings,
        ),
        _named("canonicalize", canonicalize, needs={Fact.DISCRETE}),
    )


def to_populations(*, bias_source: bool, stretch: int) -> tuple[Pass, ...]:
    """To populations with one connection between two, in reals; spikes are the model's, in every `stretch`-th step."""
    bias = {"bias": "source" if bias_source else "membrane"}
    slower = _named(
        "stretch",
        partial(slow_down, factor=stretch),
        needs={Fact.CANONICAL},
        settings={"factor": str(stretch)},
    )
    return (
        _named("lower_pools", lower_pools, needs={Fact.DISCRETE}),
        _named("connect", partial(connect, bias_source=bias_source), settings=bias),
        _named("normalize", normalize, gives={Fact.CANONICAL}),
        *([slower] if stretch != 1 else []),
    )


def to_target(
    target: TargetSpec,
    *,
    unsupported: Unsupported,
    weight_bits: int,
    message_bits: int,
    calibration: Mapping[str, Array],
    recipe: Recipe = BEST,
    at_width: AtWidth | None = None,
    budget: Budget | None = None,
) -> tuple[Pass, ...]:
    """Onto the integers, delays and cores of `target`; `at_width` is the target at each width of weights.

    With a `budget`, widths are shared out within it (`allocate_bits`).
    """
    cores = partial(_cores, target=target)
    integers = partial(
        quantize if budget is None else partial(quantize_within, budget=budget, cores=cores),
        target=target,
        weight_bits=weight_bits,
        message_bits=message_bits,
        calibration=calibration,
        recipe=recipe,
        at_width=at_width,
        lower=partial(lower_delays, target=target),
    )
    canonical, quantized = {Fact.CANONICAL}, {Fact.CANONICAL, Fact.QUANTIZED}
    return (
        _named(
            "choose_neurons",
            partial(choose_neurons, target=target, unsupported=unsupported, calibration=calibration),
            needs=canonical,
            settings={"neurons": unsupported.value},
        ),
        _named(
            "quantize",
            integers,
            needs=canonical,
            gives={Fact.QUANTIZED},
            settings={
                "weight_bits": str(weight_bits) if budget is None else f"within {budget}",
                "message_bits": str(message_bits),
                "calibration": recipe.calibration.value,
                "scales": recipe.scales.value,
                "rounding": recipe.rounding.value,
            },
        ),
        _named(
            "lower_delays", partial(lower_delays, target=target), needs=quantized, gives={Fact.DELAYS_LOWERED}
        ),
        _named(
            "place",
            partial(place, target=target),
            needs=quantized | {Fact.DELAYS_LOWERED},
            gives={Fact.PLACED},
        ),
    )


def _cores(graph: Graph, *, target: TargetSpec) -> int:
    """How many cores an integer graph takes. Raises CompileError where there are not so many."""
    placed = place(lower_delays(graph, target=target), target=target)
    return len({part.core for part in placed.placement})


def _named(
    name: str,
    run: Callable[[Graph], Graph],
    *,
    needs: set[Fact] | None = None,
    gives: set[Fact] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Pass:
    return Pass(name, run, frozenset(needs or ()), frozenset(gives or ()), settings or {})
