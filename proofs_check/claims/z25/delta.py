"""The delta method, written out: influences of outcome probabilities on a functional."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

import distrl
from distrl._validation import FloatArray
from distrl.models.generative import GenerativeModel
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.claims.z25 import DERIVED, SOURCE
from proofs_check.families import on_grid, structured_models, tilted, with_grids
from proofs_check.faults import given

PLACE = 2
COINS = structured_models((0.7,))


def _stop_loss(case: Case) -> tuple[float, FloatArray]:
    """psi = stop-loss of state 0's fixed point at the middle atom, and its gradient on the first m - 1 CDF values."""
    fixed = np.asarray(distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs)
    m, middle, s = case.on.atoms, case.on.atoms // 2, case.on.spacing
    gradient = np.zeros((case.states, m - 1))
    gradient[0, middle:] = -s
    cdf = np.cumsum(fixed, axis=1)[:, :-1]
    return float(s * (1.0 - cdf[0, middle:]).sum()), gradient


def _influences(case: Case, with_offset: bool) -> list[float]:
    """h(o) = <lambda(x), B^r F(y) + b^r> for each outcome row; without b if told so."""
    operator = case.operator
    matrix = operator.matrix().toarray()
    _, gradient = _stop_loss(case)
    adjoint = np.linalg.solve(np.eye(len(matrix)) - matrix.T, gradient.ravel()).reshape(gradient.shape)
    fixed = np.asarray(distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs)
    points, found = case.on.points, []
    for x, _, y, r, terminal in case.rows:
        targets, masses = (np.array([r]), np.ones(1)) if terminal else (r + case.discount * points, fixed[y])
        place = (np.clip(targets, points[0], points[-1]) - points[0]) / case.on.spacing
        # CDF at atom i of a split Dirac at `place`: 1 - (place - i) clipped to [0, 1]
        cdfs = np.clip(1.0 - (place[None, :] - np.arange(len(points))[:, None]), 0.0, 1.0)[:-1]
        image = cdfs @ masses
        if not with_offset:
            image = image - cdfs[:, -1]  # b: the image of no mass below the last atom
        found.append(float(adjoint[x] @ image))
    return found


def _derivative(case: Case, with_offset: bool) -> Iterator[Reading]:
    if case.discount < 1e-6 or case.on.atoms < 3:
        return
    h = _influences(case, with_offset)
    step, totals = 1e-4, [0.0, 0.0]
    sides = [tilted(Case(case.rows, case.discount, numbers={"shift": sign * step})) for sign in (1.0, -1.0)]
    if any(row[1] < 0.0 for other in sides for row in other.rows):
        return
    for k, other in enumerate(sides):
        totals[k] = _stop_loss(Case(other.rows, case.discount, case.grid))[0]
    numerical = (totals[0] - totals[1]) / (2.0 * step)
    direction = [(moved[1] - row[1]) / step for row, moved in zip(case.rows, sides[0].rows, strict=True)]
    exact = float(np.dot(direction, h))
    size = case.on.width / (1.0 - case.discount) ** 3
    # truncation of the central difference: step^2 times a third derivative, of order size
    yield Reading(exact + 10.0 * size, numerical + 10.0 * size, 100.0 * step**2 * size + 1e-7 * size, equal=True)


def _derivative_cases() -> list[Case]:
    return [case for case in with_grids(COINS, (3, 8)) if len(case.rows) > case.states]


@claim(
    "delta-influence",
    statement="A functional of the fixed point moves with the outcome probabilities by influences <lambda, B F + b>.",
    latex=r"d\psi=\sum_{x,o}dP(o|x)\,\langle\lambda(x),B^rF(y)+b^r\rangle",
    source=DERIVED,
    evidence="derived",
    measured="derivative of a stop-loss by the adjoint",
    bound="central difference of the solved functional (equality)",
    family=on_grid(0, states=2, mild=True),
    searched="all states tilted",
    structured=_derivative_cases,
    cost=8,
)
def delta_influence(case: Case) -> Iterator[Reading]:
    """Differentiate F = T_P F + b_P."""
    return _derivative(case, True)


@claim(
    "delta-influence-cut",
    statement="The influences may leave out the last atom's term b.",
    latex=r"d\psi=\sum_{x,o}dP(o|x)\,\langle\lambda(x),B^rF(y)\rangle",
    source="a term of `delta-influence` left out",
    evidence="numerical",
    expected="refuted",
    measured="derivative of a stop-loss by the adjoint, without b",
    bound="central difference of the solved functional (equality)",
    searched="structured processes",
    structured=_derivative_cases,
)
def delta_influence_cut(case: Case) -> Iterator[Reading]:
    """b depends on the outcome."""
    return _derivative(case, False)


def _w1_errors(samples: int, chance: Chance) -> FloatArray:
    """sup-W1 between the fixed points of empirical models, 120 or more, and of the true one."""
    case = with_grids([structured_models((0.8,))[6]], (40,))[0]
    truth = np.asarray(distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs)
    model, rng, found = GenerativeModel(case.model), chance.rng(samples), []
    for _ in range(chance.of(120, 480, 1200)):
        fixed = distrl.evaluate(model.sample(samples, rng), distrl.CategoricalFixedPoint(grid=case.on)).returns.probs
        gaps = np.cumsum(np.asarray(fixed) - truth, axis=1)[:, :-1]
        found.append(np.abs(gaps).sum(axis=1).max() * case.on.spacing)
    return np.array(found)


def _rate(power: float, chance: Chance) -> Iterator[Reading]:
    few, many, factor = np.log(_w1_errors(101, chance)), np.log(_w1_errors(6400, chance)), 6400.0 / 101.0
    n = len(few)
    deviation = math.sqrt((few.var(ddof=1) + many.var(ddof=1)) / n)
    radius = stats.t.isf(share_of_alarm(2), n - 1) * deviation
    yield Reading(float(many.mean() - few.mean()) + 10.0, -power * math.log(factor) + 10.0, radius + 0.1)


@claim(
    "plug-in-rate",
    statement="The plug-in's sup-W1 error falls like N^(-1/2) with the samples a state.",
    latex=r"\bar W_1(\hat\eta,\eta)=O(N^{-1/2})",
    source=f"{SOURCE} and Rowland et al. 2024, in summary",
    evidence="summary",
    measured="log of the ratio of errors at N = 6400 and 101, plus 10",
    bound="-log(6400 / 101) / 2 plus 10, within a t interval and .1",
    searched="one process, 120, 480 or 1200 empirical models each",
    structured=lambda: [Case(numbers={"N": 6400})],
    statistical=True,
    plants=(
        Plant(
            "rate",
            "of N samples about N^{} are drawn",
            Sizes(0.5, 0.75, 0.8),
            lambda power: given(
                GenerativeModel, "sample", lambda self, n, *rest: (self, 2 * round(n**power / 2) + 1, *rest)
            )(),
        ),
    ),
)
def plug_in_rate(case: Case, chance: Chance) -> Iterator[Reading]:
    """W1 is the integral of |CDF errors|, each of order N^(-1/2)."""
    return _rate(0.5, chance)


@claim(
    "plug-in-rate-faster",
    statement="The plug-in's sup-W1 error falls like 1 / N.",
    latex=r"\bar W_1(\hat\eta,\eta)=O(N^{-1})",
    source="the lower bound N^(-1/2) left out",
    evidence="derived",
    expected="refuted",
    measured="log of the ratio of errors at N = 6400 and 101, plus 10",
    bound="-log(6400 / 101) plus 10, within a t interval and .1",
    searched="one process, 120, 480 or 1200 empirical models each",
    structured=lambda: [Case(numbers={"N": 6400})],
    statistical=True,
)
def plug_in_rate_faster(case: Case, chance: Chance) -> Iterator[Reading]:
    """The mean alone fluctuates by N^(-1/2)."""
    return _rate(1.0, chance)
