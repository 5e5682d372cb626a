"""The commands on suites: regress run, update, diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from nmc import answers
from nmc.cli.options import FILE, FOLDER
from nmc.cli.screen import REFUSED, common, screen

if TYPE_CHECKING:
    from nmc.regress.run import Report
    from nmc.regress.suite import Suite

P = ParamSpec("P")
R = TypeVar("R")

_OUT = click.Path(dir_okay=False, path_type=Path)


@click.group()
def regress() -> None:
    """Hardware regression: run a suite of networks and targets, and tell what moved since its baselines."""


def running(function: Callable[P, R]) -> Callable[P, R]:
    """The suite, its cases, and how they run."""
    for add in (
        click.option("--no-cache", is_flag=True, help="Measure every case anew."),
        click.option(
            "--cache", type=click.Path(file_okay=False, path_type=Path), help="The folder of known results."
        ),
        click.option("--workers", type=click.IntRange(min=1), help="Processes; without, one a core."),
        click.option(
            "--case", "names", multiple=True, metavar="NAME", help="A case, or a network; without, all."
        ),
        click.argument("file", type=FILE, metavar="SUITE"),
    ):
        function = add(function)
    return function


@regress.command()
@running
@click.option("--junit", type=_OUT, metavar="FILE", help="Write JUnit XML.")
@click.option(
    "--markdown",
    type=_OUT,
    metavar="FILE",
    help="Write a summary for a pull request; added to what is there.",
)
@click.option("--github", is_flag=True, help="Print GitHub annotations, on stderr.")
@common
def run(
    *,
    file: Path,
    names: tuple[str, ...],
    workers: int | None,
    cache: Path | None,
    no_cache: bool,
    junit: Path | None,
    markdown: Path | None,
    github: bool,
) -> None:
    """Run SUITE and compare with its baselines. Exit code 1 if anything moved that may not."""
    from nmc.regress import publish
    from nmc.whole import write_whole

    suite, report = _run(file, names, workers, None if no_cache else cache or "", screen().doing)
    told = screen()
    if junit is not None:
        write_whole(junit, publish.junit(report))
    if markdown is not None:
        before = markdown.read_text() if markdown.is_file() else ""
        write_whole(markdown, (before + publish.markdown(report)).encode())
    told.ready()
    if github:
        click.echo(publish.workflow_commands(report, file=os.path.relpath(suite.file)), err=True, nl=False)
    told.answer(answers.regressed(report))
    if not report.passed:
        click.get_current_context().exit(REFUSED)


@regress.command()
@running
@click.option("--reason", required=True, metavar="TEXT", help="Why results moved; kept in the baselines.")
@common
def update(
    *,
    file: Path,
    names: tuple[str, ...],
    workers: int | None,
    cache: Path | None,
    no_cache: bool,
    reason: str,
) -> None:
    """Run SUITE, show what moved, and make that the baselines."""
    from nmc.regress import run as suites

    if not reason.strip():
        raise click.UsageError("give a reason with --reason")
    suite, report = _run(file, names, workers, None if no_cache else cache or "", screen().doing)
    written = suites.update(suite, report, reason.strip())
    told = screen()
    told.ready()
    told.answer(answers.updated(report, written, reason=reason.strip()))


@regress.command()
@click.argument("before", type=FOLDER)
@click.argument("after", type=FOLDER)
@common
def diff(*, before: Path, after: Path) -> None:
    """Tell what differs between two folders of baselines. Exit code 1 if anything does."""
    from nmc.regress import run as suites

    moved = suites.diff(before, after)
    screen().answer(answers.differing(moved))
    if moved:
        click.get_current_context().exit(REFUSED)


def _run(
    file: Path,
    names: tuple[str, ...],
    workers: int | None,
    cache: Path | str | None,
    doing: Callable[[str], None],
) -> tuple[Suite, Report]:
    """`cache`: a folder, "" for nmc's own, None for none."""
    from nmc.regress import run as suites
    from nmc.regress import suite as files
    from nmc.regress.cache import Cache, default_folder

    doing(f"reading {file}")
    suite = files.read(file).only(names)
    folder = default_folder() if cache == "" else cache
    known = None if folder is None else Cache(Path(folder))
    return suite, suites.run(suite, cache=known, processes=workers or os.cpu_count() or 1, doing=doing)
