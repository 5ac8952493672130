"""A model on a grid, ready to be solved: operator, certifier, tolerance, starts, and what a solver reached.

Problem = model + grid + operator + certifier + tolerance. It says when to stop: sup W1(F, F*) <= gain * sup W1(F, Pi T
F), so that a residual of tol / gain is enough, what rounding adds to the bound taken off; and it turns the CDF values
that a solver reached into laws whose certificate it computes.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from distrl._kernels.starts import cdf_to_pmf, normal_rows
from distrl._threads import Workers
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate, Certifier
from distrl.dp.moment_systems import mean_and_variance
from distrl.dp.scales import enough_sweeps
from distrl.dp.solvers.base import Solved, Stop
from distrl.dp.status import Status, settle
from distrl.models.mrp import MRP
from distrl.operators.categorical import CategoricalBellman
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid


@dataclass(frozen=True, eq=False)
class Problem:
    """An MRP on a grid with its operator, certifier and tolerance.

    Attributes
    ----------
    gain : float
        sup over states of W1(F, F*) <= gain * sup W1(F, Pi T F), F* the fixed point.
    tol : float
        What the bound on the iteration error is to be at most, in units of reward.
    given : bool
        Whether `tol` is the user's.
    """

    model: MRP
    grid: Grid
    operator: CategoricalBellman
    certifier: Certifier
    gain: float
    tol: float
    given: bool

    @cached_property
    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Exact mean and variance (S,) of the return."""
        return mean_and_variance(self.model, self.certifier.linear, self.certifier.square)

    @classmethod
    def of(cls, model: MRP, grid: Grid, call: Call) -> "Problem":
        """The problem that a call poses: its tolerance, or the one that long horizons allow."""
        call.enter("building the operator")
        operator = CategoricalBellman(model, grid)
        call.enter("bounding what errors add up to")
        certifier = Certifier(model, operator)
        tol = call.tol
        if tol is None:
            # means of long horizons should be right to ten digits, and CDF values, which err by at most W1 / spacing,
            # to nine, where float64 allows it; the bound also counts what rounding may add at every application
            reach = 16 * EPS * certifier.gain * grid.width
            tol = max(min(1e-12 * grid.width, 2e-10 * grid.spacing), reach) + certifier.floor
        return cls(model, grid, operator, certifier, certifier.gain, tol, call.given)

    def stop(self, call: Call) -> Stop:
        """The stopping rule: the residual that meets the tolerance, what rounding adds to the bound taken off.

        A tolerance below what rounding leaves cannot be met: the work then goes as far as float64 does.
        """
        floor = self.certifier.floor
        room = max(self.tol - floor, 0.125 * floor)
        if not math.isfinite(floor) or room == 0.0:  # nothing can be certified
            return Stop(call, 16.0 * EPS * (self.grid.atoms - 1), self.tol, 10**6)
        goal = room / (self.gain * self.grid.spacing)
        return Stop(
            call, goal, self.tol, enough_sweeps(self.model.largest_discount, self.gain, (self.grid.atoms - 1) / goal)
        )

    def settled(self, status: Status, bound: float) -> tuple[Status, float]:
        """What `settle` says of a bound, with room for rounding up to 1e-10 of the grid's width."""
        return settle(status, bound, self.tol, self.given, self.certifier.floor, 1e-10 * self.grid.width)

    def out_of_reach(self) -> bool:
        """Whether no solver can meet the tolerance: it is below what the rounding of one application adds."""
        floor = self.certifier.floor
        return not math.isfinite(floor) or (self.given and self.tol <= floor)

    def reached(self, solved: Solved, call: Call, threads: int | None = None) -> "Reached":
        """Turn CDF values (overwritten) into laws, negative rounding cut off, and certify exactly those."""
        call.enter("certifying")
        probs = solved.cdf
        Workers(threads, probs.size).rows(len(probs), cdf_to_pmf, probs)
        certificate, residual = self.certifier.certify(probs, threads)
        status, tol = self.settled(solved.status, float(certificate.residual.max()))
        how = self.certifier.linear.how
        return Reached(
            returns=CategoricalReturns.trusted(self.grid, probs),
            status=status,
            iterations=call.iterations,
            residual=residual,
            certificate=certificate,
            tol=tol,
            solver=solved.solver,
            reason=solved.reason if how == "elimination" else f"{solved.reason}; the certificate's systems by {how}",
        )


class Reached(NamedTuple):
    """Laws on a grid that a solver reached, and their certificate; the fields are those of a `Solution`."""

    returns: CategoricalReturns
    status: Status
    iterations: int
    residual: float
    certificate: Certificate
    tol: float
    solver: str
    reason: str

    @property
    def bound(self) -> float:
        """The certified bound on the iteration error at the worst state."""
        return float(self.certificate.residual.max())


def dirac_start(problem: Problem) -> FloatArray:
    """(S, m) CDF values of a Dirac at the grid's middle."""
    grid = problem.grid
    row = np.clip(np.arange(1.0, grid.atoms + 1.0) - (grid.atoms - 1) / 2, 0.0, 1.0)
    return np.asarray(np.tile(row, (problem.model.n_states, 1)))


def moment_start(problem: Problem, workers: Workers) -> FloatArray:
    """(S, m) CDF values of projected normal laws with the exact means, and variances plus a guess of rounding's.

    With the exact means the error starts without its slowest mode, which decays at the rate of the discount.
    """
    model, grid = problem.model, problem.grid
    mean, variance = problem.moments
    largest = model.largest_discount
    leaving = max((1.0 - largest) * (1.0 + largest), 1.0 / problem.gain)
    rounding = min(grid.spacing**2 / 6 / leaving, grid.width**2) if leaving > 0.0 else grid.width**2
    spread = np.where(np.isfinite(variance), variance, grid.width**2) + np.where(variance > 0, rounding, 0.0)
    sd = np.maximum(np.sqrt(np.clip(spread, 0.0, grid.width**2)), 1e-6 * grid.spacing)
    cdf = np.empty((model.n_states, grid.atoms))
    workers.rows(model.n_states, normal_rows, np.clip(mean, grid.low, grid.high), sd, grid.low, grid.spacing, cdf)
    return cdf
