"""Convex brackets on a grid: particles below the true law, laws on the grid above it, and what they are short of it.

Linear projection Pi moves mass to the two atoms around it and keeps means, so F <= Pi F in convex order; the Bellman
operator T is monotone in it. The fixed point F = Pi T F is therefore above the true law, and any laws on the grid are
once a constant is added to their stop-loss and put transforms (`_slack_of_upper`). Below it lie merged particles
(`distrl.dp.merging`). Claim: `brackets-convex`.
"""

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import float_slack, row_terms
from distrl.dp.fixed_point import fixed_point
from distrl.dp.merging import merged_sweeps, sweeps_needed
from distrl.dp.moment_systems import enclosed_mean
from distrl.dp.problem import Problem
from distrl.dp.scales import unknown_mass
from distrl.models.mrp import MRP
from distrl.returns.brackets import ConvexBrackets
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid, return_ranges

_FEWEST = 16  # sweeps below which brackets say less than a certificate


def convex_around(problem: Problem, upper: CategoricalReturns, sweeps: int | None, call: Call) -> ConvexBrackets:
    """The lower law beside any laws on the grid, whose slack counts what they are short of a fixed point."""
    model, linear = problem.model, problem.certifier.linear
    mean, mean_error = enclosed_mean(model, linear)
    slack_upper = _slack_of_upper(problem, np.asarray(upper.probs))
    lower, slack = merged_sweeps(problem, mean, sweeps, call)
    slack_lower = mean_error + linear.upper(slack.expected)
    return ConvexBrackets(lower, upper, mean, mean_error, slack_lower, slack_upper, *return_ranges(model))


def brackets_around(
    model: MRP, grid: Grid, upper: CategoricalReturns | None, call: Call, work: float
) -> ConvexBrackets | None:
    """Convex brackets on a grid, of as many sweeps as `work` (outcomes times atoms) pays for; None for too few.

    `upper`, laws on the grid however far from converged, are the upper ones, `None`: they are solved for. Nothing but
    CDF, quantiles, stop-loss, CVaR and expectiles is to be read from the brackets of laws that are not converged.
    """
    affordable = int(work / (len(model.outcomes.probs) * grid.atoms))
    if affordable < _FEWEST:
        return None
    problem = Problem.of(model, grid, call)
    sweeps = min(sweeps_needed(problem, power=2), affordable)
    if upper is None:
        upper = fixed_point(model, grid, call).returns
    return convex_around(problem, upper, sweeps, call)


def _slack_of_upper(problem: Problem, probs: FloatArray) -> FloatArray:
    """(S,) how far the stop-loss and put transforms of `probs` may lie below upper ones.

    F + c dominates in convex order once c >= eps + o + g P c, eps(x) the largest excess over the atoms of the stop-loss
    (or put) transform of Pi T F over F's, o the overshoot: the operator on these transforms is monotone.
    """
    grid = problem.grid
    image = problem.operator.apply(probs)
    change = image.probs - probs
    put = np.cumsum(np.cumsum(change, axis=1)[:, :-1] * grid.spacing, axis=1)  # of the image minus that of F, at atoms
    excess = np.maximum(put.max(axis=1), (put - put[:, -1:]).max(axis=1))  # and the stop-loss transform's
    excess = np.maximum(np.maximum(excess, -put[:, -1]), 0.0)
    floats = grid.atoms * EPS * np.abs(change).sum(axis=1) + np.abs(probs.sum(axis=1) - 1.0)
    own = excess + image.overshoot + floats * grid.width + float_slack(problem.operator) + unknown_mass(problem.model)
    own += problem.model.outcomes.law_errors
    return problem.certifier.linear.upper(own * (1.0 + (row_terms(problem.operator) + grid.atoms) * EPS))
