"""Sketches: hats against categorical DP, indicators against a dense rounding down, smooth ones by their certificate."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl.dp.certificate import ParticleCertifier
from distrl.dp.sketch import SketchDP
from distrl.operators import CategoricalBellman
from distrl.operators.particle_targets import ParticleTargets
from distrl.operators.sketch import SketchBellman
from distrl.returns.sketch import Features, Gaussians, Hats, Indicators, Sigmoids, SketchReturns
from tests.oracles import rows_of

MODELS = {
    "garnet": distrl.environments.garnet(6, 2, 3, discount=0.9, rng=0).under("uniform"),
    "chain": distrl.environments.chain(5, 0.2, 0.95, step_reward=-1.0),
    "random rewards": distrl.MRP([[0.4, 0.6], [0.7, 0.3]], [distrl.FiniteLaw([0.0, 1.0, 4.0]), -1.0], 0.8),
}


@pytest.mark.parametrize("name", MODELS)
def test_hats_reproduce_categorical_dynamic_programming(name: str) -> None:
    model = MODELS[name]
    grid = distrl.Grid.covering(model, 33)
    sketch, categorical = SketchBellman(model, Hats(), grid), CategoricalBellman(model, grid)
    law = np.random.default_rng(0).dirichlet(np.ones(33), size=model.n_states)
    for _ in range(5):
        after = sketch(law)
        np.testing.assert_allclose(after, categorical(law), rtol=0, atol=1e-12)
        law = after
    solved = distrl.evaluate(model, SketchDP(Hats(), grid=grid), tol=1e-13)
    fixed = distrl.evaluate(model, distrl.CategoricalFixedPoint(grid=grid))
    np.testing.assert_allclose(solved.returns.embeddings, fixed.returns.probs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(solved.returns.masses, fixed.returns.probs, rtol=0, atol=1e-10)


def rounded_down(model: distrl.MRP, grid: distrl.Grid, probs: np.ndarray) -> np.ndarray:
    """One application that moves every value to the atom below it, by a double loop."""
    out = np.zeros_like(probs)
    for source, probability, successor, reward, terminal in rows_of(model):
        values = np.array([reward]) if terminal else reward + model.discount * grid.points
        masses = np.ones(1) if terminal else probs[successor]
        for value, mass in zip(values, masses, strict=True):
            place = (min(max(value, grid.low), grid.high) - grid.low) / grid.spacing
            out[source, int(np.floor(place + 1e-9))] += probability * mass
    return out


@pytest.mark.parametrize("name", MODELS)
def test_indicators_round_down(name: str) -> None:
    model = MODELS[name]
    grid = distrl.Grid.covering(model, 27)
    probs = np.random.default_rng(1).dirichlet(np.ones(27), size=model.n_states)
    for _ in range(4):
        survival = np.cumsum(probs[:, ::-1], axis=1)[:, ::-1]
        probs = rounded_down(model, grid, probs)
        expected = np.cumsum(probs[:, ::-1], axis=1)[:, ::-1]
        np.testing.assert_allclose(SketchBellman(model, Indicators(), grid)(survival), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("features", [Sigmoids(2.0), Gaussians(0.8)], ids=repr)
def test_smooth_features_come_near_the_truth_and_the_certificate_holds(features: Features) -> None:
    """The uniform law on [0, 2]: a fair coin at every step, discount 1/2."""
    solution = distrl.evaluate(distrl.environments.bernoulli(), SketchDP(features, 41))
    distance = float(distrl.wasserstein(solution.returns, [stats.uniform(0.0, 2.0)])[0])
    assert solution.status is distrl.Status.STEADY
    assert distance <= float(solution.certificate.w1[0])
    assert distance < 0.1  # one cell is .05


def test_an_imputed_law_is_the_law_where_features_tell_all() -> None:
    grid = distrl.Grid(0.0, 1.0, 9)
    masses = np.random.default_rng(3).dirichlet(np.ones(9), size=4)
    for features in (Hats(), Indicators(), Sigmoids(2.0), Gaussians(1.0)):
        returns = SketchReturns(features, grid, masses @ features(grid.points, grid))
        np.testing.assert_allclose(returns.masses, masses, rtol=0, atol=1e-6)


def test_learning_with_hats_is_categorical_td() -> None:
    model = MODELS["garnet"]
    grid = distrl.Grid.covering(model, 21)
    for sampling in ("synchronous", "generative", "trajectory"):
        options = {"step_size": 0.2, "updates": 40, "replications": 2, "sampling": sampling, "rng": 4}
        sketch = distrl.learn(model, distrl.td.SketchTD(Hats(), grid=grid, average_from=3), **options)
        plain = distrl.learn(model, distrl.CategoricalTD(grid=grid, average_from=3), **options)
        np.testing.assert_allclose(sketch.final.embeddings, plain.final.probs, rtol=0, atol=1e-12)


def test_laws_that_share_their_values_have_the_certificate_of_laws_that_do_not() -> None:
    model = MODELS["garnet"]
    grid = distrl.Grid.covering(model, 15)
    shared = distrl.CategoricalReturns(grid, np.random.default_rng(5).dirichlet(np.ones(15), size=model.n_states))
    own = distrl.ParticleReturns(np.tile(grid.points, (model.n_states, 1)), shared.probs)
    certifier = ParticleCertifier(model, ParticleTargets(model.outcomes, model.discount))
    np.testing.assert_array_equal(certifier.certify(shared).w1, certifier.certify(own).w1)


def test_what_cannot_be_sketched_is_refused_by_name() -> None:
    model = distrl.MRP([[1.0, 0.0], [0.0, 1.0]], [0.0, stats.norm(0, 1)], 0.5)
    with pytest.raises(ValueError, match="state 1 has infinitely many values"):
        distrl.evaluate(model, SketchDP(grid=distrl.Grid(-5.0, 5.0, 11)))
    with pytest.raises(TypeError, match="Sigmoids"):
        SketchDP("sigmoid")
    with pytest.raises(ValueError, match="slope must be positive"):
        Sigmoids(0.0)
    with pytest.raises(ValueError, match="21 anchors"):
        SketchReturns(Hats(), distrl.Grid(0.0, 1.0, 21), np.zeros((2, 4)))


@dataclass(frozen=True)
class Bare(Features):
    """Bumps that do not add up to a constant: nothing then holds the mass, which grows by a factor a sweep."""

    def of_places(self, places: np.ndarray, count: int) -> np.ndarray:
        return np.exp(-0.5 * ((places[..., None] - np.arange(count)) / 0.8) ** 2)


def test_an_iteration_that_diverges_says_so() -> None:
    model, grid = distrl.environments.bernoulli(), distrl.Grid(0.0, 2.0, 41)
    operator = SketchBellman(model, Bare(), grid)
    mean = 0.5 * (operator.coefficients(0.0) + operator.coefficients(1.0))
    assert max(abs(np.linalg.eigvals(mean))) > 1.0
    solution = distrl.evaluate(model, SketchDP(Bare(), grid=grid), throw=False)
    assert not solution.converged
    assert solution.status in (distrl.Status.STALLED, distrl.Status.MAX_ITERATIONS)
    assert np.isfinite(solution.values).all()
    with pytest.raises(distrl.ConvergenceError):
        distrl.evaluate(model, SketchDP(Bare(), grid=grid))


def test_a_learner_may_have_rewards_with_a_density() -> None:
    model = distrl.MRP([[1.0]], [stats.uniform(0.0, 1.0)], 0.5)
    rule = distrl.td.SketchTD(Sigmoids(2.0), grid=distrl.Grid(0.0, 2.0, 31))
    run = distrl.learn(model, rule, step_size=distrl.td.Polynomial(1.0, 0.7), updates=4000, replications=4, rng=0)
    assert np.abs(run.values[-1] - 1.0).max() < 0.1
