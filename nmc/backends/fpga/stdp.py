# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""Pair STDP on the chip: what a user asks for, its integer tables, and the rule itself.

Nearest neighbours, both ways: a spike of neuron j pairs with the last spike that came from source i, up to and with the
same step, and strengthens the weight by `a_plus * exp(-dt / tau_plus)`; a spike from i pairs with the last spike of j
in a step before and weakens it by `a_minus * exp(-dt / tau_minus)` (Bi & Poo 1998; Song, Miller & Abbott 2000; nearest
neighbours: Morrison, Diesmann & Gerstner 2008). Changes are whole units of the quantized weight, applied at the end of
a step, and a weight stays within its bounds. `rtl/nmc_stdp.sv` is the same rule.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nmc.backends.fpga.program import Design, Layer
from nmc.diagnostics import CompileError, Diagnostic, Loc, error, nearest
from nmc.ir.graph import Graph
from nmc.ir.ops import Linear
from nmc.ir.tensor import Array
from nmc.sim.compiled import part_of_kernels

LONGEST = 255
"""Steps after which spikes no longer pair: a table has a word for each in every lane."""

# ---- what is asked for ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """A connection that learns. Changes and bounds are in units of its weights, time constants in steps."""

    connection: str
    a_plus: float
    a_minus: float
    tau_plus: float
    tau_minus: float
    minimum: float = -math.inf
    maximum: float = math.inf


NEEDED = ("a_plus", "a_minus", "tau_plus", "tau_minus")
BOUNDS = ("minimum", "maximum")


def read_rules(path: str) -> tuple[Rule, ...]:
    """The rules in a TOML file, a table for each connection; none for an empty path.

    Raises CompileError (NMC460) with all that is wrong in it.
    """
    if not path:
        return ()
    place = Loc(path)
    try:
        tables = tomllib.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise CompileError(error("NMC460", f"no rules of learning: {fault}", place)) from fault
    findings: list[Diagnostic] = []
    rules: list[Rule] = []
    for name, table in tables.items():
        here = Loc(path, name)
        if not isinstance(table, dict):
            findings.append(error("NMC460", f"`{name}` is no table of a connection", here))
            continue
        numbers = {key: float(value) for key, value in table.items() if _is_number(value)}
        wrong = [key for key in table if key not in numbers or key not in NEEDED + BOUNDS]
        findings += [
            error("NMC460", f"`{key}` is no number of a rule", here, help=nearest(key, NEEDED + BOUNDS))
            for key in wrong
        ]
        findings += [error("NMC460", f"the rule has no `{key}`", here) for key in NEEDED if key not in table]
        if not wrong and all(key in numbers for key in NEEDED):
            rule = Rule(name, **numbers)
            findings += _unlawful(rule, here)
            rules.append(rule)
    if findings:
        raise CompileError(*findings)
    return tuple(rules)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unlawful(rule: Rule, place: Loc) -> list[Diagnostic]:
    findings = [
        error("NMC460", f"`{name}` is {value:g}, and must be above 0", place)
        for name, value in (("tau_plus", rule.tau_plus), ("tau_minus", rule.tau_minus))
        if not value > 0
    ]
    findings += [
        error("NMC460", f"`{name}` is {value:g}, and must not be below 0", place)
        for name, value in (("a_plus", rule.a_plus), ("a_minus", rule.a_minus))
        if not 0 <= value < math.inf
    ]
    if not rule.minimum < rule.maximum:
        findings.append(error("NMC460", f"`minimum` {rule.minimum:g} is not below {rule.maximum:g}", place))
    return findings


# ---- its integers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plasticity:
    """A rule in units of the quantized weights: changes by how many steps ago, the last entries 0; bounds."""

    potentiation: tuple[int, ...]
    depression: tuple[int, ...]
    minimum: int
    maximum: int

    @property
    def window(self) -> int:
        """From so many steps on nothing changes."""
        return len(self.potentiation) - 1

    @property
    def bits(self) -> int:
        """Bits of an entry."""
        return max(1, max(*self.potentiation, *self.depression).bit_length())


def table_of(a: float, tau: float, unit: float) -> tuple[int, ...]:
    """a * exp(-k / tau) in units, to the nearest, halves up, for each k until the entries are 0."""
    entries: list[int] = []
    while (entry := math.floor(a * math.exp(-len(entries) / tau) / unit + 0.5)) > 0:
        entries.append(entry)
        if len(entries) > LONGEST:
            break
    return tuple(entries)


def plasticity_of(graph: Graph, rule: Rule) -> Plasticity:
    """A rule for the weights of a quantized graph.

    Raises CompileError: NMC461 for a connection that is none or cannot learn, NMC462 for changes below half a unit
    of the weights or beyond their range, NMC463 for a window that is too long.
    """
    known = {node.name: node.op for node in graph.nodes if isinstance(node.op, Linear)}
    if rule.connection not in known:
        message = f"`{rule.connection}` is no connection between fully connected populations"
        raise CompileError(error("NMC461", message, graph.nodes[0].loc, help=nearest(rule.connection, known)))
    loc, number = graph[rule.connection].loc, known[rule.connection].weight.number
    assert number is not None
    unit = math.ldexp(1.0, number.exponent)
    up, down = table_of(rule.a_plus, rule.tau_plus, unit), table_of(rule.a_minus, rule.tau_minus, unit)
    window = max(len(up), len(down))
    if window > LONGEST:
        message = f"spikes of `{rule.connection}` pair over more than {LONGEST} steps"
        raise CompileError(error("NMC463", message, loc, help="shorten the time constants"))
    if window == 0 or max(*up, *down, 0) > number.highest - number.lowest:
        largest = max(rule.a_plus, rule.a_minus)
        span = (number.highest - number.lowest) * unit
        limit = (
            f"below half a unit of its weights, {unit:g}" if window == 0 else f"beyond their range, {span:g}"
        )
        message = f"the largest change of `{rule.connection}`, {largest:g}, is {limit}"
        raise CompileError(error("NMC462", message, loc, help="use more `weight_bits` or other amplitudes"))
    low, high = rule.minimum / unit, rule.maximum / unit
    minimum = number.lowest if low < number.lowest else math.ceil(low)
    maximum = number.highest if high > number.highest else math.floor(high)
    if minimum > maximum:
        message = f"no weight of `{rule.connection}` is from {rule.minimum:g} to {rule.maximum:g}: its unit is {unit:g}"
        raise CompileError(error("NMC462", message, loc))
    pad = window + 1
    return Plasticity(up + (0,) * (pad - len(up)), down + (0,) * (pad - len(down)), minimum, maximum)


def parameters_of(plasticity: Plasticity, *, offset: int, sources: int) -> dict[str, int]:
    """The parameters of `nmc_layer` for a connection whose sources have the numbers from `offset` on."""
    bits = plasticity.bits
    return {
        "STDP": 1,
        "STDP_SOURCES": sources,
        "STDP_OFFSET": offset,
        "STDP_WINDOW": plasticity.window,
        "STDP_BITS": bits,
        "STDP_MINIMUM": plasticity.minimum,
        "STDP_MAXIMUM": plasticity.maximum,
        "POTENTIATION": sum(entry << k * bits for k, entry in enumerate(plasticity.potentiation)),
        "DEPRESSION": sum(entry << k * bits for k, entry in enumerate(plasticity.depression)),
    }


# ---- the rule ---------------------------------------------------------------------------------------------------


@part_of_kernels
def pair_change(pre_age: int, fired: int, post_age: int, potentiation: Array, depression: Array) -> int:
    """How a weight changes in a step. `pre_age`: how many steps ago the source's last spike came, 0 for this step;
    `fired`: whether the neuron spikes in this step; `post_age`: how many steps ago it did before."""
    change = potentiation[pre_age] if fired == 1 else 0
    if pre_age == 0:
        change -= depression[post_age]
    return change


@part_of_kernels
def learned(weight: int, change: int, minimum: int, maximum: int) -> int:
    """The weight after a change, within its bounds; as it is without one."""
    return weight if change == 0 else min(max(weight + change, minimum), maximum)


# ---- the machine ------------------------------------------------------------------------------------------------

LEARNS, SOURCES, OFFSET, WINDOW, TABLE_AT, AGE_AT, MINIMUM, MAXIMUM, CLEAR = range(9)
"""What is fixed of a layer: a row of `Plastic.fixed`."""

WALK_LATENCY = 4
"""Cycles from the end of a sweep until the layer takes events, beyond the walk itself: nmc_stdp."""


class Plastic(NamedTuple):
    """What learns, for kernels: a row a layer, no row where nothing learns; the tables of all rules end to end; ages
    of sources, ages of neurons and their spikes in this step by place."""

    fixed: Array
    potentiation: Array
    depression: Array
    pre_age: Array
    post_age: Array
    fired: Array


def plastic_of(design: Design) -> Plastic:
    """What learns in a design, after reset."""
    places = sum(layer.words * layer["P"] for layer in design.layers)
    post_age, fired = np.zeros(places, np.int64), np.zeros(places, np.int64)
    if not any(layer["STDP"] for layer in design.layers):
        none = np.zeros(0, np.int64)
        return Plastic(np.zeros((0, 9), np.int64), none, none, none, post_age, fired)
    fixed = np.zeros((len(design.layers), 9), np.int64)
    up: list[int] = []
    down: list[int] = []
    pre_age: list[int] = []
    base = 0
    for row, layer in zip(fixed, design.layers, strict=True):
        window, sources, size = layer["STDP_WINDOW"], layer["STDP_SOURCES"], layer.words * layer["P"]
        if layer["STDP"]:
            row[:] = (
                1, sources, layer["STDP_OFFSET"], window, len(up), len(pre_age), layer["STDP_MINIMUM"],
                layer["STDP_MAXIMUM"], max(sources, layer.words),
            )  # fmt: skip
            up += entries_of(layer, "POTENTIATION")
            down += entries_of(layer, "DEPRESSION")
            pre_age += [window] * sources
            post_age[base : base + size] = window
        base += size
    tables = (np.array(up, np.int64), np.array(down, np.int64), np.array(pre_age, np.int64))
    return Plastic(fixed, *tables, post_age, fired)


def entries_of(layer: Layer, name: str) -> list[int]:
    """A table of a layer, by age."""
    bits = layer["STDP_BITS"]
    return [layer[name] >> k * bits & ((1 << bits) - 1) for k in range(layer["STDP_WINDOW"] + 1)]


def connection_of(layer: Layer) -> str:
    """The connection of a layer that learns."""
    return next(leg.connection for leg in layer.legs if leg.offset == layer["STDP_OFFSET"])


def matrix_of(layer: Layer, rows: Array) -> Array:
    """The weights of the connection that learns (post, pre), from rows (sources * words, lanes) of all sources."""
    first, count = layer["STDP_OFFSET"], layer["STDP_SOURCES"]
    mine = rows.reshape(-1, layer.words, layer["P"])[first : first + count]
    return mine.transpose(2, 1, 0).reshape(-1, count)[: layer["N"]].astype(np.int64)


@part_of_kernels
def came(row: Array, source: int, pre_age: Array) -> None:
    """A spike of a source came."""
    at = source - row[OFFSET]
    if row[LEARNS] == 1 and 0 <= at < row[SOURCES]:
        pre_age[row[AGE_AT] + at] = 0


@part_of_kernels
def learn(
    row: Array,
    words: int,
    weights: Array,
    fired: Array,
    post_age: Array,
    pre_age: Array,
    up: Array,
    down: Array,
) -> int:
    """The end of a step of a layer: its weights, (sources * places) from its first on, and its ages; in how many cycles
    all sources are walked."""
    places, window, cycles = fired.size, row[WINDOW], 0
    potentiation, depression = up[row[TABLE_AT] :], down[row[TABLE_AT] :]
    spiked = False
    for j in range(places):
        spiked |= fired[j] == 1
    for i in range(row[SOURCES]):
        age = pre_age[row[AGE_AT] + i]
        changes = age == 0 or (age != window and spiked)
        cycles += words if changes else 1
        start = (row[OFFSET] + i) * places
        for j in range(places if changes else 0):
            change = pair_change(age, fired[j], post_age[j], potentiation, depression)
            weights[start + j] = learned(weights[start + j], change, row[MINIMUM], row[MAXIMUM])
        pre_age[row[AGE_AT] + i] = min(age + 1, window)
    for j in range(places):
        post_age[j] = 1 if fired[j] == 1 else min(post_age[j] + 1, window)
    return cycles
