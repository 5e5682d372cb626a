import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.ir.linear import (
    bias,
    compose,
    identity,
    make_sparse,
    matrix,
    scale_rows,
    size_of,
    synapses,
    without_bias,
)
from nmc.ir.ops import Conv, Delay, Flatten, Linear, Pool, Pooling, Scale, Sparse, input_shape, output_shape
from nmc.ir.tensor import Tensor


def conv_by_definition(op: Conv, x: np.ndarray) -> np.ndarray:
    """Cross-correlation, tap by tap."""
    pads = [(0, 0), *op.padding]
    padded = np.pad(x, pads)
    out = np.zeros(output_shape(op))
    weight = op.weight.values
    out_a_group, in_a_group = weight.shape[0] // op.groups, weight.shape[1]
    for index in np.ndindex(*out.shape):
        o, place = index[0], index[1:]
        first = (o // out_a_group) * in_a_group
        for tap in np.ndindex(*weight.shape[2:]):
            at = tuple(p * s + t * d for p, s, t, d in zip(place, op.stride, tap, op.dilation, strict=True))
            out[index] += weight[(o, slice(None), *tap)] @ padded[(slice(first, first + in_a_group), *at)]
    return out


@st.composite
def convolutions(draw: st.DrawFn, in_shape: tuple[int, ...] | None = None) -> Conv:
    groups = draw(st.integers(1, 2))
    if in_shape is None:
        space = draw(st.integers(1, 2))
        in_shape = (groups * draw(st.integers(1, 2)), *(draw(st.integers(4, 7)) for _ in range(space)))
    if in_shape[0] % groups:
        groups = 1
    axes = range(len(in_shape) - 1)
    kernel = tuple(draw(st.integers(1, 3)) for _ in axes)
    stride = tuple(draw(st.integers(1, 2)) for _ in axes)
    dilation = tuple(draw(st.integers(1, 2)) for _ in axes)
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in axes)
    padding = tuple(
        (a, max(b, d * (k - 1) + 1 - n - a))
        for (a, b), d, k, n in zip(padding, dilation, kernel, in_shape[1:], strict=True)
    )
    channels = groups * draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = rng.integers(-5, 6, (channels, in_shape[0] // groups, *kernel)).astype(float)
    constant = Tensor(rng.integers(-3, 4, channels).astype(float)) if draw(st.booleans()) else None
    return Conv(in_shape, Tensor(weight), constant, stride, padding, dilation, groups)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(0, 9))
def test_matrix_of_a_convolution_is_the_convolution(op: Conv, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-4, 5, op.in_shape).astype(float)
    expected = conv_by_definition(op, x)
    np.testing.assert_array_equal((matrix(op) @ x.ravel()).reshape(expected.shape), expected)


@pytest.mark.parametrize("pooling", [Pooling.SUM, Pooling.AVERAGE])
def test_matrix_of_a_pool_counts_padding_as_zeros(pooling: Pooling) -> None:
    op = Pool((1, 3, 3), pooling, (2, 2), (2, 2), ((1, 0), (1, 0)))
    x = np.arange(1.0, 10.0).reshape(1, 3, 3)
    expected = np.array([1.0, 5.0, 11.0, 28.0]) / (4 if pooling is Pooling.AVERAGE else 1)
    np.testing.assert_array_equal(matrix(op) @ x.ravel(), expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_compose_is_the_product_of_the_matrices(data: st.DataObject) -> None:
    shape = (2, 6, 6)
    first = data.draw(
        st.sampled_from(
            [
                Pool(shape, Pooling.SUM, (2, 2), (2, 2), ((0, 0), (0, 0))),
                Pool(shape, Pooling.AVERAGE, (3, 2), (3, 2), ((0, 0), (0, 0))),
                Pool(shape, Pooling.SUM, (3, 3), (2, 2), ((1, 1), (0, 1))),
                Scale(shape, Tensor(np.array([2.0, -1.0]).reshape(2, 1, 1))),
                Scale(shape, Tensor(np.arange(72.0).reshape(shape))),
                Flatten(shape, 0, 2),
                Delay(shape, Tensor(np.arange(72).reshape(shape) % 3)),
            ]
        )
        | convolutions(shape)
    )
    middle = output_shape(first)
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    seconds = st.just(Scale(middle, Tensor(np.float64(3.0)))) | st.just(Flatten(middle, 0, len(middle) - 1))
    if len(middle) == 1:
        seconds = seconds | st.just(Linear(Tensor(rng.integers(-3, 4, (5, middle[0])).astype(float))))
    else:
        seconds = seconds | convolutions(middle)
    second = data.draw(seconds)
    joined = compose(first, second)
    assert input_shape(joined) == input_shape(first)
    assert size_of(output_shape(joined)) == size_of(output_shape(second))
    expected = (matrix(second) @ matrix(first)).toarray()
    np.testing.assert_allclose(matrix(joined).toarray(), expected, rtol=1e-12, atol=1e-12)
    assert bias(joined) is None
    delays = first.steps.data.max() if isinstance(first, Delay) else 0
    assert synapses(joined).delay.data.max(initial=0) <= delays


def test_compose_keeps_a_tiled_pool_before_a_convolution_a_convolution() -> None:
    pool = Pool((1, 8, 8), Pooling.SUM, (2, 2), (2, 2), ((0, 0), (0, 0)))
    conv = Conv((1, 4, 4), Tensor(np.ones((3, 1, 3, 3))), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    assert isinstance(compose(pool, conv), Conv)


def test_compose_does_not_merge_a_pool_that_drops_a_border() -> None:
    pool = Pool((1, 7, 7), Pooling.SUM, (2, 2), (2, 2), ((0, 0), (0, 0)))
    conv = Conv((1, 3, 3), Tensor(np.ones((1, 1, 3, 3))), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    joined = compose(pool, conv)
    assert isinstance(joined, Sparse)
    np.testing.assert_array_equal(matrix(joined).toarray(), (matrix(conv) @ matrix(pool)).toarray())


def test_compose_of_two_delayed_connections_adds_their_delays() -> None:
    a = make_sparse(
        (1,),
        (2,),
        pre=np.array([0, 0]),
        post=np.array([0, 1]),
        weight=np.array([2.0, 3.0]),
        delay=np.array([1, 4]),
    )
    b = make_sparse(
        (2,),
        (1,),
        pre=np.array([0, 1]),
        post=np.array([0, 0]),
        weight=np.array([5.0, 7.0]),
        delay=np.array([2, 0]),
    )
    joined = compose(a, b)
    assert isinstance(joined, Sparse)
    assert joined.delay.data.tolist() == [3, 4]
    assert joined.weight.values.tolist() == [10.0, 21.0]


def test_compose_with_a_connection_of_no_synapses_has_none() -> None:
    none = make_sparse((2,), (3,), pre=np.zeros(0), post=np.zeros(0), weight=np.zeros(0), delay=np.zeros(0))
    joined = compose(none, identity((3,)))
    assert isinstance(joined, Sparse)
    assert (joined.in_shape, joined.out_shape, joined.weight.size) == ((2,), (3,), 0)


def test_make_sparse_merges_triples_and_drops_zeros() -> None:
    op = make_sparse(
        (3,),
        (2,),
        pre=np.array([2, 0, 0, 1]),
        post=np.array([1, 0, 0, 1]),
        weight=np.array([1.0, 2.0, 3.0, 0.0]),
        delay=np.array([0, 1, 1, 0]),
    )
    assert (op.pre.data.tolist(), op.post.data.tolist()) == ([0, 2], [0, 1])
    assert (op.weight.values.tolist(), op.delay.data.tolist()) == ([5.0, 1.0], [1, 0])


@settings(max_examples=30, deadline=None)
@given(convolutions(), st.booleans())
def test_scale_rows_multiplies_every_output(op: Conv, by_neuron: bool) -> None:
    shape = output_shape(op)
    rng = np.random.default_rng(1)
    factor = rng.integers(1, 5, shape if by_neuron else (shape[0], *(1,) * (len(shape) - 1))).astype(float)
    scaled = scale_rows(op, factor)
    expected = np.broadcast_to(factor, shape).reshape(-1, 1) * matrix(op).toarray()
    np.testing.assert_array_equal(matrix(scaled).toarray(), expected)


def test_bias_of_a_convolution_is_one_a_channel() -> None:
    conv = Conv(
        (1, 2, 2), Tensor(np.ones((2, 1, 1, 1))), Tensor([1.0, 2.0]), (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    )
    constant = bias(conv)
    assert constant is not None
    assert constant[:, 0, 0].tolist() == [1.0, 2.0] and constant.shape == (2, 2, 2)
    assert bias(without_bias(conv)) is None


def test_identity_gives_back_its_input() -> None:
    np.testing.assert_array_equal(matrix(identity((2, 3))).toarray(), np.eye(6))
