"""Parts on PEs."""

from itertools import pairwise

import numpy as np
import pytest

from nmc.backends.spinnaker2.mapping.locate import Flows, along, located
from nmc.backends.spinnaker2.mapping.routes import grid_of, links_of, load_links
from nmc.backends.spinnaker2.spec import SPINNAKER2_BOARD, SPINNAKER2_CHIP


def flows_between(pairs: list[tuple[int, list[int], int]]) -> Flows:
    return Flows(
        np.array([source for source, _, _ in pairs]),
        np.cumsum([0, *(len(targets) for _, targets, _ in pairs)]),
        np.array([each for _, targets, _ in pairs for each in targets]),
        np.array([weight for _, _, weight in pairs]),
    )


def links(flows: Flows, pes: np.ndarray) -> tuple[int, int]:
    """(sum, hottest) over all links."""
    grid = grid_of(SPINNAKER2_CHIP)
    walk = links_of(grid)
    sources = np.where(flows.source < 0, -1, pes[flows.source])
    load_links(sources, flows.start, pes[flows.part], flows.weight, grid, walk)
    return int(walk.load.sum()), int(walk.load.max())


def network(kind: str, seed: int = 0) -> tuple[Flows, int]:
    rng = np.random.default_rng(seed)
    if kind == "layers":
        sizes = [4, 12, 12, 6]
        first = np.cumsum([0, *sizes]).tolist()
        pairs = [
            (source, list(range(first[k + 1], first[k + 2])), 1000)
            for k in range(3)
            for source in range(first[k], first[k + 1])
        ]
        return flows_between([(-1, list(range(4)), 1000), *pairs]), first[-1]
    if kind == "ring":
        order = rng.permutation(60).tolist()
        return flows_between(
            [(order[k], [order[(k + d) % 60] for d in (-1, 1, 2)], 1000) for k in range(60)]
        ), 60
    pairs = [(s, np.unique(rng.integers(0, 80, 5)).tolist(), int(rng.integers(1, 2000))) for s in range(80)]
    return flows_between(pairs), 80


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "layers",
        "random",
        pytest.param("ring", marks=pytest.mark.xfail(reason="54 hops a step, 48 in a run 20 times as long")),
    ],
)
def test_places_are_within_five_percent_of_a_long_annealing_run(kind: str) -> None:
    flows, parts = network(kind)
    hops, hottest = links(flows, located(SPINNAKER2_CHIP, flows, parts))
    long_hops, long_hottest = links(flows, located(SPINNAKER2_CHIP, flows, parts, effort=20))
    assert hops <= 1.05 * long_hops
    assert hottest <= 1.5 * long_hottest


@pytest.mark.parametrize("kind", ["ring", pytest.param("random", marks=pytest.mark.slow)])
def test_places_are_better_than_the_order_of_parts(kind: str) -> None:
    flows, parts = network(kind)
    found = located(SPINNAKER2_CHIP, flows, parts)
    assert len(set(found.tolist())) == parts
    assert links(flows, found)[0] < 0.9 * links(flows, along(SPINNAKER2_CHIP)[:parts])[0]


def test_the_path_through_all_pes_visits_each_once_and_steps_to_neighbours() -> None:
    for chip in (SPINNAKER2_CHIP, SPINNAKER2_BOARD):
        path = along(chip)
        assert np.sort(path).tolist() == list(range(chip.pes))
    quads = [SPINNAKER2_CHIP.quads[SPINNAKER2_CHIP.place(int(pe))[1]] for pe in along(SPINNAKER2_CHIP)]
    assert max(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(quads)) <= 3
