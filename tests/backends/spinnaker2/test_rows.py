"""Lists of synapses in the words of the firmware."""

import numpy as np

from nmc.backends.spinnaker2.mapping.mapping import Part
from nmc.backends.spinnaker2.rows import list_block, lists_of
from tests.backends.spinnaker2.mapping.networks import sparse_of


def part(size: int) -> Part:
    return Part("n", np.arange(size), 0, 0, 0)


def test_block_begins_and_ends_with_rows_that_have_synapses() -> None:
    pre, post = np.array([40, 40, 57]), np.array([3, 90, 7])
    lists = lists_of(sparse_of(pre, post, (100, 100)), [part(100)], [part(100)])
    block = list_block(lists, 0, 0, start=10, stop=90, delay=1, simd=True)
    assert block is not None and block.table is not None
    assert (block.start, block.rows) == (40, 18)
    np.testing.assert_array_equal(block.table, [0, *[2] * 17, 3])


def test_rows_without_synapses_are_no_block() -> None:
    lists = lists_of(sparse_of(np.array([40]), np.array([3]), (100, 100)), [part(100)], [part(100)])
    assert list_block(lists, 0, 0, start=41, stop=90, delay=1, simd=True) is None
