"""Denormal and tiny discounts, probabilities and rewards: right, finite, without a warning, with and without the JIT.

Kernels divide by discounts, spacings and masses; 1 / 5e-324 overflows. In the compiled part the infinity passes in
silence, in Python it warns: the tests run both ways.
"""

import warnings
from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import MRP, FiniteLaw

pytestmark = pytest.mark.fast

TINY = [5e-324, 1e-310, 2.2e-308, 1e-200, 1e-17]
P = [[0.5, 0.5], [0.25, 0.75]]
METHODS = [
    distrl.CategoricalFixedPoint(11),
    distrl.CategoricalFixedPoint(11, solver="krylov"),
    distrl.CategoricalFixedPoint(11, solver="direct"),
    distrl.CategoricalFixedPoint(11, solver="iterate"),
    distrl.CategoricalDP(11, 3),
    distrl.QuantileDP(11),
    distrl.QuantileDP(11, flat=0.5),
    distrl.ExpectileDP(3),
    distrl.ParticleDP(11),
    distrl.Brackets(11),
    distrl.Brackets(11, order="stochastic"),
    distrl.Moments(2),
]


def cases(tiny):
    """(what is tiny, transition matrix, rewards, discount)."""
    yield "discount", P, [1.0, -0.5], tiny
    yield "a discount where returns end", [[0.0, 1.0], [0.0, 1.0]], [1.0, 0.0], tiny
    yield "a probability", [[1.0 - tiny, tiny], [0.25, 0.75]], [1.0, -0.5], 0.5
    yield "all rewards", P, [tiny, -tiny / 2], 0.5
    yield "one reward", P, [1.0, tiny], 0.5
    yield "a difference of rewards", P, [1.0, 1.0 + tiny], 0.5
    yield "discount and reward", P, [tiny, 1.0], tiny


def exact_means(p, rewards, discount):
    """(I - discount P)^{-1} rewards of two states, in fractions of the floats given."""
    g = Fraction(discount)
    (a, b), (c, d) = [[(i == j) - g * Fraction(p[i][j]) for j in range(2)] for i in range(2)]
    x, y = (Fraction(reward) for reward in rewards)
    return [(x * d - y * b) / (a * d - b * c), (a * y - c * x) / (a * d - b * c)]


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("tiny", TINY)
def test_certified_intervals_hold_the_exact_mean_whatever_is_tiny(method, tiny):
    room = Fraction(2.3e-308)  # below, float64 keeps no relative accuracy
    for what, p, rewards, discount in cases(tiny):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            solution = distrl.evaluate(MRP(p, rewards, discount), method, max_iterations=10_000)
            ends = solution.interval("mean")
            text = solution.summary()
        assert np.isfinite(solution.values).all() and "nan" not in text, what
        assert solution.certificate is None or np.isfinite(solution.certificate.w1).all(), what
        for (low, high), mean in zip(ends, exact_means(p, rewards, discount), strict=True):
            assert Fraction(low) - room <= mean <= Fraction(high) + room, (what, low, high, float(mean))


@pytest.mark.parametrize("tiny", TINY)
def test_with_a_tiny_discount_the_return_is_the_reward_for_every_method(tiny):
    values = np.linspace(-1.0, 1.0, 40)
    laws = [FiniteLaw([0.0, 1.0], [0.25, 0.75]), FiniteLaw(values)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in METHODS[:9]:
            solution = distrl.evaluate(MRP(P, laws, tiny), method, max_iterations=10_000)
            distance = distrl.wasserstein(solution.returns, laws)
            assert (distance <= solution.certificate.w1 + 4 * tiny + 1e-14).all(), method


@pytest.mark.parametrize("tiny", TINY)
def test_a_value_of_tiny_probability_and_outcomes_that_end_with_one(tiny):
    laws = [FiniteLaw([0.0, 1.0], [tiny, 1.0 - tiny]), FiniteLaw([0.5])]
    ending = [(0, 0, tiny, 0, 1.0, True), (0, 0, 1.0 - tiny, 0, 0.5, False)]
    models = [MRP(P, laws, 0.5), distrl.MDP.from_outcomes(ending, 0.5).under("uniform")]
    means = [np.linalg.solve(np.eye(2) - 0.5 * np.array(P), [1.0, 0.5]), [1.0]]
    for model, mean in zip(models, means, strict=True):
        for method in METHODS:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                solution = distrl.evaluate(model, method, max_iterations=10_000)
            ends = solution.interval("mean")
            assert (ends[:, 0] <= np.asarray(mean) + 1e-14).all() and (np.asarray(mean) - 1e-14 <= ends[:, 1]).all()


@pytest.mark.parametrize("tiny", TINY)
def test_operators_learners_and_estimates_with_a_tiny_discount_are_those_with_none(tiny):
    grid = distrl.Grid(-1.0, 1.0, 9)
    models = [MRP(P, [0.7, FiniteLaw([-0.3, 0.4])], discount) for discount in (tiny, 0.0)]
    probs = np.full((2, 9), 1 / 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = []
        for model in models:
            bellman = distrl.operators.CategoricalBellman(model, grid)
            quantile = distrl.operators.QuantileBellman(model, 5)
            draws = distrl.operators.StochasticCDFBellman(model, grid)
            results = [
                bellman(probs),
                bellman.cdf(probs.cumsum(axis=1)),
                bellman.apply_to([FiniteLaw([0.1, 0.2]), FiniteLaw([0.0])]).probs,
                np.abs(bellman.matrix()).sum() * 0.0,
                quantile(np.tile(np.linspace(0.0, 1.0, 5), (2, 1))),
                draws.sample(3, rng=0),
                draws.local_variation(),
                draws.global_variation(),
            ]
            for method in (distrl.TD(), distrl.CategoricalTD(9, grid), distrl.QuantileTD(5), distrl.ExpectileTD(3)):
                run = distrl.learn(model, method, updates=5, rng=0)
                results.append(run.values)
            estimate = distrl.estimate(model, distrl.CategoricalFixedPoint(9, grid), samples_per_state=50, rng=0)
            results += [estimate.interval("mean"), estimate.interval("mean", method="bootstrap", rng=0)]
            found.append(results)
    for with_tiny, without in zip(*found, strict=True):
        np.testing.assert_allclose(with_tiny, without, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("scale", TINY)
def test_laws_of_tiny_values_are_those_of_ones_rescaled(scale):
    values, weights = np.array([0.0, 1.0, 3.0]), np.array([0.25, 0.5, 0.25])
    unit, small = distrl.ParticleReturns(values, weights), distrl.ParticleReturns(scale * values, weights)
    other, tiny = distrl.ParticleReturns(values + 1.0, weights), distrl.ParticleReturns(scale * (values + 1.0), weights)
    room = 4.0 * 5e-324
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, arguments in (
            ("std", ()),
            ("quantile", (0.5,)),
            ("cvar", (0.5,)),
            ("expectile", (0.3,)),
            ("mean", ()),
        ):
            got, expected = getattr(small, name)(*arguments), getattr(unit, name)(*arguments)
            assert abs(got - scale * expected) <= 1e-12 * abs(scale * expected) + room, name
        for p in (1, 2, np.inf):
            got, expected = distrl.wasserstein(small, tiny, p=p), distrl.wasserstein(unit, other, p=p)
            assert abs(got - scale * expected) <= 1e-12 * abs(scale * expected) + room, p
        assert distrl.kolmogorov(small, tiny) == pytest.approx(distrl.kolmogorov(unit, other), abs=1e-12)
        root = np.sqrt(scale) * distrl.cramer(unit, other)
        assert distrl.cramer(small, tiny) == pytest.approx(root, rel=1e-9)


def test_the_number_of_sweeps_of_any_discount():
    from distrl.dp.scales import enough_sweeps

    for discount in [*TINY, 1e-3, 0.3, 0.5, 0.7, 0.99, 0.99999]:
        count = enough_sweeps(discount, 1.0 / (1.0 - discount), 1e12)
        needed = np.log(1e12) / -np.log(discount)
        assert needed <= count <= 3.0 * needed + 100


@pytest.mark.parametrize("scale", [*TINY, 1e-160, 1e-150, 1e-140])
def test_moments_of_tiny_rewards_say_how_far_they_are_off(scale):
    # G = scale * sum of B_t / 2^t, B_t fair coins: uniform on [0, 2 scale]
    model = MRP([[1.0]], [FiniteLaw([0.0, scale])], 0.5)
    solution = distrl.evaluate(model, distrl.Moments(2))
    assert solution.converged
    assert abs(float(solution.returns.std()[0]) - scale / np.sqrt(3.0)) <= solution.bound + 5e-324
    assert abs(float(solution.values[0]) - scale) <= solution.bound + 5e-324
    two = distrl.evaluate(MRP(P, [scale, 0.0], 0.3), distrl.Moments(2))
    assert two.converged
