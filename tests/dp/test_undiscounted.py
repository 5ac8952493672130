"""Discount 1 without arguments: default methods and grids, ranges by components, likely ends, what cannot converge."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distrl
from distrl import MDP, MRP, Brackets, CategoricalDP, CategoricalFixedPoint, FiniteLaw, Grid, Lattice, Status, evaluate
from distrl.returns.grid import return_ranges
from distrl.returns.spans import largest_sums, likely_end

COIN = [(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)]


@st.composite
def graphs(draw, largest=3):
    """Rows of up to 5 states with rewards of both signs; every state may end."""
    n = draw(st.integers(1, 5))
    reward = st.integers(-largest, largest).map(float)
    rows = []
    for state in range(n):
        others = draw(st.lists(st.integers(0, n - 1), max_size=2))
        share = 1.0 / (len(others) + 1)
        rows += [(state, share, other, draw(reward), False) for other in others]
        rows.append((state, share, state, draw(reward), True))
    return rows


def walks(rows, steps):
    """(S,) the largest sums of episodes of at most so many steps, by trying all."""
    n = 1 + max(row[0] for row in rows)
    best = np.full(n, -np.inf)
    for _ in range(steps):
        step = np.full(n, -np.inf)
        for state, _, following, reward, terminal in rows:
            step[state] = max(step[state], reward + (0.0 if terminal else best[following]))
        best = np.maximum(best, step)
    return best


@settings(max_examples=120)
@given(graphs())
def test_ranges_are_those_of_walks_and_infinite_only_where_a_cycle_pays(rows):
    model = MRP.from_outcomes(rows, 1.0)
    n = model.n_states
    for sign in (1.0, -1.0):
        signed = [(s, p, t, sign * r, end) for s, p, t, r, end in rows]
        found = largest_sums(model, sign * model.outcomes.rewards)
        short, long = walks(signed, n + 1), walks(signed, 20 * n + 20)
        finite = np.isfinite(found)
        np.testing.assert_array_equal(found[finite], long[finite])
        assert (long[~finite] > short[~finite]).all()  # it still grows after every simple walk has ended
    low, high = return_ranges(model)
    assert (low <= -walks([(s, p, t, -r, e) for s, p, t, r, e in rows], n + 1)).all() and (high >= walks(rows, n)).all()


@settings(max_examples=40)
@given(graphs(), st.sampled_from([1e-3, 1e-9]))
def test_likely_ends_leave_no_more_than_the_tail(rows, tail):
    model = MRP.from_outcomes(rows, 1.0)
    grid = Grid.tight(model, 2, tail=tail)
    # masses at every sum, step after step, until hardly any is left
    n, reach = model.n_states, 1200
    mass = np.zeros((n, n, 2 * reach + 1))
    mass[np.arange(n), np.arange(n), reach] = 1.0
    inside = np.zeros(n)
    sums = np.arange(-reach, reach + 1)
    held = (sums >= grid.low - 1e-9) & (sums <= grid.high + 1e-9)
    left = 1.0
    for _ in range(400):
        following = np.zeros_like(mass)
        for state, probability, target, reward, terminal in rows:
            moved = probability * np.roll(mass[:, state], int(reward), axis=-1)
            if terminal:
                inside += (moved * held).sum(axis=-1)
            else:
                following[:, target] += moved
        mass = following
        left = mass.sum(axis=(1, 2)).max()
        if left < tail * 1e-3:
            break
    assert (1.0 - inside <= 2.0 * tail + left + 1e-12).all()


def test_likely_ends_are_linear_in_a_chains_length():
    """A chain of n states with a slip of a half: 2 n steps on average, and some standard deviations sqrt(2 n)."""
    for n in (10, 100, 1000):
        rows = [(x, 0.5, x, -1.0, False) for x in range(n)]
        rows += [(x, 0.5, min(x + 1, n - 1), -1.0, x == n - 1) for x in range(n)]
        model = MRP.from_outcomes(rows, 1.0)
        low = -likely_end(model, -model.outcomes.rewards, 1e-9, upwards=False)
        deviations = (-2.0 * n - low) / np.sqrt(2.0 * n)
        assert 5.9 < deviations < 6.5 + 40.0 / np.sqrt(n)


def test_chernoffs_bound_is_near_the_truth():
    """Geometric: P(T > t) = q^t; the end is within a factor that its logarithm explains."""
    for q in (0.5, 0.9, 0.999):
        model = MRP.from_outcomes([(0, q, 0, 1.0, False), (0, 1.0 - q, 0, 1.0, True)], 1.0)
        end, true = likely_end(model, model.outcomes.rewards, 1e-9, upwards=True), np.log(1e-9) / np.log(q)
        assert true <= end <= 1.35 * true


def test_finite_laws_count_as_they_are_and_not_by_their_ends():
    fair = MRP.from_outcomes([(0, 0.9, 0, FiniteLaw([-1.0, 1.0]), False), (0, 0.1, 0, 0.0, True)], 1.0)
    assert likely_end(fair, np.ones(2), 1e-9, upwards=True) < 60.0  # of about 200 steps at most


@pytest.mark.parametrize(
    ("rows", "method"),
    [
        (COIN, Lattice()),
        ([(0, 0.5, 0, -1.0, False), (0, 0.5, 0, -3.0, True)], Lattice()),
        ([(0, 0.5, 0, -1.0, False), (0, 0.5, 0, 3.0, True)], CategoricalFixedPoint()),
        ([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 2.0**0.5, True)], CategoricalFixedPoint()),
        # more than 100,000 levels, some of which are kept
        ([(0, 0.99999, 0, 1.0, False), (0, 0.00001, 0, 1.0, True)], Lattice(1e-10, max_values=int(3e8), atoms=4097)),
    ],
)
def test_without_a_method_the_law_is_exact_where_it_can_be(rows, method):
    model = MRP.from_outcomes(rows, 1.0)
    sol = evaluate(model)
    assert sol.method == method and sol.converged and np.isfinite(sol.certificate.w1).all()
    exact = np.linalg.solve(np.eye(1) - model.continuation.toarray(), model.expected_rewards)
    assert abs(sol.values - exact) <= sol.certificate.w1
    if sol.method != Lattice():
        said = (
            "not exact by levels, since" if sol.method == CategoricalFixedPoint() else "not every level is kept, since"
        )
        assert said in sol.reason
    below = evaluate(model.with_discount(0.9))
    assert below.method == CategoricalFixedPoint() and "levels" not in below.reason


METHODS = [CategoricalFixedPoint(), CategoricalFixedPoint(atoms=101), CategoricalDP(sweeps=300), Brackets(101)]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("last", [1.0, -3.0, 0.5, 2.0**0.5])
def test_methods_on_a_grid_need_none(method, last):
    model = MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, last, True)], 1.0)
    sol = evaluate(model, method)
    exact = np.array([1.0 + last])  # one step on before the last, on average
    assert sol.certificate.overshoot.max() < 1e-6
    assert (np.abs(sol.values - exact) <= sol.certificate.w1 + 1e-12).all()
    if last in (1.0, -3.0, 0.5):  # atoms stand on the lattice: nothing is rounded
        law = evaluate(model, CategoricalFixedPoint()).returns[0]
        k = np.arange(8)
        np.testing.assert_allclose(law.cdf(k + last + 1e-9), 1.0 - 0.5 ** (k + 1.0), atol=1e-9)


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1"])
def test_gymnasiums_maps_under_proper_policies(name):
    pytest.importorskip("gymnasium")
    mdp = distrl.from_gymnasium(name, discount=1.0)
    table, n = mdp.outcomes, mdp.n_states
    values = np.zeros(n)
    for _ in range(2000):  # value iteration, slightly discounted so that it settles on a proper policy
        onward = table.rewards + np.where(table.terminals, 0.0, 0.9999 * values[table.next_states])
        pairs = mdp.choices.matrix(np.bincount(table.sources, table.probs * onward, table.n_sources), -np.inf)
        values = pairs.max(axis=1)
    policy = pairs.argmax(axis=1)
    mrp = mdp.under(policy)
    exact = np.linalg.lstsq(np.eye(n) - mrp.continuation.toarray(), mrp.expected_rewards, rcond=None)[0]
    for method in (None, *METHODS[:2]):
        sol = evaluate(mdp, method, policy=policy)
        assert sol.converged and sol.certificate.w1.max() < 1e-9
        np.testing.assert_allclose(sol.values, exact, rtol=0, atol=1e-8)


def test_an_mdps_range_covers_policies_that_go_round_for_nothing():
    mdp = MDP.from_outcomes(
        [(0, 0, 1.0, 1, 2.0, False), (1, 0, 1.0, 1, 0.0, False), (1, 1, 1.0, 1, -5.0, True)], 1.0, absorbing="keep"
    )
    grid = Grid.tight(mdp, 5)
    assert grid.low <= -5.0 and grid.high >= 2.0


@pytest.mark.fast
def test_what_has_no_bounds_says_a_line_that_works():
    model = MRP.from_outcomes(COIN, 1.0)
    with pytest.raises(ValueError, match=r"Grid\.tight\(model, atoms, tail=1e-9\)"):
        Grid.tight(model, 11)
    assert Grid.tight(model, 11, tail=1e-9).high >= 30.0
    with pytest.raises(ValueError, match=r"use Grid\.tight\(model, atoms\)"):
        Grid.covering(model, 11)
    with pytest.raises(ValueError, match="order='convex'") as caught:
        evaluate(model, Brackets(51, order="stochastic"))
    assert "covering" not in str(caught.value)


def test_sampled_returns_are_certified_where_a_cycle_pays():
    """W1 to the geometric law is below the certificate with its confidence at least."""
    model = MRP.from_outcomes([(0, 0.75, 0, 1.0, False), (0, 0.25, 0, 1.0, True)], 1.0)
    truth, held = evaluate(model, Lattice(1e-14)).returns, 0
    for seed in range(60):
        sol = evaluate(model, distrl.MonteCarlo(40, confidence=0.8), rng=seed)
        assert sol.status is Status.SAMPLED and sol.certificate.w1[0] < 10.0
        held += distrl.wasserstein(sol.returns, truth)[0] <= sol.certificate.w1[0]
    assert held >= 48
    small = evaluate(model, distrl.MonteCarlo(100), rng=0).certificate.w1[0]
    assert evaluate(model, distrl.MonteCarlo(10_000), rng=0).certificate.w1[0] < 0.5 * small
    sure = MRP.from_outcomes([(0, 1.0, 1, 3.0, False), (1, 1.0, 1, 4.0, True)], 1.0)
    assert evaluate(sure, distrl.MonteCarlo(5), rng=0).certificate.w1.max() < 1e-12


def test_quantiles_that_drift_away_are_given_up_within_seconds():
    rows = [(x, 0.4, x + 1 if x < 19 else 19, -1.0, x == 19) for x in range(20)]
    rows += [(x, 0.6, max(x - 1, 0), -1.0, False) for x in range(20)]
    begun = time.perf_counter()
    with pytest.raises(distrl.ConvergenceError, match="drift away; use more of them, Lattice or CategoricalFixedPoint"):
        evaluate(MRP.from_outcomes(rows, 1.0), distrl.QuantileDP(51))
    assert time.perf_counter() - begun < 60.0
    proper = MRP.from_outcomes([(0, 0.4, 0, -1.0, False), (0, 0.6, 0, -1.0, True)], 1.0)
    assert evaluate(proper, distrl.QuantileDP(51)).status is Status.STEADY
