"""What a law says of itself is compared before anything trusts it, and what is left of the difference is certified."""

import copy
import math
import pickle
import time
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP, Brackets, CategoricalFixedPoint, FiniteLaw, Grid, QuantileDP, evaluate, kolmogorov, wasserstein
from distrl.models.laws import LatticeLaw, ScipyLaw, as_law
from distrl.models.laws.finite import running_sums
from distrl.models.storage import load, save
from distrl.returns import ParticleReturns

EPS = float(np.finfo(np.float64).eps)


class Own:
    """A user's law: a CDF, and what else is given."""

    def __init__(self, cdf: Any, support: tuple[float, float] | None = None, mean: float | None = None) -> None:
        self.cdf = cdf
        if support is not None:
            self.support = lambda: support
        if mean is not None:
            self.mean = lambda: mean


def with_jump(x: Any) -> Any:
    """Uniform on [0, 1] with probability .7, else 1/2."""
    return 0.7 * np.clip(x, 0.0, 1.0) + 0.3 * (np.asarray(x) >= 0.5)


def one_step(law: Any, low: float, high: float, atoms: int = 51) -> distrl.Solution:
    return evaluate(MRP([[1.0]], [law], 0.0), CategoricalFixedPoint(grid=Grid(low, high, atoms)))


# ---- laws that contradict themselves


@pytest.mark.fast
@pytest.mark.parametrize(
    ("frozen", "same"),
    [
        (stats.truncnorm(0.0, 1e-8, 0.0, 1e8), stats.uniform(0.0, 1.0)),  # SciPy's mean is 0, its closed form cancels
        (stats.truncnorm(-1e-8, 1e-8, 0.0, 1e8), stats.uniform(-1.0, 2.0)),  # SciPy's variance is negative
        (stats.truncnorm(0.0, 1e-6, -1.0, 2e6), stats.uniform(-1.0, 2.0)),
    ],
)
def test_a_moment_that_cancelled_is_taken_from_the_cdf(frozen: Any, same: Any) -> None:
    law, plain = as_law(frozen, "law"), as_law(same, "same")
    # the densities differ by 1e-16; SciPy's CDF of such a law by up to 1e-7
    assert law.mean == pytest.approx(plain.mean, abs=1e-6)
    assert law.variance == pytest.approx(plain.variance, rel=1e-5)
    low, high = plain.support
    solution = one_step(frozen, low - 0.5, high + 0.5)
    assert solution.certificate is not None
    assert wasserstein(solution.returns, same)[0] <= solution.certificate.w1[0] + 1e-6


@pytest.mark.fast
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (Own(stats.norm.cdf, mean=5.0), r"contradicts itself: by its formula its mean is 5, by its CDF"),
        (type(stats.norm)(a=0.0, b=1.0, name="norm")(), r"norm\(\) contradicts itself"),
        (Own(np.sin), "which is no probability"),
        (Own(lambda x: np.clip(x, 0, 1) - 0.3 * (np.abs(x - 0.425) < 0.025), (0.0, 1.0)), "its CDF falls from"),
        (Own(lambda x: np.full(np.shape(x), np.nan), (0.0, 1.0)), "its CDF is nan"),
        (Own(lambda x: (np.asarray(x) >= 2.5) * 1.0), "all its mass at one number"),
        (Own(lambda x: np.clip(np.floor(1000 * np.asarray(x)) / 1000, 0, 1)), "more jumps or kinks"),
        (stats.vonmises(1.0, loc=3.0), "use scipy.stats.vonmises_line"),
        (stats.cauchy(), "no finite mean"),
        (stats.genpareto(1.2), "no finite mean"),
        (Own(stats.cauchy.cdf), r"falls like x\^-1"),
        (stats.norm(1e101, 1.0), r"beyond 1e\+100 in size"),
        (stats.zipf(2.1), "rescale it or cut its tail"),
        (stats.randint(0, 10**9), "rescale it or cut its tail"),
        (stats.poisson([1.0, 2.0]), "no single mean"),
        (stats.binom(3, 1.5), "invalid parameters"),
    ],
)
def test_a_law_that_is_none_is_refused_in_a_sentence(value: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        MRP([[1.0]], [value], 0.5)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("rewards[0]")


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [1.8, 1.5])
def test_a_cdf_whose_tails_are_cut_off_is_noticed(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distrl.models.laws.sides._LONGEST", 120.0)  # whatever else this machine has to do
    # SciPy's CDF of a stable law is 0 and 1 from some point on; at 1.5, by symmetry, only the variance tells
    with pytest.raises(ValueError, match=r"contradicts itself: by its formula its (mean|variance)"):
        as_law(stats.levy_stable(alpha, -0.5 if alpha == 1.8 else 0.0), "law")


@pytest.mark.fast
def test_a_slow_cdf_is_refused_with_its_cost() -> None:
    def slow(x: Any) -> Any:
        started = time.process_time()
        while time.process_time() - started < 0.02 * np.size(x):
            pass
        return stats.norm.cdf(x)

    with pytest.raises(ValueError, match=r"takes .* ms, and about 1,000 to 10,000 are needed; use a distrl.FiniteLaw"):
        as_law(Own(slow), "law")


# ---- users' laws


@pytest.mark.fast
def test_a_cdf_is_enough() -> None:
    for cdf in (stats.norm.cdf, lambda x: 0.5 * math.erfc(-float(x) / math.sqrt(2.0))):  # of arrays, of one number
        law, normal = as_law(Own(cdf), "law"), as_law(stats.norm(), "normal")
        k = np.linspace(-5.0, 5.0, 21)
        assert abs(law.mean) <= law.mean_error + 4 * EPS
        np.testing.assert_allclose(law.put(k), normal.put(k), atol=1e-13)
        np.testing.assert_allclose(law.quantile(stats.norm.cdf(k)), k, atol=1e-9)
        assert law.variance == pytest.approx(1.0, rel=1e-12)


@pytest.mark.fast
def test_a_jump_of_a_users_law_counts_from_both_sides() -> None:
    law = as_law(Own(with_jump, (0.0, 1.0)), "law")
    assert float(law.cdf(0.5)) == pytest.approx(0.65, abs=1e-12)
    assert float(law.cdf_left(0.5)) == pytest.approx(0.35, abs=1e-12)
    assert float(law.quantile(0.4)) == 0.5
    # uniform with an atom at the jump: |F - G| is largest next to it
    steps = np.arange(10) / 10 + 0.05
    mine = ParticleReturns(np.append(steps, 0.5)[None], np.append(np.full(10, 0.07), 0.3)[None])
    assert float(kolmogorov(mine, Own(with_jump, (0.0, 1.0)))[0]) == pytest.approx(0.035, abs=1e-9)
    without = ParticleReturns([0.5])
    assert float(kolmogorov(without, Own(with_jump, (0.0, 1.0)))) == pytest.approx(0.35, abs=1e-9)


@pytest.mark.fast
def test_a_dice_known_by_its_cdf_is_a_dice() -> None:
    law = as_law(Own(lambda x: np.clip(np.floor(x), 0, 6) / 6), "law")
    dice = FiniteLaw(np.arange(1.0, 7.0))
    k = np.array([0.0, 0.5, 1.0, 2.5, 3.0, 6.0, 7.0])
    np.testing.assert_allclose(law.put(k), dice.put(k), atol=1e-13)
    np.testing.assert_allclose(law.cdf(k), dice.cdf(k), atol=1e-13)
    np.testing.assert_allclose(law.cdf_left(k), dice.cdf_left(k), atol=1e-13)
    np.testing.assert_array_equal(law.quantile([0.1, 0.4, 0.9]), dice.quantile([0.1, 0.4, 0.9]))


@pytest.mark.fast
def test_laws_are_merged_only_if_they_are_equal() -> None:
    seen: dict[Any, float] = {}
    for i in range(40):  # objects that die give their id to the next
        law = as_law(Own(lambda x, top=1.0 + i: np.clip(np.asarray(x) / top, 0.0, 1.0), (0.0, 1.0 + i)), "law")
        assert seen.setdefault(law.key, law.mean) == law.mean
    assert len(seen) == 40
    one, two = (as_law(Own(with_jump, (0.0, 1.0)), "law") for _ in range(2))
    assert one.key == two.key
    clipped = type(stats.expon)(a=0.0, b=1.0, name="expon")
    with pytest.raises(ValueError, match="contradicts itself"):  # not the exponential law of that name
        as_law(clipped(), "law")
    model = MRP(np.full((3, 3), 1 / 3), [stats.norm(0, 1), stats.norm(0, 1.5), stats.norm(0.0, 1.0)], 0.5)
    assert len(model.outcomes.reward_laws) == 2


# ---- SciPy's new classes


def transformed() -> dict[str, tuple[Any, float]]:
    normal, third = stats.Normal(mu=1.0, sigma=2.0), stats.Uniform(a=1.0, b=2.0)
    return {
        "Normal": (normal, 1.0),
        "moved": (3.0 - 2.0 * normal, 1.0),
        "truncate": (stats.truncate(stats.Normal(mu=0.0, sigma=1.0), 0.0, np.inf), math.sqrt(2 / math.pi)),
        "exp": (stats.exp(stats.Normal(mu=0.0, sigma=0.5)), math.exp(0.125)),
        "log": (stats.log(third), 2 * math.log(2) - 1),
        "abs": (stats.abs(stats.Normal(mu=0.0, sigma=1.0)), math.sqrt(2 / math.pi)),
        "order": (stats.order_statistic(stats.Uniform(a=0.0, b=1.0), r=2, n=5), 1 / 3),
        "inverse": (1.0 / third, math.log(2)),
        "mixture": (stats.Mixture([normal, stats.Normal(mu=-3.0)], weights=[0.25, 0.75]), -2.0),
        "gamma": (stats.make_distribution(stats.gamma)(a=2.5), 2.5),
        "Binomial": (stats.Binomial(n=5, p=0.3), 1.5),
        "geom": (stats.make_distribution(stats.geom)(p=0.25), 4.0),
    }


needs_new = pytest.mark.skipif(not hasattr(stats, "Normal"), reason="SciPy's new classes")


@needs_new
@pytest.mark.parametrize("name", ["Normal", "moved", "truncate", "exp", "log", "abs", "order", "inverse", "mixture"])
def test_a_law_of_the_new_kind_is_the_same_after_a_pickle_and_a_copy(name: str) -> None:
    value, mean = transformed()[name]
    law = as_law(value, "law")
    assert law.mean == pytest.approx(mean, rel=1e-10)
    at = law.quantile(np.array([0.01, 0.2, 0.5, 0.9, 0.999]))
    np.testing.assert_allclose(law.cdf(at), value.cdf(at), atol=1e-10)
    for again in (pickle.loads(pickle.dumps(law)), copy.deepcopy(law), copy.copy(law)):
        np.testing.assert_array_equal(again.cdf(at), law.cdf(at))
        np.testing.assert_array_equal(again.put(at), law.put(at))
        assert again.key == law.key and again.mean == law.mean
        rng, other = np.random.default_rng(1), np.random.default_rng(1)
        np.testing.assert_array_equal(again.sample(9, rng), law.sample(9, other))
    model = MRP([[1.0]], [value], 0.5)
    method = CategoricalFixedPoint(grid=Grid(-30.0, 30.0, 51))
    first, second = (evaluate(each, method) for each in (model, pickle.loads(pickle.dumps(model))))
    np.testing.assert_array_equal(first.returns.probs, second.returns.probs)
    assert first.certificate is not None
    assert abs(first.values[0] - 2.0 * mean) <= first.certificate.w1[0]


@needs_new
@pytest.mark.parametrize("name", ["gamma", "Binomial", "geom"])
def test_made_and_discrete_laws_of_the_new_kind_are_kept_too(name: str) -> None:
    value, mean = transformed()[name]
    law = as_law(value, "law")
    again = pickle.loads(pickle.dumps(law))
    assert law.mean == pytest.approx(mean, rel=1e-12)
    np.testing.assert_array_equal(again.cdf(np.arange(9.0)), law.cdf(np.arange(9.0)))
    np.testing.assert_allclose(law.cdf(np.arange(9.0)), value.cdf(np.arange(9.0)), atol=1e-10)


@needs_new
def test_a_model_with_a_normal_law_of_the_new_kind_is_saved_and_others_are_refused(tmp_path: Any) -> None:
    save(MRP([[1.0]], [stats.Normal(mu=1.0, sigma=2.0)], 0.5), tmp_path / "normal.npz")
    (law,) = load(tmp_path / "normal.npz").outcomes.reward_laws
    assert law.key == as_law(stats.norm(1.0, 2.0), "law").key
    save(MRP([[1.0]], [stats.poisson(3.0, loc=0.25)], 0.5), tmp_path / "poisson.npz")
    (law,) = load(tmp_path / "poisson.npz").outcomes.reward_laws
    assert isinstance(law, LatticeLaw) and law.key == as_law(stats.poisson(3.0, loc=0.25), "law").key
    with pytest.raises(ValueError, match="cannot be saved; use a FiniteLaw"):
        save(MRP([[1.0]], [stats.exp(stats.Normal())], 0.5), tmp_path / "exp.npz")


# ---- discrete laws


INFINITE = [
    stats.skellam(15.0, 8.0),
    stats.skellam(1e-3, 1e-3),
    stats.dlaplace(0.05),
    stats.zipf(4.5),
    stats.yulesimon(3.5),
    stats.logser(0.99),
    stats.geom(1e-3),
    stats.nbinom(0.4, 0.01),
    stats.planck(0.01),
    stats.poisson(1e4),
    stats.betanbinom(5, 9.3, 1.0),
    stats.boltzmann(0.01, 10**6),
]


@pytest.mark.parametrize("frozen", INFINITE, ids=lambda frozen: frozen.dist.name)
def test_an_infinite_lattice_is_a_discrete_law_without_a_warning(frozen: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        law = as_law(frozen, "law")
        assert isinstance(law, LatticeLaw) and len(law.values) <= 2**20
        low, high = law.quantile(np.array([1e-4, 1 - 1e-4]))
        model = MRP([[1.0]], [frozen], 0.5)
        solution = evaluate(model, CategoricalFixedPoint(grid=Grid(2.0 * low - 1.0, 2.0 * high + 1.0, 101)))
    at = law.quantile(np.array([0.05, 0.5, 0.95]))
    np.testing.assert_allclose(law.cdf(at), frozen.cdf(at), atol=1e-9)
    np.testing.assert_array_equal(law.cdf(at + 0.5), law.cdf(at))
    assert law.mean == pytest.approx(float(frozen.mean()), rel=1e-9, abs=1e-9)
    assert solution.certificate is not None
    assert abs(solution.values[0] - 2.0 * float(frozen.mean())) <= solution.certificate.w1[0]
    assert law.error <= 1e-6 * math.sqrt(law.variance)


@pytest.mark.fast
def test_long_sums_of_a_finite_law_keep_their_digits() -> None:
    n = 10**6
    terms = np.random.default_rng(0).uniform(size=n)
    exact = math.fsum(terms[: n // 2 + 1])
    assert abs(running_sums(terms)[n // 2] - exact) <= 64 * EPS * exact
    assert (np.diff(running_sums(terms)) >= 0.0).all()
    short = terms[:700]
    np.testing.assert_array_equal(running_sums(short), np.cumsum(short))


# ---- scales


@pytest.mark.fast
@pytest.mark.parametrize(
    "family", [stats.norm, stats.uniform, stats.gumbel_r, stats.expon, stats.laplace, stats.arcsine]
)
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e-20, 1e20, 1e90])
def test_a_law_of_any_scale_is_the_standard_one_scaled(family: Any, scale: float) -> None:
    law, standard = as_law(family(0.0, scale), "law"), as_law(family(), "standard")
    k = np.array([-3.0, -0.5, 0.0, 0.3, 0.9, 2.0, 30.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(law.put(k * scale) / scale, standard.put(k), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(law.stop_loss(k * scale) / scale, standard.stop_loss(k), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(law.cdf(k * scale), standard.cdf(k), atol=1e-13)
        far = np.array([-1e99, 1e99])  # where a score overflows
        np.testing.assert_allclose(law.put(far), [0.0, 1e99 - law.mean], rtol=1e-12)
    assert law.mean / scale == pytest.approx(standard.mean, rel=1e-12, abs=1e-13)


@pytest.mark.fast
def test_a_law_narrower_than_the_floats_at_its_place_is_a_number() -> None:
    for frozen in (stats.uniform(5.0, 1e-20), stats.beta(2.0, 3.0, 5.0, 1e-30)):
        outcomes = MRP([[1.0]], [frozen], 0.5).outcomes
        assert outcomes.reward_laws == () and outcomes.rewards[0] == 5.0
    with pytest.raises(ValueError, match="invalid parameters"):
        MRP([[1.0]], [stats.uniform(5.0, 0.0)], 0.5)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("frozen", "mean", "variance"),
    [
        (stats.beta(1e-3, 1e-3), 0.5, 0.25 / 1.002),
        (stats.gamma(1e-2), 1e-2, 1e-2),
        (stats.pareto(1.01), 101.0, math.inf),
        (stats.t(1.1), 0.0, math.inf),
        (stats.genpareto(0.9), 10.0, math.inf),
        (stats.kappa4(-0.5, -0.5), None, math.inf),  # its tail is x^-2
        (stats.invgamma(1.05), 20.0, math.inf),
        (stats.truncnorm(30.0, 31.0), 30.0332596674336, None),  # mills ratio, by mpmath
    ],
)
def test_rough_and_heavy_laws_have_their_moments(frozen: Any, mean: float | None, variance: float | None) -> None:
    law = as_law(frozen, "law")
    if mean is not None:
        assert law.mean == pytest.approx(mean, rel=1e-9, abs=1e-9)
    if variance is not None:
        assert law.variance == pytest.approx(variance, rel=1e-9)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("frozen", "third", "fourth"),
    [
        (stats.norm(1e6, 1.0), 0.0, 3.0),
        (stats.gumbel_r(1e9, 2.0), 8 * 2.4041138063191886, 16 * (2.4 + 3) * (math.pi**2 / 6) ** 2),
        (stats.expon(-1e8, 1.0), 2.0, 9.0),
        (stats.uniform(1e7, 1.0), 0.0, 1 / 80),
    ],
)
def test_central_moments_do_not_know_where_a_law_lies(frozen: Any, third: float, fourth: float) -> None:
    law = as_law(frozen, "law")
    assert law.central_moment(3) == pytest.approx(third, rel=1e-10, abs=1e-10)
    assert law.central_moment(4) == pytest.approx(fourth, rel=1e-10)


# ---- what a law does not know of itself is certified


def spoilt(frozen: Any, error: float) -> ScipyLaw:
    """A law that is off by as much as it says: it is moved by its error."""
    law = ScipyLaw(frozen)
    law.error = error
    return law


@pytest.mark.parametrize("method", [CategoricalFixedPoint(101), QuantileDP(32), distrl.CategoricalDP(101, 60)])
def test_a_certificate_holds_for_the_law_that_was_meant(method: Any) -> None:
    error, discount = 0.03, 0.5
    believed, meant = spoilt(stats.uniform(0.0, 1.0), error), stats.uniform(error, 1.0)
    found = evaluate(MRP([[1.0]], [believed], discount), method)
    sharp = evaluate(MRP([[1.0]], [meant], discount), method)
    plain = evaluate(MRP([[1.0]], [stats.uniform(0.0, 1.0)], discount), method)
    assert found.certificate is not None and sharp.certificate is not None and plain.certificate is not None
    assert found.converged == plain.converged  # no error of the iteration
    own, other = found.certificate.w1[0], sharp.certificate.w1[0]
    assert own >= wasserstein(found.returns, sharp.returns)[0] - other
    assert own == pytest.approx(plain.certificate.w1[0] + error / (1 - discount), rel=1e-6)


def test_means_and_brackets_hold_for_the_law_that_was_meant() -> None:
    error = 0.03
    model = MRP([[1.0]], [spoilt(stats.uniform(0.0, 1.0), error)], 0.5)
    moments = evaluate(model, distrl.Moments(1), throw=False)
    assert float(moments.returns.mean_error[0]) >= 2.0 * error
    returns = evaluate(model, Brackets(101, grid=Grid(-1.0, 3.0, 101))).returns
    low, high = returns.interval("mean")[0]
    assert low <= 1.0 + 2.0 * error <= high
    low, high = returns.interval("cvar", 0.25)[0]
    exact = evaluate(MRP([[1.0]], [stats.uniform(error, 1.0)], 0.5), CategoricalFixedPoint(801))
    assert exact.certificate is not None
    assert low <= exact.returns.cvar(0.25)[0] + 4.0 * exact.certificate.w1[0]
    assert high >= exact.returns.cvar(0.25)[0] - 4.0 * exact.certificate.w1[0]
