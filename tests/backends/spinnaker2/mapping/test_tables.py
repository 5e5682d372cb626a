"""Routing tables and the proof that they deliver."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc.backends.spinnaker2.mapping.check import matches, misrouted
from nmc.backends.spinnaker2.mapping.mapping import Table
from nmc.backends.spinnaker2.mapping.network import Reach
from nmc.backends.spinnaker2.mapping.routes import grid_of
from nmc.backends.spinnaker2.mapping.tables import compress, tables_of, visits_of
from nmc.backends.spinnaker2.spec import SPINNAKER2_BOARD, SPINNAKER2_CHIP


def shortest(keys: dict[int, int], bits: int) -> int:
    """The fewest entries of nested prefixes, by trying for every prefix every route that may be inherited."""
    routes = sorted({0, *keys.values()})

    def fewest(prefix: int, height: int, inherited: int) -> int:
        below = {key: route for key, route in keys.items() if key >> height == prefix}
        if not below:
            return 0

        def with_route(route: int) -> int:
            if height == 0:
                return 0 if keys[prefix] == route else 99
            return fewest(2 * prefix, height - 1, route) + fewest(2 * prefix + 1, height - 1, route)

        return min(with_route(inherited), *(1 + with_route(route) for route in routes))

    return fewest(0, bits, 0)


@settings(max_examples=40)
@given(st.dictionaries(st.integers(0, 15), st.integers(0, 3), min_size=1))
def test_compression_finds_the_smallest_table_of_prefixes(keys: dict[int, int]) -> None:
    ordered = sorted(keys)
    prefix, length, route = compress(np.array(ordered), np.array([keys[key] for key in ordered]), 4, 0, 8)
    for key in ordered:
        hits = [
            (n, r) for p, n, r in zip(prefix, length, route, strict=True) if key >> (4 - n) == p >> (4 - n)
        ]
        assert max(hits, default=(0, 0))[1] == keys[key]
    assert len(prefix) == shortest(keys, 4)


def random_case(seed: int, chips: int) -> tuple[object, ...]:
    rng = np.random.default_rng(seed)
    chip = SPINNAKER2_CHIP if chips == 1 else replace(SPINNAKER2_BOARD, chips=SPINNAKER2_BOARD.chips[:chips])
    keys = np.sort(rng.choice(4096, 300, replace=False)).astype(np.int64)
    sets = [np.unique(rng.integers(0, chip.pes, rng.integers(0, 6))) for _ in range(12)]
    chosen = [sets[int(each)] for each in np.sort(rng.integers(0, 12, 300))]
    start = np.concatenate(([0], np.cumsum([len(each) for each in chosen])))
    return chip, rng.integers(0, chips, 300), keys, start, np.concatenate(chosen)


@pytest.mark.parametrize("chips", [1, 4, 48])
def test_packets_reach_their_pes_and_no_others_before_and_after_compression(chips: int) -> None:
    for seed in range(5):
        chip, homes, keys, start, pes = random_case(seed, chips)
        visits = visits_of(chip, grid_of(chip), homes, keys, Reach(start, pes), np.arange(chip.pes))
        plain = tables_of(visits, key_bits=32, compress=False)
        small = tables_of(visits, key_bits=32)
        for tables in (plain, small):
            assert misrouted(chip, tables, homes, keys, start=start, pes=pes) is None
        assert sum(each.entries for each in small) < sum(each.entries for each in plain)


def test_a_missing_entry_and_a_wrong_bit_are_found() -> None:
    chip, homes, keys, start, pes = random_case(0, 4)
    visits = visits_of(chip, grid_of(chip), homes, keys, Reach(start, pes), np.arange(chip.pes))
    tables = tables_of(visits, key_bits=32)
    first = tables[0]
    kept = np.arange(first.entries) != 0
    without = Table(first.chip, first.key[kept], first.mask[kept], first.route[kept])
    wrong = misrouted(chip, (without, *tables[1:]), homes, keys, start=start, pes=pes)
    assert wrong is not None
    route = first.route.copy()
    route[-1, 1] ^= np.uint64(1)
    flipped = Table(first.chip, first.key, first.mask, route)
    wrong = misrouted(chip, (flipped, *tables[1:]), homes, keys, start=start, pes=pes)
    assert wrong is not None


def test_packets_in_a_circle_are_found() -> None:
    chip = replace(SPINNAKER2_CHIP, chips=((0, 0), (1, 0)))
    east, west = np.array([[1, 0, 0]], np.uint64), np.array([[8 | 1 << 6, 0, 0]], np.uint64)
    key, mask = np.zeros(1, np.uint32), np.full(1, 0xFFFFFFFF, np.uint32)
    tables = (Table(0, key, mask, east), Table(1, key, mask, west))
    wrong = misrouted(
        chip,
        tables,
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        start=np.array([0, 1]),
        pes=np.array([152]),
    )
    assert wrong is not None and wrong.arrives


def test_the_first_entry_that_matches_counts() -> None:
    table = Table(
        0,
        np.array([8, 8, 0], np.uint32),
        np.array([0xF, 0xC, 0], np.uint32),
        np.zeros((3, 3), np.uint64),
    )
    assert matches(table, np.array([8, 9, 3], np.int64)).tolist() == [0, 1, 2]
