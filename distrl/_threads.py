"""One pool of threads over states for kernels that release the GIL.

Each task works on its own rows and rows never read what another task writes, so results are bit for bit the same for
any number of threads; sums over states are taken from per-row sums, in the order of the rows.

The pool outlives a call, so three things are seen to. A fork copies the pool but none of its threads: the child starts
with none. A task that itself asks for threads does its work alone: if every thread waited for another one, none would
ever be free. And where no thread can be started (a limit on processes, the end of the interpreter), the caller does
all of the work.

The caller takes no lock that is made of Python: Ctrl-C may come between taking such a lock and what would give it back,
and then whoever needs it waits for ever. `concurrent.futures` and `threading.Thread` are full of them, so that one
Ctrl-C in some thousands left a program that never ended. What two threads share here are single operations of deques,
dicts, sets and a `SimpleQueue`, which are whole or not done; and what was interrupted can be done again.
"""

import _thread
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue

from distrl._validation import whole_number

#: Array entries a call must touch before a second thread is worth its start (about 50 microseconds).
PARALLEL_SIZE = 300_000
_MOST = 16  # memory bandwidth is used up long before
_TASKS = 4  # tasks a thread, to even out uneven rows

_starting = threading.Lock()
_inside = threading.local()
_pool: "_Pool | None" = None


class _Pool:
    """Threads that wait for work, started where none is free, at most `_MOST`, and never ended."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._free: deque[None] = deque()  # one entry for each thread that waits
        self._started = 0

    def ask(self, work: Callable[[], None]) -> None:
        """Let a thread call `work`, which raises nothing. RuntimeError if there is none and none can be started."""
        if len(self._free) <= self._work.qsize() and self._started < _MOST:
            try:
                _thread.start_new_thread(self._serve, ())
                self._started += 1
            except RuntimeError:
                if self._started == 0:
                    raise
        self._work.put(work)

    def _serve(self) -> None:
        _inside.pool = True
        while True:
            self._free.append(None)
            work = self._work.get()
            self._free.pop()
            work()
            del work  # and with it the caller's arrays


def _the_pool() -> _Pool:
    global _pool
    with _starting:
        if _pool is None:
            _pool = _Pool()
        return _pool


def _forget() -> None:
    """In a forked child: no thread of the parent is here, and no lock is held by anybody."""
    global _pool, _starting, _inside
    _pool, _starting, _inside = None, threading.Lock(), threading.local()


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
        self._tasks = list(tasks)
        self._left = deque(range(len(self._tasks)))
        self._owners: dict[int, object] = {}  # who has begun a task; None: nobody, and nobody will
        self._over: set[int] = set()
        self._failed: dict[int, BaseException] = {}
        self._news: SimpleQueue[None] = SimpleQueue()  # an entry for each task of a helper that is over
        self._caller = object()

    def work(self) -> None:
        """Do tasks until none is left, on the caller's thread."""
        self._do(self._caller, Exception)

    def help(self) -> None:
        """Do tasks until none is left, on a thread of the pool."""
        self._do(object(), BaseException)

    def _do(self, owner: object, caught: type[BaseException]) -> None:
        while True:
            try:
                place = self._left.popleft()
            except IndexError:
                return
            if self._owners.setdefault(place, owner) is not owner:
                return  # they were all taken back
            try:
                self._tasks[place]()
            except caught as error:
                self._failed[place] = error
                self._left.clear()
            self._over.add(place)
            self._news.put(None)

    def run(self, helpers: int, *, join: bool) -> None:
        """Do all tasks on `helpers` threads of the pool, and on the caller's with `join`.

        Raises the first failure in the order of the tasks, whatever the number of threads. Whatever happens, nothing is
        at work any more afterwards: what the caller does next with its arrays does not race.
        """
        asked = False
        try:
            if not in_pool():
                with suppress(RuntimeError):  # no thread can be started
                    for _ in range(helpers):
                        _the_pool().ask(self.help)
                        asked = True
            if asked and not join:
                while len(self._over) < len(self._tasks) and not self._failed:
                    self._news.get()
            else:
                self.work()
        finally:
            self._finish()
        if self._failed:
            raise self._failed[min(self._failed)]

    def _finish(self) -> None:
        """Take back what has not begun and wait for the rest, however often Ctrl-C is pressed meanwhile."""
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                self._left.clear()
                begun = [place for place in range(len(self._tasks)) if self._begun_by_a_helper(place)]
                while not self._over.issuperset(begun):
                    self._news.get()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _begun_by_a_helper(self, place: int) -> bool:
        owner = self._owners.setdefault(place, None)
        return owner is not None and owner is not self._caller


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
