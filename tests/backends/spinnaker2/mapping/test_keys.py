"""Blocks of keys."""

from hypothesis import given
from hypothesis import strategies as st

from nmc.backends.spinnaker2.mapping.keys import blocks_of_keys, overlaps


@given(st.lists(st.integers(1, 5000), max_size=40))
def test_blocks_hold_their_neurons_and_share_no_key(sizes: list[int]) -> None:
    blocks = blocks_of_keys(sizes, 32)
    assert blocks is not None
    owner: dict[int, int] = {}
    for index, ((key, mask), size) in enumerate(zip(blocks, sizes, strict=True)):
        for neuron in range(size):
            assert (key + neuron) & mask == key
            assert owner.setdefault(key + neuron, index) == index
    assert overlaps(blocks, 32) == []


def test_keys_run_out() -> None:
    assert blocks_of_keys([100, 100], 8) is not None
    assert blocks_of_keys([100, 100, 1], 8) is None


def blocks_of(key: int, bits: int) -> tuple[int, int]:
    return key, 0xFFFFFFFF & -(1 << bits)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3)), min_size=2, max_size=6))
def test_every_shared_key_is_found(pairs: list[tuple[int, int]]) -> None:
    blocks = [blocks_of(key >> bits << bits, bits) for key, bits in pairs]
    shared = any(
        any(k & a[1] == a[0] and k & b[1] == b[0] for k in range(16))
        for i, a in enumerate(blocks)
        for b in blocks[:i]
    )
    assert bool(overlaps(blocks, 32)) == shared
