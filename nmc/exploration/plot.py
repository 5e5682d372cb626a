"""Plots, as SVG that is equal byte for byte for equal data."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from nmc.diagnostics import CompileError, Loc, error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nmc.exploration.explore import Sweep


def fronts(name: str, sweep: Sweep) -> bytes:
    """Accuracy against each cost of a sweep, side by side: all points, and those on the front joined.

    Raises CompileError (NMC343) where matplotlib is not installed.
    """
    figure = _figure(len(sweep.costs))
    chosen = {id(each) for each in sweep.front}
    for axes, cost in zip(figure.axes, sweep.costs, strict=True):
        for on_front, marker, colour in ((False, "o", "#999999"), (True, "D", "#0b5fa5")):
            points = [
                (each.metrics[cost], 100 * each.metrics["accuracy"])
                for each in sweep.outcomes
                if cost in each.metrics and (id(each) in chosen) is on_front
            ]
            if points:
                x, y = zip(*sorted(points), strict=True)
                axes.plot(x, y, marker, color=colour, markersize=5, label="front" if on_front else "others")
        axes.set_xlabel(cost.replace("_", " "))
        axes.grid(visible=True, linewidth=0.3)
    if figure.axes:
        figure.axes[0].set_ylabel("accuracy, %")
        figure.axes[0].legend(frameon=False)
    figure.suptitle(f"{name} on {sweep.target}")
    return _svg(figure)


def _figure(columns: int) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as absent:
        message = "a plot needs the package `matplotlib`, which is not installed"
        help_ = "pip install 'nmc[plot]'"
        raise CompileError(error("NMC343", message, Loc("<command line>"), help=help_)) from absent
    figure = Figure(figsize=(3.6 * max(columns, 1), 3.4), layout="constrained")
    for column in range(columns):
        figure.add_subplot(1, columns, column + 1)
    return figure


def _svg(figure: Figure) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "nmc", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
