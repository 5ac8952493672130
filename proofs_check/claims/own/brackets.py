"""Brackets of the true laws in convex and in stochastic order; proofs in docs/brackets.md."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import distrl
from distrl._validation import FloatArray
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.own._shared import BINS, MILD_CASES, MILD_GRIDS
from proofs_check.exact import Exact
from proofs_check.families import on_grid, particle_laws, structured_models, with_particles

PLACE = 6


@claim(
    "brackets-convex",
    statement="Convex-order brackets hold the true stop-loss, CVaR and variance, clipped or not.",
    latex=r"C_L-c_L\le C_\eta\le C_U+c_U;\ CVaR(U)\le CVaR(\eta)\le CVaR(L)",
    source="own result: docs/brackets.md",
    evidence="derived",
    measured="stop-loss of reference laws against both ends; CVaR and variance as guards",
    bound="intervals of evaluate(Brackets(order='convex'))",
    family=on_grid(0, atoms=8, mild=True, states=2),
    structured=lambda: [*MILD_CASES[::3], *_later_clips()],
    attained=0.999,
    cost=10,
    used_by="Brackets",
)
def brackets_convex(case: Case) -> Iterator[Reading]:
    """Monotone operators, started above and below."""
    solution = distrl.evaluate(case.model, distrl.Brackets(grid=case.on, order="convex"), throw=False)
    values, weights, error = ex.true_laws(case, BINS)
    points = np.concatenate([case.on.points, case.on.points[:-1] + case.on.spacing / 3])
    stop_loss = solution.returns.interval("stop_loss", points)
    tail = solution.returns.interval("cvar", [0.1, 0.5])
    variance = solution.returns.interval("variance")
    ends, far = solution.returns.interval("quantile", [0.0, 1.0]), solution.returns.interval("cdf", [-1e17, 1e17])
    size = 1.0 + float(max(np.abs(v).max() for v in values))
    for x in range(case.states):
        truth = np.maximum(values[x][None, :] - points[:, None], 0.0) @ weights[x]
        floats = (len(values[x]) + 8) * float(np.finfo(np.float64).eps) * (size + np.abs(points))  # of this very sum
        yield Reading(truth, stop_loss[x, :, 1], error + floats)
        yield Reading(stop_loss[x, :, 0], truth, error + floats)
        for k, level in enumerate((Fraction(1, 10), Fraction(1, 2))):
            found = _tail_mean(values[x], weights[x], float(level))
            yield Reading(found, tail[x, k, 1], error / float(level) + 1e-9 * size, counts=False)
            yield Reading(tail[x, k, 0], found, error / float(level) + 1e-9 * size, counts=False)
        spread = float(weights[x] @ values[x] ** 2 - (weights[x] @ values[x]) ** 2)
        room = 4 * size * error + 1e-9 * size**2
        yield Reading(variance[x, 0], spread, room, counts=False)
        yield Reading(spread, variance[x, 1], room, counts=False)
        yield Reading(ends[x, 0, 0], float(values[x].min()), error, counts=False)
        yield Reading(float(values[x].max()), ends[x, 1, 1], error, counts=False)
        yield Reading(far[x, 0, 0], 0.0, counts=False)
        yield Reading(far[x, 0, 1], 0.0, counts=False)
        yield Reading(1.0, far[x, 1, 0], counts=False)


def _later_clips() -> list[Case]:
    """Nothing leaves the grid at first, and a prize far beyond it some steps later."""
    cases = []
    for steps, g in ((1, 0.5), (3, 0.8), (2, 0.95)):
        quiet = tuple((x, 1.0, x + 1, 0.0, False) for x in range(steps))
        draw = ((steps, 0.99, steps, 0.0, True), (steps, 0.01, steps, 1000.0, True))
        cases.append(Case((*quiet, *draw), g, (0.0, 1.0, 11)))
    return cases


def _tail_mean(values: FloatArray, weights: FloatArray, level: float) -> float:
    """Mean of the worst `level` of the mass."""
    before = np.cumsum(weights) - weights
    taken = np.clip(level - before, 0.0, weights)
    return float(taken @ values / taken.sum())


def _far_tails() -> list[Case]:
    """Ends with little mass far beyond the grid: how far counts."""
    return [
        Case(((0, 1.0 - p, 0, 0.25, True), (0, p, 0, far, True)), 0.0, (0.0, 1.0, 11))
        for p, far in ((1e-13, 1e15), (1e-13, -1e15), (5e-13, 1e13), (1e-12, 3.0))
    ]


def _laws_of_ends(case: Case) -> tuple[list[FloatArray], list[FloatArray], float]:
    """(values, weights) where every outcome ends: the outcomes themselves."""
    rows = [[row for row in case.rows if row[0] == x] for x in range(case.states)]
    return [np.array([r[3] for r in own]) for own in rows], [np.array([r[1] for r in own]) for own in rows], 0.0


@claim(
    "brackets-stochastic",
    statement="Stochastic-order brackets hold the integral of the true survival function over every cell.",
    latex=r"F_U\le F_\eta\le F_L",
    source="own result: docs/brackets.md",
    evidence="derived",
    assumes="a covering grid",
    measured="survival of reference laws integrated over cells, against both laws",
    bound="those of evaluate(Brackets(order='stochastic'))",
    family=MILD_GRIDS,
    structured=lambda: [*MILD_CASES[::3], *_far_tails()],
    attained=0.999,
    cost=10,
    used_by="Brackets",
)
def brackets_stochastic(case: Case) -> Iterator[Reading]:
    """Rounding down stays below, rounding up above, at every sweep; what little leaves the grid is counted."""
    ending = all(row[4] for row in case.rows)
    if Exact(case).clips() and not ending:
        return
    try:
        solution = distrl.evaluate(case.model, distrl.Brackets(grid=case.on, order="stochastic"), throw=False)
    except ValueError:  # the grid clips more than a far tail
        return
    returns = solution.returns
    values, weights, error = _laws_of_ends(case) if ending else ex.true_laws(case, BINS)
    room = float(np.max(returns.slack_lower + returns.slack_upper + returns.slack_far))
    sides = [np.asarray(law.probs) for law in (returns.lower, returns.upper)]
    points = case.on.points

    def cells(at: FloatArray, mass: FloatArray) -> FloatArray:
        """int of the survival function over each cell: differences of stop-loss transforms."""
        stop_loss = np.maximum(at[None, :] - points[:, None], 0.0) @ mass
        return np.asarray(stop_loss[:-1] - stop_loss[1:])

    for x in range(case.states):
        assert solution.certificate is not None
        for side in sides:  # W1 is at least the difference of the means
            gap = abs(float(values[x] @ weights[x]) - float(points @ side[x]))
            yield Reading(gap, float(solution.certificate.w1[x]), error + 1e-12 * case.on.width, counts=False)
        truth = cells(values[x], weights[x])
        yield Reading(truth, cells(points, sides[1][x]), 2 * error + room)
        yield Reading(cells(points, sides[0][x]), truth, 2 * error + room)


@claim(
    "cdf-from-stop-loss",
    statement="Difference quotients of the stop-loss transform enclose the CDF, for every width h.",
    latex=r"1+\frac{C(k)-C(k-h)}h\le F(k^-)\le F(k)\le1+\frac{C(k+h)-C(k)}h",
    source="own result: docs/brackets.md",
    evidence="derived",
    measured="the CDF and the lower quotient, exact",
    bound="the upper quotient, and the CDF",
    family=particle_laws(1, 3),
    searched="h from 1/8 to 2",
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
    used_by="ConvexBrackets.interval('cdf')",
)
def cdf_from_stop_loss(case: Case) -> Iterator[Reading]:
    """C is convex with slopes F - 1."""
    for law in Exact(case).laws(0):
        for k in law:
            below = sum((mass for v, mass in law.items() if v < k), Fraction(0))
            at = below + law[k]
            for h in (Fraction(1, 8), Fraction(2)):
                here = ex.stop_loss(law, k)
                yield Reading(at, 1 + (ex.stop_loss(law, k + h) - here) / h)
                yield Reading(1 + (here - ex.stop_loss(law, k - h)) / h, below)


@claim(
    "cvar-by-stop-loss",
    statement="Lower-tail CVaR is max_k k - E(k - G)+ / a, so it reverses the convex order.",
    latex=r"CVaR_a=\max_k\{k-E(k-G)^+/a\}",
    source="Rockafellar and Uryasev 2000",
    evidence="recalled",
    measured="mean of the worst mass a, exact; the library's `cvar`",
    bound="the maximum over the law's values (equality)",
    family=particle_laws(1, 3),
    searched="levels 1/10, 1/2, 1",
    structured=lambda: with_particles(structured_models((0.5,))),
    used_by="Returns.cvar, ConvexBrackets",
)
def cvar_by_stop_loss(case: Case) -> Iterator[Reading]:
    """The maximum is at the quantile."""
    shift = Fraction(1000)  # so that a ratio means something
    for x, law in enumerate(Exact(case).laws(0)):
        for level in (Fraction(1, 10), Fraction(1, 2), Fraction(1)):
            put = [k - (ex.stop_loss(law, k) - ex.mean(law) + k) / level for k in law]
            yield Reading(ex.cvar(law, level) + shift, max(put) + shift, equal=True)
            found = float(case.law(0)[x].cvar(float(level)))
            yield same(found, float(ex.cvar(law, level)), 1e-8 * (1.0 + max(abs(float(v)) for v in law)))
