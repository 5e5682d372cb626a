"""The catalogue and the source name the same codes."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

import nmc
from nmc.errors import CATALOGUE, SECTIONS, Entry

SOURCE = Path(nmc.__file__).parent


def used() -> dict[str, str]:
    """Code -> a file that uses it; texts that are shown to people too."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if path.parent != SOURCE / "errors":
            for code in re.findall(r"\bNMC\d+\b", path.read_text()):
                found.setdefault(code, str(path.relative_to(SOURCE)))
    return found


def test_every_code_in_the_source_has_an_entry() -> None:
    assert {code: file for code, file in used().items() if code not in CATALOGUE} == {}


def test_every_entry_is_of_a_code_that_the_source_uses() -> None:
    assert sorted(set(CATALOGUE) - set(used())) == []


def test_no_code_is_in_two_sections_or_twice_in_one() -> None:
    assert len(CATALOGUE) == sum(len(section.entries) for section in SECTIONS)
    text = "".join(path.read_text() for path in (SOURCE / "errors").glob("*.py"))
    keys = re.findall(r'^\s+"(NMC\d+)": Entry\(', text, re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(CATALOGUE)


def test_codes_are_in_order_and_in_the_range_of_their_section() -> None:
    assert list(CATALOGUE) == sorted(CATALOGUE)
    for before, after in pairwise(SECTIONS):
        assert before.last < after.first
    for section in SECTIONS:
        for code in section.entries:
            assert re.fullmatch(r"NMC\d{3}", code) and section.first <= int(code[3:]) <= section.last


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_entry_has_a_title_a_whole_sentence_and_an_example(code: str) -> None:
    entry = CATALOGUE[code]
    assert isinstance(entry, Entry)
    assert 0 < len(entry.title) <= 80 and not entry.title.endswith(".")
    assert len(entry.explanation) > 20 and entry.explanation.endswith((".", "`", ")"))
    assert entry.example and entry.example not in entry.explanation
