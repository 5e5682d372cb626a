"""Sharing keeps every sum and takes mergers away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nmc.backends.sfq.share import Shared, share

COLUMNS = st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=8, unique=True), max_size=8)


def expanded(found: Shared, number: int) -> list[int]:
    if number < found.lines:
        return [number]
    return [line for each in found.buses[number - found.lines] for line in expanded(found, each)]


@given(COLUMNS)
def test_share_keeps_what_each_column_sums(columns: list[list[int]]) -> None:
    found = share(columns, 12)
    for before, after in zip(columns, found.columns, strict=True):
        assert sorted(line for each in after for line in expanded(found, each)) == sorted(before)
    for k, bus in enumerate(found.buses):
        assert all(each < found.lines + k for each in bus)


def test_share_merges_what_two_columns_have_in_common_once() -> None:
    found = share([[0, 1, 2], [0, 1, 2, 3]], 4)
    assert found.buses == ((0, 1, 2),)
    assert found.columns == ((4,), (3, 4))


def test_share_leaves_small_sets_alone() -> None:
    assert share([[0, 1], [0, 1]], 2, least=3).buses == ()
