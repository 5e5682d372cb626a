"""How functions become machine code: numba, cached on disk, with the rules of `nmc.ir` and no second copy."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numba
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from nmc.ir import fixed, neuron
from nmc.sim import events

Kernel = Callable[..., Any]
"""Any: a kernel is compiled for every combination of types that it is called with."""


def compiled(function: Kernel) -> Kernel:
    """`function` as machine code that releases the interpreter lock; the code is kept on disk if possible.

    numba keeps code beside the source or, where that is read-only, in the user's cache directory
    (`NUMBA_CACHE_DIR` names another); where neither can be written, every process compiles again.
    """
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:
        return njit(function, nogil=True, error_model="numpy")


def _functions_of(*modules: ModuleType) -> list[Kernel]:
    return [
        member
        for module in modules
        for member in vars(module).values()
        if inspect.isfunction(member) and member.__module__ == module.__name__
    ]


def digest_of(*modules: ModuleType) -> int:
    """A number of the source of modules."""
    text = "".join(inspect.getsource(module) for module in modules)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


for _rule in _functions_of(fixed, neuron, events):
    register_jitable(_rule)

RULES_DIGEST = digest_of(fixed, neuron, events)
"""A number of the source of those rules."""


def compiled_with_rules(make: Callable[[int], Kernel]) -> Kernel:
    """The kernel that `make` builds, compiled; it calls rules and closes over the digest that `make` is given.

    numba's key for code on disk knows a kernel's own source and what it closes over, not the source of what it
    calls: without the digest, code compiled from older rules would be taken.
    """
    return compiled(make(RULES_DIGEST))


@cache
def callback(function: Kernel) -> Any:
    """`function(engine, address, size, table)` as machine code that C calls; its `address` is the place of that code.

    In C it is void (*)(void *, uint64_t, uint32_t, uint64_t *): `table` is words that the function may change.
    """
    library: Any = numba  # what it exports is not in its stubs
    signature = types.void(types.voidptr, types.uint64, types.uint32, types.CPointer(types.uint64))
    return library.cfunc(signature, cache=True)(function)


part_of_kernels: Callable[[Kernel], Kernel] = register_jitable
"""Decorates a function that kernels call: it is compiled into each of them and never kept on disk by itself, so that
the kernel's digest (`digest_of` the modules of its parts) is all that a change of it must change."""


def _prefetch(_context: Any, array: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        contents = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.bitcast(builder.gep(contents.data, [arguments[1]]), cgutils.voidptr_t)
        word = cgutils.int32_t
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        # Of llvm.prefetch: 0, to read; 3, into all caches; 1, data.
        function = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        builder.call(function, [address, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, place), generate


prefetch: Kernel = intrinsic(_prefetch)
"""In kernels, `prefetch(array, place)` starts to load an element of a contiguous array that is read soon."""
