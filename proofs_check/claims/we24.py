"""Claims on mean embeddings: Wenliang et al. 2024, "Distributional Bellman Operators over Mean Embeddings"."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl._validation import FloatArray
from distrl.operators.sketch import SketchBellman
from distrl.returns.sketch import Features, Gaussians, Hats, Indicators, Sigmoids, SketchReturns
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.exact import Exact, true_laws
from proofs_check.families import Family, on_grid, structured_models, with_laws, with_particles

TITLE = "Wenliang et al. 2024: mean embeddings"
PLACE = 6.5
SOURCE = "Wenliang et al. 2024"
SMOOTH = (Sigmoids(1.0), Sigmoids(2.0), Gaussians(0.8))

_NEAR = Fraction(1, 10**9)  # of a spacing: `Indicators` take a value so near below an anchor for it


def _cases() -> list[Case]:
    return with_laws(structured_models(), pairs=((0, -1),))


def _operator(case: Case, features: Features) -> SketchBellman:
    return SketchBellman(case.model, features, case.on)


@claim(
    "sketch-hats-are-categorical",
    statement="With hat features at the atoms a sketch Bellman application is one of categorical dynamic programming.",
    latex=r"\mathcal T_\phi p=\Pi T p",
    source=f"{SOURCE}, section 3; derived here",
    evidence="derived",
    measured="SketchBellman of the masses",
    bound="Pi T over the rationals (equality)",
    family=on_grid(1),
    structured=_cases,
    used_by="SketchBellman",
)
def sketch_hats_are_categorical(case: Case) -> Reading:
    """Hats are 1 at their own anchor and 0 at the others: signed masses are the masses, and sketching projects."""
    exact = Exact(case)
    found = _operator(case, Hats())(case.weights[0])
    return Reading(found, exact.pmf(exact.image(exact.laws(0))), 16 * rounding.slack_of(case), equal=True)


def _floor(exact: Exact, law: dict[Fraction, Fraction]) -> tuple[FloatArray, float]:
    """Survival at the anchors of a law rounded down to them, and the mass that float64 may put a cell away."""
    atoms, h = exact.atoms, exact.spacing
    masses, doubtful = np.zeros(len(atoms)), 0.0
    for value, mass in law.items():
        place = (min(max(value, atoms[0]), atoms[-1]) - atoms[0]) / h
        index = int(place + _NEAR)
        if abs(place + _NEAR - round(place + _NEAR)) < _NEAR / 2:
            doubtful += float(mass)
        masses[min(index, len(atoms) - 1)] += float(mass)
    return np.cumsum(masses[::-1])[::-1], doubtful


@claim(
    "sketch-indicators-round-down",
    statement="With indicator features a sketch Bellman application rounds the target's law down to the atoms.",
    latex=r"\mathcal T_\phi U(x)_i=P(\lfloor r+\gamma G(y)\rfloor\ge z_i)",
    source=f"{SOURCE}, section 3; derived here",
    evidence="derived",
    assumes="values within 1e-9 of a spacing below an atom count as it",
    measured="SketchBellman of the survival function",
    bound="that of the law over the rationals, rounded down (equality)",
    family=on_grid(1),
    structured=_cases,
    used_by="SketchBellman",
)
def sketch_indicators_round_down(case: Case) -> Iterator[Reading]:
    """Indicators at the atoms are a basis of laws on them, and that of a value is that of the atom below it."""
    exact = Exact(case)
    survival = np.cumsum(case.weights[0][:, ::-1], axis=1)[:, ::-1]
    found = _operator(case, Indicators())(survival)
    for row, law in zip(found, exact.bellman(exact.laws(0)), strict=True):
        expected, doubtful = _floor(exact, law)
        yield Reading(row, expected, 16 * rounding.slack_of(case) + doubtful, equal=True)


@claim(
    "sketch-indicators-are-categorical",
    statement="With indicator features a sketch Bellman application is one of categorical dynamic programming.",
    latex=r"\mathcal T_\phi U=\Pi T p",
    source="`sketch-hats-are-categorical` with the other basis of laws on the atoms",
    evidence="derived",
    expected="refuted",
    measured="SketchBellman of the survival function",
    bound="the survival function of Pi T over the rationals (equality)",
    family=on_grid(1),
    structured=_cases,
)
def sketch_indicators_are_categorical(case: Case) -> Reading:
    """A target between two atoms is split by hats and rounded down by indicators."""
    exact = Exact(case)
    survival = np.cumsum(case.weights[0][:, ::-1], axis=1)[:, ::-1]
    image = exact.pmf(exact.image(exact.laws(0)))
    expected = np.cumsum(image[:, ::-1], axis=1)[:, ::-1]
    return Reading(_operator(case, Indicators())(survival), expected, 1e-6, equal=True)


def _defect(operator: SketchBellman, values: FloatArray, rewards: set[float]) -> float:
    """sup |phi(r + g z) - B_r phi(z)| over `rewards` and the returns z in `values`, in the largest entry."""
    features, grid, g = operator.features, operator.grid, operator.model.discount
    worst = 0.0
    for reward in rewards:
        after = features(reward + g * values, grid)
        off = np.abs(after - features(values, grid) @ operator.coefficients(reward).T)
        worst = max(worst, float(off.max()))
    return worst


def _rewards(case: Case) -> set[float]:
    return {row[3] for row in case.rows if not row[4]}


@claim(
    "sketch-one-step",
    statement="A sketch Bellman application misses the embedding of the true target by the regression's error at most.",
    latex=r"\|\phi(T\eta)(x)-\mathcal T_\phi\phi(\eta)(x)\|\le\sup_{r,z}\|\phi(r+\gamma z)-B_r\phi(z)\|",
    source=f"{SOURCE}, section 4",
    evidence="recalled",
    assumes="laws within the anchors' range; the norm here is the largest entry",
    measured="largest entry of the embedding of T eta less the operator's image of eta's embedding",
    bound="the regression's largest error over the rewards and the values of eta",
    family=on_grid(1, particles=4),
    structured=lambda: [
        Case(c.rows, c.discount, (-9.0, 9.0, 7), c.weights[:1], c.values[:1])
        for c in with_particles(structured_models())
    ],
    used_by="SketchBellman",
)
def sketch_one_step(case: Case) -> Iterator[Reading]:
    """Both are averages over outcomes and values, of phi(r + g z) and of B_r phi(z)."""
    grid, g = case.on, case.discount
    values, weights = np.clip(case.values[0], grid.low, grid.high), case.weights[0]
    for features in SMOOTH:
        operator = _operator(case, features)
        before = np.einsum("sj,sji->si", weights, features(values, grid))
        target = np.zeros_like(before)
        for state, probability, successor, reward, terminal in case.rows:
            moved = np.full_like(values[successor], reward) if terminal or g == 0.0 else reward + g * values[successor]
            target[state] += probability * weights[successor] @ features(moved, grid)
        size = 1.0 + sum(float(np.abs(operator.coefficients(r)).sum()) for r in _rewards(case))
        bound = _defect(operator, values.ravel(), _rewards(case)) if g > 0.0 else 0.0
        slack = 1e-11 * size * len(case.rows)
        yield Reading(float(np.abs(target - operator(before)).max()), bound, slack)


def _spread(case: Case, operator: SketchBellman) -> FloatArray:
    """(S, S) K(x, y) = sum over outcomes P |B_r|, |B| the largest column sum: what an error can become in a step."""
    matrix = np.zeros((case.states, case.states))
    for state, probability, successor, reward, terminal in case.rows:
        if not terminal and case.discount > 0.0:
            matrix[state, successor] += probability * np.abs(operator.coefficients(reward)).sum(axis=0).max()
    return matrix


def _ending() -> list[Case]:
    """Processes of which every step may be the last, so that the series converges: |B_r| is about 1."""
    found = []
    for case in structured_models((0.5, 0.9)):
        rows = []
        for state, probability, successor, reward, terminal in case.rows:
            rows += [
                (state, 0.6 * probability, successor, reward, terminal),
                (state, 0.4 * probability, 0, reward, True),
            ]
        ends = [row[3] / (1.0 - case.discount) for row in rows] + [row[3] for row in rows]
        found += [Case(tuple(rows), case.discount, (min(ends) - 0.5, max(ends) + 0.5, atoms)) for atoms in (9, 33)]
    return found


@claim(
    "sketch-accumulated-error",
    statement="Where the series of the coefficients' norms converges, it bounds the error of the fixed point's "
    "embeddings, applied to the regression's error.",
    latex=r"\|U^*-\phi(\eta)\|_1\le(I-K)^{-1}\varepsilon,\quad K(x,y)=\sum P\,\|B_r\|_1",
    source=f"after {SOURCE}, section 4, state by state; derived here",
    evidence="derived",
    assumes="a covering grid; the spectral radius of K is below 1; the norm is the sum of absolute entries",
    measured="the norm, at each state, of the fixed point less the true law's embedding",
    bound="(I - K)^{-1} times the regression's largest error on a fine grid of returns, and its variation between",
    searched="structured processes that end with probability .4 or more at every step, 9 and 33 anchors",
    structured=_ending,
    cost=40,
    used_by="SketchDP",
)
def sketch_accumulated_error(case: Case) -> Iterator[Reading]:
    """U* - phi(eta) = T_phi U* - T_phi phi(eta) + (T_phi phi(eta) - phi(T eta)); the series of K sums the last part."""
    grid = case.on
    for features, steepest in ((Hats(), 2.0), (Gaussians(0.8), 2.0)):  # sum |phi'| is at most 2 a spacing for both
        operator = _operator(case, features)
        spread = _spread(case, operator)
        if not max(abs(np.linalg.eigvals(spread))) < 0.95:
            continue
        values, weights, error = true_laws(case, 2000)
        truth = np.stack([w @ features(v, grid) for v, w in zip(values, weights, strict=True)])
        points, rewards = np.linspace(grid.low, grid.high, 200 * (grid.atoms - 1) + 1), _rewards(case)
        after = [
            features(r + case.discount * points, grid) - features(points, grid) @ operator.coefficients(r).T
            for r in rewards
        ]
        sizes = [np.abs(operator.coefficients(r)).sum(axis=0).max() for r in rewards]
        between = steepest / 400.0 * (1.0 + max(sizes, default=0.0))
        defect = max((float(np.abs(off).sum(axis=1).max()) for off in after), default=0.0) + between
        fixed = truth.copy()
        for _ in range(500):
            fixed = operator(fixed)
        series = np.linalg.inv(np.eye(case.states) - spread)
        onward = np.array([sum(row[1] for row in case.rows if row[0] == s and not row[4]) for s in range(case.states)])
        blur = steepest / grid.spacing * error * (1.0 + float(np.abs(series).sum(axis=1).max()))
        yield Reading(np.abs(fixed - truth).sum(axis=1), series @ (onward * defect), blur + 1e-9)


@st.composite
def _with_steps(draw: st.DrawFn, cases: st.SearchStrategy[Case]) -> Case:
    case = draw(cases)
    numbers = {"step": draw(st.sampled_from([0.1, 0.5, 1.0])), "seed": draw(st.integers(0, 99))}
    return Case(case.rows, case.discount, case.grid, case.weights, numbers=numbers)


def _learning() -> Family:
    cases = on_grid(1)
    return Family(_with_steps(cases.strategy), f"{cases.words}, steps .1, .5, 1, any seed")


@claim(
    "sketch-td-hats-are-categorical",
    statement="With hat features at the atoms sketch TD is categorical TD, update by update, on the same transitions.",
    latex=r"U_k=p_k",
    source=f"{SOURCE}, section 3; derived here",
    evidence="derived",
    measured="SketchTD's embeddings after 1 to 5 updates",
    bound="CategoricalTD's masses (equality)",
    family=_learning(),
    structured=lambda: [
        Case(c.rows, c.discount, c.grid, c.weights, numbers={"step": 0.5, "seed": 3}) for c in _cases()
    ],
    cost=3,
    used_by="SketchTD",
)
def sketch_td_hats_are_categorical(case: Case) -> Iterator[Reading]:
    """A transition is a one-outcome process, to which `sketch-hats-are-categorical` applies."""
    options: dict[str, Any] = {"step_size": case.numbers["step"], "rng": int(case.numbers["seed"]), "updates": 5}
    options |= {"records": 5, "start": case.weights[0]}
    sketch = distrl.learn(case.model, distrl.td.SketchTD(Hats(), grid=case.on), **options)
    plain = distrl.learn(case.model, distrl.CategoricalTD(grid=case.on), **options)
    for k in range(1, 6):
        learnt = sketch.at(k)
        assert isinstance(learnt, SketchReturns)
        yield Reading(learnt.embeddings, np.asarray(plain.at(k).probs), 64 * rounding.slack_of(case), equal=True)
