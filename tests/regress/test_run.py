"""Suites: quiet when nothing moved, and when something did, its name."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import nir
import numpy as np
import pytest

from nmc.backends import registry
from nmc.backends.fpga import backend as fpga
from nmc.backends.loihi import backend as loihi
from nmc.diagnostics import CompileError
from nmc.ir.fixed import Rounding
from nmc.ir.ops import Family
from nmc.regress import baseline, measure
from nmc.regress import run as suites
from nmc.regress.cache import Cache, key
from nmc.regress.changes import Change, Kind, changes
from nmc.regress.result import Text, text_of
from nmc.regress.run import Report, Verdict
from nmc.regress.suite import Case, Suite, Tolerance

Run = Callable[[Suite], Report]


def measured(case: Case) -> Verdict:
    """The case, measured anew and held against its baseline."""
    known = baseline.read(case.model.parent / "net.suite.baselines", case.name)
    assert known is not None
    result = measure.measure(case)
    return Verdict(case, result, changes(known.result, result, case.tolerance))


def first(moved: tuple[Change, ...], kind: Kind) -> Change:
    return next(change for change in moved if change.kind is kind)


# ---- quiet ------------------------------------------------------------------------------------------------


def test_suite_is_quiet_when_nothing_changed(known: Suite, run: Run) -> None:
    for _ in range(20):
        report = run(known)
        assert report.passed
        assert all(verdict.moved == () and verdict.cached for verdict in report.verdicts)


def test_case_measured_anew_is_what_it_was(known: Suite) -> None:
    for case in known.cases:
        for _ in range(3):
            assert measured(case).moved == ()


def test_suite_fails_for_a_case_without_a_baseline(suite: Suite, run: Run) -> None:
    report = run(suite)
    assert not report.passed
    assert all(verdict.moved[0].kind is Kind.BASELINE for verdict in report.verdicts)


def test_only_what_changed_is_measured_again(known: Suite, run: Run, folder: Path) -> None:
    changed = tuple(replace(case, samples=3) if case.target == "fpga" else case for case in known.cases)
    report = run(replace(known, cases=changed))
    assert [verdict.cached for verdict in report.verdicts] == [True, False]
    assert len(list((folder / "cache").glob("*.json"))) == 3


# ---- ten places -------------------------------------------------------------------------------------------


def rewritten(folder: Path, change: Callable[[nir.NIRGraph], None]) -> None:
    graph = nir.read(folder / "net.nir")
    change(graph)
    nir.write(folder / "net.nir", graph)


def test_a_weight_bit_is_named(known: Suite, folder: Path) -> None:
    def flip(graph: nir.NIRGraph) -> None:
        weight = graph.nodes["fc1"].weight
        weight[2, 1] = np.float64(weight[2, 1]) * 1.25

    rewritten(folder, flip)
    verdict = measured(known.cases[0])
    assert not verdict.passed
    assert first(verdict.moved, Kind.MODEL).where == "model: fc1.weight"
    assert {change.kind for change in verdict.effects} >= {Kind.FILE}


def test_a_threshold_is_named_with_its_values_and_the_first_divergence(known: Suite, folder: Path) -> None:
    def lower(graph: nir.NIRGraph) -> None:
        graph.nodes["lif1"].v_threshold[...] = 0.25

    rewritten(folder, lower)
    verdict = measured(known.cases[0])
    named = first(verdict.moved, Kind.MODEL)
    assert named.where == "model: lif1.threshold"
    divergence = first(verdict.moved, Kind.DIVERGENCE)
    assert re.fullmatch(r"step \d+, sample \d+, `lif1` neuron \d+, (spikes|v|i)", divergence.where)
    assert any(change.kind is Kind.METRIC and change.where == "spikes.lif1" for change in verdict.effects)


def other_backend(monkeypatch: pytest.MonkeyPatch, name: str, **fields: object) -> None:
    """The target's backend with other fields."""
    other = replace(registry.load(name), **fields)  # pyright: ignore
    real = registry.load
    monkeypatch.setattr(registry, "load", lambda asked: other if asked == name else real(asked))


def test_a_rounding_mode_is_named(known: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = loihi.LOIHI.target
    stock = replace(spec.neurons[Family.CUBALIF], rounding=Rounding.FLOOR)
    monkeypatch.setattr(loihi, "SPEC", replace(spec, neurons=MappingProxyType({Family.CUBALIF: stock})))
    other_backend(monkeypatch, "loihi", target=loihi.SPEC)
    moved = measured_here(known.cases[0], monkeypatch)
    named = first(moved, Kind.SPEC)
    assert (named.where, named.before, named.after) == ("neurons.cubalif.rounding", "to_zero", "floor")


def measured_here(case: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[Change, ...]:
    """What moved, with the data files of a backend looked for where they are whoever names the backend."""
    monkeypatch.setattr(measure, "sources_of", lambda target: iter(SOURCES[target].items()))
    known = baseline.read(case.model.parent / "net.suite.baselines", case.name)
    assert known is not None
    return changes(known.result, measure.measure(case), case.tolerance)


SOURCES: Mapping[str, Mapping[str, Text]] = {
    name: dict(measure.sources_of(name)) for name in ("loihi", "fpga")
}


def test_a_memory_size_in_a_spec_is_named(known: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = loihi.LOIHI.target
    words = replace(spec.limits["synaptic_words_per_core"], value=8000.0)
    limits = MappingProxyType({**spec.limits, "synaptic_words_per_core": words})
    other_backend(monkeypatch, "loihi", target=replace(spec, limits=limits))
    moved = measured_here(known.cases[0], monkeypatch)
    named = first(moved, Kind.SPEC)
    assert named.where == "limits.synaptic_words_per_core.value"
    assert (named.before, named.after) == ("16380", "8000.0")


def test_a_pass_order_is_named(known: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(request: object) -> tuple[object, ...]:
        steps = list(loihi.pipeline(request))  # pyright: ignore
        names = [step.name for step in steps]
        at, to = names.index("lower_pools"), names.index("connect")
        steps[at], steps[to] = steps[to], steps[at]
        return tuple(steps)

    other_backend(monkeypatch, "loihi", pipeline=swapped)
    moved = measured_here(known.cases[0], monkeypatch)
    named = first(moved, Kind.PIPELINE)
    assert named.before.index("lower_pools") < named.before.index("connect")
    assert named.after.index("connect") < named.after.index("lower_pools")


@pytest.mark.parametrize(
    ("target", "file"), [("fpga", "rtl/nmc_neuron.sv"), ("loihi", "run_lava.py.txt"), ("fpga", "spec.py")]
)
def test_a_line_of_a_backends_file_is_named(
    known: Suite, monkeypatch: pytest.MonkeyPatch, target: str, file: str
) -> None:
    content = (Path(fpga.__file__).parent.parent / target / file).read_bytes()
    lines = content.split(b"\n")
    lines[4] += b" "
    changed = {**SOURCES[target], file: text_of(b"\n".join(lines))}
    monkeypatch.setattr(measure, "sources_of", lambda name: iter({**SOURCES, target: changed}[name].items()))
    (case,) = [case for case in known.cases if case.target == target]
    named = first(measured(case).moved, Kind.SOURCE)
    assert named.where == f"{file}, line 5"


def test_a_preset_is_named(known: Suite) -> None:
    verdict = measured(replace(known.cases[0], preset="spyx"))
    named = verdict.moved[0]
    assert (named.kind, named.where, named.before, named.after) == (
        Kind.OPTION,
        "preset",
        "nothing",
        "spyx",
    )
    assert any(
        change.kind is Kind.PASS and change.where.startswith("discretize: ") for change in verdict.moved
    )


def test_a_dependencys_version_is_named_and_fails_if_the_suite_says_so(
    known: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = measure.environment()
    monkeypatch.setattr(measure, "environment", lambda: {**real, "numpy": "9.9.9"})
    verdict = measured(known.cases[0])
    assert verdict.passed
    named = verdict.moved[0]
    assert (named.kind, named.where, named.before, named.after) == (
        Kind.ENVIRONMENT,
        "numpy",
        real["numpy"],
        "9.9.9",
    )
    strict = replace(known.cases[0], tolerance=Tolerance(dependencies=True))
    assert not measured(strict).passed


def test_an_emitted_line_is_named(known: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a routing entry: a line of a text file of the artifact."""
    case = known.cases[1]
    known_result = baseline.read(known.baselines, case.name)
    assert known_result is not None
    before = known_result.result
    name = next(name for name, text in before.files.items() if len(text.lines) > 6)
    lines = list(before.files[name].lines)
    lines[5] = "00000000"
    after = replace(before, files={**before.files, name: Text("0" * 64, tuple(lines))})
    (named,) = changes(before, after, Tolerance())
    assert (named.kind, named.where, named.fails) == (Kind.FILE, f"{name}, line 6", True)


# ---- tolerances -------------------------------------------------------------------------------------------


def test_metrics_may_move_as_far_as_their_tolerance(known: Suite) -> None:
    kept = baseline.read(known.baselines, known.cases[0].name)
    assert kept is not None
    before = replace(kept.result, metrics={"joules": 1.0, "accuracy": 0.9, "spikes.a": 100.0, "bytes": 10.0})
    for metric, value, tolerance, passes in (
        ("joules", 1.04, Tolerance(joules=0.05), True),
        ("joules", 1.06, Tolerance(joules=0.05), False),
        ("joules", 0.94, Tolerance(joules=0.05), False),
        ("accuracy", 0.89, Tolerance(accuracy=0.02), True),
        ("accuracy", 0.87, Tolerance(accuracy=0.02), False),
        ("spikes.a", 101.0, Tolerance(1, 1, 1, 1, 1), False),
        ("bytes", 11.0, Tolerance(1, 1, 1, 1, 1), False),
    ):
        after = replace(before, metrics={**before.metrics, metric: value})
        (change,) = changes(before, after, tolerance)
        assert (change.where, change.fails) == (metric, not passes)


def test_an_engine_that_diverges_fails_even_if_it_did_before(known: Suite) -> None:
    kept = baseline.read(known.baselines, known.cases[0].name)
    assert kept is not None
    wrong = replace(kept.result, engines={"machine": "step 3, sample 0: `a` neuron 1, v: expected 1, got 2"})
    (change,) = changes(wrong, wrong, Tolerance())
    assert change.kind is Kind.ENGINE and change.fails


# ---- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "edited", "traces", "no traces"])
def test_a_damaged_baseline_fails_its_case_and_no_other(known: Suite, run: Run, damage: str) -> None:
    path = known.baselines / f"{known.cases[0].name}.json"
    (traces,) = known.baselines.glob(f"{known.cases[0].name}.*.npz")
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-40])
        case "edited":
            document = json.loads(path.read_text())
            document["result"]["metrics"]["accuracy"] = 1.0
            path.write_text(json.dumps(document, indent=1, sort_keys=True))
        case "traces":
            traces.write_bytes(traces.read_bytes()[:-1])
        case _:
            traces.unlink()
    report = run(known)
    assert [verdict.passed for verdict in report.verdicts] == [False, True]
    (change,) = report.verdicts[0].moved
    assert change.kind is Kind.BASELINE
    assert ("digest" in change.after) == (damage in {"edited", "traces"})


def test_a_damaged_cache_is_measured_again(known: Suite, run: Run, folder: Path) -> None:
    for path in (folder / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    report = run(known)
    assert report.passed
    assert not any(verdict.cached for verdict in report.verdicts)


def test_a_cache_that_cannot_be_written_loses_nothing(known: Suite, folder: Path) -> None:
    (folder / "file").write_text("no folder")
    assert suites.run(known, cache=Cache(folder / "file" / "cache"), processes=1).passed


def test_two_runs_share_one_cache(known: Suite, folder: Path) -> None:
    reports: list[Report] = []

    def go() -> None:
        reports.append(suites.run(known, cache=Cache(folder / "fresh"), processes=1))

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.passed for report in reports] == [True, True]
    again = suites.run(known, cache=Cache(folder / "fresh"), processes=1)
    assert all(verdict.cached for verdict in again.verdicts)


def test_update_on_a_full_disk_leaves_the_baselines_that_were(
    known: Suite, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in known.baselines.iterdir()}
    changed = replace(known, cases=tuple(replace(case, samples=2) for case in known.cases))
    report = run(changed)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CompileError) as refused:
        suites.update(changed, report, "fewer samples")
    assert "no space left" in refused.value.findings[0].message
    assert {path.name: path.read_bytes() for path in known.baselines.iterdir()} == before


def test_update_keeps_the_reason_and_writes_only_what_moved(known: Suite, run: Run) -> None:
    first_case, second = known.cases
    changed = replace(known, cases=(replace(first_case, samples=2), second))
    assert suites.update(changed, run(changed), "fewer samples") == (first_case.name,)
    one, other = (baseline.read(known.baselines, case.name) for case in known.cases)
    assert one is not None and other is not None
    assert (one.reason, other.reason) == ("fewer samples", "as it is now")
    assert run(changed).passed
    assert len(list(known.baselines.iterdir())) == 4


def test_key_depends_on_everything_that_goes_in(known: Suite, folder: Path) -> None:
    case = known.cases[0]
    others = [
        replace(case, dt=1e-3),
        replace(case, settings={"weight_bits": "4"}),
        replace(case, samples=3),
        replace(case, target="fpga"),
        replace(case, stretch=2),
    ]
    names = {key(each) for each in [case, *others]}
    assert len(names) == 6
    (folder / "data.npz").write_bytes((folder / "data.npz").read_bytes() + b" ")
    assert key(case) not in names


def test_diff_tells_what_moved_between_two_folders(known: Suite, run: Run, folder: Path) -> None:
    other = replace(known, baselines=folder / "other", cases=(replace(known.cases[0], preset="snntorch"),))
    suites.update(other, run(other), "another preset")
    moved = suites.diff(known.baselines, folder / "other")
    assert moved[known.cases[0].name][0].where == "preset"
    assert moved[known.cases[1].name][0].after == "gone"
    assert suites.diff(known.baselines, known.baselines) == {}
