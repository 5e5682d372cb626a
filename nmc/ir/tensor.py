"""Numbers of a network: read-only arrays, real or fixed point, equal by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""Any: one array type for reals, mantissas and indices; `Tensor` knows which it holds."""


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A number format: value = mantissa * 2**exponent, with `bits` bits of mantissa, sign included."""

    bits: int
    signed: bool
    exponent: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 63:
            raise ValueError(f"a mantissa of {self.bits} bits; 1 to 63 are possible")

    @property
    def lowest(self) -> int:
        """The smallest mantissa."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest mantissa."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype[np.signedinteger]:
        """The smallest signed numpy integer that holds every mantissa."""
        needed = self.bits if self.signed else self.bits + 1
        return np.dtype(f"int{next(width for width in (8, 16, 32, 64) if needed <= width)}")

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}e{self.exponent}"


class Tensor:
    """A read-only array. With a `number`, the array holds mantissas; without, reals or plain indices.

    Two tensors are equal when shape, dtype, bytes and number are equal.
    """

    __slots__ = ("data", "number")
    data: Array
    number: FixedPoint | None

    def __init__(self, data: npt.ArrayLike, number: FixedPoint | None = None) -> None:
        """Copy `data` (any array-like) unless it is read-only already.

        Reals keep float32 and become float64 otherwise; integers without a number become int64 (indices).
        Raises ValueError when a mantissa does not fit `number`, `number` is given reals, or `data` holds
        neither reals nor integers.
        """
        array = np.asarray(data)
        wanted = _dtype(array, number)
        if array.dtype != wanted or _may_change(array) or not array.flags.c_contiguous:
            array = np.array(array, dtype=wanted, order="C")
            array.flags.writeable = False
        object.__setattr__(self, "data", array)
        object.__setattr__(self, "number", number)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Tensor is read-only: `{name}`")

    def __reduce__(self) -> tuple[type[Tensor], tuple[Array, FixedPoint | None]]:
        return Tensor, (self.data, self.number)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.data.shape

    @property
    def size(self) -> int:
        """How many elements."""
        return self.data.size

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The values as float64: mantissa * 2**exponent, exact up to 53 bits."""
        reals = self.data.astype(np.float64)
        return reals if self.number is None else np.ldexp(reals, self.number.exponent)

    def digest(self) -> str:
        """SHA-256 over format, shape, dtype and bytes, as hex."""
        head = f"{self.number} {self.data.dtype.str} {self.data.shape}".encode()
        return hashlib.sha256(head + self.data.tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tensor):
            return NotImplemented
        return (
            self.number == other.number
            and self.data.dtype == other.data.dtype
            and self.data.shape == other.data.shape
            and (self.data is other.data or self.data.tobytes() == other.data.tobytes())
        )

    def __hash__(self) -> int:
        return hash((self.number, self.data.shape, self.data.dtype.str, self.data.tobytes()))

    def __repr__(self) -> str:
        body = repr(self.data.tolist()) if self.size <= 8 else f"{self.data.dtype}{list(self.shape)}"
        return f"Tensor({body}{'' if self.number is None else f', {self.number}'})"


def _dtype(array: Array, number: FixedPoint | None) -> np.dtype[np.generic]:
    """The one dtype in which a tensor holds such data."""
    kind = array.dtype.kind
    if kind not in "iubf":
        raise ValueError(f"a tensor holds reals or integers, not {array.dtype}")
    if kind == "f":
        if number is not None:
            raise ValueError(f"a fixed-point tensor needs integer mantissas, not {array.dtype}")
        return np.dtype(np.float32 if array.dtype.itemsize == 4 else np.float64)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if number is None:
        if high > np.iinfo(np.int64).max:
            raise ValueError(f"{high} is above the largest index, {np.iinfo(np.int64).max}")
        return np.dtype(np.int64)
    if low < number.lowest or high > number.highest:
        sign = "signed" if number.signed else "unsigned"
        raise ValueError(f"mantissas {low} to {high} do not fit {number.bits} {sign} bits")
    return number.dtype


def _may_change(array: Array) -> bool:
    """Whether somebody can still write into the array, or into one that it is a view of."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return True
        owner = owner.base
    return False
