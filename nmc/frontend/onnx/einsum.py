"""Products in the notation of Einstein, as the matrix products that they mean.

A letter is one axis. Of two factors, letters of both that the result has are the stack, letters of both that it has
not are summed over, and letters of one alone are rows and columns. A letter that only one factor has and the result
has not is summed over before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from string import ascii_letters

import numpy as np

from nmc.frontend.onnx.elementwise import Builder
from nmc.frontend.onnx.layers import linear, product, reduced
from nmc.frontend.onnx.movement import Args, data, reshape, shape_of
from nmc.frontend.onnx.read import NEAR_LIMIT, NodeIn
from nmc.frontend.onnx.refuse import Refusal
from nmc.frontend.onnx.values import Space, Traced, Value
from nmc.ir.program import Scalar
from nmc.ir.tensor import Array

_WAY_OUT = "write it with `matmul`, `transpose` and `sum`"


def _einsum(space: Space, node: NodeIn, args: Args) -> list[Traced]:
    """The sum over all letters that the result has not, factor by factor from the left."""
    factors = [data(args, place) for place in range(len(args))]
    terms, result = _letters(str(node.attrs.get("equation", "")), [shape_of(space, each) for each in factors])
    total, letters = factors[0], terms[0]
    for place in range(1, len(factors)):
        left = result.union(*terms[place + 1 :]) if len(terms) > place + 1 else set(result)
        total, letters = _pair(space, (total, letters), (factors[place], terms[place]), left)
    total, letters = _summed(space, total, letters, set(result))
    return [_ordered(space, total, letters, result)]
