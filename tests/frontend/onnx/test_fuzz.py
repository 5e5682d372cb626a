"""Damaged files give a finding or a graph, never a traceback, never a warning, and soon."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nmc.diagnostics import CompileError
from nmc.frontend.load import load
from tests.frontend.onnx.mutate import mutants

SEEDS = (
    "snn_digits_mlp_step_ts",
    "norse_refrac_step_dyn",
    "plain_scan_dyn",
    "sj14_conv_lif_loop_ts",
    "rockpool_lif_dyn",
    "sj_ssa_ms_dyn",
    "gru_op_temporal_ts",
    "onnx_delay_shiftreg_step_ts",
    "ann_digits_mlp_qdq",
    "plain_baked_init_unroll_ts",
)

LONGEST = 30.0
"""Seconds of this process's own time for one file; the slowest of 10,000 takes 3."""


class TookTooLongError(BaseException):
    """Not an Exception, so that no handler takes it for a fault of the file."""


@contextmanager
def time_limit() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TookTooLongError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def survive(shared: Path, tmp_path: Path, name: str, count: int) -> None:
    data = (shared / "corpus" / name / "model.onnx").read_bytes()
    path = tmp_path / "model.onnx"
    for number, mutant in enumerate(mutants(data, count, seed=100 + SEEDS.index(name))):
        path.write_bytes(mutant)
        try:
            with time_limit(), warnings.catch_warnings():
                warnings.simplefilter("error")
                load(path)
        except CompileError as refused:
            assert all(finding.code and finding.message for finding in refused.findings), number
        except BaseException as fault:
            fault.add_note(f"mutant {number} of {name}")
            raise


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_model_is_refused_or_read(shared: Path, tmp_path: Path, name: str) -> None:
    survive(shared, tmp_path, name, 24)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_ten_thousand_damaged_models_are_refused_or_read(shared: Path, tmp_path: Path, name: str) -> None:
    survive(shared, tmp_path, name, 1000)
