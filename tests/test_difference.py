"""`nmc diff`: nothing for equal things, and for others each difference once, with both values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest

from nmc import driver
from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.difference import Difference, Level, differences, open_side
from tests.toy_files import write_model


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:TOY"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "a.nir")


def between(before: Path, after: Path) -> tuple[Difference, ...]:
    return differences(open_side(before), open_side(after))


def changed(model: Path, change: Callable[[nir.NIRGraph], None]) -> tuple[Difference, ...]:
    graph = nir.read(model)
    change(graph)
    other = model.with_name("b.nir")
    nir.write(other, graph)
    return between(model, other)


def artifact(model: Path, name: str, **settings: str) -> Path:
    folder = model.with_name(name)
    driver.write(driver.compile(model, target="toy", request=Request(settings=settings)).artifact, folder)
    return folder


def test_equal_models_and_artifacts_do_not_differ(model: Path) -> None:
    assert between(model, model) == ()
    assert between(artifact(model, "one"), artifact(model, "other")) == ()


def test_a_weight_is_named_with_its_place_and_both_values(model: Path) -> None:
    def change(graph: nir.NIRGraph) -> None:
        graph.nodes["fc1"].weight[2, 1] = 7.5

    (found,) = changed(model, change)
    assert (found.level, found.where) == (Level.NODE, "fc1.weight")
    assert found.what.startswith("1 of 24 values differ")
    assert "first at [2, 1]: " in found.what and found.what.endswith("and now 7.5")


def test_a_threshold_is_named_with_both_values(model: Path) -> None:
    def change(graph: nir.NIRGraph) -> None:
        graph.nodes["lif1"].v_threshold[...] = 0.5

    (found,) = changed(model, change)
    assert found.where == "lif1.threshold"
    assert found.what.endswith("first at [0]: 1, and now 0.5")


def test_a_loop_that_came_is_a_node_and_edges(model: Path) -> None:
    other = write_model(model.with_name("b.nir"), recurrent=True)
    found = between(model, other)
    assert Difference(Level.NODE, "rec", "this Linear is new") in found
    edges = [each for each in found if each.level is Level.EDGE]
    assert {each.where for each in edges} == {"lif1 -> rec", "rec -> lif1"}
    layer = next(each for each in found if each.level is Level.LAYER)
    assert (layer.where, layer.what) == ("lif1", "synapses 24, and now 60")


def test_artifacts_differ_from_the_setting_down_to_lines_and_bytes(model: Path) -> None:
    found = between(artifact(model, "eight"), artifact(model, "four", weight_bits="4"))
    assert Difference(Level.PASSES, "quantize, weight_bits", "8, and now 4") in found
    assert any(each.level is Level.LAYER and each.what == "bits 8, and now 4" for each in found)
    files = {each.where: each.what for each in found if each.level is Level.FILE}
    assert files["graph.nmc"].startswith("differs from line ")
    arrays = [what for name, what in files.items() if name.endswith(".npy")]
    assert arrays and all(what.startswith("differs from byte ") for what in arrays)


def test_a_model_and_an_artifact_are_told_apart(model: Path) -> None:
    first = between(model, artifact(model, "one"))[0]
    assert "is compiled" in first.what and "is a model" in first.what


def test_shapes_that_differ_are_told_as_shapes(model: Path) -> None:
    def widen(graph: nir.NIRGraph) -> None:
        graph.nodes["fc2"].weight = np.ones((4, 6))
        lif = graph.nodes["lif2"]
        for name in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
            setattr(lif, name, np.full(4, getattr(lif, name)[0]))
        graph.nodes["output"].output_type = {"output": np.array([4])}

    found = changed(model, widen)
    assert any(each.where == "lif2" and each.what == "shape (3,), and now (4,)" for each in found)
