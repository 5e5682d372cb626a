"""The FPGA as a backend: its settings, its pipeline, its emitter, its machine and its witnesses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from nmc.artifact import Artifact
from nmc.backends import quantization
from nmc.backends.backend import Backend, Program, Request, Setting, Witness
from nmc.backends.fpga import emit as emitter
from nmc.backends.fpga import machine, synthesis, verilator
from nmc.backends.fpga.estimate import design_cost
from nmc.backends.fpga.lanes import Goal, choose_lanes
from nmc.backends.fpga.narrow import narrow
from nmc.backends.fpga.program import Io
from nmc.backends.fpga.spec import FPGA as SPEC
from nmc.backends.fpga.spec import MESSAGE_BITS, PARTS, WEIGHT_BITS, spec
from nmc.backends.fpga.stdp import read_rules
from nmc.diagnostics import Loc, UsageError, error
from nmc.ir.graph import Graph
from nmc.ir.tensor import Array
from nmc.passes.choose_neurons import Unsupported
from nmc.passes.facts import Fact
from nmc.passes.pipeline import Pass
from nmc.passes.standard import to_populations, to_steps, to_target
from nmc.sim.trace import SimResult

CYCLES_PER_STEP = 1000
"""The goal where none is given: at 100 MHz ten microseconds a step."""

SETTINGS = (
    Setting(
        "weight_bits",
        "8",
        tuple(map(str, WEIGHT_BITS)),
        "bits of a weight, sign included",
        relief=("7", "6", "5", "4", "3", "2"),
    ),
    Setting(
        "message_bits",
        "8",
        tuple(map(str, range(1, MESSAGE_BITS + 1))),
        "bits of a graded input; spikes have none",
    ),
    Setting(
        "neurons",
        "custom",
        tuple(each.value for each in Unsupported),
        "populations that decays by shifts cannot serve: with multipliers, the nearest with shifts, or refused",
    ),
    *quantization.SETTINGS,
    Setting("lanes", "", (), "lanes of every layer, at most one a neuron; without, chosen from a goal"),
    Setting(
        "cycles_per_step",
        "",
        (),
        f"goal: the fewest lanes that end a step in so many cycles ({CYCLES_PER_STEP})",
    ),
    Setting("luts", "", (), "goal: the most lanes whose design takes no more LUT4 (iCE40: logic cells)"),
    Setting("part", "ecp5-85", tuple(PARTS), "the chip", relief=("ecp5-85",)),
    Setting(
        "io", "stream", tuple(each.value for each in Io), "what streams become at the edge of the design"
    ),
    Setting(
        "weights", "constant", ("constant", "runtime"), "runtime: hosts read and write them while it runs"
    ),
    Setting(
        "stdp",
        "",
        (),
        "a TOML file with a table for each connection that learns: a_plus, a_minus, tau_plus, …",
    ),
)


GOALS = ("lanes", "cycles_per_step", "luts")
"""Settings of which one at most decides about lanes."""


def goal(settings: Mapping[str, str]) -> Goal:
    """The goal that settings name. Raises UsageError (NMC450) for more than one, or for one that is no number."""
    given = {name: settings[name] for name in GOALS if settings[name]}
    place = Loc("<command line>")
    if len(given) > 1:
        message = f"{' and '.join(f'`{name}`' for name in given)} are goals, and there can be one"
        raise UsageError(error("NMC450", message, place, help="leave all but one out"))
    for name, value in given.items():
        if not value.isdecimal() or int(value) == 0:
            raise UsageError(
                error("NMC450", f"setting `{name}` is `{value}`, not a whole number above 0", place)
            )
    numbers = {name: int(value) for name, value in given.items()} or {"cycles_per_step": CYCLES_PER_STEP}
    return Goal(**{name: numbers.get(name) for name in GOALS})


def pipeline(request: Request) -> tuple[Pass, ...]:
    """The passes for a request with complete settings; `narrow` and `choose_lanes` stand where others place."""
    settings = request.settings
    weight_bits = int(settings["weight_bits"])
    wanted = goal(settings)
    *target, _ = to_target(
        SPEC,
        unsupported=Unsupported(settings["neurons"]),
        weight_bits=weight_bits,
        message_bits=int(settings["message_bits"]),
        calibration=request.calibration,
        recipe=quantization.recipe(settings),
        at_width=spec,
        budget=request.budget,
    )
    quantized = frozenset({Fact.CANONICAL, Fact.QUANTIZED, Fact.DELAYS_LOWERED})
    shown = {name: settings[name] for name in GOALS if settings[name]}
    return (
        *to_steps(dt=request.dt, preset=request.preset, reset=request.reset),
        *to_populations(bias_source=False, stretch=request.stretch),
        *target,
        Pass(
            "narrow",
            partial(narrow, rewritable=_rewritable(settings)),
            quantized,
            frozenset(),
            {"weights": "runtime" if _rewritable(settings) else "constant"},
        ),
        Pass(
            "choose_lanes",
            partial(
                choose_lanes, goal=wanted, calibration=request.calibration, luts_of=partial(_luts, request)
            ),
            quantized,
            frozenset({Fact.PLACED}),
            {**shown, "part": settings["part"]},
        ),
    )


def _luts(request: Request, graph: Graph) -> float:
    """LUT4s of a placed graph by the estimate."""
    settings = request.settings
    design = emitter.lower(
        graph,
        part=settings["part"],
        io=Io(settings["io"]),
        runtime=_rewritable(settings),
        rules=read_rules(settings["stdp"]),
    )
    return design_cost(design).luts


def emit(graph: Graph, request: Request) -> Program:
    """The files for the part of the request."""
    settings = request.settings
    return emitter.emit(
        graph,
        part=settings["part"],
        io=Io(settings["io"]),
        runtime=_rewritable(settings),
        rules=read_rules(settings["stdp"]),
    )


def _rewritable(settings: Mapping[str, str]) -> bool:
    """Whether weights may change: those that learn are also there for hosts."""
    return settings["weights"] == "runtime" or bool(settings["stdp"])


def simulate(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """The machine on an artifact."""
    return machine.simulate(artifact.files, inputs, record)


FPGA = Backend(
    target=SPEC,
    settings=SETTINGS,
    pipeline=pipeline,
    emit=emit,
    simulate=simulate,
    witnesses=tuple(
        Witness(each.name, partial(verilator.ready, each), partial(verilator.simulate, each))
        for each in (verilator.VERILATOR, verilator.ICARUS)
    ),
    report=synthesis.report,
)
