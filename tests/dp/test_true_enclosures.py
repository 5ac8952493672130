"""Bounds that once were false: what a proof takes for granted, what is left out, and what a tolerance decides."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from distrl import MRP, Brackets, FiniteLaw, Grid, Moments, ParticleDP, evaluate
from distrl.dp.merging import merged_law
from distrl.models.laws import as_law
from distrl.returns.functionals import CrossedEnds

ORDERS = pytest.mark.parametrize("order", ["convex", "stochastic"])


def finite_brackets(values, probs, grid, order):
    """Brackets of one state that ends with a draw: its return is the law itself."""
    return evaluate(MRP([[1.0]], [FiniteLaw(values, probs)], 0.0), Brackets(grid=grid, order=order)).returns


def held(interval, true):
    return bool(((interval[..., 0] <= true) & (true <= interval[..., 1])).all())


# -- the variance, where a later step leaves the grid ------------------------------------------------------------------


def lottery(steps, discount, prize=1000.0, chance=0.01):
    """`steps` quiet steps, then a prize: from state 0 nothing leaves [0, 1] before the last of them."""
    rows = [(x, 1.0, x + 1, 0.0, False) for x in range(steps)]
    return MRP.from_outcomes(
        [*rows, (steps, 1.0 - chance, steps, 0.0, True), (steps, chance, steps, prize, True)], discount
    )


@pytest.mark.fast
@pytest.mark.parametrize(("steps", "discount"), [(1, 1.0), (1, 0.9), (3, 0.9), (6, 0.99), (40, 1.0)])
def test_a_clip_at_a_later_step_counts_in_the_variance_of_every_state_before(steps, discount):
    sol = evaluate(lottery(steps, discount), Brackets(grid=Grid(0, 1, 11)))
    for state in range(steps + 1):
        exact = discount ** (2 * (steps - state)) * 1000.0**2 * 0.01 * 0.99
        for name, true in (("variance", exact), ("std", math.sqrt(exact))):
            low, high = sol.returns.interval(name)[state]
            assert low <= true <= high
            assert np.isfinite(high)  # returns stay in [0, 1000], which bounds what is beyond the grid


@pytest.mark.fast
def test_the_variance_has_an_upper_end_where_the_grid_clips_but_the_returns_lie_on_it():
    # the cycle r = (1, 0) at discount 1/2 never leaves [0, 4/3], yet the operator clips there
    sol = evaluate(MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.5), Brackets(grid=Grid(0, 4 / 3, 9)))
    interval = sol.returns.interval("variance")
    assert (interval[:, 0] == 0.0).all() and np.isfinite(interval[:, 1]).all()


@pytest.mark.fast
def test_unbounded_rewards_that_clip_later_have_no_upper_end_of_the_variance():
    model = MRP.from_outcomes([(0, 1.0, 1, 0.0, False), (1, 1.0, 1, stats.norm(0, 3), True)], 0.9)
    interval = evaluate(model, Brackets(grid=Grid(-1, 1, 21))).returns.interval("variance")
    assert held(interval, np.array([0.81 * 9.0, 9.0]))


# -- crossed ends ------------------------------------------------------------------------------------------------------


@pytest.mark.fast
@ORDERS
@pytest.mark.parametrize("functional", ["mean", "variance", "cvar", "stop_loss", "cdf", "quantile"])
def test_ends_that_cross_are_an_internal_error_and_never_swapped(order, functional, monkeypatch):
    returns = finite_brackets([0.0, 1.0], [0.5, 0.5], Grid(0, 1, 5), order)
    at = None if functional in ("mean", "variance") else 0.5
    assert held(returns.interval(functional, at), returns.interval(functional, at).mean(axis=-1))
    if functional == "mean":
        returns._mean_error = np.array([-1.0])
    else:
        read = getattr(returns, f"{functional}_ends")
        monkeypatch.setattr(
            returns,
            f"{functional}_ends",
            lambda *asked: tuple(end + k for k, end in zip((2.0, 0.0), read(*asked), strict=True)),
        )
    with pytest.raises(CrossedEnds, match=r"state 0 contradict each other, .* please report"):
        returns.interval(functional, at)


# -- mass that leaves the grid, however little -------------------------------------------------------------------------


@pytest.mark.fast
@pytest.mark.parametrize(("far", "chance"), [(1e15, 1e-13), (-1e15, 1e-13), (1e9, 1e-14), (3.0, 5e-13)])
def test_stochastic_brackets_count_clipped_mass_times_its_distance(far, chance):
    values, probs = [0.0, far], [1.0 - chance, chance]
    sol = evaluate(MRP([[1.0]], [FiniteLaw(values, probs)], 0.0), Brackets(grid=Grid(0, 1, 11), order="stochastic"))
    mean = Fraction(chance) * Fraction(far) / (Fraction(probs[0]) + Fraction(chance))
    for law in (sol.returns.lower, sol.returns.upper):  # W1 is at least the difference of means
        assert abs(float(Fraction(float(law.mean()[0])) - mean)) <= sol.certificate.w1[0]
    assert held(sol.returns.interval("stop_loss", [0.0]), max(far, 0.0) * chance)
    assert held(sol.returns.interval("cvar", 0.5, tail="upper"), max(far, 0.0) * chance / 0.5)
    assert held(sol.returns.interval("cvar", 0.5), min(far, 0.0) * chance / 0.5)
    assert held(sol.returns.interval("variance"), far**2 * chance)
    assert held(
        sol.returns.interval("cdf", [-0.5, 0.5]), np.array([chance if far < 0 else 0.0, 1 - chance * (far > 0)])
    )
    assert sol.clipped_mass >= chance


@pytest.mark.fast
def test_clipped_mass_adds_up_over_the_steps():
    chance, g, far = 4e-13, 0.9, 1e6
    model = MRP([[1.0]], [FiniteLaw([0.0, 0.1, far], [0.5, 0.5 - chance, chance])], g)
    sol = evaluate(model, Brackets(grid=Grid(0, 1, 21), order="stochastic"))
    mean = (0.1 * (0.5 - chance) + far * chance) / (1 - g)
    assert all(
        abs(float(law.mean()[0]) - mean) <= sol.certificate.w1[0] for law in (sol.returns.lower, sol.returns.upper)
    )
    # P(G > 1) = P(some reward of 10^6 that still counts): about the first 131 steps
    steps = math.floor(math.log(1 / far) / math.log(g))
    assert sol.returns.interval("cdf", 1.0)[0, 0] <= 1.0 - (1.0 - (1.0 - chance) ** steps)


# -- positions: the values of discrete laws beside atoms ---------------------------------------------------------------

OFFSETS = [0.0, 5e-10, -5e-10, 1e-12, -3e-10, 0.25]


@pytest.mark.fast
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize(
    "law",
    [stats.poisson(1.0), stats.geom(0.7), stats.nbinom(3, 0.8), stats.binom(9, 0.4), stats.poisson(1.0, loc=0.3)],
    ids=lambda law: law.dist.name,
)
@ORDERS
def test_values_of_a_discrete_law_beside_atoms_are_on_their_own_side(law, offset, order):
    low = float(law.kwds.get("loc", 0.0)) - 1.0 + offset
    grid = Grid(low, low + 48, 49)
    returns = evaluate(MRP([[1.0]], [law], 0.0), Brackets(grid=grid, order=order)).returns
    values = np.arange(0, 12) + law.kwds.get("loc", 0.0)
    points = np.concatenate([grid.points[:12], values, values - 1e-7, values + 1e-7])
    # exact counts by whole numbers, not by SciPy's own rounding at a value
    exact = np.array([law.cdf(values[0] - 0.5 + (values <= x).sum()) for x in points])
    interval = returns.interval("cdf", points)[0]
    assert (interval[:, 0] <= exact + 1e-15).all() and (exact <= interval[:, 1] + 1e-15).all()
    levels = np.array([0.2, 0.5, 0.9])
    assert held(returns.interval("quantile", levels)[0], law.ppf(levels))


@pytest.mark.fast
@pytest.mark.parametrize("base", [0.0, 1e6])
@pytest.mark.parametrize("nudge", [0.0, 1e-13, -1e-13, 1e-11, -1e-11, 1e-9])
@ORDERS
def test_finite_laws_beside_atoms_are_on_their_own_side(base, nudge, order):
    values = base + np.array([-0.0, 1.0, 2.0]) + nudge
    grid = Grid(base - 1.0, base + 3.0, 5)
    returns = finite_brackets(values, [0.2, 0.5, 0.3], grid, order)
    points = np.concatenate([grid.points, values])
    exact = np.array([sum(p for v, p in zip(values, (0.2, 0.5, 0.3), strict=True) if v <= x) for x in points])
    interval = returns.interval("cdf", points)[0]
    assert (interval[:, 0] <= exact + 4e-16).all() and (exact <= interval[:, 1] + 4e-16).all()


# -- quantiles near 0 and 1, CDFs far away -----------------------------------------------------------------------------


def lower_quantile(values, probs, level):
    """inf{x : F(x) >= level}, exactly; at level 0 the smallest value."""
    total = Fraction(0)
    for value, prob in sorted(zip(values, map(Fraction, probs), strict=True)):
        total += prob
        if total >= Fraction(level) and prob > 0:
            return value
    return max(values)


TINY = [1e-16, 1e-13, 1e-10, 1e-9, 2e-9]


@pytest.mark.fast
@ORDERS
@pytest.mark.parametrize("edge", TINY)
def test_quantiles_near_0_and_1_are_held(order, edge):
    values, probs = [0.0, 5.0, 10.0], [edge, 1.0 - 2 * edge, edge]
    returns = finite_brackets(values, probs, Grid(-2, 12, 15), order)
    levels = [0.0, 1e-17, edge / 2, edge, 1.5 * edge, 0.5, 1 - 1.5 * edge, 1 - edge, 1 - edge / 2, 1 - 2e-16, 1.0]
    interval = returns.interval("quantile", levels)[0]
    for (low, high), level in zip(interval, levels, strict=True):
        assert low <= lower_quantile(values, probs, level) <= high, level
        # and what the library itself reads from the exact law, levels compared up to 1e-9
        assert low <= FiniteLaw(values, probs).quantile(level) <= high, level


@pytest.mark.fast
@ORDERS
def test_the_smallest_and_the_largest_return_are_those_of_the_law_and_not_of_the_grid(order):
    returns = finite_brackets([5.0, 6.0], [0.5, 0.5], Grid(0, 10, 11), order)
    interval = returns.interval("quantile", [0.0, 1.0])[0]
    assert held(interval, np.array([5.0, 6.0])) and np.isfinite(interval).all()


FAR = [-np.inf, -1e300, -1e100, -1e17, -50.0, 50.0, 1e17, 1e100, 1e300, np.inf]


@pytest.mark.fast
@ORDERS
@pytest.mark.parametrize("bounded", [True, False])
def test_a_cdf_far_from_the_grid_is_0_on_the_left_and_1_on_the_right(order, bounded):
    if bounded:
        model, grid = MRP([[0.5, 0.5], [0.2, 0.8]], [0.0, 1.0], 0.9), None
    else:
        model, grid = MRP([[1.0]], [stats.norm()], 0.5), Grid(-18, 18, 101)
    returns = evaluate(model, Brackets(51, grid=grid, order=order)).returns
    interval = returns.interval("cdf", FAR)
    true = np.array([0.0] * 5 + [1.0] * 5)
    assert held(interval, true)
    assert np.abs(interval - true[:, None]).max() < 1e-9
    loss = returns.interval("stop_loss", FAR[1:-1])[0]
    assert (loss[:, 0] <= loss[:, 1]).all() and (loss[5:, 1] < 1e-6).all()
    assert loss[0, 0] == pytest.approx(1e300, rel=1e-12)
    with pytest.raises(ValueError, match="NaN"):
        returns.interval("cdf", [0.0, np.nan])


# -- a difference of two variances -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "first", "second", "drift", "noise"),
    [
        (0.29129500157496147, 0.039128990627883775, 0.5233575424271479, 0.08047451639668377, 6.353427824514e-4),
        (0.30218800518694794, 0.6990239532105281, 0.99662070784509, 0.23855364263522255, 7.853e-4),
        (0.2505148216169051, 0.8924385897581464, 0.9498078867581892, -0.2573738723853309, 7.827e-4),
    ],
)
@pytest.mark.parametrize("atoms", [25, 50])
def test_a_difference_of_two_variances_counts_the_rounding_of_both(p, first, second, drift, noise, atoms):
    """Two branches 10^5 and more apart, small noise in one of them, discount .999999.

    The variances are near 10^10, their difference, the noise merged away, near 1. W1 is at least E_eta f - E_L f for
    f(z) = min(|z - g m|, 1000), m the noisy branch's mean: E |noise| there, in the other branch the same.
    """
    g = 0.999999
    rows = [(0, p, 1, 0.0, False), (0, 1 - p, 2, 0.0, False), (1, 1.0, 3, first, False), (3, 1.0, 1, second, False)]
    rows += [(2, 0.5, 2, drift + noise, False), (2, 0.5, 2, drift - noise, False)]
    sol = evaluate(MRP.from_outcomes(rows, g), ParticleDP(atoms))
    # E|X| >= (E X^2)^1.5 / (E X^4)^.5; X a sum of independent +-noise g^t has a kurtosis of at most 3
    spread = noise / math.sqrt(1 - g * g) * g / math.sqrt(3.0)
    centre = g * (Fraction(drift + noise) + Fraction(drift - noise)) / 2 / (1 - Fraction(g))
    law = sol.returns[0]
    near = [min(abs(float(Fraction(float(v)) - centre)), 1000.0) for v in law.values]
    least = (1 - p) * spread + p * 1000.0 - float(np.array(near) @ law.weights)
    assert least <= sol.certificate.w1[0]


@pytest.mark.fast
def test_a_certificate_of_particles_is_no_wider_than_its_rounding_where_nothing_is_merged():
    sol = evaluate(MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.5), ParticleDP(51))
    assert sol.certificate.w1.max() < 1e-6


# -- rows and laws of many terms ---------------------------------------------------------------------------------------


@pytest.mark.fast
@pytest.mark.parametrize("cells", [2, 10])
@pytest.mark.parametrize(
    "law",
    [
        FiniteLaw([0.0, 1.0, *np.linspace(2, 3, 60), 1e12], [0.5, 0.5 - 61e-14, *[1e-14] * 61]),
        as_law(stats.poisson(1e-13), "law"),
        as_law(stats.geom(1 - 1e-13), "law"),
        as_law(stats.nbinom(2, 1 - 1e-14), "law"),
    ],
    ids=["finite", "poisson", "geom", "nbinom"],
)
def test_merging_a_law_leaves_no_mass_out(law, cells):
    merged = merged_law(law, cells)
    assert math.fsum(merged.probs) == pytest.approx(1.0, abs=1e-15)
    assert float(merged.probs @ merged.values) == pytest.approx(law.mean, rel=1e-12)


@pytest.mark.fast
@pytest.mark.parametrize("order", ["convex", "stochastic"])
def test_rows_of_many_outcomes_are_enclosed(order):
    """10,000 rewards of the mass 1/10,000: sums of so many terms err by more than 8 eps."""
    n, rng = 10_000, np.random.default_rng(3)
    rewards = rng.random(n) * 1e3
    rows = [(0, 1.0 / n, 0, r, True) for r in rewards]
    returns = evaluate(MRP.from_outcomes(rows, 0.5), Brackets(21, order=order)).returns
    total = sum(map(Fraction, rewards.tolist()))
    mean = total / n
    assert held(returns.interval("mean"), float(mean))
    low, high = returns.interval("mean")[0]
    assert Fraction(float(low)) <= mean <= Fraction(float(high))
    variance = sum((Fraction(r) - mean) ** 2 for r in rewards.tolist()) / n
    assert held(returns.interval("variance"), float(variance))
    levels = np.array([0.01, 0.5])
    ordered = np.sort(rewards)
    assert held(returns.interval("cvar", levels)[0], np.array([ordered[: n // 100].mean(), ordered[: n // 2].mean()]))


@pytest.mark.fast
@pytest.mark.parametrize("discount", [0.0, 0.9, 0.999])
@ORDERS
def test_a_mean_of_many_values_that_cancel_carries_their_rounding(discount, order):
    rng = np.random.default_rng(8)
    values, masses = rng.normal(size=10_000) * 1e6, rng.random(10_000)
    values -= values @ masses / masses.sum()
    law = FiniteLaw(values, masses / masses.sum())
    mean = sum(Fraction(p) * Fraction(v) for p, v in zip(law.probs.tolist(), law.values.tolist(), strict=True))
    exact = mean / (1 - Fraction(discount))
    returns = evaluate(MRP([[1.0]], [law], discount), Brackets(5, order=order, sweeps=3)).returns
    low, high = returns.interval("mean")[0]
    # masses sum to 1 up to rounding, which may go to any of the values
    room = abs(1 - sum(map(Fraction, law.probs.tolist()))) * Fraction(max(abs(values))) / (1 - Fraction(discount))
    assert Fraction(float(low)) - room <= exact <= Fraction(float(high)) + room
    assert high - low < 1e-8 / (1.0 - discount)


@pytest.mark.fast
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(
    "law", [stats.norm(1e6, 1), stats.uniform(-1e9, 1), stats.expon(1e7, 2)], ids=["norm", "uniform", "expon"]
)
def test_the_kurtosis_of_a_return_does_not_know_where_its_rewards_lie(law, discount):
    """Of sum g^t R_t the k-th cumulant is that of R over 1 - g^k."""
    returns = evaluate(MRP([[1.0]], [law], discount), Moments(4)).returns
    skewness, excess = (float(part) for part in law.stats("sk"))
    spread = [1.0 - discount**k for k in (2, 3, 4)]
    assert float(returns.skewness()[0]) == pytest.approx(skewness * spread[0] ** 1.5 / spread[1], abs=1e-6)
    assert float(returns.kurtosis()[0]) == pytest.approx(3.0 + excess * spread[0] ** 2 / spread[2], abs=1e-6)
