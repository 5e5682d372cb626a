"""The Python API: compiles are exact and repeatable, options are checked, what is refused names the nearest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import artifact, driver
from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError, UsageError
from nmc.ir import text
from nmc.ir.graph import Graph
from nmc.passes.pipeline import Pass
from tests.toy_files import CLASSES, HIDDEN, INPUTS, write_model


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:TOY", "crooked": "tests.toy:CROOKED"})
    monkeypatch.setenv("NMC_TEST_TOY", str(tmp_path / "installed"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "net.nir")


def test_read_keeps_the_name_and_the_digest_of_the_file(model: Path) -> None:
    source = driver.read(model)
    assert source.name == "net.nir"
    assert source.digest == artifact.sha256(model.read_bytes())


def test_compile_gives_layers_resources_and_the_layer_that_loses_most(model: Path) -> None:
    done = driver.compile(model, target="toy")
    assert [(layer.name, layer.neurons, layer.synapses, layer.bits) for layer in done.layers] == [
        ("lif1", HIDDEN, HIDDEN * INPUTS, 8),
        ("lif2", CLASSES, CLASSES * HIDDEN, 8),
    ]
    assert all(layer.cores >= 1 for layer in done.layers)
    assert done.resources[0].name == "cores"
    assert done.loss is not None
    assert done.loss.node in {"lif1", "lif2"}
    assert 0 < done.loss.weight_error < 0.02


def test_compile_measures_the_loss_on_calibration_data(model: Path) -> None:
    data = {"input": (np.random.default_rng(0).random((20, 8, INPUTS)) < 0.5).astype(np.uint8)}
    coarse = Request(calibration=data, settings={"weight_bits": "2"})
    done = driver.compile(model, target="toy", request=coarse)
    assert done.loss is not None
    assert done.loss.output is not None
    assert done.loss.output > 0


def test_compile_holds_the_lowered_graph_and_the_program_in_its_artifact(model: Path, tmp_path: Path) -> None:
    done = driver.compile(model, target="toy")
    driver.write(done.artifact, tmp_path / "out")
    network = driver.open_network(tmp_path / "out")
    assert network.graph == done.graph
    assert (tmp_path / "out" / "program" / "graph.txt").is_file()
    manifest = done.artifact.manifest
    assert (manifest.target, manifest.model) == ("toy", "net.nir")
    assert [name for name, _ in manifest.pipeline] == [step.name for step in driver.passes("toy")]
    assert dict(manifest.pipeline)["quantize"]["weight_bits"] == "8"


def test_compile_takes_a_graph_that_was_never_a_file(model: Path) -> None:
    graph = driver.read(model).graph
    done = driver.compile(graph, target="toy")
    assert done.graph.nodes
    assert done.artifact.manifest.model == "<graph>"


def test_compile_names_no_folder_in_its_artifact(model: Path, tmp_path: Path) -> None:
    done = driver.compile(model, target="toy")
    for content in (*done.artifact.files.values(), done.artifact.manifest.to_bytes()):
        assert str(tmp_path).encode() not in content


def test_changes_tells_what_a_compile_would_change(model: Path, tmp_path: Path) -> None:
    eight = driver.compile(model, target="toy").artifact
    driver.write(eight, tmp_path / "out")
    assert driver.changes(eight, tmp_path / "out") == {}
    four = driver.compile(model, target="toy", request=Request(settings={"weight_bits": "4"})).artifact
    changed = driver.changes(four, tmp_path / "out")
    assert changed["graph.nmc"] == "changed"
    assert changed["manifest.json"] == "changed"


def test_lower_stops_after_a_pass_and_shows_every_graph_on_the_way(model: Path) -> None:
    seen: list[str] = []

    def after(step: Pass, graph: Graph) -> None:
        assert text.parse(text.show(graph), text.tensors(graph)) == graph
        seen.append(step.name)

    graph = driver.lower(model, target="toy", stop_after="connect", after=after)
    names = [step.name for step in driver.passes("toy")]
    assert seen == names[: names.index("connect") + 1]
    assert "quantized" not in graph.facts


def test_lower_names_the_nearest_pass_when_unknown(model: Path) -> None:
    with pytest.raises(UsageError) as refused:
        driver.lower(model, target="toy", stop_after="quantise")
    (finding,) = refused.value.findings
    assert (finding.code, finding.help) == ("NMC901", "did you mean `quantize`?")


def test_settings_completes_the_defaults() -> None:
    assert driver.settings(registry.load("toy"), {"colour": "green"}) == {
        "weight_bits": "8",
        "colour": "green",
    }


def test_settings_reports_every_wrong_name_and_value_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        driver.settings(registry.load("toy"), {"wieght_bits": "4", "colour": "blue"})
    assert [(f.code, f.help) for f in refused.value.findings] == [
        ("NMC902", "did you mean `weight_bits`?"),
        ("NMC902", "known: `red`, `green`"),
    ]


def test_compile_refuses_a_broken_model(tmp_path: Path) -> None:
    (tmp_path / "net.nir").write_bytes(b"")
    with pytest.raises(CompileError):
        driver.compile(tmp_path / "net.nir", target="toy")


def test_inspect_describes_a_model_in_seconds(tmp_path: Path) -> None:
    seen = driver.inspect(write_model(tmp_path / "net.nir", recurrent=True))
    assert seen.inputs == {"input": (INPUTS,)}
    assert seen.outputs == {"output": (CLASSES,)}
    assert "s * dv/dt" in seen.equations["lif1"][0]
    assert set(seen.loops[0].nodes) == {"lif1", "rec"}
    assert seen.loops[0].delay == 1


def test_inspect_describes_an_artifact_in_integers(model: Path, tmp_path: Path) -> None:
    done = driver.compile(model, target="toy")
    driver.write(done.artifact, tmp_path / "out")
    seen = driver.inspect(tmp_path / "out")
    assert (seen.name, seen.digest) == ("net.nir", done.artifact.digest)
    assert any("in integers" in sentence for sentence in seen.equations["lif1"])
