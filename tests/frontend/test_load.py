import random
from pathlib import Path

import nir
import numpy as np
import pytest

from nmc.diagnostics import CompileError
from nmc.frontend.load import load
from nmc.ir.graph import Graph
from tests.frontend.nir import files


def refused(path: Path) -> tuple[str, str]:
    with pytest.raises(CompileError) as caught:
        load(path)
    return caught.value.findings[0].code, str(caught.value)


def test_load_reads_nir_whatever_the_suffix(tmp_path: Path) -> None:
    path = files.write(tmp_path / "model.h5", files.chain(), files.CHAIN)
    assert [node.name for node in load(path).nodes] == ["input", "fc", "lif", "output"]


def test_load_refuses_what_is_not_there_and_folders(tmp_path: Path) -> None:
    assert refused(tmp_path / "model.nir")[0] == "NMC001"
    assert "folder" in refused(tmp_path)[1]


@pytest.mark.parametrize("suffix", [".nir", ".net"])
def test_load_refuses_files_that_are_not_hdf5(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    for content in (b"", b"hello", random.Random(1).randbytes(3000)):
        path.write_bytes(content)
        assert refused(path)[0] == "NMC001"


def test_load_refuses_a_suffix_that_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"PK")
    code, text = refused(tmp_path / "model.pt")
    assert code == "NMC003"
    assert "`.nir`" in text


def test_load_refuses_hdf5_that_holds_no_model(tmp_path: Path) -> None:
    nir.write_data(tmp_path / "data.h5", nir.NIRGraphData({}))
    assert "a NIR file has a group `node`" in refused(tmp_path / "data.h5")[1]


def test_load_of_a_damaged_file_ends_in_a_graph_or_in_findings(tmp_path: Path) -> None:
    inner = files.graph_of(
        {"i": files.input_(2), "lif": files.lif(2), "w": files.linear(2, 2), "o": files.output(2)},
        [("i", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "o")],
    )
    path = files.write(tmp_path / "model.nir", files.chain(lif=inner), files.CHAIN)
    whole = path.read_bytes()
    filled = [index for index, byte in enumerate(whole) if byte]
    rng, outcomes = random.Random(4), {"graph": 0, "findings": 0}
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 8])):
            damaged[rng.choice(filled)] = rng.randrange(256)
        path.write_bytes(damaged[: rng.choice([len(whole), len(whole), rng.randrange(len(whole))])])
        try:
            assert isinstance(load(path), Graph)
            outcomes["graph"] += 1
        except CompileError as refused:
            assert str(refused)
            outcomes["findings"] += 1
    assert min(outcomes.values()) > 10


def test_load_takes_thousands_of_nodes(tmp_path: Path) -> None:
    size = 700
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([2]))}
    names = ["input"]
    for index in range(size):
        nodes[f"w{index}"] = nir.Linear(np.eye(2))
        nodes[f"n{index}"] = nir.LI(np.ones(2), np.ones(2), np.zeros(2))
        names += [f"w{index}", f"n{index}"]
    nodes["output"] = nir.Output(np.array([2]))
    edges = list(zip(names, [*names[1:], "output"], strict=True))
    nir.write(tmp_path / "model.nir", nir.NIRGraph(nodes, edges, type_check=False))
    assert [node.name for node in load(tmp_path / "model.nir").nodes] == [*names, "output"]


def test_load_notes_what_the_laws_warn_of(tmp_path: Path) -> None:
    nodes = files.chain()
    path = tmp_path / "model.nir"
    files.write(path, {**nodes, "lif2": nodes["lif"]}, [*files.CHAIN, ("fc", "lif2")])
    notes = {finding.code: finding for finding in load(path).notes}
    assert notes["NMC108"].message == "`lif2` reaches no output"
