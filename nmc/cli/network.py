"""The commands on one network: compile, simulate, verify, inspect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmc import answers
from nmc.cli.options import ANY, FILE, FOLDER, hinted, meaning, setting, steps_in_file
from nmc.cli.screen import REFUSED, common, screen

if TYPE_CHECKING:
    from nmc.ir.graph import Graph
    from nmc.passes.pipeline import Pass


@click.command("compile")
@click.argument("model", type=FILE)
@click.option("--target", required=True, metavar="NAME", help="What to compile to; `nmc targets` lists them.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="The artifact's folder."
)
@click.option("--calibrate", type=FILE, metavar="IN.npz", help="Inputs on which ranges are measured.")
@meaning
@hinted
@setting
@click.option(
    "--approximate",
    is_flag=True,
    help="Let neurons that the target does not have become the nearest that it has; the same as --set neurons=stock.",
)
@click.option(
    "--stretch",
    type=click.IntRange(min=1),
    default=1,
    metavar="K",
    help="Run K steps for a step of the model, which gives fast loops time.",
)
@click.option(
    "--budget",
    metavar="bits|bytes|cores=N",
    help="Share out widths of weights and steps so that no more is taken and the least is lost; needs --calibrate.",
)
@click.option(
    "--report", is_flag=True, help="Ask the target's own tools what it takes; minutes, for an FPGA."
)
@click.option("--dump-after", multiple=True, metavar="PASS", help="Show the graph after a pass.")
@click.option("--stop-after", metavar="PASS", help="Show the graph after a pass and stop; write nothing.")
@click.option("--check", type=FOLDER, metavar="DIR", help="Write nothing; tell what a compile would change.")
@common
def compile_(
    *,
    model: Path,
    target: str,
    output: Path | None,
    calibrate: Path | None,
    dt: float | None,
    preset: str | None,
    reset: str | None,
    states: dict[str, str],
    time_axis: int | None,
    steps_in_file: int | None,
    given: dict[str, str],
    stretch: int,
    approximate: bool,
    budget: str | None,
    report: bool,
    dump_after: tuple[str, ...],
    stop_after: str | None,
    check: Path | None,
) -> None:
    """Compile MODEL to an artifact: the target's program, and all that simulates and checks it."""
    if output is None and stop_after is None and check is None:
        raise click.UsageError("give the artifact's folder with -o")
    if check is not None or stop_after is not None:
        output = None  # nothing is written, whatever was asked
    from nmc import driver, npz
    from nmc.backends.backend import Request
    from nmc.ir import text
    from nmc.passes.budget import parse_budget

    told = screen()
    if approximate:
        given = {"neurons": "stock", **given}
    within = None if budget is None else parse_budget(budget)
    request = Request(dt, preset, reset, stretch, settings=given, budget=within)
    steps = driver.passes(target, request)
    for name in (*dump_after, *([stop_after] if stop_after else ())):
        driver.check_pass(name, steps)
    told.doing(f"reading {model}")
    source = driver.read(model, driver.Hints(states, time_axis, steps_in_file))
    if calibrate is not None:
        request = replace(request, calibration=npz.read(calibrate, source.graph, steps=steps_in_file).inputs)

    def after(step: Pass, graph: Graph) -> None:
        told.doing(f"{step.name}: {len(graph.nodes)} nodes, {len(graph.edges)} edges")
        if step.name in dump_after:
            told.ready()
            click.echo(f"# after {step.name}\n{text.show(graph)}", err=told.json)

    if stop_after is not None:
        graph = driver.lower(source, target=target, request=request, stop_after=stop_after, after=after)
        told.ready()
        told.answer(answers.stopped(graph, text.show(graph), after=stop_after))
        return
    done = driver.compile(source, target=target, request=request, after=after)
    if report:
        told.doing("asking the target's own tools")
    found = driver.report(done.artifact) if report else None
    changes = None if check is None else driver.changes(done.artifact, check)
    if output is not None:
        driver.write(done.artifact, output)
    told.ready()
    told.answer(answers.compiled(done, output=output, changes=changes, report=found))
    if changes:
        click.get_current_context().exit(REFUSED)


@click.command()
@click.argument("model", type=ANY, metavar="MODEL|DIR")
@click.option("--input", "stimulus", type=FILE, required=True, metavar="IN.npz", help="An array per input.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT.npz", help="Results.")
@click.option(
    "--engine", default="golden", metavar="NAME", help="golden, machine, or a witness of the target."
)
@click.option(
    "--record", multiple=True, metavar="NODE.VAR", help="A variable to keep: v, i, spikes; or an ONNX state."
)
@click.option(
    "--steps", type=click.IntRange(min=1), metavar="T", help="Run T steps; silence after the input."
)
@click.option("--labels", metavar="NAME", help="The array of labels in IN.npz; gives the accuracy.")
@click.option("--decode", default="count", type=click.Choice(["count", "last", "membrane", "first-spike"]))
@click.option("--batch-axis", type=int, metavar="K", help="The axis of samples in IN.npz, if it is not 1.")
@click.option("--float32", is_flag=True, help="Run a model in float32 instead of float64.")
@meaning
@hinted
@common
def simulate(
    *,
    model: Path,
    stimulus: Path,
    output: Path | None,
    engine: str,
    record: tuple[str, ...],
    steps: int | None,
    labels: str | None,
    decode: str,
    batch_axis: int | None,
    float32: bool,
    dt: float | None,
    preset: str | None,
    reset: str | None,
    states: dict[str, str],
    time_axis: int | None,
    steps_in_file: int | None,
) -> None:
    """Run a model in reals, or an artifact in integers on any of its engines."""
    from nmc import driver, npz
    from nmc.backends.backend import Request
    from nmc.sim.arrays import Decode

    told = screen()
    told.doing(f"reading {model}")
    hints = driver.Hints(states, time_axis, steps_in_file)
    network = driver.open_network(model, Request(dt, preset, reset), hints)
    data = npz.read(stimulus, network.graph, batch_axis=batch_axis, labels=labels, steps=steps_in_file)
    network = driver.begin(network, data.initial)
    told.doing(f"running {engine}")
    result = driver.simulate(
        network,
        data.inputs,
        engine=engine,
        record=record,
        steps=steps,
        dtype="float32" if float32 else "float64",
        progress=told.progress(engine),
    )
    right = (
        None
        if data.labels is None
        else npz.count_right(result, data.labels, Decode(decode), graph=network.graph)
    )
    if output is not None:
        npz.write(
            result, output, batch_axis=data.batch_axis, as_model=network.graph if data.as_model else None
        )
    told.ready()
    told.answer(answers.simulated(result, network, right=right, output=output))


@click.command()
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option(
    "--input", "stimulus", type=FILE, metavar="IN.npz", help="Inputs; without, seeded random spikes."
)
@click.option("--batch-axis", type=int, metavar="K", help="The axis of samples in IN.npz, if it is not 1.")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="WITNESS",
    help="A witness; all that are here if none is named.",
)
@steps_in_file
@common
def verify(
    *,
    folder: Path,
    stimulus: Path | None,
    batch_axis: int | None,
    engines: tuple[str, ...],
    steps_in_file: int | None,
) -> None:
    """Check that golden, the machine and the witnesses agree: outputs, and spikes and states of every population."""
    from nmc import driver, npz

    told = screen()
    network = driver.open_network(folder)
    inputs = None
    if stimulus is not None:
        inputs = npz.read(stimulus, network.graph, batch_axis=batch_axis, steps=steps_in_file).inputs
    done = driver.verify(network, inputs, engines=engines or None, doing=told.doing)
    told.ready()
    told.answer(answers.verified(done))
    if not done.agree:
        click.get_current_context().exit(REFUSED)


@click.command()
@click.argument("model", type=ANY, metavar="MODEL|DIR")
@hinted
@common
def inspect(*, model: Path, states: dict[str, str], time_axis: int | None, steps_in_file: int | None) -> None:
    """Show what a network is: its layers, its neurons' equations, its loops and delays."""
    from nmc import driver

    screen().answer(answers.inspected(driver.inspect(model, driver.Hints(states, time_axis, steps_in_file))))


@click.command()
@click.argument("before", type=ANY, metavar="A")
@click.argument("after", type=ANY, metavar="B")
@hinted
@common
def diff(
    *, before: Path, after: Path, states: dict[str, str], time_axis: int | None, steps_in_file: int | None
) -> None:
    """Tell what differs between two models or artifacts, from the network down to bytes.

    Exit code 1 if anything does.
    """
    from nmc import difference, driver

    hints = driver.Hints(states, time_axis, steps_in_file)
    one, other = difference.open_side(before, hints), difference.open_side(after, hints)
    found = difference.differences(one, other)
    screen().answer(answers.differs(one.name, other.name, found))
    if found:
        click.get_current_context().exit(REFUSED)


@click.command()
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option(
    "--input", "stimulus", type=FILE, metavar="IN.npz", help="Inputs; without, seeded random spikes."
)
@click.option("--batch-axis", type=int, metavar="K", help="The axis of samples in IN.npz, if it is not 1.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; else DIR.html."
)
@steps_in_file
@common
def report(
    *,
    folder: Path,
    stimulus: Path | None,
    batch_axis: int | None,
    output: Path | None,
    steps_in_file: int | None,
) -> None:
    """Write one HTML file to look at: layers, activity, the chip, time and energy, and how to reproduce it all."""
    from nmc import dossier, driver, npz
    from nmc.whole import write_whole

    told = screen()
    inputs = None
    if stimulus is not None:
        graph = driver.open_network(folder).graph
        inputs = npz.read(stimulus, graph, batch_axis=batch_axis, steps=steps_in_file).inputs
    path = output or folder.parent / f"{folder.resolve().name}.html"
    content = dossier.dossier(
        folder, inputs, given="" if stimulus is None else str(stimulus), doing=told.doing
    )
    write_whole(path, content)
    told.ready()
    told.answer(answers.reported(path, len(content)))
