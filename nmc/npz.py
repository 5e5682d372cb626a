"""Files of arrays: the inputs and labels that a user gives, the outputs and traces that a run leaves."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import CompileError, Loc, UsageError, error, nearest
from nmc.ir.graph import Graph
from nmc.ir.ops import Input, output_shape
from nmc.sim.arrays import Decode, accuracy, decode, map_inputs
from nmc.sim.interchange import follows_file, from_steps, is_folded, layout_of, over_time, to_steps
from nmc.sim.trace import SimResult
from nmc.whole import whole

Array = npt.NDArray[Any]
"""Any: arrays of every numeric dtype."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a file holds for a graph: an array (steps, samples, *shape) for each input, and labels if named.

    `batch_axis` is where the file has its samples; None if it holds one sample without such an axis. `as_model` says
    that the arrays had the axes of the model's own file. `initial` holds values with which states begin.
    """

    inputs: Mapping[str, Array]
    labels: Array | None
    batch_axis: int | None
    as_model: bool = False
    initial: Mapping[str, Array] = field(default_factory=dict[str, Array])


def read(
    path: Path,
    graph: Graph,
    *,
    batch_axis: int | None = None,
    labels: str | None = None,
    steps: int | None = None,
) -> Data:
    """The arrays of `path` for the inputs of `graph`. `batch_axis` counts as numpy does; 1 is usual.

    Of a model with time inside its tensors, or without time, arrays have the axes of the model's file; (steps,
    samples, *shape) is understood too. `steps` are those that the file folds into an axis with the samples.

    Raises CompileError for a file that is no npz (NMC911) or holds no array for an input, UsageError for labels
    (NMC912) or an axis (NMC913) that it does not have.
    """
    arrays = _load(path)
    marks = None
    if labels is not None:
        if labels not in arrays:
            message = f"there is no array `{labels}` for the labels"
            raise UsageError(error("NMC912", message, Loc(str(path)), help=nearest(labels, arrays)))
        marks = arrays.pop(labels)
    inputs_of_file = {node.name for node in graph.inputs}
    states = {layout.initial for layout in graph.layouts if layout.variable} - inputs_of_file
    initial = {name: arrays.pop(name) for name in states & arrays.keys()}
    as_model = False
    if batch_axis is not None:
        arrays = {name: _samples_second(name, array, batch_axis, path) for name, array in arrays.items()}
    elif follows_file(graph):
        turned = _turned(graph, arrays, steps, path)
        as_model = bool(turned)
        arrays |= turned
    inputs = map_inputs(graph, arrays, file=str(path))
    return Data(inputs, marks, _axis(graph, inputs, arrays, batch_axis), as_model, initial)


def _turned(graph: Graph, arrays: Mapping[str, Array], steps: int | None, path: Path) -> dict[str, Array]:
    """The arrays that have the axes of the model's file, as (steps, samples, *shape)."""
    turned: dict[str, Array] = {}
    for node in graph.inputs:
        layout, shape = layout_of(graph, node.name), output_shape(node.op)
        alone = next(iter(arrays.values())) if len(arrays) == len(graph.inputs) == 1 else None
        array = arrays.get(node.name, alone)
        if array is None or layout is None:
            continue
        in_steps = array.ndim - len(shape) in (1, 2) and array.shape[array.ndim - len(shape) :] == shape
        if array.ndim != len(layout.axes) and in_steps:
            continue
        if is_folded(layout) and steps is None:
            message = f"array `{node.name}` holds steps and samples in one axis; say how many steps"
            raise UsageError(error("NMC913", message, Loc(str(path)), help="give `--steps-in-file T`"))
        turned[node.name] = to_steps(layout, array, shape, steps or 1)
    return turned


def _load(path: Path) -> dict[str, Array]:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.lib.npyio.NpzFile):
            with file:
                return {name: file[name] for name in file.files}
        reason = "it holds one array without a name"
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as failed:
        reason = str(failed)
    message = f"this is no file of arrays: {reason}"
    raise CompileError(error("NMC911", message, Loc(str(path)), help=_WRITTEN_WITH))


_WRITTEN_WITH = "write it with numpy.savez, one array for each input"


def _samples_second(name: str, array: Array, axis: int, path: Path) -> Array:
    if array.ndim < 2:
        return array
    if not -array.ndim <= axis < array.ndim:
        message = f"array `{name}` has {array.ndim} axes and no axis {axis}"
        raise UsageError(error("NMC913", message, Loc(str(path))))
    return np.moveaxis(array, axis, 1)


def _axis(
    graph: Graph, inputs: Mapping[str, Array], arrays: Mapping[str, Array], given: int | None
) -> int | None:
    """Where the file has its samples, by the first input: outputs are written alike."""
    if given is not None:
        return given
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        if node.name in arrays:
            array = arrays[node.name]
            return 1 if array.ndim == len(node.op.signal.shape) + 2 else None
    (only,) = inputs.values()
    return 1 if any(array.shape == only.shape for array in arrays.values()) else None


def count_right(
    result: SimResult, labels: Array, how: Decode, *, graph: Graph | None = None
) -> tuple[int, int]:
    """How many of how many samples are decoded from the first output as labelled.

    Where the model's file gives one value for all steps, such as the last or the sum, that counts; `graph` knows.
    """
    name, output = next(iter(result.outputs.items()))
    layout = None if graph is None else layout_of(graph, name)
    predictions = decode(output if layout is None else over_time(layout, output), how)
    return round(accuracy(predictions, labels) * len(predictions)), len(predictions)


def write(result: SimResult, path: Path, *, batch_axis: int | None, as_model: Graph | None = None) -> None:
    """Outputs by their names and traces by theirs, with the samples where the input had them (or last), and learned
    weights as `connection.weight` (post, pre).

    Given the graph `as_model`, outputs have the axes of the model's file, and traces (steps, samples, *shape). The
    file is written beside its place and moved there, so that nobody sees half of one.
    """
    arrays = {**result.outputs, **result.trace}
    if as_model is not None:
        layouts = {layout.name: layout for layout in as_model.layouts}
        outputs = {
            name: from_steps(layouts[name], array) if name in layouts else array
            for name, array in result.outputs.items()
        }
        arrays = {**outputs, **result.trace}
    elif batch_axis is None:
        arrays = {name: array[:, 0] for name, array in arrays.items()}
    else:
        arrays = {
            name: np.moveaxis(array, 1, min(batch_axis, array.ndim - 1)) for name, array in arrays.items()
        }
    arrays |= {f"{name}.weight": array for name, array in result.weights.items()}
    with whole(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            # A fixed date: equal arrays give equal files.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
