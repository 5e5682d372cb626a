import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmc.ir.ops import Conv, Flatten, Linear, Ode, Shape, input_shape, output_shape
from tests.frontend.nir import files


def image_net(**nodes: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """input -> each of `nodes` -> output."""
    names = ["input", *nodes, "output"]
    every = {"input": files.input_(2, 8, 8), "output": {"type": "Output"}} | nodes
    return every, list(itertools.pairwise(names))


def shape_after(tmp_path: Path, **nodes: Any) -> Shape:
    graph = files.read(tmp_path, *image_net(**nodes))
    return output_shape(graph["output"].op)


def pool(kind: str, kernel: int, stride: int, padding: int = 0) -> dict[str, Any]:
    return {"type": kind, "kernel_size": kernel, "stride": stride, "padding": padding}


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (files.conv2d(3, 2, 3), (3, 6, 6)),
        (files.conv2d(3, 2, 3, stride=2), (3, 3, 3)),
        (files.conv2d(3, 2, 3, padding=np.array([1, 0])), (3, 8, 6)),
        (files.conv2d(3, 2, 3, dilation=2), (3, 4, 4)),
        (files.conv2d(3, 2, 3, padding="valid"), (3, 6, 6)),
        (files.conv2d(3, 2, 3, padding="SAME"), (3, 8, 8)),
        (files.conv2d(3, 2, 3, padding="same", stride=3), (3, 3, 3)),
        (files.conv2d(4, 1, 3, groups=2), (4, 6, 6)),
        (files.conv2d(3, 2, 3, weight=np.ones((3, 2, 3, 5))), (3, 6, 4)),
        (files.conv2d(3, 2, 3, input_shape=np.array([8, 8])), (3, 6, 6)),
        (pool("SumPool2d", 2, 2), (2, 4, 4)),
        (pool("AvgPool2d", 3, 2, 1), (2, 4, 4)),
        (files.lif(2, 8, 8), (2, 8, 8)),
        (files.lif(), (2, 8, 8)),
    ],
)
def test_shapes_follow_from_the_input(tmp_path: Path, node: dict[str, Any], shape: Shape) -> None:
    assert shape_after(tmp_path, it=node) == shape


def test_same_padding_puts_the_odd_zero_after(tmp_path: Path) -> None:
    graph = files.read(tmp_path, *image_net(it=files.conv2d(3, 2, 4, padding="same")))
    op = graph["it"].op
    assert isinstance(op, Conv)
    assert op.padding == ((1, 2), (1, 2))


def test_same_padding_with_a_stride_covers_the_input(tmp_path: Path) -> None:
    graph = files.read(tmp_path, *image_net(it=files.conv2d(3, 2, 3, padding="same", stride=2)))
    op = graph["it"].op
    assert isinstance(op, Conv)
    assert op.padding == ((0, 1), (0, 1))  # jax.lax.padtype_to_pads((8, 8), (3, 3), (2, 2), "SAME")


def test_flatten_without_a_stored_shape_takes_what_arrives(tmp_path: Path) -> None:
    flat = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
    assert shape_after(tmp_path, pool=pool("SumPool2d", 2, 2), flat=flat) == (32,)


def test_flatten_with_a_stored_shape_of_zeros_takes_what_arrives(tmp_path: Path) -> None:
    flat = {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.zeros(4, int)}
    assert shape_after(tmp_path, flat=flat) == (128,)


def test_flatten_that_counts_the_batch_is_read_by_its_stored_shape(tmp_path: Path) -> None:
    flat = {"type": "Flatten", "start_dim": 1, "end_dim": -1, "input_type": np.array([1, 2, 8, 8])}
    assert shape_after(tmp_path, flat=flat) == (128,)


def test_flatten_that_counts_the_batch_is_read_by_what_comes_next(tmp_path: Path) -> None:
    flat = {"type": "Flatten", "start_dim": 1, "end_dim": -1}
    nodes, edges = image_net(flat=flat, fc=files.affine(5, 128))
    graph = files.read(tmp_path, nodes, edges)
    op = graph["flat"].op
    assert isinstance(op, Flatten)
    assert (op.start, op.end) == (0, 2)
    assert "NMC021" in files.notes(graph)


def test_flatten_of_inner_axes_stays_as_it_is_where_nothing_speaks_against_it(tmp_path: Path) -> None:
    flat = {"type": "Flatten", "start_dim": 1, "end_dim": 2}
    assert shape_after(tmp_path, flat=flat) == (2, 64)


def test_a_missing_flatten_is_put_in(tmp_path: Path) -> None:
    graph = files.read(tmp_path, *image_net(fc=files.affine(5, 128)))
    assert graph["input.flatten"].op == Flatten((2, 8, 8), 0, 2)
    assert "flattened in between" in files.notes(graph)["NMC021"]


def test_leading_axes_of_an_input_are_dropped_through_a_flatten(tmp_path: Path) -> None:
    flat = {"type": "Flatten", "start_dim": 1, "end_dim": -1}
    nodes, edges = image_net(flat=flat, fc=files.affine(5, 128))
    graph = files.read(tmp_path, nodes | {"input": files.input_(20, 1, 2, 8, 8)}, edges)
    assert output_shape(graph["input"].op) == (2, 8, 8)


def test_leading_axes_of_an_input_are_dropped_before_a_convolution(tmp_path: Path) -> None:
    nodes, edges = image_net(conv=files.conv2d(3, 2, 3))
    graph = files.read(tmp_path, nodes | {"input": files.input_(20, 2, 8, 8)}, edges)
    assert output_shape(graph["input"].op) == (2, 8, 8)


def test_an_input_without_shape_takes_that_of_the_next_node(tmp_path: Path) -> None:
    graph = files.read(tmp_path, files.chain(input={"type": "Input"}), files.CHAIN)
    assert output_shape(graph["input"].op) == (3,)


def test_weights_stored_the_other_way_round_are_turned(tmp_path: Path) -> None:
    weight = np.arange(6.0).reshape(3, 2)
    graph = files.read(tmp_path, files.chain(fc=files.affine(2, 3, weight=weight)), files.CHAIN)
    op = graph["fc"].op
    assert isinstance(op, Linear)
    assert np.array_equal(op.weight.data, weight.T)
    assert "3x2 and 3 values arrive" in files.notes(graph)["NMC022"]


def test_square_weights_are_taken_as_nir_says(tmp_path: Path) -> None:
    weight = np.arange(4.0).reshape(2, 2)
    nodes = files.chain(input=files.input_(2), fc=files.affine(2, 2, weight=weight))
    graph = files.read(tmp_path, nodes, files.CHAIN)
    op = graph["fc"].op
    assert isinstance(op, Linear)
    assert np.array_equal(op.weight.data, weight)
    assert "NMC022" not in files.notes(graph)


def test_weights_whose_bias_speaks_against_it_are_not_turned(tmp_path: Path) -> None:
    fc = files.affine(3, 2, bias=np.zeros(3))
    assert "NMC010" in dict(files.findings(tmp_path, files.chain(fc=fc), files.CHAIN))


def test_parameters_of_one_number_a_channel_are_spread_over_the_image(tmp_path: Path) -> None:
    lif = files.lif(2, tau=np.array([0.01, 0.02]))
    op = files.read(tmp_path, *image_net(lif=lif))["lif"].op
    assert isinstance(op, Ode)
    assert op.shape == (2, 8, 8)
    assert op.tau_mem is not None
    assert op.tau_mem.shape == (2, 1, 1)


def test_parameters_with_an_axis_of_batch_are_those_of_a_sample(tmp_path: Path) -> None:
    op = files.read(tmp_path, files.chain(lif=files.lif(4, 2)), files.CHAIN)["lif"].op
    assert isinstance(op, Ode)
    assert op.shape == (2,)


def test_a_population_of_one_number_without_input_has_one_neuron(tmp_path: Path) -> None:
    nodes = files.chain() | {"alone": files.lif(1)}
    op = files.read(tmp_path, nodes, files.CHAIN)["alone"].op
    assert isinstance(op, Ode)
    assert op.shape == (1,)


def test_an_output_that_nothing_enters_is_refused(tmp_path: Path) -> None:
    ((code, text),) = files.findings(tmp_path, files.chain(), files.CHAIN[:2])
    assert code == "NMC012"
    assert "nothing enters the output `output`" in text


def test_a_convolution_in_a_loop_gets_its_shape_from_the_neuron(tmp_path: Path) -> None:
    back = files.conv2d(2, 2, 3, padding="same")
    nodes, edges = image_net(lif=files.lif())
    graph = files.read(tmp_path, nodes | {"back": back}, [*edges, ("lif", "back"), ("back", "lif")])
    assert input_shape(graph["back"].op) == (2, 8, 8)


def test_shapes_that_do_not_fit_name_both_places(tmp_path: Path) -> None:
    ((code, text),) = files.findings(
        tmp_path, files.chain(lif=files.lif(5), output=files.output(5)), files.CHAIN
    )
    assert code == "NMC010"
    assert "`fc` gives 2, `lif` takes 5" in text
    assert "node `lif`" in text
    assert "and " in text
    assert "node `fc`" in text


def test_an_output_of_another_shape_is_refused(tmp_path: Path) -> None:
    found = dict(files.findings(tmp_path, files.chain(output=files.output(7)), files.CHAIN))
    assert "`lif` gives 2, the output `output` is 7" in found["NMC010"]


def test_a_pool_of_a_vector_is_refused(tmp_path: Path) -> None:
    nodes, edges = image_net(pool=pool("SumPool2d", 2, 2))
    found = dict(files.findings(tmp_path, nodes | {"input": files.input_(8)}, edges))
    assert "`pool` cannot take 8, which `input` gives" in found["NMC010"]


def test_a_window_larger_than_the_image_is_refused(tmp_path: Path) -> None:
    nodes, edges = image_net(conv=files.conv2d(3, 2, 9))
    assert "NMC010" in dict(files.findings(tmp_path, nodes, edges))


def test_a_shape_that_nothing_tells_is_refused_once(tmp_path: Path) -> None:
    nodes, edges = image_net(pool=pool("SumPool2d", 2, 2), lif=files.lif())
    found = files.findings(tmp_path, nodes | {"input": {"type": "Input"}}, edges)
    assert [code for code, _ in found] == ["NMC012"]
    assert "nothing tells the shape of `input`" in found[0][1]
