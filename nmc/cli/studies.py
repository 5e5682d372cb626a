"""The commands that compile one model many times: fit, explore."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from nmc import answers
from nmc.cli.options import FILE, hinted, lists_of_values, meaning, numbers, setting
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


@click.command()
@click.argument("model", type=FILE)
@click.option("--target", required=True, metavar="NAME", help="What to compile to; `nmc targets` lists them.")
@click.option(
    "--calibrate", type=FILE, required=True, metavar="IN.npz", help="Inputs on which ranges are measured."
)
@click.option(
    "--input", "stimulus", type=FILE, metavar="IN.npz", help="Inputs of the accuracy; else of --calibrate."
)
@click.option("--labels", metavar="NAME", help="The array of labels; else the model's own answers in reals.")
@click.option("--decode", default="count", type=click.Choice(["count", "last", "membrane", "first-spike"]))
@click.option(
    "--vary",
    multiple=True,
    metavar="NAME=V,V,...",
    callback=lists_of_values,
    help="A setting of the target and its values; without, every width of weights.",
)
@click.option("--steps", metavar="T,T,...", callback=numbers, help="Numbers of steps; without, all.")
@click.option("--timed", type=click.IntRange(min=1), default=16, help="Samples that run on the machine.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the outcomes; a sweep that was stopped goes on from it.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; without, one a core.")
@click.option("--cluster", metavar="ADDRESS", help="A Dask scheduler whose workers measure the points.")
@meaning
@hinted
@setting
@common
def explore(
    *,
    model: Path,
    target: str,
    calibrate: Path,
    stimulus: Path | None,
    labels: str | None,
    decode: str,
    vary: dict[str, tuple[str, ...]],
    steps: tuple[int, ...],
    timed: int,
    output: Path | None,
    workers: int | None,
    cluster: str | None,
    dt: float | None,
    preset: str | None,
    reset: str | None,
    states: dict[str, str],
    time_axis: int | None,
    steps_in_file: int | None,
    given: dict[str, str],
) -> None:
    """Sweep MODEL over settings of a target: accuracy against bits, steps, time and energy, and the Pareto front."""
    from nmc import driver, npz
    from nmc.backends.backend import Request
    from nmc.exploration import explore as sweeps
    from nmc.exploration.point import Study, answers_in_reals, grid
    from nmc.exploration.store import Store
    from nmc.sim.arrays import Decode
    from nmc.whole import write_whole

    told = screen()
    varied = vary or sweeps.default_variations(target)
    sweeps.check_variations(target, {**varied, **{name: (value,) for name, value in given.items()}})
    told.doing(f"reading {model}")
    source = driver.read(model, driver.Hints(states, time_axis, steps_in_file))
    tuning = npz.read(calibrate, source.graph, steps=steps_in_file, labels=None if stimulus else labels)
    data = npz.read(stimulus, source.graph, steps=steps_in_file, labels=labels) if stimulus else tuning
    request = Request(dt, preset, reset, calibration=tuning.inputs, settings=given)
    how = Decode(decode)
    marks = data.labels
    if marks is None:
        told.doing("running the model in reals")
        marks = answers_in_reals(source, Request(dt, preset, reset), data.inputs, how)
    study = Study(source, target, request, data.inputs, marks, how, timed)
    sweep = sweeps.explore(
        study,
        grid(varied, steps or (None,)),
        store=None if output is None else Store(output, study.digest),
        processes=workers or os.cpu_count() or 1,
        cluster=cluster,
        doing=told.doing,
    )
    answer = answers.explored(source.name, sweep, output=output)
    if output is not None:
        write_whole(output / "sweep.json", f"{answers.as_json('explore', answer.document)}\n".encode())
        write_whole(output / "sweep.txt", f"{answer.text}\n".encode())
        told.doing("drawing")
        from nmc.exploration.plot import fronts

        write_whole(output / "front.svg", fronts(source.name, sweep))
    told.ready()
    told.answer(answer)
