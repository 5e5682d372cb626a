"""What a backend is: one frozen value with a target, a pipeline, an emitter, a machine and witnesses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from nmc.artifact import Artifact
from nmc.ir.graph import Graph
from nmc.passes.budget import Budget
from nmc.passes.pipeline import Pass
from nmc.sim.trace import SimResult
from nmc.target import TargetSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """An option of a target, given as `--set name=value`.

    `relief` are values that may let a network fit that does not, those that change least first.
    """

    name: str
    default: str
    choices: tuple[str, ...]
    help: str
    relief: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked of a compile, beyond the model and the target.

    `calibration` holds one array (steps, samples, *shape) per graph input, or nothing. `settings` are the target's
    own, complete and validated.
    """

    dt: float | None = None
    preset: str | None = None
    reset: str | None = None
    stretch: int = 1
    """Steps of the target for a step of the model."""
    calibration: Mapping[str, Array] = field(default_factory=dict[str, Array])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    budget: Budget | None = None
    """What the network may take; None: as much as the settings ask for."""


@dataclass(frozen=True, slots=True)
class Resource:
    """How much of a limit is used; a limit of 0 is none: it is told what is taken."""

    name: str
    used: float
    limit: float


@dataclass(frozen=True, slots=True)
class Program:
    """What `emit` gives: files of the target, and what they take of the chip."""

    files: Mapping[str, bytes]
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Witness:
    """A simulator that is not ours.

    `ready` says why it cannot run here (what to install), or None. `run` takes the artifact, inputs by name
    (steps, samples, *shape) and the names of the populations whose state it shall record. Networks of more than
    `patience` synapses take it so long that it runs on them only when it is named.
    """

    name: str
    ready: Callable[[], str | None]
    run: Callable[[Artifact, Mapping[str, Array], tuple[str, ...]], SimResult]
    install: Callable[[Callable[[str], None]], None] | None = None
    patience: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What the target's own tools say of a program: by whom, what it takes, and the clock that it reaches, if it has
    one, in MHz."""

    by: str
    resources: tuple[Resource, ...]
    clock_mhz: float | None


@dataclass(frozen=True, slots=True)
class Backend:
    """A target and everything that serves it.

    `emit` takes the graph that the pipeline has made for the same request. `simulate` is the machine: it runs from
    the artifact's program files, never from the graph. `report` asks the target's own tools about an artifact, where
    there are such tools, and raises CompileError if one is not here. `pictures` are SVGs by their titles, of what only
    this target has to show.
    """

    target: TargetSpec
    settings: tuple[Setting, ...]
    pipeline: Callable[[Request], tuple[Pass, ...]]
    emit: Callable[[Graph, Request], Program]
    simulate: Callable[[Artifact, Mapping[str, Array], tuple[str, ...]], SimResult]
    witnesses: tuple[Witness, ...]
    report: Callable[[Artifact], Report] | None = None
    pictures: Callable[[Artifact], Mapping[str, str]] | None = None
