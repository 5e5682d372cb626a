"""Words and numbers as people read them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum


def plain(value: object) -> object:
    """The value as JSON knows it: enums by name, mappings with text keys."""
    match value:
        case Enum():
            return value.name.lower()
        case Mapping():
            return {str(plain(key)): plain(each) for key, each in value.items()}
        case tuple() | list():
            return [plain(each) for each in value]
        case _:
            return value


def words(value: Enum) -> str:
    """An enum's value in words."""
    return value.name.lower().replace("_", " ")


def paragraph(texts: Iterable[str]) -> list[str]:
    """Texts after an empty line; nothing for none."""
    found = list(texts)
    return ["", *found] if found else []


def wrapped(text: str, *, indent: str = "") -> str:
    """Text in lines that a person reads with ease; what stands in lines of its own stays there."""
    lines = [
        textwrap.fill(line, 100, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def shape(shape: Sequence[int]) -> str:
    """`2x28x28`."""
    return "x".join(map(str, shape)) or "1"


def count(number: int, noun: str) -> str:
    """`1 step`, `3 steps`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}s"


def number(number: float) -> str:
    """A number as a table has it."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.4g}"


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.2f} %"


def si(number: float, unit: str) -> str:
    """A quantity with the prefix at which it has one to three digits before the point."""
    for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p")):
        if abs(number) >= scale:
            return f"{number / scale:.4g} {prefix}{unit}"
    return f"{number:.4g} {unit}"
