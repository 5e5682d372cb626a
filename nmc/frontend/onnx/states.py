"""Which output of a step model is the new value of which input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nmc.diagnostics import nearest
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.tiles import Kind
from nmc.frontend.onnx.trace import Trace
from nmc.frontend.onnx.values import Value
from nmc.ir.program import Scalar

_AFFIXES = frozenset(
    [
        "in",
        "out",
        "input",
        "output",
        "new",
        "next",
        "old",
        "prev",
        "previous",
        "cur",
        "current",
        "o",
        "i",
        "n",
        "t",
        "h0",
        "hx",
        "final",
        "state",
        "states",
    ]
) - {"i", "n", "o", "h0"}


_PREFIXED = 5
"""The score of an output that is computed of an input and begins or ends with its name."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """State output -> state input, and why."""

    pairs: Mapping[str, str]
    reasons: Mapping[str, str]


def stem(name: str) -> tuple[str, ...]:
    """The words of a name that are not about coming or going."""
    words = re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    return tuple(word for word in words if word not in _AFFIXES)


def pair(trace: Trace, declared: Mapping[str, str]) -> Pairing:
    """The states of a step model; `declared` are the user's, output -> input. Raises Refusal for impossible ones."""
    inputs = _input_tiles(trace)
    outputs = {name: value for name, value in trace.outputs.items() if isinstance(value, Value)}
    pairs: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for out, into in declared.items():
        for name, known, what in ((out, trace.outputs, "output"), (into, inputs, "input")):
            if name not in known:
                raise Refusal("NMC058", f"the model has no {what} `{name}`", help=nearest(name, known))
        value = outputs.get(out)
        if value is None or trace.tiles.shapes[value.tiles[0]] != trace.tiles.shapes[inputs[into]]:
            raise Refusal("NMC058", f"output `{out}` cannot be the state `{into}`: their shapes differ")
        pairs[out] = into
        reasons[out] = "as told by the user"
    candidates = _candidates(trace, inputs, outputs)
    named = [entry for entry in candidates if entry[1] >= 3]
    _refuse_shared(named, pairs)
    chosen = named if named or declared else [entry for entry in candidates if entry[1] >= 2]
    free = len(inputs) - len(pairs)
    for out, score, into in sorted(chosen, key=lambda entry: -entry[1]):
        if out in pairs or into in pairs.values():
            continue
        if not named and free <= 1:
            break
        pairs[out] = into
        free -= 1
        reasons[out] = "by name and shape" if score >= 3 else "by what it depends on, and shape"
    return Pairing(pairs, reasons)


def _refuse_shared(named: Sequence[tuple[str, int, str]], known: Mapping[str, str]) -> None:
    """Refuse one input for two states, which exporters make of an array that was passed twice."""
    best = {out: max(score for other, score, _ in named if other == out) for out, _, _ in named}
    for into in dict.fromkeys(into for _, _, into in named if into not in known.values()):
        mine = {
            out: score for out, score, to in named if to == into and score == best[out] and out not in known
        }
        if len(mine) > 1 and set(mine.values()) == {_PREFIXED}:
            names = " and ".join(f"`{out}`" for out in mine)
            raise Refusal(
                "NMC058",
                f"{names} are next values of one and the same input `{into}`",
                help="export with an input of its own for each state (an array that is passed twice becomes one), "
                "or say which one it is with `--state out=in`",
            )


def _input_tiles(trace: Trace) -> dict[str, int]:
    found: dict[str, int] = {}
    for tile, op in enumerate(trace.tiles.ops):
        attr = trace.tiles.attrs[tile]
        if op is Kind.INPUT and isinstance(attr, tuple):
            found[attr[0]] = tile
    return found


def _candidates(
    trace: Trace, inputs: Mapping[str, int], outputs: Mapping[str, Value]
) -> list[tuple[str, int, str]]:
    """Output, score, input: 3 and more if the names say so, 2 if the one is computed of the other by elements."""
    tiles = trace.tiles
    found: list[tuple[str, int, str]] = []
    for out, value in outputs.items():
        tile = value.tiles[0]
        reached = _elementwise_reach(trace, tile)
        for into, leaf in inputs.items():
            if tiles.shapes[tile] != tiles.shapes[leaf] or out == into:
                continue
            score = 0
            if leaf in reached and not tiles.is_truth(tile):
                score += 2
            if stem(out) and stem(out) == stem(into):
                score += 4
            elif stem(out) and stem(into) and (out.startswith(into) or out.endswith(into)):
                score += 3
            if score >= 2:
                found.append((out, score, into))
    return found


def _elementwise_reach(trace: Trace, root: int) -> set[int]:
    tiles = trace.tiles
    seen: set[int] = set()
    pending = [root]
    while pending:
        tile = pending.pop()
        if tile in seen:
            continue
        seen.add(tile)
        if isinstance(tiles.ops[tile], Scalar) or tiles.ops[tile] is Kind.GATHER:
            pending.extend(tiles.args[tile])
    return seen
