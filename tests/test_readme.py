"""What the documentation shows is what its commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from nmc import driver
from nmc.cli import cli
from nmc.errors import CATALOGUE
from tests import sessions

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "name", [name for name, page in zip(NAMES, PAGES, strict=True) if BLOCK.search(page.read_text())]
)
def test_commands_and_programs_print_what_the_page_shows(name: str, tmp_path: Path) -> None:
    document = (ROOT / name).read_text()
    if "--engine lava" in document:
        lava = next(tool for tool in driver.tools() if tool.name == "lava")
        if lava.missing is not None:
            pytest.skip(lava.missing)
    environment = sessions.prepare(tmp_path)
    for kind, block in BLOCK.findall(document):
        if kind == "console":
            for step in sessions.steps(block):
                assert sessions.run(step, tmp_path, environment) == step.printed, step.command
        else:
            program = sessions.Step(shlex.join(["python", "-c", block]), "")
            shown = "\n".join(re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE))
            assert sessions.run(program, tmp_path, environment) == shown


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_codes_that_a_page_names_are_in_the_catalogue(page: Path) -> None:
    assert set(re.findall(r"\bNMC\d{3}\b", page.read_text())) <= set(CATALOGUE)


def test_page_of_the_command_line_names_every_command_and_option() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    waiting: list[tuple[str, click.Command]] = [("nmc", cli)]
    missing: list[str] = []
    while waiting:
        name, command = waiting.pop()
        if isinstance(command, click.Group):
            waiting += [(f"{name} {each}", found) for each, found in command.commands.items()]
        options = [option for parameter in command.params for option in parameter.opts if option[0] == "-"]
        missing += [f"{name} {option}" for option in options if not re.search(rf"{option}\b", page)]
        missing += [name] if name not in page else []
    assert missing == []
