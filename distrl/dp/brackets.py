"""Enclosures of the true return law, in convex or in stochastic order."""

import math
from dataclasses import dataclass, replace

import numpy as np

from distrl._kernels import brackets as kernels
from distrl._validation import FloatArray, real_number, whole_number
from distrl.dp.categorical import CategoricalFixedPoint, check_atoms_and_grid
from distrl.dp.certificate import Certificate, float_slack
from distrl.dp.problem import Problem
from distrl.dp.refine import Target, enough_atoms, solve_to_target
from distrl.dp.run import Run
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.laws import FiniteLaw, Law
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.operators.plan import build_plan
from distrl.returns.brackets import BracketReturns, ConvexBrackets, StochasticBrackets
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import CDF, Functional, Quantile, Variance, parse
from distrl.returns.grid import Grid
from distrl.returns.particles import ParticleReturns
from distrl.theory.bounds import fixed_point_w1

_EPS = float(np.finfo(np.float64).eps)
_ORDERS = ("convex", "stochastic")
_CLIPPED = 1e-12  # a mass off the grid below this is rounding of a CDF
_FEWEST = 16  # sweeps below which brackets say less than a certificate
_LONGEST = 100_000  # sweeps of a bracket, whatever the horizon: stopping early is valid, only wider


@dataclass(frozen=True)
class Brackets:
    """Two laws that enclose the true return law, and certified intervals for what users read from it.

    Parameters
    ----------
    atoms : int
    grid : Grid, optional
        By default `Grid.covering(model, atoms)`. Stochastic order needs a grid that clips nothing.
    order : "convex" or "stochastic"
        convex: lower merges each cell of the grid to its conditional mean, upper is the categorical fixed point (linear
        projection); both have the exact mean. Encloses stop-loss, variance and CVaR with width O(spacing^2) for a
        bounded density. stochastic: lower rounds down to atoms, upper rounds up. Encloses the CDF, quantiles and every
        increasing functional, with width O(spacing / (1 - discount)).
    sweeps : int, optional
        Sweeps for the laws that are iterated, each valid at every sweep; by default enough that what is left is small
        against the spacing, squared for the convex order.
    target_width : float, optional
        Choose the number of atoms so that `interval(functional, at, tail=tail)` is at most this wide at every state:
        `atoms` is not used then (but for the first try at discount 1), and of `grid` only the interval. From a guess,
        spacing^2 / (4 (1 - discount^2)) against the target for the convex order, in proportion until it is met;
        `Solution.reason` says how many and why. With continuous rewards time grows with the square of the atoms.
    functional, at, tail : Functional or str, float, str, optional
        What the target is for: "cvar" and 0.1, say; see `BracketReturns.interval`.

    Raises
    ------
    ValueError
        If the arrays do not fit in memory, the grid clips in stochastic order, or `target_width` cannot be met.

    Notes
    -----
    `Solution.returns` is a `ConvexBrackets` or `StochasticBrackets`: `.lower`, `.upper`,
    `.interval("cvar", 0.1)` -> (S, 2). `values` are the exact means. The convex upper law F is an upper one up to
    eps (I - g P)^{-1} 1, eps the largest excess of the stop-loss of Pi T F over F's; iterates of the lower one
    are valid from the Dirac of the exact mean on. Intervals include these, the means' error and floating point.
    Time O(nnz m) a sweep. `Solution.certificate` bounds W1 of the upper law (convex); for the stochastic order of both,
    by the distance between them.
    Claims: `brackets-convex`, `brackets-stochastic`.
    """

    atoms: int = 201
    grid: Grid | None = None
    order: str = "convex"
    sweeps: int | None = None
    target_width: float | None = None
    functional: Functional | str | None = None
    at: float | None = None
    tail: str = "lower"

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        if self.order not in _ORDERS:
            raise ValueError(f"order must be 'convex' or 'stochastic', got {self.order!r}")
        if self.sweeps is not None:
            object.__setattr__(self, "sweeps", whole_number(self.sweeps, "sweeps", low=1))
        if (self.target_width is None) != (self.functional is None):
            raise ValueError(
                "target_width and functional go together, as in target_width=1e-3, functional='cvar', at=0.1"
            )
        if self.functional is None and (self.at is not None or self.tail != "lower"):
            raise ValueError(
                "at and tail say what target_width is for; without it, ask `returns.interval(...)` for them"
            )
        if self.target_width is not None and self.functional is not None:
            object.__setattr__(self, "target_width", real_number(self.target_width, "target_width"))
            if not self.target_width > 0.0:
                raise ValueError(f"target_width must be positive, got {self.target_width:g}")
            if self.at is not None:
                object.__setattr__(self, "at", real_number(self.at, "at"))
            self._question.single()

    @property
    def _question(self) -> Functional:
        """What `target_width` is of."""
        return parse(self.functional, self.at, self.tail)

    def _solve(self, model: MRP, run: Run) -> Solution:
        if self.target_width is None or self.functional is None:
            return self._enclose(model, run)
        asked, width = self._question, self.target_width

        def worst(solution: Solution) -> float:
            assert isinstance(solution.returns, BracketReturns)
            return float(np.diff(solution.returns.interval(asked)).max())

        def solve(grid: Grid) -> Solution:
            return replace(self, grid=grid)._enclose(model, run)

        at = "" if asked.points is None else f" at {asked.single():g}"
        linear = self.order == "stochastic" or isinstance(asked, CDF | Quantile)
        target = Target(f"target_width={width:g} of {asked.name}{at}", width, worst, order=1 if linear else 2)
        interval = Grid.covering(model, 2) if self.grid is None else self.grid
        first, g = self.atoms, model.discount
        if g < 1.0:  # shifts of spacing / (1 - g), or an added variance of spacing^2 / (4 (1 - g^2)), over the width
            rate = 1.0 / (1.0 - g) if self.order == "stochastic" else fixed_point_w1(1.0, g)
            unit = interval.width ** (2 if isinstance(asked, Variance) else 0 if isinstance(asked, CDF) else 1)
            first = enough_atoms(rate, width / unit, target.order)
        solution, how = solve_to_target(model, interval, first, target, solve, CategoricalFixedPoint()._arrays)
        return replace(solution, reason=f"{solution.reason}; {how}", method=self, elapsed=run.elapsed)

    def _enclose(self, model: MRP, run: Run) -> Solution:
        return self._convex(model, run) if self.order == "convex" else self._stochastic(model, run)

    # -- convex order -----------------------------------------------------------------------------------------------

    def _convex(self, model: MRP, run: Run) -> Solution:
        upper = CategoricalFixedPoint(self.atoms, self.grid)._solve(model, run)
        assert isinstance(upper.returns, CategoricalReturns)
        problem = Problem.of(model, upper.returns.grid, self.atoms, run)
        mean, mean_error = certified_mean(problem)
        slack_upper, clipped = _slack_of_upper(problem, np.asarray(upper.returns.probs))
        lower, plan_slack = self._merged(problem, mean, run)
        slack_lower = float(mean_error.max()) + problem.certifier.linear.upper(plan_slack)
        returns = ConvexBrackets(lower, upper.returns, mean, mean_error, slack_lower, slack_upper, clipped=clipped)
        status = Status.INTERRUPTED if run.interrupted else upper.status
        return replace(upper, returns=returns, method=self, status=status, elapsed=run.elapsed)

    def _merged(self, problem: Problem, mean: FloatArray, run: Run) -> tuple[ParticleReturns, FloatArray]:
        """The lower law after the sweeps, and the float slack of one sweep, (S,)."""
        grid, model = problem.grid, problem.model
        table = _with_merged_laws(model.outcomes, grid)
        plan, _ = build_plan(table, model.discount, grid, all_as_reads=True)
        cells = grid.atoms + 1
        positions = np.tile(np.arange(cells) - 0.5, (model.n_states, 1))
        weights = np.zeros((model.n_states, cells))
        at = (mean - grid.low) / grid.spacing
        home = np.clip(np.floor(at), -1, grid.atoms - 1).astype(np.int64) + 1
        rows = np.arange(model.n_states)
        positions[rows, home], weights[rows, home] = at, 1.0
        following, following_weights = np.empty_like(positions), np.empty_like(weights)
        total = self._sweeps_needed(problem, power=2)
        try:
            for done in range(total):
                kernels.merge_sweep(positions, weights, plan, following, following_weights)
                positions, following = following, positions
                weights, following_weights = following_weights, weights
                run.iterations += 1
                if run.progress is not None:
                    run.progress((done + 1) / total, run.iterations, math.nan)
        except KeyboardInterrupt:
            run.interrupted = True  # the last whole sweep is a valid lower law
        # a conditional mean is a quotient of two sums: the terms of one cell, and positions of some eps of their size
        slack = float_slack(problem.operator) + model.outcomes.law_errors + 4 * _EPS * (grid.atoms + 8) * grid.spacing
        for index, law in enumerate(model.outcomes.reward_laws):
            if not isinstance(law, FiniteLaw):
                touched = np.unique(model.outcomes.sources[model.outcomes.laws == index])
                slack[touched] += 2.0 * law.rounding(max(abs(grid.low), abs(grid.high)))
        return ParticleReturns(grid.low + grid.spacing * positions, weights / weights.sum(1, keepdims=True)), slack

    # -- stochastic order -------------------------------------------------------------------------------------------

    def _stochastic(self, model: MRP, run: Run) -> Solution:
        problem = Problem.of(model, self.grid, self.atoms, run)
        grid, operator = problem.grid, problem.operator
        mean, mean_error = certified_mean(problem)
        probe = np.full((model.n_states, grid.atoms), 1.0 / grid.atoms)  # every atom: what can be clipped at all
        reach = operator.apply(probe)
        if (reach.clipped_mass > _CLIPPED).any():
            state = int(np.argmax(reach.clipped_mass))
            raise ValueError(
                f"stochastic-order brackets need a grid that clips nothing, but outcomes of state {state} leave "
                f"[{grid.low:g}, {grid.high:g}]; use Grid.covering, or order='convex'"
            )
        laws = []
        slack = 1e-12 * (grid.atoms - 1)
        for upwards in (False, True):
            probs = np.zeros((model.n_states, grid.atoms))
            probs[:, -1 if upwards else 0] = 1.0
            laws.append(self._rounded(problem, probs, upwards, slack, run))
        slack_mass = problem.certifier.linear.upper(float_slack(operator) / grid.width + model.outcomes.law_cdf_errors)
        shift = problem.certifier.linear.upper(np.full(model.n_states, slack * grid.spacing + 4 * _EPS * _size(grid)))
        lower, upper = (CategoricalReturns._trusted(grid, probs) for probs in laws)
        returns = StochasticBrackets(lower, upper, mean, mean_error, shift, shift, slack_mass=slack_mass)
        gap = np.asarray(upper.mean() - lower.mean()) + 2.0 * (shift + slack_mass * grid.width)
        zeros = np.zeros(model.n_states)
        certificate = Certificate(gap, "brackets-stochastic", gap, zeros, zeros, zeros)
        return Solution(
            returns=returns,
            status=Status.INTERRUPTED if run.interrupted else Status.CONVERGED,
            iterations=run.iterations,
            residual=0.0,
            clipped_mass=0.0,
            elapsed=run.elapsed,
            certificate=certificate,
            tol=problem.tol,
            solver="sweeps",
            reason="rounding down and up, valid at every sweep",
            model=model,
            method=self,
        )

    def _rounded(self, problem: Problem, probs: FloatArray, upwards: bool, slack: float, run: Run) -> FloatArray:
        operator, grid = problem.operator, problem.grid
        blocks = []
        for block in operator.law_blocks:
            points = grid.points[:, None] - np.append(problem.model.discount * grid.points, 0.0)
            cdf = block.law.cdf(points) if upwards else block.law.cdf_left(points + grid.spacing)
            cdf[-1] = 1.0
            blocks.append((block, np.diff(cdf, axis=0, prepend=0.0)))
        following = np.empty_like(probs)
        total = self._sweeps_needed(problem, power=1)
        try:
            for done in range(total):
                kernels.round_sweep(probs, operator.plan, upwards, slack, following)
                for block, matrix in blocks:
                    mixed = np.column_stack([block.continuing @ probs, block.ending])
                    following[block.sources] += mixed @ matrix.T
                moved = float(np.abs(following - probs).max())
                probs, following = following, probs
                run.iterations += 1
                if run.progress is not None:
                    run.progress((done + 1) / total, run.iterations, math.nan)
                if moved <= 4 * _EPS:
                    break
        except KeyboardInterrupt:
            run.interrupted = True
        return np.asarray(probs / probs.sum(axis=1, keepdims=True))

    def _sweeps_needed(self, problem: Problem, power: int) -> int:
        """Until discount^(power * n) * (width / spacing)^power is 1e-6; undiscounted, 1 - 1 / horizon is the rate."""
        if self.sweeps is not None:
            return self.sweeps
        rate = min(problem.model.discount, 1.0 - 1.0 / max(problem.gain, 1.0))
        if rate <= 0.0:
            return 2
        needed = math.log(1e6 * (problem.grid.atoms - 1) ** power) / (-power * math.log(rate))
        return int(min(math.ceil(needed) + 2, _LONGEST))


def brackets_within(model: MRP, grid: Grid, work: float) -> ConvexBrackets | None:
    """Convex brackets on a grid, of as many sweeps as `work` (outcomes times atoms) pays for; None for too few."""
    affordable = int(work / (len(model.outcomes.probs) * grid.atoms))
    if affordable < _FEWEST:
        return None
    run = Run(None, None, np.random.default_rng(0), None)
    needed = Brackets(grid=grid)._sweeps_needed(Problem.of(model, grid, grid.atoms, run), power=2)
    returns = Brackets(grid=grid, sweeps=min(needed, affordable))._solve(model, run).returns
    assert isinstance(returns, ConvexBrackets)
    return returns


def certified_mean(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Exact means (S,) by a linear solve, and a bound on their error: a defect d moves V by (I - g P)^{-1} |d|."""
    model, linear = problem.model, problem.certifier.linear
    mean = linear.solve(model.expected_rewards)
    onward = model.discount * (model.continuation @ mean)
    defect = np.abs(model.expected_rewards + onward - mean)
    terms = np.diff(model.outcomes.indptr) + 4.0
    size = np.abs(model.expected_rewards) + np.abs(mean) + model.discount * (model.continuation @ np.abs(mean))
    table = model.outcomes
    rewards = np.bincount(table.sources, weights=table.probs * np.abs(table.rewards), minlength=model.n_states)
    return mean, linear.upper(np.asarray(defect + terms * _EPS * (size + rewards) + table.law_errors))


def _slack_of_upper(problem: Problem, probs: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """How far the stop-loss transform of `probs` may lie below an upper one, (S,); and where the grid clips.

    F + c dominates in convex order once c >= eps + o + g P c, eps(x) the largest excess over the atoms of the stop-loss
    (or put) transform of Pi T F over F's, o the overshoot: the operator on these transforms is monotone.
    """
    image = problem.operator.apply(probs)
    difference = np.cumsum(image.probs - probs, axis=1)[:, :-1] * problem.grid.spacing
    put = np.cumsum(difference, axis=1)  # put transform of the image minus that of F, at the atoms
    excess = np.maximum(put.max(axis=1), (put - put[:, -1:]).max(axis=1))  # and the stop-loss transform's
    excess = np.maximum(np.maximum(excess, -put[:, -1]), 0.0)
    slack = problem.certifier.linear.upper(
        excess + image.overshoot + float_slack(problem.operator) + problem.model.outcomes.law_errors
    )
    return slack, image.clipped_mass > _CLIPPED


def _size(grid: Grid) -> float:
    return max(abs(grid.low), abs(grid.high))


def _with_merged_laws(table: OutcomeTable, grid: Grid) -> OutcomeTable:
    """The table with every reward law on more than max(8, atoms / 4) values merged to conditional means on cells."""
    cells = max(8, grid.atoms // 4)
    return replace(table, reward_laws=tuple(merged_law(law, cells) for law in table.reward_laws))


def merged_law(law: Law, cells: int) -> FiniteLaw:
    """A law on at most `cells` values below `law` in convex order: conditional means on cells of equal probability."""
    if isinstance(law, FiniteLaw):
        if len(law.values) <= cells:
            return law
        owner = np.minimum((np.cumsum(law.probs) - law.probs / 2) * cells, cells - 1).astype(np.int64)
        mass = np.bincount(owner, weights=law.probs, minlength=cells)
        sums = np.bincount(owner, weights=law.probs * law.values, minlength=cells)
        kept = mass > 0
        return FiniteLaw(sums[kept] / mass[kept], mass[kept] / mass.sum())
    edges = np.unique(law.quantile(np.arange(1, cells) / cells))
    below = np.concatenate([[0.0], law.cdf(edges), [1.0]])
    # E[R; R <= k] = k F(k) - put(k)
    partial = np.concatenate([[0.0], edges * law.cdf(edges) - law.put(edges), [law.mean]])
    mass, sums = np.diff(below), np.diff(partial)
    kept = mass > 1e-12
    mass, sums = np.where(kept, mass, 0.0), np.where(kept, sums, 0.0)
    return FiniteLaw(sums[kept] / mass[kept], mass[kept] / mass.sum())
