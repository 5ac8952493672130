"""Laws made level by level, and sampled ones where returns have no bounds; see `distrl.dp.lattice`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl._validation import FloatArray
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.evidence import Evidence, rate
from proofs_check.families import Family
from proofs_check.faults import returned

PLACE = 9
_STEPS, _LEVELS = 600, 4096


@st.composite
def _levelled(draw: st.DrawFn) -> Case:
    """A model whose rewards are small whole numbers of one sign, and how much is to be cut."""
    n, sign, rows = draw(st.integers(1, 3)), draw(st.sampled_from([1.0, -1.0])), []
    for state in range(n):
        others = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=3))
        share = draw(st.floats(0.05, 0.9)) / len(others)
        rows += [(state, share, other, sign * draw(st.integers(0, 12)), False) for other in others]
        rows.append((state, 1.0 - share * len(others), state, sign * draw(st.integers(0, 12)), True))
    return Case(tuple(rows), 1.0, numbers={"tail": draw(st.sampled_from([1e-12, 1e-3, 0.05, 0.3]))})


LEVELLED = Family(_levelled(), "models of up to 3 states with rewards of 0 to 12 of one sign, discount 1, tails to .3")


def _levelled_cases() -> list[Case]:
    """A rare large reward, and then another: what lies beyond a cut is nearly as much as can be."""
    rows = [(0, 0.99, 0, 0.0, True), (0, 0.01, 1, 100.0, False), (1, 0.99, 1, 1.0, True), (1, 0.01, 1, 100.0, True)]
    loop = [(0, 0.98, 0, 0.0, True), (0, 0.01, 0, 90.0, False), (0, 0.01, 0, 1.0, True)]
    return [Case(tuple(each), 1.0, numbers={"tail": 0.02}) for each in (rows, loop)]


def _true_masses(case: Case) -> tuple[FloatArray, float] | None:
    """(S, levels) the law of every state's |return| by walking, and what had not ended; None off the whole numbers."""
    n, rewards = case.states, np.array([abs(row[3]) for row in case.rows])
    signs = {np.sign(row[3]) for row in case.rows} - {0.0}
    if len(signs) > 1 or (rewards != np.floor(rewards)).any() or rewards.max() > 100:
        return None
    alive, ended = np.zeros((n, n, _LEVELS)), np.zeros((n, _LEVELS))
    alive[np.arange(n), np.arange(n), 0] = 1.0
    for _ in range(_STEPS):
        following = np.zeros_like(alive)
        for (state, probability, target, _reward, terminal), paid in zip(case.rows, rewards.astype(int), strict=True):
            moved = np.zeros((n, _LEVELS))
            moved[:, paid:] = probability * alive[:, state, : _LEVELS - paid]
            if terminal:
                ended += moved
            else:
                following[:, target] += moved
        alive = following
        if alive.sum(axis=(1, 2)).max() < 1e-16:
            break
    return ended, float(np.abs(1.0 - ended.sum(axis=1)).max())


def _cut(case: Case) -> tuple[distrl.Solution, FloatArray, float] | None:
    """The solution, the true masses, and what these lack."""
    found = _true_masses(case)
    if found is None or found[1] > 1e-13:
        return None
    sol = distrl.evaluate(case.model, distrl.Lattice(case.numbers["tail"]))
    return sol, found[0], found[1]


def _levels_apart(sol: distrl.Solution, masses: FloatArray) -> FloatArray:
    """(S,) W1 of laws on whole numbers to the true masses."""
    step, own = sol.returns.spacing, np.asarray(sol.returns.probs)
    own = own[:, ::-1] if sol.returns.grid.low < 0.0 else own
    spread = np.zeros_like(masses)
    spread[:, np.rint(np.arange(own.shape[1]) * step).astype(int)] = own
    return np.asarray(np.abs(_tails(masses) - _tails(spread)).sum(axis=1))


def _tails(masses: FloatArray) -> FloatArray:
    """(S, levels) P(more than level k), small numbers first."""
    return np.cumsum(masses[:, ::-1], axis=1)[:, ::-1] - masses


@claim(
    "lattice-levels",
    statement="Laws made level by level are within their certificate of the true ones, tail and rounding included.",
    latex=r"W_1(F,\eta)\le P(G>Kd)(rd+\sup m)+d\,(I-P)^{-1}u\,\mathbb E\lvert G\rvert/d",
    source="derived: distrl.dp.lattice, by the Markov property where a walk passes the last level",
    evidence="derived",
    assumes="rewards of one sign, multiples of one step; discount 1",
    measured="W1 to the law that walking gives",
    bound="Solution.certificate.w1",
    family=LEVELLED,
    structured=_levelled_cases,
    cost=3,
    used_by="Lattice",
)
def lattice_levels(case: Case) -> Iterator[Reading]:
    """Beyond the last level, a reward and then a mean return at most; below it, rounding along the walk."""
    found = _cut(case)
    if found is None:
        return
    sol, masses, lacking = found
    slack = 1e-15 * _LEVELS + _LEVELS * lacking
    yield Reading(_levels_apart(sol, masses), sol.certificate.w1, slack)
    few = distrl.evaluate(case.model, distrl.Lattice(case.numbers["tail"], atoms=7))  # levels split between atoms
    yield Reading(_levels_apart(few, masses), few.certificate.w1, slack)
    beyond = _tails(masses)[:, round(sol.returns.spacing * (sol.returns.grid.atoms - 1))]
    yield Reading(sol.returns.tail, beyond, slack, equal=True, counts=False)


@claim(
    "lattice-tail-without-mean",
    statement="What lies beyond the last level costs no more than the largest reward.",
    latex=r"\mathbb E(G-Kd)_+\le P(G>Kd)\,rd",
    source="own counterexample: a reward that passes the last level, and another after it",
    evidence="derived",
    expected="refuted",
    measured="E(G - K d)+",
    bound="P(G > K d) times the largest reward",
    family=LEVELLED,
    structured=_levelled_cases,
)
def lattice_tail_without_mean(case: Case) -> Iterator[Reading]:
    """What follows the step that passes the level counts, too."""
    found = _cut(case)
    if found is None:
        return
    sol, masses, lacking = found
    last = round(max(abs(sol.returns.grid.low), sol.returns.grid.high))
    over = _tails(masses)[:, last:].sum(axis=1)
    largest = max(abs(row[3]) for row in case.rows)
    yield Reading(over, _tails(masses)[:, last] * largest, 1e-15 * _LEVELS + _LEVELS * lacking)


def _surer(size: float) -> AbstractContextManager[Any]:
    """Certificates `size` times as large."""

    def change(solution: Any) -> Any:
        sure = solution.certificate
        return replace(solution, certificate=replace(sure, w1=sure.w1 * size))

    return returned(distrl, "evaluate", change)()


@claim(
    "monte-carlo-undiscounted",
    statement="The Monte Carlo certificate of returns without bounds fails with at most the probability it states.",
    latex=r"W_1\le\varepsilon(b-a)+\sum_{\pm}\left(\hat{\mathbb E}+\mathbb E\right)(\text{beyond }a,b)",
    source="Dvoretzky, Kiefer, Wolfowitz 1956; Massart 1990; Scarf 1958 for what lies beyond",
    evidence="derived",
    measured="evidence that the certificate, at .8, of 50 returns is more often below W1 to the exact law",
    bound="1 / the share of the false alarm, as logarithms; .2 (loose: W1 is a third of it at its .8 quantile)",
    searched="geometric numbers of steps",
    structured=lambda: [Case(numbers={"stay": 0.5}), Case(numbers={"stay": 0.9})],
    statistical=True,
    plants=(Plant("small", "certificates times {}", Sizes(0.25, 0.3, 0.33), _surer),),
    used_by="MonteCarlo",
)
def monte_carlo_undiscounted(case: Case, chance: Chance) -> Iterator[Reading]:
    """A band on an interval, and second moments beyond."""
    n, alpha, stay, test = 50, 0.2, case.numbers["stay"], Evidence()
    model = Case(((0, stay, 0, 1.0, False), (0, 1.0 - stay, 0, 1.0, True)), 1.0).model
    steps = np.arange(0.0, 600.0)
    exact = 1.0 - stay**steps
    violation = chance.of(0.45, 0.33, 0.28)  # what is planted misses as often, or more
    for number in range(chance.of(200, 800, 2500)):
        sol = distrl.evaluate(model, distrl.MonteCarlo(n, 1.0 - alpha), rng=chance.seed(int(100 * stay), number))
        own = np.searchsorted(np.asarray(sol.returns.values)[0], steps, side="right") / n
        test.add(rate(np.array([np.abs(own - exact).sum() > sol.certificate.w1[0]]), alpha, violation))
        if not test.open:
            break
    yield test.reading
