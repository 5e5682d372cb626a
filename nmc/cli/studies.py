"""The commands that compile one model many times: fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from nmc import answers
from nmc.cli.options import FILE, hinted, meaning
from nmc.cli.screen import REFUSED, common, screen


@click.command()
@click.argument("model", type=FILE)
@click.option("--target", "targets", multiple=True, metavar="NAME", help="A target; without, every target.")
@click.option("--calibrate", type=FILE, metavar="IN.npz", help="Inputs on which ranges are measured.")
@meaning
@hinted
@common
def fit(
    *,
    model: Path,
    targets: tuple[str, ...],
    calibrate: Path | None,
    dt: float | None,
    preset: str | None,
    reset: str | None,
    states: dict[str, str],
    time_axis: int | None,
    steps_in_file: int | None,
) -> None:
    """Tell whether MODEL fits each target, or which limit binds, by how much, and what would make it fit.

    Exit code 1 if it fits none of the targets.
    """
    from nmc import driver, npz
    from nmc.backends.backend import Request
    from nmc.exploration.fit import fit as fit_all

    told = screen()
    told.doing(f"reading {model}")
    source = driver.read(model, driver.Hints(states, time_axis, steps_in_file))
    request = Request(dt, preset, reset)
    if calibrate is not None:
        request = replace(request, calibration=npz.read(calibrate, source.graph, steps=steps_in_file).inputs)
    found = fit_all(source, targets=targets, request=request, doing=told.doing)
    told.ready()
    told.answer(answers.fitted(source.name, found))
    if not any(each.fits for each in found):
        click.get_current_context().exit(REFUSED)
