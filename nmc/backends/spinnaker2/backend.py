"""SpiNNaker2 as a backend: its settings, its pipeline, its emitter, its machine and its witness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import partial
from types import MappingProxyType

from nmc.artifact import Artifact
from nmc.backends.backend import Backend, Program, Request, Resource, Setting, Witness
from nmc.backends.spinnaker2 import build, files
from nmc.backends.spinnaker2.arithmetic import INTEGER, MESSAGE_BITS, WEIGHT_BITS
from nmc.backends.spinnaker2.chip import chip_named
from nmc.backends.spinnaker2.emit import lower
from nmc.backends.spinnaker2.floats import to_floats
from nmc.backends.spinnaker2.mapping.build import mapping_of
from nmc.backends.spinnaker2.mapping.partition import Partitioner
from nmc.backends.spinnaker2.mapping.place import place
from nmc.backends.spinnaker2.spec import CHIPS, DATASHEET, LIMITS
from nmc.backends.spinnaker2.sums import prove_sums
from nmc.ir.graph import Graph
from nmc.ir.ops import Family
from nmc.ir.tensor import Array
from nmc.passes.choose_neurons import Unsupported
from nmc.passes.facts import Fact
from nmc.passes.pipeline import Pass
from nmc.passes.standard import to_populations, to_steps, to_target
from nmc.sim.trace import SimResult
from nmc.target import Basis, Figure, TargetSpec, WeightFormat

SPEC = TargetSpec(
    name="spinnaker2",
    title="a many-core like SpiNNaker2: a program for each Cortex-M4F, and routes between them",
    source=DATASHEET,
    neurons=MappingProxyType({family: INTEGER for family in Family if family is not Family.THRESHOLD}),
    programmable=MappingProxyType({}),
    weights=WeightFormat(WEIGHT_BITS, shift=0, exponents=(0, 0), unscaled=()),
    connections=("Linear", "Sparse", "Conv"),
    connection_delay=1,  # packets of a tick add to the sums of later ticks
    max_delay=Figure(63, "steps", "this project's own firmware: 64 slots of a ring", Basis.DOCUMENTED),
    message_bits=MESSAGE_BITS,
    limits=LIMITS,
    costs=MappingProxyType({}),
)


def spec(weight_bits: int) -> TargetSpec:
    """The target with weights of so many bits."""
    return replace(SPEC, weights=WeightFormat((weight_bits,), shift=0, exponents=(0, 0), unscaled=()))


PATIENCE = 20_000_000
"""Synapses of networks that the emulator runs unasked: it loads and runs one PE after the other."""


class Numbers(Enum):
    """What neurons compute in; the user's choice."""

    AUTO = "auto"
    """As the preset has it: `py-spinnaker2` in floats, all others in integers."""
    INTEGER = "integer"
    FLOAT = "float"


SETTINGS = (
    Setting("weight_bits", "8", tuple(map(str, WEIGHT_BITS)), "bits of a weight, sign included"),
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
        "populations that the firmware cannot compute: refused, or the nearest that it can",
    ),
    Setting(
        "bias",
        "membrane",
        ("membrane", "source"),
        "biases on the membranes, or sent as spikes of a constant neuron",
    ),
    Setting(
        "arithmetic",
        "auto",
        tuple(each.value for each in Numbers),
        "neurons in integers or in single precision; auto: as the preset has it, integers for most",
    ),
    Setting(
        "chip", "spinnaker2", (), f"the many-core: {', '.join(CHIPS)}, or a TOML file that describes one"
    ),
    Setting("dead", "", (), "PEs that get no work, as x.y.p of a quad and a PE, commas between"),
    Setting(
        "partitioner",
        Partitioner.KM1.value,
        tuple(each.value for each in Partitioner),
        "who decides which neurons are on one PE",
    ),
)


def in_floats(request: Request) -> bool:
    """Whether neurons stay in single precision."""
    chosen = Numbers(request.settings["arithmetic"])
    return chosen is Numbers.FLOAT or (chosen is Numbers.AUTO and request.preset == "py-spinnaker2")


def pipeline(request: Request) -> tuple[Pass, ...]:
    """The passes for a request with complete settings."""
    settings = request.settings
    numbers = _floats(request) if in_floats(request) else _integers(request)
    chip = chip_named(settings["chip"], dead=settings["dead"])
    lowered = frozenset({Fact.CANONICAL, Fact.DELAYS_LOWERED})
    return (
        *to_steps(dt=request.dt, preset=request.preset, reset=request.reset),
        *to_populations(bias_source=settings["bias"] == "source", stretch=request.stretch),
        *numbers,
        Pass("prove_sums", prove_sums, lowered, frozenset(), {}),
        Pass(
            "place",
            partial(
                place,
                chip=chip,
                partitioner=Partitioner(settings["partitioner"]),
                calibration=request.calibration,
            ),
            lowered,
            frozenset({Fact.PLACED}),
            {"chip": chip.name, "partitioner": settings["partitioner"]},
        ),
    )


def _integers(request: Request) -> tuple[Pass, ...]:
    """Onto integers, and delays onto rings."""
    weight_bits = int(request.settings["weight_bits"])
    *passes, _ = to_target(
        spec(weight_bits),
        unsupported=Unsupported(request.settings["neurons"]),
        weight_bits=weight_bits,
        message_bits=int(request.settings["message_bits"]),
        calibration=request.calibration,
    )
    return tuple(passes)


def _floats(request: Request) -> tuple[Pass, ...]:
    """Onto whole weights and single precision: the same passes, but for `quantize`."""
    choose, _, lower_delays = _integers(request)
    weight_bits = int(request.settings["weight_bits"])
    convert = partial(to_floats, weight_bits=weight_bits, calibration=request.calibration)
    canonical = frozenset({Fact.CANONICAL})
    shown = {"weight_bits": str(weight_bits)}
    return (
        choose,
        Pass("to_floats", convert, canonical, frozenset(), shown),
        replace(lower_delays, needs=canonical),
    )


def emit(graph: Graph, request: Request) -> Program:
    """The files for the chip of the request.

    Raises CompileError (NMC436, NMC437) where the firmware cannot be built or measured.
    """
    from nmc.backends.spinnaker2.calibrate import measure
    from nmc.backends.spinnaker2.machine import tick_cycles
    from nmc.backends.spinnaker2.replay import record

    chip = chip_named(request.settings["chip"], dead=request.settings["dead"])
    build.check()
    network = lower(graph, mapping_of(graph, chip=chip))
    kinds = list({pe.kind.name: pe.kind for pe in network.pes}.values())
    elves = build.build(kinds, sram_bytes=chip.sram_bytes)
    images = files.images_of(network)
    costs = {kind.name: measure(kind, elves[kind.name]) for kind in kinds}
    built = files.Built(elves, images, costs, 0)
    found = files.write(network, built)
    program = files.read(found)
    built = replace(built, tick_cycles=tick_cycles(program))
    found |= record(program)
    found[files.NETWORK_FILE] = files.describe(network, built)
    fullest = max((each.used for each in images), default=0)
    assert fullest <= chip.sram_bytes, "the mapping has let a PE overflow"
    resources = (
        Resource("PEs", float(len(network.pes)), float(len(chip.alive))),
        Resource("bytes of the fullest PE", float(fullest), float(chip.sram_bytes)),
        Resource(
            "routing entries of the fullest chip",
            float(max((table.entries for table in network.tables), default=0)),
            float(chip.router_entries),
        ),
    )
    return Program(found, resources)


def simulate(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """The machine on an artifact."""
    from nmc.backends.spinnaker2 import machine

    return machine.simulate(artifact.files, inputs, record)


def ready() -> str | None:
    """What the witness lacks here."""
    from nmc.backends.spinnaker2 import emulator

    return emulator.missing()


def witness(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """Every PE's ELF in the emulator."""
    from nmc.backends.spinnaker2 import emulator

    return emulator.simulate(artifact.files, inputs, record)


SPINNAKER2 = Backend(
    target=SPEC,
    settings=SETTINGS,
    pipeline=pipeline,
    emit=emit,
    simulate=simulate,
    witnesses=(Witness("unicorn", ready, witness, patience=PATIENCE),),
)
