"""Models of textbooks, courses and environment libraries: each comes in by one call and has its published values.

Where a source prints digits, they are compared; others are solved by formulas that share nothing with importers.
"""

from itertools import product
from math import exp, factorial

import numpy as np
import pytest

from distrl import from_arrays, from_function, from_gymnasium
from tests.outside_models import optimal_values

pytestmark = pytest.mark.fast


def values_of(mrp):
    """(S,) mean returns by a dense solve."""
    step = np.eye(mrp.n_states) - mrp.discount * mrp.continuation.toarray()
    return np.linalg.solve(step, mrp.expected_rewards)


def by_name(mdp, values):
    return dict(zip(mdp.states, values, strict=True))


# ---- textbooks

SIDES = {"north": (-1, 0), "east": (0, 1), "south": (1, 0), "west": (0, -1)}


def maze(rows, noise, living, leave):
    """Actions and outcomes of a maze: # is a wall, + and - pay what `leave` says and end; slips go to either side."""
    cells = {(i, j): mark for i, row in enumerate(rows) for j, mark in enumerate(row) if mark != "#"}

    def actions(cell):
        return [] if cell == "end" else ["exit"] if cells[cell] in leave else list(SIDES)

    def outcomes(cell, action):
        if action == "exit":
            return [(1.0, "end", leave[cells[cell]])]
        di, dj = SIDES[action]
        found = []
        for probability, (i, j) in ((1 - noise, (di, dj)), (noise / 2, (dj, di)), (noise / 2, (-dj, -di))):
            to = (cell[0] + i, cell[1] + j)
            found.append((probability, to if to in cells else cell, living))
        return found

    return actions, outcomes, next(cell for cell, mark in cells.items() if mark == "S")


def test_russell_and_norvigs_four_by_three_world():
    actions, outcomes, start = maze(["   +", " # -", "S   "], 0.2, -0.04, {"+": 1.0, "-": -1.0})
    mdp = from_function(None, actions, outcomes, 1.0, initial=[start])
    values = by_name(mdp, optimal_values(mdp)[0])
    printed = {(0, 0): 0.812, (0, 1): 0.868, (0, 2): 0.918, (0, 3): 1.0, (1, 0): 0.762, (1, 2): 0.660, (1, 3): -1.0,
               (2, 0): 0.705, (2, 1): 0.655, (2, 2): 0.611, (2, 3): 0.388}  # fmt: skip
    for cell, value in printed.items():
        assert values[cell] == pytest.approx(value, abs=5.1e-4)


def test_berkeleys_book_grid():
    """CS 188, project 3: values after 100 iterations, as its picture prints them."""
    actions, outcomes, start = maze(["   +", " # -", "S   "], 0.2, 0.0, {"+": 1.0, "-": -1.0})
    mdp = from_function(None, actions, outcomes, 0.9, initial=[start])
    values = by_name(mdp, optimal_values(mdp)[0])
    printed = [[0.64, 0.74, 0.85, 1.00], [0.57, None, 0.57, -1.00], [0.49, 0.43, 0.48, 0.28]]
    for cell in product(range(3), range(4)):
        if cell != (1, 1):
            assert values[cell] == pytest.approx(printed[cell[0]][cell[1]], abs=5.1e-3)


def test_berkeleys_racing_car():
    """CS 188, lecture on value iteration: after one step 2 and 1, after two 3.5 and 2.5."""
    race = {
        ("cool", "slow"): [(1.0, "cool", 1.0)],
        ("cool", "fast"): [(0.5, "cool", 2.0), (0.5, "warm", 2.0)],
        ("warm", "slow"): [(0.5, "cool", 1.0), (0.5, "warm", 1.0)],
        ("warm", "fast"): [(1.0, "overheated", -10.0)],
    }
    mdp = from_function(["cool", "warm", "overheated"], ["slow", "fast"], lambda s, a: race.get((s, a), []), 1.0)
    values = np.zeros(3)
    for printed in ([2.0, 1.0, 0.0], [3.5, 2.5, 0.0]):
        after = mdp.outcomes.continuation @ values + mdp.outcomes.expected_rewards
        values = np.maximum.reduceat(after, mdp.indptr[:-1])
        assert values.tolist() == printed


def test_sutton_and_bartos_small_gridworld():
    """Figure 4.1: the equiprobable policy on four by four cells, two corners of which end; no discount."""

    def move(cell, action):
        i, j = (min(max(c + d, 0), 3) for c, d in zip(cell, SIDES[action], strict=True))
        return [(1.0, (i, j), -1.0)]

    mdp = from_function(
        list(product(range(4), range(4))), lambda c: [] if c in ((0, 0), (3, 3)) else list(SIDES), move, 1.0
    )
    printed = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
    np.testing.assert_allclose(values_of(mdp.under("uniform")), printed, atol=1e-11)


def test_sutton_and_bartos_five_by_five():
    """Figures 3.2 and 3.5: the equiprobable and the optimal policy, discount .9."""
    jumps = {(0, 1): ((4, 1), 10.0), (0, 3): ((2, 3), 5.0)}

    def move(cell, action):
        if cell in jumps:
            return [(1.0, *jumps[cell])]
        i, j = cell[0] + SIDES[action][0], cell[1] + SIDES[action][1]
        return [(1.0, (i, j), 0.0)] if 0 <= i < 5 and 0 <= j < 5 else [(1.0, cell, -1.0)]

    mdp = from_function(list(product(range(5), range(5))), list(SIDES), move, 0.9)
    random = """3.3 8.8 4.4 5.3 1.5  1.5 3.0 2.3 1.9 0.5  0.1 0.7 0.7 0.4 -0.4
        -1.0 -0.4 -0.4 -0.6 -1.2  -1.9 -1.3 -1.2 -1.4 -2.0"""
    best = """22.0 24.4 22.0 19.4 17.5  19.8 22.0 19.8 17.8 16.0  17.8 19.8 17.8 16.0 14.4
        16.0 17.8 16.0 14.4 13.0  14.4 16.0 14.4 13.0 11.7"""
    np.testing.assert_allclose(values_of(mdp.under("uniform")), np.array(random.split(), dtype=float), atol=0.0501)
    np.testing.assert_allclose(optimal_values(mdp)[0], np.array(best.split(), dtype=float), atol=0.0501)


def test_sutton_and_bartos_recycling_robot():
    """Example 3.3; the best of its six policies, each by its two equations."""
    a, b, search, wait, g = 0.9, 0.4, 2.0, 1.0, 0.9
    table = {
        ("high", "search"): [(a, "high", search), (1 - a, "low", search)],
        ("high", "wait"): [(1.0, "high", wait)],
        ("low", "search"): [(b, "low", search), (1 - b, "high", -3.0)],
        ("low", "wait"): [(1.0, "low", wait)],
        ("low", "recharge"): [(1.0, "high", 0.0)],
    }
    mdp = from_function(["high", "low"], ["search", "wait", "recharge"], lambda s, x: table.get((s, x), []), g)
    assert mdp.available.tolist() == [[True, True, False], [True, True, True]]
    high = {"search": ([a, 1 - a], search), "wait": ([1, 0], wait)}
    low = {"search": ([1 - b, b], b * search - 3 * (1 - b)), "wait": ([0, 1], wait), "recharge": ([1, 0], 0.0)}
    each = [
        np.linalg.solve(np.eye(2) - g * np.array([p, q]), [r, t])
        for (p, r), (q, t) in product(high.values(), low.values())
    ]
    np.testing.assert_allclose(optimal_values(mdp)[0], np.max(each, axis=0), rtol=1e-11)


def test_sutton_and_bartos_gambler():
    """Example 4.3, heads with .4: bold play is optimal, so that 25, 50 and 75 win with .16, .4 and .64."""
    mdp = from_function(
        101,
        lambda capital: range(1, min(capital, 100 - capital) + 1) if 0 < capital < 100 else [],
        lambda capital, stake: [(0.4, capital + stake, float(capital + stake == 100)), (0.6, capital - stake, 0)],
        1.0,
    )
    np.testing.assert_allclose(optimal_values(mdp)[0][[25, 50, 75]], [0.16, 0.4, 0.64], atol=1e-12)


def test_jacks_car_rental_from_arrays():
    """Sutton and Barto, example 4.2, with room for 8 cars: what is not possible has reward -inf."""
    room = 8

    def lot(asked, returned):
        law = [[exp(-mean) * mean**k / factorial(k) for k in range(40)] for mean in (asked, returned)]
        p, earned = np.zeros((room + 1, room + 1)), np.zeros(room + 1)
        for cars, (ask, there), (back, come) in product(range(room + 1), enumerate(law[0]), enumerate(law[1])):
            p[cars, min(cars - min(cars, ask) + back, room)] += there * come
            earned[cars] += 10 * min(cars, ask) * there * come
        return p / p.sum(axis=1, keepdims=True), earned

    (p1, e1), (p2, e2) = lot(3, 3), lot(4, 2)
    n, moves = (room + 1) ** 2, range(-5, 6)
    P, R = np.zeros((n, 11, n)), np.full((n, 11), -np.inf)
    for (first, second), (k, moved) in product(product(range(room + 1), repeat=2), enumerate(moves)):
        if moved <= first and -moved <= second:
            x, y = min(first - moved, room), min(second + moved, room)
            P[first * (room + 1) + second, k] = np.outer(p1[x], p2[y]).ravel()
            R[first * (room + 1) + second, k] = e1[x] + e2[y] - 2 * abs(moved)
    mdp = from_arrays(P, R, 0.9, axes="sas", actions=list(moves))
    assert mdp.choices.numbers.min() == 1 and mdp.choices.numbers.max() == 11
    values = np.zeros(n)
    for _ in range(400):
        values = (R + 0.9 * P @ values).max(axis=1)
    # its sweeps stop when they change values by 1e-13 of the largest, a tenth of what is left then
    np.testing.assert_allclose(optimal_values(mdp)[0], values, rtol=2e-12)


def test_silvers_student():
    """UCL course on RL, lecture 2: the uniform policy and the best one, no discount."""
    table = {
        ("facebook", "facebook"): [(1.0, "facebook", -1.0)],
        ("facebook", "quit"): [(1.0, "class 1", 0.0)],
        ("class 1", "facebook"): [(1.0, "facebook", -1.0)],
        ("class 1", "study"): [(1.0, "class 2", -2.0)],
        ("class 2", "sleep"): [(1.0, "sleep", 0.0)],
        ("class 2", "study"): [(1.0, "class 3", -2.0)],
        ("class 3", "study"): [(1.0, "sleep", 10.0)],
        ("class 3", "pub"): [(0.2, "class 1", 1.0), (0.4, "class 2", 1.0), (0.4, "class 3", 1.0)],
    }
    mdp = from_function(
        ["facebook", "class 1", "class 2", "class 3", "sleep"],
        lambda state: [action for (here, action) in table if here == state],
        lambda state, action: table[state, action],
        1.0,
    )
    np.testing.assert_allclose(values_of(mdp.under("uniform")), [-2.3, -1.3, 2.7, 7.4, 0.0], atol=0.0501)
    np.testing.assert_allclose(optimal_values(mdp)[0], [6.0, 6.0, 8.0, 10.0, 0.0], atol=1e-9)


# ---- Gymnasium and what wraps it


class TestGymnasium:
    """Environments by their ids."""

    @pytest.fixture(autouse=True)
    def library(self):
        self.gymnasium = pytest.importorskip("gymnasium")

    def solved(self, name, discount, **kwargs):
        mdp = from_gymnasium(name, discount, **kwargs)
        return mdp, optimal_values(mdp)[0]

    def test_frozen_lake(self):
        """The values that are printed in many places for a discount of .99; without one the start is worth 14/17."""
        printed = """0.54202593 0.49880319 0.47069569 0.4568517 0.55845096 0 0.35834807 0
            0.59179874 0.64307982 0.61520756 0 0 0.74172044 0.86283743 0"""
        np.testing.assert_allclose(
            self.solved("FrozenLake-v1", 0.99)[1], np.array(printed.split(), dtype=float), atol=2e-8
        )
        assert self.solved("FrozenLake-v1", 1.0)[1][0] == pytest.approx(14 / 17, abs=1e-9)
        assert self.solved("FrozenLake-v1", 0.9, is_slippery=False)[1][0] == pytest.approx(0.9**5)

    def test_the_larger_lake(self):
        assert self.solved("FrozenLake-v1", 0.99, map_name="8x8")[1][0] == pytest.approx(0.41464, abs=5.1e-6)
        assert self.solved("FrozenLake-v1", 1.0, map_name="8x8")[1][0] == pytest.approx(1.0, abs=1e-6)
        assert self.solved("FrozenLake-v1", 0.9, map_name="8x8", is_slippery=False)[1][0] == pytest.approx(0.9**13)

    def test_cliff_walking(self):
        """The shortest safe way has 13 steps; on slippery ground the table is solved as it stands."""
        assert self.solved("CliffWalking-v1", 1.0)[1][36] == -13.0
        mdp, values = self.solved("CliffWalking-v1", 0.99, is_slippery=True)
        table, plain = self.gymnasium.make("CliffWalking-v1", is_slippery=True).unwrapped.P, np.zeros(48)
        for _ in range(5000):
            plain = np.array(
                [max(sum(p * (r + 0.99 * plain[t] * (not e)) for p, t, r, e in table[s][a]) for a in range(4))
                 for s in range(48)]
            )  # fmt: skip
        np.testing.assert_allclose(values, plain, rtol=1e-10)
        assert mdp.layout == (4, 12)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
    def test_taxi(self):
        """7.93 on average over the starts, the best that learners report."""
        mdp, values = self.solved("Taxi-v3", 1.0)
        assert values @ mdp.initial == pytest.approx(7.93, abs=1e-9)

    def test_blackjack_as_bettermdptools_publishes_it(self):
        wrappers = pytest.importorskip("bettermdptools.envs.blackjack_wrapper")
        env = wrappers.BlackjackWrapper(self.gymnasium.make("Blackjack-v1"))
        mdp = from_gymnasium(env, 1.0)
        assert mdp.n_states == len(env.P) and mdp.n_actions == 2
        for state, action in product(range(mdp.n_states), range(2)):
            mean = sum(p * reward for p, _, reward, _ in env.P[state][action])
            assert mdp.expected_rewards[state, action] == pytest.approx(mean, abs=1e-12)
