"""The one place that says how kernels are compiled.

`cached` keeps compiled kernels between sessions, `nogil=True` lets threads run them side by side,
`error_model="numpy"` makes a division by zero an inf instead of a branch. No `fastmath`: it breaks `isnan` and
reproducibility. No eager signatures: they would cost import time. A cached kernel does not see an edit in another
file, so each chain of kernels that call one another lives in one file.

What a first call costs is compiling, some milliseconds for each operation in the text of a kernel. So there are no
wrappers that nobody calls: none for C, and none for Python where a kernel's name begins with `_`, which other kernels
of its file alone call. And no array is assigned to a row or slice (`row[:] = other`, `rows[x] = other`; a number may
be): Numba compiles two seconds of text processing then, for the sentence of an error about shapes. Loops do the same.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

from distrl._kernel_cache import cached

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` on its first call; arrays in, `out=` arrays filled."""
    inner = function.__name__.startswith("_")
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "no_cpython_wrapper": inner}
    return cast(Callable[P, R], cached(numba.njit(**options)(function), function))
