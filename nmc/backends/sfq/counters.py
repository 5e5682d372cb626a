"""Neurons as counters of pulses: how wide, what stands in them when a frame begins, what each source adds.

A source j is heard on two rails: a pulse on the one means a spike, on the other that there is none; exactly one of them
comes in a frame. A weight w is a pair a - b = w of counts: `plus` of them where j spikes, `minus` where it does not.
Counters therefore only count up, and the sum over b is a constant that goes into where they start.

A cleared counter of n bits starts at 2**n - t and gives a carry where t pulses or more come: that is the spike. Where
fewer are missing than wanted it counts the pulses of the other rails, and its carry means that there is no spike.

An integrating counter holds z = v + offset. Before the sources it gets `preset`, after them `after`, and after a spike
`spike`, all modulo 2**n; it gives a carry between where and only where v reaches the threshold:

    z + preset + (a or b of every source) >= 2**n   <=>   v + (weights of the sources that spike) + bias >= threshold
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from nmc.ir.neuron import Reset
from nmc.ir.tensor import Array

LEAF = 10
"""Junctions of one more pulse that reaches a counter: a splitter and a confluence buffer."""

BIT = 20
"""Junctions of one more bit, its clear included; only by this are ways to count compared."""


class Kind(Enum):
    """What becomes of a neuron."""

    CLEARED = "cleared"
    INTEGRATING = "integrating"
    ALWAYS = "always"
    """It spikes in every step."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a neuron does beyond its weights, in whole units of its state; spikes where v >= threshold."""

    threshold: int
    subtracts: int
    """What a reset by subtraction takes away: the threshold, or less one where only more than it is enough."""
    bias: int
    initial: int
    reset: Reset
    integrates: bool


@dataclass(frozen=True, slots=True)
class Counter:
    """A neuron as a counter. `plus` and `minus` have a mask of bits for each source, in the order of its weights.

    A mask's bit `bits` stands for a pulse that is a carry by itself. `inverted`: a carry means that there is no spike.
    """

    kind: Kind
    bits: int
    inverted: bool
    plus: Array
    minus: Array
    preset: int
    after: int = 0
    spike: int = 0
    start: int = 0
    clears: bool = False
    """A spike clears the counter before `spike` is added."""
    proved: bool = True
    """The range holds for runs of any length, not just for the one that was asked."""

    @property
    def cost(self) -> int:
        """About how many junctions: to compare ways to count."""
        leaves = int(_ones(self.plus).sum() + _ones(self.minus).sum())
        constants = sum(_popcount(each) for each in (self.preset, self.after, self.spike, self.start))
        return LEAF * (leaves + constants) + BIT * self.bits


def counter(weights: Array, rule: Rule, *, steps: int) -> Counter:
    """The cheapest counter of a neuron; `steps` bounds runs of those whose range the weights alone do not."""
    if rule.integrates:
        if not weights.any() and rule.bias == 0 and rule.initial < rule.threshold:
            return _constant(Kind.NEVER, weights)
        return min(
            (_integrating(weights, rule, d, steps=steps) for d in _digits(weights)), key=lambda c: c.cost
        )
    threshold = rule.threshold - rule.bias
    unit = int(np.gcd.reduce(np.abs(weights))) if weights.size else 1
    if unit > 1:
        weights, threshold = weights // unit, -(-threshold // unit)
    if threshold <= int(np.minimum(weights, 0).sum()):
        return _constant(Kind.ALWAYS, weights)
    if threshold > int(np.maximum(weights, 0).sum()):
        return _constant(Kind.NEVER, weights)
    ways = [_cleared(pair, threshold, inverted=False) for pair in _digits(weights)]
    ways += [_cleared(pair, 1 - threshold, inverted=True) for pair in _digits(-weights)]
    return min(ways, key=lambda c: c.cost)


def _constant(kind: Kind, weights: Array) -> Counter:
    nothing = np.zeros(weights.shape, np.int64)
    return Counter(kind, 0, False, nothing, nothing, 0)


# ---- digits -----------------------------------------------------------------------------------------------


def _digits(weights: Array) -> tuple[tuple[Array, Array], ...]:
    """Pairs (a, b) of counts with a - b = weights: in binary, and with the fewest ones (signed digits, Reitwiesner)."""
    size = np.abs(weights)
    half = size >> 1
    carried = size + half
    changes = half ^ carried
    binary = (size, np.zeros_like(size))
    signed = (carried & changes, half & changes)
    return tuple(
        (np.where(weights > 0, up, down), np.where(weights > 0, down, up)) for up, down in (binary, signed)
    )


def _ones(masks: Array) -> Array:
    """How many bits are set in each mask."""
    return np.unpackbits(masks.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1).sum(
        axis=1, dtype=np.int64
    )


def _popcount(number: int) -> int:
    return number.bit_count()


# ---- cleared in every step --------------------------------------------------------------------------------


def _cleared(pair: tuple[Array, Array], threshold: int, *, inverted: bool) -> Counter:
    """`threshold` is on the sum of weights; with the constant it is on the count of pulses, `needed`."""
    plus, minus = pair
    needed = threshold + int(minus.sum())
    bits = (needed - 1).bit_length()
    return Counter(
        Kind.CLEARED,
        bits,
        inverted,
        _enough(plus, needed, bits),
        _enough(minus, needed, bits),
        (1 << bits) - needed,
    )


def _enough(counts: Array, needed: int, bits: int) -> Array:
    """Masks in which a count, or a bit of it, that is enough by itself is one pulse at the carry."""
    top = 1 << bits
    low = counts & (top - 1)
    carry = np.where(counts >> bits != 0, top, 0)
    return np.where(counts >= needed, top, low | carry)


# ---- integrating ------------------------------------------------------------------------------------------


def _integrating(weights: Array, rule: Rule, pair: tuple[Array, Array], *, steps: int) -> Counter:
    plus, minus = pair
    constant = int(minus.sum())
    low = int(np.minimum(weights, 0).sum()) + rule.bias
    high = int(np.maximum(weights, 0).sum()) + rule.bias
    least, most, proved = span(rule, low, high, steps=steps)
    must = max(0, most - rule.threshold + rule.bias - constant + 1)
    best: Counter | None = None
    free = rule.bias - constant
    for preset in sorted({*range(must, must + 33), *(free + (1 << m) for m in range(40)), max(free, must)}):
        if preset < must or preset > must + (1 << 41):
            continue
        reach = [
            rule.threshold - rule.bias + preset + constant - least,  # z >= 0
            most + max(high, 0) - rule.threshold + 1,  # no second carry
            preset + 1,
            int(plus.max(initial=0)) + 1,
            int(minus.max(initial=0)) + 1,
        ]
        bits = max(1, *((each - 1).bit_length() for each in reach if each > 0))
        made = _held(rule, pair, preset, bits, proved=proved)
        if best is None or made.cost < best.cost:
            best = made
    assert best is not None
    return best


def _held(rule: Rule, pair: tuple[Array, Array], preset: int, bits: int, *, proved: bool) -> Counter:
    plus, minus = pair
    modulus = 1 << bits
    constant = int(minus.sum())
    offset = modulus - rule.threshold + rule.bias - preset - constant
    after = (rule.bias - preset - constant) % modulus
    clears = rule.reset is Reset.TO_VALUE
    spike = {Reset.TO_VALUE: offset - after, Reset.SUBTRACT: -rule.subtracts}.get(rule.reset, 0) % modulus
    start = (rule.initial + offset) % modulus
    return Counter(
        Kind.INTEGRATING, bits, False, plus, minus, preset, after, spike, start, clears=clears, proved=proved
    )


def span(rule: Rule, low: int, high: int, *, steps: int) -> tuple[int, int, bool]:
    """The least and the largest v at the end of a step that adds `low` to `high`, and whether of any run.

    A reset to zero or by subtraction leaves v >= 0 behind a spike. Without one v is at most the threshold less one;
    a subtraction leaves more than that only if a step can add more than the threshold.
    """
    resets = rule.reset is not Reset.NONE
    least = min(rule.initial, 0) if resets else rule.initial
    most = max(rule.initial, rule.threshold - 1, 0) if resets else rule.initial
    growth = (
        high if rule.reset is Reset.NONE else high - rule.subtracts if rule.reset is Reset.SUBTRACT else 0
    )
    proved = low >= 0 and growth <= 0
    return least + steps * min(low, 0), most + steps * max(growth, 0), proved
