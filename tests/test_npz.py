"""Files of arrays: what is read for a graph, and what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import npz
from nmc.diagnostics import CompileError, UsageError
from nmc.ir.graph import Edge, Graph, Layout, Node, OverTime, replace_graph
from nmc.ir.ops import Input, Output, Signal, SignalKind
from nmc.sim.arrays import Decode
from nmc.sim.trace import SimResult

GRAPH = Graph(
    (Node("in", Input(Signal((3,), SignalKind.SPIKE))), Node("out", Output((3,)))), (Edge("in", "out"),)
)
SPIKES = (np.arange(2 * 4 * 3) % 2).reshape(2, 4, 3).astype(np.uint8)


def test_read_takes_the_array_of_any_name_and_leaves_labels_aside(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=SPIKES, y=np.arange(4))
    data = npz.read(tmp_path / "in.npz", GRAPH, labels="y")
    assert np.array_equal(data.inputs["in"], SPIKES)
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 2, 3]
    assert data.batch_axis == 1


def test_read_moves_the_axis_of_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.moveaxis(SPIKES, 1, 0))
    assert np.array_equal(npz.read(tmp_path / "in.npz", GRAPH, batch_axis=0).inputs["in"], SPIKES)


def test_read_takes_an_array_without_samples_as_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=SPIKES[:, 0])
    data = npz.read(tmp_path / "in.npz", GRAPH)
    assert data.inputs["in"].shape == (2, 1, 3)
    assert data.batch_axis is None


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02 not an archive", b"PK\x03\x04 cut short"])
def test_read_refuses_what_is_no_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.npz").write_bytes(content)
    with pytest.raises(CompileError) as refused:
        npz.read(tmp_path / "in.npz", GRAPH)
    assert [f.code for f in refused.value.findings] == ["NMC911"]


def test_read_refuses_pickled_objects(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CompileError) as refused:
        npz.read(tmp_path / "in.npz", GRAPH)
    assert refused.value.findings[0].code == "NMC911"


def test_read_refuses_a_single_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", SPIKES)
    with pytest.raises(CompileError) as refused:
        npz.read(tmp_path / "in.npy", GRAPH)
    assert refused.value.findings[0].code == "NMC911"


def test_read_names_the_nearest_array_for_unknown_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=SPIKES, label=np.arange(4))
    with pytest.raises(UsageError) as refused:
        npz.read(tmp_path / "in.npz", GRAPH, labels="labels")
    (finding,) = refused.value.findings
    assert (finding.code, finding.help) == ("NMC912", "did you mean `label`?")


def test_read_refuses_an_axis_that_is_not_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=SPIKES)
    with pytest.raises(UsageError) as refused:
        npz.read(tmp_path / "in.npz", GRAPH, batch_axis=5)
    assert refused.value.findings[0].code == "NMC913"


RESULT = SimResult("golden", {"out": SPIKES}, {"in.v": np.ones((2, 4, 3)), "file.v": np.zeros((2, 4, 3))})


@pytest.mark.parametrize(("axis", "shape"), [(1, (2, 4, 3)), (0, (4, 2, 3)), (-1, (2, 3, 4)), (7, (2, 3, 4))])
def test_write_puts_the_samples_where_the_input_has_them(
    tmp_path: Path, axis: int, shape: tuple[int, ...]
) -> None:
    npz.write(RESULT, tmp_path / "out.npz", batch_axis=axis)
    with np.load(tmp_path / "out.npz") as written:
        assert written["out"].shape == shape
        assert sorted(written.files) == ["file.v", "in.v", "out"]


def test_write_leaves_the_axis_of_a_single_sample_out(tmp_path: Path) -> None:
    npz.write(RESULT, tmp_path / "out.npz", batch_axis=None)
    with np.load(tmp_path / "out.npz") as written:
        assert np.array_equal(written["out"], SPIKES[:, 0])


def test_write_gives_equal_bytes_for_equal_results(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        npz.write(RESULT, tmp_path / name, batch_axis=1)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_write_leaves_what_was_there_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.npz").write_bytes(b"before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="no space"):
        npz.write(RESULT, tmp_path / "out.npz", batch_axis=1)
    assert (tmp_path / "out.npz").read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["out.npz"]


def test_count_right_counts_samples_decoded_as_labelled() -> None:
    output = np.zeros((3, 2, 2), np.uint8)
    output[:, 0, 1] = 1
    result = SimResult("golden", {"out": output})
    assert npz.count_right(result, np.array([1, 1]), Decode.COUNT) == (1, 2)


def test_read_and_write_take_apart_and_join_steps_that_a_file_folds(tmp_path: Path) -> None:
    axes = ("time*samples", "3")
    graph = replace_graph(GRAPH, layouts=(Layout("in", axes), Layout("out", axes)))
    np.savez(tmp_path / "in.npz", x=SPIKES.reshape(8, 3))
    with pytest.raises(UsageError, match="--steps-in-file"):
        npz.read(tmp_path / "in.npz", graph)
    data = npz.read(tmp_path / "in.npz", graph, steps=2)
    assert data.as_model
    assert np.array_equal(data.inputs["in"], SPIKES)
    npz.write(SimResult("golden", {"out": SPIKES}), tmp_path / "out.npz", batch_axis=1, as_model=graph)
    with np.load(tmp_path / "out.npz") as out:
        assert np.array_equal(out["out"], SPIKES.reshape(8, 3))


def test_count_right_takes_the_last_step_where_the_file_gives_no_other() -> None:
    output = np.array([[[5.0, 0.0]], [[0.0, 1.0]]])
    graph = replace_graph(GRAPH, layouts=(Layout("out", ("samples", "2"), over_time=OverTime.LAST),))
    result = SimResult("golden", {"out": output})
    assert npz.count_right(result, np.array([1]), Decode.COUNT, graph=graph) == (1, 1)
    assert npz.count_right(result, np.array([1]), Decode.COUNT) == (0, 1)


def test_read_keeps_initial_values_of_states_apart(tmp_path: Path) -> None:
    graph = replace_graph(GRAPH, layouts=(Layout("v_out", ("samples", "3"), "lif.v", "v"),))
    np.savez(tmp_path / "in.npz", x=SPIKES, v=np.ones(3))
    data = npz.read(tmp_path / "in.npz", graph)
    assert list(data.inputs) == ["in"]
    assert np.array_equal(data.initial["v"], np.ones(3))
