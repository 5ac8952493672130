"""Solving x = A x + b for a linear A that contracts, matrix-free."""

import math
from collections.abc import Callable

import numpy as np

from distrl._lazy import linalg
from distrl._validation import FloatArray

_RESTARTS = 20
_SWEEPS = 100_000
_ENOUGH = 1e-6  # of the solution's size: a residual above it is an error


def solve_contraction(
    apply: Callable[[FloatArray], FloatArray],
    rhs: FloatArray,
    tol: float = 1e-13,
    start: FloatArray | None = None,
) -> FloatArray:
    """The x with x = A x + rhs, of any shape.

    BiCGSTAB, restarted on the true residual and kept only while that halves; then sweeps x <- A x + rhs, which A's
    contraction guarantees. Stops once max |residual| is at most tol * (max |rhs| + max |x|), or where rounding does.
    About eight arrays of the size of `rhs`.

    Raises
    ------
    ValueError
        If the residual stays above 1e-6 of that size, after 100,000 sweeps where A does not contract.
    """
    shape = rhs.shape
    b = rhs.reshape(-1)
    x = (rhs if start is None else start).reshape(-1).copy()

    def image(vector: FloatArray) -> FloatArray:
        return apply(vector.reshape(shape)).reshape(-1)

    system = linalg.LinearOperator((b.size, b.size), matvec=lambda v: v - image(v.reshape(-1)), dtype=np.float64)

    def size() -> float:
        return float(np.abs(b).max(initial=0.0) + np.abs(x).max(initial=0.0))

    defect = b + image(x) - x
    norm = float(np.abs(defect).max(initial=0.0))
    for _ in range(_RESTARTS):
        if norm <= tol * size():
            return x.reshape(shape)
        # scaled: scipy takes small inner products for a breakdown; one that overflows is a step that is not kept
        goal = max(1e-9, 0.1 * tol * size() / norm)
        with np.errstate(all="ignore"):
            step, _info = linalg.bicgstab(system, defect / norm, rtol=goal, atol=0.0, maxiter=300)
        better = x + norm * step
        fresh = b + image(better) - better
        reached = float(np.abs(fresh).max())
        if not reached <= 0.5 * norm:
            break
        x, defect, norm = better, fresh, reached
    smallest, since = math.inf, 0
    for _ in range(_SWEEPS):
        # A may contract in another norm than the largest entry, which then grows for a while: no gain is rounding only
        # where the residual would do
        if norm <= tol * size() or not math.isfinite(norm) or (since > 50 and norm <= _ENOUGH * size()):
            break
        x = x + defect
        defect = b + image(x) - x
        norm = float(np.abs(defect).max())
        smallest, since = (norm, 0) if norm < smallest else (smallest, since + 1)
    if not norm <= max(tol, _ENOUGH) * size():
        raise ValueError(
            f"a linear system did not converge: residual {norm:.3g} of {size():.3g}; the discount is too close to 1, "
            "or some state ends with a probability too small for float64"
        )
    return x.reshape(shape)
