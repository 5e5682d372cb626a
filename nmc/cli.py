"""The command line: arguments in, text and an exit code out. The only file that prints.

Exit codes: 0 done; 1 the model does not compile, or a simulation diverges; 2 usage; 3 a fault of nmc itself. Text
goes to stdout and what went wrong to stderr; with `--json` stdout is one document and all text goes to stderr.
Everything but click and the standard library is imported by the command that needs it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

import nmc
from nmc import answers
from nmc.answers import Answer
from nmc.diagnostics import CompileError, Diagnostic, Loc, Severity, UsageError, error, nearest

if TYPE_CHECKING:
    from nmc.ir.graph import Graph
    from nmc.passes.pipeline import Pass

P = ParamSpec("P")
R = TypeVar("R")

RESETS = ("zero", "subtract", "multi-spike")
DONE, REFUSED, USAGE, FAULT = 0, 1, 2, 3
COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


# ---- speaking ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Screen:
    """How a command speaks: `quiet` says only what is wrong, `verbose` also what is being done."""

    command: str = ""
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def answer(self, answer: Answer) -> None:
        """Print what a command has to say."""
        if self.json:
            click.echo(answers.as_json(self.command, answer.document))
        if not self.quiet and answer.text:
            click.echo(answer.text, err=self.json)

    def doing(self, what: str) -> None:
        """Say what is being done: a line each with `-v`, else one line that comes and goes, on a terminal only."""
        if self.verbose:
            click.echo(what, err=True)
        elif not self.quiet and sys.stderr.isatty():
            click.echo(f"\r\x1b[K{what}", nl=False, err=True)

    def progress(self, what: str) -> Callable[[int, int], None]:
        """Show how much of `what` is done, in percent, on a terminal only."""
        shown = -1

        def show(done: int, total: int) -> None:
            nonlocal shown
            percent = 100 * done // total
            if percent != shown and not self.quiet and sys.stderr.isatty():
                shown = percent
                click.echo(f"\r\x1b[K{what}: {percent} %", nl=False, err=True)

        return show

    def ready(self) -> None:
        """Take the line of `doing` away."""
        if not self.quiet and sys.stderr.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)

    def refuse(self, findings: Sequence[Diagnostic]) -> None:
        """Print findings that ended a command."""
        self.ready()
        for finding in findings:
            head, *rest = str(finding).split("\n")
            severity, colon, message = head.partition(":")
            styled = click.style(severity, fg=COLOURS[finding.severity], bold=True)
            click.echo("\n".join([styled + colon + message, *rest]), err=True)
        if self.json:
            click.echo(answers.as_json(self.command, {"findings": answers.findings(findings)}))


def screen() -> Screen:
    """The screen of the command that runs."""
    return click.get_current_context().find_root().ensure_object(Screen)


class Commands(click.Group):
    """The group of all commands: it turns what goes wrong in one into text, a document and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments, which a fault records."""
        ctx.meta["nmc.arguments"] = list(args)
        if "NO_COLOR" in os.environ:
            ctx.color = False
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for one that does not exist, name the nearest."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"no such command `{args[0]}`; {nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        told = ctx.ensure_object(Screen)
        try:
            return super().invoke(ctx)
        except UsageError as wrong:
            told.refuse(wrong.findings)
            ctx.exit(USAGE)
        except CompileError as refused:
            told.refuse(refused.findings)
            ctx.exit(REFUSED)
        except (click.exceptions.Exit, click.ClickException, click.Abort, KeyboardInterrupt, BrokenPipeError):
            raise
        except OSError as failed:
            place = Loc(str(failed.filename or "<command line>"))
            told.refuse([error("NMC909", f"{failed.strerror or failed}".lower(), place)])
            ctx.exit(REFUSED)
        except Exception as found:  # whatever it is, it is a fault of nmc, and it is kept
            _report_fault(found, ctx.meta["nmc.arguments"], told)
            ctx.exit(FAULT)


def _report_fault(found: Exception, arguments: Sequence[str], told: Screen) -> None:
    import traceback

    from nmc import fault

    told.ready()
    name = f"{type(found).__name__}: {found}"
    click.echo(click.style("fault of nmc", fg="red", bold=True) + f": {name}", err=True)
    folder: Path | None = None
    try:
        folder = fault.keep(found, arguments, Path(os.environ.get("NMC_FAULT_DIR", ".")))
        click.echo(f"  what is needed to replay it is in {folder}", err=True)
        click.echo(f"  to replay: cd {folder} && {fault.command(folder)}", err=True)
    except OSError as failed:
        click.echo(f"  it could not be kept ({failed}); this is its traceback:", err=True)
        click.echo("".join(traceback.format_exception(found)), err=True)
    if told.json:
        click.echo(answers.as_json(told.command, {"fault": name, "folder": folder and str(folder)}))


def common(function: Callable[P, R]) -> Callable[P, R]:
    """`--json`, `-q` and `-v`, which every command has."""

    def keep(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        told = ctx.find_root().ensure_object(Screen)
        told.command = ctx.command_path.split()[1]
        match parameter.name:  # `or`: given to `nmc tools`, they hold for `install` too
            case "as_json":
                told.json = told.json or value
            case "quiet":
                told.quiet = told.quiet or value
            case _:
                told.verbose = told.verbose or value

    for names, says in (
        (("-v", "--verbose"), "Also say what is being done."),
        (("-q", "--quiet"), "Say only what is wrong."),
        (("--json", "as_json"), "One JSON document on stdout; text goes to stderr."),
    ):
        function = click.option(
            *names, is_flag=True, expose_value=False, is_eager=True, callback=keep, help=says
        )(function)
    return function


# ---- arguments that several commands have -----------------------------------------------------------------

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ANY = click.Path(exists=True, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def meaning(function: Callable[P, R]) -> Callable[P, R]:
    """`--dt`, `--preset` and `--reset`: what a model file may leave open."""
    for add in (
        click.option("--reset", type=click.Choice(RESETS), help="What a spike does to the membrane."),
        click.option("--preset", metavar="NAME", help="The rules of a framework, such as `snntorch`."),
        click.option("--dt", type=float, metavar="SECONDS", help="The length of a step."),
    ):
        function = add(function)
    return function


_steps_in_file = click.option(
    "--steps-in-file",
    type=click.IntRange(min=1),
    metavar="T",
    help="The steps that an ONNX file folds into an axis with the samples.",
)


def hinted(function: Callable[P, R]) -> Callable[P, R]:
    """`--state`, `--time-axis` and `--steps-in-file`: what an ONNX file may leave open."""
    for add in (
        _steps_in_file,
        click.option(
            "--time-axis", type=int, metavar="K", help="The axis of an ONNX file's inputs that is time."
        ),
        click.option(
            "--state",
            "states",
            multiple=True,
            metavar="OUT=IN",
            callback=_pairs,
            help="An output of an ONNX file that is the next value of an input.",
        ),
    ):
        function = add(function)
    return function


def setting(function: Callable[P, R]) -> Callable[P, R]:
    """`--set name=value`."""
    return click.option(
        "--set",
        "given",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_pairs,
        help="A setting of the target; `nmc targets NAME` lists them.",
    )(function)


def _pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"`{text}` is not {parameter.metavar}", ctx, parameter)
        pairs[name] = value
    return pairs


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(nmc.__version__, prog_name="nmc", message="%(prog)s %(version)s")
def cli() -> None:
    """Compile trained spiking neural networks to neuromorphic hardware, exactly."""


# ---- commands ---------------------------------------------------------------------------------------------


@cli.command("compile")
@click.argument("model", type=_FILE)
@click.option("--target", required=True, metavar="NAME", help="What to compile to; `nmc targets` lists them.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="The artifact's folder."
)
@click.option("--calibrate", type=_FILE, metavar="IN.npz", help="Inputs on which ranges are measured.")
@meaning
@hinted
@setting
@click.option("--dump-after", multiple=True, metavar="PASS", help="Show the graph after a pass.")
@click.option("--stop-after", metavar="PASS", help="Show the graph after a pass and stop; write nothing.")
@click.option("--check", type=_FOLDER, metavar="DIR", help="Write nothing; tell what a compile would change.")
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

    told = screen()
    request = Request(dt, preset, reset, settings=given)
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
    changes = None if check is None else driver.changes(done.artifact, check)
    if output is not None:
        driver.write(done.artifact, output)
    told.ready()
    told.answer(answers.compiled(done, output=output, changes=changes))
    if changes:
        click.get_current_context().exit(REFUSED)


@cli.command()
@click.argument("model", type=_ANY, metavar="MODEL|DIR")
@click.option("--input", "stimulus", type=_FILE, required=True, metavar="IN.npz", help="An array per input.")
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


@cli.command()
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.option(
    "--input", "stimulus", type=_FILE, metavar="IN.npz", help="Inputs; without, seeded random spikes."
)
@click.option("--batch-axis", type=int, metavar="K", help="The axis of samples in IN.npz, if it is not 1.")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="WITNESS",
    help="A witness; all that are here if none is named.",
)
@_steps_in_file
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


@cli.command()
@click.argument("model", type=_ANY, metavar="MODEL|DIR")
@hinted
@common
def inspect(*, model: Path, states: dict[str, str], time_axis: int | None, steps_in_file: int | None) -> None:
    """Show what a network is: its layers, its neurons' equations, its loops and delays."""
    from nmc import driver

    screen().answer(answers.inspected(driver.inspect(model, driver.Hints(states, time_axis, steps_in_file))))


@cli.command()
@click.argument("name", required=False)
@common
def targets(name: str | None) -> None:
    """List the targets, or all that is known of one."""
    from nmc.backends import registry

    if name is not None:
        screen().answer(answers.target(registry.load(name)))
    else:
        screen().answer(answers.targets([registry.load(each) for each in registry.names()]))


@cli.command()
@click.option("--target", required=True, metavar="NAME", help="Whose passes.")
@setting
@common
def passes(target: str, given: dict[str, str]) -> None:
    """List the passes of a target in their order, what each needs and what it gives."""
    from nmc import driver
    from nmc.backends.backend import Request

    screen().answer(answers.passes(target, driver.passes(target, Request(settings=given))))


@cli.command()
@click.argument("code", required=False)
@common
def explain(code: str | None) -> None:
    """Explain a finding, such as NMC012; without a code, list them all."""
    from nmc.errors import CATALOGUE

    if code is None:
        screen().answer(answers.codes(CATALOGUE))
        return
    known = code.upper()
    if known not in CATALOGUE:
        raise UsageError(
            error("NMC906", f"unknown code `{code}`", Loc("<command line>"), help=nearest(known, CATALOGUE))
        )
    screen().answer(answers.explained(known, CATALOGUE[known]))


@cli.group(invoke_without_command=True)
@common
@click.pass_context
def tools(ctx: click.Context) -> None:
    """List the witnesses, simulators that are not ours, and whether they are here."""
    from nmc import driver

    if ctx.invoked_subcommand is None:
        screen().answer(answers.tools(driver.tools()))


@tools.command()
@click.argument("name")
@common
def install(name: str) -> None:
    """Install a witness in nmc's own folder of the user's cache."""
    from nmc import driver

    told = screen()
    tool = driver.install(name, doing=told.doing)
    told.ready()
    told.answer(answers.tools([tool]))


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="nmc")
