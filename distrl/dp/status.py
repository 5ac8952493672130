"""How a run of `evaluate` ends."""

import math
from enum import Enum


class Status(Enum):
    """How a run ended; the value is the sentence a person reads."""

    CONVERGED = "Converged: the bound on the iteration error is below the tolerance."
    STEADY = "Steady: the last step is below the tolerance; the certificate counts what remains."
    SWEEPS_DONE = "The requested number of sweeps was done; the certificate counts what remains."
    LEARNT = "Every sample was learnt from once; the bound counts what is missing to the samples' own law or mean."
    SAMPLED = "All episodes were sampled; the certificate holds with the stated confidence."
    MAX_ITERATIONS = "Not converged: the limit on iterations was reached; raise max_iterations or tol."
    STALLED = "Not converged: rounding keeps the bound above the tolerance; raise tol or lower the discount."
    DRIFTING = "Not converged: quantiles that never end drift away; use more of them, Lattice or CategoricalFixedPoint."
    UNCERTIFIED = "Done, but nothing is certified: the returns are unbounded, or some state hardly ever ends."
    INTERRUPTED = "Interrupted: the result is the last iterate, its certificate is valid."


#: The tolerance was not reached, and whoever asked for it should know.
NOT_REACHED = (Status.MAX_ITERATIONS, Status.STALLED, Status.DRIFTING)
#: A bound this many times what rounding must leave is still put down to rounding.
ROUNDING = 1e3


def settle(status: Status, bound: float, tol: float, given: bool, floor: float, loose: float) -> tuple[Status, float]:
    """The status that follows from the certified bound, and the tolerance that it was held against.

    CONVERGED iff bound <= tol. A tolerance that was not `given` makes room for rounding: it becomes `loose` or the
    bound itself, whichever is larger, as long as that is within `ROUNDING` times `floor`, what rounding adds to it.
    """
    if status is Status.INTERRUPTED:
        return status, tol
    if bound <= tol and bound < math.inf:  # a default tolerance is infinite where nothing can be certified
        return Status.CONVERGED, tol
    if not given and status in (Status.CONVERGED, Status.STALLED) and bound <= max(loose, ROUNDING * floor) < math.inf:
        return Status.CONVERGED, max(loose, bound)
    return (Status.STALLED if status is Status.CONVERGED else status), tol
