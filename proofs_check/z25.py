"""Claims on estimation: Zhang et al. 2025 (2309.17262), Azar et al. 2013, and the delta method written out here."""

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
from hypothesis import strategies as st
from scipy import stats

import distrl
from distrl import theory
from distrl._validation import FloatArray
from distrl.models.generative import GenerativeModel
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.exact import Exact
from proofs_check.families import (
    MILD,
    models,
    numbered,
    numbers,
    on_grid,
    particle_laws,
    structured_models,
    with_grids,
    with_particles,
)

SOURCE = "Zhang et al. 2025 (2309.17262)"
DERIVED = "derived: docs/proofs.md"
COINS = structured_models((0.7,))


@claim(
    "mean-below-w1",
    statement="Means differ by at most W1: a lower bound for means is one for laws.",
    latex=r"|E\mu-E\nu|\le W_1(\mu,\nu)",
    source="Kantorovich and Rubinstein",
    evidence="derived",
    measured="|difference of means|, exact",
    bound="W1, exact",
    searched="laws of up to 3 values",
    family=particle_laws(2, 3),
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """The identity is 1-Lipschitz."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(abs(ex.mean(mu) - ex.mean(nu)), ex.w1(mu, nu))


def _tilted(case: Case) -> Case:
    """Each state's first outcome made more likely by the share `shift` of the others."""
    shift, rows, seen = case.numbers["shift"], [], set[int]()
    for state, probability, *rest in case.rows:
        first = state not in seen
        seen.add(state)
        rows.append((state, (1.0 - shift) * probability + (shift if first else 0.0), *rest))
    return Case(tuple(rows), case.discount)


def _variation(case: Case, other: Case) -> float:
    """Largest total variation between the outcome laws of a state."""
    gaps = np.zeros(case.states)
    for row, moved in zip(case.rows, other.rows, strict=True):
        gaps[row[0]] += abs(row[1] - moved[1]) / 2.0
    return float(gaps.max())


@st.composite
def _tilts(draw: st.DrawFn) -> Case:
    case = draw(models(states=2, discounts=MILD))
    return Case(case.rows, case.discount, numbers={"shift": draw(st.sampled_from([0.01, 0.1, 0.5]))})


@claim(
    "simulation-w1",
    statement="Models whose outcome laws differ by d in total variation have returns within d * width / (1 - g) in W1.",
    latex=r"\bar W_1(\eta_P,\eta_{P'})\le\frac{\sup_xTV(P,P')\,w}{1-\gamma}",
    source=DERIVED,
    evidence="derived",
    measured="sup-W1 between the reference laws of the two models",
    bound="theory.simulation_w1 with the covering interval's width",
    searched="processes of up to 2 states, outcomes tilted by .01, .1, .5",
    family=_tilts(),
    structured=lambda: [
        Case(case.rows, case.discount, numbers={"shift": shift})
        for case in [*structured_models((0.5,)), Case(((0, 0.5, 0, 0.0, True), (0, 0.5, 0, 1.0, True)), 0.0)]
        for shift in (0.01, 0.1)
    ],
    cost=8,
    used_by="theory.simulation_w1",
)
def _(case: Case) -> Iterator[Reading]:
    """The operators differ by d * width on laws of that width, and one of them contracts."""
    other = _tilted(case)
    grid = distrl.Grid.covering(case.model, 2)
    first, second = ex.true_laws(case, 1500), ex.true_laws(other, 1500)
    bound = float(theory.simulation_w1(grid.width, case.discount, _variation(case, other)))
    for x in range(case.states):
        gap = ex.w1_floats((first[0][x], first[1][x]), (second[0][x], second[1][x]))
        yield Reading(gap, bound, first[2] + second[2])


@claim(
    "near-absorbing-difference",
    statement="Values of the near-absorbing pair differ by g shift / ((1 - g q)(1 - g q')), of order (1 - g)^-2.",
    latex=r"|V-V'|=\frac{\gamma|q-q'|}{(1-\gamma q)(1-\gamma q')}",
    source="Azar et al. 2013, the family in its smallest form; derived",
    evidence="derived",
    measured="difference of the values by Moments, and W1 of the fixed points above it",
    bound="theory.mean_difference_near_absorbing (equality)",
    searched="discounts .5 to .99, q from 0 to .95",
    structured=lambda: numbered(g=[0.5, 0.9, 0.99], q=[0.0, 0.5, 0.9, 0.95], shift=[0.001, 0.04]),
    family=numbers(g=st.floats(0.1, 0.99), q=st.floats(0.0, 0.9), shift=st.floats(0.001, 0.09)),
    used_by="theory.mean_difference_near_absorbing",
)
def _(case: Case) -> Iterator[Reading]:
    """V = 1 / (1 - g q)."""
    g, q, shift = case.numbers["g"], case.numbers["q"], case.numbers["shift"]
    values = []
    for stay in (q, q + shift):
        model = distrl.MRP.from_outcomes([(0, stay, 0, 1.0, False), (0, 1.0 - stay, 0, 1.0, True)], g)
        values.append(float(distrl.evaluate(model, distrl.Moments(1)).values[0]))
    expected = float(theory.mean_difference_near_absorbing(g, q, shift))
    yield Reading(abs(values[1] - values[0]), expected, 1e-12 * max(values), equal=True)


@claim(
    "generative-frequencies",
    statement="The empirical model's probabilities are unbiased: outcome frequencies of independent draws.",
    latex=r"E\hat P=P",
    source="the definition of a generative model; Azar et al. 2013",
    evidence="derived",
    measured="continuation matrix and mean rewards of a model of 20000 samples a state",
    bound="the true ones, within a Hoeffding radius (equality)",
    searched="structured processes, all states together",
    structured=lambda: structured_models((0.9,))[:7],
    statistical=True,
    used_by="GenerativeModel, estimate",
)
def _(case: Case) -> Iterator[Reading]:
    """A multinomial draw for every state."""
    count = 20_000
    empirical = GenerativeModel(case.model).sample(count, 61)
    size = case.states**2
    radius = math.sqrt(math.log(2.0 / share_of_alarm(size + case.states)) / (2.0 * count))
    yield Reading(empirical.continuation.toarray(), case.model.continuation.toarray(), radius, equal=True)
    rewards = [row[3] for row in case.rows]
    spread = radius * (max(rewards) - min(rewards)) + 1e-12
    yield Reading(empirical.expected_rewards, case.model.expected_rewards, spread, equal=True, counts=False)


# -- the delta method ------------------------------------------------------------------------------------------------


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
    operator = distrl.operators.CategoricalBellman(case.model, case.on)
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
    tilted = [_tilted(Case(case.rows, case.discount, numbers={"shift": sign * step})) for sign in (1.0, -1.0)]
    if any(row[1] < 0.0 for other in tilted for row in other.rows):
        return
    for k, other in enumerate(tilted):
        totals[k] = _stop_loss(Case(other.rows, case.discount, case.grid))[0]
    numerical = (totals[0] - totals[1]) / (2.0 * step)
    direction = [(moved[1] - row[1]) / step for row, moved in zip(case.rows, tilted[0].rows, strict=True)]
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
    searched="processes of up to 2 states, any grid of up to 6 atoms, all states tilted",
    family=on_grid(0, states=2, discounts=MILD),
    structured=_derivative_cases,
    cost=8,
)
def _(case: Case) -> Iterator[Reading]:
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
def _(case: Case) -> Iterator[Reading]:
    """b depends on the outcome."""
    return _derivative(case, False)


@cache
def _replicated(index: int, samples: int) -> tuple[Case, FloatArray, float, float]:
    """(case, psi of 300 empirical models, psi, its delta variance with one sample)."""
    case = with_grids([COINS[index]], (12,))[0]
    model, rng = GenerativeModel(case.model), np.random.default_rng([index, samples])
    weights = np.array([row[1] for row in case.rows])
    sources = np.array([row[0] for row in case.rows])
    h = np.array(_influences(case, True))
    means = np.bincount(sources, weights=weights * h)
    variance = float((weights * (h - means[sources]) ** 2).sum())
    found = []
    for _ in range(300):
        empirical = model.sample(samples, rng)
        solution = distrl.evaluate(empirical, distrl.CategoricalFixedPoint(grid=case.on))
        cdf = np.cumsum(np.asarray(solution.returns.probs)[0])
        found.append(case.on.spacing * (1.0 - cdf[case.on.atoms // 2 : -1]).sum())
    return case, np.array(found), _stop_loss(case)[0], variance


def _estimation_cases() -> list[Case]:
    return [Case(numbers={"process": k, "samples": 2000}) for k in (1, 6)]


@claim(
    "plug-in-variance",
    statement="N times the plug-in's variance is the sum over states of the variance of the influences.",
    latex=r"N\,\mathrm{Var}\,\hat\psi\to\sum_x\mathrm{Var}_oh_x(o)",
    source=f"{SOURCE} for asymptotic normality, in summary; the formula derived",
    evidence="derived",
    measured="variance of 300 plug-in estimates at N = 2000",
    bound="the delta variance, within a chi-squared interval and 5% for N < inf (equality)",
    searched="a stop-loss of two processes",
    structured=_estimation_cases,
    statistical=True,
    used_by="estimate(...).interval(method='delta')",
)
def _(case: Case) -> Iterator[Reading]:
    """The delta method."""
    samples = int(case.numbers["samples"])
    _, found, truth, variance = _replicated(int(case.numbers["process"]), samples)
    level, n = share_of_alarm(1), len(found)
    low, high = stats.chi2.isf([1 - level / 2, level / 2], n) / n
    expected = variance / samples
    measured = float(((found - truth) ** 2).mean())
    yield Reading(measured, expected, expected * (max(high - 1.0, 1.0 - low) + 0.05), equal=True)


@claim(
    "plug-in-normal",
    statement="The plug-in's error, divided by its delta deviation, is standard normal in the limit.",
    latex=r"\sqrt N(\hat\psi-\psi)/\sigma\Rightarrow N(0,1)",
    source=f"{SOURCE}, in summary",
    evidence="summary",
    measured="Kolmogorov distance of 300 standardised errors to the normal law, N = 2000",
    bound="a DKW radius and .05 for N < inf",
    searched="a stop-loss of two processes",
    structured=_estimation_cases,
    statistical=True,
)
def _(case: Case) -> Iterator[Reading]:
    """The central limit theorem and the delta method."""
    samples = int(case.numbers["samples"])
    _, found, truth, variance = _replicated(int(case.numbers["process"]), samples)
    scores = np.sort((found - truth) / math.sqrt(variance / samples))
    cdf, n = stats.norm.cdf(scores), len(scores)
    distance = max((np.arange(1, n + 1) / n - cdf).max(), (cdf - np.arange(n) / n).max())
    yield Reading(float(distance), theory.dkw_halfwidth(n, 1.0 - share_of_alarm(1)) + 0.05)


@claim(
    "plug-in-coverage",
    statement="Intervals psi_hat +- 1.96 delta deviations cover psi in about 95% of cases.",
    latex=r"P(|\hat\psi-\psi|\le1.96\,\sigma/\sqrt N)\to.95",
    source=f"{SOURCE}, in summary",
    evidence="summary",
    measured="share of 300 intervals that miss",
    bound=".05, with a binomial radius and .02 for N < inf",
    searched="a stop-loss of two processes, N = 2000",
    structured=_estimation_cases,
    statistical=True,
)
def _(case: Case) -> Iterator[Reading]:
    """From `plug-in-normal`."""
    samples = int(case.numbers["samples"])
    _, found, truth, variance = _replicated(int(case.numbers["process"]), samples)
    missed = np.abs(found - truth) > stats.norm.isf(0.025) * math.sqrt(variance / samples)
    radius = stats.binom.isf(share_of_alarm(1), len(found), 0.05) / len(found) - 0.05
    yield Reading(float(missed.mean()), 0.05, radius + 0.02)


@cache
def _w1_errors(samples: int) -> FloatArray:
    """sup-W1 between the fixed points of 60 empirical models and of the true one."""
    case = with_grids([structured_models((0.8,))[6]], (40,))[0]
    truth = np.asarray(distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs)
    model, rng, found = GenerativeModel(case.model), np.random.default_rng([77, samples]), []
    for _ in range(60):
        fixed = distrl.evaluate(model.sample(samples, rng), distrl.CategoricalFixedPoint(grid=case.on)).returns.probs
        gaps = np.cumsum(np.asarray(fixed) - truth, axis=1)[:, :-1]
        found.append(np.abs(gaps).sum(axis=1).max() * case.on.spacing)
    return np.array(found)


def _rate(power: float) -> Iterator[Reading]:
    few, many, factor = np.log(_w1_errors(100)), np.log(_w1_errors(6400)), 64.0
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
    measured="log of the ratio of errors at N = 6400 and 100, plus 10",
    bound="-log(64) / 2 plus 10, within a t interval and .1",
    searched="one process, 60 empirical models each",
    structured=lambda: [Case(numbers={"N": 6400})],
    statistical=True,
)
def _(case: Case) -> Iterator[Reading]:
    """W1 is the integral of |CDF errors|, each of order N^(-1/2)."""
    return _rate(0.5)


@claim(
    "plug-in-rate-faster",
    statement="The plug-in's sup-W1 error falls like 1 / N.",
    latex=r"\bar W_1(\hat\eta,\eta)=O(N^{-1})",
    source="the lower bound N^(-1/2) left out",
    evidence="derived",
    expected="refuted",
    measured="log of the ratio of errors at N = 6400 and 100, plus 10",
    bound="-log(64) plus 10, within a t interval and .1",
    searched="one process, 60 empirical models each",
    structured=lambda: [Case(numbers={"N": 6400})],
    statistical=True,
)
def _(case: Case) -> Iterator[Reading]:
    """The mean alone fluctuates by N^(-1/2)."""
    return _rate(1.0)


def _library_coverage(method: str, room: float) -> Iterator[Reading]:
    """Share of 80 intervals of `estimate` that miss the truth in some state: mean, and CVaR of the worst fifth."""
    case = with_grids([structured_models((0.7,))[6]], (31,))[0]
    solver = distrl.CategoricalFixedPoint(grid=case.on)
    truth = distrl.evaluate(case.model, solver).returns
    targets = {"mean": np.asarray(truth.mean()), "cvar": np.asarray(truth.cvar(0.2))}
    rng, runs, missed = np.random.default_rng(91), 80, dict.fromkeys(targets, 0)
    for _ in range(runs):
        found = distrl.estimate(case.model, solver, samples_per_state=600, rng=rng)
        for name, target in targets.items():
            ends = found.interval(name, 0.2 if name == "cvar" else None, level=0.95, method=method)
            missed[name] += bool((target[0] < ends[0, 0]) or (target[0] > ends[0, 1]))
    radius = stats.binom.isf(share_of_alarm(len(targets)), runs, 0.05 + room) / runs - 0.05
    for count in missed.values():
        yield Reading(count / runs, 0.05, radius)


@claim(
    "estimate-delta-coverage",
    statement="Delta intervals of `estimate` at level .95 cover about that often.",
    latex=r"P(\psi\in\hat I_{.95})\to.95",
    source=f"{SOURCE} for asymptotic normality, in summary; the interval derived",
    evidence="derived",
    measured="share of 80 intervals that miss the mean, and the CVaR, of the first state",
    bound=".05, with a binomial radius and .03 for N = 600 < inf",
    searched="one process",
    structured=lambda: [Case(numbers={"N": 600})],
    statistical=True,
    used_by="Estimate.interval(method='delta')",
)
def _(case: Case) -> Iterator[Reading]:
    """`plug-in-normal`, with an estimated deviation."""
    return _library_coverage("delta", 0.03)


@claim(
    "estimate-finite-sample-coverage",
    statement="Finite-sample intervals of `estimate` at level .95 miss with probability .05 at most, at every N.",
    latex=r"P(\psi\notin\hat I_{.95})\le.05",
    source="derived: docs/estimating.md",
    evidence="derived",
    measured="share of 80 intervals that miss the mean, and the CVaR, of the first state",
    bound=".05, with a binomial radius",
    searched="one process",
    structured=lambda: [Case(numbers={"N": 600})],
    statistical=True,
    used_by="Estimate.interval(method='finite-sample')",
)
def _(case: Case) -> Iterator[Reading]:
    """Concentration of the empirical operator."""
    return _library_coverage("finite-sample", 0.0)
