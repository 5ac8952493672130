"""Compiled kernels in files: where no file can be written, or a file is damaged, kernels are compiled anew.

Numba refuses to decorate a function for which it finds no folder that it can write to, and a file that was cut short
(a full disk, a killed copy) fails at every later call. Here neither stops anybody. And a fork waits until what other
threads compile is done: the child would find Numba's lock held for ever by a thread that it does not have.

Several processes fill one cache. Two faults of Numba's would then crash a third that reads it, or change its results:

- Functions inside compiled code are told apart by a number that each process counts from 1, and the linker takes one
  for another that has its name: in code of two processes `np.sort` called the insides of `np.argsort` (reports 5688
  and 10128 to Numba's developers are of this kind). The count begins at a random place here, in every process. Code
  in which a function was counted before that, by a program that compiled first and imported distrl later, is not kept.
- Two processes that keep code for two kinds of arguments at one time could give both files one name. A file's name is
  the digest of what it is for here, and it is written before the index names it.
"""

import hashlib
import itertools
import logging
import os
import pickle
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from numba.core import ir
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

from distrl._tolerances import ALL

#: Numbers of functions below this one were not given here: 18 digits, of which the first is not 0, are.
_RANDOM = 10**17

#: A change of it leaves older files unread. 2: functions have numbers of their process.
_FORMAT = 2

#: The number of a function in the name of a symbol: `abi:v<number>`, as Numba mangles it.
_NUMBER = re.compile(rb"B\d+v(\d+)B")


def _count_from_anywhere() -> None:
    FunctionIdentity._unique_ids = itertools.count(_RANDOM + secrets.randbelow(8 * _RANDOM))


def _release_in_child() -> None:
    global_compiler_lock.release()
    _count_from_anywhere()


_count_from_anywhere()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=_release_in_child,
    )


class _Checked(CompileResultCacheImpl):  # type: ignore[misc]
    """Compiled code beside its own digest: a flipped bit in machine code would crash, or worse."""

    def check_cachable(self, cres: Any) -> bool:
        """Whether it may be kept: every function inside has a number that no other process gives."""
        _, _, (code, _) = cres.library.serialize_using_object_code()
        numbers = (int(number) for number in _NUMBER.findall(code))
        return bool(super().check_cachable(cres)) and min(numbers, default=_RANDOM) >= _RANDOM

    def reduce(self, cres: Any) -> Any:
        code = dumps(super().reduce(cres))
        return hashlib.sha256(code).digest(), code

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        digest, code = payload
        if hashlib.sha256(code).digest() != digest:
            raise ValueError("the compiled code is damaged")
        return super().rebuild(target_context, pickle.loads(code))


class _Files(IndexDataCacheFile):  # type: ignore[misc]
    """The files of one function: for each kind of arguments one, named after the kind, and an index."""

    def save(self, key: Any, data: Any) -> None:
        kind = hashlib.sha256(dumps((self._source_stamp, key))).hexdigest()[:32]
        name = self._index_name.removesuffix(".nbi") + f".{kind}.nbc"
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function's compiled code, which forgets what it cannot read and keeps what it can write."""

    _impl_class = _Checked

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file: IndexDataCacheFile = _Files(self.cache_path, self._impl.filename_base, stamp)

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
        return *super()._index_key(sig, codegen), ALL, _FORMAT

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
