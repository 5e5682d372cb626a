"""A many-core from a file: the user's own chip in TOML, with the fields of `spec.Chip`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from nmc.backends.spinnaker2.mapping.routes import chip_paths
from nmc.backends.spinnaker2.spec import CHIPS, SPINNAKER2_CHIP, Chip, Position
from nmc.diagnostics import Diagnostic, Loc, UsageError, error, nearest

WHOLE = ("pes_per_quad", "sram_bytes", "router_entries", "key_bits")
REAL = ("clock_hz", "link_capacity")
PLACES = ("quads", "ports")

MOST_KEY_BITS = 32
"""Bits of a key in a packet of the firmware."""


def chip_named(name: str, *, dead: str = "") -> Chip:
    """The many-core that is called `name` in `spec.CHIPS`, or that the TOML file `name` describes.

    `dead` names PEs that get no work, besides those of the file: as `Chip.name_of` writes them, commas between.
    Raises UsageError: NMC420 for a file that is none, NMC421 for a PE that there is not.
    """
    if name in CHIPS:
        chip = CHIPS[name]
    elif name.endswith(".toml"):
        chip = read_chip(Path(name))
    else:
        message = f"`{name}` is neither a many-core that nmc knows nor a TOML file"
        raise UsageError(error("NMC420", message, Loc("<command line>"), help=nearest(name, CHIPS)))
    return with_dead(chip, [each for each in dead.replace(",", " ").split() if each], Loc("<command line>"))


def read_chip(path: Path) -> Chip:
    """The many-core that a TOML file describes; what it leaves out is as on SpiNNaker2.

    `chips` is the number of columns and rows of a full mesh, or a list of places, or `"board-48"`; `quads` and `ports`
    are lists of places, `host` is a place, `dead` a list of PEs by name.
    Raises UsageError (NMC420, NMC421) with all findings.
    """
    loc = Loc(str(path))
    try:
        text = path.read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise UsageError(error("NMC420", f"not a readable TOML file: {fault}", loc)) from fault
    findings: list[Diagnostic] = []
    values: dict[str, object] = {"name": path.stem}
    known = [each.name for each in fields(Chip)]
    for name, value in given.items():
        field = Loc(str(path), None, name)
        if name not in known:
            findings.append(error("NMC420", f"a many-core has no `{name}`", field, help=nearest(name, known)))
            continue
        if name == "dead":
            continue
        read = _value(name, value)
        if read is None:
            findings.append(error("NMC420", f"`{name}` is `{value}`", field, help=_WANTED[_kind(name)]))
        else:
            values[name] = read
    if findings:
        raise UsageError(*findings)
    chip = replace(SPINNAKER2_CHIP, **values)  # type: ignore[arg-type] - checked field by field above
    findings += _at_odds(chip, path)
    if findings:
        raise UsageError(*findings)
    dead = given.get("dead", [])
    if not isinstance(dead, list) or not all(isinstance(each, str) for each in dead):
        raise UsageError(
            error("NMC420", f"`dead` is `{dead}`", Loc(str(path), None, "dead"), help=_WANTED["dead"])
        )
    return with_dead(chip, dead, loc)


_WANTED: Mapping[str, str] = {
    "whole": "a whole number above 0",
    "real": "a number above 0",
    "places": "a list of places [x, y], each once",
    "place": "a place [x, y]",
    "chips": 'a number of columns and rows [w, h], a list of places [[x, y], ...], or "board-48"',
    "name": "text",
    "dead": 'a list of names like "1.6.0", or "0.0:1.6.0" where there are several chips',
}


def _kind(name: str) -> str:
    kinds = {
        **dict.fromkeys(WHOLE, "whole"),
        **dict.fromkeys(REAL, "real"),
        **dict.fromkeys(PLACES, "places"),
    }
    return {**kinds, "host": "place", "chips": "chips", "name": "name", "dead": "dead"}[name]


def _value(name: str, value: object) -> object:
    """The field's value, None if it is of the wrong kind."""
    match _kind(name):
        case "whole":
            return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
        case "real":
            real = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
            return float(value) if real else None  # type: ignore[arg-type] - a number
        case "places":
            return _places(value)
        case "place":
            return _place(value)
        case "chips":
            if value == "board-48":
                return CHIPS["spinnaker2-48"].chips
            size = _place(value)
            if size is not None:
                mesh = tuple((x, y) for x in range(size[0]) for y in range(size[1]))
                return mesh or None
            return _places(value)
        case _:
            return value if isinstance(value, str) else None


def _place(value: object) -> Position | None:
    if not isinstance(value, list) or len(value) != 2:  # type: ignore[arg-type] - of anything
        return None
    x, y = value  # type: ignore[misc] - of anything
    if type(x) is not int or type(y) is not int or not (0 <= x < 1024 and 0 <= y < 1024):
        return None
    return x, y


def _places(value: object) -> tuple[Position, ...] | None:
    if not isinstance(value, list) or not value:
        return None
    found = [_place(each) for each in value]  # type: ignore[misc] - of anything
    places = tuple(each for each in found if each is not None)
    return places if len(set(places)) == len(found) else None


def _at_odds(chip: Chip, path: Path) -> list[Diagnostic]:
    """What is wrong with fields together."""
    findings: list[Diagnostic] = []

    def add(field: str, message: str) -> None:
        findings.append(error("NMC420", message, Loc(str(path), None, field)))

    links = len(SPINNAKER2_CHIP.ports)
    if len(chip.ports) != links:
        add("ports", f"`ports` are {len(chip.ports)} places; a chip has {links} links")
    if chip.key_bits > MOST_KEY_BITS:
        add("key_bits", f"keys of {chip.key_bits} bits; {MOST_KEY_BITS} are possible")
    try:
        chip_paths(chip)
    except ValueError as fault:
        add("chips", f"packets cannot pass between all chips: {fault}")
    return findings


def with_dead(chip: Chip, names: list[str], loc: Loc) -> Chip:
    """The same many-core with further PEs dead. Raises UsageError (NMC421) for names that no PE has."""
    if not names:
        return chip
    known = {chip.name_of(pe): pe for pe in range(chip.pes)}
    unknown = [each for each in names if each not in known]
    if unknown:
        example = chip.name_of(0)
        message = f"`{chip.name}` has no PE `{unknown[0]}`"
        help_ = f"x.y.p of a quad and a PE, as in `{example}`"
        raise UsageError(error("NMC421", message, Loc(loc.file, None, "dead"), help=help_))
    return replace(chip, dead=chip.dead | {known[each] for each in names})
