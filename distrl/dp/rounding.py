"""Laws on a grid that are rounded one way at every step: below, or above, the true law in stochastic order.

Rounding down moves mass to the atom below it and makes a law smaller, rounding up makes it larger, and the Bellman
operator is monotone in stochastic order. From the Dirac at the lowest atom every iterate of rounding down after T is
below the true law, from the one at the highest every iterate of rounding up is above it: valid at every sweep, as long
as nothing leaves the grid. What does is counted here. Claim: `brackets-stochastic`.
"""

import math

import numpy as np

from distrl._kernels import brackets as kernels
from distrl._tolerances import EPS, GRID_SLACK
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.merging import sweeps_needed
from distrl.dp.problem import Problem
from distrl.operators.categorical import CategoricalBellman
from distrl.returns.grid import Grid


class Rounding:
    """One application that rounds every mass to the atom below it, or above it.

    Parameters
    ----------
    operator : CategoricalBellman
    upwards : bool
    near : float
        A mass within this of an atom is taken to be on it, in units of reward.
    """

    def __init__(self, operator: CategoricalBellman, upwards: bool, near: float) -> None:
        grid = operator.grid
        self.operator, self.upwards, self.slack = operator, upwards, near / grid.spacing
        self._blocks = []
        for block in operator.law_blocks:
            points = grid.points[:, None] - np.append(block.discount * grid.points, 0.0)
            cdf = block.law.cdf(points + near) if upwards else block.law.cdf_left(points + (grid.spacing - near))
            cdf[-1] = 1.0
            self._blocks.append((block, np.diff(cdf, axis=0, prepend=0.0)))

    def sweep(self, probs: FloatArray, out: FloatArray) -> None:
        """The image of `probs` (S, m) into `out`."""
        kernels.round_sweep(probs, self.operator.plan, self.upwards, self.slack, out)
        for block, matrix in self._blocks:
            mixed = np.column_stack([block.continuing @ probs, block.ending])
            out[block.sources] += mixed @ matrix.T
        out /= out.sum(axis=1, keepdims=True)  # rows need not sum to 1 exactly


def rounded_sweeps(
    problem: Problem, upwards: bool, near: float, sweeps: int | None, call: Call
) -> tuple[FloatArray, float]:
    """The law (S, m) after the sweeps, and the largest W1 size of the last of them.

    A mass within `near` of an atom is taken to be on it.
    """
    grid, rounds = problem.grid, Rounding(problem.operator, upwards, near)
    probs = np.zeros((problem.model.n_states, grid.atoms))
    probs[:, -1 if upwards else 0] = 1.0
    following = np.empty_like(probs)
    total, moved = sweeps_needed(problem, power=1) if sweeps is None else sweeps, math.inf
    call.enter(f"sweeping the {'upper' if upwards else 'lower'} law")
    with call.interruptible():
        for done in range(total):
            rounds.sweep(probs, following)
            moved = float(np.abs(following - probs).max())
            probs, following = following, probs
            call.count()
            call.advance((done + 1) / total)
            if moved <= 4 * EPS:
                break
    last = float(np.abs(np.cumsum(probs - following, axis=1)).sum(axis=1).max()) * grid.spacing
    return probs, last if moved < math.inf else moved


def clipping_at_the_ends(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """(S,) the largest probability that one step leaves the grid, and the largest expected distance.

    Below it goes least from the lowest atom and above it from the highest, whatever the law on the grid.
    """
    clipped, overshoot = np.zeros(problem.model.n_states), np.zeros(problem.model.n_states)
    for atom in (0, -1):
        probs = np.zeros((problem.model.n_states, problem.grid.atoms))
        probs[:, atom] = 1.0
        image = problem.operator.apply(probs)
        clipped, overshoot = np.maximum(clipped, image.clipped_mass), np.maximum(overshoot, image.overshoot)
    return clipped, overshoot


def far_mass(problem: Problem, clipped: FloatArray, overshoot: FloatArray) -> tuple[float, FloatArray]:
    """h and (S,) bounds on the probability that clipping moves a return by more than h.

    The return is off by sum_t g^t e_t at most, g the largest discount and e_t the overshoot of step t, of mass c at
    most and of mean o. If that is above h then some e_t is above h (1 - q) (q / g)^t, q = sqrt(g): by Markov's
    inequality with a probability of at most min(c, o q^t / (h (1 - q))). At discount 1 each step's clipping counts:
    (I - P)^{-1} c.
    """
    for block in problem.operator.law_blocks:
        if not all(map(math.isfinite, block.law.support)):  # 1 less a CDF is known up to rounding
            clipped = np.maximum(clipped, 2.0 * EPS)
    g, worst, far = problem.model.largest_discount, float(clipped.max()), float(overshoot.max())
    if worst == 0.0:
        return 0.0, np.zeros(problem.model.n_states)
    if g == 1.0 and problem.model.uniform_discount is None:  # how often it may happen, discounting does not say
        return 0.0, np.ones(problem.model.n_states)
    if g == 1.0 or g == 0.0:
        return 0.0, problem.certifier.linear.upper(clipped)
    h, q = 1e-6 * problem.grid.spacing, math.sqrt(g)
    steps = max(math.ceil(math.log(max(far / (h * (1.0 - q) * worst), 1.0)) / -math.log(q)), 0) if far > 0.0 else 0
    return h, np.full(problem.model.n_states, worst * (steps + 1.0 / (1.0 - q)))


def resolution_of(operator: CategoricalBellman, grid: Grid) -> float:
    """A distance that rounding does not exceed: of positions, and of the values of a law on the integers."""
    size = max(abs(grid.low), abs(grid.high))  # of rewards twice as large outcomes leave the grid, which is counted
    laws = max((block.law.resolution(2.0 * size) for block in operator.law_blocks), default=0.0)
    return float(GRID_SLACK * grid.width + 48.0 * EPS * size + laws)
