from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from nmc.diagnostics import CompileError
from nmc.frontend.lavadl import read, write
from nmc.ir.graph import Edge, Graph, Node, replace_graph
from nmc.ir.neuron import Reset
from nmc.ir.ops import Linear, Neuron, Scale
from nmc.ir.tensor import Tensor
from tests.frontend.lavadl import files
from tests.frontend.lavadl.files import conv, dense, even, flatten, input_, neuron
from tests.frontend.lavadl.loihi import on_loihi


def plain(graph: Graph) -> list[tuple[object, ...]]:
    """Nodes and edges without places."""
    return [(node.name, node.op) for node in graph.nodes] + [(edge,) for edge in graph.edges]


def nets(rng: np.random.Generator) -> dict[str, list[files.Layer]]:
    recurrent = dense(even(rng, 4, 6)) | {"type": "dense_rec", "weight_rec": even(rng, 4, 4)}
    image = conv(even(rng, 3, 2, 3, 3), (3, 3, 4), stride=np.array([2, 1]), padding=np.array([1, 0]))
    return {
        "dense": [input_(6), dense(even(rng, 4, 6), bias=rng.integers(-9, 9, 4)), dense(even(rng, 2, 4))],
        "recurrent": [input_(6), recurrent],
        "delays": [input_(6), dense(even(rng, 4, 6) | 2, delay=rng.integers(0, 30, (4, 6)))],
        "image": [
            input_(2, 5, 6),
            image | {"bias": np.array([1, -2, 3])},
            flatten(36),
            dense(even(rng, 2, 36)),
        ],
        "heterogeneous": [
            input_(6),
            dense(even(rng, 4, 6)) | neuron(np.arange(4), np.arange(4), np.arange(4) + 9),
        ],
    }


@pytest.mark.parametrize("name", ["dense", "recurrent", "delays", "image", "heterogeneous"])
def test_write_gives_a_file_that_reads_as_the_same_graph(tmp_path: Path, name: str) -> None:
    graph = files.read(tmp_path, *nets(np.random.default_rng(3))[name])
    write(graph, tmp_path / "again.net")
    assert plain(read(tmp_path / "again.net")) == plain(graph)


def test_write_gives_the_integers_of_a_quantized_graph(tmp_path: Path) -> None:
    graph = files.read(tmp_path, *nets(np.random.default_rng(3))["dense"])
    write(on_loihi(graph), tmp_path / "again.net")
    assert plain(read(tmp_path / "again.net")) == plain(graph)


def test_write_stores_the_type_as_slayer_does(tmp_path: Path) -> None:
    write(files.read(tmp_path, input_(3), dense(np.ones((2, 3)))), tmp_path / "again.net")
    with h5py.File(tmp_path / "again.net") as file:
        assert file["layer/1/type"][0] == b"dense"
        assert file["layer/1/neuron/iDecay"][()] == 1024


def refused(graph: Graph, path: Path) -> str:
    with pytest.raises(CompileError) as caught:
        write(graph, path)
    assert {found.code for found in caught.value.findings} == {"NMC046"}
    assert not path.exists()
    return str(caught.value)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return files.read(tmp_path, input_(3), dense(np.array([[2, 4, 6], [8, 0, 2]])))


def test_write_refuses_numbers_that_are_not_whole(graph: Graph, tmp_path: Path) -> None:
    op = graph["layer1.weight"].op
    assert isinstance(op, Linear)
    changed = graph.replace_nodes({"layer1.weight": replace(op, weight=Tensor(op.weight.values / 4))})
    assert "`weight` holds 0.5; whole numbers of -256 to 255" in refused(changed, tmp_path / "again.net")


def test_write_refuses_neurons_that_the_format_does_not_have(graph: Graph, tmp_path: Path) -> None:
    op = graph["layer1"].op
    assert isinstance(op, Neuron)
    assert op.fire is not None
    changed = graph.replace_nodes({"layer1": replace(op, fire=replace(op.fire, reset=Reset.SUBTRACT))})
    assert "reset to zero at once" in refused(changed, tmp_path / "again.net")
    silent = graph.replace_nodes({"layer1": replace(op, fire=None)})
    assert "neurons spike" in refused(silent, tmp_path / "again.net")


def test_write_refuses_what_is_no_chain(graph: Graph, tmp_path: Path) -> None:
    skipping = replace_graph(graph, edges=(*graph.edges, Edge("input", "layer1")))
    assert "not a weight layer with one source" in refused(skipping, tmp_path / "again.net")
    scaled = replace_graph(
        graph,
        nodes=(*graph.nodes, Node("scale", Scale((2,), Tensor(np.float64(2))))),
        edges=(*graph.edges[:-1], Edge("layer1", "scale"), Edge("scale", "output")),
    )
    assert "`scale` is not in the format" in refused(scaled, tmp_path / "again.net")
