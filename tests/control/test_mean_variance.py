"""The mean less a multiple of the variance: against every history-dependent policy, in fractions."""

from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import MeanVariance, Status, TargetDP, optimize
from distrl._kernels import mean_variance as kernels
from distrl.control.target.variance import FanSearch
from tests.control import known_models as known
from tests.control.history import (
    Small,
    Tree,
    best,
    executed_law,
    layers,
    random_small,
    value_of,
    violations,
    with_free_moves,
)

F = Fraction
ROOM = 1e-9


def is_best(ctl, state, value):
    assert ctl.converged
    assert ctl.lower[state] - ROOM <= float(value) <= ctl.upper[state] + ROOM


# -- values that are known --------------------------------------------------------------------------------------------

CASES = [
    (known.F1, known.F1_MEAN_VARIANCE),
    (known.F2, known.F2_MEAN_VARIANCE),
    (known.F2_DISCOUNTED, known.F2_DISCOUNTED_MEAN_VARIANCE),
    (known.F3, known.F3_MEAN_VARIANCE),
]


@pytest.mark.parametrize(("case", "values"), CASES, ids=["F1", "F2", "F2 at 1/2", "F3"])
def test_known_optima_are_found(case, values):
    for weight, value in values.items():
        for horizon in (case.steps,) if case is known.F3 else (None, case.steps):
            ctl = optimize(case.model.mdp(), MeanVariance(float(weight)), horizon=horizon, tol=1e-9)
            assert isinstance(ctl.method, TargetDP)
            is_best(ctl, 0, value)
            assert ctl.gap.max() <= 1e-9


def test_the_policy_remembers():
    ctl = optimize(known.F2.model.mdp(), MeanVariance(0.25), tol=1e-9)
    memory = ctl.policy.start(0)
    after = [ctl.policy.observe(0, memory, reward, 1) for reward in (0.0, 4.0)]
    assert [ctl.policy.act(1, m) for m in after] == [1, 0] and float(known.F2_MARKOV_MEAN_VARIANCE) < ctl.lower[0]
    mean, variance = ctl.returns.mean()[0], ctl.returns.var()[0]
    assert abs(mean - 0.25 * variance - 39 / 16) <= 1e-8


# -- every policy that knows the history ------------------------------------------------------------------------------


@pytest.mark.parametrize("discount", [F(1), F(9, 10), F(1, 2)], ids=str)
@pytest.mark.parametrize("layered", [False, True])
def test_no_policy_that_knows_the_history_is_better(discount, layered):
    rng = np.random.default_rng(17 + layered)
    for weight in (0.1, 0.5, 3.0):
        for _ in range(3):
            model, steps = random_small(rng, discount), int(rng.integers(1, 5))
            mdp = layers(model, steps).mdp() if layered else model.mdp()
            objective = MeanVariance(weight)
            ctl = optimize(mdp, objective, horizon=None if layered else steps, tol=1e-7)
            wrong = violations(model, objective, ctl, steps, layered=layered)
            assert max(wrong.bounds, wrong.policy) <= ROOM and ctl.converged


def test_lines_that_are_as_good_at_their_own_target_are_not_exchanged():
    """Targets come to lie on knots, where lines meet: the one that is played makes .02 of a difference."""
    stay = ((known.go(1, 2, F(-7, 4)),),)
    first = ((known.go(1, 1, F(5, 4)),), (known.go(F(3, 4), 0, F(5, 4)), known.go(F(1, 4), 1, 2)))
    bet = (known.go(F(7, 8), 1, F(7, 4)), known.go(F(1, 8), 1, F(-7, 4)))
    second = ((known.go(F(5, 8), 0, F(1, 2)), known.go(F(3, 8), 0, F(3, 2))), bet)
    first += ((known.go(F(1, 8), 2, F(-3, 2)), known.go(F(7, 8), 0, F(1, 2))),)
    model = Small((first, second, stay), F(1, 2))
    ctl = optimize(model.mdp(), MeanVariance(0.5), horizon=4, tol=1e-9)
    for x in range(3):
        is_best(ctl, x, best(Tree(model, x, 4), MeanVariance(0.5)).low)
    assert ctl.gap.max() <= 1e-9


def test_endless_returns_are_those_of_deep_trees():
    # what is left of a return after 4 steps at discount 1/16 is at most 16/15 * 2 / 16^4
    rng, steps, left = np.random.default_rng(5), 4, 2.0 * 16 / 15 / 16.0**4
    for weight in (0.25, 2.0):
        model = random_small(rng, F(1, 16), states=2)
        objective = MeanVariance(weight)
        ctl = optimize(model.mdp(), objective, tol=1e-5)
        wide = 2.0 * 2.0 * 16 / 15
        moved = left + weight * left * (2.0 * wide + left)
        for x in range(2):
            value = best(Tree(model, x, steps), objective).low
            assert ctl.converged and ctl.lower[x] - moved <= value <= ctl.upper[x] + moved
            own = value_of(executed_law(model, x, steps, ctl.policy, False), objective).low
            assert own >= ctl.lower[x] - moved


def test_bounds_hold_at_every_sweep():
    rng = np.random.default_rng(3)
    model = random_small(rng, F(1, 16), states=2)
    objective, steps, left = MeanVariance(0.5), 4, 2.0 * 16 / 15 / 16.0**4
    values = [best(Tree(model, x, steps), objective).low for x in range(2)]
    gaps = []
    for sweeps in (1, 2, 5):
        ctl = optimize(model.mdp(), objective, tol=1e-9, max_iterations=sweeps, throw=False)
        assert ctl.status is Status.MAX_ITERATIONS and ctl.iterations == sweeps
        assert (ctl.lower - 10.0 * left <= values).all() and (values <= ctl.upper + 10.0 * left).all()
        gaps.append(ctl.gap.max())
    assert gaps[-1] <= gaps[0]


# -- one solve holds all weights --------------------------------------------------------------------------------------


def test_the_frontier_holds_the_optimum_of_every_weight():
    rng = np.random.default_rng(8)
    model = random_small(rng, F(1), states=3)
    ctl = optimize(model.mdp(), MeanVariance(0.5), horizon=3, tol=1e-9)
    weights = (0.0, 0.05, 0.5, 2.0, 50.0)
    ends = ctl.frontier(weights)
    for x in range(3):
        tree = Tree(model, x, 3)
        for k, weight in enumerate(weights):
            value = best(tree, MeanVariance(weight)).low
            assert ends.lower[x, k] - ROOM <= value <= ends.upper[x, k] + ROOM
    # the largest of functions that are linear in the weight and fall
    assert (ends.lower[:, 1:] <= ends.upper[:, :-1] + ROOM).all()
    share = (0.5 - 0.05) / (2.0 - 0.05)
    assert (ends.lower[:, 2] <= (1.0 - share) * ends.upper[:, 1] + share * ends.upper[:, 3] + ROOM).all()
    one = ctl.at(2.0)
    assert np.array_equal(one.lower, ends.lower[:, 3]) and np.array_equal(one.targets, ends.targets[:, 3])
    with pytest.raises(ValueError, match="says nothing of CVaR"):
        ctl.at(distrl.CVaR(0.5))


def test_a_random_start_has_one_target_for_all_states():
    model = random_small(np.random.default_rng(21), F(1), states=2)
    first = ((F(1, 2), 0, F(0), False), (F(1, 2), 1, F(0), False))
    whole = Small((*model.table, (first,)), F(1))
    mdp = model.mdp()
    rows = [
        (x, a, float(p), y, float(r), e) for x, c in enumerate(model.table) for a, o in enumerate(c) for p, y, r, e in o
    ]
    mdp = distrl.MDP.from_outcomes(rows, 1.0, absorbing="keep", initial=[0.5, 0.5])
    ctl = optimize(mdp, MeanVariance(0.3), horizon=2, tol=1e-9)
    value = best(Tree(whole, 2, 3), MeanVariance(0.3)).low
    assert ctl.start.lower - ROOM <= value <= ctl.start.upper + ROOM
    assert ctl.start.upper - ctl.start.lower <= 1e-6


def test_weight_0_is_the_mean():
    mdp = distrl.environments.garnet(6, 2, 2, 0.8, rng=1)
    mean, none = optimize(mdp, distrl.Mean()), optimize(mdp, MeanVariance(0.0))
    assert np.array_equal(mean.lower, none.lower) and np.array_equal(mean.upper, none.upper)
    little = optimize(mdp, MeanVariance(1e-4), tol=1e-3)
    assert (little.upper <= mean.upper + ROOM).all()


def test_a_knots_own_target_means_that_knot():
    # else what is certified of a policy that starts there would be said of another one
    rng = np.random.default_rng(0)
    for _ in range(3):
        rule = optimize(random_small(rng, F(1, 2)).mdp(), MeanVariance(0.5), tol=0.1).family.rule
        states = np.searchsorted(rule.ptr, np.arange(len(rule.points)), side="right") - 1
        assert np.array_equal(rule.found(states, rule.points), np.arange(len(rule.points)))


@pytest.mark.parametrize("weight", [0.001, 0.02])
def test_returns_of_one_sign_are_no_harder(weight):
    # means below 0: before the first sweep there is no line that policies' ones are not better than
    rows = [(0, 0, 1.0, 0, -2.0, False), (0, 1, 0.5, 0, -3.0, False), (0, 1, 0.5, 0, -0.5, False)]
    mdp = distrl.MDP.from_outcomes(rows, 1.0, absorbing="keep")
    is_best(optimize(mdp, MeanVariance(weight), horizon=2, tol=1e-9), 0, -3.5 - weight * 2 * 25 / 16)


def test_no_probabilities_that_a_row_may_mean_give_more():
    # a row that sums to 1 less 9e-10: what is missing may lead to the best or the worst outcome there is
    lacking = 9e-10
    rows = [(0, 0, 0.5, 1, 0.0, False), (0, 0, 0.5 - lacking, 1, 1000.0, False), (1, 0, 1.0, 1, -1000.0, True)]
    mdp = distrl.MDP.from_outcomes(rows, 1.0)
    for weight in (1e-3, 1.0):
        ctl = optimize(mdp, MeanVariance(weight), tol=1.0)
        for share in (0.0, lacking):
            p = 0.5 - lacking + share
            value = 1000.0 * p - 1000.0 - weight * 1e6 * p * (1.0 - p)
            assert ctl.lower[0] <= value <= ctl.upper[0]


def test_a_sweep_counts_its_own_rounding():
    # one state that leads to another, where chords of 4 knots and lines beyond them are given: in fractions what is
    # backed up is never below what a sweep in floats makes of it
    rng, n = np.random.default_rng(1), 4
    for _ in range(300):
        scale, centre = 10.0 ** rng.integers(-3, 7), float(rng.choice([0.0, 1e6]))
        points = np.sort(centre + scale * rng.integers(-40, 41, 2 * n).reshape(2, n), axis=1).astype(float)
        points += np.arange(n) * 0.25 * scale
        cap, floor = centre + scale * float(rng.random()), centre - scale * 1e3 * float(rng.random())
        values = scale * (scale + abs(centre)) * rng.normal(size=n)
        reward, g, p = scale * float(rng.choice([0.0, 0.3, -7.0])), float(rng.choice([1.0, 0.9, 0.3])), np.ones(1)
        if rng.random() < 0.5:  # a chord that is nearly 0 at the target 0
            points[0], reward = scale * np.arange(-1.0, 3.0), 0.0
            points[1] = scale * (np.arange(-1.0, 3.0) - rng.random())
            values = scale * points[1] * float(rng.random()) + scale**2 * 1e-9 * float(rng.random())
        lower = np.concatenate([np.full(n, -np.inf), values])
        nothing = np.zeros(2 * n), np.zeros(2 * n), np.zeros(2 * n, dtype=np.int64)
        ptr, one = np.array([0, n, 2 * n]), np.array([0, 1, 1])
        rows = one, np.array([0, 1]), p, np.array([1]), np.array([reward]), np.array([False])
        limits = np.full(2, cap), np.full(2, floor), np.zeros(1), np.zeros(1), max(abs(cap), abs(floor)), np.inf
        kernels.sweep(np.array([0]), *rows, g, ptr, points.ravel(), lower, *nothing, *limits, n)
        z, v = [F(float(b)) for b in points[1]], [F(float(b)) for b in values]
        for k, t in enumerate(F(float(b)) for b in points[0]):
            b = (t - F(reward)) / F(g)
            m = min(max(b, F(floor)), F(cap))
            best = m * (m - 2 * b)
            if b < z[0]:
                best = max(best, v[0] - 2 * F(floor) * (b - z[0]))
            elif b >= z[-1]:
                best = max(best, v[-1] - 2 * F(cap) * (b - z[-1]))
            else:
                j = max(i for i in range(n - 1) if z[i] <= b)
                best = max(best, v[j] + (v[j + 1] - v[j]) * (b - z[j]) / (z[j + 1] - z[j]))
            exact = F(reward) * (F(reward) - 2 * t) + F(g) ** 2 * best
            size = abs(exact) + sum(map(abs, v)) + F(max(abs(cap), abs(floor))) * (abs(b) + abs(t)) + F(reward) ** 2
            assert exact - size / 10**12 <= F(float(lower[k])) <= exact


# -- what is left by Ctrl-C, and moves for nothing --------------------------------------------------------------------


@pytest.mark.parametrize(("layered", "at"), [(False, 1), (True, 1), (True, 3)])
def test_an_interrupted_search_has_bounds_that_hold(layered, at, monkeypatch):
    # at a report, and in place of a sweep
    calls, sweep = [], FanSearch.sweep

    def hook(*arguments):
        calls.append(arguments)
        if len(calls) == at:
            raise KeyboardInterrupt

    def sweeping(*arguments):
        hook()
        return sweep(*arguments)

    model, steps, objective = random_small(np.random.default_rng(2), F(9, 10)), 3, MeanVariance(0.5)
    mdp = layers(model, steps).mdp() if layered else model.mdp()
    horizon = None if layered else steps
    for progress in (hook, None):
        if progress is None:
            monkeypatch.setattr(FanSearch, "sweep", sweeping)
        calls.clear()
        ctl = optimize(mdp, objective, horizon=horizon, tol=1e-12, progress=progress, throw=False)
        assert ctl.status is Status.INTERRUPTED and len(calls) == at
        wrong = violations(model, objective, ctl, steps, layered=layered)
        assert max(wrong.bounds, wrong.policy) <= ROOM
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            optimize(mdp, objective, horizon=horizon, tol=1e-12, progress=progress)


def test_moves_for_nothing_change_nothing():
    rng = np.random.default_rng(8)
    for weight in (0.1, 2.0):
        plain = layers(random_small(rng, F(1), states=2), 3)
        model, n = with_free_moves(plain), len(plain.table)
        ctl = optimize(model.mdp(), MeanVariance(weight), tol=1e-7)
        for x in (0, 1):
            value = best(Tree(plain, x, 3), MeanVariance(weight)).low
            for place in (x, n + x):
                assert ctl.converged and ctl.lower[place] - ROOM <= value <= ctl.upper[place] + ROOM
                own = value_of(executed_law(model, place, 7, ctl.policy, False), MeanVariance(weight)).low
                assert own >= ctl.lower[place] - ROOM


# -- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [None, 3])
def test_policies_come_back_from_files_and_can_be_drawn_from(tmp_path, horizon):
    ctl = optimize(known.F3.model.mdp(), MeanVariance(1.0), horizon=horizon, tol=0.02)
    ctl.save(tmp_path / "ctl.npz")
    loaded, memory = distrl.load(tmp_path / "ctl.npz"), ctl.policy.start(0)
    assert loaded.policy.start(0) == memory and loaded.policy.act(0, memory) == ctl.policy.act(0, memory)
    assert loaded.policy.observe(0, memory, 1.0, 1) == ctl.policy.observe(0, memory, 1.0, 1)
    assert np.array_equal(loaded.at(0.25).lower, ctl.at(0.25).lower)
    law = ctl.returns
    assert np.allclose(law.mean() - law.var(), ctl.values, atol=1e-3)
    low, high = ctl.simulate(4000, rng=0, states=[0], confidence=1.0 - 1e-9).interval("mean")[0]
    assert low <= law.mean()[0] <= high
    with pytest.raises(TypeError, match="target"):
        ctl.policy.act(0, None)


def test_paths_that_need_not_end():
    ctl = optimize(known.F5.model.mdp(), MeanVariance(1.0), tol=1e-6)
    assert abs(ctl.lower[0] + 2.5) <= 1e-5 and ctl.converged  # the safe end: any other policy has variance
    bold = ctl.at(0.01)
    assert bold.lower[0] - ROOM <= max(-2.5, -2.0 - 0.01 * 2.0) <= bold.upper[0] + ROOM
