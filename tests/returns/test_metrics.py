"""Distances against SciPy, POT, rational couplings, quadrature and closed forms."""

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from distrl.models.laws import FiniteLaw
from distrl.returns import (
    CategoricalReturns,
    Grid,
    ParticleReturns,
    Returns,
    cramer,
    energy,
    kolmogorov,
    wasserstein,
)

pytestmark = pytest.mark.fast

EPS = np.finfo(np.float64).eps
MAGNITUDE = 16.0
# CDF differences carry the rounding of up to 16 masses, over a range of 32
TOLERANCE = 16 * EPS * 2 * MAGNITUDE

RationalLaw = list[tuple[Fraction, Fraction]]  # values (multiples of 1/8) and masses, sorted


@st.composite
def rationals(draw: st.DrawFn) -> RationalLaw:
    n = draw(st.integers(1, 8))
    eighths = draw(st.lists(st.integers(-128, 128), min_size=n, max_size=n))
    counts = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n).filter(any))
    return sorted((Fraction(e, 8), Fraction(c, sum(counts))) for e, c in zip(eighths, counts, strict=True))


def as_returns(law: RationalLaw) -> ParticleReturns:
    return ParticleReturns([float(v) for v, _ in law], [float(m) for _, m in law])


def coupling(a: RationalLaw, b: RationalLaw) -> list[tuple[Fraction, Fraction]]:
    """Masses and distances of the monotone coupling, exactly: every level where either quantile function jumps."""

    def quantile(law: RationalLaw, level: Fraction) -> Fraction:
        total = Fraction(0)
        for v, m in law:
            total += m
            if total >= level:
                return v
        raise AssertionError

    levels = {Fraction(0)}
    for law in (a, b):
        total = Fraction(0)
        for _, m in law:
            total += m
            levels.add(total)
    ladder = sorted(levels)
    return [(hi - lo, abs(quantile(a, hi) - quantile(b, hi))) for lo, hi in itertools.pairwise(ladder)]


@given(rationals(), rationals())
def test_wasserstein_1_agrees_with_scipy(a: RationalLaw, b: RationalLaw) -> None:
    x, y = as_returns(a), as_returns(b)
    expected = stats.wasserstein_distance(x.values, y.values, x.weights, y.weights)
    assert abs(float(wasserstein(x, y)) - expected) <= TOLERANCE


@given(rationals(), rationals(), st.integers(1, 5))
def test_wasserstein_p_is_the_cost_of_the_rational_coupling(a: RationalLaw, b: RationalLaw, p: int) -> None:
    cost = sum((m * d**p for m, d in coupling(a, b)), Fraction(0))
    # distances are 0 or at least 1/8 and masses 0 or at least 1/1600, so the p-th root has no bad conditioning
    assert float(wasserstein(as_returns(a), as_returns(b), p)) == pytest.approx(
        float(cost) ** (1 / p), rel=1e-11, abs=1e-12
    )


@given(rationals(), rationals())
def test_wasserstein_inf_is_the_longest_way_of_the_rational_coupling(a: RationalLaw, b: RationalLaw) -> None:
    longest = max(d for m, d in coupling(a, b) if m > 0)
    assert float(wasserstein(as_returns(a), as_returns(b), np.inf)) == float(longest)


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_wasserstein_agrees_with_pot(p: float) -> None:
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(3)
    x = ParticleReturns(rng.normal(size=(4, 30)), rng.dirichlet(np.ones(30), 4))
    y = ParticleReturns(rng.normal(size=(4, 50)), rng.dirichlet(np.ones(50), 4))
    # POT returns the p-th power
    powers = [ot.wasserstein_1d(x.values[s], y.values[s], x.weights[s], y.weights[s], p) for s in range(4)]
    plans = [
        ot.emd2_1d(x.values[s], y.values[s], x.weights[s], y.weights[s], metric="minkowski", p=p) for s in range(4)
    ]
    np.testing.assert_allclose(wasserstein(x, y, p), np.array(powers) ** (1 / p), rtol=1e-10)
    np.testing.assert_allclose(wasserstein(x, y, p), np.array(plans) ** (1 / p), rtol=1e-10)


@given(rationals(), rationals())
def test_energy_agrees_with_scipy(a: RationalLaw, b: RationalLaw) -> None:
    x, y = as_returns(a), as_returns(b)
    expected = stats.energy_distance(x.values, y.values, x.weights, y.weights)
    # SciPy's F - G is off by some eps where it is 0; a difference is 0 or at least 1/1600, so the root stays tame
    assert float(energy(x, y)) == pytest.approx(expected, rel=1e-10, abs=1e-12)
    assert float(cramer(x, y)) == pytest.approx(expected / math.sqrt(2), rel=1e-10, abs=1e-12)


@given(rationals(), rationals())
def test_kolmogorov_is_the_largest_rational_difference(a: RationalLaw, b: RationalLaw) -> None:
    def cdf(law: RationalLaw, x: Fraction) -> Fraction:
        return sum((m for v, m in law if v <= x), Fraction(0))

    expected = max(abs(cdf(a, x) - cdf(b, x)) for x, _ in a + b)
    assert abs(float(kolmogorov(as_returns(a), as_returns(b))) - float(expected)) <= 16 * EPS


def on_grid(rng: np.random.Generator, states: int, atoms: int) -> CategoricalReturns:
    return CategoricalReturns(Grid(-2, 3, atoms), rng.dirichlet(np.ones(atoms), states))


@pytest.mark.parametrize("states", [1, 3, 4, 7])
def test_a_shared_grid_gives_the_same_as_scipy(states: int) -> None:
    rng = np.random.default_rng(states)
    x, y = on_grid(rng, states, 40), on_grid(rng, states, 40)
    pairs = [(x.atoms, x.atoms, x.probs[s], y.probs[s]) for s in range(states)]
    tolerance = 40 * EPS * 5
    np.testing.assert_allclose(wasserstein(x, y), [stats.wasserstein_distance(*pair) for pair in pairs], atol=tolerance)
    np.testing.assert_allclose(energy(x, y), [stats.energy_distance(*pair) for pair in pairs], rtol=1e-10)
    largest = np.abs(np.cumsum(x.probs, axis=1) - np.cumsum(y.probs, axis=1)).max(axis=1)
    np.testing.assert_allclose(kolmogorov(x, y), largest, atol=tolerance)


@pytest.mark.parametrize("states", [1, 2, 4, 7])
def test_batches_on_any_supports_give_the_same_as_scipy(states: int) -> None:
    rng = np.random.default_rng(states)
    values = [
        np.sort(rng.integers(0, 60, size=(states, n)) / 8.0, axis=1) for n in (25, 25, 40)
    ]  # ties within, between
    weights = [rng.dirichlet(np.ones(v.shape[1]), states) for v in values]
    rows = [ParticleReturns(v, w) for v, w in zip(values, weights, strict=True)]
    grids = [CategoricalReturns(Grid(0.0, 7.0, 25), weights[0]), CategoricalReturns(Grid(0.5, 9.0, 40), weights[2])]
    uniform = [ParticleReturns(values[0]), ParticleReturns(values[1])]
    paired = [ParticleReturns(values[0], weights[0]), ParticleReturns(values[1], weights[0])]
    for x, y in ((rows[0], rows[2]), tuple(grids), tuple(uniform), tuple(paired), (grids[0], uniform[1])):
        sides = [
            [np.broadcast_to(part, (states, part.shape[-1])) for part in returns.support_weights()]
            for returns in (x, y)
        ]
        expected = [
            stats.wasserstein_distance(*(side[0][s] for side in sides), *(side[1][s] for side in sides))
            for s in range(states)
        ]
        np.testing.assert_allclose(wasserstein(x, y), expected, rtol=0, atol=65 * EPS * 9)
        np.testing.assert_allclose(wasserstein(y, x), expected, rtol=0, atol=65 * EPS * 9)


@pytest.mark.parametrize("metric", [wasserstein, cramer, energy, kolmogorov, lambda a, b: wasserstein(a, b, 2)])
def test_the_representation_does_not_matter(metric: Any) -> None:
    rng = np.random.default_rng(8)
    x, y = on_grid(rng, 6, 25), on_grid(rng, 6, 25)
    particles = ParticleReturns(np.tile(y.atoms, (6, 1)), y.probs)
    laws = [FiniteLaw(y.atoms, y.probs[s]) for s in range(6)]
    direct = metric(x, y)
    for other in (particles, laws, tuple(laws)):
        np.testing.assert_allclose(metric(x, other), direct, rtol=1e-11)
        np.testing.assert_allclose(metric(other, x), direct, rtol=1e-11)


def test_one_law_is_compared_with_every_state() -> None:
    rng = np.random.default_rng(9)
    x = on_grid(rng, 5, 12)
    for one in (x[2], ParticleReturns([0.5]), FiniteLaw([0.0, 1.0]), stats.norm(0, 1)):
        together = wasserstein(x, one)
        assert together.shape == (5,)
        np.testing.assert_array_equal(together, [wasserstein(x[s], one) for s in range(5)])
        np.testing.assert_array_equal(together, wasserstein(one, x))
    assert float(wasserstein(x, x[2])[2]) == 0.0
    assert wasserstein(x[0], [FiniteLaw([1.0])] * 3).shape == (3,)
    assert np.ndim(wasserstein(x[0], x[1])) == 0


def test_action_returns_take_nested_lists() -> None:
    rng = np.random.default_rng(10)
    x = ParticleReturns(rng.normal(size=(2, 3, 4)))
    laws = [[stats.norm(s, 1 + a) for a in range(3)] for s in range(2)]
    together = wasserstein(x, laws)
    assert together.shape == (2, 3)
    for s in range(2):
        for a in range(3):
            # a law is recognised by its parameters, so this one call is the same arithmetic
            assert together[s, a] == wasserstein(x[s, a], laws[s][a])


@settings(max_examples=30)
@given(rationals(), rationals(), rationals())
def test_the_axioms_of_a_distance_hold(a: RationalLaw, b: RationalLaw, c: RationalLaw) -> None:
    x, y, z = as_returns(a), as_returns(b), as_returns(c)
    metrics: list[Any] = [wasserstein, cramer, kolmogorov, energy]
    metrics += [lambda u, v, p=p: wasserstein(u, v, p) for p in (2, 3.5, np.inf)]
    for metric in metrics:
        assert metric(x, x) == 0.0
        assert metric(x, y) == pytest.approx(metric(y, x), rel=1e-12)
        assert metric(x, z) <= metric(x, y) + metric(y, z) + TOLERANCE


@settings(max_examples=30)
@given(rationals(), rationals())
def test_wasserstein_grows_with_p_up_to_the_sup(a: RationalLaw, b: RationalLaw) -> None:
    x, y = as_returns(a), as_returns(b)
    ladder = [float(wasserstein(x, y, p)) for p in (1, 1.5, 2, 7, 200, np.inf)]
    # the coupled masses sum to 1 up to some eps
    assert all(low <= high * (1 + 1e-12) + TOLERANCE for low, high in itertools.pairwise(ladder))


def test_values_equal_up_to_rounding_are_one_value() -> None:
    x, y = ParticleReturns([0.1 + 0.2, 1.0]), ParticleReturns([0.3, 1.0])
    assert float(kolmogorov(x, y)) == 0.0
    assert float(cramer(x, y)) == 0.0
    assert float(wasserstein(x, y)) <= EPS
    far = ParticleReturns([1e8, 1e8 + 1]), ParticleReturns([np.nextafter(1e8, 2e8), 1e8 + 1])
    assert float(kolmogorov(*far)) == 0.0


def test_ties_within_a_law_are_one_value_even_on_equal_supports() -> None:
    x, y = ParticleReturns([0.0, 1.0, 1.0], [0, 0, 1]), ParticleReturns([0.0, 1.0, 1.0], [0, 0.5, 0.5])
    for metric in (wasserstein, cramer, kolmogorov):
        assert float(metric(x, y)) == 0.0


def test_masses_equal_up_to_rounding_are_not_sent_across_the_range() -> None:
    # ten masses of a tenth sum to 1/2 and to 1 only up to rounding; sqrt(1e-16 * 1e6^2) would be 0.01
    x = ParticleReturns(np.repeat([0.0, 1e6], 5), np.full(10, 0.1))
    y = ParticleReturns([0.0, 1e6], [0.5, 0.5])
    for p in (2, 7, np.inf):
        assert float(wasserstein(x, y, p)) == 0.0


def test_extreme_magnitudes_stay_finite_and_are_never_nan() -> None:
    x, y = ParticleReturns([-1e300, 1e300]), ParticleReturns([1e300, 1e300])
    assert float(wasserstein(x, y, 2)) == pytest.approx(2e300 * math.sqrt(0.5))
    small = ParticleReturns([0.0, 1e-200]), ParticleReturns([0.0, 3e-200])
    assert float(wasserstein(*small, 2)) == pytest.approx(2e-200 * math.sqrt(0.5))
    assert float(kolmogorov(x, y)) == 0.5
    assert not np.isnan(cramer(x, y))


def test_rounding_below_zero_in_solver_output_is_harmless() -> None:
    noisy = CategoricalReturns.trusted(Grid(0, 2, 3), np.array([[-1e-16, 1.0, -1e-16]]))
    for p in (1, 2, np.inf):
        assert float(wasserstein(noisy, FiniteLaw([1.0]), p)[0]) <= 1e-15
        assert not np.isnan(wasserstein(noisy, stats.norm(1, 1), p)).any()
    assert not np.isnan(cramer(noisy, stats.norm(1, 1))).any()


# ---- against continuous laws

NORMAL = stats.norm(0.3, 1.7)


def test_a_point_at_the_mean_of_a_normal_law_has_the_closed_forms() -> None:
    x, sigma = ParticleReturns([0.3]), 1.7
    # W_p^p = E|R - mean|^p, the absolute moments of a normal law
    for p in (1, 1.5, 2, 3, 6):
        moment = 2 ** (p / 2) * math.gamma((p + 1) / 2) / math.sqrt(math.pi)
        assert float(wasserstein(x, NORMAL, p)) == pytest.approx(sigma * moment ** (1 / p), rel=1e-10)
    assert float(wasserstein(x, NORMAL, np.inf)) == np.inf
    assert float(kolmogorov(x, NORMAL)) == pytest.approx(0.5, rel=1e-14)
    # energy^2 = 2 E|R - mean| - E|R - R'|, and R - R' is normal with twice the variance
    squared = sigma * (2 * math.sqrt(2 / math.pi) - 2 / math.sqrt(math.pi))
    assert float(energy(x, NORMAL)) == pytest.approx(math.sqrt(squared), rel=1e-10)


@pytest.mark.parametrize("n", [1, 7, 400])
def test_midpoints_of_a_uniform_law_have_the_closed_forms(n: int) -> None:
    x = ParticleReturns(2 + 3 * (np.arange(n) + 0.5) / n)
    law = stats.uniform(2, 3)
    # every atom sits in the middle of an interval of length 3/n and mass 1/n; 1e-9: rounding of values near 5, over n
    assert float(wasserstein(x, law)) == pytest.approx(3 / (4 * n), rel=1e-11 * n)
    assert float(wasserstein(x, law, 2)) == pytest.approx(3 / (n * math.sqrt(12)), rel=1e-9)
    assert float(wasserstein(x, law, 3)) == pytest.approx(3 / (2 * n) / 4 ** (1 / 3), rel=1e-9)
    assert float(wasserstein(x, law, np.inf)) == pytest.approx(3 / (2 * n), rel=1e-11 * n)
    assert float(kolmogorov(x, law)) == pytest.approx(1 / (2 * n), rel=1e-11 * n)
    assert float(cramer(x, law)) == pytest.approx(math.sqrt(3 / 12) / n, rel=1e-9)


LAWS = [
    stats.norm(0.5, 2.0),
    stats.gamma(2.5),
    stats.uniform(-1, 4),
    stats.beta(0.5, 0.7, loc=-1, scale=3),
    stats.t(5),
    stats.laplace(1.0, 0.5),
    stats.gumbel_r(0.0, 1.0),  # no closed form of its put here
]


def mixed(seed: int) -> ParticleReturns:
    """Values inside and outside the bulk, ties, tiny and zero masses."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(size=6), [-9.0, 0.25, 0.25, 12.0]])
    weights = np.concatenate([rng.dirichlet(np.ones(6)) * (1 - 0.25 - 1e-6), [1e-6, 0.125, 0.125, 0.0]])
    return ParticleReturns(values, weights)


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
@pytest.mark.parametrize("law", [law for law in LAWS if law.dist.name != "beta"], ids=lambda law: law.dist.name)
def test_wasserstein_to_a_law_is_the_cost_of_sending_each_piece_of_its_density_to_an_atom(law: Any, p: float) -> None:
    x = mixed(1)
    cumulative = np.concatenate([[0.0], np.cumsum(x.weights)])
    kept = x.weights > 0
    # the pieces end at quantiles; the last at the end of the support, the mass there being 1 up to rounding
    starts, stops = law.ppf(cumulative[:-1][kept]), law.ppf(cumulative[1:][kept])
    stops[-1] = law.support()[1]
    costs = []
    for v, low, high in zip(x.values[kept], starts, stops, strict=True):
        knots = [low, *([v] if low < v < high else []), high]
        for a, b in itertools.pairwise(knots):
            costs.append(
                integrate.quad(lambda t, v=v: abs(v - t) ** p * law.pdf(t), a, b, limit=400, epsabs=1e-13, epsrel=1e-11)
            )
    power = math.fsum(cost for cost, _ in costs)
    # quad's own error estimate, largest at the infinite ends
    error = math.fsum(error for _, error in costs) / power
    assert error < 1e-7
    assert float(wasserstein(x, law, p)) == pytest.approx(power ** (1 / p), rel=error / p + 1e-9)


@pytest.mark.parametrize("p", [1, 1.5, 2, 4])
def test_wasserstein_to_a_bounded_law_is_the_integral_over_quantiles(p: float) -> None:
    x, law = mixed(1), stats.beta(0.5, 0.7, loc=-1, scale=3)  # its density has poles, its quantile function has none
    cumulative = np.unique(np.minimum(np.concatenate([[0.0], np.cumsum(x.weights), [1.0]]), 1.0))
    power = 0.0
    for low, high in itertools.pairwise(cumulative):
        v = float(x.quantile((low + high) / 2))
        split = float(law.cdf(v))
        knots = [low, *([split] if low < split < high else []), high]
        for a, b in itertools.pairwise(knots):
            power += integrate.quad(lambda u, v=v: abs(v - law.ppf(u)) ** p, a, b, epsrel=1e-11)[0]
    # epsrel and SciPy's quantiles, which are good to 1e-10
    assert float(wasserstein(x, law, p)) == pytest.approx(power ** (1 / p), rel=1e-9)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.dist.name)
def test_cramer_and_kolmogorov_to_a_law_are_those_of_the_cdfs(law: Any) -> None:
    x = mixed(2)

    def difference(t: Any) -> Any:
        return x.cdf(t) - law.cdf(t)

    bounds = law.ppf([1e-13, 0.01, 0.5, 0.99, 1 - 1e-13])
    knots = np.unique(np.concatenate([x.values, bounds]))
    pieces = [
        integrate.quad(lambda t: float(difference(t)) ** 2, a, b, epsabs=1e-14, epsrel=1e-12)[0]
        for a, b in itertools.pairwise(knots)
    ]
    assert float(cramer(x, law)) == pytest.approx(math.sqrt(math.fsum(pieces)), rel=1e-9)
    # on a fine mesh the sup is missed by at most the mesh's mass; at the atoms it is attained
    mesh = np.unique(np.concatenate([law.ppf(np.linspace(1e-6, 1 - 1e-6, 2001)), x.values, x.values - 1e-12]))
    sup = float(np.abs(difference(mesh)).max())
    assert sup <= float(kolmogorov(x, law)) + 1e-11
    assert float(kolmogorov(x, law)) <= sup + 1 / 2000


def test_wasserstein_2_keeps_its_digits_when_the_laws_are_close() -> None:
    n = 2000
    levels = np.arange(n + 1) / n
    q, density = stats.norm.ppf(levels), stats.norm.pdf(stats.norm.ppf(levels))
    x = ParticleReturns(-np.diff(density) * n)  # conditional means: W_2^2 = 1 - E V^2
    # the right side loses 1 / W_2^2 ~ 3e3 of its digits: 3e3 * n * eps relative at worst
    assert float(wasserstein(x, stats.norm(0, 1), 2)) == pytest.approx(
        math.sqrt(1.0 - math.fsum(x.values**2) / n), rel=1e-9
    )
    assert q[0] == -np.inf


def test_infinite_moments_give_infinite_distances() -> None:
    x = ParticleReturns([0.0, 1.0])
    for law in (stats.t(2.5), stats.pareto(2.5), stats.genpareto(0.4), stats.invgamma(2.5)):
        assert np.isfinite(wasserstein(x, law, 2))
        assert np.isfinite(wasserstein(x, law, 2.4))
        assert wasserstein(x, law, 2.6) == np.inf
        assert wasserstein(x, law, np.inf) == np.inf
    assert np.isfinite(wasserstein(x, stats.t(1.5)))
    assert wasserstein(x, stats.t(1.5), 2) == np.inf
    assert np.isfinite(wasserstein(x, stats.lognorm(3), 3))  # heavy, yet every moment is finite


def test_heavy_tails_have_their_closed_form() -> None:
    # the Pareto law against the point 1, its left end: W_p^p = E(R - 1)^p = b B(b - p, p + 1)
    for b, p in ((2.5, 2), (2.5, 1.5), (4.0, 3)):
        expected = (b * math.gamma(b - p) * math.gamma(p + 1) / math.gamma(b + 1)) ** (1 / p)
        assert float(wasserstein(ParticleReturns([1.0]), stats.pareto(b), p)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("law", [stats.poisson(3.0), stats.geom(0.2, loc=0.1), stats.skellam(3.0, 4.0)])
def test_a_law_on_the_integers_is_compared_through_its_masses(law: Any) -> None:
    x = ParticleReturns([-1.0, 0.0, 2.0, 5.5])
    integers = np.arange(-120, 200)
    masses = law.dist.pmf(integers, *law.args)
    values = integers + law.kwds.get("loc", 0.0)
    # masses beyond, and the rounding of the CDF, are below 1e-14, at distances below 200
    expected = stats.wasserstein_distance(x.values, values, x.weights, masses)
    assert float(wasserstein(x, law)) == pytest.approx(expected, abs=1e-11)
    assert float(energy(x, law)) == pytest.approx(stats.energy_distance(x.values, values, x.weights, masses), rel=1e-10)
    assert wasserstein(x, law, np.inf) == np.inf
    assert np.isfinite(wasserstein(x, law, 2))


def test_a_heavy_tail_of_integers_is_summed_in_linear_time() -> None:
    law = stats.zipf(3.5)  # a million values above 1e-16 of mass; SciPy's CDF there takes hours
    assert float(wasserstein(ParticleReturns([0.0]), law)) == pytest.approx(law.mean(), rel=1e-9)


def test_histogram_laws_are_not_confused_with_one_another() -> None:
    laws = [stats.rv_histogram(np.histogram(np.array([0.0, 1, 1, 2]) + s, bins=3))() for s in (0, 10)]
    x = ParticleReturns([[1.0], [11.0]])
    near, far = wasserstein(x, laws)
    assert near == pytest.approx(far, rel=1e-12)
    assert wasserstein(x, laws[::-1]).min() > 9


@settings(max_examples=20)
@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(0.1, 5))
@example(0.0, 1.0, 1.0)
def test_distances_scale_and_shift_with_the_unit_of_reward(shift: float, scale: float, spread: float) -> None:
    values = np.array([-1.0, 0.2, 0.7])
    x, moved = ParticleReturns(values), ParticleReturns(shift + scale * values)
    law, moved_law = stats.norm(0.1, spread), stats.norm(shift + scale * 0.1, scale * spread)
    # quadrature to 1e-10, or W_2 from terms 1e4 times its square
    assert float(wasserstein(moved, moved_law)) == pytest.approx(scale * wasserstein(x, law), rel=1e-9)
    assert float(wasserstein(moved, moved_law, 2)) == pytest.approx(scale * wasserstein(x, law, 2), rel=1e-9)
    assert float(cramer(moved, moved_law)) == pytest.approx(math.sqrt(scale) * cramer(x, law), rel=1e-9)
    assert float(kolmogorov(moved, moved_law)) == pytest.approx(kolmogorov(x, law), rel=1e-9)


class Unknown:
    pass


X: Returns = ParticleReturns(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: wasserstein(X, X[:2]), ValueError, r"a has batch shape \(3,\), b has \(2,\)"),
        (lambda: cramer(X, [stats.norm()] * 2), ValueError, r"b has \(2,\)"),
        (lambda: wasserstein(X, X, 0.5), ValueError, "p must be at least 1"),
        (lambda: wasserstein(X, X, np.nan), ValueError, "p must be at least 1"),
        (lambda: wasserstein(X, X, "two"), TypeError, "p must be a real number"),  # type: ignore[arg-type]
        (lambda: kolmogorov(X, 3.0), TypeError, "b is 3.0; expected Returns"),
        (lambda: energy(Unknown(), X), TypeError, "expected Returns, a distrl.FiniteLaw"),
        (lambda: wasserstein(X, [stats.norm(), 0.0, 1.0]), TypeError, r"b\[1\] is 0.0"),
        (lambda: wasserstein(X, [X[0]] * 3), TypeError, "a list holds laws"),
        (lambda: wasserstein(X, []), ValueError, "empty list"),
        (lambda: wasserstein(X, [[stats.norm()], stats.norm()]), ValueError, "same number of laws"),
        (lambda: wasserstein(X, stats.norm), TypeError, "not frozen"),
        (lambda: wasserstein(X, stats.cauchy()), ValueError, "no finite mean"),
        (lambda: wasserstein(stats.norm(), stats.norm(1)), TypeError, "both have infinitely many values"),
        (lambda: wasserstein(X, stats.zipf(2.1)), ValueError, "rescale it or cut its tail"),
    ],
)
def test_bad_operands_are_refused_by_name(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        call()


# ---- what decides that two values are one


def exact_distances(a: Any, b: Any) -> tuple[float, float, float]:
    """W1, Cramer, Kolmogorov of two lists of (value, mass) in rational arithmetic."""
    points = sorted({Fraction(v) for v, _ in (*a, *b)})
    first, second, largest = Fraction(0), Fraction(0), Fraction(0)
    for x, following in itertools.zip_longest(points, points[1:]):
        gap = sum((Fraction(m) for v, m in a if Fraction(v) <= x), Fraction(0))
        gap -= sum((Fraction(m) for v, m in b if Fraction(v) <= x), Fraction(0))
        largest = max(largest, abs(gap))
        if following is not None:
            first += abs(gap) * (following - x)
            second += gap * gap * (following - x)
    root = Fraction(math.isqrt(int(second * 4**1200)), 2**1200)
    return float(first), float(root), float(largest)


FAR_APART = [
    ([(0.0, 1.0), (1e99, 0.0)], [(1.0, 1.0)]),
    ([(-1e99, 0.0), (0.0, 1.0)], [(1.0, 1.0)]),
    ([(0.0, 0.5), (1e99, 0.5)], [(1.0, 0.5), (1e99, 0.5)]),
    ([(0.0, 0.5), (1e16, 0.5)], [(1e-3, 0.5), (1e16, 0.5)]),
    ([(1e-320, 1.0)], [(0.0, 1.0)]),
    ([(1e-300, 0.5), (1.0, 0.5)], [(0.0, 0.5), (1.0, 0.5)]),
    ([(1.0, 1.0)], [(1.0 + 1e-13, 1.0)]),
    ([(1e-200, 0.25), (3e-200, 0.75)], [(2e-200, 1.0)]),
    ([(-1.7e308, 0.5), (1.7e308, 0.5)], [(-1.7e308, 0.25), (1.7e308, 0.75)]),
    ([(1e300, 1.0)], [(1.5e300, 1.0)]),
    ([(5e-324, 1.0), (1e308, 0.0)], [(0.0, 1.0)]),
]


@pytest.mark.parametrize(("a", "b"), FAR_APART)
@pytest.mark.parametrize("rows", [1, 3])
def test_values_are_told_apart_whatever_else_the_range_holds(a: Any, b: Any, rows: int) -> None:
    x, y = (ParticleReturns(*(np.tile(column, (rows, 1)) for column in zip(*law, strict=True))) for law in (a, b))
    first, root, largest = exact_distances(a, b)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = [metric(x, y) for metric in (wasserstein, cramer, energy, kolmogorov)]
    for distance, exact in zip(found, (first, root, math.sqrt(2.0) * root, largest), strict=True):
        np.testing.assert_allclose(distance, exact, rtol=1e-14)
    if max(v for v, _ in a) <= 1e100:
        np.testing.assert_array_equal(kolmogorov(y, FiniteLaw(*zip(*a, strict=True))), largest)


def test_two_values_beside_a_huge_one_are_still_two() -> None:
    x, y = ParticleReturns([0.0, 1e308], [0.5, 0.5]), ParticleReturns([5e-324, 1e308], [0.5, 0.5])
    assert float(kolmogorov(x, y)) == 0.5


def test_atoms_without_mass_never_count() -> None:
    """Ten masses of a tenth sum to 1 up to rounding, which must not be multiplied by the way to an atom of none."""
    values, masses = np.linspace(0.0, 1.0, 10), np.full(10, 0.1)
    y = ParticleReturns([0.25, 0.5], [0.3, 0.7])
    plain = [float(metric(ParticleReturns(values, masses), y)) for metric in (wasserstein, cramer, kolmogorov)]
    for far in ([1e60], [-1e60], [-1e60, 1e60], [0.05, 0.25, 0.5, 1e9]):
        padded = ParticleReturns([*values, *far], [*masses, *np.zeros(len(far))])
        for other in (y, ParticleReturns([0.25, 0.5, 1e80], [0.3, 0.7, 0.0])):
            found = [float(metric(padded, other)) for metric in (wasserstein, cramer, kolmogorov)]
            np.testing.assert_allclose(found, plain, rtol=1e-13)
        for p in (2, np.inf):
            assert float(wasserstein(padded, y, p)) == float(wasserstein(ParticleReturns(values, masses), y, p))
    shared = [0.0, 0.1, 0.2, 0.3, 1e70]
    weights = ([0.1, 0.2, 0.3, 0.4, 0.0], [0.4, 0.3, 0.2, 0.1, 0.0])
    on_one = [ParticleReturns(shared, w) for w in weights]
    short = [ParticleReturns(shared[:4], w[:4]) for w in weights]
    for metric in (wasserstein, cramer, kolmogorov):
        assert float(metric(*on_one)) == pytest.approx(float(metric(*short)), rel=1e-13)
