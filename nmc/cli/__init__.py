"""The command line: arguments in, text and an exit code out. The only package that prints.

Exit codes: 0 done; 1 the model does not compile, or a simulation diverges; 2 usage; 3 a fault of nmc itself. Text
goes to stdout and what went wrong to stderr; with `--json` stdout is one document and all text goes to stderr.
Everything but click and the standard library is imported by the command that needs it.
"""

from __future__ import annotations

import io
import sys

import click

import nmc
from nmc.cli import lists, network, regression, studies
from nmc.cli.screen import Commands

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(nmc.__version__, prog_name="nmc", message="%(prog)s %(version)s")
def cli() -> None:
    """Compile trained spiking neural networks to neuromorphic hardware, exactly."""


for command in (
    network.compile_,
    network.simulate,
    network.verify,
    network.inspect,
    network.diff,
    network.report,
    studies.fit,
    studies.explore,
    regression.regress,
    lists.targets,
    lists.passes,
    lists.explain,
    lists.tools,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="nmc")
