"""The pytest plugin: suites as tests, and fixtures that compile, simulate and compare.

A file `*.suite.toml` that pytest is given, or finds below what it is given, is collected as a test for each case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy.typing as npt

    from nmc.driver import Compiled
    from nmc.regress.run import Verdict
    from nmc.regress.suite import Case, Suite
    from nmc.sim.trace import SimResult

    Array = npt.NDArray[Any]

SUITES = ".suite.toml"
NO_SETTINGS: Mapping[str, object] = MappingProxyType({})


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--nmc-target`, `--nmc-witness` and `--nmc-update`."""
    group = parser.getgroup("nmc", "hardware regression")
    group.addoption(
        "--nmc-target", action="append", default=[], metavar="NAME", help="run only cases of this target"
    )
    group.addoption(
        "--nmc-witness", action="append", default=[], metavar="NAME", help="also verify against this witness"
    )
    group.addoption(
        "--nmc-update", metavar="REASON", help="make what moved the baselines, for this reason, and pass"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A suite file is a module of tests."""
    if file_path.name.endswith(SUITES):
        collected: SuiteFile = SuiteFile.from_parent(parent, path=file_path)
        return collected
    return None


class SuiteFile(pytest.File):
    """A suite: a test for each case of the targets that were asked for."""

    def collect(self) -> Iterator[pytest.Item]:
        """The cases, in the suite's order."""
        from nmc.diagnostics import CompileError
        from nmc.regress import suite as suites

        try:
            suite = suites.read(self.path)
        except CompileError as wrong:
            raise self.CollectError(str(wrong)) from None
        targets = _several(self.config, "--nmc-target")
        for case in suite.cases:
            if not targets or case.target in targets:
                item: CaseItem = CaseItem.from_parent(self, name=case.name, suite=suite, case=case)
                yield item


class CaseItem(pytest.Item):
    """A case as a test: it fails with all that moved, causes first."""

    def __init__(self, *, name: str, parent: SuiteFile, suite: Suite, case: Case) -> None:
        super().__init__(name, parent)
        self.suite = suite
        self.case = case

    def runtest(self) -> None:
        """Run the case, from the cache if it is known there, and hold it against its baseline."""
        from nmc.regress import run as suites
        from nmc.regress.cache import Cache, default_folder

        only = _with(self.suite, _beside(self.case, _several(self.config, "--nmc-witness")))
        report = suites.run(only, cache=Cache(default_folder()), processes=1)
        reason: str | None = self.config.getoption("--nmc-update")
        if reason:
            suites.update(only, report, reason)
        elif not report.passed:
            (verdict,) = report.verdicts
            raise Moved(verdict)

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,  # Any: pytest's own styles
    ) -> Any:
        """What moved, a line each, instead of a traceback."""
        if isinstance(excinfo.value, Moved):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The place of the test: its suite."""
        return self.path, None, self.name


class Moved(Exception):  # noqa: N818 - no fault of a program, but what a test tells
    """A case in which something moved that may not."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("\n".join([f"{verdict.case.name}:", *(f"  {change}" for change in verdict.moved)]))


def _several(config: pytest.Config, option: str) -> list[str]:
    given: list[str] | None = config.getoption(option)
    return given or []


def _with(suite: Suite, case: Case) -> Suite:
    from dataclasses import replace

    return replace(suite, cases=(case,))


def _beside(case: Case, witnesses: list[str]) -> Case:
    """The case with further witnesses, those that its target has."""
    from dataclasses import replace

    from nmc.backends import registry

    known = {witness.name for witness in registry.load(case.target).witnesses}
    more = [name for name in witnesses if name in known and name not in case.witnesses]
    return replace(case, witnesses=(*case.witnesses, *more))


# ---- fixtures ---------------------------------------------------------------------------------------------


@pytest.fixture
def nmc_compile(request: pytest.FixtureRequest) -> Callable[..., Compiled]:
    """`nmc_compile(model, target="loihi", settings={})`; without a target, the first of `--nmc-target`."""
    from nmc import driver
    from nmc.backends.backend import Request

    chosen = _several(request.config, "--nmc-target")

    def compile_(
        model: Path | str, *, target: str | None = None, settings: Mapping[str, object] = NO_SETTINGS
    ) -> Compiled:
        name = target or next(iter(chosen), None)
        if name is None:
            raise pytest.UsageError("nmc_compile: name a target, or run pytest with --nmc-target")
        asked = Request(settings={key: str(value) for key, value in settings.items()})
        return driver.compile(Path(model), target=name, request=asked)

    return compile_


@pytest.fixture
def nmc_simulate() -> Callable[..., SimResult]:
    """`nmc_simulate(compiled or path, inputs, engine="golden", record=())`.

    Inputs are arrays (steps, samples, *shape) by the name of an input.
    """
    from nmc import driver
    from nmc.driver import Compiled, Network

    def simulate(
        network: Compiled | Path | str,
        inputs: Mapping[str, Array],
        *,
        engine: str = "golden",
        record: tuple[str, ...] = (),
    ) -> SimResult:
        opened = (
            Network(network.graph, network.artifact)
            if isinstance(network, Compiled)
            else driver.open_network(Path(network))
        )
        return driver.simulate(opened, inputs, engine=engine, record=record)

    return simulate


@pytest.fixture
def assert_bit_exact() -> Callable[[SimResult, SimResult], None]:
    """`assert_bit_exact(expected, got)`: fails with the first step, neuron and variable that differ."""
    from nmc.sim.compare import first_divergence

    def check(expected: SimResult, got: SimResult) -> None:
        common = {*expected.trace, *expected.outputs} & {*got.trace, *got.outputs}
        assert common, "the two results have nothing in common"
        divergence = first_divergence(expected, got)
        assert divergence is None, f"{expected.by} and {got.by} diverge: {divergence}"

    return check
