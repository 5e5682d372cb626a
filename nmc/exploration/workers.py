"""Who measures the points of a sweep: processes of this machine, or the workers of a Dask cluster.

A worker that dies takes its point with it; the point is measured again by another. One that dies of the same point
again and again is named.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING

from nmc.diagnostics import CompileError, Diagnostic, Loc, error
from nmc.exploration.point import Outcome, Point, Study, measure

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 10.0
"""Seconds in which a scheduler must answer."""

ATTEMPTS = 3
"""How many workers a point may lose before it is given up."""


def here(study: Study, points: Sequence[Point], *, processes: int) -> Iterator[Outcome]:
    """The outcomes of `points` as they come, measured by so many processes; 1: by this one.

    Raises CompileError (NMC341) for a point that kills every process that tries it.
    """
    if processes == 1:
        yield from (measure(study, point) for point in points)
        return
    waiting = list(reversed(points))
    lost: dict[str, int] = {}  # workers that died, by the points that they may have died of
    # a new process starts clean: threads and locks of compiled kernels do not survive a fork
    context = multiprocessing.get_context("spawn")
    while waiting:
        running: dict[Future[Outcome], Point] = {}
        with ProcessPoolExecutor(processes, context, _end_with_parent) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < _together(
                        waiting[-1], running.values(), lost, processes
                    ):
                        point = waiting.pop()
                        running[pool.submit(measure, study, point)] = point
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        outcome = done.result()
                        del running[done]
                        yield outcome
            except BrokenProcessPool:
                for done, point in running.items():
                    if done.done() and done.exception() is None:
                        yield done.result()
                        continue
                    lost[str(point)] = lost.get(str(point), 0) + 1
                    if lost[str(point)] == ATTEMPTS:
                        raise CompileError(_deadly(point)) from None
                    waiting.append(point)


def _end_with_parent() -> None:
    """In a worker: end when the process that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _together(point: Point, running: Iterable[Point], lost: Mapping[str, int], processes: int) -> int:
    """How many points may run once `point` does: one that may have killed a worker runs alone."""
    alone = str(point) in lost or any(str(each) in lost for each in running)
    return 1 if alone else processes


def _deadly(point: Point) -> Diagnostic:
    return error("NMC341", f"{ATTEMPTS} workers died of the point `{point}`", Loc("<workers>"))


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
                raise CompileError(_deadly(running[done])) from None
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
