"""A small backend for tests of what a user touches: real passes, a machine that is golden on its own program file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.artifact import Artifact, npy_bytes, npy_from_bytes
from nmc.backends.backend import Backend, Program, Request, Resource, Setting, Witness
from nmc.ir import text
from nmc.ir.graph import Graph, replace_graph
from nmc.passes.choose_neurons import Unsupported
from nmc.passes.pipeline import Pass
from nmc.passes.standard import to_populations, to_steps, to_target
from nmc.sim import golden
from nmc.sim.trace import Energy, SimResult
from tests.targets import TARGET

Array = npt.NDArray[Any]

TARGET = replace(TARGET, name="toy", title="a toy for tests")
MARK = "NMC_TEST_TOY"
"""The environment variable that names the file which stands for an installed witness."""


def pipeline(request: Request) -> tuple[Pass, ...]:
    return (
        *to_steps(dt=request.dt, preset=request.preset, reset=request.reset),
        *to_populations(bias_source=False, stretch=request.stretch),
        *to_target(
            TARGET,
            unsupported=Unsupported.CUSTOM,
            weight_bits=int(request.settings["weight_bits"]),
            message_bits=8,
            calibration=request.calibration,
        ),
    )


def emit(graph: Graph, request: Request) -> Program:
    del request
    files = {"program/graph.txt": text.show(graph).encode()}
    for name, tensor in text.tensors(graph).items():
        files[f"program/{name}.npy"] = npy_bytes(tensor.data)
    cores = len({part.core for part in graph.placement})
    return Program(files, (Resource("cores", cores, 16),))


def simulate(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    tensors = {
        name.removeprefix("program/").removesuffix(".npy"): npy_from_bytes(content)
        for name, content in artifact.files.items()
        if name.startswith("program/") and name.endswith(".npy")
    }
    parsed = text.parse(artifact.files["program/graph.txt"].decode(), tensors)
    graph = replace_graph(parsed, stretch=1)  # inputs of a machine come in the target's own steps
    names = [f"{node}.{variable}" for node in record for variable in ("spikes", "v")]
    ran = golden.simulate(graph, inputs, record=names)
    return replace(
        ran, by="machine", cycles=100, seconds=2e-6, energy=Energy(3e-9, "modelled from nothing at all")
    )


def _mirror(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    return replace(simulate(artifact, inputs, record), by="mirror")


def _crooked(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    """The first trace of a membrane is off by one in step 5, sample 1, neuron 2."""
    ran = simulate(artifact, inputs, record)
    name = next(name for name in ran.trace if name.endswith(".v"))
    wrong = np.array(ran.trace[name])
    wrong[5, 1, 2] += 1
    return replace(ran, by="crooked", trace={**ran.trace, name: wrong})


def _broken(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    raise RuntimeError("the witness fell over")


def _slow(artifact: Artifact, inputs: Mapping[str, Array], record: tuple[str, ...]) -> SimResult:
    raise subprocess.TimeoutExpired("slow", 600)


def _marked() -> str | None:
    return None if Path(os.environ[MARK]).exists() else "`absent` is not installed"


def _mark(progress: Callable[[str], None]) -> None:
    progress("writing the mark")
    Path(os.environ[MARK]).write_text("here")


TOY = Backend(
    target=TARGET,
    settings=(
        Setting(
            "weight_bits",
            "8",
            tuple(map(str, range(1, 9))),
            "bits of a weight, sign included",
            relief=("6", "4", "2"),
        ),
        Setting("colour", "red", ("red", "green"), "nothing at all"),
    ),
    pipeline=pipeline,
    emit=emit,
    simulate=simulate,
    witnesses=(
        Witness("mirror", lambda: None, _mirror),
        Witness("absent", _marked, _mirror, _mark),
    ),
)

SLOW = replace(TOY, witnesses=(Witness("slow", lambda: None, _slow),))
"""The same with a witness that takes too long."""

CROOKED = replace(
    TOY, witnesses=(Witness("crooked", lambda: None, _crooked), Witness("broken", lambda: None, _broken))
)
"""The same with witnesses that are not to be trusted."""
