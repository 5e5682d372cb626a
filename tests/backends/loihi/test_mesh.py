"""The time of a step, worked by hand from the figures of spec.py."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.loihi.mesh import ACTIVE, FIRED, IDLE, distance, path, step_seconds

SOMA = np.array([[0.0, 0.0, 0.0], [6.0, 9.7, 39.7]])
SEND, ROWS, PER_TILE, BUFFER = 5.1, 4, 4, 16
HOP = np.array([4.1, 6.5])


def seconds(
    status: list[int],
    cores: list[list[int]],
    axons: dict[int, list[tuple[int, float]]],
    *,
    sources: tuple[int, ...] = (),
    buffer: int = BUFFER,
) -> tuple[float, np.ndarray]:
    """One step, in nanoseconds. `cores` lists neurons, `axons` where a spike goes and how long it takes there."""
    first = np.cumsum([0, *map(len, cores)])
    unit = np.array([n for core in cores for n in core], np.int64)
    is_neuron = np.array([n not in sources for n in range(len(status))], np.int64)
    lines = [axons.get(n, []) for n in range(len(status))]
    axon_first = np.cumsum([0, *map(len, lines)])
    core = np.array([to for line in lines for to, _ in line], np.int64)
    taken = np.array([time for line in lines for _, time in line], np.float64)
    work = np.zeros((len(cores), 2))
    last = step_seconds(
        np.array(status, np.uint8), first, unit, is_neuron, SOMA, SEND, axon_first, core, taken, HOP, ROWS,
        PER_TILE, buffer, work,
    )  # fmt: skip
    return last, work


def test_a_core_goes_through_all_its_neurons() -> None:
    last, work = seconds([IDLE, ACTIVE, IDLE], [[0, 1, 2]], {})
    assert last == pytest.approx(6.0 + 9.7 + 6.0)
    assert work.tolist() == [[pytest.approx(21.7), 0.0]]


def test_cores_work_side_by_side() -> None:
    last, work = seconds([IDLE, ACTIVE, IDLE], [[0], [1, 2]], {})
    assert last == pytest.approx(15.7)
    assert work[:, 0].tolist() == pytest.approx([6.0, 15.7])


def test_a_spike_leaves_when_its_neuron_is_done_and_is_taken_at_once() -> None:
    # 39.7 + 5.1 until it leaves, 20 on the same core; the second neuron meanwhile takes 6.
    last, work = seconds([FIRED, IDLE], [[0, 1]], {0: [(0, 20.0)]})
    assert last == pytest.approx(44.8 + 20.0)
    assert work.tolist() == [[pytest.approx(50.8), pytest.approx(20.0)]]


def test_a_source_costs_only_its_messages() -> None:
    last, _ = seconds([FIRED, IDLE], [[0], [1]], {0: [(1, 20.0)]}, sources=(0,))
    assert last == pytest.approx(5.1 + 20.0)


def test_messages_to_several_cores_leave_one_after_the_other() -> None:
    last, work = seconds([FIRED], [[0], [], []], {0: [(1, 20.0), (2, 20.0)]})
    assert last == pytest.approx(39.7 + 2 * 5.1 + 20.0)
    assert work[1:, 1].tolist() == [20.0, 20.0]


def test_a_core_takes_messages_one_after_the_other() -> None:
    # Both arrive at 44.8; the second waits.
    last, _ = seconds([FIRED, FIRED], [[0], [1], []], {0: [(2, 20.0)], 1: [(2, 20.0)]})
    assert last == pytest.approx(44.8 + 40.0)


def test_hops_take_time_by_direction() -> None:
    # Tiles are numbered column by column of 4: core 4 is one tile up, core 16 one tile to the right.
    cores = [[0], *[[] for _ in range(16)]]
    up, _ = seconds([FIRED], cores, {0: [(4, 20.0)]})
    right, _ = seconds([FIRED], cores, {0: [(16, 20.0)]})
    assert up == pytest.approx(44.8 + 6.5 + 20.0)
    assert right == pytest.approx(44.8 + 4.1 + 20.0)
    assert distance(0, 16, ROWS, PER_TILE) == (1, 0)
    assert distance(21, 3, ROWS, PER_TILE) == (1, 1)


def test_a_path_is_the_way_out_and_each_hop() -> None:
    density = np.zeros(8 * 4 * (4 + PER_TILE))
    path(density, 0, 21, ROWS, PER_TILE, 0.25)  # one tile to the right, one up
    assert density.sum() == pytest.approx(3 * 0.25)
    assert path(density, 0, 21, ROWS, PER_TILE, 0.0) == pytest.approx(0.75)
    assert path(density, 1, 21, ROWS, PER_TILE, 0.0) == pytest.approx(0.5)  # another core's way out
    assert path(density, 0, 4, ROWS, PER_TILE, 0.0) == pytest.approx(0.25)
    assert path(density, 21, 0, ROWS, PER_TILE, 0.0) == 0.0  # the other direction


def test_a_full_path_holds_the_sender_back() -> None:
    """Sixty spikes to a slow core: with room for all nobody waits, with room for few the sender does."""
    count = 60
    status, axons = [FIRED] * count, {n: [(1, 1000.0)] for n in range(count)}
    cores = [list(range(count)), []]
    free, _ = seconds(status, cores, axons, sources=tuple(range(count)), buffer=1000)
    full, _ = seconds(status, cores, axons, sources=tuple(range(count)), buffer=2)
    assert free >= 1000.0 * count
    assert full >= free


def test_silence_takes_only_the_look_at_every_neuron() -> None:
    last, _ = seconds([IDLE] * 5, [[0, 1, 2, 3, 4]], {n: [(0, 20.0)] for n in range(5)})
    assert last == pytest.approx(30.0)
    nothing, _ = seconds([], [[]], {})
    assert nothing == 0.0
