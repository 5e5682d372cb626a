"""Loihi as a backend: its pipeline, its emitter, its machine and its two witnesses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from nmc.artifact import Artifact
from nmc.backends import quantization
from nmc.backends.backend import Backend, Program, Request, Setting, Witness
from nmc.backends.loihi import emit as emitter
from nmc.backends.loihi import files, lava, sanafe
from nmc.backends.loihi.program import Network
from nmc.backends.loihi.spec import LOIHI as SPEC
from nmc.backends.loihi.spec import SANAFE
from nmc.ir.graph import Graph
from nmc.passes.choose_neurons import Unsupported
from nmc.passes.pipeline import Pass
from nmc.passes.standard import to_populations, to_steps, to_target
from nmc.sim.trace import Energy, SimResult

Array = npt.NDArray[np.generic]

# The machine is imported where it runs: the compiler for its kernels costs a fifth of a second at the start.

ENERGY_TOLERANCE, TIME_TOLERANCE = 0.05, 0.10
"""How far the machine may be from SANA-FE, as parts of one."""

SETTINGS = (
    Setting(
        "weight_bits",
        "8",
        tuple(str(bits) for bits in SPEC.weights.bits),
        "bits of a weight, sign included",
        relief=tuple(str(bits) for bits in reversed(SPEC.weights.bits) if 2 <= bits < 8),
    ),
    Setting(
        "message_bits",
        "8",
        tuple(str(bits) for bits in range(1, SPEC.message_bits + 1)),
        "bits of a graded input; spikes have none",
    ),
    Setting(
        "neurons",
        "custom",
        tuple(each.value for each in Unsupported),
        "populations that Lava's LIF cannot be: programmed exactly, the nearest LIF, or refused",
    ),
    Setting(
        "bias", "membrane", ("membrane", "source"), "a bias in the membrane, or spikes of a constant neuron"
    ),
    *quantization.SETTINGS,
)


def pipeline(request: Request) -> tuple[Pass, ...]:
    """The passes for a request with complete settings."""
    settings = request.settings
    return (
        *to_steps(dt=request.dt, preset=request.preset, reset=request.reset),
        *to_populations(bias_source=settings["bias"] == "source", stretch=request.stretch),
        *to_target(
            SPEC,
            unsupported=Unsupported(settings["neurons"]),
            weight_bits=int(settings["weight_bits"]),
            message_bits=int(settings["message_bits"]),
            calibration=request.calibration,
            recipe=quantization.recipe(settings),
            budget=request.budget,
        ),
    )


def emit(graph: Graph, request: Request) -> Program:
    """The program; it is the same for every request that makes this graph."""
    del request
    return emitter.emit(graph)


def simulate(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """The machine on an artifact."""
    from nmc.backends.loihi import machine

    return machine.simulate(artifact.files, inputs, record)


def run_lava(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """Lava on an artifact: its own script in its own process."""
    from nmc.backends.loihi import machine

    network = files.program(artifact.files)
    machine.checked(network, inputs)
    given = {source.name: np.asarray(inputs[source.name]) for source in network.sources}
    (recording,) = lava.run([lava.Job(artifact.files, given)])
    return lava_result(network, recording, record)


def lava_result(network: Network, recording: lava.Recording, record: tuple[str, ...]) -> SimResult:
    """What Lava recorded, in the names and types of every other engine."""
    from nmc.backends.loihi import machine

    trace: dict[str, Array] = {}
    for name in record:
        population = network.population(name)
        trace[f"{name}.v"] = recording[f"{name}.v"].astype(np.int64)
        trace[f"{name}.i"] = recording[f"{name}.u"].astype(np.int64)
        if population.rule.fire:
            trace[f"{name}.spikes"] = machine.typed(recording[f"{name}.spikes"], graded=population.graded)
    outputs = {
        output.name: machine.typed(recording[output.name], graded=network.graded(output.of))
        for output in network.outputs
    }
    spikes = {p.name: int(recording[f"{p.name}.spikes"].sum()) for p in network.populations if p.rule.fire}
    return SimResult("lava", outputs, trace, spikes)


def run_sanafe(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """SANA-FE on an artifact and the spikes that the machine gives.

    Raises RuntimeError if its time or energy is not the machine's within the tolerances.
    """
    from nmc.backends.loihi import machine

    network = files.program(artifact.files)
    ran = machine.run(network, inputs, record=record)
    (estimate,) = sanafe.estimate([(network, ran.sent)])
    pairs = (
        ("energy", float(ran.joules.sum()), float(estimate.joules.sum()), ENERGY_TOLERANCE, "J"),
        ("time", float(ran.seconds.sum()), float(estimate.seconds.sum()), TIME_TOLERANCE, "s"),
    )
    for what, ours, theirs, tolerance, unit in pairs:
        if abs(ours - theirs) > tolerance * theirs:
            raise RuntimeError(
                f"the machine's {what} is {ours:.4g} {unit}, SANA-FE's {theirs:.4g} {unit}: more than "
                f"{tolerance:.0%} apart"
            )
    return SimResult(
        "sanafe",
        machine.outputs(network, ran.sent),
        seconds=float(estimate.seconds.sum()),
        energy=Energy(float(estimate.joules.sum()), f"{SANAFE}, on the machine's spikes"),
        counts={
            "messages": float(estimate.messages.sum()),
            "synaptic_events": float(estimate.synaptic_events.sum()),
        },
    )


def install_lava(progress: Callable[[str], None]) -> None:
    """Make Lava's environment."""
    lava.install(progress)


LOIHI = Backend(
    target=SPEC,
    settings=SETTINGS,
    pipeline=pipeline,
    emit=emit,
    simulate=simulate,
    witnesses=(
        Witness("lava", lava.ready, run_lava, install_lava),
        Witness("sanafe", sanafe.ready, run_sanafe, patience=300_000),
    ),
)
