"""Levels and targets that were not solved for: bounds that no sweep is needed for, and the policy that keeps them."""

from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import CVaR, MeanCVaR, Shortfall, optimize
from distrl._kernels.levels import raised
from distrl.control.target.goals import Goal
from distrl.control.target.knots import Curve, Knots, Loss
from distrl.control.target.problem import Problem
from distrl.control.target.sure import Sure
from tests.control.history import Tree, best, layers, random_small, violations

F = Fraction
ROOM = 1e-9


def maximin(model, state, steps):
    """The largest return that some policy never falls short of."""
    if not steps:
        return F(0)
    return max(
        min(r if end else r + model.discount * maximin(model, y, steps - 1) for _, y, r, end in outcomes)
        for outcomes in model.table[state]
    )


@pytest.mark.parametrize("layered", [True, False])
def test_bounds_far_from_the_solved_level_are_no_wider_than_what_is_known_anyway(layered):
    rng, steps = np.random.default_rng(5), 3
    for _ in range(4):
        model = random_small(rng, F(3, 4))
        if layered:  # two sweeps: functions are far from what they are to enclose
            ctl = optimize(layers(model, steps).mdp(), CVaR(0.5), tol=1e-9, max_iterations=2, throw=False)
        else:
            ctl = optimize(model.mdp(), CVaR(0.5), distrl.TargetDP(cells=4), horizon=steps, tol=1e-9, throw=False)
        levels = np.array([0.001, 0.03125, 0.125, 0.5, 0.875, 1.0])
        band, found = ctl.frontier(levels), [ctl.at(level) for level in levels]
        for level, each in zip(levels, found, strict=True):
            wrong = violations(model, CVaR(level), each, steps, layered=layered)
            assert max(wrong.bounds, wrong.policy) < ROOM
        for x in range(len(model.table)):
            surely, tree = float(maximin(model, x, steps)), Tree(model, x, steps)
            assert (band.lower[x] >= surely - ROOM).all()
            assert band.upper[x, -1] <= best(tree, distrl.Mean()).high + ROOM
        for side in (band.lower, band.upper):
            assert (np.diff(side, axis=1) >= -ROOM).all()
            slopes = np.diff(levels * side, axis=1) / np.diff(levels)
            assert (np.diff(slopes, axis=1) >= -1e-7).all()
        assert np.array_equal(np.stack([each.lower for each in found], axis=1), band.lower)


@pytest.mark.parametrize("layered", [True, False])
def test_shortfalls_of_other_targets_are_enclosed_by_means_and_what_is_sure(layered):
    rng, steps = np.random.default_rng(6), 3
    for _ in range(4):
        model = random_small(rng, F(3, 4))
        if layered:
            ctl = optimize(layers(model, steps).mdp(), Shortfall(0.5), tol=1e-9, max_iterations=2, throw=False)
        else:
            ctl = optimize(model.mdp(), Shortfall(0.5), distrl.TargetDP(cells=4), horizon=steps, tol=1e-9, throw=False)
        for target in (-9.0, -1.0, 0.0, 0.25, 1.0, 9.0):
            each = ctl.at(target)
            wrong = violations(model, Shortfall(target), each, steps, layered=layered)
            assert max(wrong.bounds, wrong.policy) < ROOM
            for x in range(len(model.table)):
                assert each.upper[x] <= max(target - float(maximin(model, x, steps)), 0.0) + ROOM
                mean = best(Tree(model, x, steps), distrl.Mean()).high
                assert each.lower[x] >= max(target - mean, 0.0) - ROOM


def test_a_random_start_is_sure_of_the_least_of_its_states():
    rows = [(0, "sure", 1.0, 2, 1.0, True), (0, "bet", 0.5, 2, 0.0, True), (0, "bet", 0.5, 2, 3.0, True)]
    rows += [(1, "sure", 1.0, 2, 4.0, True), (1, "bet", 1.0, 1, 3.0, False), (2, "sure", 1.0, 2, 0.0, True)]
    mdp = distrl.MDP.from_outcomes(rows, 0.5, initial=[0.5, 0.5, 0.0])
    ctl = optimize(mdp, CVaR(0.9), tol=1e-9, max_iterations=1, throw=False).at(0.01)
    assert ctl.start.lower == pytest.approx(1.0, abs=1e-9) and ctl.start.target == pytest.approx(1.0, abs=1e-9)
    assert mdp.actions[ctl.start.policy.act(0, ctl.start.policy.start(0))] == "sure"


def test_who_is_sure_of_a_target_takes_the_best_mean_of_what_keeps_it():
    rows = [(0, "wait", 1.0, 0, 0.0, False), (0, "look", 0.25, 1, 0.0, True), (0, "look", 0.75, 1, 2.0, True)]
    rows += [(0, "risk", 0.5, 1, -1.0, True), (0, "risk", 0.5, 1, 9.0, True), (1, "wait", 1.0, 1, 0.0, True)]
    mdp = distrl.MDP.from_outcomes(rows, 0.9)
    ctl = optimize(mdp, CVaR(0.001))
    assert abs(ctl.lower[0]) < 1e-12 and mdp.actions[ctl.policy.act(0, ctl.policy.start(0))] == "look"


def test_targets_that_are_met_stay_met_however_long():
    """The memory is put back to what is sure at every step: rounding, which grows by 1 / discount, has no time to."""
    rng = np.random.default_rng(1)
    mdp = distrl.environments.garnet(30, 3, 3, 0.5, rng=2)
    sure = Sure.of(Problem.of(mdp, ends=True), distrl.evaluate(mdp, distrl.Moments(1), policy="uniform").values + 9.0)
    policy = optimize(mdp, CVaR(0.2), distrl.TargetDP(cells=8), throw=False).policy.started(sure.least)
    state, memory = 4, policy.start(4)
    for _ in range(400):
        assert memory == policy.rule.tables[0].least[state] and policy.rule.met(
            0, np.array([state]), np.array([memory])
        )
        action = policy.act(state, memory)
        pair = int(mdp.indptr[state]) + action
        row = int(rng.integers(mdp.outcomes.indptr[pair], mdp.outcomes.indptr[pair + 1]))
        following = int(mdp.outcomes.next_states[row])
        memory, state = policy.observe(state, memory, float(mdp.outcomes.rewards[row]), following), following


def test_what_is_sure_is_the_maximin_return():
    rng = np.random.default_rng(2)
    for discount in (F(1, 2), F(15, 16)):
        for _ in range(10):
            model, steps = layers(random_small(rng, discount), 4), 4
            problem = Problem.of(model.mdp(), ends=True)
            sure = Sure.of(problem, np.full(len(model.table), 40.0))
            exact = np.array([float(maximin(model, x, steps)) for x in range(len(model.table))])
            assert (sure.least <= exact).all() and (sure.least >= exact - 1e-11).all()
            for x, action in enumerate(sure.actions):
                kept = min(r + (0 if end else discount * F(sure.least[y])) for _, y, r, end in model.table[x][action])
                assert kept >= F(sure.least[x])
    loop = distrl.MDP.from_outcomes([(0, 0, 0.5, 0, -1.0, False), (0, 0, 0.5, 0, 1.0, False)], 0.99)
    assert Sure.of(Problem.of(loop, ends=True), np.zeros(1)).least[0] == pytest.approx(-100.0, abs=1e-9)


def test_nothing_is_sure_where_mass_or_rewards_are_not_known():
    loose = distrl.MDP.from_outcomes([(0, 0, 1.0 - 5e-10, 0, 1.0, True)], 0.9)
    assert loose.outcomes.defects.any()
    assert Sure.of(Problem.of(loose, ends=True), np.ones(1)).least[0] == -np.inf


@pytest.mark.parametrize(("high", "where"), [(1.0, [1.25, -np.inf, 2.0, 2.0]), (0.0, [1.25, -np.inf, np.inf, np.inf])])
def test_functions_leave_zero_behind_the_last_target_at_which_they_are_below(high, where):
    knots = Knots.between(0.0, 0.5, np.array([0, 0, 0, 2]), np.array([3, 3, 3, 2]))
    values = np.array([-1, 1, -0.5, 0.5, 1, 1, 1, 1, -3, -2, -1, -0.5, -1.0])
    zero, mean, means = np.empty(4), np.empty(4), np.full(4, 9.0)
    raised(values, knots.ptr, knots.first, 0.0, 0.5, means, high, np.empty(13), zero, mean)
    assert zero == pytest.approx(where)
    assert (mean == np.inf).all()  # every window ends far below 9


def bends(points, f, line):
    """Where a piecewise linear function (constant before its first point, of slope 1 behind its last one) may cross
    another line."""
    points, f = [points[0] - 99, *points, points[-1] + 99], [f[0], *f, f[-1] + 99]
    for b0, b1, f0, f1 in zip(points[:-1], points[1:], f[:-1], f[1:], strict=True):
        off, other = f0 - line(b0), f1 - line(b1)
        if off * other < 0:
            yield b0 + (b1 - b0) * off / (off - other)


@pytest.mark.parametrize("exact", [False, True])
def test_upper_ends_are_the_best_of_the_function_and_of_both_lines(exact):
    """max over b of b - max{f(b), b - mean, 0} / level, at all points where the maximum of the three can bend."""
    rng, levels = np.random.default_rng(3), [0.7, 0.03, 0.3, 1.0]
    knots = Knots.between(0.25, 0.5, np.array([0, -3, 2]), np.array([6, 5, 3]))
    for _ in range(8):
        slopes = [np.sort(rng.integers(0, 9, n - 1)) / 8 for n in knots.counts]
        pieces = [rng.integers(-8, 1) / 8 + 0.5 * np.concatenate([[0], np.cumsum(each)]) for each in slopes]
        means = np.array([float(rng.integers(-8, 8)) / 4 for _ in pieces])
        curve = Curve(knots, np.concatenate(pieces), Loss(0.0, 1.0), exact)
        sure = Sure(means, np.full(3, -np.inf), np.zeros(3, dtype=np.int64), 0.0)
        found = Goal(CVaR(tuple(levels))).read(curve, curve, sure)
        for x, piece in enumerate(pieces):
            mean, points = F(float(means[x])), [F(1, 4) + F(int(knots.first[x]) + k, 2) for k in range(len(piece))]
            f = [F(float(value)) for value in piece]
            places = list(zip(points, f, strict=True))
            if not exact:  # then it is linear between knots
                for b in [mean, *bends(points, f, lambda b: F(0)), *bends(points, f, lambda b, m=mean: b - m)]:
                    k = min(max(int((b - points[0]) * 2), 0), len(f) - 2)
                    inside = f[0] if b < points[0] else f[k] + (f[k + 1] - f[k]) * 2 * (b - points[k])
                    places.append((b, inside if b < points[-1] else f[-1] + b - points[-1]))
            for i, level in enumerate(map(F, levels)):
                best = max(b - max(loss, F(0), b - mean) / level for b, loss in places)
                assert found.upper[x, i] == pytest.approx(float(best), abs=1e-12)
                assert F(float(found.upper[x, i])) >= best
                reached = max(b - loss / level for b, loss in zip(points, f, strict=True))
                assert found.lower[x, i] == pytest.approx(float(reached), abs=1e-12)
                assert F(float(found.lower[x, i])) <= reached


def test_a_mixture_with_the_mean_is_at_most_the_mean():
    model, steps = random_small(np.random.default_rng(9), F(3, 4)), 3
    ctl = optimize(layers(model, steps).mdp(), MeanCVaR(0.25, 0.5), tol=1e-9, max_iterations=2, throw=False)
    wrong = violations(model, MeanCVaR(0.25, 0.5), ctl, steps, layered=True)
    assert max(wrong.bounds, wrong.policy) < ROOM
    for x in range(len(model.table)):
        assert ctl.upper[x] <= best(Tree(model, x, steps), distrl.Mean()).high + ROOM


@pytest.mark.parametrize("horizon", [None, 3])
def test_the_map_of_a_policy_shows_what_it_does_where_it_is_sure(horizon):
    mdp = distrl.environments.garnet(6, 4, 3, 0.8, rng=2)
    rule = optimize(mdp, CVaR(0.1), horizon=horizon).policy.rule
    for x in range(6):
        points, actions = rule.cells(0, x)
        places = np.concatenate([[points[0] - 5.0], 0.5 * (points[:-1] + points[1:]), [points[-1] + 5.0]])
        shown = np.concatenate([actions[:1], actions, actions[-1:]])
        assert np.array_equal(rule.actions_at(0, np.full(len(places), x), places), shown)
        assert (np.diff(points) > 0.0).all()
