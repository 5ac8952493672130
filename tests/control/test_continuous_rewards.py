"""Rewards with a density: brackets hold what is known in closed form, and close; the policy keeps its true targets."""

import numpy as np
import pytest

import distrl
from distrl import CVaR, FiniteLaw, MeanCVaR, Shortfall, Status, TargetDP, optimize
from distrl.control.target.parts import Side, cut
from distrl.models.laws import as_law

stats = pytest.importorskip("scipy.stats")


def one_state(*actions, discount=0.5, end=1.0):
    """Each action pays once and ends with probability `end`."""
    rows = [(0, a, p, 0, law, ends) for a, law in enumerate(actions) for p, ends in ((end, True), (1.0 - end, False))]
    return distrl.MDP.from_outcomes([row for row in rows if row[2] > 0.0], discount)


def uniform_cvar(low, high, level):
    return low + 0.5 * level * (high - low)


@pytest.mark.parametrize("horizon", [None, 1])
def test_a_uniform_reward_or_a_sure_one(horizon):
    """The worst `level` of U(0, 1) is level / 2: less than the sure .3 up to level .6."""
    mdp = one_state(stats.uniform(0, 1), 0.3)
    last = np.inf
    for tol in (0.05, 0.01, 0.002):
        ctl = optimize(mdp, CVaR(0.8), tol=tol, horizon=horizon)
        assert ctl.lower[0] <= 0.4 <= ctl.upper[0] and ctl.gap[0] <= tol and ctl.gap[0] < last
        last = ctl.gap[0]
        for level in (0.05, 0.3, 0.6, 0.9, 1.0):
            best = max(0.3, level / 2.0)
            other = ctl.at(level)
            assert other.lower[0] - 1e-12 <= best <= other.upper[0] + 1e-12
            assert other.lower[0] >= 0.3 - 1e-12
    assert ctl.policy.act(0, ctl.policy.start(0)) == 0
    low = ctl.at(0.1)
    assert low.policy.act(0, low.policy.start(0)) == 1


@pytest.mark.parametrize("horizon", [None, 2])
def test_the_sum_of_two_uniform_rewards(horizon):
    """U(0, 1) + U(0, 1): its put is b^3 / 6 below 1; CVaR is 2/3 of the quantile, sqrt(2 level)."""
    rows = [(0, 0, 1.0, 1, stats.uniform(0, 1), False), (1, 0, 1.0, 1, stats.uniform(0, 1), True)]
    mdp = distrl.MDP.from_outcomes(rows, 1.0)
    ctl = optimize(mdp, CVaR(0.25), tol=0.02, horizon=horizon)
    assert ctl.lower[0] <= 2.0 / 3.0 * np.sqrt(0.5) <= ctl.upper[0] and ctl.gap[0] <= 0.02
    short = optimize(mdp, Shortfall(0.75), tol=0.005, horizon=horizon)
    assert short.lower[0] <= 0.75**3 / 6.0 <= short.upper[0] and short.gap.max() <= 0.005
    if horizon is None:
        assert short.lower[1] <= 0.75**2 / 2.0 <= short.upper[1]
    mixed = optimize(mdp, MeanCVaR(0.25, 0.5), tol=0.02, horizon=horizon)
    assert mixed.lower[0] <= 0.5 + np.sqrt(0.5) / 3.0 <= mixed.upper[0] and mixed.gap[0] <= 0.02


def test_endless_rewards_and_what_the_policy_is_worth_in_draws():
    """At discount 1/2 the sum of fair bits is uniform on [0, 2]; so is that of bits that are nearly so."""
    narrow = stats.uniform(0.0, 1e-6)
    rows = [(0, 0, 0.5, 0, narrow, False), (0, 0, 0.5, 0, stats.uniform(1.0, 1e-6), False)]
    rows += [(0, 1, 1.0, 0, stats.uniform(0.2, 0.3), False)]
    mdp = distrl.MDP.from_outcomes(rows, 0.5)
    ctl = optimize(mdp, CVaR(0.9), tol=0.02)
    assert ctl.upper[0] >= uniform_cvar(0.0, 2.0, 0.9) and ctl.gap[0] <= 0.02
    for level in (0.9, 0.2):
        each = ctl.at(level)
        low, high = each.simulate(20_000, rng=1, confidence=1.0 - 1e-9).interval("cvar", level)[0]
        assert high >= each.lower[0] and low <= each.upper[0]


def test_memory_is_the_true_target():
    ctl = optimize(one_state(stats.uniform(0, 1), 0.3, end=0.25), CVaR(0.5))
    memory = ctl.policy.start(0)
    assert ctl.policy.observe(0, memory, 0.123456789, 0) == pytest.approx((memory - 0.123456789) / 0.5, abs=1e-15)
    values = ctl.family.above.values
    assert (np.diff(values) >= 0.0).all()  # why rewards that are larger than the rounded ones do no harm
    with pytest.raises(ValueError, match=r"state 0, action 0 .* simulate"):
        _ = ctl.returns


@pytest.mark.parametrize(
    "law", [stats.uniform(-1, 3), stats.beta(0.5, 0.7), stats.truncnorm(-1, 2)], ids=["uniform", "beta", "truncnorm"]
)
def test_rounded_laws_enclose_the_law(law):
    own = as_law(law, "law")
    x = np.linspace(*own.support, 301)
    for parts in (1, 2, 7, 64):
        (low, low_mass), (high, high_mass) = (cut(own, parts, side) for side in (Side.DOWN, Side.UP))
        down, up = (FiniteLaw(*each) for each in ((low, low_mass), (high, high_mass)))
        assert (down.cdf(x) >= own.cdf(x) - 1e-12).all() and (up.cdf_left(x) <= own.cdf(x) + 1e-12).all()
        wide = own.support[1] - own.support[0]
        assert 0.0 <= up.mean - down.mean <= wide / parts + 1e-9 and down.mean - 1e-12 <= own.mean <= up.mean + 1e-12


def test_atoms_of_a_law_stay_where_they_are():
    class Censored:
        """U(0, 1), but 1/2 where it is less."""

        support = staticmethod(lambda: (0.5, 1.0))
        mean = staticmethod(lambda: 0.625)

        def cdf(self, x):
            return np.clip(x, 0.0, 1.0) * (np.asarray(x) >= 0.5)

    law = as_law(Censored(), "law")
    for side in (Side.DOWN, Side.UP):
        values, masses = cut(law, 4, side)
        assert masses[values == 0.5].sum() >= 0.5 - 1e-6
    ctl = optimize(one_state(Censored(), 0.55), CVaR(0.75), tol=0.005)
    best = (0.5 * 0.5 + 0.25 * 0.625) / 0.75
    assert ctl.lower[0] <= max(0.55, best) <= ctl.upper[0]


def test_what_is_not_bounded_is_refused_by_name():
    names = {"states": ["a", "b"]}
    for law in (stats.norm(), stats.expon()):
        mdp = distrl.MDP([np.eye(2)] * 2, [[law, 0.0], [1.0, 0.0]], 0.5, **names)
        for horizon in (None, 2):
            with pytest.raises(ValueError, match=r"state 'a', action 0 .*no bounds.*truncnorm.*FiniteLaw"):
                optimize(mdp, CVaR(0.5), horizon=horizon)
    mdp = distrl.MDP([np.eye(2)] * 2, [[stats.uniform(), 0.0], [1.0, 0.0]], 0.5, **names)
    with pytest.raises(ValueError, match=r"state 'a', action 0 .*FiniteLaw"):
        optimize(mdp, distrl.Quantile(0.5))


def test_bounds_hold_where_the_search_ends_early():
    mdp = one_state(stats.uniform(0, 1), 0.3)
    for sweeps in (1, 2, 5):
        ctl = optimize(mdp, CVaR(0.8), tol=1e-6, max_iterations=sweeps, throw=False)
        assert ctl.status is Status.MAX_ITERATIONS and ctl.lower[0] <= 0.4 <= ctl.upper[0]
    ctl = optimize(mdp, CVaR(0.8), TargetDP(64), tol=1e-6, throw=False)
    assert ctl.status is Status.MAX_ITERATIONS and ctl.lower[0] <= 0.4 <= ctl.upper[0]
