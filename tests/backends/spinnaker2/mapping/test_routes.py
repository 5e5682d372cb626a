"""Ways of packets."""

from dataclasses import replace

import numpy as np
import pytest

from nmc.backends.spinnaker2.mapping.routes import add_tree, chip_paths, grid_of, last_link, links_of
from nmc.backends.spinnaker2.spec import LINKS, SPINNAKER2_BOARD, SPINNAKER2_CHIP


def walked(chip: str, source: int, targets: list[int]) -> tuple[int, np.ndarray]:
    spec = SPINNAKER2_CHIP if chip == "chip" else SPINNAKER2_BOARD
    grid = grid_of(spec)
    walk = links_of(grid)
    add_tree(source, np.array(targets, np.int64), 1, 0, 0, grid, walk)
    return int(walk.load.sum()), walk.load


def test_a_tree_within_a_chip_goes_along_x_and_then_along_y() -> None:
    quads = SPINNAKER2_CHIP.quads
    a, b, c = (quads.index(place) * 4 for place in ((1, 1), (5, 1), (5, 6)))
    assert walked("chip", a, [b])[0] == 4
    assert walked("chip", a, [c])[0] == 9
    assert walked("chip", a, [b, c])[0] == 9  # one tree, the first four links shared
    assert walked("chip", a, [a, a + 3])[0] == 0  # the same quad


def test_a_link_of_a_tree_carries_a_packet_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        source, *targets = rng.integers(0, SPINNAKER2_BOARD.pes, 20).tolist()
        hops, load = walked("board", source, targets)
        assert load.max(initial=0) <= 1
        assert hops <= sum(walked("board", source, [target])[0] for target in targets)


def test_a_tree_is_the_union_of_the_ways_to_its_targets() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        source, *targets = rng.integers(0, SPINNAKER2_BOARD.pes, 12).tolist()
        union = np.maximum.reduce([walked("board", source, [target])[1] for target in targets])
        np.testing.assert_array_equal(walked("board", source, targets)[1], union)


def test_loads_are_taken_off_as_they_were_added() -> None:
    grid = grid_of(SPINNAKER2_BOARD)
    walk = links_of(grid)
    targets = np.array([5, 700, 7000], np.int64)
    costs = [
        add_tree(11, targets, weight, 3, stamp, grid, walk) for stamp, weight in enumerate((2, 7, -7, -2))
    ]
    assert not walk.load.any()
    assert sum(costs) == 0


def test_ways_between_the_chips_of_a_board_stay_on_it_and_are_shortest() -> None:
    back, before = chip_paths(SPINNAKER2_BOARD)
    chips = SPINNAKER2_BOARD.chips
    for a in range(len(chips)):
        for b in range(len(chips)):
            at, hops = b, 0
            while at != a:
                link, at = int(back[a, at]), int(before[a, at])
                hops += 1
                assert 0 <= link < len(LINKS)
            dx, dy = chips[b][0] - chips[a][0], chips[b][1] - chips[a][1]
            assert hops == (max(abs(dx), abs(dy)) if dx * dy >= 0 else abs(dx) + abs(dy))


def test_the_last_link_is_one_of_six() -> None:
    assert last_link(3, 3) == LINKS.index((1, 1))
    assert last_link(3, 1) == LINKS.index((1, 0))
    assert last_link(-2, 1) == LINKS.index((0, 1))


def test_chips_with_a_gap_between_them_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 0\)"):
        chip_paths(replace(SPINNAKER2_CHIP, chips=((0, 0), (2, 0))))
