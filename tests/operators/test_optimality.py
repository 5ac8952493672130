"""Distributional optimality operators: what they compute, and that laws need not converge where means do."""

import numpy as np
import pytest
from oracles import dense_hat
from scipy.optimize import linprog

import distrl
from distrl import MDP, CategoricalReturns, Grid, QuantileReturns
from distrl.operators import CategoricalOptimality, QuantileOptimality

pytestmark = pytest.mark.fast
#: (state, action, probability, next state, reward, end); state 1 has one action alone.
ROWS = [
    (0, 0, 0.5, 1, 1.0, False),
    (0, 0, 0.5, 0, -1.0, False),
    (0, 1, 0.25, 2, 2.0, True),
    (0, 1, 0.75, 1, 0.5, False),
    (1, 1, 1.0, 2, -0.5, False),
    (2, 0, 0.5, 0, 0.0, False),
    (2, 0, 0.5, 0, 1.5, True),
    (2, 2, 1.0, 1, 0.75, False),
]
MODEL = MDP.from_outcomes(ROWS, 0.75)
GRID = Grid.covering(MODEL, 33)


def pairs_of(rows):
    return {(s, a): [row[2:] for row in rows if row[:2] == (s, a)] for s, a in dict.fromkeys(row[:2] for row in rows)}


def image(outcomes, laws, discount, grid):
    """The mixture of moved laws, every particle shared among the atoms by the hat functions."""
    law = np.zeros(grid.atoms)
    for p, y, r, end in outcomes:
        places = r + (0.0 if end else discount) * grid.points
        law += p * (laws[y] @ dense_hat(places, grid.points))
    return law


def test_it_is_the_bellman_operator_of_the_action_with_the_largest_mean():
    rng = np.random.default_rng(0)
    operator = CategoricalOptimality(MODEL, GRID)
    for _ in range(5):
        laws = rng.dirichlet(np.full(33, 0.1), size=3)
        images = {pair: image(outcomes, laws, 0.75, GRID) for pair, outcomes in pairs_of(ROWS).items()}
        best = [max((a for s, a in images if s == x), key=lambda a: images[x, a] @ GRID.points) for x in range(3)]
        assert operator.greedy(laws).tolist() == best
        np.testing.assert_allclose(operator(laws), [images[x, best[x]] for x in range(3)], atol=1e-14)
        returns = operator(CategoricalReturns(GRID, laws))
        np.testing.assert_array_equal(returns.probs, operator(laws))


def test_quantiles_are_those_of_the_action_with_the_largest_mean():
    rng = np.random.default_rng(1)
    operator = QuantileOptimality(MODEL, 8)
    for _ in range(5):
        values = np.sort(rng.normal(size=(3, 8)), axis=1)
        images = {}
        for pair, outcomes in pairs_of(ROWS).items():
            mixture = [(r + (0.0 if end else 0.75 * v), p / 8) for p, y, r, end in outcomes for v in values[y]]
            points, masses = (np.array(part) for part in zip(*sorted(mixture), strict=True))
            images[pair] = points[np.searchsorted(np.cumsum(masses), (2 * np.arange(8) + 1) / 16 - 1e-9)]
        best = [max((a for s, a in images if s == x), key=lambda a: images[x, a].mean()) for x in range(3)]
        assert operator.greedy(values).tolist() == best
        np.testing.assert_allclose(operator(values), [images[x, best[x]] for x in range(3)], atol=1e-12)
        np.testing.assert_array_equal(operator(QuantileReturns.trusted(values)).values, operator(values))


#: Ends at once with 0 or 2, or with almost 1 for certain: the means tie but for 1e-12.
TIED = MDP.from_outcomes(
    [(0, 0, 0.5, 0, 0.0, True), (0, 0, 0.5, 0, 2.0, True), (0, 1, 1.0, 0, 1.0 - 2**-40, True)], 0.5
)


def test_ties_are_decided_by_the_rule_and_the_tolerance():
    laws = np.full((1, 3), 1 / 3)
    for kind, start in ((CategoricalOptimality, laws), (QuantileOptimality, np.zeros((1, 4)))):
        first = Grid(0.0, 2.0, 3) if kind is CategoricalOptimality else 4
        greedy = {
            (ties, tolerance): kind(TIED, first, ties=ties, tolerance=tolerance).greedy(start).tolist()
            for ties in ("first", "last")
            for tolerance in (None, 0.0, 1e-9)
        }
        assert greedy["last", 1e-9] == [1]
        assert all(action == [0] for rule, action in greedy.items() if rule != ("last", 1e-9))


def swings(start=1.0):
    """State 0 stays for nothing by a pair of states, whose iterates swing about 0, or gambles for -1 or 1."""
    rows = [
        (0, 0, 1.0, 1, 0.0, False),
        (0, 1, 1.0, 3, 0.0, False),
        (1, 0, 1.0, 2, 0.0, False),
        (2, 0, 1.0, 1, 0.0, False),
        (3, 0, 0.5, 3, -1.0, True),
        (3, 0, 0.5, 3, 1.0, True),
    ]
    grid = Grid(-1.0, 1.0, 21)
    laws = np.zeros((4, 21))
    laws[0, 10], laws[1, 20], laws[2, 0], laws[3, [0, 20]] = 1.0, 1.0, 1.0, 0.5
    return MDP.from_outcomes(rows, 0.9), grid, laws


def iterated(operator, laws, grid, sweeps):
    moved, means, actions = [], [], []
    for _ in range(sweeps):
        following = operator(laws)
        moved.append(np.abs(np.cumsum(following - laws, axis=1)).sum(axis=1) * grid.spacing)
        means.append(np.abs(following @ grid.points - laws @ grid.points).max())
        actions.append(int(operator.greedy(laws)[0]))
        laws = following
    return np.array(moved), np.array(means), actions


def test_laws_need_not_converge_where_means_do():
    """No tie is met, and no rounding: the two means cross at every sweep on their way to one limit."""
    model, grid, laws = swings()
    moved, means, actions = iterated(CategoricalOptimality(model, grid, tolerance=0.0), laws, grid, 150)
    assert actions == [0, 1] * 75
    assert (means <= 0.9 ** np.arange(150) * 2.0 + 1e-12).all() and means[-1] < 1e-6
    assert (moved[20:, 0] > 0.6).all()  # the whole law is exchanged each time, while all others settle
    assert moved[-1, 1:].max() < 1e-6


@pytest.mark.parametrize("ties", ["first", "last"])
def test_a_tolerance_above_what_is_left_of_the_means_settles_the_law(ties):
    model, grid, laws = swings()
    moved, _, actions = iterated(CategoricalOptimality(model, grid, ties=ties, tolerance=1e-3), laws, grid, 150)
    assert set(actions[-60:]) == {0 if ties == "first" else 1}
    assert moved[-1].max() < 1e-5


def test_without_a_tie_the_laws_are_those_of_the_best_policy():
    operator, laws = CategoricalOptimality(MODEL, GRID), np.full((3, 33), 1 / 33)
    for _ in range(120):
        laws = operator(laws)
    actions = operator.greedy(laws)
    sol = distrl.evaluate(MODEL, distrl.CategoricalFixedPoint(grid=GRID, atoms=33), policy=actions)
    assert distrl.wasserstein(CategoricalReturns(GRID, np.maximum(laws, 0.0)), sol.returns).max() < 1e-10
    assert actions.tolist() == distrl.optimize(MODEL, distrl.Mean()).policy.tolist()
    np.testing.assert_allclose(operator.follow(laws, actions, 1), operator(laws), atol=1e-15)


def test_means_on_frozen_lake_are_those_of_linear_programming():
    pytest.importorskip("gymnasium")
    mdp = distrl.from_gymnasium("FrozenLake-v1", discount=0.99)
    rows = mdp.discount * mdp.outcomes.continuation.toarray()
    rows[np.arange(len(rows)), mdp.choices.states] -= 1.0
    options = {"A_ub": rows, "b_ub": -mdp.outcomes.expected_rewards, "bounds": [(None, None)] * mdp.n_states}
    best = linprog(np.ones(mdp.n_states), **options, method="highs").x
    operator = CategoricalOptimality(mdp, Grid.covering(mdp, 11))
    laws = np.full((mdp.n_states, 11), 1 / 11)
    for _ in range(2600):
        laws = operator.apply(laws).laws
    assert np.abs(laws @ operator.grid.points - best).max() < 1e-9


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CategoricalOptimality(MODEL.under("uniform"), GRID), "needs an MDP"),
        (lambda: QuantileOptimality(MODEL.under("uniform"), 3), "needs an MDP"),
        (lambda: CategoricalOptimality(MODEL, 33), r"must be a distrl\.Grid"),
        (lambda: CategoricalOptimality(MODEL, GRID, ties="random"), "ties must be 'first' or 'last'"),
        (lambda: CategoricalOptimality(MODEL, GRID, tolerance=-1.0), "tolerance must"),
        (lambda: CategoricalOptimality(MODEL, GRID)(np.ones((2, 33))), "must have shape"),
        (lambda: CategoricalOptimality(MODEL, GRID)(CategoricalReturns(Grid(0, 1, 2), [[1, 0]] * 3)), "live on"),
        (lambda: QuantileOptimality(MODEL, 3)(np.ones((2, 3))), "must have shape"),
        (lambda: QuantileOptimality(MODEL, 0), "quantiles must"),
    ],
)
def test_what_does_not_fit_is_said(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make()
