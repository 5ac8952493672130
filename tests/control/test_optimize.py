"""The best policy for the mean: against every deterministic policy in fractions, and against linear programming."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

import distrl
from distrl import MDP, Mean, Status, optimize

F = Fraction
ROOM = 1e-12  # of the oracles' own rounding to floats


def solve(matrix, rhs):
    """Gauss-Jordan elimination in fractions; None where there is no unique solution."""
    n = len(rhs)
    rows = [[*row, b] for row, b in zip(matrix, rhs, strict=True)]
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(n):
            if i != k and rows[i][k] != 0:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def reaches_an_end(table, policy):
    """Whether every state leads to an end under a policy, one action a state."""
    good = set()
    while True:
        more = {x for x, a in enumerate(policy) if any(end or y in good for _, y, _, end in table[x][a])}
        if more == good:
            return len(good) == len(table)
        good = more


def value(table, policy, discount):
    n = len(table)
    matrix = [[F(int(i == j)) for j in range(n)] for i in range(n)]
    rhs = [F(0)] * n
    for x, a in enumerate(policy):
        for p, y, r, end in table[x][a]:
            rhs[x] += p * r
            if not end:
                matrix[x][y] -= discount * p
    return solve(matrix, rhs)


def best_of_all(table, discount):
    """The largest value of every state over all deterministic policies that end (all of them below discount 1)."""
    values = [
        value(table, policy, discount)
        for policy in itertools.product(*(sorted(table[x]) for x in range(len(table))))
        if discount < 1 or reaches_an_end(table, policy)
    ]
    return np.array([float(max(v[x] for v in values)) for x in range(len(table))])


def random_table(rng, n, discount, sign):
    """Up to three actions a state; at discount 1 rewards are of one sign, or the end is near from everywhere."""
    table = {}
    for x in range(n):
        table[x] = {}
        for a in range(int(rng.integers(1, 4))):
            parts = rng.multinomial(8, np.full(n + 1, 1.0 / (n + 1)))
            if discount == 1 and sign == 0:
                parts = parts + np.eye(n + 1, dtype=np.int64)[n]  # every pair may end
            total = int(parts.sum())
            outcomes = []
            for y, k in enumerate(parts.tolist()):
                if k:
                    reward = F(int(rng.integers(-4, 5)), 2)
                    reward = -abs(reward) - F(1, 2) if sign < 0 else reward
                    outcomes.append((F(k, total), min(y, n - 1), reward, y == n))
            table[x][a] = outcomes
    table[0][0] = [*((p * F(7, 8), y, r, e) for p, y, r, e in table[0][0]), (F(1, 8), 0, F(-1), True)]
    return table


def model_of(table, discount):
    rows = [
        (x, a, float(p), y, float(r), end)
        for x, choices in table.items()
        for a, outcomes in choices.items()
        for p, y, r, end in outcomes
    ]
    return MDP.from_outcomes(rows, float(discount), absorbing="keep")


def check(ctl, best):
    """The best values lie in the bounds, the policy reaches `lower`, and the bounds are narrow."""
    scale = ROOM * (1.0 + np.abs(best))
    assert (ctl.lower <= best + scale).all() and (best - scale <= ctl.upper).all()
    assert ctl.gap.max() <= 1e-9 * (1.0 + np.abs(best).max())
    assert ctl.converged and ctl.tol >= ctl.gap.max()


@pytest.mark.parametrize("discount", [F(0), F(1, 2), F(9, 10), F(99, 100)], ids=str)
def test_no_deterministic_policy_is_better(discount):
    rng = np.random.default_rng(int(discount * 100))
    for _ in range(12):
        table = random_table(rng, 3, discount, 0)
        ctl = optimize(model_of(table, discount), Mean())
        check(ctl, best_of_all(table, discount))
        own = value(table, ctl.policy.tolist(), discount)
        assert (ctl.lower <= np.array([float(v) for v in own]) + ROOM).all()


@pytest.mark.parametrize("sign", [0, -1])
def test_no_policy_that_ends_is_better_at_discount_1(sign):
    rng = np.random.default_rng(5)
    tried = 0
    while tried < 20:
        table = random_table(rng, 3, F(1), sign)
        if not any(reaches_an_end(table, p) for p in itertools.product(*(sorted(table[x]) for x in table))):
            with pytest.raises(ValueError, match="no policy ends"):
                optimize(model_of(table, F(1)), Mean())
            continue
        tried += 1
        check(optimize(model_of(table, F(1)), Mean()), best_of_all(table, F(1)))


def test_moving_about_for_nothing_is_no_way_to_end():
    """Loops of reward 0 tie with the best policy; bounds stay narrow, and the policy ends."""
    stay = [(F(1), 1, F(0), False)]
    table = {
        0: {0: stay, 1: [(F(1), 0, F(0), False)]},
        1: {0: [(F(1), 0, F(0), False)], 1: [(F(1, 2), 1, F(-1), True), (F(1, 2), 2, F(0), False)]},
        2: {0: [(F(1), 2, F(-2), True)], 1: [(F(1, 3), 0, F(0), False), (F(2, 3), 2, F(0), False)]},
    }
    ctl = optimize(model_of(table, F(1)), Mean())
    check(ctl, best_of_all(table, F(1)))
    assert reaches_an_end(table, ctl.policy.tolist())


def test_where_nothing_is_paid_any_more_returns_have_ended():
    """A closed pair of states without reward, behind a state that pays: no outcome is marked as an end."""
    table = {
        0: {0: [(F(1), 1, F(-2), False)], 1: [(F(1, 2), 0, F(-1, 2), False), (F(1, 2), 2, F(-1, 2), False)]},
        1: {0: [(F(1), 2, F(0), False)], 1: [(F(1), 1, F(0), False)]},
        2: {0: [(F(1), 1, F(0), False)]},
    }
    ctl = optimize(model_of(table, F(1)), Mean())
    assert ctl.policy[0] == 1 and ctl.gap.max() < 1e-12
    np.testing.assert_allclose(ctl.values, [-1.0, 0.0, 0.0], atol=1e-15)
    table[2][0] = [(F(1), 1, F(-1), False)]
    with pytest.raises(ValueError, match="no policy ends"):
        optimize(model_of(table, F(1)), Mean())


def test_values_of_0_are_no_reason_to_want_more_than_rounding_allows():
    table = {0: {0: [(F(1, 3), 0, F(0), False), (F(2, 3), 0, F(0), True)], 1: [(F(1), 0, F(-1), True)]}}
    for discount in (F(9, 10), F(1)):
        ctl = optimize(model_of(table, discount), Mean())
        assert ctl.converged and ctl.values[0] == 0.0


def test_a_round_that_gains_is_refused():
    table = {
        0: {0: [(F(1), 1, F(2), False)], 1: [(F(1), 0, F(0), True)]},
        1: {0: [(F(1), 0, F(-1), False)]},
    }
    with pytest.raises(ValueError, match="no policy is the best: from state"):
        optimize(model_of(table, F(1)), Mean())
    assert optimize(model_of(table, F(1)), Mean(), horizon=4).values.tolist() == [2.0, 2.0]


def by_linear_program(mdp):
    """min sum V, V(x) >= r(x, a) + g P V: the textbook's linear program."""
    rows = mdp.discount * mdp.outcomes.continuation.toarray()
    rows[np.arange(len(rows)), mdp.choices.states] -= 1.0
    options = {"A_ub": rows, "b_ub": -mdp.outcomes.expected_rewards, "bounds": [(None, None)] * mdp.n_states}
    return linprog(np.ones(mdp.n_states), **options, method="highs").x


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_the_linear_program_says_the_same(discount):
    for seed in range(4):
        mdp = distrl.environments.garnet(30, 4, 3, rng=seed, discount=discount)
        ctl = optimize(mdp, Mean())
        best = by_linear_program(mdp)
        assert np.abs(ctl.values - best).max() < 1e-6 * (1.0 + np.abs(best).max())
        assert ctl.gap.max() < 1e-10


@pytest.mark.parametrize(
    "mdp",
    [
        distrl.environments.garnet(200, 4, 3, rng=0, discount=0.99),
        distrl.environments.garnet(200, 3, 1, rng=1, discount=0.9),
        distrl.environments.gridworld((14, 14), discount=0.99, slip=0.2),
    ],
    ids=["garnet", "rounds", "map"],
)
def test_where_sweeps_look_for_the_first_policy_few_others_follow(mdp):
    ctl = optimize(mdp, Mean())
    best = by_linear_program(mdp)
    assert np.abs(ctl.values - best).max() < 1e-6 * (1.0 + np.abs(best).max())
    assert ctl.gap.max() < 1e-10 * (1.0 + np.abs(best).max())
    assert ctl.iterations <= 5


def test_long_horizons_keep_their_digits():
    """Values of 1e8 whose differences are small: the gap follows the differences, not the size."""
    mdp = distrl.environments.garnet(20, 3, 3, rng=1, discount=1.0 - 1e-8)
    ctl = optimize(mdp, Mean())
    assert ctl.gap.max() < 1e-6 * np.abs(ctl.values).max()


@pytest.mark.parametrize("discount", [F(1, 2), F(1)], ids=str)
def test_backward_induction_is_the_best_of_all_decisions(discount):
    rng = np.random.default_rng(8)
    for _ in range(6):
        table = random_table(rng, 3, discount, 0)
        values = [F(0)] * 3
        for _ in range(4):
            values = [
                max(sum(p * (r + (0 if e else discount * values[y])) for p, y, r, e in o) for o in table[x].values())
                for x in range(3)
            ]
        ctl = optimize(model_of(table, discount), Mean(), horizon=4)
        check(ctl, np.array([float(v) for v in values]))
        assert ctl.policy.shape == (4, 3)
        np.testing.assert_allclose(ctl.returns.mean(), ctl.values, atol=1e-9)
        memory = ctl.policy.start(1)
        assert ctl.policy.act(1, memory) == ctl.policy[0, 1]
        memory = ctl.policy.observe(1, memory, 0.0, 2)
        assert ctl.policy.act(2, memory) == ctl.policy[1, 2]
        with pytest.raises(ValueError, match="all 4 steps"):
            ctl.policy.act(0, 4)


@pytest.mark.parametrize(
    ("name", "options", "start"),
    [
        ("FrozenLake-v1", {"map_name": "8x8"}, 1.0),
        ("FrozenLake-v1", {"map_name": "4x4"}, 14 / 17),
        ("CliffWalking-v1", {}, -13.0),
    ],
)
def test_gymnasium_at_discount_1(name, options, start):
    pytest.importorskip("gymnasium")
    mdp = distrl.from_gymnasium(name, discount=1.0, **options)
    ctl = optimize(mdp, Mean())
    first = int(np.argmax(mdp.initial))
    assert ctl.lower[first] - 1e-12 <= start <= ctl.upper[first] + 1e-12
    assert ctl.gap.max() < 1e-11
    if mdp.n_states < 64:
        assert abs(ctl.returns.mean()[first] - start) <= ctl.certificate.w1[first] + 1e-12


def test_rows_that_lack_a_little_are_counted():
    rows = [(0, 0, 1.0 - 9e-10, 0, 1.0, False), (0, 1, 1.0, 0, 0.5, False)]
    ctl = optimize(MDP.from_outcomes(rows, 0.5), Mean())
    assert ctl.lower[0] <= (1.0 - 9e-10) / (1.0 - 0.5 * (1.0 - 9e-10)) and ctl.upper[0] >= 2.0


def test_a_policy_is_taken_wherever_policies_are(tmp_path):
    mdp = distrl.environments.garnet(6, 3, 2, rng=0, discount=0.9)
    ctl = optimize(mdp, Mean())
    sol = distrl.evaluate(mdp, distrl.Moments(2), policy=ctl.policy)
    low, high = sol.interval("mean").T
    assert (low <= ctl.upper).all() and (ctl.lower <= high).all()
    np.testing.assert_array_equal(ctl.policy.matrix(), mdp.policy_matrix(ctl.policy.tolist()))
    assert ctl.policy.start(0) is None and ctl.policy.act(2, None) == ctl.policy[2]
    distrl.save(ctl, tmp_path / "ctl.npz")
    again = distrl.load(tmp_path / "ctl.npz")
    np.testing.assert_array_equal(np.asarray(again.policy), np.asarray(ctl.policy))
    np.testing.assert_array_equal(again.upper, ctl.upper)
    text = ctl.summary()
    assert "Converged" in text and "mean" in text and repr(mdp) in text


def test_ctrl_c_and_a_limit_leave_bounds_that_hold():
    mdp = distrl.environments.garnet(40, 4, 3, rng=3, discount=0.999)
    best = by_linear_program(mdp)
    for options in ({"max_iterations": 1}, {"progress": _stop}):
        ctl = optimize(mdp, Mean(), tol=1e-12, throw=False, **options)
        assert not ctl.converged
        assert (ctl.lower <= best + 1e-8).all() and (best - 1e-8 <= ctl.upper).all()
    ctl = optimize(mdp, Mean(), horizon=5, throw=False, progress=_stop)
    whole = optimize(mdp, Mean(), horizon=5)
    assert ctl.status is Status.INTERRUPTED
    assert (ctl.lower <= whole.values).all() and (whole.values <= ctl.upper).all()
    with pytest.raises(distrl.OptimizationInterrupted):
        optimize(mdp, Mean(), progress=_stop)


def _stop(*_):
    raise KeyboardInterrupt


MDP2 = distrl.environments.garnet(4, 2, 2, rng=0, discount=0.9)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((MDP2, distrl.Std()), {}, "cannot be optimised; there is distrl.Mean"),
        ((MDP2, Mean), {}, "must be an object"),
        ((MDP2.under("uniform"), Mean()), {}, "must be a distrl.MDP"),
        ((MDP2, Mean()), {"pessimism": 0.1}, r"in \[0.5, 1\), such as 0.95; got 0.1"),
        ((MDP2, Mean()), {"rng": 0}, "rng is not for"),
        ((MDP2, Mean()), {"tol": 0.0}, "tol must be positive"),
        ((MDP2, Mean()), {"horizon": -1}, "horizon must be at least 0"),
        ((MDP2, Mean()), {"horizon": 2, "max_iterations": 1}, "leave it out"),
        ((MDP2, Mean()), {"method": distrl.QuantileDP(3)}, "must be a control method, such as distrl.PolicyIteration"),
    ],
)
def test_what_is_wrong_is_said(arguments, options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        optimize(*arguments, **options)
