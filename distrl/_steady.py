"""What a user's program has set up does not change what a call gives.

Two settings belong to the whole program. `np.seterr(all="raise")` would make an error of every number that underflows.
And BLAS works on as many threads as there are cores: the last bits of its sums depend on how many, and where other
processes are at work too its threads, which wait for each other in busy loops, cost many times what they save. For the
time of a call of distrl NumPy's error state is the default one, and BLAS has one thread; distrl's own threads share out
the work.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

#: How the BLAS that NumPy and SciPy are built with is told, and asked, its number of threads.
_SET_AND_GET = (
    ("openblas_set_num_threads", "openblas_get_num_threads"),
    ("openblas_set_num_threads64_", "openblas_get_num_threads64_"),
    ("scipy_openblas_set_num_threads", "scipy_openblas_get_num_threads"),
    ("scipy_openblas_set_num_threads64_", "scipy_openblas_get_num_threads64_"),
    ("MKL_Set_Num_Threads", "MKL_Get_Max_Threads"),
    ("bli_thread_set_num_threads", "bli_thread_get_num_threads"),
)

_lock = threading.Lock()
_own = threading.local()  # .calls: how many calls this thread is inside of
_calls = 0  # of all threads
_before: list[int] = []  # threads of each library before the first of them


@cache
def _libraries() -> list[tuple[Callable[[int], None], Callable[[], int]]]:
    """(set, get) of each BLAS that is loaded: NumPy's and SciPy's wheels bring one each. None where it is not known."""
    from numpy.linalg import _umath_linalg
    from scipy.linalg import _fblas

    found: dict[int | None, tuple[Any, Any]] = {}
    for module in (_umath_linalg, _fblas):
        try:
            library = ctypes.CDLL(module.__file__)  # loaded already: symbols of what it is linked with are found too
        except (OSError, TypeError):
            continue
        for setter, getter in _SET_AND_GET:
            if hasattr(library, setter) and hasattr(library, getter):
                pair = getattr(library, setter), getattr(library, getter)
                pair[0].argtypes, pair[0].restype, pair[1].restype = [ctypes.c_int], None, ctypes.c_int
                found.setdefault(ctypes.cast(pair[0], ctypes.c_void_p).value, pair)
                break
    return list(found.values())


def _set(threads: list[int]) -> None:
    for (set_threads, get_threads), wanted in zip(_libraries(), threads, strict=True):
        if get_threads() != wanted:
            set_threads(wanted)


class _OneBlasThread:
    """One BLAS thread while any call is inside; what was set before is set again when the last one leaves."""

    def __enter__(self) -> None:
        global _calls
        with _lock:
            if not _before:
                _before[:] = [get() for _, get in _libraries()]
            if _calls == 0:
                _set([1] * len(_before))
            _calls += 1
            _own.calls = getattr(_own, "calls", 0) + 1

    def __exit__(self, *error: object) -> None:
        global _calls
        with _lock:
            _calls -= 1
            _own.calls -= 1
            if _calls == 0:
                _set(_before)
                _before.clear()


def _in_child() -> None:
    """After a fork only the calls of the thread that forked go on."""
    global _calls, _lock
    _calls, _lock = getattr(_own, "calls", 0), threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_child)


def steady(function: Callable[P, R]) -> Callable[P, R]:
    """`function` under NumPy's default error state and with one BLAS thread, whatever the program has set up."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"), _OneBlasThread():
            return function(*args, **kwargs)

    return call
