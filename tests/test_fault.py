"""A fault of nmc leaves behind all that somebody else needs to see it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import nmc
from nmc import fault


def fail() -> Exception:
    try:
        raise RuntimeError("a wheel came off")
    except RuntimeError as found:
        return found


def test_keep_copies_the_files_that_the_command_names(tmp_path: Path) -> None:
    model = tmp_path / "models" / "net.nir"
    model.parent.mkdir()
    model.write_bytes(b"weights")
    folder = fault.keep(fail(), ["compile", str(model), "--target", "loihi"], tmp_path / "faults")
    assert folder.parent == tmp_path / "faults"
    assert (folder / "net.nir").read_bytes() == b"weights"
    assert fault.command(folder) == "nmc compile net.nir --target loihi"
    assert "a wheel came off" in (folder / "traceback.txt").read_text()
    assert json.loads((folder / "versions.json").read_text())["nmc"] == nmc.__version__
    inputs = json.loads((folder / "inputs.json").read_text())
    assert inputs["net.nir"]["sha256"] == {"net.nir": hashlib.sha256(b"weights").hexdigest()}


def test_keep_copies_an_artifact_that_the_command_names(tmp_path: Path) -> None:
    artifact = tmp_path / "out"
    (artifact / "tensors").mkdir(parents=True)
    (artifact / "tensors" / "w.npy").write_bytes(b"1")
    (artifact / "manifest.json").write_text("{}")
    folder = fault.keep(fail(), ["verify", str(artifact)], tmp_path / "faults")
    assert (folder / "out" / "tensors" / "w.npy").read_bytes() == b"1"


def test_keep_tells_two_files_of_one_name_apart(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x.npz").write_text(place)
    arguments = ["simulate", str(tmp_path / "a/x.npz"), "--input", str(tmp_path / "b/x.npz")]
    folder = fault.keep(fail(), arguments, tmp_path)
    first, second = fault.command(folder).split()[2::2]
    assert ((folder / first).read_text(), (folder / second).read_text()) == ("a", "b")


def test_keep_has_only_the_digest_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault, "COPIED_BYTES", 3)
    model = tmp_path / "net.nir"
    model.write_bytes(b"weights")
    folder = fault.keep(fail(), ["inspect", str(model)], tmp_path / "faults")
    assert not (folder / "net.nir").exists()
    assert json.loads((folder / "inputs.json").read_text())["net.nir"]["copied"] is False


def test_keep_gives_the_same_fault_the_same_folder(tmp_path: Path) -> None:
    found = fail()
    assert fault.keep(found, ["tools"], tmp_path) == fault.keep(found, ["tools"], tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [fault.keep(found, ["tools"], tmp_path).name]


def test_keep_does_not_copy_a_folder_that_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "much").mkdir()
    (tmp_path / "much" / "x").write_text("1")
    folder = fault.keep(fail(), ["compile", "-o", str(tmp_path / "much")], tmp_path)
    assert not (folder / "much").exists()
