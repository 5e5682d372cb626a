"""How commands speak, and what becomes of what goes wrong in one: text, a document and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from nmc import answers
from nmc.answers import Answer
from nmc.diagnostics import CompileError, Diagnostic, Loc, Severity, UsageError, error, nearest

P = ParamSpec("P")
R = TypeVar("R")

DONE, REFUSED, USAGE, FAULT = 0, 1, 2, 3
COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


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
