"""Who measures the points of a sweep: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nmc import pool
from nmc.diagnostics import CompileError, Loc, error
from nmc.exploration.point import Outcome, Point, Study, measure

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 10.0
"""Seconds in which a scheduler must answer."""


def here(study: Study, points: Sequence[Point], *, processes: int) -> Iterator[Outcome]:
    """The outcomes of `points` as they come, measured by so many processes; 1: by this one."""
    for _, outcome in pool.each(partial(measure, study), points, processes=processes):
        yield outcome


def on_cluster(study: Study, points: Sequence[Point], *, address: str) -> Iterator[Outcome]:
    """The outcomes of `points` as they come, measured by the workers of the Dask scheduler at `address`.

    Raises CompileError: NMC342 without the package or the scheduler, NMC341 for a point that kills its workers.
    """
    client = _connect(address)
    from distributed import KilledWorker, as_completed

    try:
        shared = client.scatter(study, broadcast=True)
        running = {
            client.submit(measure, shared, point, key=f"nmc-{index}", pure=False, retries=0): point
            for index, point in enumerate(points)
        }
        for done in as_completed(list(running), loop=client.loop):
            try:
                yield done.result()
            except KilledWorker:
                raise CompileError(pool.deadly(running[done])) from None
    finally:
        client.close()


def _connect(address: str) -> Client:
    place = Loc(address)
    try:
        from distributed import Client
    except ModuleNotFoundError as absent:
        message, help_ = "the package `distributed` is not installed", "pip install 'nmc[cluster]'"
        raise CompileError(error("NMC342", message, place, help=help_)) from absent
    try:
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as failed:
        message = f"no scheduler answers: {failed}"
        help_ = "start one with `dask scheduler`, and workers with `dask worker ADDRESS`"
        raise CompileError(error("NMC342", message, place, help=help_)) from failed
