"""One pool of threads over states for kernels that release the GIL.

Each task works on its own rows and rows never read what another task writes, so results are bit for bit the same for
any number of threads; sums over states are taken from per-row sums, in the order of the rows.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import lru_cache
from typing import Any

from distrl._validation import whole_number

#: Array entries a call must touch before a second thread is worth its start (about 50 microseconds).
PARALLEL_SIZE = 300_000
_MOST = 16  # memory bandwidth is used up long before
_TASKS = 4  # tasks a thread, to even out uneven rows


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=_MOST, thread_name_prefix="distrl")


def check_threads(threads: Any) -> int | None:
    """A number of threads between 1 and 16 or None for one each core."""
    return None if threads is None else min(whole_number(threads, "threads", low=1), _MOST)


def default_threads() -> int:
    """Cores this process may use, at most 16."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        cores = os.cpu_count() or 1
    return min(cores, _MOST)


class Workers:
    """`threads` threads (None: one each core) for arrays of `entries` numbers; small arrays stay on the caller's."""

    def __init__(self, threads: int | None, entries: int) -> None:
        self.wanted = default_threads() if threads is None else threads
        self.threads = self.wanted if entries >= PARALLEL_SIZE else 1

    def rows(self, count: int, kernel: Callable[..., Any], *arguments: Any) -> None:
        """kernel(*arguments, start, stop) over consecutive ranges of `count` rows."""
        if self.threads == 1:
            kernel(*arguments, 0, count)
            return
        tasks = min(self.threads * _TASKS, count)
        edges = [count * k // tasks for k in range(tasks + 1)]

        def work(first: int) -> None:
            for k in range(first, tasks, self.threads):
                kernel(*arguments, edges[k], edges[k + 1])

        others = [_pool().submit(work, first) for first in range(1, self.threads)]
        try:
            work(0)
        finally:
            for other in others:
                other.result()


def side_by_side(tasks: Sequence[Callable[[], None]], threads: int | None) -> None:
    """Call each of `tasks`, on `threads` threads (None: one each core) beside the caller's, which only waits.

    Ctrl-C reaches the caller alone: tasks that were handed out are finished, then KeyboardInterrupt is raised.
    """
    lanes = min(default_threads() if threads is None else threads, len(tasks))

    def lane(first: int) -> None:
        for task in tasks[first::lanes]:
            task()

    futures: list[Future[None]] = []
    try:
        for first in range(lanes):
            futures.append(_pool().submit(lane, first))
        wait(futures)
    except KeyboardInterrupt:
        while not all(future.done() for future in futures):
            with suppress(KeyboardInterrupt):  # however often it is pressed
                wait(futures)
        raise
    for future in futures:
        future.result()
