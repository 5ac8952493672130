"""Probabilities to reach a target, and quantiles: against every history-dependent policy, in fractions."""

from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import ProbabilityAbove, Quantile, Status, TargetDP, optimize
from distrl.control.target.chords import Chords
from distrl.control.target.steps import StepSearch
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
    assert ctl.converged and ctl.gap.max() <= 1e-9
    assert ctl.lower[state] - ROOM <= float(value) <= ctl.upper[state] + ROOM


# -- values that are known --------------------------------------------------------------------------------------------


def test_known_optima_are_found():
    for case, target, short in ((known.F1, 1.0, known.F1_BELOW_1), (known.F2, 2.0, known.F2_BELOW_2)):
        for horizon in (None, case.steps):
            ctl = optimize(case.model.mdp(), ProbabilityAbove(target), horizon=horizon, tol=1e-9)
            is_best(ctl, 0, 1 - short)
            assert isinstance(ctl.method, TargetDP)
    for case, quantiles in ((known.F2, known.F2_QUANTILES), (known.F3, known.F3_QUANTILES)):
        ctl = optimize(case.model.mdp(), Quantile(0.1), horizon=case.steps, tol=1e-9)
        for level, value in quantiles.items():
            is_best(ctl.at(float(level)), 0, value)


# -- every policy that knows the history ------------------------------------------------------------------------------


@pytest.mark.parametrize("discount", [F(1), F(9, 10), F(1, 2)], ids=str)
@pytest.mark.parametrize("layered", [False, True])
def test_no_policy_that_knows_the_history_is_better(discount, layered):
    rng = np.random.default_rng(29 + layered)
    for objective in (ProbabilityAbove(0.25), ProbabilityAbove(-1.5), Quantile(0.15), Quantile(0.55)):
        for _ in range(3):
            model, steps = random_small(rng, discount), int(rng.integers(1, 5))
            mdp = layers(model, steps).mdp() if layered else model.mdp()
            ctl = optimize(mdp, objective, horizon=None if layered else steps, tol=1e-9)
            wrong = violations(model, objective, ctl, steps, layered=layered)
            assert max(wrong.bounds, wrong.policy) <= ROOM
            assert ctl.gap.max() <= ROOM


@pytest.mark.parametrize("cells", [2, 16])
def test_rounded_targets_bound_both_sides(cells):
    # too few knots for all returns, so that targets are rounded; not all gaps close, and the status says which
    rng = np.random.default_rng(31)
    for objective in (ProbabilityAbove(0.25), Quantile(0.3)):
        for discount in (F(1), F(9, 10), F(1, 2)):
            model, steps = random_small(rng, discount), 3
            ctl = optimize(model.mdp(), objective, TargetDP(cells), horizon=steps, tol=1e-9, throw=False)
            wrong = violations(model, objective, ctl, steps)
            assert max(wrong.bounds, wrong.policy) <= ROOM
            assert ctl.converged == bool(ctl.gap.max() <= 1e-9)
            assert ctl.converged or (ctl.status is Status.MAX_ITERATIONS and "cells" in ctl.reason)


@pytest.mark.parametrize("objective", [ProbabilityAbove(0.26), Quantile(0.3)])
def test_endless_returns_are_those_of_deep_trees(objective):
    # what is left of a return after 4 steps at discount 1/16 is at most 16/15 * 2 / 16^4
    rng, steps, left = np.random.default_rng(5), 4, 2.0 * 16 / 15 / 16.0**4
    for sweeps in (None, None, 3, 10):
        model = random_small(rng, F(1, 16), states=2)
        ctl = optimize(model.mdp(), objective, tol=0.02, max_iterations=sweeps, throw=False)
        _holds_deeply(model, objective, ctl, steps, left)
        assert sweeps is None or ctl.iterations <= sweeps


def _holds_deeply(model, objective, ctl, steps, left):
    """Against trees of so many steps, where what is `left` of a return is missing."""
    for x in range(2):
        tree = Tree(model, x, steps)
        own = executed_law(model, x, steps, ctl.policy, False)
        if isinstance(objective, Quantile):
            low = high = best(tree, objective).low
            low, high, reach = low - left, high + left, value_of(own, objective).high + left
        else:  # its target may be missed, or reached, by what is left
            low, high = (best(tree, ProbabilityAbove(objective.target + side * left)).low for side in (1.0, -1.0))
            reach = value_of(own, ProbabilityAbove(objective.target - left)).high
        assert ctl.lower[x] - ROOM <= high and low <= ctl.upper[x] + ROOM
        assert ctl.lower[x] - ROOM <= reach


# -- discount 1 -------------------------------------------------------------------------------------------------------


def test_paths_that_need_not_end_on_a_lattice():
    # pay 5/2 and end, or pay 1 a step and end each time with probability 1/2
    mdp = known.F5.model.mdp()
    ctl = optimize(mdp, ProbabilityAbove(-2.0), tol=1e-9)
    is_best(ctl, 0, F(3, 4))
    is_best(ctl.at(-2.5), 0, F(1))
    is_best(ctl.at(-1.0), 0, F(1, 2))
    levels = optimize(mdp, Quantile(0.3), tol=1e-9)
    is_best(levels, 0, F(-2))
    is_best(levels.at(0.1), 0, F(-5, 2))
    is_best(levels.at(0.6), 0, F(-1))


def test_windows_hold_what_other_policies_reach():
    # the mean-optimal policy is sure of -2; others may have 0, or pay 1 to stay
    rows = [
        (0, 0, 1.0, 0, -2.0, True),
        (0, 1, 1.0, 0, -1.0, False),
        (0, 2, 0.5, 0, 0.0, True),
        (0, 2, 0.5, 0, -5.0, True),
    ]
    mdp = distrl.MDP.from_outcomes(rows, 1.0)
    levels = optimize(mdp, Quantile(0.9), tol=1e-9)
    is_best(levels, 0, F(0))
    is_best(levels.at(0.3), 0, F(-2))
    is_best(optimize(mdp, ProbabilityAbove(-1.5), tol=1e-9), 0, F(1, 2))


def test_low_levels_are_within_the_window():
    # pay 1 and end with probability 1/8: P(G < -k) = (7/8)^k
    mdp = distrl.MDP.from_outcomes([(0, 0, 0.125, 0, -1.0, True), (0, 0, 0.875, 0, -1.0, False)], 1.0)
    is_best(optimize(mdp, Quantile(1e-6), tol=1e-9), 0, F(-int(np.ceil(np.log(1e-6) / np.log(0.875)))))


def test_long_paths_are_swept_to_their_end():
    # nothing for 200 steps on average, then -1 or -3
    rows = [(0, 0, 0.995, 0, 0.0, False), (0, 0, 0.0025, 0, -1.0, True), (0, 0, 0.0025, 0, -3.0, True)]
    mdp = distrl.MDP.from_outcomes(rows, 1.0)
    few = optimize(mdp, ProbabilityAbove(-2.0), tol=1e-9, max_iterations=40, throw=False)
    assert not few.converged and "limit" in few.reason and few.lower[0] <= 0.5 <= few.upper[0]
    is_best(optimize(mdp, ProbabilityAbove(-2.0), tol=1e-9), 0, F(1, 2))


def test_a_chain_of_returns_nearer_than_rounding_is_not_one_return():
    count, apart = 60, 0.9e-11
    rows = [(0, 0, 1 / count, 0, k * apart, True) for k in range(count - 1)] + [(0, 0, 1 / count, 0, 1.0, True)]
    ctl = optimize(distrl.MDP.from_outcomes(rows, 1.0), ProbabilityAbove(30 * apart), tol=1e-6)
    off = 3.0 / count  # targets and returns may each be moved by 1e-11
    assert ctl.lower[0] <= 0.5 + off and 0.5 - off <= ctl.upper[0]


def test_the_cliff_walk_is_certified_and_simulated():
    mdp = distrl.environments.gridworld(discount=1.0, slip=0.1)
    start = int(np.argmax(mdp.initial))
    ctl = optimize(mdp, ProbabilityAbove(-40.0), tol=1e-6)
    assert ctl.converged
    drawn = ctl.simulate(4000, rng=0, states=[start], confidence=1.0 - 1e-9)
    low, high = drawn.interval(ProbabilityAbove(-40.0))[0]
    assert low <= ctl.upper[start] and ctl.lower[start] <= high
    mean = optimize(mdp, distrl.Mean())
    other = distrl.evaluate(mdp, policy=mean.policy).returns
    assert 1.0 - other.cdf(-40.5)[start] <= ctl.upper[start] + 1e-6


# -- what rounds that pay nothing, and atoms, leave open --------------------------------------------------------------


def test_waiting_is_no_way_to_reach_a_target():
    rows = [(0, 0, 1.0, 0, 0.0, False), (0, 1, 0.5, 0, -3.0, True), (0, 1, 0.5, 0, 1.0, True)]
    mdp = distrl.MDP.from_outcomes(rows, 1.0, absorbing="keep")
    ctl = optimize(mdp, ProbabilityAbove(0.0), tol=1e-6, throw=False)
    assert ctl.lower[0] <= 0.5 <= ctl.upper[0] + ROOM
    assert ctl.converged == bool(ctl.gap.max() <= 1e-6)
    assert ctl.lower[0] >= 0.5 - 1e-9 and ctl.policy.act(0, ctl.policy.start(0)) == 1


def test_moves_for_nothing_change_nothing():
    rng = np.random.default_rng(8)
    for objective in (ProbabilityAbove(0.25), Quantile(0.3)):
        plain = layers(random_small(rng, F(1), states=2), 3)
        model, n = with_free_moves(plain), len(plain.table)
        ctl = optimize(model.mdp(), objective, tol=1e-9)
        for x in (0, 1):
            value = best(Tree(plain, x, 3), objective)
            for place in (x, n + x):
                assert ctl.gap[place] <= ROOM
                assert ctl.lower[place] - ROOM <= value.high and value.low <= ctl.upper[place] + ROOM
                own = value_of(executed_law(model, place, 7, ctl.policy, False), objective).high
                assert own >= ctl.lower[place] - ROOM


@pytest.mark.parametrize(("objective", "at"), [(ProbabilityAbove(0.26), 1), (Quantile(0.3), 2), (Quantile(0.3), 5)])
def test_an_interrupted_search_has_bounds_that_hold(objective, at, monkeypatch):
    # at a report, and in place of a sweep, of chords or of steps
    model, steps, left = random_small(np.random.default_rng(8), F(1, 16), states=2), 4, 2.0 * 16 / 15 / 16.0**4
    calls = []

    def hook(*arguments):
        calls.append(arguments)
        if len(calls) == at:
            raise KeyboardInterrupt

    def sweeping(sweep):
        def wrapped(*arguments):
            hook()
            return sweep(*arguments)

        return wrapped

    ctl = optimize(model.mdp(), objective, tol=1e-9, progress=hook, throw=False)
    assert ctl.status is Status.INTERRUPTED and len(calls) == at
    _holds_deeply(model, objective, ctl, steps, left)
    calls.clear()
    for each in (StepSearch, Chords) if isinstance(objective, Quantile) else (Chords,):  # whose gap closes at once
        calls.clear()
        monkeypatch.setattr(each, "_sweep", sweeping(each._sweep))
        ctl = optimize(model.mdp(), objective, tol=1e-9, throw=False)
        assert ctl.status is Status.INTERRUPTED and len(calls) == at
        _holds_deeply(model, objective, ctl, steps, left)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        optimize(model.mdp(), objective, tol=1e-9)


def test_a_gap_that_stays_open_says_what_was_tried():
    # one may have 10 for sure; whoever wants more has to bet, and the bets' returns lie densely around the target
    rows = [(0, 0, 1.0, 0, 1.0, False), (0, 1, 0.5, 0, 0.0, False), (0, 1, 0.5, 0, 2.1, False)]
    mdp = distrl.MDP.from_outcomes(rows, 0.9)
    sure = optimize(mdp, ProbabilityAbove(10.0), TargetDP(64))
    assert sure.lower[0] >= 1.0 - ROOM and sure.converged
    ctl = optimize(mdp, ProbabilityAbove(10.5), TargetDP(64), throw=False)
    assert ctl.status is Status.MAX_ITERATIONS and "lattice" in ctl.reason and "raise cells" in ctl.reason
    with pytest.raises(distrl.control.OptimizationError):
        optimize(mdp, ProbabilityAbove(10.5), TargetDP(64))
    fine = optimize(mdp, ProbabilityAbove(10.5), TargetDP(1024))
    assert fine.converged and ctl.lower[0] <= fine.upper[0] + ROOM and fine.lower[0] <= ctl.upper[0] + ROOM
    drawn = fine.simulate(4000, rng=0, states=[0], confidence=1.0 - 1e-9).returns.values[0]
    room = np.sqrt(np.log(2e9) / 8000.0)  # Hoeffding
    assert fine.lower[0] - room <= (drawn >= 10.5 - 1e-3).mean()
    assert (drawn >= 10.5 + 1e-3).mean() <= fine.upper[0] + room


# -- one solve, many questions ----------------------------------------------------------------------------------------


def test_probabilities_fall_and_quantiles_rise():
    model = random_small(np.random.default_rng(12), F(9, 10))
    ctl = optimize(model.mdp(), ProbabilityAbove(0.0), horizon=3, tol=1e-9)
    targets = np.linspace(-8.0, 8.0, 41)
    ends = ctl.frontier(targets)
    assert (np.diff(ends.lower, axis=1) <= ROOM).all() and (ends.lower <= ends.upper + ROOM).all()
    for x in range(3):
        tree = Tree(model, x, 3)
        for k in range(0, 41, 5):
            value = best(tree, ProbabilityAbove(float(targets[k])))
            assert ends.lower[x, k] - ROOM <= value.high and value.low <= ends.upper[x, k] + ROOM
    levels = ctl.at(Quantile(0.5)).frontier((0.05, 0.35, 0.65, 0.95))
    assert (np.diff(levels.lower, axis=1) >= 0.0).all()
    with pytest.raises(ValueError, match="says nothing of CVaR"):
        ctl.at(distrl.CVaR(0.5))


def test_a_random_start_has_one_target_for_all_states():
    model = random_small(np.random.default_rng(21), F(1), states=2)
    first = ((F(1, 2), 0, F(0), False), (F(1, 2), 1, F(0), False))
    whole = Tree(Small((*model.table, (first,)), F(1)), 2, 3)
    table = enumerate(model.table)
    rows = [(x, a, float(p), y, float(r), e) for x, c in table for a, o in enumerate(c) for p, y, r, e in o]
    mdp = distrl.MDP.from_outcomes(rows, 1.0, absorbing="keep", initial=[0.5, 0.5])
    for objective in (ProbabilityAbove(0.5), Quantile(0.3)):
        start = optimize(mdp, objective, horizon=2, tol=1e-9).start
        value = best(whole, objective)
        assert start.lower - ROOM <= value.high and value.low <= start.upper + ROOM
        assert start.upper - start.lower <= ROOM
        laws = start.policy.evaluated(mdp, None, 2).returns
        if isinstance(objective, ProbabilityAbove):
            assert abs(0.5 * laws.cdf(0.4)[0] + 0.5 * laws.cdf(0.4)[1] - 1.0 + start.lower) <= 1e-6


@pytest.mark.parametrize("horizon", [None, 3])
def test_policies_come_back_from_files(tmp_path, horizon):
    ctl = optimize(known.F3.model.mdp(), Quantile(0.25), horizon=horizon, tol=0.1)
    ctl.save(tmp_path / "ctl.npz")
    loaded, memory = distrl.load(tmp_path / "ctl.npz"), ctl.policy.start(0)
    assert loaded.policy.start(0) == memory and loaded.policy.act(0, memory) == ctl.policy.act(0, memory)
    assert loaded.policy.observe(0, memory, 1.0, 1) == ctl.policy.observe(0, memory, 1.0, 1)
    assert np.array_equal(loaded.at(0.5).lower, ctl.at(0.5).lower)


def test_a_horizon_of_0_pays_nothing():
    mdp = known.F3.model.mdp()
    assert optimize(mdp, ProbabilityAbove(0.0), horizon=0).lower.tolist() == [1.0, 1.0]
    assert optimize(mdp, ProbabilityAbove(0.1), horizon=0).upper.tolist() == [0.0, 0.0]
    assert optimize(mdp, Quantile(0.5), horizon=0).lower.tolist() == [0.0, 0.0]
    assert optimize(mdp, distrl.MeanVariance(0.5), horizon=0).lower.tolist() == [0.0, 0.0]
