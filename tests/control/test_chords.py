"""Probabilities to fall short, by piecewise linear functions: below and above the truth at and between their knots."""

from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import ProbabilityAbove, Quantile, TargetDP, optimize
from distrl.control.target import chance
from distrl.control.target.chords import Chords
from distrl.control.target.chords_enclosed import ChordsEnclosed
from distrl.control.target.problem import Known, Problem
from distrl.control.target.sure import Sure
from distrl.control.target.switched import SwitchedPolicy
from distrl.control.target.unrolled import Unrolled
from distrl.control.target.windows import window_of
from tests.control.history import NEAR, Tree, executed_law, layers, random_small, violations

F = Fraction
ROOM = 1e-9
DISCOUNTS = (F(3, 10), F(1, 2), F(7, 10), F(9, 10), F(99, 100))


def began(mdp, cells, origin=0.0):
    problem = Problem.of(mdp, ends=True)
    means = Known.of(problem).largest_mean
    sure, window = Sure.of(problem, means), window_of(Unrolled.of(problem, None))
    width = float(window.highest.max() - window.surely.min()) or 1.0
    order = np.argsort(-means, kind="stable").astype(np.int64)
    return Chords.of(problem, sure, window.highest, 1e-11 * max(width, 1.0), origin, width / cells), order


def short_of(law, b):
    return float(sum((mass for value, mass in law if value < b - NEAR), F(0)))


class Truth:
    """What is exact of a process that ends after some steps, from its states at the first of them."""

    def __init__(self, model, steps):
        self.model, self.steps = model, steps
        self.trees = [Tree(model, x, steps) for x in range(len(model.table))]

    def wrong(self, chords, rng, run):
        """By how much functions are on the wrong side of the truth, at knots, between them, and around returns."""
        enclosed, worst = ChordsEnclosed.of(chords), -np.inf
        knots = chords.knots
        for x, tree in enumerate(self.trees):
            ends = knots.ptr[x], knots.ptr[x + 1] - 1
            some = rng.integers(ends[0], ends[1], 3)
            inner = knots.points[some] + knots.spacing * rng.random(3)
            around = float(tree.totals[rng.integers(0, len(tree.totals))])
            for b in (knots.points[some[0]], *inner, around, around + 1e-7):
                low, high, targets = enclosed.probability(float(b))
                worst = max(worst, float(1 - tree.below(F(float(b)) + NEAR)) - high[x])
                worst = max(worst, low[x] - float(1 - tree.below(F(float(b)) - NEAR)))
                if run:
                    law = executed_law(self.model, x, self.steps, enclosed.policy(targets), True)
                    worst = max(worst, low[x] - 1.0 + short_of(law, F(float(b))))
        return worst


def swept(model, steps, cells, rng):
    """The largest violation while functions are swept and carried to finer lattices."""
    chords, order = began(layers(model, steps).mdp(), cells, float(rng.uniform(-1.0, 1.0)))
    truth, worst = Truth(model, steps), -np.inf
    for number in range(3):
        for _ in range(1 + number):
            chords.sweep(order, 0.0)
        for each in (chords.below.values, chords.above.values):
            assert each.min() >= 0.0 and each.max() <= 1.0  # no knot that carries a chord sinks, none needs clipping
        if number > 0:
            worst = max(worst, truth.wrong(chords, rng, number == 2))
        chords = chords.finer()
    return worst


@pytest.mark.parametrize("discount", DISCOUNTS, ids=str)
def test_functions_enclose_every_policy_that_knows_the_history(discount):
    for number in range(12):
        rng = np.random.default_rng([int(100 * discount), number])
        model, steps = random_small(rng, discount, outcomes=3), int(rng.integers(1, 4))
        assert swept(model, steps, int(rng.integers(3, 24)), rng) <= ROOM


# -- faults that the oracle has to see --------------------------------------------------------------------------------


@pytest.mark.fast
@pytest.mark.parametrize("side", ["below", "above"])
def test_knots_that_carry_chords_are_not_to_be_moved_to_what_is_true_of_them(side):
    # as clipping them would, or the knotwise best of two functions that hold: between knots the chord is wrong then
    seen = 0
    for number in range(6):
        rng = np.random.default_rng([7, number])
        model, steps = random_small(rng, F(9, 10), outcomes=3), 2
        chords, order = began(layers(model, steps).mdp(), 12)
        for _ in range(4):
            chords.sweep(order, 0.0)
        truth, knots, curve = Truth(model, steps), chords.knots, getattr(chords, side)
        assert truth.wrong(chords, np.random.default_rng(0), False) <= ROOM
        for x, tree in enumerate(truth.trees):
            for k in range(knots.ptr[x], knots.ptr[x + 1]):
                curve.values[k] = float(tree.below(F(float(knots.points[k]))))
        seen += truth.wrong(chords, np.random.default_rng(0), False) > 1e-3
    assert seen >= 2  # some have all that they can return within one cell


# -- beside rounded targets -------------------------------------------------------------------------------------------


def without_chords(monkeypatch, mdp, objective, cells):
    with monkeypatch.context() as patched:
        patched.setattr(chance._Search, "_first_chords", lambda search: None)
        return optimize(mdp, objective, TargetDP(cells), tol=1e-6, throw=False)


@pytest.mark.parametrize("objective", [ProbabilityAbove(0.25), Quantile(0.3)], ids=str)
def test_together_they_are_never_wider_than_rounding_and_the_policy_reaches_lower(objective, monkeypatch, tmp_path):
    switches = 0
    for number in range(10):
        rng = np.random.default_rng([3, number])
        model, steps = random_small(rng, DISCOUNTS[number % 5], outcomes=3), 3
        mdp, cells = layers(model, steps).mdp(), int(rng.integers(3, 9))
        both = optimize(mdp, objective, TargetDP(cells), tol=1e-6, throw=False)
        rounded = without_chords(monkeypatch, mdp, objective, cells)
        assert (both.lower >= rounded.lower - ROOM).all() and (both.upper <= rounded.upper + ROOM).all()
        wrong = violations(model, objective, both, steps, layered=True)
        assert max(wrong.bounds, wrong.policy) <= ROOM
        if isinstance(both.policy, SwitchedPolicy):
            switches += 1
            both.save(tmp_path / "both.npz")
            policy, other = both.policy, distrl.load(tmp_path / "both.npz").policy
            for x in range(mdp.n_states):
                memory = policy.start(x)
                assert other.start(x) == memory and other.act(x, memory) == policy.act(x, memory)
                assert other.observe(x, memory, 0.5, 0) == policy.observe(x, memory, 0.5, 0)
            with pytest.raises(TypeError, match="number of the policy, target"):
                policy.act(0, 0.5)
            drawn = both.simulate(500, rng=0, states=[0]).returns.values[0]
            assert np.isin(
                drawn.round(9), [round(float(v), 9) for v, _ in executed_law(model, 0, steps, policy, True)]
            ).all()
            laws = both.evaluated().returns
            for x in range(len(model.table)):
                law = executed_law(model, x, steps, both.policy, True)
                assert abs(laws.mean()[x] - float(sum(value * mass for value, mass in law))) <= 1e-6
    assert switches >= 1


def test_smooth_returns_are_enclosed_far_closer_than_by_rounding(monkeypatch):
    mdp = distrl.environments.garnet(8, 3, 4, rng=1, discount=0.95)
    both = optimize(mdp, Quantile(0.1), TargetDP(128), tol=1e-6, throw=False)
    rounded = without_chords(monkeypatch, mdp, Quantile(0.1), 128)
    assert both.gap.max() <= rounded.gap.max() / 5.0
    assert (both.lower <= rounded.upper).all() and (rounded.lower <= both.upper).all()
    drawn = both.simulate(4000, rng=0, states=[0], confidence=1.0 - 1e-9)
    assert drawn.interval(Quantile(0.1))[0, 1] >= both.lower[0]


@pytest.mark.fast
def test_sweeps_are_counted_and_cut(monkeypatch):
    mdp = distrl.environments.garnet(10, 3, 4, rng=2, discount=0.9)
    whole = optimize(mdp, Quantile(0.25), TargetDP(128), throw=False)
    few = optimize(mdp, Quantile(0.25), TargetDP(128), max_iterations=5, throw=False)
    assert few.iterations == 5 and "limit of 5 sweeps" in few.reason
    assert (few.lower <= whole.upper).all() and (whole.lower <= few.upper).all()
    monkeypatch.setattr(chance, "_LONG", 2)
    cut = optimize(mdp, Quantile(0.25), TargetDP(128), tol=1e-9, throw=False)
    assert "chords were swept 2 times on a lattice, no more" in cut.reason
    assert (cut.lower <= whole.upper).all() and (whole.lower <= cut.upper).all()


def test_one_solve_has_all_levels_targets_and_a_drawn_start():
    model = random_small(np.random.default_rng(9), F(9, 10), outcomes=3)
    rows = [
        (x, a, float(p), y, float(r), end)
        for x, actions in enumerate(model.table)
        for a, outcomes in enumerate(actions)
        for p, y, r, end in outcomes
    ]
    mdp = distrl.MDP.from_outcomes(rows, 0.9, absorbing="keep", initial=[0.5, 0.5, 0.0])
    ctl = optimize(mdp, Quantile(0.25), TargetDP(128), throw=False)
    ends = ctl.frontier(np.linspace(0.05, 0.95, 19))
    assert (np.diff(ends.lower, axis=1) >= -ROOM).all() and (ends.lower <= ends.upper).all()
    start, chance_of = ctl.start, ctl.at(ProbabilityAbove(float(ctl.lower[0])))
    assert chance_of.lower[0] >= 0.75 - 1e-6  # as reaching the quantile at 1/4 says
    assert ctl.lower.min() <= start.upper and start.lower <= ctl.upper.max() and start.lower <= start.upper
    drawn = distrl.control.simulation.simulated(
        mdp, start.policy, np.array([0, 1]), 4000, None, 1.0 - 1e-9, np.random.default_rng(0)
    )
    reached = np.sort(drawn.returns.values.ravel())
    assert (reached >= start.lower).mean() >= 0.75 - np.sqrt(np.log(2e9) / 8000.0)


@pytest.mark.parametrize("discount", [1e-310, 1e-9, 2e-6])
def test_tiny_discounts_are_right(discount):
    rows = [
        (0, 0, 0.5, 0, 1.0, False),
        (0, 0, 0.5, 0, 2.0, False),
        (0, 1, 0.25, 0, 0.0, False),
        (0, 1, 0.75, 0, 3.0, True),
    ]
    mdp = distrl.MDP.from_outcomes(rows, discount)
    for target, best in ((0.999, 1.0), (1.9, 0.75), (2.5, 0.75)):
        ctl = optimize(mdp, ProbabilityAbove(target), TargetDP(64), throw=False)
        assert ctl.lower[0] - ROOM <= best <= ctl.upper[0] + ROOM
    assert abs(optimize(mdp, Quantile(0.3), TargetDP(64), throw=False).upper[0] - 3.0) <= 0.1
