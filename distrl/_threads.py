"""One pool of threads over states for kernels that release the GIL.

Each task works on its own rows and rows never read what another task writes, so results are bit for bit the same for
any number of threads; sums over states are taken from per-row sums, in the order of the rows.

The pool outlives a call, so three things are seen to. A fork copies the pool but none of its threads: the child starts
with none. A task that itself asks for threads does its work alone: if every thread waited for another one, none would
ever be free. And where no thread can be started (a limit on processes, the end of the interpreter), the caller does
all of the work.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial

from distrl._validation import whole_number

#: Array entries a call must touch before a second thread is worth its start (about 50 microseconds).
PARALLEL_SIZE = 300_000
_MOST = 16  # memory bandwidth is used up long before
_TASKS = 4  # tasks a thread, to even out uneven rows

_starting = threading.Lock()
_inside = threading.local()
_executor: ThreadPoolExecutor | None = None


def _mark_thread() -> None:
    _inside.pool = True


def _pool() -> ThreadPoolExecutor:
    global _executor
    with _starting:
        if _executor is None:
            _executor = ThreadPoolExecutor(_MOST, thread_name_prefix="distrl", initializer=_mark_thread)
        return _executor


def _forget() -> None:
    """In a forked child: no thread of the parent is here, and no lock is held by anybody."""
    global _executor, _starting, _inside
    _executor, _starting, _inside = None, threading.Lock(), threading.local()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget)


def check_threads(threads: object) -> int | None:
    """A number of threads between 1 and 16 or None for one each core."""
    return None if threads is None else min(whole_number(threads, "threads", low=1), _MOST)


def default_threads() -> int:
    """Cores this process may use, at most 16."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        cores = os.cpu_count() or 1
    return min(cores, _MOST)


class _Tasks:
    """Tasks that several threads take from one list, in its order; after a failure no other task is begun."""

    def __init__(self, tasks: Iterable[Callable[[], object]]) -> None:
        self._left = deque(enumerate(tasks))  # to take from a deque is atomic
        self._failed: dict[int, Exception] = {}

    def work(self) -> None:
        """Do tasks until none is left."""
        while True:
            try:
                place, task = self._left.popleft()
            except IndexError:
                return
            try:
                task()
            except Exception as error:
                self._failed[place] = error
                self._left.clear()

    def run(self, helpers: int, *, join: bool) -> None:
        """Do all tasks on `helpers` threads of the pool, and on the caller's with `join`.

        Raises the first failure in the order of the tasks, whatever the number of threads. Whatever happens, nothing is
        at work any more afterwards: what the caller does next with its arrays does not race.
        """
        futures: list[Future[None]] = []
        try:
            if not in_pool():
                with suppress(RuntimeError):  # no thread can be started
                    for _ in range(helpers):
                        futures.append(_pool().submit(self.work))
            if futures and not join:
                wait(futures)
            else:
                self.work()
        except BaseException:
            self._left.clear()
            raise
        finally:
            _finish(futures)
        if self._failed:
            raise self._failed[min(self._failed)]


def _finish(futures: Sequence[Future[None]]) -> None:
    """Take back what has not begun and wait for the rest, however often Ctrl-C is pressed meanwhile."""
    interrupt: KeyboardInterrupt | None = None
    while running := [future for future in futures if not future.cancel() and not future.done()]:
        try:
            wait(running)
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


def in_pool() -> bool:
    """Whether the caller is one of the pool's own threads."""
    return getattr(_inside, "pool", False)


class Workers:
    """`threads` threads (None: one each core) for arrays of `entries` numbers; small arrays stay on the caller's."""

    def __init__(self, threads: int | None, entries: int) -> None:
        self.wanted = default_threads() if threads is None else threads
        self.threads = self.wanted if entries >= PARALLEL_SIZE else 1

    def rows(self, count: int, kernel: Callable[..., None], *arguments: object) -> None:
        """kernel(*arguments, start, stop) over consecutive ranges of `count` rows."""
        if self.threads == 1 or in_pool():
            kernel(*arguments, 0, count)
            return
        pieces = min(self.threads * _TASKS, count)
        edges = [count * k // pieces for k in range(pieces + 1)]
        tasks = [partial(kernel, *arguments, edges[k], edges[k + 1]) for k in range(pieces)]
        _Tasks(tasks).run(self.threads - 1, join=True)


def side_by_side(tasks: Sequence[Callable[[], None]], threads: int | None) -> None:
    """Call each of `tasks`, on `threads` threads (None: one each core) beside the caller's, which only waits.

    Ctrl-C reaches the caller alone: tasks that have begun are finished, then KeyboardInterrupt is raised.
    """
    lanes = min(default_threads() if threads is None else threads, len(tasks))
    _Tasks(tasks).run(lanes, join=False)
