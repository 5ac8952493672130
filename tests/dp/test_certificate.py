"""The certificate bounds the distance to the TRUE return law, for any law on the grid, clipped or unconverged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import enumerated_law, merge_distance
from scipy import sparse

import distrl
from distrl import MRP, CategoricalDP, CategoricalFixedPoint, FiniteLaw, Grid, evaluate
from distrl.dp.certificate import Certifier
from distrl.dp.resolvent import Resolvent
from distrl.operators import CategoricalBellman
from distrl.testing import categorical_probs, grids, mdps, mrps, policies

SHORT = st.sampled_from([0.0, 0.25, 0.5])  # so that few steps of enumeration leave little


def true_w1(model, state, grid, probs, steps):
    """W1 to the enumerated law, and what the cut may cost: discount^steps * mass left * largest |return|."""
    values, weights, left = enumerated_law(model, state, steps)
    reach = np.abs(model.outcomes.reward_ranges()[1]).max() + np.abs(model.outcomes.reward_ranges()[0]).max()
    cut = left * model.discount**steps * reach / (1 - model.discount)
    return merge_distance((grid.points, probs), (values, weights)), cut


@pytest.mark.fast
@given(mrps(max_states=3, discounts=SHORT), st.data())
def test_bounds_the_true_distance_of_any_law_on_any_grid(model, data):
    grid = data.draw(grids(max_atoms=15))
    probs = data.draw(categorical_probs(model.n_states, grid.atoms))
    certificate, _ = Certifier(model, CategoricalBellman(model, grid)).certify(probs)
    for state in range(model.n_states):
        true, cut = true_w1(model, state, grid, probs[state], 6)
        assert true <= certificate.w1[state] + cut


@given(mrps(max_states=3, discounts=SHORT), st.data())
def test_bounds_the_true_distance_of_the_fixed_point(model, data):
    grid = data.draw(st.one_of(grids(max_atoms=15), st.builds(Grid.covering, st.just(model), st.integers(2, 15))))
    sol = evaluate(model, CategoricalFixedPoint(grid=grid))
    for state in range(model.n_states):
        true, cut = true_w1(model, state, grid, sol.returns.probs[state], 6)
        assert true <= sol.certificate.w1[state] + cut


@given(mrps(discounts=st.sampled_from([0.3, 0.9, 0.99])), st.integers(2, 60))
def test_is_never_above_the_uniform_bound_when_nothing_is_clipped(model, atoms):
    sol = evaluate(model, CategoricalFixedPoint(atoms))
    bound = distrl.theory.fixed_point_w1(sol.returns.grid.spacing, model.discount)
    assert (sol.certificate.rounding <= bound * (1 + 1e-9)).all()
    # overshoot of the last atom is rounding of r + g z; the residual is what iterating left, plus rounding
    assert (sol.certificate.w1 <= bound * (1 + 1e-9) + 10 * sol.tol + 1e-10 * sol.returns.grid.width).all()


@given(mrps(discounts=st.sampled_from([0.3, 0.9, 0.99])), st.integers(2, 60))
def test_variance_inflation_is_what_the_certificate_says_it_is(model, atoms):
    """Without clipping Var_C - Var = (I - g^2 P)^{-1} delta, the square of the rounding part."""
    sol = evaluate(model, CategoricalFixedPoint(atoms))
    exact = evaluate(model, distrl.Moments(2)).returns.var()
    inflation = sol.returns.var() - exact
    scale = sol.returns.grid.width**2
    np.testing.assert_allclose(inflation, sol.certificate.rounding**2, rtol=0, atol=1e-9 * scale)


@given(mdps(max_states=3, discounts=SHORT), st.data())
def test_action_returns_are_one_application_away_and_certified(mdp, data):
    policy = data.draw(policies(mdp))
    sol = evaluate(mdp, CategoricalFixedPoint(21), policy=policy)
    laws, certificate = sol.action_returns, sol.action_certificate
    assert laws.batch_shape == (mdp.n_states, mdp.n_actions)
    weights = mdp.policy_matrix(policy)
    mixed = np.einsum("sa,sam->sm", weights, laws.probs)
    np.testing.assert_allclose(mixed, sol.returns.probs, atol=1e-8)
    for action in range(
        mdp.n_actions
    ):  # take `action` once, then follow the policy: a state more, exact by enumeration
        for state in range(mdp.n_states):
            first = mdp.under(np.full(mdp.n_states, action))
            model = _first_step_differs(first, sol.model, state)
            true, cut = true_w1(model, mdp.n_states, laws.grid, laws.probs[state, action], 6)
            assert true <= certificate.w1[state * mdp.n_actions + action] + cut


def _first_step_differs(first, then, state):
    """`then` with one more state that behaves like `state` of `first` for one step."""
    rows = []
    for model, keep, target in ((then, None, None), (first, state, then.n_states)):
        t = model.outcomes
        for k in range(len(t.probs)):
            if keep is None or t.sources[k] == keep:
                source = int(t.sources[k]) if target is None else target
                rows.append((source, t.probs[k], int(t.next_states[k]), t.rewards[k], bool(t.terminals[k])))
    return MRP.from_outcomes(rows, then.discount, states=then.n_states + 1)


@pytest.mark.fast
def test_overshoot_is_counted_where_the_grid_covers_the_true_returns_but_clips():
    """r = (1, 0), discount 1/2 on {0, 4/3}: the true returns lie on the grid's range, yet the mean is off by .19."""
    model = MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.5)
    sol = evaluate(model, CategoricalFixedPoint(grid=Grid(0.0, 4 / 3, 2)))
    assert np.abs(sol.values - [4 / 3, 2 / 3]).max() > 0.18
    assert sol.clipped_mass > 0.1
    for state, value in enumerate([4 / 3, 2 / 3]):
        true = np.abs(sol.returns.atoms - value) @ sol.returns.probs[state]
        assert true <= sol.certificate.w1[state]


@pytest.mark.fast
def test_continuous_rewards_are_certified_on_a_clipping_grid():
    from scipy import stats

    model = MRP([[1.0]], [stats.norm(0.0, 1.0)], 0.5)
    truth = [stats.norm(0.0, (1 / 0.75) ** 0.5)]
    for reach in (1.0, 3.0, 8.0):
        sol = evaluate(model, CategoricalFixedPoint(grid=Grid(-reach, reach, 65)))
        assert distrl.wasserstein(sol.returns, truth)[0] <= sol.certificate.w1[0]
    heavy = evaluate(MRP([[1.0]], [stats.t(2)], 0.5), CategoricalFixedPoint(grid=Grid(-40, 40, 201)))
    assert np.isfinite(heavy.certificate.w1[0])
    assert heavy.certificate.overshoot[0] > 1e-3


@pytest.mark.fast
def test_early_iterates_are_certified_too():
    model = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.5)
    exact = evaluate(model, CategoricalFixedPoint(4001))
    for sweeps in range(8):
        sol = evaluate(model, CategoricalDP(51, sweeps))
        distance = distrl.wasserstein(sol.returns, exact.returns)[0]
        assert distance <= sol.certificate.w1[0] + exact.certificate.w1[0]


@pytest.mark.fast
@pytest.mark.parametrize("factor", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("n", [3, 40])
def test_resolvent_bounds_hold_and_are_tight(factor, n):
    rng = np.random.default_rng(n)
    p = rng.dirichlet(np.ones(n), n) * 0.9
    resolvent = Resolvent(sparse.csr_array(p), factor)
    rhs = rng.random(n)
    exact = np.linalg.solve(np.eye(n) - factor * p, rhs)
    upper = resolvent.upper(rhs)
    assert (upper >= exact * (1 - 1e-13)).all()
    np.testing.assert_allclose(upper, exact, rtol=1e-9)
    np.testing.assert_allclose(resolvent.gains, np.linalg.solve(np.eye(n) - factor * p, np.ones(n)), rtol=1e-9)


def test_resolvent_solves_large_systems_without_a_factorisation():
    rng = np.random.default_rng(0)
    n = 3000
    columns = rng.integers(0, n, size=(n, 4))
    p = sparse.csr_array(
        sparse.coo_array((np.full(4 * n, 0.25), (np.repeat(np.arange(n), 4), columns.ravel())), shape=(n, n))
    )
    resolvent = Resolvent(p, 0.999)
    rhs = rng.normal(size=n)
    solution = resolvent.solve(rhs)
    np.testing.assert_allclose(solution - 0.999 * (p @ solution), rhs, atol=1e-11 * np.abs(solution).max())
    assert "_lu" not in vars(resolvent)
