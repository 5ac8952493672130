"""Compiled kernels in files: where no file can be written, or a file is damaged, kernels are compiled anew.

Numba refuses to decorate a function for which it finds no folder that it can write to, and a file that was cut short
(a full disk, a killed copy) fails at every later call. Here neither stops anybody. And a fork waits until what other
threads compile is done: the child would find Numba's lock held for ever by a thread that it does not have.
"""

import hashlib
import logging
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from numba.core import ir
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

from distrl._tolerances import ALL

if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


class _Checked(CompileResultCacheImpl):  # type: ignore[misc]
    """Compiled code beside its own digest: a flipped bit in machine code would crash, or worse."""

    def reduce(self, cres: Any) -> Any:
        code = dumps(super().reduce(cres))
        return hashlib.sha256(code).digest(), code

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        digest, code = payload
        if hashlib.sha256(code).digest() != digest:
            raise ValueError("the compiled code is damaged")
        return super().rebuild(target_context, pickle.loads(code))


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function's compiled code, which forgets what it cannot read and keeps what it can write."""

    _impl_class = _Checked

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for these types, or None: it is then compiled."""
        _do_without_a_working_folder()
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling damaged bytes raises anything
            self._forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code if that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            say_once(f"cannot keep compiled kernels in {self.cache_path} ({error.strerror or error})")
        except Exception:  # the index is damaged
            self._forget()
            with suppress(OSError):
                super().save_overload(sig, data)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Numba's key, which knows of the function's own file, and the constants that kernels take from another."""
        return *super()._index_key(sig, codegen), ALL

    def _forget(self) -> None:
        with suppress(OSError):  # cannot be written: compile it every time
            self.flush()


def _do_without_a_working_folder() -> None:
    """Numba states places in the source relative to the working folder, and fails where that was deleted."""
    try:
        os.getcwd()
    except OSError:
        ir.Loc._get_path = lambda place: place.filename


def cached(dispatcher: Any, function: Callable[..., Any]) -> Any:
    """`dispatcher` with its compiled code kept between sessions, where that is possible."""
    if hasattr(dispatcher, "enable_caching"):  # a plain function without the JIT
        try:
            dispatcher._cache = KernelCache(function)
        except (RuntimeError, OSError):
            say_once("no folder was found that compiled kernels can be kept in")
    return dispatcher


@cache
def say_once(what: str) -> None:
    """Say it in the log, which prints warnings where nobody has set up anything else."""
    logging.getLogger("distrl").warning(
        "distrl: %s; every session will compile them anew, which takes seconds. Set NUMBA_CACHE_DIR to a folder that "
        "can be written.",
        what,
    )
