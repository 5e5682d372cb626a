"""Populations cut into parts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmc.backends.spinnaker2.blocks import box_of
from nmc.backends.spinnaker2.mapping.slices import boxes, runs


@given(st.integers(1, 300), st.integers(1, 50))
def test_runs_are_as_few_as_can_be_and_about_equal(size: int, most: int) -> None:
    found = runs(np.arange(size), lambda neurons: len(neurons) <= most)
    assert found is not None
    assert len(found) == -(-size // most)
    assert np.concatenate(found).tolist() == list(range(size))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_runs_are_as_long_as_each_place_allows() -> None:
    cost = np.where(np.arange(100) < 50, 1, 10)
    found = runs(np.arange(100), lambda neurons: cost[neurons].sum() <= 50)
    assert found is not None
    assert [len(each) for each in found] == [50] + [5] * 10


def test_there_are_no_runs_if_one_neuron_does_not_fit() -> None:
    assert runs(np.arange(10), lambda neurons: 7 not in neurons) is None


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 200))
def test_boxes_cover_an_image_once_channel_last(channels: int, rows: int, columns: int, most: int) -> None:
    shape = (channels, rows, columns)
    found = boxes(shape, lambda neurons: len(neurons) <= most)
    assert found is not None
    assert np.sort(np.concatenate(found)).tolist() == list(range(channels * rows * columns))
    assert all(len(each) <= most and box_of(each, shape) is not None for each in found)


def test_an_image_is_cut_along_its_plane_before_its_channels() -> None:
    found = boxes((8, 16, 16), lambda neurons: len(neurons) <= 512)
    assert found is not None
    assert [len(each) for each in found] == [512] * 4
    assert len(set((found[0] // 256).tolist())) == 8


def test_an_image_is_cut_across_channels_if_kernels_need_it() -> None:
    found = boxes((8, 4, 4), lambda neurons: len(set((neurons // 16).tolist())) <= 2)
    assert found is not None
    assert len(found) == 4
