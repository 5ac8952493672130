"""Every family of scipy.stats, frozen and of the new kind: right, or refused in a sentence.

The oracle shares no code with the laws: integrals of the density, SciPy's own CDF and quantiles at points, draws.
CPU seconds of each family are recorded as a property of its test (`--junit-xml`) and printed (`-rP`).
"""

import math
import pickle
import time
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

import distrl
from distrl import MRP, CategoricalFixedPoint, Grid, evaluate
from distrl.models.laws import FiniteLaw, LatticeLaw, Law, ScipyLaw, as_law

params = pytest.importorskip("scipy.stats._distr_params")
pytestmark = pytest.mark.slow

NO_MEAN = "no finite mean"
REFUSED = {
    "alpha": NO_MEAN,
    "cauchy": NO_MEAN,
    "foldcauchy": NO_MEAN,
    "halfcauchy": NO_MEAN,
    "kappa3": NO_MEAN,
    "landau": NO_MEAN,
    "levy": NO_MEAN,
    "levy_l": NO_MEAN,
    "skewcauchy": NO_MEAN,
    # SciPy's CDF is 0 and 1 from some point on: it has cut the tails off, which its mean has not
    "levy_stable": "contradicts itself",
    "studentized_range": "a value of its CDF takes",
    "vonmises": "a law on the circle",
}
SLOW_DENSITIES = ("ksone", "kstwo")
MOST_EVALUATIONS = 5_000
#: Refused, but only after some ten seconds of SciPy's own quadrature.
LONG = ("skewcauchy",)


def families(kind: list[Any]) -> list[Any]:
    counts: dict[str, int] = {}
    found = []
    for name, shapes in kind:
        if isinstance(name, str):
            counts[name] = counts.get(name, 0) + 1
            late = [pytest.mark.nightly] if name in LONG else []
            found.append(pytest.param(name, tuple(shapes), id=f"{name}-{counts[name]}", marks=late))
    return found


CONTINUOUS, DISCRETE = families(params.distcont), families(params.distdiscrete)


def read(frozen: Any, record_property: Any) -> Law | None:
    """The law, or None where it is refused as it should be."""
    started = time.process_time()
    try:
        law = as_law(frozen, "the law")
    except ValueError as error:
        name = frozen.dist.name
        assert name in REFUSED, f"{name} is refused: {error}"
        assert REFUSED[name] in str(error) and str(error).startswith("the law: ")
        return None
    finally:
        seconds = time.process_time() - started
        record_property("cpu_seconds", seconds)
        print(f"{frozen.dist.name}: {seconds:.3f} s of CPU")
    assert frozen.dist.name not in REFUSED or frozen.dist.name == "studentized_range", "no longer refused"
    return law


def by_cdf(frozen: Any, marks: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same by Simpson's rule for the CDF of a law with compact support, whose density takes too long."""
    x = np.linspace(marks[0], marks[-1], 401)
    heights = frozen.cdf(x)
    puts = []
    for step in (1, 2):
        table = integrate.cumulative_simpson(heights[::step], x=x[::step], initial=0)
        puts.append(np.interp(k, x[::step], table))
    doubt = np.abs(puts[0] - puts[1]) + (x[1] - x[0]) ** 2  # of Simpson's rule and of the interpolation
    return puts[0], puts[0] - (k - (marks[-1] - integrate.simpson(heights, x=x))), np.append(doubt, [1.0, 0.0])


def by_density(frozen: Any, marks: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int (k - x)+ pdf and int (x - k)+ pdf by tanh-sinh between the marks, the masses, and the doubt about them."""
    a, b = marks[:-1, None], marks[1:, None]

    def pdf(x: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(frozen.pdf(x))
        except OverflowError:  # of ncf, at some points far away
            return np.array([pdf(point) for point in np.ravel(x)]).reshape(x.shape) if np.ndim(x) else np.zeros(())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distance = integrate.tanhsinh(lambda x, k: (x - k) * pdf(x), a, b, args=(k,), maxlevel=8)
        mass = integrate.tanhsinh(pdf, a[:, 0], b[:, 0], maxlevel=8)
    below = np.maximum(-distance.integral, 0.0).sum(axis=0)  # no mark lies between a piece and its k
    above = np.maximum(distance.integral, 0.0).sum(axis=0)
    return below, above, np.append(distance.error.sum(axis=0), [mass.integral.sum(), mass.error.sum()])


@pytest.fixture(autouse=True)
def however_busy_the_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A law that is right within seconds is read, or refused for what it is, also where seconds become longer."""
    if "studentized_range" not in request.node.name:  # which is refused for its cost
        monkeypatch.setattr("distrl.models.laws.sides._LONGEST", 120.0)


@pytest.mark.parametrize(("name", "shapes"), CONTINUOUS)
def test_a_continuous_family_is_right_or_refused_in_a_sentence(
    name: str, shapes: tuple[float, ...], record_property: Any
) -> None:
    frozen = getattr(stats, name)(*shapes)
    law = read(frozen, record_property)
    if law is None:
        return
    assert isinstance(law, ScipyLaw)
    if law._table is not None:
        assert law._table.evaluations <= MOST_EVALUATIONS
    levels = np.array([0.001, 0.05, 0.3, 0.5, 0.8, 0.97, 0.999])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        at = np.asarray(frozen.ppf(levels))
        # SciPy's root finder is good to some 1e-9 of the law's width
        width = at[-1] - at[0]
        np.testing.assert_allclose(law.cdf(at), frozen.cdf(at), atol=1e-8)
        np.testing.assert_allclose(law.quantile(levels), at, atol=1e-4 * width)
        np.testing.assert_allclose(frozen.cdf(law.quantile(levels)), levels, atol=1e-7)
        np.testing.assert_allclose(law.survival(at), frozen.sf(at), atol=1e-8)
        np.testing.assert_allclose(law.upper_quantile(1 - levels), at, atol=1e-4 * width)
    k = at[[1, 3, 5]]
    oracle = by_cdf if name in SLOW_DENSITIES else by_density
    below, above, (*doubts, mass, doubt) = oracle(frozen, np.unique(np.concatenate([at, law.support])), k)
    assert abs(mass - 1.0) <= 1e-6 + doubt, "the oracle fails"
    spread = 2.0 * float(law.put(law.mean))
    room = 1e-6 * spread + law.error + 1e-6 * width + np.array(doubts)
    heavy = 0.02 * spread if law.tail_index < 2.2 else 0.0  # tanh-sinh stops at the floats' end
    assert (np.abs(law.put(k) - below) <= room).all()
    assert (np.abs(law.stop_loss(k) - above) <= room + heavy).all()
    np.testing.assert_array_equal(law.cdf(at), law.cdf_left(at))
    draws = law.sample(4000, np.random.default_rng(7))
    assert stats.kstest(draws, lambda x: law.cdf(x)).pvalue > 1e-9
    again = pickle.loads(pickle.dumps(law))
    np.testing.assert_array_equal(again.put(at), law.put(at))
    assert again.key == law.key


@pytest.mark.parametrize(("name", "shapes"), DISCRETE)
def test_a_discrete_family_is_right_or_refused_in_a_sentence(
    name: str, shapes: tuple[Any, ...], record_property: Any
) -> None:
    frozen = getattr(stats, name)(*shapes)
    law = read(frozen, record_property)
    assert isinstance(law, FiniteLaw)
    low, high = frozen.support()
    assert isinstance(law, LatticeLaw) == (not math.isfinite(high - low))
    k = np.arange(max(low, -60), min(high, 90) + 1)
    np.testing.assert_allclose(law.cdf(k), frozen.cdf(k), atol=1e-9)
    np.testing.assert_array_equal(law.cdf(k + 0.5), law.cdf(k))  # nothing between two values
    np.testing.assert_array_equal(law.cdf_left(k + 1e-3), law.cdf(k))
    np.testing.assert_allclose(law.cdf(k) - law.cdf_left(k), frozen.pmf(k), atol=1e-9)
    assert law.mean == pytest.approx(float(frozen.mean()), rel=1e-9, abs=1e-9)
    assert law.variance == pytest.approx(float(frozen.var()), rel=1e-6)
    levels = np.array([0.02, 0.31, 0.5, 0.77, 0.993])
    np.testing.assert_array_equal(law.quantile(levels), frozen.ppf(levels))
    draws, theirs = law.sample(4000, np.random.default_rng(7)), frozen.rvs(size=4000, random_state=8)
    both = np.sort(np.concatenate([draws, theirs]))
    gap = np.abs(np.searchsorted(np.sort(draws), both, "right") - np.searchsorted(np.sort(theirs), both, "right")).max()
    assert gap / 4000 <= math.sqrt(math.log(2e9) / 2000)  # two empirical CDFs, DKW at 1e-9 each
    again = pickle.loads(pickle.dumps(law))
    np.testing.assert_array_equal(again.values, law.values)


@pytest.mark.skipif(not hasattr(stats, "make_distribution"), reason="SciPy's new classes")
@pytest.mark.parametrize(("name", "shapes"), CONTINUOUS + DISCRETE)
def test_a_family_of_the_new_kind_is_the_frozen_one(name: str, shapes: tuple[Any, ...], record_property: Any) -> None:
    old = getattr(stats, name)
    try:
        family = stats.make_distribution(old)
        new = family(**{info.name: value for info, value in zip(old._shape_info(), shapes, strict=True)})
    except (NotImplementedError, ValueError, AttributeError, TypeError) as error:
        pytest.skip(f"SciPy makes none: {error}")
    started = time.process_time()
    try:
        law = as_law(new, "the law")
    except ValueError as error:
        assert name in REFUSED or name in ("kappa4",), f"{name} is refused: {error}"
        return
    record_property("cpu_seconds", time.process_time() - started)
    frozen = as_law(old(*shapes), "frozen")
    k = frozen.quantile(np.array([0.01, 0.3, 0.5, 0.9, 0.99]))
    scale = 2.0 * float(frozen.put(frozen.mean))
    assert law.mean == pytest.approx(frozen.mean, abs=1e-6 * scale + 1e-9)
    np.testing.assert_allclose(law.put(k), frozen.put(k), atol=1e-6 * scale + 1e-9)
    np.testing.assert_allclose(law.cdf(k), frozen.cdf(k), atol=1e-7)
    again = pickle.loads(pickle.dumps(law))
    np.testing.assert_array_equal(again.cdf(k), law.cdf(k))
    assert again.key == law.key


CERTIFIED = [
    stats.skewnorm(4.0),
    stats.geninvgauss(2.3, 1.5),
    stats.genhyperbolic(0.5, 1.5, -0.5),
    stats.norminvgauss(1.25, 0.5),
    stats.arcsine(),
    stats.vonmises_line(4.0),
    stats.skellam(15, 8),
    stats.dlaplace(0.8),
    stats.yulesimon(11.0),
    stats.poisson_binom([0.1, 0.6, 0.7, 0.8]),
]


@pytest.mark.parametrize("frozen", CERTIFIED, ids=lambda frozen: frozen.dist.name)
def test_the_certificate_holds_for_the_returns_of_a_family(frozen: Any) -> None:
    law = as_law(frozen, "reward")
    low, high = law.quantile(np.array([1e-6, 1 - 1e-6]))
    grid = Grid(2.0 * low - 0.1, 2.0 * high + 0.1, 201)
    model = MRP([[1.0]], [frozen], 0.5)
    n, rng = 40_000, np.random.default_rng(3)
    # SciPy's own draws; 2^-40 of a reward is left out
    draws = sum(0.5**t * np.asarray(frozen.rvs(size=n, random_state=rng), dtype=float) for t in range(40))
    truth = distrl.returns.ParticleReturns(np.sort(draws)[None], np.full((1, n), 1.0 / n))
    chance = 4.0 * float(np.sqrt(law.variance * 4.0 / 3.0) * 3.0 / math.sqrt(n))  # E W1 of a sample, and room
    for method in (CategoricalFixedPoint(grid=grid), distrl.QuantileDP(64)):
        solution = evaluate(model, method)
        assert solution.certificate is not None
        assert distrl.wasserstein(solution.returns, truth)[0] <= solution.certificate.w1[0] + chance
        assert abs(solution.values[0] - 2.0 * law.mean) <= solution.certificate.w1[0]
