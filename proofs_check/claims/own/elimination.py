"""Linear systems over states, however stiff; proofs in docs/proofs.md."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from distrl import theory
from distrl._validation import FloatArray
from distrl.dp.resolvent import Resolvent
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.families import Family

PLACE = 8


@st.composite
def _stiff(draw: st.DrawFn) -> Case:
    """A chain whose rates are powers of ten down to 1e-12; a state's loop is 1 less everything else."""
    n = draw(st.integers(2, 5))
    rows = []
    for x in range(n):
        rates = draw(st.lists(st.integers(1, 12), min_size=n, max_size=n))
        reward = draw(st.floats(-1.0, 1.0))
        leaves = [(x, 0.9 * 10.0 ** -rates[y], y, reward, False) for y in range(n) if y != x and rates[y] < 12]
        if x == 0 or not leaves or all(row[2] > x for row in leaves):  # so that every state can end
            leaves.append((x, 10.0 ** -(rates[x] + 1), x, reward, True))
        total = sum(row[1] for row in leaves)
        scale = 0.9 / total if total > 0.9 else 1.0
        leaves = [(a, p * scale, y, r, end) for a, p, y, r, end in leaves]
        rows += [*leaves, (x, 1.0 - math.fsum(row[1] for row in leaves), x, reward, False)]
    return Case(tuple(rows), draw(st.sampled_from([1.0, 0.9, 1.0 - 1e-9])))


STIFF = Family(_stiff(), "chains of up to 5 states with rates 1e-12 to 1, discounts .9 to 1")


def _stiff_cases() -> list[Case]:
    """Walks that fall back to their start with probability .999, and end behind their last state."""
    cases = []
    for steps in (2, 4, 6):
        rows = [(x, 0.999, 0, 1.0, False) for x in range(steps)]
        rows += [(x, 0.001, min(x + 1, steps - 1), 1.0, x == steps - 1) for x in range(steps)]
        cases += [Case(tuple(rows), g) for g in (1.0, 1.0 - 1e-12)]
    return cases


def _solved_exactly(case: Case) -> tuple[list[Fraction], list[Fraction], FloatArray]:
    """(I - g P)^{-1} r and (I - g P)^{-1} |r|, a state's loop being 1 less everything else, and r itself."""
    n, g = case.states, Fraction(case.discount)
    rewards = [Fraction(next(row[3] for row in case.rows if row[0] == x)) for x in range(n)]
    matrix = [[Fraction(0)] * n for _ in range(n)]
    for x in range(n):
        matrix[x][x] = 1 - g
    for x, probability, y, _, terminal in case.rows:
        if terminal or x != y:
            matrix[x][x] += g * Fraction(probability)
        if not terminal and x != y:
            matrix[x][y] -= g * Fraction(probability)
    sizes = ex.solve(matrix, [abs(reward) for reward in rewards])
    return ex.solve(matrix, rewards), sizes, np.array([float(reward) for reward in rewards])


@claim(
    "elimination-relative-accuracy",
    statement="Elimination without subtraction errs by its stated share of (I - g P)^{-1} |r| at most, however stiff.",
    latex=r"|\hat u-u|\le\varepsilon\,(I-\gamma P)^{-1}|r|",
    source="derived: docs/proofs.md; the algorithm is Grassmann, Taksar, Heyman 1985",
    evidence="derived",
    assumes="a state's loop is 1 less everything else; no number of the elimination is below 2^-960",
    measured="error of the computed solution, against the rationals",
    bound="theory.elimination_relative_error times (I - g P)^{-1} |r|, over the rationals",
    family=STIFF,
    structured=_stiff_cases,
    cost=2,
    used_by="Resolvent, Moments, certificates",
)
def elimination_relative_accuracy(case: Case) -> Iterator[Reading]:
    """Entries of the inverse are quotients of sums of products of data, one of each row (matrix-tree theorem)."""
    values, sizes, rhs = _solved_exactly(case)
    linear = Resolvent.of(case.model)
    found = linear.solve(rhs)
    gaps = [float(abs(Fraction(float(v)) - e)) for v, e in zip(found, values, strict=True)]
    yield Reading(np.array(gaps), np.array([linear.relative_error * float(size) for size in sizes]))
    upper = linear.upper(np.abs(rhs))
    yield Reading(sizes, [Fraction(float(u)) for u in upper], counts=False)


@claim(
    "lu-relative-accuracy",
    statement="Elimination in I - g P as it is, with its differences, keeps the same accuracy.",
    latex=r"|\hat u_{LU}-u|\le\varepsilon\,(I-\gamma P)^{-1}|r|",
    source="own counterexample: docs/proofs.md",
    evidence="numerical",
    expected="refuted",
    measured="error of numpy.linalg.solve, against the rationals",
    bound="theory.elimination_relative_error of dense factors times (I - g P)^{-1} |r|",
    family=STIFF,
    structured=_stiff_cases,
)
def lu_relative_accuracy(case: Case) -> Iterator[Reading]:
    """1 - p cancels where p is nearly 1, and what is left is multiplied by the number of steps."""
    values, sizes, rhs = _solved_exactly(case)
    n = case.states
    matrix = np.eye(n) - case.discount * case.model.continuation.toarray()
    found = np.linalg.solve(matrix, rhs)
    bound = theory.elimination_relative_error(n, n * (n - 1) // 2, n * (n - 1) // 2, 20.0 * n)
    gaps = [float(abs(Fraction(float(v)) - e)) for v, e in zip(found, values, strict=True)]
    yield Reading(np.array(gaps), np.array([bound * float(size) for size in sizes]))
