"""Reward laws: integrated CDFs against quadrature, moments against Monte Carlo, SciPy's kinds sorted correctly."""

import functools
import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from distrl.models.laws import FiniteLaw, LatticeLaw, Law, ScipyLaw, as_law
from distrl.models.laws.closed_forms import CLOSED_FORMS
from distrl.models.laws.table_building import table_from_cdf

pytestmark = pytest.mark.fast

EPS = np.finfo(np.float64).eps

CLOSED = [
    stats.norm(1.0, 2.0),
    stats.uniform(-1.0, 3.0),
    stats.expon(0.5, 2.0),
    stats.gamma(0.7, loc=-1.0, scale=1.5),
    stats.chi2(3.0),
    stats.beta(0.6, 2.5, loc=1.0, scale=4.0),
    stats.t(3.0, loc=1.0, scale=0.5),
    stats.laplace(-1.0, 2.0),
    stats.logistic(0.0, 0.7),
    stats.lognorm(0.8, loc=1.0),
    stats.pareto(3.0, scale=2.0),
    stats.weibull_min(1.7, scale=3.0),
    stats.triang(0.3, loc=-1.0, scale=2.0),
    stats.triang(0.0),
    stats.triang(1.0),
    stats.truncnorm(-1.0, 2.5, loc=0.5, scale=2.0),
    stats.halfnorm(1.0, 3.0),
]
QUADRATURE = [
    stats.gumbel_r(0.0, 1.5),
    stats.truncnorm(6.0, 8.0),  # its closed form would cancel
    stats.genextreme(0.2),
    stats.moyal(1.0, 0.5),
    stats.exponnorm(1.5),
    stats.rv_histogram(np.histogram(np.array([0.0, 1, 1, 2, 5]), bins=5))(),
]


@functools.cache
def law_of(frozen: Any) -> Law:
    return as_law(frozen, "law")  # one quadrature table for all tests


def quad_put(frozen: Any, k: float) -> tuple[float, float]:
    """int_{-inf}^k F and quad's error estimate."""
    low, high = frozen.support()
    if k <= low:
        return 0.0, 0.0
    knots = [low] if math.isfinite(low) else [-np.inf]
    knots += sorted({float(q) for q in frozen.ppf([1e-4, 0.1, 0.5, 0.9, 0.999])} | ({high} if high < k else set()))
    inside = [x for x in knots if x < k] + [k]
    parts = [
        integrate.quad(frozen.cdf, a, b, epsabs=1e-13, epsrel=1e-12, limit=200) for a, b in itertools.pairwise(inside)
    ]
    return math.fsum(v for v, _ in parts), math.fsum(e for _, e in parts)


def probes(frozen: Any) -> list[float]:
    low, high = frozen.support()
    ends = [bound for bound in (low, high) if math.isfinite(bound)]
    beyond = [b + s for b in ends for s in (-1.0, 0.0, 1.0)]
    return [*(float(q) for q in frozen.ppf([1e-3, 0.05, 0.3, 0.5, 0.8, 0.99])), *beyond]


def test_every_closed_form_is_tested() -> None:
    assert {frozen.dist.name for frozen in CLOSED} == set(CLOSED_FORMS)


@pytest.mark.parametrize("frozen", CLOSED + QUADRATURE, ids=lambda frozen: frozen.dist.name)
def test_put_is_the_integral_of_the_cdf(frozen: Any) -> None:
    law = law_of(frozen)
    for k in probes(frozen):
        expected, error = quad_put(frozen, k)
        # SciPy's CDFs are good to 1e-13 or so; a law without closed form states its own error
        assert abs(float(law.put(k)) - expected) <= error + 1e-12 * (1 + abs(k)) + law.put_error(abs(k))


@pytest.mark.parametrize("frozen", CLOSED + QUADRATURE, ids=lambda frozen: frozen.dist.name)
def test_put_and_stop_loss_differ_by_the_distance_to_the_mean(frozen: Any) -> None:
    law = law_of(frozen)
    k = np.array(probes(frozen))
    gap = law.put(k) - law.stop_loss(k) - (k - law.mean)
    # a heavy upper tail is left out of a quadrature table beyond the mass 1e-15
    assert np.abs(gap).max() <= 1e-12 * (1 + np.abs(k).max())
    assert (law.put(k) >= 0).all()
    assert (law.stop_loss(k) >= 0).all()


@pytest.mark.parametrize("frozen", CLOSED, ids=lambda frozen: frozen.dist.name)
def test_closed_forms_and_the_quadrature_table_agree(frozen: Any) -> None:
    law = law_of(frozen)
    assert isinstance(law, ScipyLaw) and law._table is None
    table = table_from_cdf(frozen.cdf, frozen.sf, frozen.support(), "law", frozen.ppf([0.25, 0.5, 0.75]))
    k = np.concatenate([probes(frozen), frozen.ppf(np.linspace(0.01, 0.99, 37))])
    bound = np.array([law.put_error(abs(float(x))) for x in k]) + table.error
    # 1e-12: the CDF and the mean of SciPy
    assert (np.abs(law.put(k) - table.put(k)) <= bound + 1e-12 * (1 + np.abs(k))).all()


@pytest.mark.parametrize("frozen", CLOSED + QUADRATURE, ids=lambda frozen: frozen.dist.name)
def test_put_is_nondecreasing_convex_and_one_lipschitz(frozen: Any) -> None:
    law = law_of(frozen)
    k = np.linspace(*frozen.ppf([1e-3, 1 - 1e-3]), 201)
    slopes = np.diff(law.put(k)) / np.diff(k)
    noise = 2 * law.put_error(float(np.abs(k).max())) / (k[1] - k[0]) + 1e-12
    assert (np.diff(slopes) >= -2 * noise).all()
    assert slopes.min() >= -noise
    assert slopes.max() <= 1 + noise


@pytest.mark.parametrize("frozen", CLOSED, ids=lambda frozen: frozen.dist.name)
def test_the_upper_side_keeps_its_digits(frozen: Any) -> None:
    law = law_of(frozen)
    t = np.array([1e-3, 1e-12, 1e-18])
    np.testing.assert_allclose(law.upper_quantile(t), frozen.isf(t))
    assert (law.survival(law.upper_quantile(t[:1])) > 0).all()
    np.testing.assert_allclose(law.survival(law.upper_quantile(t[:2])), t[:2], rtol=1e-3)


# ---- finite laws


@st.composite
def rationals(draw: st.DrawFn) -> tuple[list[Fraction], list[Fraction]]:
    n = draw(st.integers(1, 7))
    eighths = draw(st.lists(st.integers(-80, 80), min_size=n, max_size=n))
    counts = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n).filter(any))
    return [Fraction(e, 8) for e in eighths], [Fraction(c, sum(counts)) for c in counts]


# sums of at most 7 products of numbers up to 10^3 (third moments)
TOLERANCE = 7 * 1e3 * 4 * EPS


@given(rationals(), st.integers(-90, 90).map(lambda e: Fraction(e, 8)))
def test_a_finite_law_is_the_rational_one(law: tuple[list[Fraction], list[Fraction]], k: Fraction) -> None:
    values, masses = law
    pairs = list(zip(values, masses, strict=True))
    finite = FiniteLaw([float(v) for v in values], [float(m) for m in masses])
    zero = Fraction(0)
    mean = sum((v * m for v, m in pairs), zero)
    exact = {
        "mean": (finite.mean, mean),
        "variance": (finite.variance, sum((m * (v - mean) ** 2 for v, m in pairs), zero)),
        "put": (finite.put(float(k)), sum((m * max(k - v, zero) for v, m in pairs), zero)),
        "stop_loss": (finite.stop_loss(float(k)), sum((m * max(v - k, zero) for v, m in pairs), zero)),
        "cdf": (finite.cdf(float(k)), sum((m for v, m in pairs if v <= k), zero)),
        "cdf_left": (finite.cdf_left(float(k)), sum((m for v, m in pairs if v < k), zero)),
        "survival": (finite.survival(float(k)), sum((m for v, m in pairs if v > k), zero)),
        "third moment": (finite.moment(3), sum((m * v**3 for v, m in pairs), zero)),
    }
    for name, (got, expected) in exact.items():
        assert abs(float(got) - float(expected)) <= TOLERANCE, name
    positive = [v for v, m in pairs if m > 0]
    assert finite.support == (float(min(positive)), float(max(positive)))


@settings(max_examples=50)
@given(rationals(), st.integers(0, 60))
def test_a_finite_quantile_is_the_smallest_value_that_reaches_the_level(
    law: tuple[list[Fraction], list[Fraction]], k: int
) -> None:
    pairs = sorted((v, m) for v, m in zip(*law, strict=True) if m > 0)
    total, expected = Fraction(0), pairs[0][0]
    for v, m in pairs:
        total += m
        expected = v
        if total >= Fraction(k, 60):
            break
    finite = FiniteLaw([float(v) for v in law[0]], [float(m) for m in law[1]])
    assert float(finite.quantile(k / 60)) == float(expected)


def test_repeated_values_add_up_and_values_without_mass_go() -> None:
    law = FiniteLaw([2, 1, 2, 3], [0.25, 0.5, 0.25, 0.0])
    np.testing.assert_array_equal(law.values, [1, 2])
    np.testing.assert_array_equal(law.probs, [0.5, 0.5])
    assert law == FiniteLaw([1, 2])
    assert hash(law) == hash(FiniteLaw([1, 2]))
    assert repr(law) == "FiniteLaw([1.0, 2.0], [0.5, 0.5])"


@pytest.mark.parametrize(
    ("build", "error", "sentence"),
    [
        (lambda: FiniteLaw([]), ValueError, "at least one value"),
        (lambda: FiniteLaw([1, 2], [0.5, 0.6]), ValueError, "sums to 1.1"),
        (lambda: FiniteLaw([1, 2], [-0.5, 1.5]), ValueError, r"probs\[0\] is -0.5"),
        (lambda: FiniteLaw([1, 2], [1.0]), ValueError, r"must have shape \(2,\)"),
        (lambda: FiniteLaw([1, np.inf]), ValueError, r"values\[1\] is inf"),
        (lambda: FiniteLaw(["a"]), TypeError, "must hold real numbers"),
        (lambda: as_law("norm", "rewards[3]"), TypeError, r"rewards\[3\] is 'norm'"),
        (lambda: as_law(stats.norm, "rewards[3]"), TypeError, r"rewards\[3\] is not frozen"),
        (lambda: as_law(stats.cauchy(), "rewards[3]"), ValueError, r"rewards\[3\].* no finite mean"),
        (lambda: as_law(stats.pareto(0.9), "r"), ValueError, "no finite mean"),
        (lambda: as_law(stats.norm(0, -1), "r"), ValueError, "invalid parameters"),
        (lambda: as_law(stats.norm([0, 1]), "r"), ValueError, "no single mean"),
    ],
)
def test_what_is_no_law_is_refused_by_name(build: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        build()


# ---- discrete SciPy laws


@pytest.mark.parametrize("loc", [0.0, 0.1, 1 / 3, 0.7, -2.6, 1000.1])
def test_a_fractional_loc_shifts_a_discrete_law(loc: float) -> None:
    k = np.arange(-1, 40)
    probes = np.concatenate([k, k + 0.5])
    for frozen in (stats.binom(30, 0.4), stats.poisson(3.0), stats.geom(0.2)):
        plain, shifted = as_law(frozen, "r"), as_law(frozen.dist(*frozen.args, loc=loc), "r")
        # values of up to 1040 are summed and subtracted
        np.testing.assert_allclose(shifted.put(probes + loc), plain.put(probes), atol=1e4 * EPS)
        np.testing.assert_allclose(shifted.cdf(probes + loc), plain.cdf(probes), atol=32 * EPS)
        np.testing.assert_allclose(shifted.cdf_left(probes + loc), plain.cdf_left(probes), atol=32 * EPS)
        assert shifted.mean == pytest.approx(plain.mean + loc, abs=1e4 * EPS)


@pytest.mark.parametrize("frozen", [stats.poisson(3.0), stats.geom(0.2), stats.skellam(2.0, 3.0)])
def test_a_law_on_the_integers_has_its_put_as_a_sum(frozen: Any) -> None:
    law = as_law(frozen, "r")
    assert isinstance(law, LatticeLaw)
    integers = np.arange(-80, 250)
    masses = frozen.pmf(integers)
    for k in (-1.0, 0.0, 0.5, 3.0, 7.25, 40.0):
        expected = math.fsum(masses * np.maximum(k - integers, 0))
        # 120 cumulative masses, each good to some eps
        assert float(law.put(k)) == pytest.approx(expected, abs=120 * 4 * EPS)
        assert float(law.cdf(k)) == pytest.approx(math.fsum(masses[integers <= k]), abs=1e-13)
        assert float(law.cdf_left(k)) == pytest.approx(math.fsum(masses[integers < k]), abs=1e-13)


def test_finite_discrete_laws_become_finite_laws() -> None:
    dice = as_law(stats.randint(1, 7), "r")
    assert isinstance(dice, FiniteLaw)
    np.testing.assert_allclose(dice.probs, np.full(6, 1 / 6), rtol=1e-14)
    odd = as_law(stats.rv_discrete(values=([0.25, 7.5], [0.5, 0.5]))(loc=1.0), "r")
    assert odd == FiniteLaw([1.25, 8.5])


@pytest.mark.skipif(not hasattr(stats, "Binomial"), reason="SciPy's new discrete classes")
def test_scipys_new_discrete_classes_are_discrete() -> None:
    law = as_law(stats.Binomial(n=5, p=0.25), "r")
    assert isinstance(law, FiniteLaw)
    np.testing.assert_allclose(law.probs, stats.binom(5, 0.25).pmf(np.arange(6)), rtol=1e-12)


@pytest.mark.skipif(not hasattr(stats, "Normal"), reason="SciPy's new classes")
def test_scipys_new_continuous_classes_are_continuous() -> None:
    law = as_law(stats.Normal(mu=1.0, sigma=2.0), "r")
    old = as_law(stats.norm(1.0, 2.0), "r")
    k = np.linspace(-5, 7, 13)
    assert isinstance(law, ScipyLaw)
    assert law.variance == pytest.approx(4.0)
    assert np.abs(law.put(k) - old.put(k)).max() <= law.put_error(7.0) + 1e-12
    np.testing.assert_allclose(law.survival(k), old.survival(k), rtol=1e-12)
    np.testing.assert_allclose(law.upper_quantile(1e-20), old.upper_quantile(1e-20), rtol=1e-9)


# ---- identity, moments, sampling


def test_equal_keys_mean_equal_laws() -> None:
    assert as_law(stats.norm(0, 2), "r").key == as_law(stats.norm(0, 2.0), "r").key
    assert as_law(stats.norm(0, 2), "r").key != as_law(stats.norm(0, 3), "r").key
    low, high = (stats.rv_histogram(np.histogram(np.array([0.0, 1, 1, 2]) + s, bins=3))() for s in (0, 10))
    assert as_law(low, "r").key != as_law(high, "r").key


def test_a_borrowed_name_does_not_borrow_the_closed_form() -> None:
    class Square(stats.rv_continuous):  # type: ignore[misc]
        def _cdf(self, x: Any) -> Any:
            return x**2

    borrowed, normal = as_law(Square(a=0.0, b=1.0, name="norm")(), "r"), as_law(stats.norm(), "r")
    assert borrowed.key != normal.key
    assert float(borrowed.put(0.5)) == pytest.approx(0.5**3 / 3, rel=1e-12)


@pytest.mark.parametrize(
    ("frozen", "index"),
    [
        (stats.t(2.5), 2.5),
        (stats.pareto(3.0), 3.0),
        (stats.genpareto(0.4), 2.5),
        (stats.invgamma(2.5), 2.5),
        (stats.norm(), np.inf),
        (stats.lognorm(3.0), np.inf),
        (stats.laplace(), np.inf),
        (stats.uniform(), np.inf),
        (stats.poisson(2.0), np.inf),
    ],
    ids=lambda value: value.dist.name if hasattr(value, "dist") else str(value),
)
def test_the_tail_index_says_which_moments_are_finite(frozen: Any, index: float) -> None:
    law = as_law(frozen, "r")
    assert law.tail_index == pytest.approx(index, rel=1e-3)
    for order in (2, 3, 4):
        # SciPy answers nan, 0 or a negative number for many of the infinite ones
        assert (law.moment(order) < np.inf) == (order < index)


SAMPLED: list[Any] = [
    *CLOSED,
    QUADRATURE[0],
    QUADRATURE[-1],
    stats.poisson(3.0, loc=0.25),
    FiniteLaw([0, 1, 5], [0.5, 0.3, 0.2]),
]


@pytest.mark.parametrize("value", SAMPLED, ids=lambda v: v.dist.name if hasattr(v, "dist") else "finite")
def test_samples_have_the_mean_and_the_cdf_of_their_law(value: Any) -> None:
    law: Law = as_law(value, "r")
    n = 20_000
    draws = law.sample(n, np.random.default_rng(2024))
    assert draws.shape == (n,)
    np.testing.assert_array_equal(draws, law.sample(n, np.random.default_rng(2024)))
    # five standard errors, known from the law; then DKW at 1e-6
    assert abs(draws.mean() - law.mean) <= 5 * math.sqrt(law.variance / n)
    at = np.quantile(draws, np.linspace(0.02, 0.98, 25))
    empirical = np.searchsorted(np.sort(draws), at, side="right") / n
    assert np.abs(empirical - law.cdf(at)).max() <= math.sqrt(math.log(2e6) / (2 * n))


@pytest.mark.parametrize("value", [*CLOSED, QUADRATURE[0]], ids=lambda v: v.dist.name)
def test_a_standard_form_moved_and_scaled_is_the_law(value: Any) -> None:
    law = as_law(value, "r")
    standard, location, scale = law.standard_form()
    shapes = value.dist._parse_args(*value.args, **value.kwds)[0]
    moved, by, times = as_law(value.dist(*shapes, loc=7.0, scale=3.0), "r").standard_form()
    assert moved is standard and (by, times) == (7.0, 3.0)  # a family shares its law
    at = law.quantile(np.array([0.01, 0.3, 0.5, 0.77, 0.999]))
    np.testing.assert_allclose(standard.cdf((at - location) / scale), law.cdf(at), rtol=1e-9)
    np.testing.assert_allclose(location + scale * standard.mean, law.mean, rtol=1e-12, atol=1e-14)
    # SciPy's own draws, number by number
    rng, theirs = np.random.default_rng(5), np.random.default_rng(5)
    # to rounding where SciPy's inversion is done by a table
    draws = value.rvs(size=100, random_state=theirs)
    np.testing.assert_allclose(law.sample(100, rng), draws, rtol=1e-14, atol=1e-15)
    assert rng.random() == theirs.random()
