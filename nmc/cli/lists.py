"""The commands that tell what there is: targets, passes, findings, witnesses."""

from __future__ import annotations

import click

from nmc import answers
from nmc.cli.options import setting
from nmc.cli.screen import common, screen
from nmc.diagnostics import Loc, UsageError, error, nearest


@click.command()
@click.argument("name", required=False)
@common
def targets(name: str | None) -> None:
    """List the targets, or all that is known of one."""
    from nmc.backends import registry

    if name is not None:
        screen().answer(answers.target(registry.load(name)))
    else:
        screen().answer(answers.targets([registry.load(each) for each in registry.names()]))


@click.command()
@click.option("--target", required=True, metavar="NAME", help="Whose passes.")
@setting
@common
def passes(target: str, given: dict[str, str]) -> None:
    """List the passes of a target in their order, what each needs and what it gives."""
    from nmc import driver
    from nmc.backends.backend import Request

    screen().answer(answers.passes(target, driver.passes(target, Request(settings=given))))


@click.command()
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


@click.group(invoke_without_command=True)
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
