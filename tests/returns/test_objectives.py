"""Functionals that decisions are made for, against fractions and 50 digits; their intervals hold the exact values."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import EVaR, MeanCVaR, MeanVariance, ParticleReturns, ProbabilityAbove, Shortfall
from distrl.returns.functionals.evar import evar_ends, ladder

pytestmark = pytest.mark.fast
F = Fraction
EPS = np.finfo(float).eps


def random_law(rng):
    """Values with repetitions and a weight each, in fractions that floats hold exactly."""
    values = [F(int(k), 4) for k in rng.integers(-8, 9, size=5)]
    weights = [F(int(k), 16) for k in rng.multinomial(16, np.full(5, 0.2))]
    return values, weights


def law_of(values, weights):
    return ParticleReturns(np.array([float(v) for v in values]), np.array([float(w) for w in weights]))


def average(function, values, weights):
    return sum((w * function(v) for v, w in zip(values, weights, strict=True)), F(0))


def cvar(values, weights, level):
    """max over breakpoints of b - E (b - G)+ / level."""
    return max(b - average(lambda v, b=b: max(b - v, F(0)), values, weights) / level for b in values)


def test_values_are_those_of_fractions():
    rng = np.random.default_rng(0)
    for _ in range(40):
        values, weights = random_law(rng)
        law, target, share, level = law_of(values, weights), F(int(rng.integers(-9, 10)), 4), F(3, 8), F(5, 16)
        mean = average(lambda v: v, values, weights)
        exact = {
            Shortfall(float(target)): average(lambda v: max(target - v, F(0)), values, weights),  # noqa: B023
            ProbabilityAbove(float(target)): average(lambda v: F(int(v >= target)), values, weights),  # noqa: B023
            MeanVariance(0.375): mean - share * average(lambda v: (v - mean) ** 2, values, weights),  # noqa: B023
            MeanCVaR(0.3125, 0.375): share * mean + (1 - share) * cvar(values, weights, level),
        }
        for functional, value in exact.items():
            assert abs(functional.value(law) - float(value)) <= 8 * EPS * (1.0 + 4.0), functional


def evar(values, weights, level):
    """The largest value of a concave function of c = 1 / b by thirds of an interval, in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        pairs = [(Decimal(v), Decimal(w)) for v, w in zip(values, weights, strict=True) if w > 0]
        low, size = min(v for v, _ in pairs), max(v for v, _ in pairs) - min(v for v, _ in pairs)
        total = sum(w for _, w in pairs)
        logarithm = Decimal(level).ln()

        def height(log_c):
            c = log_c.exp()
            return c * (logarithm - (sum(w / total * (-(v - low) / size / c).exp() for v, w in pairs)).ln())

        left, right = Decimal(-40), Decimal(30)
        for _ in range(160):
            a, b = left + (right - left) / 3, right - (right - left) / 3
            left, right = (a, right) if height(a) < height(b) else (left, b)
        return float(low + size * max(height(left), Decimal(0)))


HARD = [
    ([0.0, 1.0, 3.0], [0.25, 0.25, 0.5], 0.1),
    ([0.0, 1.0, 3.0], [0.25, 0.25, 0.5], 0.2500001),
    ([0.0, 1.0, 3.0], [0.25, 0.25, 0.5], 1.0 - 1e-9),
    ([-1e6, 0.0, 1.0], [2.0**-40, 0.5, 0.5 - 2.0**-40], 0.01),
    ([-1e6, 0.0, 1.0], [2.0**-40, 0.5, 0.5 - 2.0**-40], 1e-9),
    ([0.0, 1.0, 1e6], [0.25, 0.5, 0.25], 0.5),
    ([100.0, 100.0 + 2.0**-20, 101.0], [0.125, 0.125, 0.75], 0.2),
    ([0.0, 1.0], [0.5, 0.5], 0.75),
]


@pytest.mark.parametrize(("values", "weights", "level"), HARD)
def test_entropic_value_at_risk_is_that_of_60_digits(values, weights, level):
    law = ParticleReturns(values, weights)
    assert abs(EVaR(level).value(law) - evar(values, weights, level)) <= 64 * EPS * (max(values) - min(values) + 1.0)


def test_entropic_value_at_risk_lies_between_the_smallest_return_and_cvar():
    law = ParticleReturns([-1.0, 0.5, 2.0], [0.5, 0.25, 0.25])
    assert EVaR((0.1, 0.5)).value(law).tolist() == [-1.0, -1.0]
    assert EVaR((0.1, 0.5)).best_betas(law).tolist() == [np.inf, np.inf]
    assert EVaR(1.0).value(law) == law.mean() and EVaR(1.0).best_betas(law) == 0.0
    levels = tuple(np.linspace(0.501, 1.0, 40))
    found = EVaR(levels).value(law)
    assert (np.diff(found) > 0.0).all() and (found[:-1] < law.cvar(levels[:-1])).all()
    best = EVaR(levels[:-1]).best_betas(law)
    at_best = [law.entropic_risk(-b) + np.log(a) / b for a, b in zip(levels, best, strict=False)]
    np.testing.assert_allclose(at_best, found[:-1], rtol=1e-12)
    point = ParticleReturns([[3.0, 3.0]], [[0.5, 0.5]])
    assert EVaR(0.3).value(point).tolist() == [3.0]
    assert EVaR(0.3).value(ParticleReturns([-1e308, 1e308])) == -1e308


def test_where_the_smallest_return_decides_there_is_no_derivative():
    laws = distrl.CategoricalReturns(distrl.Grid(0.0, 2.0, 3), [[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match=r"EVaR at 0\.5 has no derivative at state 0"):
        EVaR(0.5).gradient(laws, np.array([0]))
    assert np.isfinite(EVaR(0.6).gradient(laws, np.array([0]))).all()


def test_ends_from_a_ladder_hold_the_value_and_are_near():
    rng = np.random.default_rng(1)
    laws = ParticleReturns(rng.normal(size=(6, 30)) * np.array([[0.1], [1.0], [5.0], [1.0], [0.3], [2.0]]))
    for level in (0.01, 0.1, 0.6, 0.99):
        betas = ladder(laws.var(), level)
        risks = laws.entropic_risk(-betas)
        low, high = evar_ends(betas, (risks - 1e-12, risks + 1e-12), laws.mean() + 1e-12, level)
        value = EVaR(level).value(laws)
        assert (low <= value).all() and (value <= high).all()
        low = np.maximum(low, laws.values[:, 0])  # the limit of large betas is known by the range
        assert (high - low < 0.01 * laws.std()).all()
        some = slice(0, None, 7)  # a coarse ladder is as certain
        low, high = evar_ends(betas[some], (risks[:, some], risks[:, some]), laws.mean(), level)
        assert (low <= value + 1e-13).all() and (value <= high + 1e-13).all()
        for room in (0.01, 1.0):  # ends of risks that are far from them, on one side or both
            off = room * rng.random((2, *risks.shape))
            low, high = evar_ends(betas, (risks - off[0], risks + off[1]), laws.mean() + room, level)
            assert (low <= value).all() and (value <= high).all()
        low, high = evar_ends(betas[:1], (risks[:, :1], risks[:, :1]), laws.mean(), level)
        assert (low <= value + 1e-13).all() and (value <= high + 1e-13).all()


ROWS = [(0, 0.5, 1, 1.0, False), (0, 0.5, 1, -2.0, False), (1, 0.25, 1, 4.0, True), (1, 0.75, 1, 0.0, True)]
TRUTH = ParticleReturns(
    [[1.0, 3.0, -2.0, 0.0], [4.0, 0.0, 0.0, 0.0]], [[0.375, 0.125, 0.375, 0.125], [0.25, 0.75, 0, 0]]
)
ASKED = [
    Shortfall((-1.5, 0.25, 9.0)),
    ProbabilityAbove((-2.0, 0.3, 3.0)),
    MeanVariance(0.5),
    MeanCVaR(0.4, 0.5),
    EVaR(0.6),
]
METHODS = [
    distrl.CategoricalFixedPoint(101),
    distrl.QuantileDP(60),
    distrl.ParticleDP(50),
    distrl.Brackets(101),
    distrl.Brackets(101, order="stochastic"),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_intervals_hold_the_exact_values(method):
    solution = distrl.evaluate(distrl.MRP.from_outcomes(ROWS, 0.5), method)
    for functional in ASKED:
        ends, value = solution.interval(functional), functional.value(TRUTH)
        assert (ends[..., 0] <= value + 1e-12).all() and (value <= ends[..., 1] + 1e-12).all(), functional
        assert np.isfinite(ends).all()
    if isinstance(method, distrl.CategoricalFixedPoint):  # second order in the spacing where nothing jumps
        assert np.diff(solution.interval(Shortfall(0.25))).max() < 0.05
        assert np.diff(solution.interval(EVaR(0.6))).max() < 0.1


def test_probabilities_of_exact_laws_are_exact_at_their_values():
    rows = [(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)]
    solution = distrl.evaluate(distrl.MRP.from_outcomes(rows, 1.0), distrl.Lattice())
    ends = solution.interval(ProbabilityAbove((1.0, 2.0, 3.0, 3.5)))[0]
    np.testing.assert_allclose(ends, np.array([[1.0], [0.5], [0.25], [0.125]]) + np.zeros(2), atol=1e-10)


def test_they_are_saved_with_what_asked_them(tmp_path):
    model = distrl.MRP.from_outcomes(ROWS, 0.5)
    for functional in (MeanCVaR(0.4, 0.5), EVaR(0.6)):
        solution = distrl.evaluate(model, distrl.Brackets(11, target_width=100.0, functional=functional))
        distrl.save(solution, tmp_path / "found.npz")
        assert distrl.load(tmp_path / "found.npz").method.functional == functional
