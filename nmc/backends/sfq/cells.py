"""The cells of a superconducting library as transition tables, read from a file that a person can read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nmc.diagnostics import CompileError, Diagnostic, Loc, error

FEMTO = 1000
"""Times are whole femtoseconds: so many in a picosecond."""

_TRANSITION = re.compile(r"(\d+) +(\w+) *-> *(\d+)((?: +\w+@[\d.]+)*)")
_FIELDS = ("title", "inputs", "outputs", "jj", "bias", "critical", "transitions", "windows", "source")


@dataclass(frozen=True, slots=True)
class Transition:
    """In `state`, a pulse at `input` leads to state `after` and gives pulses: (output, delay in fs)."""

    state: int
    input: str
    after: int
    pulses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """No pulse may come at input `second` sooner than `time` fs after one at input `first`."""

    first: str
    second: str
    time: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: ports, junctions, bias current (µA), sum of critical currents (µA), behaviour, windows.

    An input that `transitions` does not list for a state leaves the state and gives nothing.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    jj: int
    bias: float
    critical: float
    transitions: tuple[Transition, ...]
    windows: tuple[Window, ...]
    source: str

    @property
    def ports(self) -> tuple[str, ...]:
        """Inputs, then outputs: the order in which an instance lists its nets."""
        return self.inputs + self.outputs

    @property
    def states(self) -> int:
        """How many states it has."""
        return 1 + max((max(each.state, each.after) for each in self.transitions), default=0)

    @property
    def storage(self) -> bool:
        """Whether it remembers: its outputs then wait for an input of their own."""
        return self.states > 1

    def delay(self, source: str, output: str) -> int | None:
        """The longest delay from an input to an output, fs; None if that input never makes a pulse there."""
        found = [
            t for each in self.transitions if each.input == source for o, t in each.pulses if o == output
        ]
        return max(found, default=None)

    def window(self, first: str, second: str) -> int:
        """The time that must pass between two inputs, fs."""
        return max((w.time for w in self.windows if (w.first, w.second) == (first, second)), default=0)

    @property
    def apart(self) -> int:
        """The longest of its windows, fs."""
        return max((w.time for w in self.windows), default=0)


Library = Mapping[str, Cell]
"""Cells by name."""


@cache
def standard() -> Library:
    """The cells of `cells.toml`."""
    text = resources.files("nmc.backends.sfq").joinpath("cells.toml").read_text(encoding="utf-8")
    return MappingProxyType(parse(text, "cells.toml"))


def load(path: str) -> Library:
    """The standard cells with those of the user's file; just the standard ones for an empty path.

    Raises CompileError (NMC484) for a file that is no table of cells or lacks what the compiler needs of a cell.
    """
    if not path:
        return standard()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failed:
        raise CompileError(
            error("NMC484", f"the file of cells cannot be read: {failed}", Loc(path))
        ) from failed
    library = {**standard(), **parse(text, path)}
    findings = [_other_ports(cell, library[name], path) for name, cell in standard().items()]
    wrong = [finding for finding in findings if finding is not None]
    if wrong:
        raise CompileError(*wrong)
    return MappingProxyType(library)


def _other_ports(expected: Cell, got: Cell, path: str) -> Diagnostic | None:
    """What is wrong with a cell that stands for a standard one: the netlist counts on ports and behaviour."""
    behaviour = [
        {(t.state, t.input, t.after, tuple(output for output, _ in t.pulses)) for t in cell.transitions}
        for cell in (expected, got)
    ]
    if (expected.inputs, expected.outputs) == (got.inputs, got.outputs) and behaviour[0] == behaviour[1]:
        return None
    message = (
        f"`{got.name}` has other ports or transitions than the cell that the compiler knows by this name"
    )
    shown = ", ".join(f"{t.state} {t.input} -> {t.after}" for t in expected.transitions)
    ports = f"inputs {', '.join(expected.inputs)}; outputs {', '.join(expected.outputs)}"
    return error(
        "NMC484", message, Loc(path, got.name), help=f"it has {ports}; {shown}: only figures may differ"
    )


def parse(text: str, place: str) -> dict[str, Cell]:
    """The cells of a TOML text; `place` names it in findings. Raises CompileError (NMC484) with all that is wrong."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as failed:
        raise CompileError(error("NMC484", f"the file of cells is no TOML: {failed}", Loc(place))) from failed
    cells: dict[str, Cell] = {}
    findings: list[Diagnostic] = []
    for name, table in tables.items():
        try:
            cells[name] = _cell(name, table)
        except _WrongError as wrong:
            findings.append(error("NMC484", str(wrong), Loc(place, name)))
    if findings:
        raise CompileError(*findings)
    return cells


class _WrongError(ValueError):
    """What is wrong with one table."""


def _cell(name: str, table: Any) -> Cell:
    """One table. Any: whatever a TOML file holds; every field is checked here."""
    if not isinstance(table, dict) or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise _WrongError(f"`{name}` is no table with the name of a cell")
    missing = [field for field in _FIELDS if field not in table]
    unknown = [str(field) for field in table if field not in _FIELDS]
    if missing or unknown:
        said = [f"lacks `{field}`" for field in missing] + [
            f"has an unknown field `{field}`" for field in unknown
        ]
        raise _WrongError(f"`{name}` {', '.join(said)}")
    inputs, outputs = _names(table, "inputs"), _names(table, "outputs")
    if len({*inputs, *outputs}) != len(inputs) + len(outputs) or not inputs:
        raise _WrongError(f"`{name}` needs an input, and each port once")
    transitions = tuple(_transition(text, inputs, outputs) for text in _texts(table, "transitions"))
    if len({(t.state, t.input) for t in transitions}) != len(transitions):
        raise _WrongError(f"`{name}` lists an input twice for one state")
    return Cell(
        name,
        _text(table, "title"),
        inputs,
        outputs,
        int(_number(table, "jj")),
        _number(table, "bias"),
        _number(table, "critical"),
        transitions,
        tuple(_window(text, inputs) for text in _texts(table, "windows")),
        _text(table, "source"),
    )


def _text(table: Mapping[str, Any], field: str) -> str:
    if not isinstance(table[field], str):
        raise _WrongError(f"`{field}` is no text")
    return table[field]


def _texts(table: Mapping[str, Any], field: str) -> list[str]:
    value: Any = table[field]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _WrongError(f"`{field}` is no list of texts")
    return value


def _names(table: Mapping[str, Any], field: str) -> tuple[str, ...]:
    names = _texts(table, field)
    for each in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", each):
            raise _WrongError(f"`{each}` is no name of a port")
    return tuple(names)


def _number(table: Mapping[str, Any], field: str) -> float:
    value: Any = table[field]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise _WrongError(f"`{field}` is no number from 0 on")
    if field == "jj" and value != int(value):
        raise _WrongError("`jj` is no whole number")
    return float(value)


def _transition(text: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Transition:
    match = _TRANSITION.fullmatch(text.strip())
    if match is None:
        raise _WrongError(f"`{text}` is no transition such as `0 a -> 1` or `1 clk -> 0 q@6.3`")
    state, source, after, rest = match.groups()
    pulses = [pulse.split("@") for pulse in rest.split()]
    for port, known in ((source, inputs), *((output, outputs) for output, _ in pulses)):
        if port not in known:
            raise _WrongError(f"`{text}` names `{port}`, which is no such port")
    timed = tuple((output, _time(delay)) for output, delay in pulses)
    if any(delay <= 0 for _, delay in timed):
        raise _WrongError(f"`{text}` has a delay of nothing")
    return Transition(int(state), source, int(after), timed)


def _window(text: str, inputs: tuple[str, ...]) -> Window:
    parts = text.split()
    if len(parts) != 3 or parts[0] not in inputs or parts[1] not in inputs:
        raise _WrongError(f"`{text}` is no window such as `clk a 0.4` of this cell's inputs")
    return Window(parts[0], parts[1], _time(parts[2]))


def _time(text: str) -> int:
    """Picoseconds as whole femtoseconds."""
    try:
        value = float(text) * FEMTO
    except ValueError:
        raise _WrongError(f"`{text}` is no time in ps") from None
    if not 0 <= value < 1e12 or abs(value - round(value)) > 1e-6:
        raise _WrongError(f"`{text}` is no time in ps with at most three decimals")
    return round(value)
