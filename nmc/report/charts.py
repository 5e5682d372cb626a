"""Charts as SVG text, drawn by hand: they scale, follow the reader's light or dark colours, and need no library.

Colours are classes of the page's style sheet. Every chart has a title for people who do not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""Any: spikes, integers and reals are drawn alike."""

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 26
MOST_MARKS = 20_000
"""Spikes that a raster draws; of more, an even choice of neurons is shown, and the title says so."""


def raster(spikes: Array, title: str) -> str:
    """Spikes (steps, neurons) as a dot each, time to the right; it can be zoomed along time."""
    steps, neurons = spikes.shape
    shown = np.arange(neurons)
    if int((spikes != 0).sum()) > MOST_MARKS:
        every = ceil(int((spikes != 0).sum()) / MOST_MARKS)
        shown = shown[::every]
        title += f"; every {every}th neuron"
    rows = max(len(shown), 1)
    height = (HEIGHT - TOP - BOTTOM) / rows
    marks: list[str] = []
    for row, neuron in enumerate(shown.tolist()):
        times = np.flatnonzero(spikes[:, neuron])
        y = TOP + row * height
        marks += [f"M{_x(t, steps):.1f} {y:.1f}v{max(height * 0.8, 0.6):.1f}" for t in times.tolist()]
    path = f'<path class="mark" d="{"".join(marks)}"/>' if marks else _nothing("no spikes")
    labels = [(0.0, "0"), (float(rows), f"{neurons - 1}")]
    return _chart(title, path, steps, labels, span=float(rows))


def traces(values: Array, threshold: float | None, title: str) -> str:
    """Up to five variables (steps, variables) as lines over time; it can be zoomed along time."""
    steps = values.shape[0]
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
    span = (high - low) or 1.0
    parts: list[str] = []
    for k in range(min(values.shape[1], 5)):
        points = " ".join(
            f"{_x(t, steps):.1f},{_y(high - float(v), span):.1f}" for t, v in enumerate(values[:, k])
        )
        parts.append(f'<polyline class="line l{k}" points="{points}"/>')
    if threshold is not None:
        y = _y(high - threshold, span)
        parts.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    labels = [(0.0, f"{high:.4g}"), (span, f"{low:.4g}")]
    return _chart(title, "".join(parts), steps, labels, span=span)


def bars(values: Sequence[tuple[str, float]], title: str, unit: str) -> str:
    """A bar a name, with its value."""
    largest = max((value for _, value in values), default=0.0) or 1.0
    height = 24 * len(values) + 8
    parts: list[str] = []
    for row, (name, value) in enumerate(values):
        y = 4 + 24 * row
        width = (WIDTH - 330) * value / largest
        parts.append(
            f'<text class="word" x="150" y="{y + 15}" text-anchor="end">{escape(name[:22])}</text>'
            f'<rect class="bar" x="158" y="{y + 3}" width="{width:.1f}" height="16"/>'
            f'<text class="word" x="{164 + width:.1f}" y="{y + 15}">{value:.4g} {escape(unit)}</text>'
        )
    return _svg(title, "".join(parts), height)


def cycles(values: Array, title: str) -> str:
    """One value a step, as a line."""
    return traces(np.asarray(values, np.float64).reshape(-1, 1), None, title)


def floorplan(cells: Sequence[tuple[str, float, float]], title: str, columns: int = 0) -> str:
    """Cores as squares in rows: how full each is as its fill, how much arrives there as the disc on it.

    `cells` are the name of a core, its fill and its traffic, both as shares of one.
    """
    columns = columns or max(1, ceil(sqrt(len(cells) * 2)))
    size = min(64.0, (WIDTH - 8) / columns)
    rows = ceil(len(cells) / columns)
    parts: list[str] = []
    for index, (name, fill, traffic) in enumerate(cells):
        x, y = 4 + (index % columns) * size, 4 + (index // columns) * size
        inner = size - 4
        parts.append(
            f"<g><title>{escape(name)}: {100 * fill:.1f} % full, {100 * traffic:.1f} % of the traffic</title>"
            f'<rect class="core" x="{x:.1f}" y="{y:.1f}" width="{inner:.1f}" height="{inner:.1f}"/>'
            f'<rect class="bar" x="{x:.1f}" y="{y + inner * (1 - fill):.1f}" width="{inner:.1f}" '
            f'height="{inner * fill:.1f}"/>'
            f'<circle class="traffic" cx="{x + inner / 2:.1f}" cy="{y + inner / 2:.1f}" '
            f'r="{inner / 2 * sqrt(max(traffic, 0.0)):.1f}"/></g>'
        )
    return _svg(title, "".join(parts), round(rows * size + 8))


def _x(step: int, steps: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (step + 0.5) / max(steps, 1)


def _y(below_top: float, span: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * below_top / span


def _chart(title: str, content: str, steps: int, labels: list[tuple[float, str]], *, span: float) -> str:
    words = "".join(
        f'<text class="word" x="{LEFT - 6}" y="{_y(at, span) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        for at, text in labels
    )
    axis = (
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
        f'<text class="word" x="{LEFT}" y="{HEIGHT - 8}">step 0</text>'
        f'<text class="word" x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{steps - 1}</text>'
    )
    inner = (
        f'<svg class="zoom" x="{LEFT}" y="0" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - BOTTOM}" '
        f'viewBox="{LEFT} 0 {WIDTH - LEFT - RIGHT} {HEIGHT - BOTTOM}" preserveAspectRatio="none">{content}</svg>'
    )
    return _svg(title, words + axis + inner, HEIGHT, zooms=True)


def _nothing(text: str) -> str:
    return f'<text class="word" x="{LEFT + 12}" y="{TOP + 20}">{text}</text>'


def _svg(title: str, content: str, height: int, *, zooms: bool = False) -> str:
    more = ' tabindex="0" data-zoom="1"' if zooms else ""
    return (
        f'<svg role="img" aria-label="{escape(title, quote=True)}" viewBox="0 0 {WIDTH} {height}"{more}>'
        f"<title>{escape(title)}</title>{content}</svg>"
    )
