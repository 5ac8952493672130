"""Named environments against closed forms, and maps against a walker written out by hand."""

import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distrl.models import MDP, MRP, FiniteLaw, environments

pytestmark = pytest.mark.fast


def moments(mrp):
    """Mean and variance of the return of each state by two linear solves (constant or independent random rewards)."""
    table, g, n = mrp.outcomes, mrp.discount, mrp.n_states
    spread = np.array([law.variance for law in table.reward_laws] + [0.0])[table.laws]
    going_on = mrp.continuation.toarray()
    mean = np.linalg.solve(np.eye(n) - g * going_on, mrp.expected_rewards)
    later = np.where(table.terminals, 0.0, mean[table.next_states])
    second = table.rewards**2 + spread + 2 * g * table.rewards * later
    rest = np.bincount(table.sources, table.probs * second, minlength=n)
    return mean, np.linalg.solve(np.eye(n) - g * g * going_on, rest) - mean**2


@given(st.integers(1, 12), st.floats(0, 0.95), st.floats(0.1, 1))
def test_chain_discounts_a_sum_of_geometric_times(states, slip, discount):
    mrp = environments.chain(states, slip, discount)
    times = np.arange(states, 0, -1)
    first = (discount * (1 - slip) / (1 - discount * slip)) ** times
    second = (discount**2 * (1 - slip) / (1 - discount**2 * slip)) ** times
    mean, variance = moments(mrp)
    np.testing.assert_allclose(mean, first / discount, rtol=1e-9)
    np.testing.assert_allclose(variance, second / discount**2 - (first / discount) ** 2, atol=1e-9)


def test_chain_counts_its_steps_at_discount_one():
    mean, _ = moments(environments.chain(4, 0.5, 1.0, step_reward=1.0, end_reward=1.0))
    np.testing.assert_allclose(mean, [8, 6, 4, 2])


def test_chain_starts_at_the_left_and_takes_laws():
    mrp = environments.chain(3, end_reward=FiniteLaw([0, 2]))
    assert mrp.initial.tolist() == [1, 0, 0] and mrp.layout == (1, 3)
    assert mrp.expected_rewards.tolist() == [0, 0, 1]


def test_two_state_is_the_picture_of_the_paper():
    mrp = environments.two_state((0.25, 1.0))
    assert mrp.discount == 0.9 and mrp.expected_rewards.tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(mrp.continuation.toarray(), [[0.75, 0.25], [1.0, 0.0]])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=6), st.fractions(0, Fraction(9, 10)))
def test_cycle_is_a_discounted_sum(rewards, g):
    mrp = environments.cycle(len(rewards), rewards, float(g))
    whole = 1 - g ** len(rewards)
    for start, mean in enumerate(moments(mrp)[0]):
        turned = rewards[start:] + rewards[:start]
        assert mean == pytest.approx(float(sum(g**k * r for k, r in enumerate(turned)) / whole), abs=1e-9)
    np.testing.assert_allclose(moments(mrp)[1], 0, atol=1e-9)


@pytest.mark.parametrize("discount", [0.3, 0.5, 0.9, 0.99])
def test_hard_has_the_moments_it_states(discount):
    g = discount
    mean, variance = moments(environments.hard(2, g))
    np.testing.assert_allclose(mean, 3 / (4 * (1 - g)))
    np.testing.assert_allclose(variance, (g / (3 + 4 * g) - 1 / 16) / (1 - g) ** 2, rtol=1e-8)


def test_hard_shows_the_worst_case_exponent():
    """log-log slopes in 1/(1-g): 2 for the return's variance, 3 for that of the empirical model's mean."""
    logs = []
    for g in (1 - 1e-3, 1 - 1e-4):
        p = (4 * g - 1) / (3 * g)
        _, variance = moments(environments.hard(1, g))
        h = 1e-3 * (1 - p)
        slope = (1 / (1 - g * (p + h)) - 1 / (1 - g * (p - h))) / (2 * h)
        logs.append(np.log([variance[0], p * (1 - p) * slope**2]))
        assert p * (1 - p) * slope**2 * (1 - g) ** 3 == pytest.approx(27 / 256, rel=1e-2)
        assert variance[0] * (1 - g) ** 2 == pytest.approx(9 / 112, rel=1e-2)
    np.testing.assert_allclose((logs[1] - logs[0]) / math.log(10), [2, 3], atol=0.01)


@given(st.floats(0, 0.95), st.floats(0.05, 0.95))
def test_absorbing_is_the_geometric_oracle(q, g):
    t = np.arange(1, 2000)
    law = q ** (t - 1.0) * (1 - q)
    returns = (1 - g**t) / (1 - g)
    mean, variance = moments(environments.absorbing(q, g))
    assert mean[0] == pytest.approx(law @ returns)
    assert variance[0] == pytest.approx(law @ (returns - law @ returns) ** 2, abs=1e-9)


@pytest.mark.parametrize(
    ("mrp", "mean", "variance"),
    [
        (environments.bernoulli(), 1.0, 1 / 3),
        (environments.cantor(), 1.5, 9 / 8),
        (environments.gaussian(2.0, 3.0, 0.8), 10.0, 9 / 0.36),
    ],
)
def test_one_state_oracles_have_the_moments_of_their_law(mrp, mean, variance):
    got = moments(mrp)
    assert got[0][0] == pytest.approx(mean) and got[1][0] == pytest.approx(variance)


@given(st.integers(1, 60), st.integers(1, 3), st.data())
def test_garnet_branches_to_distinct_successors(states, actions, data):
    branching = data.draw(st.integers(1, min(states, 9)))
    mdp = environments.garnet(states, actions, branching, rng=data.draw(st.integers(0, 9)))
    table = mdp.outcomes
    assert (mdp.n_states, mdp.n_actions) == (states, actions)
    assert (np.diff(table.indptr) == branching).all()  # equal successors would have been merged
    assert table.next_states.max() < states
    np.testing.assert_allclose(np.add.reduceat(table.probs, table.indptr[:-1]), 1, atol=1e-14)


@pytest.mark.parametrize(("states", "branching"), [(40, 3), (10, 3)])
def test_garnet_chooses_its_successors_evenly(states, branching):
    """Both samplers: each state is hit with probability branching / states; binomial error bars."""
    sources = 20_000
    found = environments._distinct(sources, branching, states, np.random.default_rng(0))
    counts = np.bincount(found.ravel(), minlength=states)
    p = branching / states
    assert np.abs(counts - sources * p).max() < 5 * math.sqrt(sources * p * (1 - p))


def test_garnet_weights_are_uniform_spacings():
    """E w^2 = 2 / (b (b + 1)) for the Dirichlet(1, ..., 1) law."""
    probs = environments.garnet(1000, 4, 5, rng=1).outcomes.probs
    assert (probs**2).mean() == pytest.approx(2 / 30, rel=0.05)


def test_a_large_garnet_stays_sparse():
    mdp = environments.garnet(20_000, 2, 3, rng=0)
    assert len(mdp.outcomes.probs) == 120_000


@pytest.mark.parametrize("make", [environments.garnet, environments.dirichlet, environments.truncated_normal])
def test_the_same_rng_gives_the_same_model(make):
    a, b, c = (make(rng=seed).outcomes for seed in (3, 3, 4))
    assert np.array_equal(a.probs, b.probs) and np.array_equal(a.rewards, b.rewards)
    assert not np.array_equal(a.probs, c.probs)


@pytest.mark.parametrize("concentration", [1e-6, 1e-3, 1.0, 1e6])
def test_dirichlet_rows_are_distributions_at_every_concentration(concentration):
    mrp = environments.dirichlet(20, concentration, rng=0)
    largest = np.maximum.reduceat(mrp.outcomes.probs, mrp.outcomes.indptr[:-1])
    if concentration < 0.01:
        assert largest.mean() > 0.9
    if concentration > 1e5:
        assert largest.max() < 0.06


def test_truncated_normal_is_the_published_design():
    mdp = environments.truncated_normal(discount=0.7, rng=1)
    p = mdp.outcomes.probs.reshape(5, 2, 5)
    assert (p.max(axis=2) <= 9 * p.min(axis=2)).all()  # weights within (.1, .9)
    laws = mdp.outcomes.reward_laws
    assert len(laws) == 10 and all(law.support == pytest.approx((0, 1)) for law in laws)
    oracle = [stats.truncnorm(-m / 0.1, (1 - m) / 0.1, m, 0.1) for m in np.linspace(0, 1, 2001)]
    spreads = dict(zip((law.mean() for law in oracle), (law.var() for law in oracle), strict=True))
    means = np.array(sorted(spreads))
    for law in laws:  # on the curve of (mean, variance) that truncation makes, nearest grid point
        nearest = means[np.abs(means - law.mean).argmin()]
        assert law.variance == pytest.approx(spreads[nearest], rel=0.01)


def test_rewards_may_be_drawn_or_given():
    assert np.ptp(environments.dirichlet(50, rewards="normal", rng=0).expected_rewards) > 1
    assert environments.dirichlet(2, rewards=[1.0, FiniteLaw([0, 1])], rng=0).expected_rewards.tolist() == [1.0, 0.5]
    uniform = environments.garnet(5, 2, 2, rewards="uniform", rng=0).expected_rewards
    assert uniform.min() >= 0 and uniform.max() <= 1
    assert environments.garnet(2, 2, 2, rewards=[[1, 2], [3, 4]]).expected_rewards[1, 0] == pytest.approx(3)


# maps ------------------------------------------------------------------------------------------------------------

MOVES = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}


def walk(cells, row, column, action, slip, wind):
    """{(next state, reward, terminal): probability} of one move, a case at a time."""
    rows, columns = len(cells), len(cells[0])

    def step(r, c, move):
        y, x = r + move[0], c + move[1]
        free = 0 <= y < rows and 0 <= x < columns and cells[y][x] != "#"
        return (y, x) if free else (r, c)

    law = defaultdict(float)
    strength = wind[column]
    for direction, p in ((action, 1 - slip), ((action + 1) % 4, slip / 2), ((action + 3) % 4, slip / 2)):
        for pushes, q in ((int(strength), 1 - strength % 1), (int(strength) + 1, strength % 1)):
            r, c = step(row, column, MOVES[direction])
            for _ in range(pushes):
                if cells[r][c] not in "GC":
                    r, c = step(r, c, MOVES[0])
            if cells[r][c] == "C":
                starts = [(y, x) for y in range(rows) for x in range(columns) if cells[y][x] == "S"]
                for y, x in starts:
                    law[y * columns + x, -100.0, False] += p * q / len(starts)
            else:
                goal = cells[r][c] == "G"
                law[r * columns + c, 10.0 if goal else -1.0, goal] += p * q
    return {key: p for key, p in law.items() if p > 0}


@st.composite
def maps(draw):
    columns = draw(st.integers(1, 4))
    lines = draw(st.lists(st.text(".#CGS ", min_size=columns, max_size=columns), min_size=1, max_size=4))
    return ["S" + "." * (columns - 1), *lines]


@given(maps(), st.sampled_from([0.0, 0.25, 1.0]), st.data())
def test_gridworld_moves_as_a_walker_would(cells, slip, data):
    columns = len(cells[0])
    wind = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.25, 3.0]), min_size=columns, max_size=columns))
    mdp = environments.gridworld(cells, 0.9, goal_reward=10.0, slip=slip, wind=wind)
    assert mdp.layout == (len(cells), columns)
    table = mdp.outcomes
    for state in range(mdp.n_states):
        row, column = divmod(state, columns)
        for action in range(4):
            span = slice(table.indptr[state * 4 + action], table.indptr[state * 4 + action + 1])
            got = dict(
                zip(
                    zip(table.next_states[span], table.rewards[span], table.terminals[span], strict=True),
                    table.probs[span],
                    strict=True,
                )
            )
            if cells[row][column] in "#GC":
                assert got == {(state, 0.0, True): 1.0}
            else:
                assert got == pytest.approx(walk(cells, row, column, action, slip, wind))


def test_the_default_map_is_gymnasiums_cliff_walk():
    gymnasium = pytest.importorskip("gymnasium")
    table = gymnasium.make("CliffWalking-v1").unwrapped.P
    ours = environments.gridworld()
    for state in range(37):  # beyond: the cliff and the goal, where nobody stands
        for action in range(4):
            (_, successor, reward, ends), row = table[state][action][0], ours.outcomes.indptr[state * 4 + action]
            assert ours.outcomes.next_states[row] == successor
            assert ours.outcomes.rewards[row] == reward and ours.outcomes.terminals[row] == ends
    assert ours.initial.argmax() == 36 and ours.layout == (4, 12)


def test_a_room_may_be_given_by_its_size_or_as_text():
    room = environments.gridworld((2, 3), 1.0)
    drawn = environments.gridworld("S..\n..G", 1.0)
    np.testing.assert_array_equal(room.outcomes.next_states, drawn.outcomes.next_states)
    assert moments(room.under([1, 1, 2, 1, 1, 0]))[0].tolist() == [-3, -2, -1, -2, -1, 0]


def test_rewards_of_a_map_may_be_laws():
    mdp = environments.gridworld(["SG"], 0.9, step_reward=FiniteLaw([-1, -3]), goal_reward=5.0)
    assert mdp.expected_rewards[0].tolist() == [-2, 5, -2, -2]


def test_every_environment_is_a_model_by_default_and_takes_a_discount():
    for name in environments.__all__:
        make = getattr(environments, name)
        if callable(make):
            assert isinstance(make(), MRP | MDP) and make(discount=0.75).discount == 0.75


BAD = {
    "no states": (lambda: environments.chain(0), "states must be at least 1"),
    "slip": (lambda: environments.chain(3, 1.5), r"slip must lie in \[0, 1\]"),
    "a chain that never ends": (lambda: environments.chain(3, 1.0, 1.0, step_reward=-1.0).check_ends(), "discount 1"),
    "switch": (lambda: environments.two_state((0.5, 2)), "switch must lie"),
    "switches": (lambda: environments.two_state((0.5, 0.5, 0.5)), "one probability or two"),
    "a cycle at discount 1": (lambda: environments.cycle(3, discount=1.0).check_ends(), "discount 1"),
    "branching": (lambda: environments.garnet(3, 1, 4), "branching=4"),
    "rewards": (lambda: environments.garnet(rewards="gamma"), "'gamma' is not known"),
    "rng": (lambda: environments.garnet(rng="seed"), "rng must be"),
    "concentration": (lambda: environments.dirichlet(3, 0.0), "concentration must lie"),
    "hard below 1/4": (lambda: environments.hard(1, 0.25), "1/4 < discount < 1"),
    "hard at 1": (lambda: environments.hard(1, 1.0), "1/4 < discount < 1"),
    "sd": (lambda: environments.gaussian(0, 0), "sd must be positive"),
    "a spread of 0": (lambda: environments.truncated_normal(sd=0), "sd must be positive"),
    "an unknown cell": (lambda: environments.gridworld(["S?"]), r"cell \(0, 1\) of the map is '\?'"),
    "a ragged map": (lambda: environments.gridworld(["S.", "."]), "row 1 of the map has 1 cells, row 0 has 2"),
    "a row that is no text": (lambda: environments.gridworld(["S.", 3]), "row 1 of the map is 3"),
    "an empty map": (lambda: environments.gridworld([]), "empty"),
    "a map of walls": (lambda: environments.gridworld(["##"]), "no cell to stand on"),
    "a cliff without a start": (lambda: environments.gridworld([".C"]), "needs a start"),
    "a room of one cell": (lambda: environments.gridworld((1, 1)), "at least two cells"),
    "wind": (lambda: environments.gridworld(wind=-1), "wind must be >= 0"),
    "winds": (lambda: environments.gridworld(wind=[1, 2]), "each of the 12 columns"),
    "a law of infinite mean": (lambda: environments.absorbing(reward=stats.cauchy()), "mean"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_argument_is_named(case):
    build, sentence = BAD[case]
    with pytest.raises((ValueError, TypeError), match=sentence):
        build()
