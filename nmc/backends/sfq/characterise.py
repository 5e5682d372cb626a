"""What a cell's circuit does, measured in ngspice: its transitions, delays, windows and bias margins."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nmc.backends.sfq import ngspice
from nmc.backends.sfq.cells import FEMTO, Cell
from nmc.backends.sfq.circuit import Circuit
from nmc.backends.sfq.decks import Deck
from nmc.backends.sfq.netlist import Instance

FIRST = 40.0
"""Picoseconds until the first pulse of a bench: bias currents have risen and settled."""

GAP = 40.0
"""Picoseconds between pulses of a bench: each cell is quiet again."""

SHIFT = 0.5
"""Picoseconds by which a pulse that follows another after a window may differ from the cell's delay."""

STEP = 0.5
"""Picoseconds of ngspice's longest step: delays of a chain of JTLs differ by less than 0.01 ps from those at 0.1."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A pulse at an input in a state, and what came out until the next: (output, delay in ps)."""

    state: int
    input: str
    pulses: tuple[tuple[str, float], ...]


def following(cell: Cell, state: int, source: str) -> tuple[int, tuple[tuple[str, int], ...]]:
    """The state after an input, and the pulses it gives: (output, delay in fs)."""
    for each in cell.transitions:
        if (each.state, each.input) == (state, source):
            return each.after, each.pulses
    return state, ()


def path(cell: Cell, start: int, goals: frozenset[int]) -> tuple[str, ...]:
    """The fewest inputs that lead from a state to one of the goals."""
    queue: deque[tuple[int, tuple[str, ...]]] = deque([(start, ())])
    seen = {start}
    while queue:
        state, inputs = queue.popleft()
        if state in goals:
            return inputs
        for source in cell.inputs:
            after, _ = following(cell, state, source)
            if after not in seen:
                seen.add(after)
                queue.append((after, (*inputs, source)))
    raise ValueError(f"`{cell.name}` never comes from state {start} to {sorted(goals)}")


def walk(cell: Cell, start: int = 0) -> tuple[str, ...]:
    """Inputs that take a cell, from a state on, through every input in every state that it can reach."""
    left = {(state, source) for state in _reachable(cell, start) for source in cell.inputs}
    state = start
    steps: list[str] = []
    while left:
        way = path(cell, state, frozenset(s for s, _ in left))
        for source in way:
            left.discard((state, source))
            state = following(cell, state, source)[0]
        steps += way
        here = [source for source in cell.inputs if (state, source) in left]
        if here:
            left.discard((state, here[0]))
            steps.append(here[0])
            state = following(cell, state, here[0])[0]
    return tuple(steps)


def _reachable(cell: Cell, start: int) -> set[int]:
    found, stack = {start}, [start]
    while stack:
        state = stack.pop()
        for source in cell.inputs:
            after, _ = following(cell, state, source)
            if after not in found:
                found.add(after)
                stack.append(after)
    return found


def bench(
    cell: Cell,
    circuits: Mapping[str, Circuit],
    inputs: Sequence[tuple[float, str]],
    *,
    bias: float = 1.0,
    noise: bool = False,
    seed: int = 1,
) -> Deck:
    """A cell behind two JTLs at each input and before a splitter at each output; pulses are (ps, input)."""
    instances = [Instance("DUT", cell.name, cell.ports)]
    for port in cell.inputs:
        instances += [
            Instance(f"A_{port}", "JTL", (f"from_{port}", f"to_{port}")),
            Instance(f"B_{port}", "JTL", (f"to_{port}", port)),
        ]
    for port in cell.outputs:
        instances += [
            Instance(f"C_{port}", "SPLIT", (port, f"on_{port}", f"off_{port}")),
        ]
    pulses = {f"from_{port}": tuple(time for time, each in inputs if each == port) for port in cell.inputs}
    ends = tuple(f"{end}_{port}" for port in cell.outputs for end in ("on", "off"))
    duration = max((time for time, _ in inputs), default=0.0) + GAP + 20
    return Deck(
        tuple(instances), circuits, pulses, ends, cell.ports, duration, bias=bias, noise=noise, seed=seed
    )


def spaced(inputs: Sequence[str], gap: float = GAP) -> tuple[tuple[float, str], ...]:
    """Inputs one after another, `gap` ps apart."""
    return tuple((FIRST + gap * k, each) for k, each in enumerate(inputs))


def observe(cell: Cell, deck: Deck, inputs: Sequence[tuple[float, str]]) -> tuple[Seen, ...]:
    """What a bench does, pulse by pulse; states are those that the table expects.

    Raises RuntimeError if an input did not get its pulses: then the cell pushes back, or a driver failed.
    """
    got = ngspice.run(deck, step=STEP)
    taken = dict.fromkeys(cell.inputs, 0)
    arrivals: list[tuple[float, str]] = []
    for _, source in inputs:
        if taken[source] >= len(got[source]):
            raise RuntimeError(f"`{cell.name}` got {len(got[source])} pulses at `{source}`, not more")
        arrivals.append((got[source][taken[source]], source))
        taken[source] += 1
    for source in cell.inputs:
        if len(got[source]) != taken[source]:
            raise RuntimeError(
                f"`{cell.name}` saw {len(got[source])} pulses at `{source}`, {taken[source]} were sent"
            )
    outputs = sorted((time, port) for port in cell.outputs for time in got[port])
    before = [time for time, _ in outputs if time < arrivals[0][0]]
    if before:
        raise RuntimeError(f"`{cell.name}` gave a pulse at {before[0]:.1f} ps, before any came")
    found: list[Seen] = []
    state = 0
    for (time, source), end in zip(arrivals, [*(t for t, _ in arrivals[1:]), deck.duration], strict=True):
        after, expected = following(cell, state, source)
        # What an input gives may come after the next input: each pulse is given to the first input that expects it.
        pulses: list[tuple[str, float]] = []
        for port, _ in expected:
            late = next((at for at, (t, p) in enumerate(outputs) if p == port and t >= time), None)
            if late is not None:
                pulses.append((port, outputs.pop(late)[0] - time))
        extra = [(p, t - time) for t, p in outputs if time <= t < end and not expected]
        outputs = [each for each in outputs if (each[1], each[0] - time) not in extra]
        found.append(Seen(state, source, (*pulses, *extra)))
        state = after
    if outputs:
        time, port = outputs[0]
        raise RuntimeError(f"`{cell.name}` gave a pulse too many at `{port}`, at {time:.1f} ps")
    return tuple(found)


def faults(cell: Cell, seen: Sequence[Seen], *, within: float | None = None) -> list[str]:
    """Where a circuit is not its table: pulses missing or too many, or delays that differ by more than `within` ps."""
    wrong: list[str] = []
    for each in seen:
        _, expected = following(cell, each.state, each.input)
        place = f"`{cell.name}` in state {each.state} at `{each.input}`"
        if sorted(p for p, _ in each.pulses) != sorted(p for p, _ in expected):
            wrong.append(f"{place} gave {[p for p, _ in each.pulses]}, not {[p for p, _ in expected]}")
        elif within is not None:
            delays = dict(expected)
            wrong += [
                f"{place} took {delay:.2f} ps to `{port}`, not {delays[port] / FEMTO:.2f}"
                for port, delay in each.pulses
                if abs(delay - delays[port] / FEMTO) > within
            ]
    return wrong


def works(
    cell: Cell, circuits: Mapping[str, Circuit], inputs: Sequence[tuple[float, str]], *, bias: float = 1.0
) -> bool:
    """Whether a cell's circuit does what its table says, at any speed, for these inputs and this bias."""
    try:
        return not faults(cell, observe(cell, bench(cell, circuits, inputs, bias=bias), inputs))
    except RuntimeError:
        return False


def delays(cell: Cell, circuits: Mapping[str, Circuit]) -> dict[tuple[int, str, str], float]:
    """The delay of each (state, input, output), ps: the mean over a walk through all transitions, taken twice."""
    steps = walk(cell)
    inputs = spaced((*steps, *path(cell, _end(cell, 0, steps), frozenset({0})), *steps))
    found: dict[tuple[int, str, str], list[float]] = {}
    for each in observe(cell, bench(cell, circuits, inputs), inputs):
        for port, delay in each.pulses:
            found.setdefault((each.state, each.input, port), []).append(delay)
    return {key: sum(several) / len(several) for key, several in found.items()}


def _end(cell: Cell, state: int, inputs: Sequence[str]) -> int:
    for source in inputs:
        state = following(cell, state, source)[0]
    return state


def margins(
    cell: Cell, circuits: Mapping[str, Circuit], *, step: float = 0.05, limit: float = 0.4
) -> tuple[float, float]:
    """How far all bias currents may fall and rise together, as fractions, until a walk goes wrong."""
    inputs = spaced(walk(cell))
    found: list[float] = []
    for sign in (-1, 1):
        count = 0
        while (count + 1) * step <= limit + 1e-9 and works(
            cell, circuits, inputs, bias=1 + sign * (count + 1) * step
        ):
            count += 1
        found.append(count * step)
    return found[0], found[1]


def window(cell: Cell, circuits: Mapping[str, Circuit], first: str, second: str) -> float:
    """The least time, ps to 0.1, after a pulse at `first` from which on one at `second` does what the table says.

    It holds in every state, for pulses within SHIFT of their delays, and for all that follows.
    """
    worst = 0.0
    for state in sorted(_reachable(cell, 0)):
        before = path(cell, 0, frozenset({state}))
        after = walk(cell, _end(cell, state, (first, second)))
        low, high = 0.0, GAP
        while high - low > 0.1:
            middle = (low + high) / 2
            if _holds(cell, circuits, (*before, first), middle, (second, *after)):
                high = middle
            else:
                low = middle
        worst = max(worst, high)
    return worst


def _holds(
    cell: Cell, circuits: Mapping[str, Circuit], before: Sequence[str], apart: float, after: Sequence[str]
) -> bool:
    head = spaced(before)
    start = head[-1][0] + apart
    inputs = (*head, *((start + GAP * k, each) for k, each in enumerate(after)))
    try:
        return not faults(cell, observe(cell, bench(cell, circuits, inputs), inputs), within=SHIFT)
    except RuntimeError:
        return False
