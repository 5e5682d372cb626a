"""Artifacts: canonical manifests, whole-or-nothing writing, and every kind of damage named."""

import errno
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmc.artifact import (
    MANIFEST,
    Artifact,
    Manifest,
    compare,
    npy_bytes,
    npy_from_bytes,
    read,
    sha256,
    write,
)
from nmc.diagnostics import CompileError, Diagnostic

FILES = {
    "graph.nmc": b"nmc-graph 1\n",
    "tensors/fc1.weight.npy": npy_bytes(np.arange(6, dtype=np.int8)),
    "run.py": b"print('spikes')\n",
}


def manifest_of(files: dict[str, bytes]) -> Manifest:
    return Manifest(
        nmc="0.1.0",
        target="loihi",
        target_digest="ab" * 32,
        model="größe.nir",
        model_digest="cd" * 32,
        pipeline=(("discretize", {"preset": "norse", "dt": "0.001"}), ("place", {})),
        resources={"cores": (3, 128), "share": (0.25, 1.0)},
        files={name: sha256(content) for name, content in files.items()},
    )


def artifact_of(files: dict[str, bytes]) -> Artifact:
    return Artifact(manifest_of(files), files)


ARTIFACT = artifact_of(FILES)
OTHER = artifact_of({**{name: FILES[name] for name in ("graph.nmc", "run.py")}, "cores.json": b"{}\n"})


def everything(directory: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def findings(directory: Path) -> list[Diagnostic]:
    with pytest.raises(CompileError) as raised:
        read(directory)
    return list(raised.value.findings)


# ---- manifest ---------------------------------------------------------------------------------------------


def test_manifest_is_json_with_sorted_keys_and_a_format() -> None:
    content = ARTIFACT.manifest.to_bytes()
    document = json.loads(content)
    assert content.endswith(b"}\n")
    assert list(document) == sorted(document)
    assert document["format"] == "nmc.artifact/1"
    assert document["pipeline"] == [["discretize", {"dt": "0.001", "preset": "norse"}], ["place", {}]]


def test_digest_does_not_depend_on_the_order_of_mappings() -> None:
    backwards = dict(reversed(FILES.items()))
    manifest = replace(
        manifest_of(backwards),
        pipeline=(("discretize", {"dt": "0.001", "preset": "norse"}), ("place", {})),
        resources={"share": (0.25, 1.0), "cores": (3, 128)},
    )
    assert Artifact(manifest, backwards).digest == ARTIFACT.digest


@pytest.mark.parametrize(
    "change",
    [
        {"nmc": "0.1.1"},
        {"target": "fpga"},
        {"model_digest": "ef" * 32},
        {"pipeline": ()},
        {"resources": {"cores": (4, 128), "share": (0.25, 1.0)}},
    ],
)
def test_digest_changes_with_every_field(change: dict[str, object]) -> None:
    changed = replace(ARTIFACT.manifest, **change)  # pyright: ignore[reportArgumentType]
    assert Artifact(changed, FILES).digest != ARTIFACT.digest


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\\b", "c:x", MANIFEST, "a/__pycache__/b"],
)
def test_artifact_refuses_names_that_are_no_files_of_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        artifact_of({name: b""})


def test_artifact_refuses_a_manifest_of_other_files() -> None:
    with pytest.raises(ValueError, match="does not name exactly these files"):
        Artifact(ARTIFACT.manifest, {**FILES, "run.py": b""})
    with pytest.raises(ValueError, match="does not name exactly these files"):
        Artifact(ARTIFACT.manifest, {"run.py": FILES["run.py"]})


# ---- write and read ---------------------------------------------------------------------------------------


def test_read_gives_back_what_was_written(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path / "out")
    assert read(tmp_path / "out") == ARTIFACT
    assert everything(tmp_path / "out") == {**FILES, MANIFEST: ARTIFACT.manifest.to_bytes()}


def test_write_makes_missing_parents_and_leaves_nothing_beside_the_folder(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path / "a" / "b" / "out")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["out"]


def test_write_takes_an_empty_folder_and_replaces_an_artifact(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write(ARTIFACT, out)
    write(OTHER, out)
    assert read(out) == OTHER
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_write_follows_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(ARTIFACT, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert read(tmp_path / "real") == ARTIFACT


def test_two_writes_give_the_same_bytes_in_different_places(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path / "one")
    write(ARTIFACT, tmp_path / "deep" / "two")
    assert everything(tmp_path / "one") == everything(tmp_path / "deep" / "two")


def test_write_refuses_a_folder_with_anything_else_in_it(tmp_path: Path) -> None:
    for name, make in {
        "model.nir": lambda out: (out / "model.nir").write_bytes(b"x"),
        "notes.txt": lambda out: (write(ARTIFACT, out), (out / "notes.txt").write_text("mine")),
        "manifest.json": lambda out: (out / MANIFEST).write_text("{}"),
    }.items():
        out = tmp_path / name
        out.mkdir()
        make(out)
        before = everything(tmp_path)
        with pytest.raises(CompileError) as raised:
            write(OTHER, out)
        assert raised.value.findings[0].code == "NMC145"
        assert everything(tmp_path) == before


def test_write_refuses_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(CompileError, match="is a file"):
        write(ARTIFACT, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_write_lets_python_leave_its_cache(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path / "out")
    cache = tmp_path / "out" / "__pycache__"
    cache.mkdir()
    (cache / "run.cpython-311.pyc").write_bytes(b"\0")
    assert read(tmp_path / "out") == ARTIFACT
    write(OTHER, tmp_path / "out")
    assert read(tmp_path / "out") == OTHER


@pytest.mark.parametrize(
    "fault", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()]
)
@pytest.mark.parametrize("there", [None, OTHER])
@pytest.mark.parametrize("file", ["run.py", MANIFEST])
def test_write_leaves_everything_as_it_was_when_it_fails_midway(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
    there: Artifact | None,
    file: str,
) -> None:
    out = tmp_path / "out"
    if there is not None:
        write(there, out)
    before = everything(tmp_path)
    whole = Path.write_bytes

    def failing(path: Path, data: bytes) -> int:
        if path.name == file:
            whole(path, data[: len(data) // 2])
            raise fault
        return whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises((CompileError, KeyboardInterrupt, MemoryError)) as raised:
        write(ARTIFACT, out)
    assert everything(tmp_path) == before
    assert list(tmp_path.iterdir()) == ([out] if there is not None else [])
    if isinstance(fault, OSError):
        assert isinstance(raised.value, CompileError)
        assert raised.value.findings[0].code == "NMC148"
        assert "no space left on device" in str(raised.value)


@pytest.mark.parametrize("fault", [PermissionError(13, "Permission denied"), KeyboardInterrupt()])
def test_write_puts_the_old_artifact_back_when_the_new_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    out = tmp_path / "out"
    write(OTHER, out)
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise fault
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises((CompileError, KeyboardInterrupt)):
        write(ARTIFACT, out)
    monkeypatch.undo()
    assert read(out) == OTHER
    assert list(tmp_path.iterdir()) == [out]


def test_write_says_what_the_file_system_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CompileError) as raised:
        write(ARTIFACT, tmp_path / "file" / "out")
    assert raised.value.findings[0].code == "NMC148"


def test_write_refuses_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**where: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(where["dir"]))

    # Denied by hand: root may write into read-only folders, and tests often run as root.
    monkeypatch.setattr(tempfile, "mkdtemp", denied)
    with pytest.raises(CompileError) as raised:
        write(ARTIFACT, tmp_path / "out")
    assert raised.value.findings[0].code == "NMC148"
    assert "permission denied" in str(raised.value)
    assert not list(tmp_path.iterdir())


# ---- damage -----------------------------------------------------------------------------------------------


def test_read_names_every_file_that_is_missing_differs_or_is_too_much(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path)
    (tmp_path / "run.py").unlink()
    weight = tmp_path / "tensors" / "fc1.weight.npy"
    weight.write_bytes(weight.read_bytes()[:-1])
    (tmp_path / "tensors" / "extra.npy").write_bytes(b"")
    found = findings(tmp_path)
    assert {finding.code for finding in found} == {"NMC147"}
    assert [(Path(finding.loc.file).name, finding.message.split(":")[0]) for finding in found] == [
        ("run.py", "the file is missing"),
        ("extra.npy", "the file is not part of the artifact"),
        ("fc1.weight.npy", "the file differs"),
    ]


def damage(path: Path, data: st.DataObject) -> None:
    """One bit of the file, anywhere."""
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)


@given(name=st.sampled_from(sorted(FILES)), data=st.data())
def test_read_finds_any_bit_of_a_file_that_changed(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("damage")
    write(ARTIFACT, directory)
    damage(directory / name, data)
    (finding,) = findings(directory)
    assert (finding.code, finding.loc.file) == ("NMC147", str(directory / name))


@given(data=st.data())
def test_no_bit_of_a_manifest_changes_without_a_finding_or_another_digest(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("damage")
    write(ARTIFACT, directory)
    damage(directory / MANIFEST, data)
    try:
        digest = read(directory).digest
    except CompileError as refused:
        digest = refused.findings[0].code
    assert digest != ARTIFACT.digest


@given(length=st.integers(0, len(ARTIFACT.manifest.to_bytes()) - 1))
def test_read_refuses_any_truncated_manifest(length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("damage")
    write(ARTIFACT, directory)
    (directory / MANIFEST).write_bytes(ARTIFACT.manifest.to_bytes()[:length])
    (finding,) = findings(directory)
    assert finding.code == "NMC146"
    assert finding.message.startswith("the manifest is damaged")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": "nmc.artifact/2"}, "NMC149"),
        ({"format": None}, "NMC149"),
        ({"files": {"../x": "ab"}}, "NMC146"),
        ({"files": []}, "NMC146"),
        ({"resources": {"cores": [1, 2, 3]}}, "NMC146"),
        ({"pipeline": 3}, "NMC146"),
        ({"extra": 1}, "NMC146"),
    ],
)
def test_read_refuses_a_manifest_that_was_edited(
    tmp_path: Path, change: dict[str, object], code: str
) -> None:
    write(ARTIFACT, tmp_path)
    document = {**json.loads((tmp_path / MANIFEST).read_bytes()), **change}
    (tmp_path / MANIFEST).write_text(
        json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    )
    assert [finding.code for finding in findings(tmp_path)] == [code]


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b'{"format": "nmc.artifact/1"}'])
def test_read_refuses_a_manifest_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    assert [finding.code for finding in findings(tmp_path)] == ["NMC146"]


def test_read_says_that_there_is_no_artifact(tmp_path: Path) -> None:
    assert "has no manifest" in findings(tmp_path)[0].message
    assert "is no folder" in findings(tmp_path / "nowhere")[0].message


# ---- compare ----------------------------------------------------------------------------------------------


def test_compare_is_empty_for_the_same_bytes(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path)
    assert compare(ARTIFACT, tmp_path) == {}


def test_compare_says_what_a_write_would_change(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path)
    assert compare(OTHER, tmp_path) == {
        "cores.json": "new",
        "manifest.json": "changed",
        "tensors/fc1.weight.npy": "gone",
    }


def test_compare_sees_damage_that_the_manifest_does_not_tell(tmp_path: Path) -> None:
    write(ARTIFACT, tmp_path)
    (tmp_path / "run.py").write_bytes(b"")
    assert compare(ARTIFACT, tmp_path) == {"run.py": "changed"}


def test_compare_needs_an_artifact(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as raised:
        compare(ARTIFACT, tmp_path)
    assert raised.value.findings[0].code == "NMC146"


# ---- arrays -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int8).reshape(2, 3),
        np.array(3.5),
        np.zeros((0, 3), np.float32),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
    ],
)
def test_npy_bytes_gives_back_the_array_whatever_its_layout(array: np.ndarray) -> None:
    content = npy_bytes(array)
    back = npy_from_bytes(content)
    assert back.shape == array.shape and (back == array).all()
    assert back.dtype == array.dtype.newbyteorder("<")
    assert npy_bytes(np.array(array, order="C").astype(array.dtype.newbyteorder("<"))) == content
    assert not back.flags.writeable


def test_npy_from_bytes_refuses_what_is_not_one_whole_array() -> None:
    content = npy_bytes(np.arange(3))
    pickled = np.array([{}], object)
    with pytest.raises(ValueError, match="Object arrays"):
        npy_bytes(pickled)
    for damaged in (b"", content[:5], content[:-1], content + b"x", b"x" + content):
        with pytest.raises(ValueError):
            npy_from_bytes(damaged)
