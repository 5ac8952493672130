"""Reaching a set of states: against dense solves, matrix powers and brute force over policies."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distrl
from distrl import MDP, MRP, Lattice, Moments, evaluate


def dense_reach(p, allowed, target, ends):
    """P(allowed until target) by value iteration from below, and after so many steps; `ends` are moves that end."""
    value, history = target.astype(float), [target.astype(float)]
    for _ in range(20_000):
        onward = (p * np.where(ends & ~target[None, :], 0.0, value[None, :])).sum(axis=1)
        following = np.where(target, 1.0, np.where(allowed, onward, 0.0))
        history.append(following)
        if np.abs(following - value).max() < 1e-15:
            break
        value = following
    return history


@st.composite
def problems(draw):
    n = draw(st.integers(2, 6))
    rows = draw(st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=n, max_size=n))
    p = np.array(rows, dtype=float)
    p[np.arange(n), draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n))] += 1.0
    p /= p.sum(axis=1, keepdims=True)
    masks = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) for _ in range(3)]
    return p, *masks


@settings(max_examples=60)
@given(problems())
def test_reaching_and_until_are_those_of_value_iteration(problem):
    p, allowed, target, terminal = problem
    n = len(p)
    model = MRP(p, np.zeros(n), 0.9, terminal=terminal)
    ends = np.repeat(terminal[None, :], n, axis=0) | terminal[:, None]
    for inside, made in ((np.ones(n, bool), model.reach(target)), (allowed, model.until(allowed, target))):
        assert made.discount == 1.0 and type(made) is MRP
        values = evaluate(made, Moments(1)).values
        moves = np.where(terminal[:, None], 0.0, p)  # a terminal state makes no move
        exact = dense_reach(moves, inside, target, ends)[-1]
        np.testing.assert_allclose(values, exact, rtol=0, atol=1e-9)
        assert (values[exact == 0.0] == 0.0).all()  # by graph search
        sol = evaluate(made)
        assert sol.method == Lattice() and (np.abs(sol.returns.mean() - values) <= sol.certificate.w1).all()


@settings(max_examples=40)
@given(problems())
def test_steps_are_those_of_matrix_powers(problem):
    p, allowed, target, _ = problem
    target[0] = True
    p = 0.75 * p + 0.25 * np.eye(len(p))[0]  # whoever walks meets state 0
    made = MRP(p, np.zeros(len(p)), 0.5).until(allowed, target, reward="steps")
    decided = target | ~allowed
    law = evaluate(made, Lattice()).returns
    still = (~decided).astype(float)
    inside = p * ~decided[None, :]
    for k in range(12):
        np.testing.assert_allclose(law.cdf([k])[:, 0], 1.0 - np.where(decided, 0.0, still), rtol=0, atol=1e-12)
        still = inside @ still


def test_within_so_many_steps_is_a_value_of_the_cdf_of_the_steps():
    walk = MRP([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0]], [0.0] * 3, 0.9, labels={"goal": [2]})
    steps = evaluate(walk.until(np.ones(3, bool), "goal", "steps"))
    p = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0]])
    for k in range(9):
        assert steps.returns.cdf([k])[0, 0] == pytest.approx(np.linalg.matrix_power(p, k)[0, 2], abs=1e-13)


def test_a_decision_process_keeps_its_choices():
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.full(5, 0.3), size=(2, 5))
    mdp = MDP(p, np.zeros(5), 0.9)
    reach = mdp.reach([4])
    assert isinstance(reach, MDP) and reach.discount == 1.0
    for policy in itertools.product((0, 1), repeat=5):
        chain = p[list(policy), np.arange(5)]
        exact = dense_reach(chain, np.ones(5, bool), np.arange(5) == 4, np.zeros((5, 5), bool))[-1]
        values = evaluate(reach, Moments(1), policy=list(policy)).values
        np.testing.assert_allclose(values, exact, rtol=0, atol=1e-9)


def test_rare_events_keep_their_digits():
    """Forty steps up of probability 1/1000 each, back to the start otherwise, and a trap as likely as a step up."""
    rows = [(x, p, y, 0.0, False) for x in range(40) for p, y in ((0.001, x + 1), (0.998, 0), (0.001, 41))]
    rows += [(40, 1.0, 40, 0.0, False), (41, 1.0, 41, 0.0, False)]
    values = evaluate(MRP.from_outcomes(rows, 0.9).reach([40])).returns.probs[:, 1]
    # from x: up, up, ..., or back to 0, or the trap; with u = P(reach from 0)
    climb = 0.001**40
    back = sum(0.001**k * 0.998 for k in range(40))
    lost = sum(0.001 ** (k + 1) for k in range(40))
    assert values[0] == pytest.approx(climb / (lost + climb), rel=1e-11)
    assert back + lost + climb == pytest.approx(1.0)


def test_labels_masks_and_positions_say_the_same():
    walk = MRP([[0.5, 0.5], [0.0, 1.0]], [0.0, 0.0], 0.9, labels={"end": [1]}, states=["a", "b"])
    by = [walk.reach(target) for target in ("end", [1], [False, True])]
    for made in by:
        np.testing.assert_array_equal(made.outcomes.probs, by[0].outcomes.probs)
        assert made.labels == walk.labels and list(made.states) == ["a", "b"]
    with pytest.raises(ValueError, match="no label 'start', its labels are 'end'"):
        walk.reach("start")
    with pytest.raises(ValueError, match="reward must be 'reach' or 'steps', got 'time'"):
        walk.until([0, 1], [1], reward="time")


def test_steps_that_may_never_end_are_refused_with_the_state():
    lost = MRP([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0] * 3, 0.9, states=["start", "trap", "goal"])
    assert evaluate(lost.reach([2])).values.tolist() == [0.5, 0.0, 1.0]
    said = r"'trap' is never left.*from state 'start' a return never ends with probability 0.5.*horizon=H.*'reach'"
    steps = lost.until([0, 1, 2], [2], "steps")
    for verb in (
        lambda: evaluate(steps),
        lambda: distrl.learn(steps, distrl.TD()),
        lambda: Lattice().laws_of(steps, [0]),
    ):
        with pytest.raises(ValueError, match=said):
            verb()
    with pytest.raises(ValueError, match="from state 'trap' a return never ends with probability 1"):
        evaluate(
            MRP(lost.to_dense().P, [0.0] * 3, 0.9, initial=[0, 1, 0], states=lost.states).until([0, 1, 2], [2], "steps")
        )
    assert evaluate(lost.until([0, 2], [2], "steps")).values.tolist() == pytest.approx([1.0, 0.0, 0.0])
    ends = MRP([[0.0, 0.5, 0.5], [0.0] * 3, [0.0] * 3], [0.0] * 3, 0.9, terminal=[False, True, True])
    with pytest.raises(ValueError, match=r"from state 0 a walk may end without reaching it.*probability 0.5; use"):
        ends.until([0, 1, 2], [2], "steps")


@pytest.mark.fast
def test_a_horizon_counts_the_steps_of_walks_that_are_never_decided(tmp_path):
    """min(steps, H) over the rationals, whatever a walk does in the trap; and the probability of coming there."""
    third, half = Fraction(1, 3), Fraction(1, 2)
    moves = {0: {0: third, 1: third, 2: third}, 1: {0: half, 1: half}, 2: {2: half, 3: half}, 3: {2: Fraction(1)}}
    moves[4] = {4: Fraction(1)}
    moves[1] = {0: half, 4: half}
    p = np.array([[float(moves[x].get(y, 0)) for y in range(5)] for x in range(5)])
    walk = MRP(p, np.zeros(5), 0.9, states=["a", "b", "ring", "round", "goal"])
    steps = walk.until(np.ones(5, bool), [4], "steps")
    still = [{x: Fraction(int(x != 4)) for x in range(5)}]  # P(more than k steps), k = 0, 1, ...
    for _ in range(12):
        last = still[-1]
        still.append({x: sum(q * last[y] for y, q in moves[x].items()) * (x != 4) for x in range(5)})
    distrl.save(steps, tmp_path / "steps.npz")
    for model in (steps, distrl.load(tmp_path / "steps.npz")):
        for horizon in (1, 5, 12):
            sol = evaluate(model, horizon=horizon)
            for k in range(horizon):
                expected = [1.0 - float(still[k][x]) for x in range(5)]
                np.testing.assert_allclose(sol.returns.cdf([k])[:, 0], expected, rtol=0, atol=1e-14)
            means = [float(sum(still[k][x] for k in range(horizon))) for x in range(5)]
            assert (np.abs(sol.values - means) <= sol.certificate.w1 + 1e-13).all()
        # from a: u = (u + (u / 2) + 1) / 3, as b leads back or to the goal
        with pytest.raises(ValueError, match=r"from state 'a' a return never ends with probability 0.667"):
            evaluate(model)
    within = evaluate(walk.reach([4]), horizon=7).values  # the other way to P(at most 7 steps)
    np.testing.assert_allclose(within, evaluate(steps, horizon=8).returns.cdf([7])[:, 0], atol=1e-14)
    assert evaluate(steps.with_discount(0.5)).values[2] == pytest.approx(2.0)


@pytest.mark.fast
def test_classes_that_never_pay_are_ends_and_those_that_pay_are_refused_where_returns_have_to_end():
    ring = [(1, 1.0, 2, 0.0, False), (2, 1.0, 1, 0.0, False)]
    rows = [(0, 0.5, 1, 3.0, False), (0, 0.5, 0, 1.0, False), *ring]
    model = MRP.from_outcomes(rows, 1.0)
    assert model.terminal.tolist() == [False, True, True]
    # 1 for every loop, 3 at last
    law = evaluate(model).returns[0]
    np.testing.assert_allclose(law.probs[:9], [0, 0, 0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625], atol=1e-15)
    assert not MRP.from_outcomes(rows, 0.5).outcomes.terminals.any()
    assert MRP.from_outcomes(rows, 0.5).with_discount(1.0).terminal.tolist() == [False, True, True]
    for pay in (1.0, -1.0, distrl.FiniteLaw([-1.0, 1.0])):
        said = r"closed class of states 1, 2 is never left and pays, as state 2 does .*0\.99"
        with pytest.raises(ValueError, match=said):
            evaluate(MRP.from_outcomes([*rows[:-1], (2, 1.0, 1, pay, False)], 1.0))
    mdp = MDP.from_outcomes([(s, 0, *rest) for s, *rest in rows], 1.0)
    assert evaluate(mdp, policy=[0, 0, 0]).values[0] == pytest.approx(4.0)
