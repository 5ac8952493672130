"""`Lattice` over a finite horizon: every path in fractions, the layered process, and what is cut."""

from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import wasserstein_distance

import distrl
from distrl import MDP, MRP, FiniteLaw, Lattice, ParticleReturns, Status, evaluate

#: state -> (probability, next state, reward, whether the return ends)
Rows = list[list[tuple[F, int, F, bool]]]

POSITIVE: Rows = [
    [(F(1, 2), 1, F(3), False), (F(1, 4), 0, F(0), False), (F(1, 4), 2, F(1), True)],
    [(F(3, 4), 2, F(1), False), (F(1, 4), 0, F(2), False)],
    [(F(1), 2, F(0), False)],
]
BOTH: Rows = [[(p, y, r - 1, end) for p, y, r, end in rows] for rows in POSITIVE]
NEGATIVE: Rows = [[(p, y, -r, end) for p, y, r, end in rows] for rows in POSITIVE]
ODD: Rows = [[(p, y, F(float(r) * 2.0**0.5) if y else r, end) for p, y, r, end in rows] for rows in BOTH]
MODELS = {"positive": POSITIVE, "negative": NEGATIVE, "both signs": BOTH, "on no lattice": ODD}


def model_of(rows: Rows, discount: float = 1.0) -> MRP:
    flat = [(x, float(p), y, float(r), end) for x, own in enumerate(rows) for p, y, r, end in own]
    return MRP.from_outcomes(flat, discount, absorbing="keep")


def every_path(steps: list[Rows], discount: F = F(1)) -> list[dict[F, F]]:
    laws: list[dict[F, F]] = [{F(0): F(1)} for _ in POSITIVE]
    for rows in reversed(steps):
        longer = []
        for own in rows:
            law: dict[F, F] = {}
            for p, y, r, end in own:
                for value, mass in ({F(0): F(1)} if end else laws[y]).items():
                    law[r + discount * value] = law.get(r + discount * value, F(0)) + p * mass
            longer.append(law)
        laws = longer
    return laws


def check_against(sol, laws: list[dict[F, F]]) -> None:
    for x in range(sol.model.n_states):
        law = laws[x]
        values, masses = (np.array(list(map(float, part))) for part in (law, law.values()))
        own, weights = (np.asarray(part, dtype=float) for part in sol.returns[x].support_weights())
        assert wasserstein_distance(own, values, weights, masses) <= sol.certificate.w1[x] + 1e-13
        low, high = sol.interval("mean")[x]
        assert low - 1e-12 <= masses @ values <= high + 1e-12
        low, high = sol.interval("cdf", 1.5)[x]
        assert low - 1e-12 <= masses[values <= 1.5].sum() <= high + 1e-12


@pytest.mark.parametrize("discount", [F(1), F(1, 2), F(0)], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_laws_are_those_of_every_path(name, discount):
    for horizon in (0, 1, 2, 6):
        sol = evaluate(model_of(MODELS[name], float(discount)), Lattice(), horizon=horizon)
        laws = every_path([MODELS[name]] * horizon, discount)
        check_against(sol, laws)
        assert sol.converged and sol.certificate.w1.max() < 1e-10 and sol.horizon == horizon
        levels = discount == 1 and name != "on no lattice"
        assert sol.solver == ("levels" if levels else "distinct sums")
        if not levels:
            assert np.count_nonzero(sol.returns.weights) == sum(len([m for m in law.values() if m]) for law in laws)
            continue
        for x, law in enumerate(laws):  # masses to a few digits of the last place, and exactly 0 where there is none
            exact = [float(law.get(F(round(atom)), F(0))) for atom in sol.returns.atoms]
            np.testing.assert_allclose(sol.returns.probs[x], exact, rtol=1e-14, atol=0.0)


def layered(rows: Rows, horizon: int) -> MRP:
    """State t * S + x is x in step t; every outcome of the last step ends."""
    n, flat = len(rows), []
    for t in range(horizon):
        for x, own in enumerate(rows):
            flat += [
                (t * n + x, float(p), (t + 1) % horizon * n + y, float(r), end or t == horizon - 1)
                for p, y, r, end in own
            ]
    return MRP.from_outcomes(flat, 1.0, absorbing="keep")


@pytest.mark.parametrize("tail", [1e-12, 0.05])
@pytest.mark.parametrize("name", ["positive", "negative", "both signs"])
def test_the_layered_process_has_the_same_levels_and_masses(name, tail):
    here = evaluate(model_of(MODELS[name]), Lattice(tail), horizon=9)
    there = evaluate(layered(MODELS[name], 9), Lattice(tail))
    assert here.returns.grid == there.returns.grid
    np.testing.assert_allclose(here.returns.probs, there.returns.probs[:3], atol=1e-14)
    np.testing.assert_allclose(here.returns.tail, there.returns.tail[:3], atol=1e-14)
    assert (here.certificate.w1 <= there.certificate.w1[:3] * 1.5 + 1e-12).all()
    assert (here.returns.tail > 0.0).any() == (tail == 0.05 and name != "both signs")


@settings(max_examples=15)
@given(st.data(), st.sampled_from([1e-9, 0.02, 0.3]), st.sampled_from([1.0, 0.1, -1 / 3]))
def test_what_is_cut_is_in_the_certificate(data, tail, step):
    rows: Rows = []
    for _ in range(3):
        p = data.draw(st.integers(1, 7))
        ends = (data.draw(st.booleans()), data.draw(st.booleans()))
        own = [
            (F(q, 8), data.draw(st.integers(0, 2)), F(data.draw(st.sampled_from([0, 1, 2, 30]))), end)
            for q, end in zip((p, 8 - p), ends, strict=True)
        ]
        rows.append(own)
    flat = [(x, float(p), y, float(r) * step, end) for x, own in enumerate(rows) for p, y, r, end in own]
    sol = evaluate(MRP.from_outcomes(flat, 1.0, absorbing="keep"), Lattice(tail), horizon=5)
    assert sol.returns.tail.max() <= tail
    scaled = [{value * F(step): mass for value, mass in law.items()} for law in every_path([rows] * 5)]
    for x, law in enumerate(scaled):
        values, masses = (np.array(list(map(float, part))) for part in (law, law.values()))
        own, weights = (np.asarray(part) for part in sol.returns[x].support_weights())
        assert wasserstein_distance(own, values, weights, masses) <= sol.certificate.w1[x] * (1 + 1e-9) + 1e-13
        end = sol.returns.grid.high if step > 0 else sol.returns.grid.low
        beyond = masses[np.abs(values) > abs(end) + 1e-6].sum()
        assert sol.returns.tail[x] == pytest.approx(beyond, abs=1e-14)


def test_a_certificate_that_is_a_tenth_too_small_would_be_seen():
    """With probability 1/100 a reward of 100, and then another with the same: cut at level 1 that costs 1."""
    rows = [(0, 0.99, 0, 0.0, True), (0, 0.01, 1, 100.0, False), (1, 0.99, 1, 1.0, True), (1, 0.01, 1, 100.0, True)]
    sol = evaluate(MRP.from_outcomes(rows, 1.0), Lattice(tail=0.02), horizon=2)
    true = 0.01 * (0.99 * 101.0 + 0.01 * 200.0 - 1.0)
    assert sol.returns.tail[0] == pytest.approx(0.01) and sol.returns.grid.high == 1.0
    assert 0.9 * sol.certificate.w1[0] < true <= sol.certificate.w1[0]


def test_a_lattice_that_was_begun_too_short_is_made_longer():
    """Rare rewards of 1,000: far beyond mean and deviation lies more than the tail; all levels are 100,001."""
    rare = MRP.from_outcomes([(0, 1 - 2.0**-20, 0, 1.0, False), (0, 2.0**-20, 0, 1000.0, False)], 1.0)
    sol = evaluate(rare, Lattice(tail=1e-11), horizon=100)
    jumps = stats.binom(100, 2.0**-20)
    levels = np.rint(sol.returns.atoms).astype(int)
    assert levels[-1] == 100 + 2 * 999  # two jumps have a probability of 4e-9, three of 1e-13
    for k in range(3):
        assert sol.returns.probs[0][levels == 100 + 999 * k][0] == pytest.approx(jumps.pmf(k), rel=1e-4)


def test_limits_are_named():
    steady = MRP([[1.0]], [2.0], 1.0)
    assert evaluate(steady, Lattice(max_values=101), horizon=100).returns.probs[0, -1] == 1.0
    coin = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 1.0)
    with pytest.raises(
        ValueError, match=r"mean return of 300 steps is 150 times the step 1 of the rewards.*100 levels"
    ):
        evaluate(coin, Lattice(max_values=100), horizon=300)
    with pytest.raises(
        ValueError, match=r"after 160 levels the return of 300 steps from state 0 .* probability 0\.\d+"
    ):
        evaluate(coin, Lattice(max_values=160), horizon=300)
    assert evaluate(coin, Lattice(max_values=260), horizon=300).returns.tail[0] <= 1e-12
    odd = MRP([[1.0]], [FiniteLaw([0.0, 1.0, 2.0**0.5])], 1.0)
    with pytest.raises(ValueError, match=r"the return of \d steps from state 0 has \d+ distinct sums, more than max_v"):
        evaluate(odd, Lattice(max_values=30), horizon=20)
    both = MRP([[1.0]], [FiniteLaw([-1000.0, 0.0, 999.0])], 1.0)  # few sums on many levels
    few = evaluate(both, Lattice(max_values=50), horizon=4)
    assert few.solver == "distinct sums" and len(few.returns[0].support_weights()[0]) == 15
    with pytest.raises(ValueError, match="has infinitely many values, and so have sums; use"):
        evaluate(MRP([[1.0]], [stats.norm()], 1.0), Lattice(), horizon=3)


def test_more_states_and_steps_than_could_be_laid_out():
    """600 states, 600 steps: a ring on which every 600th state pays; each return is known."""
    n = 600
    ring = distrl.environments.cycle(n, discount=1.0)
    sol = evaluate(ring, Lattice(), horizon=n)
    np.testing.assert_allclose(sol.returns.probs, np.tile([0.0, 1.0], (n, 1)), atol=1e-12)


def test_policies_rewards_and_discounts_by_step():
    steps = [POSITIVE, BOTH, NEGATIVE, POSITIVE]
    sol = evaluate([model_of(rows) for rows in steps], Lattice(), horizon=4)
    check_against(sol, every_path(steps))
    assert sol.solver == "levels"
    mdp = MDP.from_outcomes(
        [
            (x, a, float(p), y, float(r), end)
            for a, rows in enumerate((POSITIVE, BOTH))
            for x, own in enumerate(rows)
            for p, y, r, end in own
        ],
        1.0,
        absorbing="keep",
    )
    played = [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    truth = every_path([[(POSITIVE, BOTH)[a][x] for x, a in enumerate(row)] for row in played])
    sol = evaluate(mdp, Lattice(), policy=played, horizon=3)
    check_against(sol, truth)
    after = every_path([[(POSITIVE, BOTH)[a][x] for x, a in enumerate(row)] for row in played[1:]])
    for x in range(3):
        for a, rows in enumerate((POSITIVE, BOTH)):
            law: dict[F, F] = {}
            for p, y, r, end in rows[x]:
                for value, mass in ({F(0): F(1)} if end else after[y]).items():
                    law[r + value] = law.get(r + value, F(0)) + p * mass
            values, masses = (np.array(list(map(float, part))) for part in (law, law.values()))
            own, weights = (np.asarray(part) for part in sol.action_returns[x][a].support_weights())
            assert wasserstein_distance(own, values, weights, masses) <= sol.action_certificate.w1[2 * x + a] + 1e-13
    swing = MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, -1.0], [0.75, 0.5])
    sol = evaluate(swing, Lattice(), horizon=3)
    np.testing.assert_allclose(sol.values, [1 - 0.75 + 0.375, -1 + 0.5 - 0.375], rtol=1e-15)


def test_sums_of_models_with_factors_that_meet_no_state_twice():
    rows = [(0, 0.5, 1, 1.0, False, 0.5), (0, 0.5, 2, 2.0, False, 0.25), (1, 0.25, 2, 1.0, False, 0.75)]
    rows += [(1, 0.75, 2, 0.0, True, 0.0), (2, 0.5, 2, 4.0, True, 0.0), (2, 0.5, 2, -4.0, True, 0.0)]
    sol = evaluate(MRP.from_outcomes(rows, None), Lattice())
    truth = [
        ParticleReturns(np.array([[3.0, 0.0, 1.0, 3.0, 1.0]]), np.array([[0.0625, 0.0625, 0.375, 0.25, 0.25]])),
        ParticleReturns(np.array([[4.0, -2.0, 0.0]]), np.array([[0.125, 0.125, 0.75]])),
    ]
    for x, law in enumerate(truth):
        assert distrl.wasserstein(sol.returns[[x]], law)[0] <= sol.certificate.w1[x] < 1e-12
    with pytest.raises(ValueError, match=r"discount 0\.25 to 0\.75.*some state can be met again"):
        evaluate(MRP([[0.5, 0.5], [0.5, 0.5]], [1.0, 2.0], [0.25, 0.75]), Lattice())


@pytest.mark.parametrize("name", MODELS)
def test_what_is_reached_before_ctrl_c_is_bounded(name):
    laws = every_path([MODELS[name]] * 6)
    for at in (1, 3):
        told = []

        def stop(*_, told=told, at=at):
            told.append(0)
            if len(told) == at:
                raise KeyboardInterrupt

        sol = evaluate(model_of(MODELS[name]), Lattice(), horizon=6, throw=False, progress=stop)
        assert sol.status is Status.INTERRUPTED
        check_against(sol, laws)
    fewer = evaluate(model_of(MODELS[name]), Lattice(), horizon=6, max_iterations=4, throw=False)
    assert fewer.status is Status.MAX_ITERATIONS and fewer.iterations == 4
    check_against(fewer, laws)


def test_rewards_that_are_no_exact_multiples_and_rows_that_lack_a_little_are_counted():
    sol = evaluate(MRP([[1.0]], [FiniteLaw([0.1, 0.3])], 1.0), Lattice(), horizon=20)
    exact = F(0.1) * 10 + F(0.3) * 10
    assert abs(F(float(sol.values[0])) - exact) <= F(float(sol.certificate.w1[0])) and sol.returns.spacing == 0.1
    lacking = MRP.from_outcomes([(0, 1.0 - 5e-10, 0, 1.0, False), (1, 1.0, 0, 0.0, False)], 1.0, absorbing="keep")
    for discount in (1.0, 0.5):
        sol = evaluate(lacking.with_discount(discount), Lattice(), horizon=4, throw=False)
        assert sol.certificate.w1[0] >= 5e-10


def test_a_tolerance_makes_more_levels():
    coin = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 1.0)
    rough, fine = (evaluate(coin, Lattice(tail=0.1), horizon=40, tol=tol) for tol in (None, 1e-6))
    assert fine.converged and fine.bound <= 1e-6 and rough.returns.grid.atoms < fine.returns.grid.atoms
    assert evaluate(coin, Lattice(), horizon=40, tol=1e-300, throw=False).status is Status.STALLED
