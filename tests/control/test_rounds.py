"""Rounds whose rewards sum to 0 at discount 1: against linear programs, and values known exactly."""

import numpy as np
import pytest
from scipy.optimize import linprog

import distrl
from distrl import MDP, FiniteLaw, Mean, Status, optimize


def random_rows(rng, n, shaped):
    """Moves to one place or to two with a half each, some of which end; rewards -1, 0 and 1, or rounds of sum 0."""
    rows, worth = [], rng.integers(0, 2, size=n + 1)
    for x in range(n):
        for a in range(int(rng.integers(1, 4))):
            targets = rng.integers(0, n + (1 if rng.random() < 0.75 else 0), size=int(rng.integers(1, 3)))
            for y in targets.tolist():
                reward = float(worth[y] - worth[x] if shaped else rng.choice([-1.0, -1.0, 0.0, 1.0]))
                rows.append((x, a, 1.0 / len(targets), min(y, n - 1), reward, y == n))
    return rows


def by_occupation(mdp):
    """max sum r y over y >= 0 with sum_a y(x, a) - sum P y = 1: the status, and the sum of the best values.

    y are the expected numbers of times that a policy takes each pair, starts from all states added up: finite where it
    ends, and without a largest value where a round gains.
    """
    table, here = mdp.outcomes, mdp.choices.states
    silent = np.ones(mdp.n_states, dtype=bool)  # where nothing is paid any more returns have ended
    while True:
        loud = (table.rewards != 0.0) | ~(table.terminals | silent[table.next_states])
        left = silent & ~np.isin(np.arange(mdp.n_states), here[table.sources[loud]])
        if (left == silent).all():
            break
        silent = left
    going_on = np.where(silent, 0.0, table.continuation.toarray())
    flow = -going_on.T
    flow[here, np.arange(flow.shape[1])] += 1.0
    found = linprog(-mdp.outcomes.expected_rewards, A_eq=flow, b_eq=np.ones(len(flow)), method="highs-ds")
    return {0: "found", 2: "no policy ends", 3: "no policy is the best"}[found.status], -(found.fun or 0.0)


def test_linear_programs_say_the_same():
    """Several hundred models with rounds of all three kinds: certified, named or harmless as the program says."""
    rng = np.random.default_rng(3)
    seen = {"found": 0, "no policy ends": 0, "no policy is the best": 0, "rounds": 0}
    for k in range(240):
        mdp = MDP.from_outcomes(random_rows(rng, 3, shaped=k % 4 == 0), 1.0, absorbing="keep")
        verdict, total = by_occupation(mdp)
        seen[verdict] += 1
        if verdict != "found":
            with pytest.raises(ValueError, match=r"no policy ends|no policy is the best"):
                optimize(mdp, Mean())
            continue
        ctl = optimize(mdp, Mean())
        assert ctl.converged and ctl.gap.max() < 1e-9
        assert ctl.lower.sum() - 1e-9 <= total <= ctl.upper.sum() + 1e-9
        mdp.under(ctl.policy)  # refused where it does not end
        seen["rounds"] += "sum to 0" in ctl.reason
    assert min(seen.values()) >= 20, seen


def test_a_round_of_sum_0_is_one_state():
    """One can go round, collecting 1 and paying it back; what is best is to end after the 1."""
    rows = [(0, 0, 1.0, 1, 1.0, False), (0, 1, 1.0, 0, -1.0, True)]
    rows += [(1, 0, 1.0, 0, -1.0, False), (1, 1, 1.0, 1, 0.0, True)]
    ctl = optimize(MDP.from_outcomes(rows, 1.0), Mean())
    assert ctl.policy.tolist() == [0, 1] and ctl.values.tolist() == [1.0, 0.0]
    assert ctl.gap.max() < 1e-14 and "rounds whose rewards sum to 0" in ctl.reason


@pytest.mark.parametrize("toss", [FiniteLaw([-1.0, 1.0]), FiniteLaw([-2.0, 1.0], [0.25, 0.5 + 0.25])])
def test_a_fair_game_is_worth_its_end(toss):
    """A toss as often as one likes, then an end that pays -3; a game that is not fair is harmless or without a best."""
    ends, mean = [(0, 1, 1.0, 0, -3.0, True)], toss.mean
    mdp = MDP.from_outcomes([(0, 0, 1.0, 0, toss, False), *ends], 1.0)
    if mean > 0.0:
        with pytest.raises(ValueError, match="no policy is the best"):
            optimize(mdp, Mean())
        return
    ctl = optimize(mdp, Mean())
    assert ctl.lower[0] <= -3.0 <= ctl.upper[0] and ctl.gap[0] < 1e-13


def test_thirds_that_cancel():
    """3 with a third, else -1, and -1 on the way back: the bias is no float, and is found in fractions."""
    third = 1.0 / 3.0
    rows = [(0, 0, third, 1, 3.0, False), (0, 0, 2.0 * third, 0, -1.0, False), (1, 0, 1.0, 0, -1.0, False)]
    rows += [(0, 1, 1.0, 2, 0.1, False), (1, 1, third, 2, 0.2, False), (1, 1, 2.0 * third, 1, 0.0, False)]
    rows += [(2, 0, 1.0, 2, 0.3, True)]
    ctl = optimize(MDP.from_outcomes(rows, 1.0), Mean())
    # ending from 0 gives .4, from 1 gives .5; from 1 one comes to 0 for -1, and from 0 to 1 for 1 more on average
    np.testing.assert_allclose(ctl.values, [1.5, 0.5, 0.3], atol=1e-15)
    assert ctl.converged and ctl.gap.max() < 1e-13


def test_what_is_0_but_for_rounding_is_left_uncertified():
    """.1 + .2 - .3 is 2.8e-17 in the floats that these are: to go round for ever would pay without end."""
    rows = [(0, 0, 1.0, 1, 0.1, False), (1, 0, 1.0, 2, 0.2, False), (2, 0, 1.0, 0, -0.3, False)]
    mdp = MDP.from_outcomes([*rows, (0, 1, 1.0, 0, -1.0, True)], 1.0)
    ctl = optimize(mdp, Mean())
    assert ctl.status is Status.UNCERTIFIED and np.isinf(ctl.upper).all()
    np.testing.assert_allclose(ctl.values, [-1.0, -1.1, -1.3], atol=1e-15)
    assert "from state 0" in ctl.reason and "e-18 a step" in ctl.reason
    with pytest.raises(distrl.OptimizationError) as caught:
        optimize(mdp, Mean(), tol=0.1)
    assert caught.value.solution.status is Status.UNCERTIFIED
    whole = [(s, a, p, y, 10.0 * r, end) for s, a, p, y, r, end in [*rows, (0, 1, 1.0, 0, -1.0, True)]]
    tenfold = optimize(MDP.from_outcomes(whole, 1.0), Mean())  # as the reason says: whole numbers
    np.testing.assert_allclose(tenfold.values, [-10.0, -11.0, -13.0], atol=1e-14)
    assert tenfold.converged


def test_shaped_rewards_move_the_values_and_nothing_else():
    """r + f(y) - f(x) for any f: all ways round sum to what they did, and V - f is the best (Ng et al. 1999)."""
    plain = distrl.environments.gridworld((12, 12), discount=1.0, slip=0.0)
    rng = np.random.default_rng(0)
    worth = rng.integers(-50, 50, size=plain.n_states).astype(float)
    table, here = plain.outcomes, plain.choices.states
    onward = np.where(table.terminals, 0.0, worth[table.next_states])
    free = np.where(table.terminals, 2.0, 0.0)  # moving about costs nothing before it is shaped
    rows = zip(
        here[table.sources],
        plain.choices.actions[table.sources],
        table.probs,
        table.next_states,
        free + onward - worth[here[table.sources]],
        table.terminals,
        strict=True,
    )
    shaped = MDP.from_outcomes([tuple(row) for row in rows], 1.0)
    ctl = optimize(shaped, Mean())
    assert ctl.converged and "rounds whose rewards sum to 0" in ctl.reason
    assert (ctl.lower <= 2.0 - worth).all() and (2.0 - worth <= ctl.upper).all() and ctl.gap.max() < 1e-10
