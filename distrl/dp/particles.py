"""Nonparametric dynamic programming: weighted particles, their number bounded by merging."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from distrl._validation import whole_number
from distrl.dp.brackets import Brackets, certified_mean
from distrl.dp.categorical import OnGrid, check_atoms_and_grid
from distrl.dp.certificate import Certificate
from distrl.dp.moments import mean_and_variance
from distrl.dp.problem import Problem
from distrl.dp.run import Run
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid


@dataclass(frozen=True)
class ParticleDP(OnGrid):
    """The Bellman operator without a projection, from the Diracs of the exact means: atoms + 1 particles a state.

    After every sweep the particles in one cell of the grid merge into their mean. Run on an empirical model it is the
    nonparametric plug-in estimator, with the growth of its support bounded.

    Parameters
    ----------
    atoms : int
    grid : Grid, optional
        Its cells say what merges; by default `Grid.covering(model, atoms)`. Nothing is clipped on any grid.
    sweeps : int, optional
        By default enough that what is left is small against the spacing.

    Notes
    -----
    Certificate (claim `particles-martingale`): merging is a conditional expectation, so the true return is a particle's
    value plus an error of mean 0 given it, whatever the sweep: W1 <= W2 <= sqrt(Var(true) - Var(particles)), plus what
    floating point adds; the exact variance solves a linear system. Time O(nnz m) a sweep, memory 4 arrays (S, m).
    Means are exact. Reward laws on many values merge into atoms / 4.
    """

    atoms: int = 401
    grid: Grid | None = None
    sweeps: int | None = None

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        if self.sweeps is not None:
            object.__setattr__(self, "sweeps", whole_number(self.sweeps, "sweeps", low=1))

    def _solve(self, model: MRP, run: Run) -> Solution:
        problem = Problem.of(model, self.grid, self.atoms, run)
        mean, mean_error = certified_mean(problem)
        merging: Any = Brackets(problem.grid.atoms, problem.grid, sweeps=self.sweeps)
        returns, slack = merging._merged(problem, mean, run)
        variance = mean_and_variance(model)[1]
        floats = mean_error + problem.certifier.linear.upper(slack)
        missing = np.maximum(variance - np.asarray(returns.var()), 0.0) + 1e-12 * variance
        zeros = np.zeros(model.n_states)
        rounding = np.sqrt(missing)
        certificate = Certificate(rounding + floats, "particles-martingale", rounding, zeros, floats, zeros)
        return Solution(
            returns=returns,
            status=Status.INTERRUPTED if run.interrupted else Status.SWEEPS_DONE,
            iterations=run.iterations,
            residual=0.0,
            clipped_mass=0.0,
            elapsed=run.elapsed,
            certificate=certificate,
            tol=problem.tol,
            solver="sweeps",
            reason=f"{run.iterations} sweeps, cells of {problem.grid.spacing:.3g} merged",
            model=model,
            method=self,
        )
