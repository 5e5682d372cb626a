"""A model file as a `Graph`, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nmc.diagnostics import CompileError, Loc, UsageError, error
from nmc.ir.graph import Graph
from nmc.ir.verify import verify_or_raise

SUFFIXES = (".nir", ".net", ".onnx")
"""What nmc reads: NIR, lava-dl's network exchange, ONNX."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What the user says of an ONNX file that cannot say it.

    `states` maps an output to the input whose next value it is, `time_axis` is the axis of the inputs that is time,
    `steps` how many steps the file has folded into an axis.
    """

    states: Mapping[str, str] = field(default_factory=dict[str, str])
    time_axis: int | None = None
    steps: int | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The options by which the hints were given."""
        told = {
            "--state": bool(self.states),
            "--time-axis": self.time_axis is not None,
            "--steps-in-file": self.steps is not None,
        }
        return tuple(option for option, there in told.items() if there)


NO_HINTS = Hints()


def load(path: Path, hints: Hints = NO_HINTS) -> Graph:
    """The network in the file, in the units that the file has, and lawful; warnings are among its notes.

    Raises CompileError with all findings of a stage, NMC003 where no reader takes the file; UsageError for hints
    about a file that is not ONNX.
    """
    graph = _read(path, hints)
    return graph.with_notes(verify_or_raise(graph))


def _read(path: Path, hints: Hints) -> Graph:
    """The network by the reader for the file; HDF5 is told apart by content, not by suffix."""
    if not path.is_file():
        message = "this is a folder, not a model file" if path.is_dir() else "there is no such file"
        raise CompileError(error("NMC001", message, Loc(str(path))))
    # Each reader is imported when its format is met: h5py alone costs 60 ms of every start.
    from nmc.frontend import hdf5

    suffix, names = path.suffix.lower(), hdf5.root_names(path)
    if hints.given and (suffix != ".onnx" or names):
        options = ", ".join(f"`{option}`" for option in hints.given)
        message = f"{options}: only ONNX files leave that open, and `{path.name}` is none"
        raise UsageError(error("NMC905", message, Loc("<command line>"), help="leave it out"))
    if "layer" in names or (suffix == ".net" and "node" not in names):
        from nmc.frontend import lavadl

        return lavadl.read(path)
    if names or suffix == ".nir" or hdf5.is_hdf5(path):
        from nmc.frontend import nir

        return nir.read(path)
    if suffix == ".onnx":
        from nmc.frontend import onnx

        return onnx.load(path, states=hints.states, time_axis=hints.time_axis, steps=hints.steps)
    message = f"`{path.name}` is neither HDF5 nor has a suffix that nmc knows"
    known = ", ".join(f"`{each}`" for each in SUFFIXES)
    raise CompileError(error("NMC003", message, Loc(str(path)), help=f"known: {known}"))
