"""Parts of SciPy, imported when they are first used: `import distrl` alone needs none of them.

(Its folders import one another, and half of NumPy that nobody asked for: `csgraph` brings `sparse.linalg`, that brings
`linalg`, and `sparse` brings `numpy.f2py`.) A file that names `sparse` in annotations needs
`from __future__ import annotations`, or the annotation is the first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scipy import sparse as sparse
    from scipy import special as special
    from scipy.linalg import lapack as lapack
    from scipy.sparse import csgraph as csgraph
    from scipy.sparse import linalg as linalg
else:

    class _Lazy:
        """A module that is imported at the first question to it."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self._name), attribute)

    sparse = _Lazy("scipy.sparse")
    special = _Lazy("scipy.special")
    lapack = _Lazy("scipy.linalg.lapack")
    csgraph = _Lazy("scipy.sparse.csgraph")
    linalg = _Lazy("scipy.sparse.linalg")
