"""Nested CVaR: against recursions in fractions and plain loops, and against the CVaR of the return, which it is not."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MDP, CVaR, FiniteLaw, Mean, NestedCVaR, NestedIteration, Status, evaluate, optimize

pytestmark = pytest.mark.fast
F = Fraction

F1 = [(0, 0, 0.5, 1, 0.0, False), (0, 0, 0.5, 2, 0.0, False), (1, 0, 1.0, 1, 0.0, True)]
F1 += [(1, 1, 0.25, 1, -2.0, True), (1, 1, 0.75, 1, 2.0, True), (2, 0, 1.0, 2, 1.0, True)]
F9 = [(0, 0, 0.5, 1, 0.0, False), (0, 0, 0.5, 2, 0.0, False), (1, 0, 0.25, 1, 0.0, True)]
F9 += [(1, 0, 0.75, 1, 10.0, True), (2, 0, 1.0, 2, 4.0, True)]


def cvar(law, level):
    """The mean of the lowest mass `level` of [(value, probability)]."""
    left, total = level, 0 * level
    for value, p in sorted(law):
        mass = min(p, left)
        total += mass * value
        left -= mass
    return total / level


def random_table(rng, states):
    """Up to three actions a state with probabilities in eighths and rewards in halves."""
    table = {}
    for x in range(states):
        table[x] = {}
        for a in range(int(rng.integers(1, 4))):
            parts = [k for k in rng.multinomial(8, np.full(4, 0.25)).tolist() if k]
            table[x][a] = [
                (F(k, 8), int(rng.integers(states)), F(int(rng.integers(-6, 7)), 2), bool(rng.random() < 0.2))
                for k in parts
            ]
    return table


def model_of(table, discount):
    rows = [
        (x, a, float(p), y, float(r), end)
        for x, choices in table.items()
        for a, outcomes in choices.items()
        for p, y, r, end in outcomes
    ]
    return MDP.from_outcomes(rows, float(discount), absorbing="keep")


def step(outcomes, values, discount, level):
    return cvar([(r if e else r + discount * values[y], p) for p, y, r, e in outcomes], level)


@pytest.mark.parametrize("horizon", [None, 2, 4])
def test_regression_values_refute_an_order_of_static_and_nested(horizon):
    """F9: nested 4 above the largest static 3. F1: nested 0 below the largest static 1/4."""
    for rows, nested, static in ((F9, 4.0, 3.0), (F1, 0.0, 0.25)):
        mdp = MDP.from_outcomes(rows, 1.0)
        ctl = optimize(mdp, NestedCVaR(0.5), horizon=horizon)
        assert ctl.lower[0] <= nested <= ctl.upper[0] and ctl.gap.max() < 1e-11
        policies = [p for p in itertools.product((0, 1), repeat=3) if p[1] < len(mdp.actions) and not p[0] and not p[2]]
        best = max(evaluate(mdp, distrl.Lattice(), policy=policy).returns.cvar(0.5)[0] for policy in policies)
        assert abs(best - static) < 1e-9


@pytest.mark.parametrize("discount", [F(0), F(1, 2), F(1)], ids=str)
@pytest.mark.parametrize("level", [F(1, 16), F(3, 8), F(1)], ids=str)
def test_backward_induction_in_fractions(discount, level):
    rng = np.random.default_rng(int(16 * level + 2 * discount))
    for _ in range(4):
        table = random_table(rng, 3)
        values = [F(0)] * 3
        for _ in range(4):
            values = [max(step(o, values, discount, level) for o in table[x].values()) for x in range(3)]
        ctl = optimize(model_of(table, discount), NestedCVaR(float(level)), horizon=4)
        best = np.array([float(v) for v in values])
        assert (ctl.lower <= best + 1e-15).all() and (best - 1e-15 <= ctl.upper).all() and ctl.gap.max() < 1e-10
        assert ctl.policy.shape == (4, 3)


@pytest.mark.parametrize("level", [0.1, 0.4, 0.9])
def test_no_stationary_policy_is_better(level):
    rng = np.random.default_rng(int(10 * level))
    for discount in (0.0, 0.6):
        table = {
            x: {a: [(float(p), y, float(r), e) for p, y, r, e in o] for a, o in choices.items()}
            for x, choices in random_table(rng, 3).items()
        }
        own = {}
        for policy in itertools.product(*(sorted(table[x]) for x in range(3))):
            values = [0.0] * 3
            for _ in range(70):
                values = [step(table[x][policy[x]], values, discount, level) for x in range(3)]
            own[policy] = values
        best = np.max(list(own.values()), axis=0)
        mdp = model_of(table, discount)
        ctl = optimize(mdp, NestedCVaR(level))
        assert isinstance(ctl.method, NestedIteration) and ctl.converged
        assert (ctl.lower <= best + 1e-13).all() and (best - 1e-13 <= ctl.upper).all() and ctl.gap.max() < 1e-7
        assert (own[tuple(ctl.policy.tolist())] >= ctl.lower - 1e-13).all()
        for limit in (1, 2):
            early = optimize(mdp, NestedCVaR(level), throw=False, max_iterations=limit, tol=1e-13)
            assert (early.lower <= best + 1e-13).all() and (best - 1e-13 <= early.upper).all()
            assert (own[tuple(early.policy.tolist())] >= early.lower - 1e-13).all()


def test_a_graph_by_newton_steps_and_by_plain_sweeps():
    mdp = distrl.environments.garnet(20, 3, 6, rng=1, discount=0.8)
    ctl = optimize(mdp, NestedCVaR(0.3))
    assert "Newton" in ctl.reason and ctl.iterations < 30
    table, values = mdp.outcomes, np.zeros(20)
    for _ in range(100):
        each = (table.rewards + 0.8 * values[table.next_states]).tolist()
        rows = zip(table.indptr[:-1], table.indptr[1:], strict=True)
        q = [cvar(zip(each[a:b], table.probs[a:b].tolist(), strict=True), 0.3) for a, b in rows]
        values = np.maximum.reduceat(q, mdp.indptr[:-1])
    left = 0.8**100 * np.abs(values).max() + 1e-13
    assert (ctl.lower <= values + left).all() and (values - left <= ctl.upper).all()


def test_level_1_is_the_mean_and_level_0_the_worst():
    mdp = distrl.environments.garnet(8, 2, 3, rng=3, discount=0.8)
    mean, nested = optimize(mdp, Mean()), optimize(mdp, NestedCVaR(1.0))
    assert (nested.lower <= mean.upper).all() and (mean.lower <= nested.upper).all() and nested.gap.max() < 1e-7
    table, worst = mdp.outcomes, np.zeros(8)
    for _ in range(300):
        each = table.rewards + 0.8 * worst[table.next_states]
        worst = np.maximum.reduceat(np.minimum.reduceat(each, table.indptr[:-1]), mdp.indptr[:-1])
    np.testing.assert_allclose(optimize(mdp, NestedCVaR(1e-9)).values, worst, rtol=1e-8)


def test_values_of_a_law_are_outcomes():
    law, rest = FiniteLaw([-1.0, 3.0], [0.25, 0.75]), [(0, 1, 1.0, 0, 0.5, False), (1, 0, 1.0, 1, 2.0, True)]
    drawn = MDP.from_outcomes([(0, 0, 0.5, 1, law, False), (0, 0, 0.5, 0, law, False), *rest], 0.5)
    rows = [(0, 0, p * q, y, r, False) for p, y in ((0.5, 1), (0.5, 0)) for q, r in ((0.25, -1.0), (0.75, 3.0))]
    for horizon in (None, 3):
        ctl = optimize(drawn, NestedCVaR(0.3), horizon=horizon)
        same = optimize(MDP.from_outcomes([*rows, *rest], 0.5), NestedCVaR(0.3), horizon=horizon)
        np.testing.assert_allclose(ctl.values, same.values, rtol=1e-9)


def test_rows_that_lack_a_little_are_counted():
    rows = [(0, 0, 1.0 - 9e-10, 0, 1.0, False), (1, 0, 1.0, 1, -3.0, False), (2, 0, 1.0, 2, 3.0, False)]
    ctl = optimize(MDP.from_outcomes(rows, 0.5), NestedCVaR(0.1))
    share = 9e-9  # of the level, that may go to the worst state
    low = (1.0 - share + share * -6.0) / (1.0 - 0.5 * (1.0 - share))
    assert ctl.lower[0] <= low and ctl.upper[0] >= 2.0


@pytest.mark.slow_without_jit
def test_a_nested_policy_is_evaluated_for_its_law(tmp_path):
    mdp = distrl.environments.garnet(6, 2, 3, rng=5, discount=0.9)
    ctl = optimize(mdp, NestedCVaR(0.2))
    low, high = ctl.evaluated().interval(CVaR(0.2)).T
    assert (low <= high).all() and ctl.policy.start(0) is None
    distrl.save(ctl, tmp_path / "ctl.npz")
    assert distrl.load(tmp_path / "ctl.npz").policy.tolist() == ctl.policy.tolist()
    assert "nested CVaR 20%" in ctl.summary()


def test_ctrl_c_leaves_bounds_that_hold():
    mdp = distrl.environments.garnet(30, 3, 4, rng=3, discount=0.9)

    def stop(*_):
        raise KeyboardInterrupt

    for horizon in (None, 5):
        whole = optimize(mdp, NestedCVaR(0.3), horizon=horizon)
        ctl = optimize(mdp, NestedCVaR(0.3), horizon=horizon, throw=False, progress=stop)
        assert ctl.status is Status.INTERRUPTED
        assert (ctl.lower <= whole.upper).all() and (whole.lower <= ctl.upper).all()


def test_no_law_has_a_nested_value():
    mrp = distrl.MRP([[1.0]], [1.0], 0.5)
    sol = evaluate(mrp, distrl.CategoricalFixedPoint(11))
    for ask in (lambda: NestedCVaR(0.1).value(sol.returns), lambda: sol.interval(NestedCVaR(0.1))):
        with pytest.raises(distrl.NotKnown, match="a number of a process and a policy"):
            ask()


def test_what_cannot_be_treated_is_named():
    loop = [(0, 0, 0.5, 0, -1.0, False), (0, 0, 0.5, 0, -1.0, True)]
    with pytest.raises(ValueError, match="from state 0 one may go on for longer"):
        optimize(MDP.from_outcomes(loop, 1.0), NestedCVaR(0.5))
    assert optimize(MDP.from_outcomes(loop, 1.0), NestedCVaR(0.5), horizon=3).values[0] == pytest.approx(-3.0)
    normal = MDP.from_outcomes([(0, 0, 1.0, 0, stats.norm(0.0, 1.0), True)], 0.9)
    with pytest.raises(ValueError, match="has a density"):
        optimize(normal, NestedCVaR(0.5))
    for level in (0.0, 1.5):
        with pytest.raises(ValueError, match="level"):
            NestedCVaR(level)
    with pytest.raises(ValueError, match="2 points here"):
        optimize(MDP.from_outcomes(loop, 0.5), NestedCVaR((0.1, 0.2)))
