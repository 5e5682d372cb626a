"""What a planned simulation is made of: streams of signals, stages that compute them, memory they live in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.tensor import FixedPoint

Array = npt.NDArray[Any]
"""Any: states, weights and signals of every dtype."""

Step = Callable[[int, int, int, int], None]
"""Runs samples first .. first + samples through the steps t0 .. t1 - 1."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A signal over time of `size` elements: rows of `dtype`, or events where `dtype` is None.

    `number` is the format of integers (of spikes: 0 and 1), None of reals.
    """

    name: str
    size: int
    dtype: np.dtype[Any] | None
    number: FixedPoint | None


@dataclass(frozen=True, slots=True)
class View:
    """A stream read `delay` steps back."""

    stream: Stream
    delay: int

    def later(self, steps: int) -> View:
        """The same signal, so many steps later."""
        return View(self.stream, self.delay + steps)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """An array (samples, size) that a stage keeps from step to step, and its row at the start of a sample."""

    initial: Array


@dataclass(frozen=True, slots=True)
class Source:
    """The array that the caller gave for an input."""

    name: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The array (steps, samples, size) of a recording; without steps if nobody asked for it."""

    name: str
    size: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Total:
    """The count of a population's spikes."""

    node: str


@dataclass(frozen=True, slots=True)
class Unused:
    """The ring of a signal that a kernel of this kind does not write."""

    dtype: np.dtype[Any] | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One kernel and its arguments, in order; a `View`, `Stream`, `State`, … stands for its arrays.

    `reach` is how many steps ahead of the present it writes, `depth` how many steps further back than their
    delays it reads its views.
    """

    node: str
    kernel: Callable[..., None]
    arguments: tuple[object, ...]
    reach: int = 0
    depth: int = 0

    def views(self) -> list[View]:
        """What it reads."""
        return [argument for argument in self.arguments if isinstance(argument, View)]

    def streams(self) -> list[Stream]:
        """What it writes."""
        return [argument for argument in self.arguments if isinstance(argument, Stream)]


@dataclass(frozen=True, slots=True)
class Arena:
    """The arrays of one worker, for up to `samples` samples at a time."""

    samples: int
    rings: Mapping[str, tuple[Array, ...]]
    states: tuple[tuple[Array, Array], ...]
    totals: Mapping[str, Array]
    steps: tuple[tuple[Step, ...], ...]
    """One function a stage, grouped as the components are."""
    used_before: tuple[Array, ...] = field(default=())
    """Ring arrays that are read before they are written, and hence begin as zeros."""

    def begin(self) -> None:
        """Puts every state and every ring to where a sample starts."""
        for array in self.used_before:
            array[...] = 0
        for state, initial in self.states:
            state[...] = initial


def make_arena(
    components: tuple[tuple[Stage, ...], ...],
    *,
    samples: int,
    chunk: int,
    sources: Mapping[str, Array],
    kept: Mapping[str, Array],
) -> Arena:
    """Memory for `samples` samples and `chunk` steps at a time, and every stage bound to it."""
    stages = [stage for component in components for stage in component]
    back, ahead = extent(stages)
    rings = {
        stream.name: _ring(
            stream, samples=samples, slots=chunk + back.get(stream.name, 0) + ahead[stream.name]
        )
        for stage in stages
        for stream in stage.streams()
    }
    before = [name for name in rings if back.get(name, 0) + ahead[name] > 0]
    states: list[tuple[Array, Array]] = []
    totals: dict[str, Array] = {}

    def arrays(argument: object) -> tuple[object, ...]:
        match argument:
            case View(stream, delay):
                return (*rings[stream.name], delay)
            case Stream(name):
                return rings[name]
            case State(initial):
                state = np.empty((samples, initial.shape[0]), initial.dtype)
                states.append((state, initial))
                return (state,)
            case Source(name):
                return (sources[name],)
            case Kept(name, size, dtype):
                return (kept[name] if name in kept else np.empty((0, 1, size), dtype),)
            case Total(node):
                return (totals.setdefault(node, np.zeros(1, np.int64)),)
            case Unused(dtype):
                return _ring(Stream("", 1, dtype, None), samples=samples, slots=1)
            case _:
                return (argument,)

    bound = tuple(
        tuple(partial(s.kernel, *(array for a in s.arguments for array in arrays(a))) for s in component)
        for component in components
    )
    # Of events only the counts matter: what lies behind a count is never read.
    zeroed = tuple(rings[name][0] for name in before)
    return Arena(samples, rings, tuple(states), totals, bound, zeroed)


def extent(stages: list[Stage]) -> tuple[dict[str, int], dict[str, int]]:
    """By stream: how many steps back it is read at most, and how many steps ahead it is written."""
    back: dict[str, int] = {}
    ahead: dict[str, int] = {}
    for stage in stages:
        for view in stage.views():
            back[view.stream.name] = max(back.get(view.stream.name, 0), view.delay + stage.depth)
        for stream in stage.streams():
            ahead[stream.name] = stage.reach
    return back, ahead


def block_of(component: tuple[Stage, ...]) -> int | None:
    """How many steps the stages may run at once, one stage after the other; None if nothing loops.

    What a stage reads of a later stage, or of itself, must be older than the block.
    """
    written = {stream.name: index for index, stage in enumerate(component) for stream in stage.streams()}
    loops = [
        view.delay
        for index, stage in enumerate(component)
        for view in stage.views()
        if written.get(view.stream.name, -1) >= index
    ]
    return min(loops, default=None)


def _ring(stream: Stream, *, samples: int, slots: int) -> tuple[Array, ...]:
    if stream.dtype is not None:
        return (np.empty((samples, slots, stream.size), stream.dtype),)
    room = stream.size + 1  # `compact` writes one place behind the last event
    return np.zeros((samples, slots), np.int64), np.empty((samples, slots, room), np.int32)
