"""A report as one HTML file that needs nothing else: no network, no other file, no font."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a head."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """An SVG and what it shows. The SVG is nmc's own, with all names in it escaped."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report, and the command that gives the same numbers."""

    title: str
    words: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report."""

    title: str
    summary: str
    sections: tuple[Section, ...]


def render(page: Page) -> bytes:
    """The page as HTML; all text is escaped."""
    from jinja2 import Environment

    folder = files("nmc.report") / "page"
    environment = Environment(autoescape=True, keep_trailing_newline=True)
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return template.render(page=page, style=style, script=script).encode()
