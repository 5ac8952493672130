"""Enclosures of the true return law, in convex or in stochastic order."""

import math
from dataclasses import dataclass, replace

import numpy as np

from distrl._kernels import brackets as kernels
from distrl._validation import FloatArray, real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint, OnGrid, check_atoms_and_grid
from distrl.dp.certificate import Certificate, expected_sizes, float_slack, row_sums, row_terms
from distrl.dp.moment_systems import enclosed_mean
from distrl.dp.problem import Problem
from distrl.dp.refine import Target, enough_atoms, solve_to_target
from distrl.dp.scales import unknown_mass
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.laws import FiniteLaw, Law
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.operators.plan import Plan, build_plan
from distrl.returns.brackets import BracketReturns, ConvexBrackets, StochasticBrackets
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import CDF, Functional, Quantile, Variance, parse
from distrl.returns.grid import Grid, return_ranges
from distrl.returns.particles import ParticleReturns
from distrl.theory.bounds import fixed_point_w1

_EPS = float(np.finfo(np.float64).eps)
_ORDERS = ("convex", "stochastic")
_CLIPPED = 1e-12  # a mass off the grid up to this may be a far tail: it is counted; more is refused in stochastic order
_FEWEST = 16  # sweeps below which brackets say less than a certificate
_LONGEST = 100_000  # sweeps of a bracket, whatever the horizon: stopping early is valid, only wider


@dataclass(frozen=True)
class Brackets(OnGrid):
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

    def solve(self, model: MRP, call: Call) -> Solution:
        if self.target_width is None or self.functional is None:
            return self._enclose(model, call)
        asked, width = self._question, self.target_width

        def worst(solution: Solution) -> float:
            assert isinstance(solution.returns, BracketReturns)
            return float(np.diff(solution.returns.interval(asked)).max())

        def solve(grid: Grid) -> Solution:
            return replace(self, grid=grid)._enclose(model, call)

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
        return replace(solution, reason=f"{solution.reason}; {how}", method=self, elapsed=call.elapsed)

    def _enclose(self, model: MRP, call: Call) -> Solution:
        return self._convex(model, call) if self.order == "convex" else self._stochastic(model, call)

    # -- convex order -----------------------------------------------------------------------------------------------

    def _convex(self, model: MRP, call: Call) -> Solution:
        upper = CategoricalFixedPoint(self.atoms, self.grid).solve(model, call)
        assert isinstance(upper.returns, CategoricalReturns)
        problem = Problem.of(model, upper.returns.grid, self.atoms, call)
        returns = self._around(problem, upper.returns, call)
        status = Status.INTERRUPTED if call.interrupted else upper.status
        return replace(upper, returns=returns, method=self, status=status, elapsed=call.elapsed)

    def _around(self, problem: Problem, upper: CategoricalReturns, call: Call) -> ConvexBrackets:
        """The lower law beside any laws on the grid, whose slack counts what they are short of a fixed point."""
        model, linear = problem.model, problem.certifier.linear
        mean, mean_error = enclosed_mean(model, linear)
        slack_upper = _slack_of_upper(problem, np.asarray(upper.probs))
        lower, slack = self._merged(problem, mean, call)
        slack_lower = mean_error + linear.upper(slack.expected)
        return ConvexBrackets(lower, upper, mean, mean_error, slack_lower, slack_upper, *return_ranges(model))

    def _merged(self, problem: Problem, mean: FloatArray, call: Call) -> tuple[ParticleReturns, "MergeSlack"]:
        """The lower law after the sweeps, and what floating point does in one sweep."""
        grid, model = problem.grid, problem.model
        table, law_errors = _with_merged_laws(model.outcomes, grid)
        plan, _ = build_plan(table, model.discount, grid, all_as_reads=True)
        cells = grid.atoms + 1
        positions = np.tile(np.arange(cells) - 0.5, (model.n_states, 1))
        weights = np.zeros((model.n_states, cells))
        at = (mean - grid.low) / grid.spacing
        home = np.clip(np.floor(at), -1, grid.atoms - 1).astype(np.int64) + 1
        rows = np.arange(model.n_states)
        positions[rows, home], weights[rows, home] = at, 1.0
        following, following_weights = np.empty_like(positions), np.empty_like(weights)
        total, farthest = self._sweeps_needed(problem, power=2), float(np.abs(at).max())
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
        slack = _merge_slack(problem, plan, law_errors, grid.spacing * farthest)
        return ParticleReturns(grid.low + grid.spacing * positions, weights), slack

    # -- stochastic order -------------------------------------------------------------------------------------------

    def _stochastic(self, model: MRP, call: Call) -> Solution:
        problem = Problem.of(model, self.grid, self.atoms, call)
        grid, operator = problem.grid, problem.operator
        linear = problem.certifier.linear
        mean, mean_error = enclosed_mean(model, linear)
        clipped, overshoot = _clipping_at_the_ends(problem)
        if (clipped > _CLIPPED).any():
            state = int(np.argmax(clipped))
            raise ValueError(
                f"stochastic-order brackets need a grid that clips nothing, but outcomes of state {state} leave "
                f"[{grid.low:g}, {grid.high:g}]; use Grid.covering, or order='convex'"
            )
        laws, moved = [], 0.0
        near = _resolution(problem)  # a mass within this of an atom is taken to be on it
        for upwards in (False, True):
            probs = np.zeros((model.n_states, grid.atoms))
            probs[:, -1 if upwards else 0] = 1.0
            law, last = self._rounded(problem, probs, upwards, near, call)
            laws.append(law)
            moved = max(moved, last)
        table = model.outcomes
        unknown, odd = unknown_mass(model), table.law_cdf_errors + table.defects  # what is not known of a step's law
        far = overshoot + table.law_errors + odd * grid.width + unknown
        aside, lost = _far_mass(problem, clipped + odd, far)
        shift = linear.upper(np.full(model.n_states, 2.0 * near)) + aside
        floats = float_slack(operator)
        # masses out of place do not come closer by discounting: every sweep's count
        slack_mass = np.minimum(lost + call.iterations * float(floats.max()) / grid.width + grid.atoms * _EPS, 1.0)
        slack_far = linear.upper(floats + table.law_errors + overshoot + unknown)
        lower, upper = (CategoricalReturns._trusted(grid, probs) for probs in laws)
        returns = StochasticBrackets(
            lower, upper, mean, mean_error, shift, shift, *return_ranges(model), slack_mass, slack_far
        )
        gap = np.asarray(upper.mean() - lower.mean()) + 2.0 * (shift + slack_far)
        zeros = np.zeros(model.n_states)
        certificate = Certificate(gap, "brackets-stochastic", gap, zeros, zeros, clipped)
        status = Status.STEADY if moved <= problem.tol else Status.SWEEPS_DONE
        if gap.max() <= problem.tol:  # both limits lie between the two laws
            status = Status.CONVERGED
        return Solution(
            returns=returns,
            status=Status.INTERRUPTED if call.interrupted else status,
            iterations=call.iterations,
            residual=moved,
            clipped_mass=float(clipped.max()),
            elapsed=call.elapsed,
            certificate=certificate,
            tol=problem.tol,
            solver="sweeps",
            reason="rounding down and up, valid at every sweep",
            model=model,
            method=self,
            bounds=gap,
        )

    def _rounded(
        self, problem: Problem, probs: FloatArray, upwards: bool, near: float, call: Call
    ) -> tuple[FloatArray, float]:
        """The law (S, m) after the sweeps, and the largest W1 size of the last of them."""
        operator, grid = problem.operator, problem.grid
        blocks = []
        for block in operator.law_blocks:
            points = grid.points[:, None] - np.append(problem.model.discount * grid.points, 0.0)
            cdf = block.law.cdf(points + near) if upwards else block.law.cdf_left(points + (grid.spacing - near))
            cdf[-1] = 1.0
            blocks.append((block, np.diff(cdf, axis=0, prepend=0.0)))
        following = np.empty_like(probs)
        total, moved = self._sweeps_needed(problem, power=1), math.inf
        call.enter(f"sweeping the {'upper' if upwards else 'lower'} law")
        with call.interruptible():
            for done in range(total):
                kernels.round_sweep(probs, operator.plan, upwards, near / grid.spacing, following)
                for block, matrix in blocks:
                    mixed = np.column_stack([block.continuing @ probs, block.ending])
                    following[block.sources] += mixed @ matrix.T
                following /= following.sum(axis=1, keepdims=True)  # rows need not sum to 1 exactly
                moved = float(np.abs(following - probs).max())
                probs, following = following, probs
                call.count()
                call.advance((done + 1) / total)
                if moved <= 4 * _EPS:
                    break
        last = float(np.abs(np.cumsum(probs - following, axis=1)).sum(axis=1).max()) * grid.spacing
        return probs, last if moved < math.inf else moved

    def _sweeps_needed(self, problem: Problem, power: int) -> int:
        """Until discount^(power * n) * (width / spacing)^power is 1e-6; undiscounted, 1 - 1 / horizon is the rate."""
        if self.sweeps is not None:
            return self.sweeps
        rate = min(problem.model.discount, 1.0 - 1.0 / max(problem.gain, 1.0))
        if rate <= 0.0:
            return 2
        needed = math.log(1e6 * (problem.grid.atoms - 1) ** power) / (-power * math.log(rate))
        return int(min(math.ceil(needed) + 2, _LONGEST))


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
    problem = Problem.of(model, grid, grid.atoms, call)
    needed = Brackets(grid=grid)._sweeps_needed(problem, power=2)
    method = Brackets(grid=grid, sweeps=min(needed, affordable))
    if upper is not None:
        return method._around(problem, upper, call)
    returns = method.solve(model, call).returns
    assert isinstance(returns, ConvexBrackets)
    return returns


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
    floats = grid.atoms * _EPS * np.abs(change).sum(axis=1) + np.abs(probs.sum(axis=1) - 1.0)
    own = excess + image.overshoot + floats * grid.width + float_slack(problem.operator) + unknown_mass(problem.model)
    own += problem.model.outcomes.law_errors
    return problem.certifier.linear.upper(own * (1.0 + (row_terms(problem.operator) + grid.atoms) * _EPS))


def _clipping_at_the_ends(problem: Problem) -> tuple[FloatArray, FloatArray]:
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


def _far_mass(problem: Problem, clipped: FloatArray, overshoot: FloatArray) -> tuple[float, FloatArray]:
    """h and (S,) bounds on the probability that clipping moves a return by more than h.

    The return is off by sum_t g^t e_t, e_t the overshoot of step t, of mass c at most and of mean o. If that is above h
    then some e_t is above h (1 - q) (q / g)^t, q = sqrt(g): by Markov's inequality with a probability of at most
    min(c, o q^t / (h (1 - q))). At discount 1 each step's clipping counts: (I - P)^{-1} c.
    """
    for block in problem.operator.law_blocks:
        if not all(map(math.isfinite, block.law.support)):  # 1 less a CDF is known up to rounding
            clipped = np.maximum(clipped, 2.0 * _EPS)
    g, worst, far = problem.model.discount, float(clipped.max()), float(overshoot.max())
    if worst == 0.0:
        return 0.0, np.zeros(problem.model.n_states)
    if g == 1.0 or g == 0.0:
        return 0.0, problem.certifier.linear.upper(clipped)
    h, q = 1e-6 * problem.grid.spacing, math.sqrt(g)
    steps = max(math.ceil(math.log(max(far / (h * (1.0 - q) * worst), 1.0)) / -math.log(q)), 0) if far > 0.0 else 0
    return h, np.full(problem.model.n_states, worst * (steps + 1.0 / (1.0 - q)))


def _resolution(problem: Problem) -> float:
    """A distance that rounding does not exceed: of positions, and of the values of a law on the integers."""
    grid = problem.grid
    size = max(abs(grid.low), abs(grid.high))  # of rewards twice as large outcomes leave the grid, which is counted
    laws = max((block.law.resolution(2.0 * size) for block in problem.operator.law_blocks), default=0.0)
    return float(1e-12 * grid.width + 48.0 * _EPS * size + laws)


@dataclass(frozen=True)
class MergeSlack:
    """What floating point does to the particles of one sweep, (S,) each.

    relative : of their masses; moved : how far they lie from where they should; expected : W1, of both together
    """

    relative: FloatArray
    moved: FloatArray
    expected: FloatArray


def _merge_slack(problem: Problem, plan: Plan, law_errors: FloatArray, reach: float) -> MergeSlack:
    """`reach` is the largest distance of a particle from the first atom, `law_errors` (S,) those of merged laws.

    A conditional mean is a quotient of two sums: the terms of one cell, of masses and of masses times positions.
    """
    grid, table, g = problem.grid, problem.model.outcomes, problem.model.discount
    collisions = min(1.0 / g, grid.atoms) + 2.0 if g > 0.0 else 2.0  # particles of one list that land in one cell
    per_group = np.diff(plan.successor_ptr) * np.diff(plan.read_ptr)
    going_on = np.diff(np.concatenate([[0], np.cumsum(per_group)])[plan.group_ptr])
    relative = (collisions * going_on + np.diff(plan.end_ptr) + 16.0) * _EPS + np.abs(row_sums(table) - 1.0)
    size = max(abs(grid.low), abs(grid.high)) + reach
    moved = 3.0 * relative * reach + 12.0 * _EPS * (size + expected_sizes(table)) + law_errors
    expected = relative * (reach + grid.width) + moved + table.law_errors + unknown_mass(problem.model)
    return MergeSlack(relative, moved, expected)


def _with_merged_laws(table: OutcomeTable, grid: Grid) -> tuple[OutcomeTable, FloatArray]:
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
