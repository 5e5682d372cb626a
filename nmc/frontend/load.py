"""A model file as a `Graph`, whatever its format."""

from __future__ import annotations

from pathlib import Path

from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.graph import Graph
from nmc.ir.verify import verify_or_raise

SUFFIXES = (".nir", ".net", ".onnx")
"""What nmc reads: NIR, lava-dl's network exchange, ONNX."""


def load(path: Path) -> Graph:
    """The network in the file, in the units that the file has, and lawful; warnings are among its notes.

    Raises CompileError with all findings of a stage; NMC003 where no reader takes the file.
    """
    graph = _read(path)
    return graph.with_notes(verify_or_raise(graph))


def _read(path: Path) -> Graph:
    """The network by the reader for the file; HDF5 is told apart by content, not by suffix."""
    if not path.is_file():
        message = "this is a folder, not a model file" if path.is_dir() else "there is no such file"
        raise CompileError(error("NMC001", message, Loc(str(path))))
    # Each reader is imported when its format is met: h5py alone costs 60 ms of every start.
    from nmc.frontend import hdf5

    suffix, names = path.suffix.lower(), hdf5.root_names(path)
    if "layer" in names or (suffix == ".net" and "node" not in names):
        from nmc.frontend import lavadl

        return lavadl.read(path)
    if names or suffix == ".nir" or hdf5.is_hdf5(path):
        from nmc.frontend import nir

        return nir.read(path)
    if suffix == ".onnx":
        from nmc.frontend import onnx

        return onnx.load(path)
    message = f"`{path.name}` is neither HDF5 nor has a suffix that nmc knows"
    known = ", ".join(f"`{each}`" for each in SUFFIXES)
    raise CompileError(error("NMC003", message, Loc(str(path)), help=f"known: {known}"))
