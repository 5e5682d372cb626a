"""Arguments that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")

RESETS = ("zero", "subtract", "multi-spike")

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ANY = click.Path(exists=True, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def meaning(function: Callable[P, R]) -> Callable[P, R]:
    """`--dt`, `--preset` and `--reset`: what a model file may leave open."""
    for add in (
        click.option("--reset", type=click.Choice(RESETS), help="What a spike does to the membrane."),
        click.option("--preset", metavar="NAME", help="The rules of a framework, such as `snntorch`."),
        click.option("--dt", type=float, metavar="SECONDS", help="The length of a step."),
    ):
        function = add(function)
    return function


steps_in_file = click.option(
    "--steps-in-file",
    type=click.IntRange(min=1),
    metavar="T",
    help="The steps that an ONNX file folds into an axis with the samples.",
)


def hinted(function: Callable[P, R]) -> Callable[P, R]:
    """`--state`, `--time-axis` and `--steps-in-file`: what an ONNX file may leave open."""
    for add in (
        steps_in_file,
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


def lists_of_values(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """`NAME=V,V,...`, each name with its values."""
    return {name: tuple(text.split(",")) for name, text in _pairs(ctx, parameter, values).items()}


def numbers(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Whole numbers above 0 with commas between them."""
    if value is None:
        return ()
    parts = value.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"`{value}` is not {parameter.metavar}", ctx, parameter)
    return tuple(int(part) for part in parts)
