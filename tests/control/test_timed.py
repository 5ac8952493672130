"""Entropic risk and EVaR: against every policy that knows the time in exact laws, and the recursion in 50 digits."""

import itertools
import math
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

import distrl
from distrl import MDP, EntropicRisk, EVaR, FiniteLaw, Mean, Status, TimedDP, evaluate, optimize
from distrl.control.timed import policy as policies
from distrl.control.timed import product
from distrl.control.timed.bracket import highest_between

pytestmark = pytest.mark.fast
getcontext().prec = 50
F, D = Fraction, Decimal
INEXACT = 1e-14  # of the oracles' conversion to floats, relative to the values

# state, action: (probability, next state, reward, whether it ends)
F1 = {0: {0: [(F(1, 2), 1, F(0), False), (F(1, 2), 2, F(0), False)]}}
F1 |= {1: {0: [(F(1), 1, F(0), True)], 1: [(F(1, 4), 1, F(-2), True), (F(3, 4), 1, F(2), True)]}}
F1 |= {2: {0: [(F(1), 2, F(1), True)]}}
F2 = {0: {0: [(F(1, 2), 1, F(0), False), (F(1, 2), 1, F(4), False)]}}
F2 |= {1: {0: [(F(1), 1, F(1), True)], 1: [(F(1, 2), 1, F(0), True), (F(1, 2), 1, F(4), True)]}}


def digits(x):
    return D(x.numerator) / D(x.denominator) if isinstance(x, Fraction) else D(x)


def model_of(table, discount, **options):
    rows = [
        (x, a, float(p), y, float(r), end)
        for x, choices in table.items()
        for a, outcomes in choices.items()
        for p, y, r, end in outcomes
    ]
    return MDP.from_outcomes(rows, float(discount), absorbing="keep", **options)


def random_table(rng, states=2):
    """One or two actions a state, up to three outcomes, probabilities and rewards with exact floats."""
    table = {}
    for x in range(states):
        table[x] = {}
        for a in range(1 if x == 0 and rng.random() < 0.3 else 2):
            parts = [k for k in rng.multinomial(8, np.full(3, 1 / 3)).tolist() if k]
            table[x][a] = [
                (F(k, 8), int(rng.integers(states)), F(int(rng.integers(-6, 7)), 2), bool(rng.random() < 0.15))
                for k in parts
            ]
    return table


def laws_of(table, discount, plan):
    """The exact laws {return: probability} of every state under one action for each step and state."""
    laws = [{F(0): F(1)} for _ in table]
    for actions in reversed(plan):
        new = []
        for x in range(len(table)):
            law = {}
            for p, y, r, end in table[x][actions[x]]:
                for z, q in ({F(0): F(1)} if end else laws[y]).items():
                    key = r + discount * z
                    law[key] = law.get(key, F(0)) + p * q
            new.append(law)
        laws = new
    return laws


def plans(table, steps):
    rows = list(itertools.product(*(sorted(table[x]) for x in range(len(table)))))
    return itertools.product(rows, repeat=steps)


def entropic(law, beta):
    total = sum(digits(p) * (digits(beta) * digits(z)).exp() for z, p in law.items())
    return total.ln() / digits(beta)


def recursion(table, discount, beta, steps):
    """max_a (1/b) log sum p exp(b (r + g h_{bg})) back over so many steps, in 50 digits."""
    values = [D(0)] * len(table)
    for step in range(steps - 1, -1, -1):
        b = digits(beta) * digits(discount**step)
        later = [digits(discount) * value for value in values]
        values = [
            max(
                sum(digits(p) * (b * (digits(r) + (0 if e else later[y]))).exp() for p, y, r, e in o).ln() / b
                for o in table[x].values()
            )
            for x in range(len(table))
        ]
    return values


def check(ctl, best, share=1e-9):
    """The best values lie in the bounds, and the bounds are that share of the values' size apart."""
    best = np.array([float(v) for v in best])
    room = INEXACT * (1.0 + np.abs(best))
    assert (ctl.lower <= best + room).all() and (best - room <= ctl.upper).all(), (ctl.lower, best, ctl.upper)
    assert ctl.gap.max() <= share * (1.0 + np.abs(best).max())
    assert ctl.converged and isinstance(ctl.method, TimedDP)


@pytest.mark.parametrize(("table", "value"), [(F1, 0.3798854930417225), (F2, 1.6749972526421355)])
def test_regression_values(table, value):
    for horizon in (None, 2, 3):
        ctl = optimize(model_of(table, 1.0), EntropicRisk(-1.0), horizon=horizon)
        assert ctl.lower[0] <= value <= ctl.upper[0] and ctl.gap.max() < 1e-12


@pytest.mark.parametrize("discount", [F(1, 2), F(1)], ids=str)
@pytest.mark.parametrize("beta", [F(-3, 2), F(1)], ids=str)
def test_no_policy_that_knows_the_time_is_better(discount, beta):
    rng = np.random.default_rng(int(10 * discount + 4 * beta) % 100)
    for _ in range(3):
        table = random_table(rng)
        found = [laws_of(table, discount, plan) for plan in plans(table, 3)]
        best = [max(entropic(laws[x], beta) for laws in found) for x in range(len(table))]
        check(optimize(model_of(table, discount), EntropicRisk(float(beta)), horizon=3), best, 1e-12)


@pytest.mark.parametrize("beta", [F(-1, 16), F(-8), F(1, 2), F(8)], ids=str)
@pytest.mark.parametrize("discount", [F(0), F(1, 2)], ids=str)
def test_the_recursion_in_fifty_digits(discount, beta):
    rng = np.random.default_rng(int(100 * beta) % 1000)
    for _ in range(3):
        table = random_table(rng, 3)
        ctl = optimize(model_of(table, discount), EntropicRisk(float(beta)))
        check(ctl, recursion(table, discount, beta, 45 if discount else 1), 1e-8)


def test_a_cut_recursion_is_bounded_on_both_sides():
    """A few steps only, by the limit and by a coarse tail: bounds are wide, and hold."""
    rng = np.random.default_rng(3)
    for beta in (F(-4), F(4)):
        table = random_table(rng, 3)
        best = np.array([float(v) for v in recursion(table, F(3, 4), beta, 120)])
        for options in ({"max_iterations": 2}, {"method": TimedDP(tail=0.05)}):
            ctl = optimize(model_of(table, F(3, 4)), EntropicRisk(float(beta)), throw=False, **options)
            assert (ctl.lower <= best + 1e-13).all() and (best - 1e-13 <= ctl.upper).all()
            assert ctl.gap.max() > 1e-6


def test_small_betas_lose_no_digits():
    table = random_table(np.random.default_rng(5), 3)
    mdp = model_of(table, F(1, 2))
    mean = optimize(mdp, Mean())
    for beta in (1e-9, -1e-9, 1e-300, -5e-324):
        ctl = optimize(mdp, EntropicRisk(beta))
        assert np.abs(ctl.values - mean.values).max() < 1e-7 and ctl.gap.max() < 1e-8
    assert optimize(mdp, EntropicRisk(0.0)).values.tolist() == mean.values.tolist()


def test_normal_rewards_have_a_closed_form():
    """h = sum g^t (m + b g^t s^2 / 2); a second action with the same mean and more spread is the seeker's."""
    calm, wild = stats.norm(1.0, 0.5), stats.norm(1.0, 2.0)
    mdp = MDP.from_outcomes([(0, 0, 1.0, 0, calm, False), (0, 1, 1.0, 0, wild, False)], 0.9)
    for beta, spread in ((-0.7, 0.5), (0.7, 2.0)):
        ctl = optimize(mdp, EntropicRisk(beta))
        value = 1.0 / (1 - 0.9) + beta * spread**2 / 2 / (1 - 0.81)
        assert ctl.lower[0] <= value * (1 + 1e-12) and value * (1 - 1e-12) <= ctl.upper[0]
        assert ctl.gap.max() < 1e-6


def test_evar_of_normal_returns_has_a_closed_form():
    """m / (1 - g) - s sqrt(-2 log(level) / (1 - g^2)), where returns have no bounds."""
    mdp = MDP.from_outcomes([(0, 0, 1.0, 0, stats.norm(1.0, 0.5), False)], 0.9)
    for level in (0.1, 0.5):
        ctl = optimize(mdp, EVaR(level))
        value = 10.0 - 0.5 * math.sqrt(-2.0 * math.log(level) / 0.19)
        assert ctl.lower[0] <= value <= ctl.upper[0] and ctl.gap[0] < 0.05


def test_values_of_a_law_are_outcomes():
    law, rest = FiniteLaw([-1.0, 3.0], [0.25, 0.75]), [(0, 1, 1.0, 0, 0.5, False), (1, 0, 1.0, 1, 2.0, True)]
    drawn = MDP.from_outcomes([(0, 0, 0.5, 1, law, False), (0, 0, 0.5, 0, law, False), *rest], 0.5)
    rows = [(0, 0, p * q, y, r, False) for p, y in ((0.5, 1), (0.5, 0)) for q, r in ((0.25, -1.0), (0.75, 3.0))]
    plain = MDP.from_outcomes([*rows, *rest], 0.5)
    for objective in (EntropicRisk(-0.8), EntropicRisk(0.8), EVaR(0.2)):
        ctl, same = optimize(drawn, objective), optimize(plain, objective)
        np.testing.assert_allclose(ctl.values, same.values, rtol=2e-3 if isinstance(objective, EVaR) else 1e-7)
        assert (ctl.lower <= same.upper).all() and (same.lower <= ctl.upper).all()


def test_without_an_exponential_moment_a_bound_is_infinite():
    heavy = stats.t(3.0)
    mdp = MDP.from_outcomes([(0, 0, 1.0, 0, heavy, False), (0, 1, 1.0, 0, -50.0, False)], 0.5)
    ctl = optimize(mdp, EntropicRisk(-1.0), throw=False)
    assert ctl.policy.act(0, ctl.policy.start(0)) == 1  # the one action whose moment is finite
    assert ctl.lower[0] <= -100.0 <= ctl.upper[0] and not ctl.converged
    ctl = optimize(mdp.with_discount(0.0), EntropicRisk(-1.0), horizon=3, throw=False)
    assert ctl.lower[0] <= -50.0 <= ctl.upper[0]


def test_rows_that_lack_a_little_are_counted():
    """The mass that a row lacks may go to the best or the worst state."""
    lack = 9e-10
    for beta in (-2.0, 2.0):
        rows = [(0, 0, 1.0 - lack, 0, 1.0, False), (1, 0, 1.0, 1, -3.0, False), (2, 0, 1.0, 2, 3.0, False)]
        ctl = optimize(MDP.from_outcomes(rows, 0.5), EntropicRisk(beta))
        ends = []
        for reward in (-3.0, 3.0):
            value = D(0)
            for step in range(60, -1, -1):
                b = D(beta) * D("0.5") ** step
                stay, move = (b * (1 + value / 2)).exp(), (b * D(2 * reward)).exp()
                value = ((1 - D(lack)) * stay + D(lack) * move).ln() / b
            ends.append(float(value))
        assert ctl.lower[0] <= ends[0] + 1e-15 and ends[1] - 1e-15 <= ctl.upper[0]


@pytest.mark.parametrize("horizon", [None, 3])
@pytest.mark.parametrize("beta", [-2.0, 2.0])
def test_rows_that_lack_a_little_are_counted_at_discount_1(beta, horizon):
    """The mass that a row lacks may end with the best or the worst reward, or go on from such a state."""
    lack = 9e-10
    rows = [(0, 0, 1.0 - lack, 0, 1.0, True), (1, 0, 1.0, 1, -3.0, True), (2, 0, 1.0, 2, 3.0, True)]
    ctl = optimize(MDP.from_outcomes([*rows, (3, 0, 1.0, 0, 0.5, False)], 1.0), EntropicRisk(beta), horizon=horizon)
    for end in (-3.0, -6.0, 3.0, 6.0):
        value = math.log((1.0 - lack) * math.exp(beta) + lack * math.exp(beta * end)) / beta
        for state, more in ((0, 0.0), (3, 0.5)):
            assert ctl.lower[state] <= value + more + 1e-15 and value + more - 1e-15 <= ctl.upper[state]
    assert ctl.gap.max() < 0.3


@pytest.mark.parametrize("discount", [0.5, 1.0])
@pytest.mark.parametrize("level", [0.2, 1e-10])
def test_evar_counts_what_rows_lack(discount, level):
    """Of 9e-10 that nobody knows much may hang."""
    lack = F("9e-10")
    rows = [(0, 0, 1.0 - float(lack), 0, 1.0, True), (1, 0, 1.0, 1, -3.0, True), (2, 0, 1.0, 2, 3.0, True)]
    ctl = optimize(MDP.from_outcomes(rows, discount), EVaR(level), throw=False)
    for end in (F(-3), F(3), F(-3) - 3 * F(discount), F(3) + 3 * F(discount)):
        value = evar({F(1): 1 - lack, end: lack}, level)
        assert ctl.lower[0] <= value + 1e-9 and value - 1e-9 <= ctl.upper[0]


# -- discount 1 --------------------------------------------------------------------------------------------------------


def shortest_path(beta, rounds=1, reward=-1.0):
    """`safe` pays 2.5 rewards and ends, `risky` pays one reward and ends with probability 1/2."""
    rows = [(0, 0, 1.0, 0, 2.5 * reward, True), (0, 1, 0.5, 0, reward, True), (0, 1, 0.5, 0, reward, False)]
    rows = rows if rounds else [(x, 0, *rest) for x, _, *rest in rows[1:]]
    return MDP.from_outcomes(rows, 1.0), 0.5 * math.exp(beta * reward)


@pytest.mark.parametrize("beta", [-0.1, -0.3, -0.6, -0.65, -0.8, -3.0])
def test_a_shortest_path_by_its_formula(beta):
    """E exp(b G) of going on is e / (1 - e), e = exp(-b) / 2 below 1; else it is infinite, and safe is the best."""
    mdp, e = shortest_path(beta)
    best = max(-2.5, math.log(e / (1.0 - e)) / beta) if e < 1.0 else -2.5
    ctl = optimize(mdp, EntropicRisk(beta))
    assert ctl.lower[0] <= best + 1e-14 and best - 1e-14 <= ctl.upper[0] and ctl.gap.max() < 1e-7
    assert ctl.policy.tolist() == [int(best > -2.5)]


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.65])
def test_a_seeker_goes_on(beta):
    mdp, e = shortest_path(beta, reward=1.0)
    best = max(2.5, math.log(e / (1.0 - e)) / beta)
    ctl = optimize(mdp, EntropicRisk(beta))
    assert ctl.lower[0] <= best + 1e-13 and best - 1e-13 <= ctl.upper[0] and ctl.gap.max() < 1e-6


def test_infinite_moments_are_refused_by_the_state(monkeypatch):
    monkeypatch.setattr("distrl.control.timed.undiscounted._SWEEPS", 500)
    for beta, reward, words in ((-0.8, -1.0, "under any policy that was found"), (0.8, 1.0, "under every policy")):
        mdp, _ = shortest_path(beta, rounds=0, reward=reward)
        with pytest.raises(ValueError, match=f"finite {words} from state 0"):
            optimize(mdp, EntropicRisk(beta))
    mdp, _ = shortest_path(-0.8, rounds=0)
    ctl = optimize(mdp, EntropicRisk(-0.8), throw=False, max_iterations=20)
    assert ctl.lower[0] == -np.inf and ctl.upper[0] < -2.0 and ctl.status is Status.MAX_ITERATIONS


def test_moving_about_for_nothing_is_no_way_to_end():
    """Loops of reward 0 beside the best policy: the policy ends, and bounds are narrow."""
    stay = [(F(1), 1, F(0), False)]
    table = {
        0: {0: stay, 1: [(F(1), 0, F(0), False)]},
        1: {0: [(F(1), 0, F(0), False)], 1: [(F(1, 2), 1, F(-1), True), (F(1, 2), 2, F(0), False)]},
        2: {0: [(F(1), 2, F(-2), True)], 1: [(F(1, 3), 0, F(0), False), (F(2, 3), 2, F(0), False)]},
    }
    mdp = model_of(table, 1)
    for beta in (-0.5, 0.25):
        ctl = optimize(mdp, EntropicRisk(beta))
        assert ctl.gap.max() < 1e-6 and ctl.lower[0] == ctl.lower[1]
        own = evaluate(mdp, distrl.Moments(2), policy=ctl.policy).interval(EntropicRisk(beta))
        assert (ctl.lower <= own[:, 1]).all() and (own[:, 0] <= ctl.upper).all()
        np.testing.assert_allclose(own[:, 0], ctl.values, atol=1e-6)


def test_a_walk_at_discount_1_equals_a_long_horizon():
    mdp = distrl.environments.gridworld((2, 3), discount=1.0, slip=0.2)
    for objective in (EntropicRisk(-0.2), EntropicRisk(0.1), EVaR(0.2)):
        ctl, long = optimize(mdp, objective), optimize(mdp, objective, horizon=150)
        assert ctl.converged
        assert (ctl.lower <= long.upper + 1e-6).all() and (long.lower <= ctl.upper + 1e-6).all()


# -- other parameters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_one_pass_has_all_betas_nearer_to_0(sign, monkeypatch):
    mdp = distrl.environments.garnet(6, 2, 3, rng=2, discount=0.8)
    ctl = optimize(mdp, EntropicRisk(2.0 * sign))
    monkeypatch.setattr("distrl.control.timed.discounted._KEPT", 100)  # stages between are made again
    few = optimize(mdp, EntropicRisk(2.0 * sign)).family
    for step in (0, 1, 5, 23):
        beta = 2.0 * sign * 0.8**step
        own, found = optimize(mdp, EntropicRisk(beta)), ctl.family.at(EntropicRisk(beta))
        np.testing.assert_allclose(found.lower, own.lower, atol=1e-7)
        assert (found.lower <= own.upper).all() and (own.lower <= found.upper).all()
        np.testing.assert_array_equal(few.at(EntropicRisk(beta)).lower, found.lower)
    for beta in (1.9 * sign, 0.123 * sign, 1e-9 * sign, 0.0):
        own, found = optimize(mdp, EntropicRisk(beta)), ctl.family.at(EntropicRisk(beta))
        assert (found.lower <= own.upper).all() and (own.lower <= found.upper).all()
    lower, upper, targets = ctl.family.frontier(EntropicRisk((2.0 * sign, sign)))
    np.testing.assert_array_equal(lower[:, 0], ctl.lower)
    assert upper.shape == (6, 2) and np.isnan(targets).all()
    assert ctl.at(5e-324 * sign).converged  # a share of beta below float64's range
    with pytest.raises(ValueError, match="levels is empty"):
        ctl.frontier([])
    for beta in (-2.0 * sign, 3.0 * sign):
        with pytest.raises(ValueError, match="one solve for EntropicRisk"):
            ctl.family.at(EntropicRisk(beta))
    start = np.full(6, 1 / 6)
    low, high, _ = ctl.family.common(EntropicRisk(2.0 * sign), start)
    mixed = math.log(np.mean(np.exp(2.0 * sign * ctl.lower))) / (2.0 * sign)
    assert low <= mixed + 1e-12 and mixed - 1e-12 <= high and high - low < 1e-7


# -- EVaR --------------------------------------------------------------------------------------------------------------


def evar(law, level):
    """sup over b of -(1/b) log E exp(-b G) + log(level) / b of an exact law, by SciPy."""
    z, p = (np.array([float(v) for v in part]) for part in (list(law), list(law.values())))
    low, loss = z.min(), -math.log(level)
    if p[z == low].sum() >= level or z.max() == low:
        return low

    def worse(c):  # convex in c = 1 / b
        return -(low - c * math.log(np.dot(p, np.exp(-(z - low) / c))) - loss * c)

    return -minimize_scalar(worse, bounds=(1e-3, 1e3), method="bounded", options={"xatol": 1e-9}).fun


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_no_policy_has_more_evar(level):
    rng = np.random.default_rng(int(10 * level))
    for discount in (F(1, 2), F(1)):
        table = random_table(rng)
        found = [laws_of(table, discount, plan) for plan in plans(table, 2)]
        best = np.array([max(evar(laws[x], level) for laws in found) for x in range(len(table))])
        ctl = optimize(model_of(table, discount), EVaR(level), horizon=2)
        width = max(float(max(law) - min(law)) for laws in found for law in laws)
        assert (ctl.lower <= best + 1e-7).all() and (best - 1e-7 <= ctl.upper).all()
        assert ctl.gap.max() <= 2e-3 * max(width, 1e-6)


def layered(rng, discount):
    """Two steps and the end, a state for each: every policy of its states is one that knows the time."""
    table = random_table(rng, 2)
    for choices in (table[0], table[1]):
        for a, outcomes in choices.items():
            choices[a] = [(p, y + 2, r, False) for p, y, r, _ in outcomes]
    later = random_table(rng, 2)
    table |= {x + 2: {a: [(p, 0, r, True) for p, y, r, _ in o] for a, o in later[x].items()} for x in (0, 1)}
    found = [laws_of(table, discount, (plan, plan)) for (plan,) in plans(table, 1)]
    return model_of(table, discount), found


@pytest.mark.parametrize(("discount", "words"), [(F(9, 10), "pass"), (F(1, 4), "betas,"), (F(1), "betas,")], ids=str)
def test_evar_of_returns_without_a_horizon(discount, words):
    rng = np.random.default_rng(7)
    mdp, found = layered(rng, discount)
    for level in (0.2, 0.6):
        best = np.array([max(evar(laws[x], level) for laws in found) for x in range(4)])
        ctl = optimize(mdp, EVaR(level))
        assert words in ctl.reason
        assert (ctl.lower <= best + 1e-7).all() and (best - 1e-7 <= ctl.upper).all()
        assert ctl.gap.max() <= 2e-3 * max(float(max(law) - min(law)) for laws in found for law in laws)
        law = ctl.evaluated(distrl.Lattice() if discount == 1 else distrl.CategoricalFixedPoint(401))
        own = EVaR(level).value(law.returns)
        assert (own >= ctl.lower - 0.02).all() and (own <= ctl.upper + 0.02).all()


def test_no_beta_between_two_exceeds_the_bound_between_them():
    """Of two laws at a time, the better one at each beta. Slope and curvature are each the sharper one somewhere, and
    the larger end of the two alone is no bound."""
    rng = np.random.default_rng(13)
    higher, used = 0, set()
    for _ in range(300):
        z = np.sort(rng.permuted(np.tile(np.arange(-3.0, 4.0), (2, 1)), axis=1)[:, :3], axis=1)
        p = rng.dirichlet(np.full(3, 0.5), size=2)
        loss, b1, ratio = rng.exponential(2.0), 10.0 ** rng.uniform(-2, 2), 1.0 + rng.uniform(0.01, 3.0)
        betas = np.geomspace(b1, b1 * ratio, 41)
        low, high = z.min(), z.max()
        moments = np.log((p[:, :, None] * np.exp(-betas * (z[:, :, None] - low))).sum(axis=1))
        risks = (low - moments / betas).max(axis=0)
        known = (b1, float(betas[-1])), (risks[:1], risks[-1:])
        bound = highest_between(*known, np.array([low]), np.array([high - low]), loss)[0]
        wide = highest_between(*known, np.array([-np.inf]), np.array([np.inf]), loss)[0]
        best = (risks - loss / betas).max()
        ends = max(risks[0] - loss / b1, risks[-1] - loss / betas[-1])
        assert best <= bound + 1e-12 and bound <= wide + 1e-12 and wide < np.inf
        higher += best > ends + 1e-9
        curved = ends + (high - low) ** 2 * (betas[-1] - b1) ** 2 / (32.0 * b1)
        used.add(bool(bound < curved - 1e-9))
    assert higher and used == {True, False}


def test_a_ladder_has_all_levels():
    mdp, found = layered(np.random.default_rng(8), F(9, 10))
    ctl = optimize(mdp, EVaR(0.2))
    width = max(float(max(law) - min(law)) for laws in found for law in laws)
    for level in (0.1, 0.2, 0.35):
        best = np.array([max(evar(laws[x], level) for laws in found) for x in range(4)])
        other = ctl.family.at(EVaR(level))
        assert (other.lower <= best + 1e-7).all() and (best - 1e-7 <= other.upper).all()
        assert (other.upper - other.lower).max() <= 5e-3 * width
    start = np.array([0.5, 0.5, 0.0, 0.0])
    mixtures = [{z: (laws[0].get(z, F(0)) + laws[1].get(z, F(0))) / 2 for z in {*laws[0], *laws[1]}} for laws in found]
    low, high, _ = ctl.family.common(EVaR(0.2), start)
    best = max(evar(law, 0.2) for law in mixtures)
    assert low <= best + 1e-7 and best - 1e-7 <= high
    with pytest.raises(ValueError, match="level 1 is the mean"):
        ctl.family.at(EVaR(1.0))


def test_a_tolerance_asks_for_more_betas():
    mdp, _ = layered(np.random.default_rng(9), F(9, 10))
    wide, narrow = optimize(mdp, EVaR(0.3)), optimize(mdp, EVaR(0.3), tol=1e-3)
    assert narrow.gap.max() <= 1e-3 < wide.gap.max()
    assert (wide.lower <= narrow.upper).all() and (narrow.lower <= wide.upper).all()
    assert optimize(mdp, EVaR(1.0)).values.tolist() == optimize(mdp, Mean()).values.tolist()


# -- policies ----------------------------------------------------------------------------------------------------------


def played(ctl, table, discount, state, memory):
    """The exact law of the policy, played by start, act and observe."""
    law = {}
    for p, y, r, end in table[state][ctl.policy.act(state, memory)]:
        rest = {F(0): F(1)} if end else played(ctl, table, discount, y, ctl.policy.observe(state, memory, float(r), y))
        for z, q in rest.items():
            law[r + discount * z] = law.get(r + discount * z, F(0)) + p * q
    return law


@pytest.mark.parametrize("objective", [EntropicRisk(-1.0), EVaR(0.3)], ids=str)
@pytest.mark.parametrize("discount", [F(9, 10), F(1, 4), F(1)], ids=str)
def test_a_policy_that_is_played_has_what_is_certified(objective, discount, tmp_path):
    rng = np.random.default_rng(11)
    table = random_table(rng, 2)
    for x in (0, 1):  # it ends in the third step at the latest, since going on leads to the next state of a chain
        table[x] = {a: [(p, x + 1, r, e) for p, _, r, e in o] for a, o in table[x].items()}
    table[2] = {0: [(F(1), 2, F(1), True)], 1: [(F(1, 2), 2, F(4), True), (F(1, 2), 2, F(-2), True)]}
    ctl = optimize(model_of(table, discount), objective)
    distrl.save(ctl, tmp_path / "ctl.npz")
    again = distrl.load(tmp_path / "ctl.npz")
    for one in (ctl, again):
        for state in range(3):
            law = played(one, table, discount, state, one.policy.start(state))
            value = float(entropic(law, F(-1))) if isinstance(objective, EntropicRisk) else evar(law, 0.3)
            assert ctl.lower[state] - 1e-7 <= value <= ctl.upper[state] + 1e-7
            grown = one.returns
            mean = float(sum(z * p for z, p in law.items()))
            low, high = one.evaluated().interval("mean")[state]
            assert low - 1e-12 <= mean <= high + 1e-12 and grown.batch_shape == (3,)
    np.testing.assert_array_equal(again.policy.first_actions(3), ctl.policy.first_actions(3))


def test_a_drawn_start_has_one_policy_that_reaches_what_is_said_of_it():
    """Each state's own beta is the best for itself alone: the law of a drawn start is a mixture, and wants one beta."""
    bet = [(F(1, 2), 0, F(0), True), (F(1, 2), 0, F(6), True)]
    table = {0: {0: [(F(1), 0, F(2), True)], 1: bet}, 1: {0: [(F(1), 1, F(100), True)]}}
    initial, level = [0.5, 0.5], 0.5
    ctl = optimize(model_of(table, F(9, 10), initial=initial), EVaR(level))
    start = ctl.start

    def drawn(one):
        law = {}
        for state, share in enumerate(initial):
            for z, p in played(one, table, F(9, 10), state, one.policy.start(state)).items():
                law[z] = law.get(z, F(0)) + F(share) * p
        return evar(law, level)

    assert start.target is None
    assert start.lower - 1e-7 <= drawn(start) <= start.upper + 1e-7
    assert drawn(ctl) < start.lower - 0.1  # what is best from every single state is not it


def test_entropic_risk_of_a_drawn_start_is_a_mixture_for_every_way_to_solve():
    mdp = model_of(F2, 1, initial=[0.5, 0.5])
    for horizon in (None, 2):
        ctl = optimize(mdp, EntropicRisk(-0.2), horizon=horizon)
        mixed = math.log(np.mean(np.exp(-0.2 * ctl.values))) / -0.2
        assert ctl.start.lower - 1e-9 <= mixed <= ctl.start.upper + 1e-9 and ctl.start.target is None
        with pytest.raises(ValueError, match="from single states, and not from a drawn start; give the model a first"):
            _ = optimize(mdp, EVaR(0.2), horizon=4).start


def gamble():
    """A sure reward, or a larger mean with a spread: taken later, when what is left of beta is small."""
    rows = [(0, 0, 1.0, 1, 1.0, False), (0, 1, 0.5, 1, 0.0, False), (0, 1, 0.5, 1, 4.0, False)]
    return MDP.from_outcomes([*rows, (1, 0, 0.8, 0, 0.5, False), (1, 0, 0.2, 1, 0.0, True)], 0.9)


@pytest.mark.slow_without_jit
def test_the_law_by_rungs_is_the_law_on_the_product(monkeypatch):
    mdp = gamble()
    for objective in (EntropicRisk(-3.0), EVaR(0.1)):
        ctl = optimize(mdp, objective)
        assert ctl.policy.rungs > 0
        on_product = ctl.evaluated()
        monkeypatch.setattr(product, "MOST", 3)
        by_rungs = ctl.evaluated()
        with pytest.raises(ValueError, match="more than 3 states, each a memory and a state"):
            ctl.evaluated(distrl.QuantileDP(11))
        monkeypatch.undo()
        assert "each a memory and a state" in on_product.reason and "rungs back" in by_rungs.reason
        apart = distrl.wasserstein(on_product.returns, by_rungs.returns)
        assert (apart <= on_product.certificate.w1 + by_rungs.certificate.w1).all()
        both = (by_rungs.interval("cvar", 0.1), on_product.interval("cvar", 0.1))
        assert (both[0][:, 0] <= both[1][:, 1]).all() and (both[1][:, 0] <= both[0][:, 1]).all()
        if isinstance(objective, EntropicRisk):
            risk = on_product.interval(objective)
            assert (risk[:, 0] <= ctl.upper).all() and (ctl.lower <= risk[:, 1]).all()
        with pytest.raises(ValueError, match="action returns are not known"):
            _ = by_rungs.action_returns


def test_rungs_are_held_in_bytes_and_end_where_the_tail_begins():
    policy = optimize(gamble(), EntropicRisk(-3.0)).policy
    assert policy.actions.dtype == np.uint8 and (policy.actions[-1] != policy.tail).any()
    memory = policy.start(0)
    for step in range(policy.rungs + 3):
        assert policy.act(0, memory) == (policy.actions[step, 0] if step < policy.rungs else policy.tail[0])
        memory = policy.observe(0, memory, 0.0, 0)
    assert policies.trimmed(np.zeros((3, 2), dtype=np.uint8), np.zeros(2, dtype=np.int64)).shape == (0, 2)


# -- early ends --------------------------------------------------------------------------------------------------------


def _after(count):
    left = [count]

    def stop(*_):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("objective", [EntropicRisk(-2.0), EntropicRisk(2.0), EVaR(0.2)], ids=str)
@pytest.mark.parametrize(("discount", "horizon"), [(0.9, None), (0.2, None), (1.0, None), (0.9, 6)])
def test_ctrl_c_leaves_bounds_that_hold(objective, discount, horizon):
    if discount == 1.0:
        mdp = distrl.environments.gridworld((2, 3), discount=1.0, slip=0.1)
        if objective == EntropicRisk(2.0) or objective == EntropicRisk(-2.0):
            objective = EntropicRisk(objective.beta / 8)
    else:
        mdp = distrl.environments.garnet(5, 2, 2, rng=1, discount=discount)
    whole = optimize(mdp, objective, horizon=horizon)
    for count in (0, 4, 9):
        ctl = optimize(mdp, objective, horizon=horizon, throw=False, progress=_after(count))
        assert (ctl.lower <= whole.upper).all() and (whole.lower <= ctl.upper).all()
        assert ctl.status is Status.INTERRUPTED or ctl.iterations == whole.iterations
        assert ctl.policy.first_actions(mdp.n_states).shape in ((mdp.n_states,), (0,))


MDP2 = distrl.environments.garnet(4, 2, 2, rng=0, discount=0.9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((MDP2, EntropicRisk((-1.0, -2.0))), "2 points here; give one at a time"),
        ((MDP2, Mean(), TimedDP()), "does not serve the objective"),
    ],
)
def test_what_is_wrong_is_said(arguments, words):
    with pytest.raises(ValueError, match=words):
        optimize(*arguments)


def test_tails_are_shares():
    for tail in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="tail must lie between 0 and 1"):
            TimedDP(tail)
