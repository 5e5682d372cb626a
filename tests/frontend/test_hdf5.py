from pathlib import Path

import h5py
import numpy as np
import pytest

from nmc.diagnostics import CompileError, Loc
from nmc.frontend.hdf5 import is_hdf5, read_groups, root_names


def place(inside: tuple[str, ...]) -> Loc:
    return Loc("file", "/".join(inside) or None)


def refused(path: Path) -> tuple[str, str]:
    with pytest.raises(CompileError) as caught:
        read_groups(path, place)
    return caught.value.findings[0].code, str(caught.value)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/number"] = 3
        file["group/big_endian"] = np.array([1.5, 2.5], ">f8")
        file["group/inner/text"] = "word"
        file["group/inner/texts"] = np.array([b"ab", b"cd"])
        file["packed"] = np.zeros(100)
    return path


def test_read_groups_gives_numbers_and_texts(written: Path) -> None:
    root = read_groups(written, place)
    group = root.groups["group"]
    assert group.values["number"] == 3
    assert np.array_equal(group.values["big_endian"], [1.5, 2.5])
    assert group.values["big_endian"].dtype.isnative
    assert group.groups["inner"].values["text"] == "word"
    assert list(group.groups["inner"].values["texts"]) == ["ab", "cd"]


def test_root_names_and_is_hdf5_tell_the_kind_of_file(written: Path, tmp_path: Path) -> None:
    assert root_names(written) == {"group", "packed"}
    assert is_hdf5(written)
    (tmp_path / "text").write_text("hello")
    assert root_names(tmp_path / "text") == frozenset()
    assert not is_hdf5(tmp_path / "text")


def test_read_groups_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.h5")[0] == "NMC001"


def test_read_groups_refuses_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"")
    assert refused(tmp_path / "a.h5") == ("NMC001", refused(tmp_path / "a.h5")[1])
    assert "empty" in refused(tmp_path / "a.h5")[1]


def test_read_groups_refuses_random_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(np.random.default_rng(0).bytes(5000))
    assert refused(tmp_path / "a.h5")[0] == "NMC001"


@pytest.mark.parametrize("kept", [9, 100, 1000, 2000])
def test_read_groups_refuses_a_file_that_is_cut_off(written: Path, kept: int) -> None:
    written.write_bytes(written.read_bytes()[:kept])
    assert refused(written)[0] == "NMC002"


def test_read_groups_names_the_place_of_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("w", data=np.arange(1000.0), compression="gzip")
        start = file["w"].id.get_chunk_info(0).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[start + 10 : start + 60] = bytes(50)
    path.write_bytes(damaged)
    code, text = refused(path)
    assert code == "NMC002"
    assert "node `w`" in text


def test_read_groups_refuses_a_link_out_of_the_file(written: Path) -> None:
    with h5py.File(written, "a") as file:
        file["out"] = h5py.ExternalLink("/etc/passwd", "/")
    assert "another file" in refused(written)[1]


def test_read_groups_refuses_a_group_inside_itself(written: Path) -> None:
    with h5py.File(written, "a") as file:
        file["group/again"] = file["group"]
    assert "nested more than 64 deep" in refused(written)[1]


def test_read_groups_refuses_values_that_the_file_cannot_hold(written: Path) -> None:
    with h5py.File(written, "a") as file:
        file.create_dataset("huge", shape=(10**9,), dtype="f8", chunks=(1000,))
    code, text = refused(written)
    assert code == "NMC002"
    assert "1000000000 values do not fit in the file" in text


def test_read_groups_refuses_a_heap_of_texts_that_never_ends(written: Path) -> None:
    data = bytearray(written.read_bytes())
    heap = data.find(b"GCOL")
    first = heap + 16
    size = int.from_bytes(data[first + 8 : first + 16], "little")
    free = first + 16 + -(-size // 8) * 8
    data[free : free + 2] = bytes(2)
    data[free + 8 : free + 16] = bytes(8)
    written.write_bytes(data)
    assert "global heap" in refused(written)[1]


def test_read_groups_refuses_what_is_neither_numbers_nor_text(written: Path) -> None:
    with h5py.File(written, "a") as file:
        file["complex"] = np.ones(2, complex)
    assert "complex128 is neither numbers nor text" in refused(written)[1]
