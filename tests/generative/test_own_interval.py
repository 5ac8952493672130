"""A method of intervals from outside: written with public names, taken by `Estimate.interval` like our own."""

import numpy as np
import pytest

import distrl
from distrl import MRP, CategoricalFixedPoint, EmpiricalMDP, evaluate
from distrl.generative import Bootstrap, Delta, Estimate, FiniteSample, IntervalMethod

MODEL = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
MEANS = np.array([6.5, 3.5])


class Chebyshev:
    """Every law with this standard error is within se / sqrt(1 - level) of its mean so often."""

    def interval(self, estimate, functional, level, states):
        half = estimate.standard_error(functional, states=states) / np.sqrt(1.0 - level)
        return functional.value(estimate.returns)[states, None] + half[:, None] * [-1.0, 1.0]


class ByHand:
    """The spread over models redrawn by hand, one after the other: for any method that solves them."""

    def __init__(self, repeats):
        self.repeats = repeats

    def interval(self, estimate, functional, level, states):
        rng, drawn = np.random.default_rng(0), []
        for _ in range(self.repeats):
            solution = evaluate(estimate.empirical.redrawn(rng), CategoricalFixedPoint(grid=estimate.returns.grid))
            drawn.append(functional.value(solution.returns)[states])
        return np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0).T


def few(samples=400, atoms=51, rng=0, **options):
    return distrl.estimate(MODEL, CategoricalFixedPoint(atoms), samples_per_state=samples, rng=rng, **options)


def test_an_interval_of_ones_own_is_what_it_says_and_holds_the_truth():
    assert isinstance(Chebyshev(), IntervalMethod)
    misses = 0
    for seed in range(20):
        est = few(rng=seed)
        ends = est.interval("mean", method=Chebyshev(), level=0.8)
        half = est.standard_error("mean") / np.sqrt(0.2)
        np.testing.assert_allclose(ends, est.values[:, None] + half[:, None] * [-1.0, 1.0], rtol=1e-12)
        misses += ((ends[:, 0] > MEANS) | (ends[:, 1] < MEANS)).sum()
    # Chebyshev's inequality: at most a fifth of 40 are missed on average; twice that has a chance below 1e-2 even if it
    # were attained, and normal errors are missed once in 40 at 2.2 standard errors
    assert misses <= 16


def test_a_method_of_ones_own_gets_functionals_states_and_levels():
    est = few()
    several = est.interval("cvar", [0.11, 0.5], method=Chebyshev())
    assert several.shape == (2, 2, 2)
    np.testing.assert_array_equal(several[:, 1], est.interval(distrl.CVaR(0.5), method=Chebyshev()))
    some = est.interval("cvar", 0.5, method=Chebyshev(), states=[1])
    np.testing.assert_allclose(some[0], several[1, 1], rtol=1e-9)
    seen = []

    class Seen:
        def interval(self, estimate, functional, level, states):
            seen.append((type(estimate), functional.name, functional.value(estimate.returns).tolist(), level))
            return np.tile([-1e9, 1e9], (len(states), 1))

    wide = est.interval("ks", method=Seen(), confidence=0.7)
    assert seen == [(Estimate, "ks", [0.0, 0.0], 0.7)]
    np.testing.assert_array_equal(wide, [[0.0, 1.0]] * 2)  # cut to what a Kolmogorov distance can be


def test_a_method_that_solves_redrawn_models_itself_agrees_with_the_bootstrap():
    """Both quantiles of 400 draws each: half-widths within a quarter, four times their standard error."""
    est = few(samples=100, atoms=31)
    mine = est.interval("std", method=ByHand(400), level=0.8)
    ours = est.interval("std", method=Bootstrap(resamples=400, numerical=False, rng=1), level=0.8)
    np.testing.assert_allclose(np.diff(mine), np.diff(ours), rtol=0.25)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("delta", Delta(simultaneous=True)),
        ("bootstrap", Bootstrap(simultaneous=True, resamples=20, rng=3)),
        ("finite-sample", FiniteSample()),
    ],
)
@pytest.mark.parametrize("functional", ["mean", "quantile", "ks"])
def test_our_methods_are_objects_too(name, method, functional):
    est, at = few(), 0.3 if functional == "quantile" else None
    options = {} if name == "finite-sample" else {"simultaneous": True}
    if name == "delta" and functional == "ks":
        method, options = Delta(simultaneous=True, resamples=20, rng=3), {**options, "resamples": 20, "rng": 3}
    if name == "bootstrap":
        options = {**options, "resamples": 20, "rng": 3}
    np.testing.assert_array_equal(
        est.interval(functional, at, method=method), est.interval(functional, at, method=name, **options)
    )


def test_what_was_never_seen_has_the_whole_range_whatever_a_method_says():
    log = [(0, 0, 1.0, 1, False), (0, 0, 0.0, 0, False), (1, 0, 2.0, 1, True), (1, 0, 1.0, 0, True)] * 3
    model = EmpiricalMDP(log, 0.5, actions=2, unvisited="unknown", reward_range=(0, 2))

    class Point:
        def interval(self, estimate, functional, level, states):
            return np.repeat(functional.value(estimate.returns)[states, None], 2, axis=1)

    est = distrl.estimate(model, CategoricalFixedPoint(21), [0, 1])  # state 0 leads to 1, where 1 was never taken
    np.testing.assert_array_equal(est.interval("mean", method=Point()), [[0.0, 4.0]] * 2)


def test_what_is_no_method_is_refused():
    est = few()

    class Short:
        def interval(self, estimate, functional, level, states):
            return np.zeros(2)

    for method, options, message in [
        (Short(), {}, "gave ends of shape"),
        (Chebyshev, {}, "create it"),
        (3, {}, "method must be one of delta, bootstrap, finite-sample, or a method object"),
        (Chebyshev(), {"resamples": 10}, "has its options"),
        (Chebyshev(), {"simultaneous": True}, "has its options"),
        (Delta(), {"numerical": False}, "has its options"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            est.interval("mean", method=method, **options)
