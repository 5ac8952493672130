"""Adjoints and influence against dense linear algebra, finite differences and the spread of repeated estimates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import dense_hat, rows_of
from scipy import stats

import distrl
from distrl import MDP, MRP, CategoricalFixedPoint, EmpiricalMRP, FiniteLaw, GenerativeModel, Grid, estimate
from distrl.generative.influence import adjoint_image, adjoints
from distrl.operators import CategoricalBellman
from distrl.returns.functionals import parse
from distrl.testing import strategies

FUNCTIONALS = [("mean", None), ("variance", None), ("cvar", 0.3), ("cdf", 1.7)]


def random_mrp(seed, n=3, discount=0.8):
    rng = np.random.default_rng(seed)
    return MRP(rng.dirichlet(np.ones(n), n), rng.uniform(size=(n, n)), discount)


@pytest.mark.fast
@given(st.data())
def test_the_adjoint_image_is_the_transposed_matrix(data):
    model = data.draw(strategies.mrps(max_states=3))
    grid = data.draw(strategies.grids(max_atoms=12))
    operator = CategoricalBellman(model, grid)
    rng = np.random.default_rng(0)
    given_rows = np.zeros((2, model.n_states, grid.atoms))
    given_rows[:, :, :-1] = rng.normal(size=(2, model.n_states, grid.atoms - 1))
    expected = given_rows[:, :, :-1].reshape(2, -1) @ operator.matrix()
    image = adjoint_image(operator, given_rows)
    np.testing.assert_allclose(image[:, :, :-1].reshape(2, -1), expected, atol=1e-12)
    assert (image[:, :, -1] == 0).all()


@pytest.mark.fast
@pytest.mark.parametrize("law", [FiniteLaw(np.random.default_rng(0).normal(size=60)), stats.norm(0.5, 0.3)])
def test_the_adjoint_goes_through_laws_on_many_values(law):
    model = MRP([[0.3, 0.7], [0.6, 0.4]], [law, 1.0], 0.9)
    operator = CategoricalBellman(model, Grid(-20, 20, 31))
    gradients = np.zeros((2, 31))
    gradients[:, :-1] = np.random.default_rng(1).normal(size=(2, 30))
    states = np.array([1, 0])
    solved = adjoints(operator, gradients, states)
    dense = np.eye(60) - operator.matrix().toarray()
    for k, state in enumerate(states):
        rhs = np.zeros((2, 30))
        rhs[state] = gradients[k, :-1]
        np.testing.assert_allclose(solved[k][:, :-1].ravel(), np.linalg.solve(dense.T, rhs.ravel()), atol=1e-9)


@pytest.mark.fast
@pytest.mark.parametrize(("name", "at"), FUNCTIONALS)
def test_the_adjoint_predicts_a_change_of_the_model(name, at):
    """d/de of the functional at (1 - e) P + e P', by one-sided differences of fixed points, is <lambda, T' F - F>."""
    here, there = random_mrp(0), random_mrp(1)
    grid = Grid(0, 5, 23)
    solve = CategoricalFixedPoint(grid=grid, solver="direct")
    functional = parse(name, at)

    def value(e):
        rows = [
            (state, weight * probability, successor, reward, terminal)
            for weight, model in ((1 - e, here), (e, there))
            for state, probability, successor, reward, terminal in rows_of(model)
        ]
        return functional.value(distrl.evaluate(MRP.from_outcomes(rows, 0.8), solve).returns)

    solution = distrl.evaluate(here, solve)
    gradients = functional.gradient(solution.returns, np.arange(3))
    solved = adjoints(CategoricalBellman(here, grid), gradients, np.arange(3))
    cdf = np.asarray(solution.returns.cdf_values)
    moved = CategoricalBellman(there, grid).cdf(np.clip(cdf, 0, 1)) - cdf
    predicted = (solved * moved).sum(axis=(1, 2))
    e = 1e-4
    second_order = (-3 * value(0.0) + 4 * value(e) - value(2 * e)) / (2 * e)
    np.testing.assert_allclose(predicted, second_order, rtol=2e-4, atol=1e-6)


@pytest.mark.fast
@pytest.mark.parametrize(("name", "at"), FUNCTIONALS)
def test_influence_is_the_dense_formula_outcome_by_outcome(name, at):
    rng = np.random.default_rng(3)
    rewards = [[FiniteLaw(rng.normal(size=4)), 0.5], [stats.norm(1, 1), FiniteLaw([0, 2])]]
    mdp = MDP(rng.dirichlet(np.ones(2), (2, 2)), rewards, 0.7, axes="ass")
    policy = np.array([[0.3, 0.7], [1.0, 0.0]])
    empirical = GenerativeModel(mdp).sample([[30, 20], [40, 10]], rng=0)
    grid = Grid(-8, 8, 33)
    est = estimate(empirical, CategoricalFixedPoint(grid=grid), policy)
    operator = CategoricalBellman(est.model, grid)
    dense = np.linalg.inv(np.eye(64) - operator.matrix().toarray()).T
    functional, probs = parse(name, at), np.asarray(est.returns.probs)
    drawn = empirical.samples
    for state in range(2):
        gradient = np.zeros((2, 32))
        gradient[state] = functional.gradient(est.returns, np.array([state]))[0, :-1]
        adjoint = (dense @ gradient.ravel()).reshape(2, 32)
        expected = np.zeros(4)
        for source in range(4):
            rows = np.flatnonzero(drawn.sources == source)
            values = []
            for row in rows:
                hats = dense_hat(drawn.rewards[row] + 0.7 * grid.points, grid.points)
                image = np.cumsum(probs[drawn.next_states[row]] @ hats)[:-1]
                values += [adjoint[source // 2] @ image] * drawn.counts[row]
            expected[source] = policy.ravel()[source] ** 2 * np.var(values, ddof=1)
        found = est.influence(name, at, state).variance[0]
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-14)
        error = np.sqrt((expected / drawn.totals).sum())
        assert est.standard_error(name, at, states=state)[0] == pytest.approx(error, rel=1e-8)


@pytest.mark.fast
def test_known_reward_laws_leave_only_the_successor_to_vary():
    law = stats.norm(1, 1)
    mrp = MRP([[0.4, 0.6], [0.5, 0.5]], [law, 0.0], 0.6)
    grid = Grid(-10, 12, 45)
    est = estimate(mrp, CategoricalFixedPoint(grid=grid), samples_per_state=200, rng=0, rewards="known")
    mean_of = est.values  # E[h | y] for the mean is r + g V(y), up to the adjoint's weight of the state
    p = est.model.continuation.toarray()
    steps = np.linalg.inv(np.eye(2) - 0.6 * p)
    spread = np.array([(p[x] @ (0.6 * mean_of) ** 2) - (p[x] @ (0.6 * mean_of)) ** 2 for x in range(2)])
    expected = steps[0] ** 2 * spread * 200 / 199
    np.testing.assert_allclose(est.influence("mean", state=0).variance[0], expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "at"), FUNCTIONALS)
def test_the_delta_variance_is_that_of_repeated_estimates(name, at):
    model, grid, functional = random_mrp(4, discount=0.7), Grid(0, 10 / 3, 25), parse(name, at)
    source, method = GenerativeModel(model), CategoricalFixedPoint(grid=grid, solver="direct")
    rng, count = np.random.default_rng(0), 300
    runs = [estimate(source, method, samples_per_state=300, rng=rng) for _ in range(count)]
    values = np.array([functional.value(run.returns) for run in runs])
    predicted = np.mean([run.standard_error(name, at) ** 2 for run in runs[:20]], axis=0)
    # a sample variance of n normals has relative sd sqrt(2 / n): four of them, and 5% for the second order
    assert np.abs(values.var(axis=0, ddof=1) / predicted - 1).max() < 4 * np.sqrt(2 / count) + 0.05


@pytest.mark.fast
def test_cvar_at_a_value_of_the_cdf_has_no_derivative():
    log = EmpiricalMRP([(0, 0.0, 0, True), (0, 1.0, 0, True)], 0.5)
    est = estimate(log, CategoricalFixedPoint(grid=Grid(0, 1, 2)))
    assert est.returns.probs[0].tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="no derivative at state 0"):
        est.interval("cvar", 0.5)
    assert np.isfinite(est.interval("cvar", 0.5, method="bootstrap", rng=0, resamples=20)).all()
