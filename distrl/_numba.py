"""The one place that says how kernels are compiled.

`cached` keeps compiled kernels between sessions, `nogil=True` lets threads run them side by side,
`error_model="numpy"` makes a division by zero an inf instead of a branch. No `fastmath`: it breaks `isnan` and
reproducibility. No eager signatures: they would cost import time. A cached kernel does not see an edit in another
file, so each chain of kernels that call one another lives in one file.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

from distrl._kernel_cache import cached

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` on its first call; arrays in, `out=` arrays filled."""
    return cast(Callable[P, R], cached(numba.njit(nogil=True, error_model="numpy")(function), function))
