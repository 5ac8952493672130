"""Functionals of return laws against exact rational arithmetic, optimisation and Monte Carlo."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from distrl.returns import CategoricalReturns, Grid, ParticleReturns, Returns

pytestmark = pytest.mark.fast

EPS = np.finfo(np.float64).eps
MAGNITUDE = 16.0
# at most 8 products of numbers up to 16 are added, divided by levels of at least 1/40: 8 * 16 * 40 * eps ~ 1e-12
TOLERANCE = 8 * MAGNITUDE * 40 * EPS


class Rational(NamedTuple):
    """A law in exact arithmetic: values are multiples of 1/8 and so are floats too."""

    values: list[Fraction]
    masses: list[Fraction]

    def returns(self) -> ParticleReturns:
        return ParticleReturns([float(v) for v in self.values], [float(m) for m in self.masses])

    def pieces(self) -> list[tuple[Fraction, Fraction]]:
        return sorted(zip(self.values, self.masses, strict=True))

    def mean(self) -> Fraction:
        return sum((v * m for v, m in self.pieces()), Fraction(0))

    def cdf(self, x: Fraction) -> Fraction:
        return sum((m for v, m in self.pieces() if v <= x), Fraction(0))


@st.composite
def rationals(draw: st.DrawFn) -> Rational:
    n = draw(st.integers(1, 8))
    eighths = draw(st.lists(st.integers(-128, 128), min_size=n, max_size=n))
    counts = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n).filter(any))
    return Rational([Fraction(e, 8) for e in eighths], [Fraction(c, sum(counts)) for c in counts])


LEVELS = st.integers(1, 40).map(lambda k: Fraction(k, 40))


@given(rationals())
def test_mean_and_variance_are_the_rational_ones(law: Rational) -> None:
    returns = law.returns()
    variance = sum((m * (v - law.mean()) ** 2 for v, m in law.pieces()), Fraction(0))
    assert abs(float(returns.mean()) - float(law.mean())) <= TOLERANCE
    assert abs(float(returns.var()) - float(variance)) <= MAGNITUDE * TOLERANCE
    assert float(returns.std()) == np.sqrt(returns.var())


@given(rationals(), st.integers(-130, 130).map(lambda k: Fraction(k, 8)))
def test_cdf_and_stop_loss_are_the_rational_ones(law: Rational, x: Fraction) -> None:
    returns = law.returns()
    excess = sum((m * max(v - x, Fraction(0)) for v, m in law.pieces()), Fraction(0))
    assert abs(float(returns.cdf(float(x))) - float(law.cdf(x))) <= TOLERANCE
    assert abs(float(returns.stop_loss(float(x))) - float(excess)) <= TOLERANCE


@given(rationals(), st.integers(0, 60))
def test_quantile_is_the_smallest_value_that_reaches_the_level(law: Rational, k: int) -> None:
    # cumulative masses are j/K with K <= 40: they meet k/60 or miss it by 1/2400 or more, far above 1e-9
    level = Fraction(k, 60)
    positive = [(v, m) for v, m in law.pieces() if m > 0]
    expected = next(v for v, _ in positive if law.cdf(v) >= level)
    assert float(law.returns().quantile(float(level))) == float(expected)


def rational_cvar(law: Rational, level: Fraction) -> Fraction:
    left, total = level, Fraction(0)
    for v, m in law.pieces():
        total += min(m, left) * v
        left -= min(m, left)
    return total / level


@given(rationals(), LEVELS)
def test_cvar_takes_the_straddling_atom_in_part(law: Rational, level: Fraction) -> None:
    returns = law.returns()
    assert abs(float(returns.cvar(float(level))) - float(rational_cvar(law, level))) <= TOLERANCE
    mirrored = Rational([-v for v in law.values], law.masses)
    upper = float(returns.cvar(float(level), tail="upper"))
    assert abs(upper + float(rational_cvar(mirrored, level))) <= TOLERANCE


@given(rationals(), LEVELS)
def test_cvar_is_the_rockafellar_uryasev_maximum(law: Rational, level: Fraction) -> None:
    # CVaR = max_k k - E(k - Z)+ / level; the maximum of this concave piecewise linear function is at a value
    def objective(k: Fraction) -> Fraction:
        return k - sum((m * max(k - v, Fraction(0)) for v, m in law.pieces()), Fraction(0)) / level

    best = max(objective(k) for k in law.values)
    assert abs(float(law.returns().cvar(float(level))) - float(best)) <= TOLERANCE


@given(rationals(), st.sampled_from([-300.0, -1.0, -0.01, 0.01, 1.0, 300.0]))
def test_entropic_risk_is_the_log_sum_exp(law: Rational, beta: float) -> None:
    values, masses = np.array(law.values, dtype=float), np.array(law.masses, dtype=float)
    expected = special.logsumexp(beta * values, b=masses) / beta
    # the oracle's argument has an absolute error of eps * max(1, |beta| * 16), divided by beta
    assert abs(float(law.returns().entropic_risk(beta)) - expected) <= 32 * EPS * (1 / abs(beta) + MAGNITUDE)


@given(rationals(), st.floats(1e-12, 1e-7), st.booleans())
def test_entropic_risk_near_zero_is_mean_plus_half_beta_variance(law: Rational, size: float, negative: bool) -> None:
    beta = -size if negative else size
    returns = law.returns()
    expected = returns.mean() + beta * returns.var() / 2
    # the next term is beta^2 E(Z - EZ)^3 / 6
    assert abs(float(returns.entropic_risk(beta) - expected)) <= TOLERANCE + beta**2 * (2 * MAGNITUDE) ** 3
    assert float(returns.entropic_risk(0.0)) == float(returns.entropic_risk([0.0, beta])[0])


@given(rationals(), st.floats(1e-6, 1 - 1e-6))
def test_expectile_solves_its_equation(law: Rational, tau: float) -> None:
    values, masses = np.array(law.values, dtype=float), np.array(law.masses, dtype=float)

    def imbalance(e: float) -> float:
        return float(masses @ (tau * np.maximum(values - e, 0) - (1 - tau) * np.maximum(e - values, 0)))

    root = float(law.returns().expectile(tau))
    expected = optimize.brentq(imbalance, -MAGNITUDE - 1, MAGNITUDE + 1, xtol=1e-14, rtol=4 * EPS)
    # the equation has slope of at least min(tau, 1 - tau), evaluated with an error of TOLERANCE
    assert abs(root - expected) <= 1e-14 + TOLERANCE / min(tau, 1 - tau)


def test_the_half_expectile_is_the_mean_and_the_extremes_are_the_ends() -> None:
    returns = ParticleReturns([3.0, -1.0, 4.0, 1.5])
    assert float(returns.expectile(0.5)) == float(returns.mean())
    # within tau * (range) / (mass of the end), to first order in tau
    np.testing.assert_allclose(returns.expectile([1e-13, 1 - 1e-13]), [-1.0, 4.0], atol=1e-11)


@pytest.mark.parametrize(
    "ask", [lambda r: r.quantile([0.1, 0.9]), lambda r: r.cvar([0.1, 1.0]), lambda r: r.expectile([0.1, 0.9])]
)
def test_functionals_of_a_batch_are_those_of_its_laws(ask: object) -> None:
    assert callable(ask)
    rng = np.random.default_rng(7)
    grid = Grid(-1, 2, 9)
    batches: list[Returns] = [
        CategoricalReturns(grid, rng.dirichlet(np.ones(9), (3, 2))),
        ParticleReturns(rng.normal(size=(3, 2, 5))),
        ParticleReturns(rng.normal(size=(3, 2, 5)), rng.dirichlet(np.ones(5), (3, 2))),
    ]
    for batch in batches:
        together = ask(batch)
        assert together.shape == (3, 2, 2)
        for s in range(3):
            for a in range(2):
                np.testing.assert_array_equal(ask(batch[s, a]), together[s, a])


def test_scalar_arguments_give_the_batch_shape_and_arrays_add_an_axis() -> None:
    batch = ParticleReturns(np.random.default_rng(0).normal(size=(4, 6)))
    for ask in (batch.cdf, batch.quantile, batch.cvar, batch.entropic_risk, batch.expectile, batch.stop_loss):
        assert ask(0.5).shape == (4,)
        assert ask([0.25, 0.5, 0.75]).shape == (4, 3)
        assert ask(np.empty(0)).shape == (4, 0)
        assert np.ndim(getattr(batch[0], ask.__name__)(0.5)) == 0


def test_cdf_is_zero_below_and_one_above() -> None:
    law = ParticleReturns([1.0, 2.0], [0.25, 0.75])
    np.testing.assert_array_equal(law.cdf([-np.inf, 0.999, 1.0, 1.999, 2.0, np.inf]), [0, 0, 0.25, 0.25, 1, 1])


def test_quantile_ignores_rounding_of_the_cumulative_mass() -> None:
    law = ParticleReturns([1.0, 2.0, 3.0], [0.1, 0.2, 0.7])
    assert 0.1 + 0.2 > 0.3
    np.testing.assert_array_equal(law.quantile([0.1 + 0.2, 0.3, 0.3 + 1e-8]), [2, 2, 3])


def test_extreme_quantiles_look_past_the_noise_of_a_linear_solve() -> None:
    noisy = np.array([-1e-17, 1e-16, 0.5, 0.5, 1e-16])
    law = CategoricalReturns.trusted(Grid(0, 4, 5), noisy)
    np.testing.assert_array_equal(law.quantile([0.0, 1.0]), [2.0, 3.0])


def test_weights_of_minus_rounding_never_give_nan() -> None:
    noisy = np.array([[-1e-16, 1.0, -1e-16], [0.0, 0.0, 1.0]])
    batch = CategoricalReturns.trusted(Grid(0, 1, 3), noisy)
    for answer in (
        batch.mean(),
        batch.var(),
        batch.std(),
        batch.quantile([0, 0.5, 1]),
        batch.cvar([1e-12, 1.0]),
        batch.cvar([1e-12, 1.0], tail="upper"),
        batch.entropic_risk([-1e6, -1e-300, 0, 1e-300, 1e6, 1e300]),
        batch.expectile([1e-9, 0.5, 1 - 1e-9]),
        batch.stop_loss([-1, 0.5, 2]),
        batch.sample(5, 0),
    ):
        assert np.isfinite(answer).all()
    # a point mass has no spread: every functional is its value
    np.testing.assert_allclose(batch.entropic_risk([-1e6, 1e6]), [[0.5, 0.5], [1, 1]], rtol=1e-9)
    np.testing.assert_allclose(batch.var(), 0.0, atol=1e-15)


def test_sampling_follows_the_cdf() -> None:
    rng = np.random.default_rng(11)
    batch = ParticleReturns(rng.normal(size=(2, 7)), rng.dirichlet(np.ones(7), 2))
    n = 40_000
    draws = batch.sample(n, rng=5)
    assert draws.shape == (2, n)
    for s in range(2):
        empirical = np.searchsorted(np.sort(draws[s]), batch.values[s], side="right") / n
        # DKW: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2); at 1e-9
        assert np.abs(empirical - batch[s].cdf(batch.values[s])).max() <= np.sqrt(np.log(2e9) / (2 * n))


def test_sampling_is_reproducible_and_avoids_values_without_mass() -> None:
    batch = CategoricalReturns(Grid(0, 3, 4), [[0, 0.5, 0.5, 0], [0, 0, 1, 0]])
    draws = batch.sample(200, rng=3)
    np.testing.assert_array_equal(draws, batch.sample(200, rng=np.random.default_rng(3)))
    assert set(np.unique(draws[0])) == {1.0, 2.0}
    assert set(np.unique(draws[1])) == {2.0}
    assert batch.sample(0, rng=3).shape == (2, 0)
    assert batch[0].sample(3, rng=3).shape == (3,)


@settings(max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6))
def test_particles_are_sorted_with_their_weights(values: list[float]) -> None:
    weights = np.arange(1, len(values) + 1) / (len(values) * (len(values) + 1) / 2)
    law = ParticleReturns(values, weights)
    assert (np.diff(law.values) >= 0).all()
    for v in values:
        mass = sum(w for u, w in zip(values, weights, strict=True) if u == v)
        # a handful of numbers below 1 in another order
        assert abs(law.weights[law.values == v].sum() - mass) <= 8 * EPS


def test_uniform_weights_have_the_shape_of_the_values() -> None:
    batch = ParticleReturns(np.zeros((3, 4)))
    np.testing.assert_array_equal(batch.weights, np.full((3, 4), 0.25))
    assert batch[1].weights.shape == (4,)


def test_cdf_values_are_the_cdf_at_the_atoms() -> None:
    grid = Grid(-1, 1, 5)
    batch = CategoricalReturns(grid, np.random.default_rng(1).dirichlet(np.ones(5), 3))
    np.testing.assert_array_equal(batch.cdf_values[:, :-1], batch.cdf(grid.points)[:, :-1])
    assert batch.atoms is grid.points


def test_indexing_selects_states() -> None:
    batch = CategoricalReturns(Grid(0, 1, 2), [[1, 0], [0.5, 0.5], [0, 1]])
    assert len(batch) == 3
    assert [float(law.mean()) for law in batch] == [0, 0.5, 1]
    np.testing.assert_array_equal(batch[1:].mean(), [0.5, 1])
    np.testing.assert_array_equal(batch[[2, 0]].mean(), [1, 0])
    np.testing.assert_array_equal(batch[batch.mean() > 0.2].mean(), [0.5, 1])
    assert batch[-1].batch_shape == ()


def test_indexing_outside_the_batch_names_the_range() -> None:
    batch = ParticleReturns(np.zeros((3, 2, 4)))
    with pytest.raises(IndexError, match=r"states 0\.\.2 and actions 0\.\.1"):
        batch[3]
    with pytest.raises(IndexError, match=r"index \(0, 5\)"):
        batch[0, 5]
    with pytest.raises(IndexError, match="outside the batch"):
        batch[0, 0, 0]
    with pytest.raises(IndexError, match="does not select states"):
        batch[..., 0]
    with pytest.raises(IndexError, match="law of one state"):
        batch[0, 0][0]
    with pytest.raises(TypeError, match="no length"):
        len(batch[0, 0])


def test_repr_says_what_a_reader_wants() -> None:
    batch = CategoricalReturns(Grid(-1, 3, 5), np.full((4, 5), 0.2))
    assert repr(batch) == "CategoricalReturns(4 states, 5 atoms on [-1, 3])"
    assert repr(batch[0]) == "CategoricalReturns(one law, 5 atoms on [-1, 3], mean=1, std=1.41421)"
    assert repr(ParticleReturns(np.zeros((3, 2, 4)))) == "ParticleReturns(3 x 2 laws, 4 values each)"


def test_stored_arrays_are_copies_that_cannot_be_written() -> None:
    probs = np.array([[0.5, 0.5]])
    batch = CategoricalReturns(Grid(0, 1, 2), probs)
    probs[0] = 7.0
    np.testing.assert_array_equal(batch.probs, [[0.5, 0.5]])
    particles = ParticleReturns([[1.0, 0.0]], [[0.5, 0.5]])
    for array in (batch.probs, batch.cdf_values, batch.atoms, particles.values, particles.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


GRID = Grid(0, 1, 2)


@pytest.mark.parametrize(
    ("build", "error", "sentence"),
    [
        (lambda: CategoricalReturns(GRID, [[0.5, 0.5], [0.5, 0.6]]), ValueError, "probs of state 1 sum to 1.1, not 1"),
        (lambda: CategoricalReturns(GRID, [[-0.1, 1.1]]), ValueError, r"of state 0: entry 0 is -0.1"),
        (lambda: CategoricalReturns(GRID, [[[0.5, 0.5], [0.2, 0.2]]]), ValueError, "of state 0, action 1 sum to 0.4"),
        (lambda: CategoricalReturns(GRID, [0.2, 0.2]), ValueError, "probs sum to 0.4"),
        (lambda: CategoricalReturns(GRID, [0.2, 0.3, 0.5]), ValueError, "the grid's 2 atoms"),
        (lambda: CategoricalReturns(GRID, [[0.5, np.nan]]), ValueError, r"probs\[0, 1\] is nan"),
        (lambda: CategoricalReturns([0, 1], [0.5, 0.5]), TypeError, "grid must be a distrl.Grid"),  # type: ignore[arg-type]
        (lambda: ParticleReturns([[1.0, np.inf]]), ValueError, r"values\[0, 1\] is inf"),
        (lambda: ParticleReturns(np.empty((2, 0))), ValueError, "at least one value"),
        (lambda: ParticleReturns([1.0, 2.0], [0.5, 0.6]), ValueError, "weights sum to 1.1"),
        (lambda: ParticleReturns([1.0, 2.0], [1.0]), ValueError, "must be equal"),
    ],
)
def test_bad_laws_are_refused_by_name(build: object, error: type[Exception], sentence: str) -> None:
    assert callable(build)
    with pytest.raises(error, match=sentence):
        build()


@pytest.mark.parametrize(
    ("ask", "error", "sentence"),
    [
        (lambda r: r.quantile(1.5), ValueError, r"q must lie in \[0, 1\], got 1.5"),
        (lambda r: r.cvar(0.0), ValueError, r"level must lie in \(0, 1\], got 0"),
        (lambda r: r.cvar(0.1, tail="left"), ValueError, "tail must be"),
        (lambda r: r.expectile([0.5, 1.0]), ValueError, r"tau must lie in \(0, 1\), got 1"),
        (lambda r: r.entropic_risk(np.inf), ValueError, "beta is inf"),
        (lambda r: r.entropic_risk("much"), TypeError, "beta must hold real numbers"),
        (lambda r: r.cdf(np.nan), ValueError, "x is NaN"),
        (lambda r: r.stop_loss([[0.0]]), ValueError, "k must have 0 or 1 dimension"),
        (lambda r: r.sample(-1, 0), ValueError, "n must be at least 0"),
        (lambda r: r.sample(1, "seed"), TypeError, "rng must be"),
    ],
)
def test_bad_questions_are_refused_by_name(ask: object, error: type[Exception], sentence: str) -> None:
    assert callable(ask)
    with pytest.raises(error, match=sentence):
        ask(ParticleReturns([[0.0, 1.0]]))


# ---- values, weights and arguments at the ends of float64


def as_fractions(values: list[float], masses: list[float]) -> Rational:
    return Rational([Fraction(v) for v in values], [Fraction(m) for m in masses])


def root(square: Fraction) -> float:
    """sqrt as a float, whatever the size."""
    return float(Fraction(math.isqrt(int(square * 4**1300)), 2**1300))


EXTREMES = [
    ([1e100, 2e100, 5e100], [0.25, 0.25, 0.5]),
    ([-1e300, 1e300], [0.5, 0.5]),
    ([-1.7e308, 0.0, 1.7e308], [0.25, 0.5, 0.25]),
    ([1.7e308] * 5, [0.2] * 5),
    ([-1.7e308, -1.6e308], [0.1, 0.9]),
    ([1e-300, 3e-300], [0.5, 0.5]),
    ([0.0, 1e-310], [0.5, 0.5]),
    ([-1e-200, 1e200], [0.5, 0.5]),
    ([0.0, 1.0, 2.0], [5e-324, 0.5, 0.5]),
    ([0.0, 1.0, 1e300], [0.5, 0.5, 0.0]),
    ([-1e308, 3.0, 4.0], [0.0, 0.5, 0.5]),
    ([1e8, 1e8 + 1], [0.5, 0.5]),
]


@pytest.mark.parametrize(("values", "masses"), EXTREMES)
def test_functionals_at_the_ends_of_float64_neither_overflow_nor_lose_everything(
    values: list[float], masses: list[float]
) -> None:
    law, returns = as_fractions(values, masses), ParticleReturns(values, masses)
    inside = [v for v, m in zip(values, masses, strict=True) if m > 0]
    size, spread = max(map(abs, inside)), Fraction(max(inside)) - Fraction(min(inside))
    # a few roundings of the largest value; products of denormals lose digits absolutely
    room = 16 * EPS * size + 2e-323
    tiny = float(min(spread / 10**9, Fraction(1)))
    levels, points = [5e-324, 1e-300, 0.3, 0.75, 1.0], [0.0, min(values), max(values), -1e308, 1.75e308, tiny]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        mean, std, var = float(returns.mean()), float(returns.std()), float(returns.var())
        lower, upper = returns.cvar(levels), returns.cvar(levels, "upper")
        expectiles = returns.expectile([1e-300, 0.2, 0.5, 1 - 1e-16])
        loss, quantiles = returns.stop_loss(points), returns.quantile([0.1, 0.9])
        risk = returns.entropic_risk([-1.7e308, -1e200, 1e-320, 1e200, 1.7e308, 0.0])
    exact_mean = law.mean() / sum(law.masses)
    variance = sum((m * (v - exact_mean) ** 2 for v, m in law.pieces()), Fraction(0))
    assert abs(mean - float(exact_mean)) <= room
    assert std == pytest.approx(root(variance), rel=1e-12, abs=room)
    if variance > Fraction(np.finfo(float).max):
        assert var == np.inf
    else:
        assert var == pytest.approx(float(variance), rel=1e-12, abs=float(min(Fraction(room) ** 2, 10**300)) + 1e-320)
    for k, level in enumerate(levels):
        assert abs(float(lower[k]) - float(rational_cvar(law, Fraction(level) * sum(law.masses)))) <= room
        mirrored = Rational([-v for v in law.values], law.masses)
        assert abs(float(upper[k]) + float(rational_cvar(mirrored, Fraction(level) * sum(law.masses)))) <= room
    for k, point in enumerate(points):
        excess = sum((m * max(v - Fraction(point), Fraction(0)) for v, m in law.pieces()), Fraction(0))
        if excess < Fraction(np.finfo(float).max):
            assert float(loss[k]) == pytest.approx(float(excess), rel=16 * EPS, abs=2e-323)

    def imbalance(e: Fraction, tau: Fraction) -> Fraction:
        above = sum((m * max(v - e, Fraction(0)) for v, m in law.pieces()), Fraction(0))
        return tau * above - (1 - tau) * sum((m * max(e - v, Fraction(0)) for v, m in law.pieces()), Fraction(0))

    for e, tau in zip(expectiles, [1e-300, 0.2, 0.5, 1 - 1e-16], strict=True):  # falling in e, 0 at the expectile
        assert min(inside) <= float(e) <= max(inside)
        below, above = Fraction(float(e)) - 4 * Fraction(room), Fraction(float(e)) + 4 * Fraction(room)
        assert imbalance(below, Fraction(tau)) >= 0 >= imbalance(above, Fraction(tau))
    heavy = [v for v, m in zip(values, masses, strict=True) if m > 1e-15]
    assert quantiles.tolist() == [heavy[0], heavy[-1]]
    assert (np.array(min(inside)) <= risk).all() and (risk <= max(inside)).all()
    assert abs(float(risk[2]) - mean) <= room + 1e-320 * size * size if size < 1e150 else True
    if spread > Fraction(1, 10**100):  # beta * spread is beyond any logarithm of a mass
        np.testing.assert_allclose(risk[[0, 4]], [min(inside), max(inside)], rtol=1e-12, atol=room)


def test_entropic_risk_is_the_same_in_any_unit() -> None:
    values, masses = np.array([-1.0, 0.5, 2.0]), [0.2, 0.5, 0.3]
    betas = np.array([-40.0, -1.0, -1e-3, 0.1, 3.0, 700.0])
    plain = ParticleReturns(values, masses).entropic_risk(betas)
    for exponent in (-900, -300, 300, 900):
        unit = 2.0**exponent
        scaled = ParticleReturns(values * unit, masses).entropic_risk(betas / unit)
        np.testing.assert_allclose(scaled / unit, plain, rtol=1e-13)
