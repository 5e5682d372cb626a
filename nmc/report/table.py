"""Plain text tables: aligned on any terminal, in any pipe, with no colour of their own."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from enum import Enum


class Align(Enum):
    """To which side a column keeps."""

    LEFT = "left"
    RIGHT = "right"


def width(text: str) -> int:
    """How many terminal columns `text` takes: two for wide characters, none for combining marks."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, align: Sequence[Align] = ()) -> str:
    """Columns two spaces apart under `head` and a rule; no trailing spaces.

    Where `align` says nothing, the first column, of names, is left-aligned, and any other is right-aligned if every
    cell of it is a number or empty.
    Characters that would break a line (control characters in a user's names) are shown as escapes.
    """
    cells = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(head))]
    sides = [
        align[column] if column < len(align) else _side(column, [row[column] for row in cells[1:]])
        for column in range(len(head))
    ]
    lines = ["  ".join(map(_pad, row, widths, sides)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * size for size in widths), *lines[1:]])


def _pad(cell: str, size: int, side: Align) -> str:
    space = " " * (size - width(cell))
    return space + cell if side is Align.RIGHT else cell + space


def _side(column: int, cells: list[str]) -> Align:
    numeric = all(not cell or cell[0].isdigit() for cell in cells)
    return Align.RIGHT if column > 0 and numeric and any(cells) else Align.LEFT


def _printable(text: str) -> str:
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text
    )
