"""Tensors and number formats: what they hold, that nothing changes them, and when two are equal."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmc.ir.tensor import FixedPoint, Tensor

NUMBERS = st.builds(FixedPoint, st.integers(1, 63), st.booleans(), st.integers(-20, 20))


@given(NUMBERS)
def test_fixed_point_range_is_twos_complement_or_natural(number: FixedPoint) -> None:
    assert number.highest - number.lowest + 1 == 2**number.bits
    assert number.lowest == (-(2 ** (number.bits - 1)) if number.signed else 0)


@given(NUMBERS)
def test_fixed_point_dtype_is_the_smallest_that_holds_both_ends(number: FixedPoint) -> None:
    info = np.iinfo(number.dtype)
    assert info.min <= number.lowest and number.highest <= info.max
    if info.bits > 8:
        smaller = np.iinfo(f"int{info.bits // 2}")
        assert number.lowest < smaller.min or number.highest > smaller.max


@pytest.mark.parametrize("bits", [0, -1, 64])
def test_fixed_point_refuses_widths_that_no_register_has(bits: int) -> None:
    with pytest.raises(ValueError, match=f"{bits} bits"):
        FixedPoint(bits, True, 0)


def test_fixed_point_reads_as_sign_bits_and_exponent() -> None:
    assert str(FixedPoint(8, True, -4)) == "s8e-4"
    assert str(FixedPoint(13, False, 0)) == "u13e0"


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (0.5, np.float64),
        (np.float32([0.5]), np.float32),
        (np.array([0.5], ">f4"), np.float32),
        (np.array([0.5], ">f8"), np.float64),
        (np.float16([0.5]), np.float64),
        (3, np.int64),
        (np.uint8([3]), np.int64),
        (np.array([True]), np.int64),
    ],
)
def test_tensor_without_number_has_one_of_three_dtypes(data: object, dtype: type) -> None:
    assert Tensor(np.asarray(data)).data.dtype == np.dtype(dtype)


def test_tensor_with_number_takes_the_numbers_dtype() -> None:
    assert Tensor([1, -2], FixedPoint(8, True, 0)).data.dtype == np.int8
    assert Tensor([1, 2], FixedPoint(8, False, 0)).data.dtype == np.int16


def test_tensor_refuses_mantissas_that_do_not_fit() -> None:
    assert Tensor([-128, 127], FixedPoint(8, True, 0)).size == 2
    with pytest.raises(ValueError, match="-128 to 128 do not fit 8 signed bits"):
        Tensor([-128, 128], FixedPoint(8, True, 0))
    with pytest.raises(ValueError, match="-1 to 0 do not fit 8 unsigned bits"):
        Tensor([-1, 0], FixedPoint(8, False, 0))


@pytest.mark.parametrize("data", [1j, "text", [None]])
def test_tensor_refuses_what_is_no_number(data: object) -> None:
    with pytest.raises(ValueError, match="reals or integers"):
        Tensor(np.asarray(data))


def test_tensor_refuses_reals_for_a_number_and_indices_above_64_bits() -> None:
    with pytest.raises(ValueError, match="integer mantissas"):
        Tensor(0.5, FixedPoint(8, True, 0))
    with pytest.raises(ValueError, match="largest index"):
        Tensor(np.uint64([2**63]))


def test_tensor_keeps_its_data_when_the_array_it_came_from_changes() -> None:
    source = np.arange(4.0)
    view = source[1:]
    view.flags.writeable = False
    for array in (source, view):
        tensor = Tensor(array)
        before = tensor.data.tolist()
        source += 1
        assert tensor.data.tolist() == before


def test_tensor_shares_an_array_that_nobody_can_change() -> None:
    array = np.arange(4.0)
    array.flags.writeable = False
    assert Tensor(array).data is array


def test_tensor_is_read_only() -> None:
    tensor = Tensor([1.0])
    with pytest.raises(ValueError, match="read-only"):
        tensor.data[0] = 2
    with pytest.raises(AttributeError, match="read-only"):
        tensor.number = FixedPoint(8, True, 0)


def test_tensor_values_are_mantissa_times_power_of_two() -> None:
    assert Tensor([3, -2], FixedPoint(8, True, -2)).values.tolist() == [0.75, -0.5]
    assert Tensor([3, -2], FixedPoint(8, True, 2)).values.tolist() == [12, -8]
    assert Tensor(np.float32(0.1)).values.dtype == np.float64


TENSORS = [
    Tensor([1.0, 2.0]),
    Tensor([[1.0, 2.0]]),
    Tensor(np.float32([1, 2])),
    Tensor([1, 2]),
    Tensor([1, 2], FixedPoint(8, True, 0)),
    Tensor([1, 2], FixedPoint(8, True, -1)),
    Tensor([1.0, -2.0]),
    Tensor([0.0]),
    Tensor([-0.0]),
]


def test_tensor_equality_hash_and_digest_tell_shape_dtype_bytes_and_number_apart() -> None:
    assert len(set(TENSORS)) == len({tensor.digest() for tensor in TENSORS}) == len(TENSORS)
    for tensor in TENSORS:
        twin = Tensor(np.array(tensor.data), tensor.number)
        assert twin == tensor and hash(twin) == hash(tensor) and twin.digest() == tensor.digest()
    assert Tensor(1.0) != 1.0


@pytest.mark.parametrize("tensor", TENSORS, ids=repr)
def test_tensor_survives_pickling(tensor: Tensor) -> None:
    copy = pickle.loads(pickle.dumps(tensor))
    assert copy == tensor
    assert not copy.data.flags.writeable
