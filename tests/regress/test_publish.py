"""What a run says elsewhere: XML that parsers read, Markdown that stays one table, annotations that GitHub reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from nmc.regress import publish
from nmc.regress.changes import Change, Kind
from nmc.regress.run import Report, Verdict
from nmc.regress.suite import Case

CASE = Case("net@loihi", Path("net.nir"), "loihi")
MOVED = (
    Change(Kind.SPEC, "limits.cores.value", "128.0", "64.0", False),
    Change(Kind.METRIC, "spikes.a|b", "1", "2 <\x01&>\n%"),
)
REPORT = Report("lab", (Verdict(CASE, None, ()), Verdict(replace(CASE, name="other@fpga"), None, MOVED)))


def test_junit_has_a_test_case_each_and_a_failure_with_the_cause_first() -> None:
    root = ET.fromstring(publish.junit(REPORT))
    (suite,) = root
    assert suite.attrib["tests"] == "2" and suite.attrib["failures"] == "1"
    passed, failed = suite
    assert (passed.attrib["classname"], passed.attrib["name"]) == ("lab.loihi", "net")
    assert len(passed) == 0
    (failure,) = failed
    assert failure.attrib["message"].startswith(
        "spec limits.cores.value: 128.0 -> 64.0; moved: metric spikes"
    )
    assert failure.text is not None and failure.text.startswith("spec limits.cores.value")


def test_markdown_is_a_table_whatever_names_hold() -> None:
    text = publish.markdown(REPORT)
    assert text.startswith("### lab: 1 of 2 moved")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 4
    assert "spikes.a\\|b" in text
    assert "&lt;" in text and "<\x01" not in text


def test_workflow_commands_are_a_line_for_each_failed_case() -> None:
    (line,) = publish.workflow_commands(REPORT, file="a,b.toml").splitlines()
    assert line.startswith("::error file=a%2Cb.toml,title=other@fpga::spec limits")


def test_a_run_without_failures_says_so() -> None:
    good = Report("lab", REPORT.verdicts[:1])
    assert "all as their baselines say" in publish.markdown(good)
    assert publish.workflow_commands(good, file="x") == ""
