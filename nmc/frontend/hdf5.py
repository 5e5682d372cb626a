"""An HDF5 file as a tree of groups and values, read with HDF5's low-level interface.

`nir.read` takes three times as long, stops at the first fault and does not say where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Diagnostic, Loc, error, raise_errors

Array = npt.NDArray[Any]
"""Any: integers, reals or, as objects, strings, as the file has them."""

Value = Array | str
"""A dataset; one string is a `str`."""

Handle = Any
"""An identifier of h5py's low-level interface, which has no types."""

_low: Any = h5py
h5d, h5f, h5g, h5l, h5o, h5s = _low.h5d, _low.h5f, _low.h5g, _low.h5l, _low.h5o, _low.h5s

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""How a file begins: HDF5 file format specification, version 3, section II.A."""

DEEPEST = 64
"""Levels of groups; a file that links a group into itself has no end."""

MOST_COMPRESSED = 1100
"""Deflate makes at most 1032 bytes of one; a dataset that claims more than that of its file is damaged."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group's datasets and subgroups, each by name in HDF5's order, which is by name."""

    values: Mapping[str, Value]
    groups: Mapping[str, Group]


def is_hdf5(path: Path) -> bool:
    """Whether the file begins as HDF5 does."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def root_names(path: Path) -> frozenset[str]:
    """The names at the root of an HDF5 file; none if it is not one or cannot be opened."""
    try:
        with h5py.File(path, "r") as file:
            return frozenset(str(name) for name in file)
    except Exception:  # as HDF5 reports damage; `read_groups` says what it is
        return frozenset()


def read_groups(path: Path, place: Callable[[tuple[str, ...]], Loc]) -> Group:
    """The whole file. `place` makes of a path inside it the place that the user knows.

    Raises CompileError: NMC001 where `path` is no HDF5 file, NMC002 where it is damaged.
    """
    try:
        file = h5f.open(str(path).encode(), h5f.ACC_RDONLY)
    except OSError as fault:
        raise CompileError(_cannot_open(path, fault)) from fault
    reader = _Reader(place, MOST_COMPRESSED * path.stat().st_size)
    if not _heaps_are_sound(path):
        file.close()
        message = "the texts in the file are damaged (a global heap does not add up)"
        raise CompileError(error("NMC002", message, place(()), help="copy or export it again"))
    try:
        root = reader.group(h5g.open(file, b"/"), ())
    finally:
        file.close()
    raise_errors(reader.findings)
    return root


def _cannot_open(path: Path, fault: OSError) -> Diagnostic:
    loc = Loc(str(path))
    if not path.is_file():
        return error("NMC001", "there is no such file", loc)
    size = path.stat().st_size
    if size == 0:
        return error("NMC001", "the file is empty", loc, help="export the model again")
    if "truncated" in str(fault):
        return error("NMC002", f"the file is cut off after {size} bytes", loc, help="copy or export it again")
    if "signature not found" in str(fault):
        return error(
            "NMC001", "this is not an HDF5 file", loc, help="NIR and lava-dl files are HDF5: export again"
        )
    return error(
        "NMC002", f"HDF5 cannot open the file: {_reason(fault)}", loc, help="copy or export it again"
    )


def _reason(fault: Exception) -> str:
    """What HDF5 says in brackets, without its preface; of other faults the first line."""
    text = (str(fault).splitlines() or [type(fault).__name__])[0]
    return text.partition("(")[2].rpartition(")")[0] or text


def _heaps_are_sound(path: Path) -> bool:
    """Whether the objects of every global heap, where HDF5 keeps texts, fill it.

    HDF5 1.14 walks on forever in a heap with an object of no size. File format specification, version 3,
    section III.E: `GCOL`, version 1, three zeros, size; then objects of 16 bytes of header (index, references, four
    zeros, size) and their data in multiples of 8; index 0 is the free rest, its header included.
    """
    head = b"GCOL\x01\0\0\0"
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start = data.find(head)
        while start >= 0:
            end = start + int.from_bytes(data[start + 8 : start + 16], "little")
            if end > len(data):
                return False
            at = start + 16
            while at + 16 <= end:
                index = int.from_bytes(data[at : at + 2], "little")
                size = int.from_bytes(data[at + 8 : at + 16], "little")
                step = 16 + -(-size // 8) * 8 if index else size
                if step < 16 or at + step > end:
                    return False
                at += step
            start = data.find(head, max(end, start + 16))
    return True


class _Reader:
    def __init__(self, place: Callable[[tuple[str, ...]], Loc], largest: int) -> None:
        self.place = place
        self.largest = largest
        self.findings: list[Diagnostic] = []

    def group(self, group: Handle, path: tuple[str, ...]) -> Group:
        values: dict[str, Value] = {}
        groups: dict[str, Group] = {}
        if len(path) > DEEPEST:
            self._damaged(path, f"groups are nested more than {DEEPEST} deep")
            return Group(values, groups)
        # HDF5 and h5py report damage as OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError or
        # MemoryError, as it comes; whatever it is, the user's file is at fault and not nmc.
        try:
            names: list[bytes] = []
            group.links.iterate(names.append)
        except Exception as fault:
            self._damaged(path, _reason(fault))
            return Group(values, groups)
        for link in names:
            name = link.decode(errors="replace")
            try:
                if group.links.get_info(link).type == h5l.TYPE_EXTERNAL:
                    self._damaged((*path, name), "this is a link to another file")
                    continue
                opened = h5o.open(group, link)
                if isinstance(opened, h5d.DatasetID):
                    values[name] = self._value(opened, (*path, name))
                elif isinstance(opened, h5g.GroupID):
                    groups[name] = self.group(opened, (*path, name))
            except Exception as fault:
                self._damaged((*path, name), _reason(fault))
        return Group(values, groups)

    def _value(self, dataset: Handle, path: tuple[str, ...]) -> Value:
        """A dataset; strings as Python strings. Raises ValueError for what a model cannot hold."""
        shape, dtype = dataset.shape, dataset.dtype
        if shape is None:
            return np.zeros(0)
        if prod(shape) * dtype.itemsize > self.largest:
            raise ValueError(f"{'x'.join(map(str, shape))} values do not fit in the file")
        text = h5py.check_string_dtype(dtype) is not None
        if dtype.kind not in "biuf" and not text:
            raise ValueError(f"{dtype} is neither numbers nor text")
        array = np.empty(shape, dtype)
        dataset.read(h5s.ALL, h5s.ALL, array)
        if text:
            texts = [_text(item) for item in array.ravel().tolist()]
            return texts[0] if len(texts) == 1 else np.array(texts, dtype=object).reshape(shape)
        return array.astype(dtype.newbyteorder("="), copy=False)

    def _damaged(self, path: tuple[str, ...], what: str) -> None:
        self.findings.append(error("NMC002", f"this cannot be read: {what}", self.place(path)))


def _text(item: object) -> str:
    return item.decode(errors="replace") if isinstance(item, bytes) else str(item)
