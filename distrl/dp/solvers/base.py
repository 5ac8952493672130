"""What a solver of F = A F + b is, what it is told about stopping, and what it gives back.

F holds the CDF values of n states at the m atoms of a grid, A and b are the operator's; A is non-negative and its
powers vanish, so that there is one solution. A solver only moves F towards it: what comes out is certified afterwards
by one more application, so that no solver can make a result wrong, only slow or far from converged. To write one of
your own, supply `name`, `takes_law_blocks` and `solve`, and pass it as `CategoricalFixedPoint(solver=...)`.
"""

import dataclasses
import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.status import Status
from distrl.operators.system import System

#: Corrections leave dips in CDFs of about the residual; cutting them off costs part of it, so solvers that correct aim
#: this much below the goal.
MARGIN = 0.25


class ByValue:
    """What dataclasses with arrays inherit, made with `eq=False`: equal where the fields are, entry by entry."""

    def _values(self) -> list[Any]:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return all(map(np.array_equal, self._values(), other._values()))

    def __hash__(self) -> int:
        return hash(tuple(np.asarray(value).tobytes() for value in self._values()))


class Stop(NamedTuple):
    """When to stop, in units of the grid's spacing.

    Attributes
    ----------
    call : Call
        Counts applications, tells progress, takes Ctrl-C, and knows the user's limit.
    goal : float
        The largest row sum of |F - T F| that meets the tolerance: what `System.apply` gives back.
    tol : float
        The tolerance on sup-W1, for reports.
    enough : int
        How many sweeps the contraction needs from anywhere, twice over.
    """

    call: Call
    goal: float
    tol: float
    enough: int

    @property
    def limit(self) -> int:
        """The user's limit on applications, or none to speak of."""
        return 10**9 if self.call.max_iterations is None else self.call.max_iterations

    @property
    def last(self) -> int:
        """The count of applications at which sweeps end: the user's limit, or once the contraction must have done."""
        call = self.call
        return call.iterations + self.enough if call.max_iterations is None else call.max_iterations

    @property
    def missed(self) -> Status:
        """Why a loop ended above the goal: Ctrl-C, the user's limit, or, where there is none, what float64 can do."""
        if self.call.interrupted:
            return Status.INTERRUPTED
        return Status.STALLED if self.call.max_iterations is None else Status.MAX_ITERATIONS

    def report(self, residual: float) -> None:
        """Tell progress by the residual."""
        self.call.report(residual * self.tol / self.goal, self.tol)


class Solved(NamedTuple):
    """Where a solver ended.

    Attributes
    ----------
    cdf : (n, m) CDF values at the atoms
    status : Status
        How it ended; whether the tolerance is met is decided by the certificate.
    solver, reason : str
        Who did the work, and why. A solver leaves them empty unless it handed all of the work to another one.
    """

    cdf: FloatArray
    status: Status
    solver: str = ""
    reason: str = ""

    def named(self, solver: str, reason: str) -> "Solved":
        """The same, by the name of the `solver` that was asked and the `reason` for it, unless another did the work."""
        if self.solver:
            return self._replace(reason=f"{reason}, {self.reason}")
        return self._replace(solver=solver, reason=reason)


@runtime_checkable
class Solver(Protocol):
    """A way to solve the system of a categorical operator.

    Attributes
    ----------
    name : str
        What results call it.
    takes_law_blocks : bool
        Whether it works where reward laws apply as matrices (`System.has_law_blocks`): it must then use `System.apply`
        and `System.linear` alone, which know of them.
    """

    @property
    def name(self) -> str:
        """What results call it."""

    @property
    def takes_law_blocks(self) -> bool:
        """Whether it works where reward laws apply as matrices."""

    def solve(self, system: System, start: FloatArray, stop: Stop) -> Solved:
        """CDF values (n, m) of the solution.

        Parameters
        ----------
        system : System
            The equations: `system.apply(cdf, out)` is one application, and gives the residual.
        start : (n, m)
            CDF values to begin with; overwritten.
        stop : Stop
            When the residual is small enough, and what else ends the work.

        Notes
        -----
        Applications are counted by `stop.call.count()`, and the loop stands inside `with stop.call.interruptible():`,
        so that Ctrl-C leaves laws there; `stop.missed` says why a loop ended above the goal.
        """


def run(solver: Solver, system: System, start: FloatArray, stop: Stop) -> Solved:
    """`solver.solve`, if the solver takes the system.

    Raises
    ------
    ValueError
        If reward laws apply as matrices and the solver does not take that.
    """
    if system.has_law_blocks and not solver.takes_law_blocks:
        raise ValueError(
            f"{solver.name} does not take reward laws that apply as matrices, as those of continuous rewards do; use "
            "solver='auto', 'krylov', 'direct' or 'iterate'"
        )
    return solver.solve(system, start, stop)


def has_stalled(system: System, residual: float, since: int) -> bool:
    """Whether sweeps lead nowhere: no number any more, or `since` > 50 of them no smaller near what rounding allows."""
    return residual == math.inf or (since > 50 and residual < 1e4 * EPS * (system.grid.atoms - 1))
