"""One point of a sweep: a model compiled with certain settings, run for some steps, and what that costs and gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

import nmc
from nmc import driver
from nmc.artifact import npy_bytes, sha256
from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError
from nmc.driver import Compiled, Model, Network
from nmc.engines import GOLDEN, MACHINE
from nmc.ir.graph import Graph
from nmc.ir.ops import Conv, Linear, Neuron, Sparse, output_shape
from nmc.sim.arrays import Decode, accuracy, decode, map_inputs
from nmc.sim.trace import SimResult

Array = npt.NDArray[Any]
"""Any: inputs and labels of every numeric dtype."""

METRICS: Mapping[str, str] = {
    "accuracy": "share of samples that are decoded as labelled, or as the model in reals decodes them",
    "steps": "steps of the model that ran",
    "bits_of_weights": "bits of all weights as they are stored, shared ones once",
    "bits_of_states": "bits of all membranes and synaptic currents",
    "spikes": "spikes of all populations a sample",
    "cycles": "cycles of the chip a sample",
    "seconds": "time on the chip a sample",
    "joules": "modelled energy a sample",
}
"""What a point may measure. More accuracy is better, less of everything else."""


@dataclass(frozen=True, slots=True)
class Point:
    """Settings of the target, and the steps that each sample runs (None: as many as the inputs have)."""

    settings: Mapping[str, str]
    steps: int | None

    def __str__(self) -> str:
        chosen = [f"{name}={value}" for name, value in self.settings.items()]
        return ", ".join([*chosen, *([] if self.steps is None else [f"{self.steps} steps"])]) or "defaults"


@dataclass(frozen=True, slots=True)
class Study:
    """What every point of a sweep has in common.

    `inputs` are arrays (steps, samples, *shape) by the name of an input, in the model's units; `labels` (samples,),
    which are the decoded answers of the model in reals where nobody gave any. `timed` samples run on the machine, which
    tells cycles and energy; accuracy is measured on all samples, by golden.
    """

    model: Model
    target: str
    request: Request
    inputs: Mapping[str, Array]
    labels: Array
    decode: Decode
    timed: int

    @property
    def digest(self) -> str:
        """What results depend on beside the point: equal digests, equal results."""
        backend = registry.load(self.target)
        settled = {
            "nmc": nmc.__version__,
            "model": self.model.digest,
            "target": [self.target, sha256(repr(backend.target).encode())],
            "request": [self.request.dt, self.request.preset, self.request.reset],
            "settings": dict(self.request.settings),
            "calibration": _digests(self.request.calibration),
            "inputs": _digests(self.inputs),
            "labels": sha256(npy_bytes(self.labels)),
            "decode": self.decode.value,
            "timed": self.timed,
        }
        return sha256(json.dumps(settled, sort_keys=True).encode())


def _digests(arrays: Mapping[str, Array]) -> dict[str, str]:
    return {name: sha256(npy_bytes(array)) for name, array in sorted(arrays.items())}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a point measured, by the names of `METRICS` and of the target's resources; or why it did not compile."""

    point: Point
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    resources: Mapping[str, float] = field(default_factory=dict[str, float])
    refused: str = ""

    def to_document(self) -> dict[str, object]:
        """As JSON knows it."""
        return asdict(self)


def outcome_from(document: Mapping[str, Any]) -> Outcome:
    """The outcome that `to_document` wrote. Raises KeyError or TypeError for any other document."""
    point = Point(dict(document["point"]["settings"]), document["point"]["steps"])
    metrics, resources = dict(document["metrics"]), dict(document["resources"])
    return Outcome(point, metrics, resources, str(document["refused"]))


def grid(varied: Mapping[str, Iterable[str]], steps: Iterable[int | None]) -> tuple[Point, ...]:
    """Every combination of values of settings and numbers of steps, the last setting varied fastest but steps."""
    names = tuple(varied)
    combinations = product(*(tuple(values) for values in varied.values()))
    runs = tuple(steps)
    return tuple(
        Point(dict(zip(names, values, strict=True)), each) for values in combinations for each in runs
    )


def key(study_digest: str, point: Point) -> str:
    """The name under which a point's outcome is kept."""
    text = json.dumps([study_digest, sorted(point.settings.items()), point.steps])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def answers_in_reals(model: Model, request: Request, inputs: Mapping[str, Array], how: Decode) -> Array:
    """What the model in reals answers, decoded: the labels where nobody gave any."""
    graph = in_steps(model, request)
    result = driver.simulate(Network(graph), map_inputs(graph, inputs))
    return decode(_first(result), how)


def in_steps(model: Model, request: Request) -> Graph:
    """The model in steps, in reals."""
    from nmc.passes.discretize import discretize

    return discretize(model.graph, dt=request.dt, preset=request.preset, reset=request.reset)


def measure(study: Study, point: Point) -> Outcome:
    """Compile and run one point. A refusal of the compiler is an outcome too."""
    request = replace(study.request, settings={**study.request.settings, **point.settings})
    try:
        done = driver.compile(study.model, target=study.target, request=request)
    except CompileError as refused:
        return Outcome(point, refused=str(refused.findings[0].message))
    inputs = map_inputs(done.graph, study.inputs)
    network = Network(done.graph, done.artifact)
    ran = driver.simulate(network, inputs, engine=GOLDEN, steps=point.steps)
    some = {name: array[:, : study.timed] for name, array in inputs.items()}
    timed = driver.simulate(network, some, engine=MACHINE, steps=point.steps)
    return Outcome(
        point,
        {
            "accuracy": accuracy(decode(_first(ran), study.decode), study.labels),
            "steps": float(ran.steps),
            "spikes": sum(ran.spikes.values()) / ran.samples,
            **_bits(done),
            **_costs(timed),
        },
        {each.name: each.used for each in done.resources},
    )


def _first(result: SimResult) -> Array:
    return next(iter(result.outputs.values()))


def _bits(done: Compiled) -> dict[str, float]:
    weights = states = 0
    for node in done.graph.nodes:
        match op := node.op:
            case Linear() | Sparse() | Conv() if op.weight.number is not None:
                weights += int(np.prod(op.weight.shape)) * op.weight.number.bits
            case Neuron() if op.arithmetic is not None:
                width = op.arithmetic.v_bits + (op.arithmetic.i_bits if op.synapse is not None else 0)
                states += prod(output_shape(op)) * width
            case _:
                pass
    return {"bits_of_weights": float(weights), "bits_of_states": float(states)}


def _costs(timed: SimResult) -> dict[str, float]:
    found = {
        "cycles": timed.cycles,
        "seconds": timed.seconds,
        "joules": None if timed.energy is None else timed.energy.joules,
    }
    return {name: total / timed.samples for name, total in found.items() if total is not None}
