"""Rules for single numbers on whole arrays of PyTorch: every branch that some element takes is walked, then merged.

`nmc.ir.neuron` and `nmc.ir.fixed` say what a neuron does with plain `if`s. Here their functions are called with
`Number`s, which stand for all elements at once. Where a comparison holds for some elements and not for others, the
function is called again for the rest. Gradients flow through the operations of the branch that an element took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Array = Any
"""A torch.Tensor; torch is imported where an executor is made, and ships no strict types for what is used here."""


class Path:
    """One way through a rule: the elements that take it, and the choices that lead there."""

    def __init__(self, torch: Any, live: Array, choices: tuple[bool, ...], watched: object) -> None:
        self.torch = torch
        self.live = live
        self.given = choices
        self.taken: list[bool] = []
        self.others: list[tuple[bool, ...]] = []
        self.watched = watched
        self.margin: Array | None = None

    def decide(self, left: Number, condition: Array, right: object) -> bool:
        """Which way to go on; elements for which it is the other one are left to another path."""
        if right is self.watched:
            self.margin = left.value - self.value(right)
        holds = self.live & condition
        some, everywhere = bool(holds.any()), bool((holds == self.live).all())
        if everywhere or not some:
            return some  # nobody here goes the other way
        if len(self.taken) < len(self.given):
            choice = self.given[len(self.taken)]
        else:
            choice = True
            self.others.append((*self.taken, False))
        self.taken.append(choice)
        self.live = holds if choice else self.live & ~condition
        return choice

    def quotient(self, a: Any, b: Any) -> Array:
        """a // b, down; elements that do not come this way may have b = 0, which torch refuses of integers."""
        torch = self.torch
        divisor = torch.as_tensor(b, dtype=getattr(a, "dtype", getattr(b, "dtype", None)))
        safe = torch.where(self.live, divisor, torch.ones_like(divisor))
        return torch.div(torch.as_tensor(a, dtype=divisor.dtype), safe, rounding_mode="floor")

    def value(self, operand: Any) -> Any:
        """The array of a `Number`; a plain number as it is."""
        return operand.value if isinstance(operand, Number) else operand


class Condition:
    """A comparison, element by element, which is decided when somebody asks for its truth."""

    def __init__(self, left: Number, holds: Array, right: object) -> None:
        self.left, self.holds, self.right = left, holds, right

    def __bool__(self) -> bool:
        return self.left.path.decide(self.left, self.holds, self.right)


class Number:
    """All elements of an array as one number, with the operators that rules use."""

    __slots__ = ("path", "value")
    __hash__ = None  # type: ignore[assignment] # equality is a comparison of elements

    def __init__(self, value: Array, path: Path) -> None:
        self.value, self.path = value, path

    def _new(self, value: Array) -> Number:
        return Number(value, self.path)

    def _is(self, holds: Array, other: object) -> Condition:
        return Condition(self, holds, other)

    def __add__(self, other: Any) -> Number:
        return self._new(self.value + self.path.value(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Number:
        return self._new(self.value - self.path.value(other))

    def __rsub__(self, other: Any) -> Number:
        return self._new(self.path.value(other) - self.value)

    def __mul__(self, other: Any) -> Number:
        return self._new(self.value * self.path.value(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Number:
        return self._new(self.value / self.path.value(other))

    def __floordiv__(self, other: Any) -> Number:
        return self._new(self.path.quotient(self.value, self.path.value(other)))

    def __rfloordiv__(self, other: Any) -> Number:
        return self._new(self.path.quotient(self.path.value(other), self.value))

    def __neg__(self) -> Number:
        return self._new(-self.value)

    def __lshift__(self, other: Any) -> Number:
        return self._new(self.value << self.path.value(other))

    def __rshift__(self, other: Any) -> Number:
        return self._new(self.value >> self.path.value(other))

    def __and__(self, other: Any) -> Number:
        return self._new(self.value & self.path.value(other))

    def __floor__(self) -> Number:
        return self._new(self.path.torch.floor(self.value))

    def __gt__(self, other: Any) -> Condition:
        return self._is(self.value > self.path.value(other), other)

    def __ge__(self, other: Any) -> Condition:
        return self._is(self.value >= self.path.value(other), other)

    def __lt__(self, other: Any) -> Condition:
        return self._is(self.value < self.path.value(other), other)

    def __le__(self, other: Any) -> Condition:
        return self._is(self.value <= self.path.value(other), other)

    def __eq__(self, other: Any) -> Any:
        return self._is(self.value == self.path.value(other), other)

    def __ne__(self, other: Any) -> Any:
        return self._is(self.value != self.path.value(other), other)


def elementwise(
    torch: Any, rule: Callable[..., Any], arguments: Sequence[Any], *, like: Array, watch: int | None = None
) -> tuple[list[Array], Array | None]:
    """What `rule` gives for each element of its arguments, which are arrays or plain numbers; of the shape of `like`.

    `watch` is the place of an argument with which a number is compared; the difference of the two, at its last
    comparison, is given too.
    """
    waiting: list[tuple[bool, ...]] = [()]
    everything = torch.ones(like.shape, dtype=torch.bool)
    results: list[Array] = []
    margin: Array | None = None
    while waiting:
        path = Path(torch, everything, waiting.pop(), None)
        numbers = [Number(a, path) if isinstance(a, torch.Tensor) else a for a in arguments]
        path.watched = None if watch is None else numbers[watch]
        given = rule(*numbers)
        waiting += path.others
        parts = [path.value(part) for part in (given if isinstance(given, tuple) else (given,))]
        parts = [torch.as_tensor(part, dtype=like.dtype).expand(like.shape) for part in parts]
        whole = not results
        results = (
            parts if whole else [torch.where(path.live, *pair) for pair in zip(parts, results, strict=True)]
        )
        if path.margin is not None:
            margin = path.margin if margin is None else torch.where(path.live, path.margin, margin)
    return results, margin
