"""Laws on a lattice against walks whose every step is taken in rationals, and against published numbers."""

import itertools
import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import merge_distance

import distrl
from distrl import MDP, MRP, CategoricalFixedPoint, FiniteLaw, Lattice, Status, evaluate
from distrl.dp.lattice_rows import OffLattice, common_step

STEPS = 400  # of a walk at most; what has a probability below 1e-20 is left out on the way


def walked(rows, start, discount=Fraction(1)):
    """{sum: probability} of the return from `start` as far as it has ended, and what has not, in rationals."""
    alive, ended = {(start, Fraction(0), Fraction(1)): Fraction(1)}, defaultdict(Fraction)
    for _ in range(STEPS):
        following = defaultdict(Fraction)
        for (state, total, factor), mass in alive.items():
            for source, probability, target, reward, terminal in rows:
                if source != state:
                    continue
                sum_ = total + factor * reward
                if terminal:
                    ended[sum_] += mass * probability
                else:
                    following[target, sum_, factor * discount] += mass * probability
        alive = {key: mass for key, mass in following.items() if mass > Fraction(1, 10**20)}
        if not alive:
            break
    return dict(ended), 1 - sum(ended.values())


def model_of(rows, discount=1.0, step=1.0):
    return MRP.from_outcomes([(s, float(p), t, float(r) * step, end) for s, p, t, r, end in rows], discount)


@st.composite
def lattices(draw, signs=(1, -1), largest=3):
    """Rows of up to 4 states, dyadic probabilities, an end of probability 1/4 at least, rewards of one sign."""
    n, sign = draw(st.integers(1, 4)), draw(st.sampled_from(signs))
    rows = []
    for state in range(n):
        count = draw(st.integers(1, 3))
        shares = draw(st.sampled_from([[4], [2, 2], [1, 3], [1, 1, 2]]))[:count]
        shares[-1] += 4 - sum(shares)
        for share in shares:
            move = (draw(st.integers(0, n - 1)), sign * draw(st.integers(0, largest)), False)
            rows.append((state, Fraction(share, 8), *move))
        rows.append((state, Fraction(1, 2), state, sign * draw(st.integers(0, largest)), True))
    return rows


@settings(max_examples=25)
@given(lattices(), st.sampled_from([1.0, 0.1, 1 / 3, 1e6, 2.5]), st.sampled_from([1e-12, 1e-3, 0.2]))
def test_laws_are_those_of_walks_and_certificates_hold(rows, step, tail):
    model = model_of(rows, step=step)
    sol = evaluate(model, Lattice(tail))
    assert sol.status is Status.CONVERGED and sol.solver == "levels"
    assert sol.returns.tail.max() <= tail
    np.testing.assert_allclose(sol.returns.probs.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    assert np.array_equal(sol.returns.tail, sol.certificate.clipped_mass)
    own = common_step(model.outcomes.rewards)
    assert sol.returns.spacing == pytest.approx(own, rel=1e-12)
    for state in range(model.n_states):
        exact, alive = walked(rows, state)
        assert alive < 1e-16
        levels = {round(abs(float(total)) * step / own): float(mass) for total, mass in exact.items()}
        last = sol.returns.grid.atoms - 1
        masses = np.asarray(sol.returns[state].probs)
        masses = masses[::-1] if sol.returns.grid.low < 0 else masses
        for level in range(last):
            assert masses[level] == pytest.approx(levels.get(level, 0.0), rel=1e-11, abs=1e-16)
        beyond = sum(mass for level, mass in levels.items() if level > last)
        assert sol.returns.tail[state] == pytest.approx(beyond, rel=1e-9, abs=1e-16)
        values = np.array([float(total) * step for total in exact])
        true = merge_distance(
            (sol.returns.atoms, np.asarray(sol.returns[state].probs)),
            (values, np.array(list(map(float, exact.values())))),
        )
        assert true <= sol.certificate.w1[state] * (1 + 1e-9) + 1e-13 * own
        mean = float(sum(total * mass for total, mass in exact.items())) * step
        assert abs(sol.values[state] - mean) <= sol.certificate.w1[state] * (1 + 1e-9) + 1e-13 * own


def test_a_certificate_that_is_a_tenth_too_small_would_be_seen():
    """With probability 1/100 a reward of 100, and then another with the same: cut at level 1 that costs 1."""
    rows = [(0, 0.99, 0, 0.0, True), (0, 0.01, 1, 100.0, False), (1, 0.99, 1, 1.0, True), (1, 0.01, 1, 100.0, True)]
    sol = evaluate(MRP.from_outcomes(rows, 1.0), Lattice(tail=0.02))
    true = 0.01 * (0.99 * 101.0 + 0.01 * 200.0 - 1.0)
    assert sol.returns.tail[0] == pytest.approx(0.01) and sol.returns.grid.high == 1.0
    assert 0.9 * sol.certificate.w1[0] < true <= sol.certificate.w1[0]


@settings(max_examples=15)
@given(lattices(), lattices(signs=(1,)))
def test_it_is_the_general_solver_on_that_grid(rows, other):
    for model in (model_of(rows), model_of(other, step=0.5)):
        sol = evaluate(model, Lattice(1e-10))
        general = evaluate(model, CategoricalFixedPoint(grid=sol.returns.grid))
        distance = distrl.wasserstein(sol.returns, general.returns)
        assert (distance <= sol.certificate.w1 + general.certificate.w1).all()
        assert general.certificate.w1.max() < 1e-5 * max(sol.returns.grid.width, 1.0)


@settings(max_examples=6)
@given(lattices(signs=(1,)), st.data())
def test_rewards_of_both_signs_go_to_the_general_solver_on_the_step(rows, data):
    swapped = [(s, p, t, data.draw(st.sampled_from([1, -1])) * r, end) for s, p, t, r, end in rows]
    model = model_of(swapped)
    sol = evaluate(model, Lattice(1e-9))
    assert sol.status is Status.CONVERGED
    for state in range(model.n_states):
        exact, _ = walked(swapped, state)
        values, masses = np.array(list(map(float, exact))), np.array(list(map(float, exact.values())))
        probs = np.asarray(sol.returns[state].probs)
        assert merge_distance((sol.returns.atoms, probs), (values, masses)) <= sol.certificate.w1[state] + 1e-12
    assert sol.certificate.w1.max() < 1e-6


def test_finite_laws_are_spread_over_levels():
    model = MRP.from_outcomes([(0, 0.5, 0, FiniteLaw([0.0, 0.3, 0.5]), False), (0, 0.5, 0, 0.1, True)], 1.0)
    sol = evaluate(model, Lattice())
    assert sol.returns.spacing == pytest.approx(0.1)
    # generating function: G(z) = z / 2 + (1 + z^3 + z^5) / 6 G(z)
    series = np.zeros(sol.returns.grid.atoms)
    for k in range(len(series)):
        before = (series[k - r] for r in (3, 5) if k >= r)
        series[k] = ((0.5 if k == 1 else 0.0) + sum(before) / 6.0) / (1.0 - 1.0 / 6.0)
    np.testing.assert_allclose(sol.returns[0].probs[:-1], series[:-1], rtol=1e-13, atol=1e-16)


def gambler(n, chance):
    rows = [(x, p, x + d, 0.0, False) for x in range(1, n) for p, d in ((chance, 1), (1 - chance, -1))]
    rows += [(0, 1.0, 0, 0.0, True), (n, 1.0, n, 1.0, True)]
    return MRP.from_outcomes(rows, 1.0)


@pytest.mark.parametrize(("n", "chance"), [(10, 0.5), (30, 0.3), (400, 0.5), (400, 0.45)])
def test_moves_that_pay_nothing_and_come_back_are_solved_for(n, chance):
    """Gambler's ruin: the classical formula, whose smallest value is 1e-35 here."""
    sol = evaluate(gambler(n, chance), Lattice())
    odds, x = Fraction(1 - chance) / Fraction(chance), np.arange(n + 1)
    exact = [Fraction(int(k), n) if odds == 1 else (odds ** int(k) - 1) / (odds**n - 1) for k in x]
    np.testing.assert_allclose(sol.returns.probs[:, 1], np.array(list(map(float, exact))), rtol=1e-9)
    assert sol.certificate.w1.max() < 1e-7


def coupons(n, draw):
    """States: how many of n coupons are there; a draw takes so many independent coupons and pays 1."""
    one = np.diag([k / n for k in range(n + 1)]) + np.diag([(n - k) / n for k in range(n)], k=1)
    return MRP(np.linalg.matrix_power(one, draw), np.r_[np.ones(n), 0.0], 1.0, terminal=np.arange(n + 1) == n)


@pytest.mark.parametrize(
    ("n", "draw", "mean", "within_5"),
    [
        (5, 2, 5.9603174603174605, 0.5225472),
        (7, 3, 6.383419614421544, 0.4339188263291682),
        (9, 4, 6.74007249230144, 0.35851078982197204),
        (15, 4, 12.818358616251643, 0.0017788079199640542),
    ],
)
def test_coupons(n, draw, mean, within_5):
    """Published values of the quantitative verification benchmark set's coupon collector."""
    sol = evaluate(coupons(n, draw))
    assert sol.method == Lattice()
    assert sol.returns.cdf([5.0])[0, 0] == pytest.approx(within_5, abs=1e-12)
    assert sol.values[0] == pytest.approx(mean, abs=1e-10)


def test_hermans_ring():
    """Self-stabilisation of a ring of 5: the largest expected number of steps is 3.2."""
    states = list(itertools.product((0, 1), repeat=5))
    rows = []
    for state in states:
        tokens = [i for i in range(5) if state[i] == state[i - 1]]
        for coins in itertools.product((0, 1), repeat=len(tokens)):
            following = [state[i - 1] for i in range(5)]
            for place, coin in zip(tokens, coins, strict=True):
                following[place] = coin
            done = sum(following[i] == following[i - 1] for i in range(5)) == 1
            rows.append(
                (states.index(state), 0.5 ** len(tokens), states.index(tuple(following)), float(len(tokens) > 1), done)
            )
    sol = evaluate(MRP.from_outcomes(rows, 1.0))
    assert sol.solver == "levels" and sol.values.max() == pytest.approx(3.2, abs=1e-10)


def test_some_states_alone_have_the_same_laws():
    model = coupons(9, 1)
    whole = evaluate(model, Lattice())
    some = Lattice().laws_of(model, [3, 0])
    np.testing.assert_array_equal(some.returns.probs, np.asarray(whole.returns.probs)[[3, 0]])
    np.testing.assert_array_equal(some.certificate.w1, whole.certificate.w1[[3, 0]])
    np.testing.assert_array_equal(some.returns.tail, whole.returns.tail[[3, 0]])


def test_a_policys_process_has_action_returns():
    mdp = MDP.from_outcomes(
        [(0, a, p, 0, 1.0, end) for a, p, end in ((0, 0.5, False), (0, 0.5, True), (1, 1.0, True))], 1.0
    )
    sol = evaluate(mdp, Lattice(), policy=[0])
    np.testing.assert_allclose(sol.action_returns.mean(), [[2.0, 1.0]], atol=1e-9)


def test_tolerances_and_limits_are_kept():
    coin = MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)], 1.0)
    rough = evaluate(coin, Lattice(tail=0.1), tol=1e-9)
    assert rough.converged and rough.bound <= 1e-9 < rough.tol * 1.001
    cut = evaluate(coin, Lattice(), max_iterations=5, throw=False)
    assert cut.status is Status.MAX_ITERATIONS and cut.returns.grid.atoms == 5
    assert cut.returns.tail[0] == 2.0**-4
    with pytest.raises(distrl.ConvergenceError, match="limit on iterations"):
        evaluate(coin, Lattice(), max_iterations=5)
    assert evaluate(coin, Lattice(), tol=1e-300, throw=False).status is Status.STALLED


def test_results_can_be_saved(tmp_path):
    sol = evaluate(coupons(5, 2))
    sol.save(tmp_path / "law.npz")
    back = distrl.load(tmp_path / "law.npz")
    np.testing.assert_array_equal(back.returns.tail, sol.returns.tail)
    assert back.method == sol.method and type(back.returns[0]) is type(sol.returns[0])
    assert sol.returns[[1, 2]].tail.shape == (2,) and float(sol.returns[1].tail) == sol.returns.tail[1]


@pytest.mark.fast
def test_steps_are_found_from_ratios():
    assert common_step(np.array([0.0])) == 1.0
    assert common_step(np.array([0.1, 0.3, -0.2])) == 0.1
    assert common_step(np.array([1 / 3, 1.0, 0.5])) == pytest.approx(1 / 6, rel=1e-15)
    assert common_step(np.array([-100.0, -1.0])) == 1.0
    assert common_step(np.array([6.0, 10.0, 15.0])) == pytest.approx(1.0)
    for odd in ([1.0, math.sqrt(2.0)], [1.0, 1.0 + 1e-9], [1.0, 1e-30]):
        with pytest.raises(OffLattice, match="no multiples of one step"):
            common_step(np.array(odd))


@pytest.mark.fast
def test_what_is_on_no_lattice_is_refused_with_a_way_out():
    loop = [(0, 0.5, 0, 1.0, False), (0, 0.5, 0, math.pi, True)]
    with pytest.raises(ValueError, match=r"3\.14.* no multiples of one step.* use distrl\.CategoricalFixedPoint\(\)"):
        evaluate(MRP.from_outcomes(loop, 1.0), Lattice())
    with pytest.raises(ValueError, match=r"discount 0\.9.*some state can be met again"):
        evaluate(MRP.from_outcomes(loop, 0.9), Lattice())
    slow = MRP.from_outcomes([(0, 0.999, 0, 1.0, False), (0, 0.001, 0, 1.0, True)], 1.0)
    with pytest.raises(ValueError, match=r"largest mean return is 1000 times the step.* raise max_values"):
        evaluate(slow, Lattice(max_values=900))
    with pytest.raises(ValueError, match=r"after 1100 levels .* with probability 0\.33"):
        evaluate(slow, Lattice(max_values=1100))
    with pytest.raises(ValueError, match=r"laws_of is by levels, but .* both signs"):
        Lattice().laws_of(MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, -1.0, True)], 1.0), [0])
    for options in ({"tail": 0.0}, {"tail": 1.0}, {"max_values": 1}):
        with pytest.raises(ValueError):
            Lattice(**options)


def tree(depth, rewards):
    """Two ways at every node of a binary tree: rewards on each, then an end."""
    rows = []
    for node in range(2**depth - 1):
        for side in (0, 1):
            child = 2 * node + 1 + side
            last = child >= 2**depth - 1
            rows.append((node, Fraction(1, 4) if side else Fraction(3, 4), 0 if last else child, rewards[side], last))
    return rows


@pytest.mark.parametrize("discount", [1.0, 0.5, 0.9])
@pytest.mark.parametrize("rewards", [(1, -2), (0, 3), (Fraction(2**0.5), 1)])
def test_models_that_meet_no_state_twice_have_finitely_many_sums(discount, rewards):
    rows = tree(6, rewards)
    sol = evaluate(model_of(rows, discount), Lattice())
    exact, alive = walked(rows, 0, Fraction(discount))
    assert alive == 0
    values, masses = np.array(list(map(float, exact))), np.array(list(map(float, exact.values())))
    own, weights = sol.returns[0].support_weights()
    true = merge_distance((np.asarray(own), np.asarray(weights)), (values, masses))
    assert true <= sol.certificate.w1[0] < 1e-10
    if sol.solver == "distinct sums":
        assert np.count_nonzero(weights) == len(np.unique(np.round(values, 10)))
        with pytest.raises(ValueError, match=r"has \d+ distinct sums, more than max_values=3"):
            evaluate(model_of(rows, discount), Lattice(max_values=3))


@settings(max_examples=8)
@given(lattices(), st.sampled_from([1.0, 0.1]), st.sampled_from([1e-12, 0.1]))
def test_intervals_hold_the_truth_and_cdf_values_are_known_to_rounding(rows, step, tail):
    sol = evaluate(model_of(rows, step=step), Lattice(tail))
    own = sol.returns.spacing
    for state in range(sol.model.n_states):
        exact, _ = walked(rows, state)
        sums = np.array([float(total) * step for total in exact])
        masses = np.array(list(map(float, exact.values())))
        points = np.unique(np.concatenate([sums, sums + 0.5 * own]))[:20]
        low, high = sol.interval("cdf", points)[state].T
        for point, least, most in zip(points, low, high, strict=True):
            true = masses[sums <= point + 1e-9 * own].sum()
            assert least - 1e-15 <= true <= most + 1e-15
            if step == 1.0 or point not in sums:  # a sum of tenths is on no side of a float for certain
                assert most - least <= 2.0 * tail + 1e-9
        order = np.argsort(sums)
        for level in (0.1, 0.5, 0.83):
            least, most = sol.interval("quantile", level)[state]
            true = sums[order][np.searchsorted(np.cumsum(masses[order]), level - 1e-9)]
            assert least - 1e-9 * own <= true <= most + 1e-9 * own


def test_an_interruption_leaves_the_levels_that_were_made():
    slow = MRP.from_outcomes([(0, 0.999, 0, 1.0, False), (0, 0.001, 0, 1.0, True)], 1.0)
    called = []

    def interrupt(share, applications, bound):
        called.append(applications)
        if len(called) == 3:
            raise KeyboardInterrupt

    sol = evaluate(slow, Lattice(), progress=interrupt, throw=False)
    assert sol.status is Status.INTERRUPTED and sol.returns.grid.atoms == called[-1] == sol.iterations
    assert sol.returns.tail[0] == pytest.approx(0.999 ** (called[-1] - 1), rel=1e-12)
    assert abs(sol.values[0] - 1000.0) <= sol.certificate.w1[0]
