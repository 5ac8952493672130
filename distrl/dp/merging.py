"""Sweeps without a projection whose particles are merged, cell by cell of a grid, into their means.

Let L be a law of particles and M L the law in which all particles of one cell are replaced by their mean. M L is below
L in convex order, since E[L | M L] = M L, and the Bellman operator T is monotone in that order and keeps means. So from
the Dirac of the exact mean, which is below the true law, every iterate of M T is below it: valid at every sweep.
`Brackets` takes it for the lower law, `ParticleDP` for an estimate whose error is a martingale difference at every
step. Claims: `brackets-convex`, `particles-martingale`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from distrl._kernels import brackets as kernels
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import expected_sizes, row_sums
from distrl.dp.problem import Problem
from distrl.dp.scales import unknown_mass
from distrl.models.laws import FiniteLaw, Law
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.operators.kernel_plan import KernelPlan, build_plan
from distrl.returns.finite import ParticleReturns
from distrl.returns.grid import Grid

_LONGEST = 100_000  # sweeps, whatever the horizon: stopping early is valid, only wider


def sweeps_needed(problem: Problem, power: int) -> int:
    """Until discount^(power * n) * (width / spacing)^power is 1e-6, for the largest discount.

    Undiscounted, 1 - 1 / horizon is the rate.
    """
    rate = min(problem.model.largest_discount, 1.0 - 1.0 / max(problem.gain, 1.0))
    if rate <= 0.0:
        return 2
    needed = math.log(1e6 * (problem.grid.atoms - 1) ** power) / (-power * math.log(rate))
    return int(min(math.ceil(needed) + 2, _LONGEST))


def merged_sweeps(
    problem: Problem, mean: FloatArray, sweeps: int | None, call: Call
) -> tuple[ParticleReturns, "MergeSlack"]:
    """Particles below the true laws in convex order after `sweeps` sweeps, and what floating point does in one of them.

    `mean` (S,) are the exact means, at which the particles start; None: as many sweeps as leave little of the start.
    """
    grid, model = problem.grid, problem.model
    table, law_errors = with_merged_laws(model.outcomes, grid)
    plan, _ = build_plan(table, model.uniform_discount, grid, all_as_reads=True)
    cells = grid.atoms + 1
    positions = np.tile(np.arange(cells) - 0.5, (model.n_states, 1))
    weights = np.zeros((model.n_states, cells))
    at = (mean - grid.low) / grid.spacing
    home = np.clip(np.floor(at), -1, grid.atoms - 1).astype(np.int64) + 1
    rows = np.arange(model.n_states)
    positions[rows, home], weights[rows, home] = at, 1.0
    following, following_weights = np.empty_like(positions), np.empty_like(weights)
    total, farthest = sweeps_needed(problem, power=2) if sweeps is None else sweeps, float(np.abs(at).max())
    call.enter("sweeping the lower law")
    with call.interruptible():  # the last whole sweep is a valid lower law
        for done in range(total):
            kernels.merge_sweep(positions, weights, plan, following, following_weights)
            farthest = max(farthest, float(np.abs(following).max()))
            following_weights /= following_weights.sum(axis=1, keepdims=True)  # rows need not sum to 1 exactly
            positions, following = following, positions
            weights, following_weights = following_weights, weights
            call.count()
            call.advance((done + 1) / total)
    farthest = max(farthest, float(np.abs(positions).max()))
    slack = merge_slack(model, grid, plan, law_errors, grid.spacing * farthest, unknown_mass(model))
    return ParticleReturns(grid.low + grid.spacing * positions, weights), slack


@dataclass(frozen=True)
class MergeSlack:
    """What floating point does to the particles of one sweep, (S,) each.

    relative : of their masses; moved : how far they lie from where they should; expected : W1, of both together
    """

    relative: FloatArray
    moved: FloatArray
    expected: FloatArray


def merge_slack(
    model: MRP, grid: Grid, plan: KernelPlan, law_errors: FloatArray, reach: float, unknown: FloatArray
) -> MergeSlack:
    """`reach` is the largest distance of a particle from the first atom, `law_errors` (S,) those of merged laws,
    `unknown` (S,) what mass of which nothing is known can change.

    A conditional mean is a quotient of two sums: the terms of one cell, of masses and of masses times positions.
    """
    table = model.outcomes
    # particles of one list that land in one cell
    collisions = min(1.0 / plan.discount.min(initial=1.0), grid.atoms) + 2.0
    per_group = np.diff(plan.successor_ptr) * np.diff(plan.read_ptr)
    going_on = np.diff(np.concatenate([[0], np.cumsum(per_group)])[plan.group_ptr])
    relative = (collisions * going_on + np.diff(plan.end_ptr) + 16.0) * EPS + np.abs(row_sums(table) - 1.0)
    size = max(abs(grid.low), abs(grid.high)) + reach
    moved = 3.0 * relative * reach + 12.0 * EPS * (size + expected_sizes(table)) + law_errors
    expected = relative * (reach + grid.width) + moved + table.law_errors + unknown
    return MergeSlack(relative, moved, expected)


def with_merged_laws(table: OutcomeTable, grid: Grid) -> tuple[OutcomeTable, FloatArray]:
    """The table with every reward law on more than max(8, atoms / 4) values merged to conditional means on cells.

    And how far rounding can have moved these, (sources,).
    """
    cells = max(8, grid.atoms // 4)
    merged = tuple(merged_law(law, cells) for law in table.reward_laws)
    errors = np.zeros(table.n_sources)
    for index, (law, coarse) in enumerate(zip(table.reward_laws, merged, strict=True)):
        if coarse is not law:
            touched = np.unique(table.sources[table.laws == index])
            # the mean on a cell is a difference of integrated CDFs over its mass
            reach = max(map(abs, coarse.support))
            error = 4.0 * law.rounding(reach) / float(coarse.probs.min())
            errors[touched] = np.maximum(errors[touched], error + law.error)
    return replace(table, reward_laws=merged), errors


def merged_law(law: Law, cells: int) -> FiniteLaw:
    """A law on at most `cells` values below `law` in convex order: conditional means on cells of equal probability.

    A cell of less than an eighth of that, next to an atom or in a far tail, is part of the one before it: no mass is
    left out, and every conditional mean is a quotient that rounding does not spoil.
    """
    if isinstance(law, FiniteLaw):
        if len(law.values) <= cells:
            return law
        owner = np.minimum((np.cumsum(law.probs) - law.probs / 2) * cells, cells - 1).astype(np.int64)
        mass = np.bincount(owner, weights=law.probs, minlength=cells)
        sums = np.bincount(owner, weights=law.probs * law.values, minlength=cells)
    else:
        edges = np.unique(law.quantile(np.arange(1, cells) / cells))
        below = np.concatenate([[0.0], law.cdf(edges), [1.0]])
        # E[R; R <= k] = k F(k) - put(k)
        partial = np.concatenate([[0.0], edges * law.cdf(edges) - law.put(edges), [law.mean]])
        mass, sums = np.diff(below), np.diff(partial)
    small = mass < 1.0 / (8.0 * cells)
    group = np.maximum(np.cumsum(~small) - 1, 0)  # small ones at the very start belong to the first large one
    mass, sums = np.bincount(group, weights=mass), np.bincount(group, weights=sums)
    return FiniteLaw(sums / mass, mass / mass.sum())
