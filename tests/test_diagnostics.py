"""Findings as people see them, and the errors that carry them."""

import pickle

import pytest

from nmc.diagnostics import (
    NOWHERE,
    CompileError,
    Loc,
    Severity,
    UsageError,
    error,
    nearest,
    note,
    raise_errors,
    warning,
)

PLACE = Loc("model.nir", "d1", "delay")


def test_diagnostic_shows_code_place_both_numbers_and_help() -> None:
    finding = error(
        "NMC012",
        "delay of 80 steps exceeds the 63 that `loihi` holds",
        PLACE,
        help="use a relay",
        also=(Loc("model.nir", "d2"),),
    )
    assert str(finding) == (
        "error[NMC012]: delay of 80 steps exceeds the 63 that `loihi` holds\n"
        "  --> model.nir, node `d1`, field `delay`\n"
        "  and model.nir, node `d2`\n"
        "  = help: use a relay"
    )


def test_diagnostic_leaves_out_what_it_does_not_have() -> None:
    assert str(note("NMC151", "a step of 0.001 s was assumed", NOWHERE)) == (
        "note[NMC151]: a step of 0.001 s was assumed\n  --> <graph>"
    )


def test_compile_error_carries_all_findings_through_pickling() -> None:
    findings = (warning("NMC108", "one", PLACE), error("NMC100", "two", PLACE))
    for kind in (CompileError, UsageError):
        copy = pickle.loads(pickle.dumps(kind(*findings)))
        assert type(copy) is kind
        assert copy.findings == findings
        assert str(copy) == f"{findings[0]}\n{findings[1]}"


def test_raise_errors_raises_everything_if_one_finding_is_an_error() -> None:
    said = [warning("NMC108", "one", PLACE), note("NMC151", "two", PLACE)]
    raise_errors(said)
    with pytest.raises(CompileError) as raised:
        raise_errors([*said, error("NMC100", "three", PLACE)])
    assert [finding.severity for finding in raised.value.findings] == [
        Severity.WARNING,
        Severity.NOTE,
        Severity.ERROR,
    ]


@pytest.mark.parametrize(
    ("name", "known", "help_"),
    [
        ("lohi", ("fpga", "loihi"), "did you mean `loihi`?"),
        ("zzz", ("fpga", "loihi"), "known: `fpga`, `loihi`"),
        ("zzz", (), ""),
    ],
)
def test_nearest_names_the_nearest_or_all(name: str, known: tuple[str, ...], help_: str) -> None:
    assert nearest(name, known) == help_
