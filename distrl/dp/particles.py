"""Nonparametric dynamic programming: weighted particles, their number bounded by merging.

Definitions. L(x) are weighted particles for each state. T moves and mixes them, a copy for each outcome, so that their
number grows with every application; M merges the particles of one cell of a grid into their mean.

Operator. L <- M T L from the Diracs of the exact means. M is a conditional expectation: M L is L without what is random
inside a cell. So the true return is, sweep after sweep, a particle's value plus an error of mean 0 given the particle.

Termination. After a number of sweeps; every sweep is certified, by what the exact variance has that the particles'
lacks: W1 <= W2 <= sqrt(Var(true) - Var(L)) (claim `particles-martingale`).

Source: Bellemare, Dabney, Rowland 2023, chapter 5, for the operator without a projection; merging and the certificate
are this library's.
"""

import math
from dataclasses import dataclass

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.certified_moments import certified_moments
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.horizon_particles import MARTINGALE, around_atoms, as_particles, left_of, merged_of_steps
from distrl.dp.horizon_walk import ended, steps_in_words
from distrl.dp.merging import MergeSlack, merged_sweeps
from distrl.dp.on_grid import OnGrid, check_atoms_and_grid
from distrl.dp.problem import Problem
from distrl.dp.resolvent import Resolvent
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.finite import ParticleReturns
from distrl.returns.grid import Grid


@dataclass(frozen=True)
class ParticleDP(OnGrid):
    """The Bellman operator without a projection, from the Diracs of the exact means: atoms + 1 particles a state.

    After every sweep the particles in one cell of the grid merge into their mean. Run on an empirical model it is the
    nonparametric plug-in estimator, with the growth of its support bounded.

    Parameters
    ----------
    atoms : int
        Number of atoms of the grid, if none is given.
    grid : Grid, optional
        Its cells say what merges; by default `Grid.covering(model, atoms)`. Nothing is clipped on any grid.
    sweeps : int, optional
        By default enough that what is left is small against the spacing.

    Raises
    ------
    ValueError
        If an option is out of range. From `evaluate`: if the returns have no bounds and no grid is given, or a reward
        law has no mean.
    TypeError
        If `grid` is no Grid.

    Notes
    -----
    Certificate (claim `particles-martingale`): merging is a conditional expectation, so the true return is a particle's
    value plus an error of mean 0 given it, whatever the sweep: W1 <= W2 <= sqrt(Var(true) - Var(particles)), the exact
    variance by a linear system. Its error, and what rounding does to either variance, stand under the root, for the
    difference cancels. Time O(nnz m) a sweep, memory 4 arrays (S, m).
    Means are exact. Reward laws on many values merge into atoms / 4.
    """

    atoms: int = 401
    grid: Grid | None = None
    sweeps: int | None = None

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        if self.sweeps is not None:
            object.__setattr__(self, "sweeps", whole_number(self.sweeps, "sweeps", low=1))

    def cells(self, model: MRP) -> Grid:
        """The grid whose cells merge, for a `model`."""
        return self._grid_for(model)

    def solve(self, model: MRP, call: Call) -> Solution[ParticleReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        problem = Problem.of(model, self.cells(model), call)
        linear, square = problem.certifier.linear, problem.certifier.square
        moments = certified_moments(model)
        returns, slack = merged_sweeps(problem, moments.mean, self.sweeps, call)
        floats = moments.mean_error + linear.upper(slack.expected)
        known = np.where(np.isfinite(moments.variance_high), moments.variance_high, 0.0)
        apart = 4.0 * (model.largest_discount * float(floats.max())) ** 2 * (1.0 - _likeliest(model))
        means = 2.0 * np.sqrt(_step_variance(model, moments)) * np.sqrt(apart) + apart
        missing = known - np.asarray(returns.var()) + _blur(square, known, means, slack) + _reading_error(returns)
        missing = np.where(np.isfinite(moments.variance_high), np.maximum(missing, 0.0), np.inf)
        zeros = np.zeros(model.n_states)
        rounding = np.sqrt(missing)
        certificate = Certificate(rounding + floats, "particles-martingale", rounding, zeros, floats, zeros)
        return Solution.of(
            returns,
            model,
            self,
            call,
            status=Status.INTERRUPTED if call.interrupted else Status.SWEEPS_DONE,
            certificate=certificate,
            tol=problem.tol,
            solver="sweeps",
            reason=f"{call.iterations} sweeps, cells of {problem.grid.spacing:.3g} merged",
        )

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[ParticleReturns]:
        """The merged particles of H steps; `sweeps` is not to be given.

        `stages` and `call` are as `HorizonMethod` says.

        What merging takes from the variance is summed step by step: no difference of variances is taken.
        """
        if self.sweeps is not None:
            raise ValueError("with a horizon there is one sweep for each step; leave sweeps out")
        grid = around_atoms(self._grid_of_steps(stages)) if self.grid is None else self.grid
        walked = merged_of_steps(stages, grid, call)
        status, tol = ended(stages, call, walked.done)
        return Solution.of(
            as_particles(walked.layer, grid),
            stages.process(0),
            self,
            call,
            status=status,
            certificate=walked.layer.certificate(MARTINGALE, left_of(stages, walked)),
            tol=tol,
            solver="steps",
            reason=f"{steps_in_words(stages, walked.done)}, cells of {grid.spacing:.3g} merged",
        )


def _blur(square: Resolvent, known: FloatArray, means: FloatArray, slack: MergeSlack) -> FloatArray:
    """(S,) what rounding can have done to Var L + E M^2 against the true variance, at most `known`.

    With L the particles of a sweep, L' the exact merging of T L, and G = L + M + A (docs/brackets.md), it solves the
    variance's own recursion but for two terms a step: Var L - Var L', what floating point does to a merged law, at most
    e v + 2 sqrt(v) d + d^2 with masses off by e of their size, particles by d, and v the variance of T L; and what the
    particles' means do to that of R + g E L, `means`. v itself is at most `known` and this blur: first a bound from the
    largest of all states, then twice through the recursion.
    """
    from_means = square.upper(means)
    gain, e, d = float(square.gains.max()), float(slack.relative.max()), float(slack.moved.max())
    most, rest = float((known + from_means).max()), 1.0 - gain * e
    if not rest > 0.0:
        return np.full(len(known), np.inf)
    # u = sup sqrt(v): u^2 <= most + gain (e u^2 + 2 u d + d^2)
    root = (gain * d + math.sqrt((gain * d) ** 2 + rest * (most + gain * d * d))) / rest
    v = np.full(len(known), root * root)
    for _ in range(3):
        blur = square.upper(slack.relative * v + 2.0 * np.sqrt(v) * slack.moved + slack.moved**2 + means)
        v = np.minimum(v, known + blur)
    return blur


def _step_variance(model: MRP, moments: CertifiedMoments) -> FloatArray:
    """(S,) at least the variance of one step, R + g V(next state), V the exact means; finite ones of laws only."""
    table = model.outcomes
    own = np.array([0.0, *(law.variance for law in table.reward_laws)])[table.laws + 1]
    onward, off = model.next_values(moments.mean), model.next_values(moments.mean_error)
    here, off = moments.mean[table.sources], off + moments.mean_error[table.sources]
    size = np.abs(table.rewards) + np.abs(onward) + np.abs(here)
    bracket = np.abs(table.rewards + onward - here) + off + 4.0 * EPS * size
    terms = np.where(np.isfinite(own), own, 0.0) * (1.0 + 1e-9) + bracket**2
    return np.asarray(np.add.reduceat(table.probs * terms, table.indptr[:-1]))


def _likeliest(model: MRP) -> FloatArray:
    """(S,) the largest probability of a successor, or of ending; 0 where it does not say what is carried on."""
    table = model.outcomes
    if model.uniform_discount is None:  # the same successor may come with different discounts
        return np.zeros(model.n_states)
    ending = np.bincount(table.sources, weights=table.probs * table.terminals, minlength=model.n_states)
    onward = np.asarray(model.continuation.max(axis=1).toarray(), dtype=np.float64).ravel()
    return np.asarray(np.minimum(np.maximum(ending, onward), 1.0))


def _reading_error(returns: ParticleReturns) -> FloatArray:
    """(S,) of the particles' variance, a sum around a rounded mean."""
    values = returns.values
    sums = (values.shape[-1] + 16) * EPS
    return np.asarray(sums * returns.var() + (sums * np.abs(values).max(axis=-1)) ** 2)
