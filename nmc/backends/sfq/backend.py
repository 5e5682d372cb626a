"""SFQ as a backend: its settings, its pipeline, its emitter, its machine and its witnesses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from nmc.artifact import Artifact
from nmc.backends.backend import Backend, Program, Request, Setting, Witness
from nmc.backends.sfq import analogue, icarus, josim, junction_level, machine, ngspice, pictures
from nmc.backends.sfq import emit as emitter
from nmc.backends.sfq.cells import FEMTO, load
from nmc.backends.sfq.emit import Choices
from nmc.backends.sfq.hold import hold, threshold_units
from nmc.backends.sfq.prove import prove
from nmc.backends.sfq.spec import SFQ as SPEC
from nmc.backends.sfq.spec import WEIGHT_BITS, spec
from nmc.diagnostics import Loc, UsageError, error
from nmc.ir.graph import Graph
from nmc.ir.tensor import Array
from nmc.passes.choose_neurons import Unsupported
from nmc.passes.facts import Fact
from nmc.passes.pipeline import Pass
from nmc.passes.standard import to_populations, to_steps, to_target
from nmc.sim.trace import SimResult

SETTINGS = (
    Setting("weight_bits", "4", tuple(map(str, WEIGHT_BITS)), "bits of a weight, sign included"),
    Setting(
        "neurons",
        Unsupported.REFUSE.value,
        (Unsupported.REFUSE.value, Unsupported.STOCK.value),
        "populations that no counter holds: refused, or approximated by the nearest that one holds",
    ),
    Setting(
        "toggle", "own", ("own", "library"), "bits of counters: our own toggle cell, or latches and mergers"
    ),
    Setting(
        "sequencer",
        "external",
        ("external", "on-chip"),
        "where slots come from: outside, or a ring and one clock",
    ),
    Setting("sharing", "on", ("on", "off"), "sums that several neurons need are merged once"),
    Setting("steps", "256", (), "the longest run, for integrating neurons that nothing else bounds"),
    Setting("period", "", (), "ps of a slot; without, the shortest that static timing allows"),
    Setting(
        "neuron",
        "counter",
        ("counter", "analogue"),
        "counters of pulses, or one junction with a bias current",
    ),
    Setting("cells", "", (), "a TOML file of cells that stand beside the standard ones or replace them"),
)


def choices(settings: Mapping[str, str]) -> Choices:
    """What settings say of the netlist. Raises UsageError (NMC485) for what is no number."""
    place = Loc("<command line>")
    steps, period = settings["steps"], settings["period"]
    if not steps.isdecimal() or not 1 <= int(steps) <= 1 << 20:
        message = f"setting `steps` is `{steps}`, not a whole number from 1 to {1 << 20}"
        raise UsageError(error("NMC485", message, place))
    try:
        slot = round(float(period) * FEMTO) if period else 0
    except ValueError:
        slot = -1
    if slot < 0 or slot > 10**12 or (period and slot == 0):
        raise UsageError(error("NMC485", f"setting `period` is `{period}`, not a time in ps above 0", place))
    return Choices(
        own_toggle=settings["toggle"] == "own",
        on_chip=settings["sequencer"] == "on-chip",
        sharing=settings["sharing"] == "on",
        steps=int(steps),
        period=slot,
    )


def pipeline(request: Request) -> tuple[Pass, ...]:
    """The passes for a request with complete settings. Nothing is placed: a netlist is one chip."""
    settings = request.settings
    wanted = choices(settings)
    weight_bits = int(settings["weight_bits"])
    *target, _ = to_target(
        spec(weight_bits),
        unsupported=Unsupported.REFUSE,
        weight_bits=weight_bits,
        message_bits=1,
        calibration=request.calibration,
    )
    discretize, canonicalize = to_steps(dt=request.dt, preset=request.preset, reset=request.reset)

    def in_integers(graph: Graph) -> Graph:
        for step in target:
            graph = step.run(graph)
        return graph

    held = partial(
        hold,
        approximate=settings["neurons"] == Unsupported.STOCK.value,
        in_integers=in_integers,
        calibration=request.calibration,
    )
    canonical = frozenset({Fact.CANONICAL})
    return (
        discretize,
        Pass("threshold_units", threshold_units, frozenset({Fact.DISCRETE}), frozenset(), {}),
        canonicalize,
        *to_populations(bias_source=False, stretch=request.stretch),
        Pass("hold", held, canonical, frozenset(), {"neurons": settings["neurons"]}),
        *target,
        Pass(
            "prove",
            partial(prove, steps=wanted.steps),
            frozenset({Fact.CANONICAL, Fact.QUANTIZED, Fact.DELAYS_LOWERED}),
            frozenset(),
            {"steps": settings["steps"]},
        ),
    )


def emit(graph: Graph, request: Request) -> Program:
    """The files for the cells and choices of the request."""
    if request.settings["neuron"] == "analogue":
        return analogue.emit(analogue.of_graph(graph))
    return emitter.emit(graph, load(request.settings["cells"]), choices(request.settings))


def simulate(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """The machine on an artifact."""
    if analogue.FILE in artifact.files:
        return analogue.simulate("machine", analogue.expected, artifact.files, inputs)
    return machine.simulate(artifact.files, inputs, record)


def drawn(artifact: Artifact) -> dict[str, str]:
    """The schematic of a small netlist, and its pulses; nothing of an analogue network, which is a deck."""
    return {} if analogue.FILE in artifact.files else pictures.pictures(artifact.files)


SFQ = Backend(
    target=SPEC,
    settings=SETTINGS,
    pipeline=pipeline,
    emit=emit,
    simulate=simulate,
    pictures=drawn,
    witnesses=(
        Witness("icarus", icarus.ready, icarus.simulate, patience=20_000),
        # Junction by junction a step takes seconds: only when they are named.
        Witness(
            "ngspice", ngspice.ready, partial(junction_level.simulate, ngspice.run, "ngspice"), patience=0
        ),
        Witness("josim", josim.ready, partial(junction_level.simulate, josim.run, "josim"), patience=0),
    ),
)
