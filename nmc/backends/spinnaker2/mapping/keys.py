"""Keys: a block of its own for every source, so large that its neurons fit; blocks never overlap, by construction."""

from __future__ import annotations

from collections.abc import Sequence


def blocks_of_keys(sizes: Sequence[int], key_bits: int) -> list[tuple[int, int]] | None:
    """(key, mask) for each source of so many neurons, in their order; None if there are too few keys.

    A block is the smallest power of two that holds the neurons and begins at a multiple of its size.
    """
    everything = (1 << key_bits) - 1
    found: list[tuple[int, int]] = []
    at = 0
    for size in sizes:
        block = 1 << max(0, size - 1).bit_length()
        at = -(-at // block) * block
        if at + block > 1 << key_bits:
            return None
        found.append((at, everything & -block))
        at += block
    return found


def overlaps(blocks: Sequence[tuple[int, int]], key_bits: int) -> list[tuple[int, int]]:
    """Pairs of `blocks` (key, mask), by index, that share a key; empty is the proof that none do.

    Two blocks share a key if and only if they agree where both masks care.
    """
    everything = (1 << key_bits) - 1
    spans = sorted((key, key | (everything & ~mask), index) for index, (key, mask) in enumerate(blocks))
    found: list[tuple[int, int]] = []
    furthest = 0
    for at, (first, _, index) in enumerate(spans):
        if at and first <= spans[furthest][1]:
            found.append((spans[furthest][2], index))
        if at and spans[at][1] > spans[furthest][1]:
            furthest = at
    return found
