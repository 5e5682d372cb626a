"""Convolutions as axes of taps: what an event reaches through them is what its synapses reach."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.fpga.windows import Axis, Kernel, kernel_of, window_of
from nmc.ir.linear import compose, make_sparse, matrix
from nmc.ir.ops import Conv, LinearOp, Pool, Pooling, output_shape
from nmc.ir.tensor import Array, Tensor


def conv(
    rng: np.random.Generator,
    in_shape: tuple[int, ...],
    out: int,
    kernel: tuple[int, ...],
    *,
    stride: tuple[int, ...] = (1, 1),
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0)),
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
) -> Conv:
    weight = rng.integers(-9, 10, (out, in_shape[0] // groups, *kernel)).astype(np.float64)
    rank = len(kernel)
    return Conv(in_shape, Tensor(weight), None, stride[:rank], padding[:rank], dilation[:rank], groups)


def taps(axis: Axis, at: int) -> list[tuple[int, int]]:
    """The taps that an input meets and the outputs to which they lead."""
    return [
        (int(axis.tap[at]) + k * axis.tap_step, int(axis.output[at]) - k * axis.output_step)
        for k in range(int(axis.count[at]))
    ]


def walked(kernel: Kernel, lanes: int) -> Array:
    """The matrix (post, pre) that the address generator walks, operation by operation."""
    window = window_of(kernel, lanes)
    channels, height, width = kernel.in_shape
    outputs, high, wide = kernel.out_shape
    in_group, out_group = channels // kernel.groups, outputs // kernel.groups
    taps_high, taps_wide = kernel.weights.shape[2:]
    found = np.zeros((outputs * high * wide, channels * height * width), np.int64)
    for pre in range(found.shape[1]):
        c, y, x = np.unravel_index(pre, kernel.in_shape)
        operations = 0
        for tap_y, out_y in taps(kernel.lines, int(y)):
            for tap_x, out_x in taps(kernel.columns, int(x)):
                for block in range(window.blocks):
                    row = ((c % in_group * taps_high + tap_y) * taps_wide + tap_x) * window.blocks + block
                    operations += 1
                    for lane in range(window.lanes):
                        channel = lane * window.blocks + block
                        if channel < outputs and channel // out_group == c // in_group:
                            found[(channel * high + out_y) * wide + out_x, pre] += window.weights[row, lane]
        assert operations == window.operations[pre]
    return found


def check(op: LinearOp, *, lanes: int) -> Kernel:
    kernel = kernel_of(op)
    assert kernel is not None
    np.testing.assert_array_equal(walked(kernel, lanes), matrix(op).toarray().astype(np.int64))
    return kernel


@pytest.mark.parametrize("seed", range(30))
def test_window_reaches_what_the_convolution_reaches(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 2, 3]))
    rank = int(rng.integers(1, 3))
    op = conv(
        rng,
        (groups * int(rng.integers(1, 3)), *rng.integers(4, 9, rank).tolist()),
        groups * int(rng.integers(1, 4)),
        tuple(rng.integers(1, 4, rank).tolist()),
        stride=tuple(rng.integers(1, 4, 2).tolist()),
        padding=tuple((int(rng.integers(0, 3)), int(rng.integers(0, 3))) for _ in range(2)),
        dilation=tuple(rng.integers(1, 3, 2).tolist()) if rng.random() < 0.4 else (1, 1),
        groups=groups,
    )
    check(op, lanes=int(rng.integers(1, op.weight.shape[0] + 1)))


@pytest.mark.parametrize(("size", "padding"), [(8, 0), (7, 0), (9, 1)])
def test_pool_before_a_convolution_stores_the_convolutions_kernel(size: int, padding: int) -> None:
    rng = np.random.default_rng(0)
    pool = Pool((2, size, size), Pooling.SUM, (2, 2), (2, 2), ((padding, 0),) * 2)
    op = conv(rng, output_shape(pool), 4, (3, 3), padding=((1, 1), (1, 1)))
    joined = compose(pool, op)
    assert isinstance(joined, LinearOp)
    assert check(joined, lanes=4).weights.shape == (4, 2, 3, 3)


def test_pool_alone_is_one_tap_a_channel() -> None:
    channels = 3
    pool = Pool((channels, 6, 6), Pooling.SUM, (2, 2), (2, 2), ((0, 0), (0, 0)))
    joined = compose(
        pool, Conv((3, 3, 3), Tensor(np.eye(3).reshape(3, 3, 1, 1)), None, (1, 1), ((0, 0),) * 2, (1, 1), 1)
    )
    assert isinstance(joined, LinearOp)
    kernel = check(joined, lanes=3)
    assert kernel.weights.shape[2:] == (1, 1)


def test_synapses_that_depend_on_the_place_are_no_convolution() -> None:
    rng = np.random.default_rng(0)
    full = matrix(conv(rng, (1, 5, 5), 2, (3, 3))).tocoo()
    own = np.arange(1.0, full.data.size + 1)
    op = make_sparse(
        (1, 5, 5), (2, 3, 3), pre=full.col, post=full.row, weight=own, delay=np.zeros(full.data.size)
    )
    assert kernel_of(op) is None


def test_synapses_of_a_convolution_less_one_are_no_convolution() -> None:
    rng = np.random.default_rng(0)
    full = matrix(conv(rng, (1, 5, 5), 2, (3, 3))).tocoo()
    kept = full.data != 0
    kept[np.flatnonzero(kept)[7]] = False
    op = make_sparse(
        (1, 5, 5),
        (2, 3, 3),
        pre=full.col[kept],
        post=full.row[kept],
        weight=full.data[kept],
        delay=np.zeros(kept.sum()),
    )
    assert kernel_of(op) is None
