"""What a run of a suite says where people look: JUnit XML for CI, Markdown for a pull request, GitHub annotations."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from nmc.regress.run import Report, Verdict

MOST = 12
"""Changes of a case that are listed; the rest are counted."""


def junit(report: Report) -> bytes:
    """JUnit XML: a test case a case, a failure with all that moved."""
    failed = sum(not verdict.passed for verdict in report.verdicts)
    suite = ET.Element(
        "testsuite",
        name=report.suite,
        tests=str(len(report.verdicts)),
        failures=str(failed),
        errors="0",
        skipped="0",
    )
    for verdict in report.verdicts:
        network, _, target = verdict.case.name.rpartition("@")
        case = ET.SubElement(suite, "testcase", classname=f"{report.suite}.{target}", name=network)
        if not verdict.passed:
            failure = ET.SubElement(case, "failure", message=_printable(headline(verdict)))
            failure.text = _printable("\n".join(str(change) for change in verdict.moved))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _printable(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "".join(c if c in "\t\n" or c >= " " else "?" for c in text)


def headline(verdict: Verdict) -> str:
    """A failed case in one line: what did it, and what that did."""
    first, effects = verdict.cause, verdict.effects
    assert first is not None
    others = [change for change in effects if change is not first]
    rest = f"; moved: {', '.join(f'{c.kind.value} {c.where}' for c in others[:3])}" if others else ""
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"{first}{rest}{more}"


def markdown(report: Report) -> str:
    """A summary for a pull request: a table of all cases, and what moved in those that failed."""
    failed = [verdict for verdict in report.verdicts if not verdict.passed]
    head = "all as their baselines say" if not failed else f"{len(failed)} of {len(report.verdicts)} moved"
    lines = [f"### {report.suite}: {head}", "", "| case | | moved |", "| --- | --- | --- |"]
    for verdict in report.verdicts:
        mark = "passed" if verdict.passed else "**failed**"
        moved = _cell(str(verdict.cause)) if verdict.cause is not None else ""
        lines.append(f"| {_cell(verdict.case.name)} | {mark} | {moved} |")
    for verdict in failed:
        lines += ["", f"<details><summary>{_cell(verdict.case.name)}</summary>", ""]
        lines += [f"- {_cell(str(change))}" for change in verdict.moved[:MOST]]
        lines += [f"- and {len(verdict.moved) - MOST} more"] if len(verdict.moved) > MOST else []
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("\n", " ")):
        text = text.replace(mark, shown)
    return text


def workflow_commands(report: Report, *, file: str) -> str:
    """GitHub's workflow commands: an error a failed case, at the suite's file."""
    lines = [
        f"::error file={_escaped(file, also=',:')},title={_escaped(verdict.case.name, also=',:')}"
        f"::{_escaped(headline(verdict))}"
        for verdict in report.verdicts
        if not verdict.passed
    ]
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str, *, also: str = "") -> str:
    """As GitHub's toolkit escapes data, and what a property may not hold either."""
    for mark in ("%", "\r", "\n", *also):
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text
