"""Work spread over processes of this machine; a process that dies takes nothing with it.

What a process was doing when it died is done again by another; what kills every process that tries it is named.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TypeVar

from nmc.diagnostics import CompileError, Diagnostic, Loc, error

T = TypeVar("T")
R = TypeVar("R")

ATTEMPTS = 3
"""How many processes an item may lose before it is given up."""


def each(work: Callable[[T], R], items: Sequence[T], *, processes: int) -> Iterator[tuple[T, R]]:
    """Items with what `work` made of them, as they come, by so many processes; 1: by this one, in order.

    `work` and what it takes and gives travel between processes. Raises CompileError (NMC341) for an item that kills
    every process that tries it.
    """
    if processes == 1:
        yield from ((item, work(item)) for item in items)
        return
    waiting = list(reversed(range(len(items))))
    lost: dict[int, int] = {}  # processes that died, by the items that they may have died of
    # a new process starts clean: threads and locks of compiled kernels do not survive a fork
    context = multiprocessing.get_context("spawn")
    while waiting:
        running: dict[Future[R], int] = {}
        with ProcessPoolExecutor(processes, context, _end_with_parent) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < _together(
                        waiting[-1], running.values(), lost, processes
                    ):
                        at = waiting.pop()
                        running[pool.submit(work, items[at])] = at
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        result = done.result()
                        yield items[running.pop(done)], result
            except BrokenProcessPool:
                for done, at in running.items():
                    if done.done() and done.exception() is None:
                        yield items[at], done.result()
                        continue
                    lost[at] = lost.get(at, 0) + 1
                    if lost[at] == ATTEMPTS:
                        raise CompileError(deadly(items[at])) from None
                    waiting.append(at)


def _end_with_parent() -> None:
    """In a process: end when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _together(at: int, running: Iterable[int], lost: dict[int, int], processes: int) -> int:
    """How many items may run once this one does: one that may have killed a process runs alone."""
    alone = at in lost or any(other in lost for other in running)
    return 1 if alone else processes


def deadly(item: object) -> Diagnostic:
    """The finding for an item that kills who tries it."""
    return error("NMC341", f"{ATTEMPTS} workers died of `{item}`", Loc("<workers>"))
