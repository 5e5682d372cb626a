"""Synapses one by one are what the connection says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from nmc.backends.loihi.program import DELAY, WEIGHT, Conv, Dense, Sign, Sparse, conv_shape
from nmc.backends.loihi.synapses import conv_synapses, synapses
from nmc.ir.tensor import Tensor


def test_dense_gives_every_pair_by_presynaptic_neuron() -> None:
    delay = Tensor([[0, 1], [2, 3], [4, 5]], DELAY)
    connection = Dense("w", "a", "b", Tensor([[2, 4], [0, 6], [8, 10]], WEIGHT), 0, 8, Sign.MIXED, 0, delay)
    lines = synapses(connection, (2,), (3,))
    assert lines.first.tolist() == [0, 3, 6]
    assert lines.post.tolist() == [0, 1, 2, 0, 1, 2]
    assert lines.weight.tolist() == [2, 0, 8, 4, 6, 10]
    assert lines.delay.tolist() == [0, 2, 4, 1, 3, 5]


def test_sparse_is_turned_around() -> None:
    rows, columns = Tensor([0, 0, 2]), Tensor([0, 3, 0])
    connection = Sparse("w", "a", "b", rows, columns, Tensor([2, 4, 6], WEIGHT), 0, 8, Sign.MIXED)
    lines = synapses(connection, (4,), (3,))
    assert lines.first.tolist() == [0, 2, 2, 2, 3]
    assert lines.post.tolist() == [0, 2, 0]
    assert lines.weight.tolist() == [2, 6, 4]
    assert lines.delay.tolist() == [0, 0, 0]


@pytest.mark.parametrize("seed", range(12))
def test_conv_synapses_are_scipys_convolution(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups, per_group, shared = (int(n) for n in random.integers(1, 4, 3))
    kernel = random.integers(1, 4, 2)
    stride, dilation = random.integers(1, 3, 2), random.integers(1, 3, 2)
    padding = random.integers(0, 3, 2)
    size = random.integers(5, 9, 2)
    if seed % 3 == 0:  # one axis: x alone
        kernel[1], stride[1], dilation[1], padding[1] = 1, 1, 1, 0
    shape = (groups * shared, int(size[1]), int(size[0]))
    if seed % 3 == 0:
        shape = (groups * shared, int(size[0]))
    weight = 2 * random.integers(-100, 100, (groups * per_group, *kernel, shared))
    connection = Conv(
        "c",
        "a",
        "b",
        Tensor(weight, WEIGHT),
        (int(stride[0]), int(stride[1])),
        (int(padding[0]), int(padding[1])),
        (int(dilation[0]), int(dilation[1])),
        groups,
        0,
        8,
        Sign.MIXED,
    )
    x = random.integers(0, 3, shape)
    out = conv_shape(connection, shape)
    post, pre, weights = conv_synapses(connection, shape)
    got = np.zeros(int(np.prod(out)), np.int64)
    np.add.at(got, post, weights * x.ravel()[pre])
    expected = _by_scipy(x.reshape(shape[0], -1, shape[-1]), weight, connection)
    np.testing.assert_array_equal(got.reshape(out), expected.reshape(out))
    lines = synapses(connection, shape, out)
    assert lines.post.size == post.size
    assert (np.diff(lines.first) >= 0).all()


def _by_scipy(x: np.ndarray, weight: np.ndarray, connection: Conv) -> np.ndarray:
    """As Lava's own model does it (lava-nc 0.10.0, proc/conv/utils.py), on (channel, y, x)."""
    shared = weight.shape[3]
    per_group = weight.shape[0] // connection.groups
    (px, py), (sx, sy), (dx, dy) = connection.padding, connection.stride, connection.dilation
    padded = np.pad(x, ((0, 0), (py, py), (px, px)))
    channels = []
    for o in range(weight.shape[0]):
        total = 0
        for c in range(shared):
            spread = np.zeros(((weight.shape[2] - 1) * dy + 1, (weight.shape[1] - 1) * dx + 1))
            spread[::dy, ::dx] = weight[o, :, :, c].T
            total = total + signal.convolve2d(padded[o // per_group * shared + c], spread, mode="valid")
        channels.append(total[::sy, ::sx])
    return np.array(channels)
