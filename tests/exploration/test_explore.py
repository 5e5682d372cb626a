"""`nmc explore`: what points measure, and a sweep that goes on where it was stopped, by whatever measured it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmc import driver, npz
from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError, UsageError
from nmc.engines import MACHINE, Network
from nmc.exploration import workers
from nmc.exploration.explore import check_variations, default_variations, explore
from nmc.exploration.plot import fronts
from nmc.exploration.point import Outcome, Point, Study, answers_in_reals, grid, key, measure
from nmc.exploration.store import Store
from nmc.sim.arrays import Decode
from tests.toy_files import write_data, write_model


@pytest.fixture
def study(tmp_path: Path) -> Study:
    model = driver.read(write_model(tmp_path / "net.nir"))
    data = npz.read(write_data(tmp_path / "data.npz"), model.graph, labels="y")
    assert data.labels is not None
    request = Request(calibration=data.inputs)
    return Study(model, "loihi", request, data.inputs, data.labels, Decode.COUNT, 2)


def test_grid_has_every_combination_in_order() -> None:
    points = grid({"a": ("1", "2"), "b": ("x",)}, (4, None))
    assert [str(point) for point in points] == [
        "a=1, b=x, 4 steps",
        "a=1, b=x",
        "a=2, b=x, 4 steps",
        "a=2, b=x",
    ]


def test_measure_tells_what_compile_and_simulate_tell(study: Study) -> None:
    found = measure(study, Point({"weight_bits": "4"}, 6))
    request = replace(study.request, settings={"weight_bits": "4"})
    done = driver.compile(study.model, target="loihi", request=request)
    ran = driver.simulate(
        Network(done.graph, done.artifact), {"input": study.inputs["input"][:6, :2]}, engine=MACHINE
    )
    assert ran.seconds is not None and ran.energy is not None
    assert found.metrics["seconds"] == ran.seconds / 2
    assert found.metrics["joules"] == ran.energy.joules / 2
    assert found.metrics["steps"] == 6
    assert found.metrics["bits_of_weights"] == 4 * (4 * 6 + 6 * 3)
    assert found.resources["cores"] == {r.name: r.used for r in done.resources}["cores"]
    whole = driver.simulate(Network(done.graph), study.inputs, steps=6)
    (output,) = whole.outputs.values()
    assert found.metrics["accuracy"] == np.mean(output.sum(axis=0).argmax(axis=-1) == study.labels)


def test_measure_takes_a_refusal_for_an_outcome(study: Study) -> None:
    found = measure(replace(study, request=replace(study.request, dt=-1.0)), Point({}, None))
    assert found.refused
    assert found.metrics == {}


def test_answers_in_reals_are_the_labels_that_the_model_gives_itself(study: Study) -> None:
    labels = answers_in_reals(study.model, Request(), study.inputs, Decode.COUNT)
    found = measure(replace(study, labels=labels), Point({"weight_bits": "8"}, None))
    assert labels.shape == study.labels.shape
    assert found.metrics["accuracy"] >= 0.6


def test_digest_of_a_study_depends_on_all_that_results_depend_on(study: Study) -> None:
    others = [
        replace(study, target="fpga"),
        replace(study, timed=3),
        replace(study, decode=Decode.LAST),
        replace(study, labels=1 - study.labels),
        replace(study, inputs={"input": 1 - study.inputs["input"]}),
        replace(study, request=replace(study.request, settings={"neurons": "nearest"})),
        replace(study, request=replace(study.request, calibration={})),
        replace(study, model=replace(study.model, digest="0")),
    ]
    assert len({each.digest for each in [study, *others]}) == len(others) + 1
    assert key("a", Point({"x": "1", "y": "2"}, 3)) == key("a", Point({"y": "2", "x": "1"}, 3))


def test_explore_finds_the_same_by_processes_and_by_itself(study: Study) -> None:
    points = grid({"weight_bits": ("2", "4", "8")}, (6, None))
    alone = explore(study, points)
    assert [each.point for each in alone.outcomes] == list(points)
    assert explore(study, points, processes=2) == alone
    assert alone.front
    assert fronts("net.nir", alone) == fronts("net.nir", alone)
    assert b"<svg" in fronts("net.nir", alone)


def test_explore_measures_only_what_is_not_known(study: Study, tmp_path: Path) -> None:
    points = grid({"weight_bits": ("2", "4")}, (None,))
    store = Store(tmp_path / "sweep", study.digest)
    made_up = Outcome(points[0], {"accuracy": 0.123})
    store.keep(made_up)
    sweep = explore(study, points, store=store)
    assert sweep.outcomes[0] == made_up
    assert sweep.outcomes[1] == measure(study, points[1])


def test_explore_on_a_cluster_finds_the_same(study: Study) -> None:
    distributed = pytest.importorskip("distributed")
    points = grid({"weight_bits": ("2", "8")}, (None,))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        assert explore(study, points, cluster=cluster.scheduler_address) == explore(study, points)


def test_explore_names_a_cluster_that_does_not_answer(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "PATIENCE", 0.1)
    with pytest.raises(CompileError) as refused:
        explore(study, grid({}, (None,)), cluster="tcp://127.0.0.1:9")
    assert refused.value.findings[0].code == "NMC342"


def test_check_variations_names_settings_and_values_that_the_target_does_not_have() -> None:
    with pytest.raises(UsageError) as refused:
        check_variations("loihi", {"weight_bit": ("4",), "weight_bits": ("4", "40")})
    first, second = refused.value.findings
    assert first.help == "did you mean `weight_bits`?"
    assert "`40`" in second.message


@pytest.mark.parametrize("target", registry.names())
def test_default_variations_are_values_of_the_target(target: str) -> None:
    varied = default_variations(target)
    assert varied["weight_bits"]
    check_variations(target, varied)


# ---- killed, and resumed ----------------------------------------------------------------------------------

VARIED = (
    "--vary",
    "weight_bits=2,3,4,5,6,7,8",
    "--vary",
    "message_bits=2,4,6,8",
    "--steps",
    "1,2,3,4,5,6,7,8",
)


def command(folder: Path, output: str, *more: str) -> list[str]:
    script = "from nmc.cli import main; main()"
    given = ("net.nir", "--target", "loihi", "--calibrate", "data.npz", "--labels", "y", "--timed", "1")
    return [sys.executable, "-c", script, "explore", *given, *VARIED, "-o", str(folder / output), *more]


def children(pid: int) -> list[int]:
    """The worker processes of a process: those that it has spawned to measure points."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def table(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "sweep.json").read_text())["points"]


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds worker processes in /proc, as Linux has it"
)
def test_sweep_of_200_points_ends_with_the_same_table_when_it_was_killed(tmp_path: Path) -> None:
    write_model(tmp_path / "net.nir")
    write_data(tmp_path / "data.npz")
    whole = subprocess.run(command(tmp_path, "whole"), cwd=tmp_path, check=True, capture_output=True)
    assert len(table(tmp_path / "whole")) == 224
    with subprocess.Popen(
        command(tmp_path, "killed", "--workers", "2", "-v"), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        done, left = 0, list[int]()
        for line in running.stderr:
            if " of 224 points: " not in line:
                continue
            done = int(line.split()[0])
            if done == 40:
                os.kill(children(running.pid)[0], signal.SIGKILL)
            if done == 110:
                left = children(running.pid)
                running.kill()
                break
    assert done == 110
    assert left
    for worker in left:  # they end with the process that started them
        while Path(f"/proc/{worker}/cmdline").exists() and Path(f"/proc/{worker}/cmdline").read_bytes():
            os.sched_yield()
    kept = len(list((tmp_path / "killed" / "points").glob("*.json")))
    assert 110 <= kept < 224
    assert not (tmp_path / "killed" / "sweep.json").exists()
    resumed = subprocess.run(
        command(tmp_path, "killed", "-v"), cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert f"{kept} of 224 points are known" in resumed.stderr
    assert table(tmp_path / "killed") == table(tmp_path / "whole")
    assert whole.stdout.replace(b"whole", b"killed") == resumed.stdout.encode()
