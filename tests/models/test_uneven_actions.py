"""Decision processes whose states have different actions: read, evaluated, estimated and saved by available pair."""

import csv
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import exact_fixed_point

import distrl
from distrl import (
    MDP,
    CategoricalFixedPoint,
    CategoricalTD,
    EmpiricalMDP,
    FiniteLaw,
    GenerativeModel,
    Grid,
    MonteCarlo,
    QuantileDP,
    estimate,
    evaluate,
    from_gymnasium,
    load,
    read_prism,
    save,
    write_prism,
)
from distrl.testing import strategies

pytestmark = pytest.mark.fast

FIELDS = ("indptr", "probs", "next_states", "rewards", "terminals", "laws")


def ruin(goal=10, win=0.7):
    """Capital 0..goal; stake any part of it; at the goal every stake pays 1 and changes nothing. Nothing ends."""
    rows = []
    for capital in range(goal):
        rows.append((capital, 0, 1.0, capital, 0.0, False))
        for stake in range(1, capital + 1):
            rows.append((capital, stake, 1.0 - win, capital - stake, 0.0, False))
            rows.append((capital, stake, win, min(capital + stake, goal), 0.0, False))
    return rows + [(goal, stake, 1.0, goal, 1.0, False) for stake in range(goal + 1)]


def gambler(goal=8, heads=0.4):
    """Stake 1..min(s, goal - s) (action: stake - 1) until 0 or the goal, which pays 1; discount 1."""
    rows = [(end, 0, 1.0, end, 0.0, True) for end in (0, goal)]
    for s in range(1, goal):
        for stake in range(1, min(s, goal - s) + 1):
            up = s + stake
            rows.append((s, stake - 1, heads, up, float(up == goal), up == goal))
            rows.append((s, stake - 1, 1.0 - heads, s - stake, 0.0, s == stake))
    return rows


TWO_WAYS = [
    (0, 0, 1.0, 1, 1.0, False),
    (1, 0, 0.5, 0, 2.0, False),
    (1, 0, 0.5, 1, 0.0, True),
    (1, 2, 1.0, 1, -1.0, True),
]

PRISM = {
    ".tra": "4 6 8\n0 0 1 .5\n0 0 2 .5\n0 1 3 1\n1 0 3 1\n2 0 0 .75 a\n2 0 3 .25 a\n2 1 1 1\n3 0 3 1\n",
    ".srew": "4 4\n0 1\n1 2\n2 .5\n3 9\n",
    ".trew": "4 6 2\n0 1 3 4\n2 0 0 -1\n",
    ".lab": '0="init" 1="target"\n0: 0\n3: 1\n',
}
PRISM_ROWS = [  # the same, by hand; state 3 is the end, and its own reward is not collected
    (0, 0, 0.5, 1, 1.0, False),
    (0, 0, 0.5, 2, 1.0, False),
    (0, 1, 1.0, 3, 5.0, True),
    (1, 0, 1.0, 3, 2.0, True),
    (2, 0, 0.75, 0, -0.5, False),
    (2, 0, 0.25, 3, 0.5, True),
    (2, 1, 1.0, 1, 0.5, False),
    (3, 0, 1.0, 3, 0.0, True),
    (3, 1, 1.0, 3, 0.0, True),
]


def prism(folder):
    for suffix, text in PRISM.items():
        (folder / f"m{suffix}").write_text(text)
    return read_prism(folder / "m", 1.0, terminal="target")


MODELS = {
    "ruin": (ruin(), 0.9),
    "gambler": (gambler(), 1.0),
    "two ways": (TWO_WAYS, 0.8),
    "a PRISM model": (PRISM_ROWS, 1.0),
}


def actions_of(rows):
    """{state: its actions in ascending order}."""
    found = {}
    for state, action, *_ in rows:
        found.setdefault(state, set()).add(action)
    return {state: sorted(found[state]) for state in sorted(found)}


def random_policy(rows, seed):
    """{(state, action): probability} and the same as a matrix."""
    rng = np.random.default_rng(seed)
    actions = actions_of(rows)
    matrix = np.zeros((len(actions), 1 + max(map(max, actions.values()))))
    for state, some in actions.items():
        matrix[state, some] = rng.dirichlet(np.ones(len(some)))
    return matrix


def uniform(rows):
    matrix = np.zeros_like(random_policy(rows, 0))
    for state, some in actions_of(rows).items():
        matrix[state, some] = 1.0 / len(some)
    return matrix


def dense(rows, matrix, discount):
    """Means by a linear system made of the rows alone."""
    n = len(matrix)
    onward, rewards = np.eye(n), np.zeros(n)
    for state, action, probability, successor, reward, terminal in rows:
        share = matrix[state, action] * probability
        rewards[state] += share * reward
        if not terminal:
            onward[state, successor] -= discount * share
    return np.linalg.solve(onward, rewards)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("policy", ["uniform", 1, 2])
def test_means_are_those_of_the_dense_system(name, policy):
    rows, discount = MODELS[name]
    mdp = MDP.from_outcomes(rows, discount)
    assert not mdp.choices.even
    matrix = uniform(rows) if policy == "uniform" else random_policy(rows, policy)
    given_policy = policy if policy == "uniform" else matrix
    expected = dense(rows, matrix, discount)
    np.testing.assert_allclose(mdp.policy_matrix(given_policy), matrix, rtol=0, atol=1e-16)
    mrp = mdp.under(given_policy)
    ours = np.linalg.solve(np.eye(len(matrix)) - discount * mrp.continuation.toarray(), mrp.expected_rewards)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)
    grid = Grid(-2.0, 60.0, 63) if name == "a PRISM model" else Grid(-2.0, 12.0, 15)  # no return beyond that shows
    for method in (distrl.Moments(1), CategoricalFixedPoint(grid=grid, solver="direct")):
        values = evaluate(mdp, method, given_policy, tol=1e-12).values
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["ruin", "two ways", "a PRISM model"])
def test_laws_are_those_of_the_rational_fixed_point(name):
    rows, discount = (ruin(4), 0.9) if name == "ruin" else MODELS[name]
    matrix, atoms = random_policy(rows, 3), [Fraction(-2), Fraction(1), Fraction(4), Fraction(7), Fraction(10)]
    mixed = [
        (state, Fraction(matrix[state, action]) * Fraction(p), successor, Fraction(reward), terminal)
        for state, action, p, successor, reward, terminal in rows
    ]
    exact = exact_fixed_point(mixed, Fraction(discount), atoms, len(matrix))
    method = CategoricalFixedPoint(grid=Grid(-2.0, 10.0, 5), solver="direct")
    found = evaluate(MDP.from_outcomes(rows, discount), method, matrix).returns.probs
    np.testing.assert_allclose(found, np.array(exact, dtype=float), rtol=0, atol=1e-12)


def test_the_law_of_a_gamble_is_its_chance_to_win():
    rows = gambler()
    mdp = MDP.from_outcomes(rows, 1.0)
    assert mdp.choices.numbers.tolist() == [1, 1, 2, 3, 4, 3, 2, 1, 1]
    bold = [0, *(min(s, 8 - s) - 1 for s in range(1, 8)), 0]
    for policy, matrix in (("uniform", uniform(rows)), (bold, np.eye(4)[bold])):
        probs = evaluate(mdp, CategoricalFixedPoint(grid=Grid(0.0, 1.0, 2)), policy).returns.probs
        np.testing.assert_allclose(probs[:, 1], dense(rows, matrix, 1.0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(probs[[1, 2, 4, 6], 1], [0.064, 0.16, 0.4, 0.4 + 0.6 * 0.4], rtol=0, atol=1e-12)


def test_prism_files_with_different_numbers_of_choices_are_read(tmp_path):
    mdp = prism(tmp_path)
    assert mdp.available.tolist() == [[True, True], [True, False], [True, True], [True, True]]
    same(mdp, MDP.from_outcomes(PRISM_ROWS, 1.0, initial=[1, 0, 0, 0]))
    assert repr(mdp) == "MDP(states=4, actions=1 to 2, outcomes=9, discount=1)"
    write_prism(mdp, tmp_path / "again")
    same(mdp, read_prism(tmp_path / "again", 1.0, terminal="terminal"))
    (tmp_path / "m.tra").write_text(PRISM[".tra"].replace("2 1 1 1", "2 2 1 1"))
    with pytest.raises(ValueError, match="choices of state 2 are not numbered from 0 to 1"):
        read_prism(tmp_path / "m", 1.0, terminal="target")
    gap = [(0, 0, 1.0, 1, 1.0, True), (0, 2, 1.0, 1, 2.0, True), *((1, a, 1.0, 1, 0.0, True) for a in range(3))]
    mdp = MDP.from_outcomes(gap, 0.9)
    write_prism(mdp, tmp_path / "gap")  # choices have names then, and a comment says which actions they are
    same(mdp, read_prism(tmp_path / "gap", 0.9, terminal="terminal"))


def same(a, b):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(a.outcomes, field), getattr(b.outcomes, field))
    np.testing.assert_array_equal(a.pairs, b.pairs)
    np.testing.assert_array_equal(a.available, b.available)
    assert list(a.states) == list(b.states) and list(a.actions) == list(b.actions)


# -- what a pair is


def test_pairs_are_those_with_rows_state_by_state():
    mdp = MDP.from_outcomes(TWO_WAYS[::-1], 0.8)
    assert mdp.pairs.tolist() == [[0, 0], [1, 0], [1, 2]] and mdp.indptr.tolist() == [0, 1, 3]
    assert mdp.available.tolist() == [[True, False, False], [True, False, True]]
    assert mdp.n_actions == 3 and mdp.state_rows.tolist() == [0, 1, 4]
    np.testing.assert_array_equal(mdp.expected_rewards, [[1.0, np.nan, np.nan], [1.0, np.nan, -1.0]])
    assert mdp.terminal.tolist() == [False, False]


def test_arrays_with_a_mask_are_the_same_model():
    mdp = MDP.from_outcomes([*TWO_WAYS[:3], (1, 1, 1.0, 1, 0.0, True)], 0.8, absorbing="end")
    p, r = np.zeros((2, 3, 3)), np.zeros((2, 3, 3))
    p[0, 0, 1], r[0, 0, 1] = 1.0, 1.0
    p[0, 1, [0, 2]], r[0, 1, 0] = 0.5, 2.0
    p[1, 1, 2] = 1.0
    available = [[True, False], [True, True], [False, False]]
    ended = MDP(p, r, 0.8, [False, False, True], available=available)
    assert ended.available.tolist() == [[True, False], [True, True], [True, True]]  # an end has every action
    for policy in ("uniform", [[1, 0], [0.25, 0.75]]):
        three = policy if policy == "uniform" else [*policy, [0.5, 0.5]]
        np.testing.assert_array_equal(mdp.under(policy).expected_rewards, ended.under(three).expected_rewards[:2])
    for back in (ended.to_dense(), ended.to_sparse()):
        same(ended, MDP(back.P, back.R, 0.8, back.terminal, available=ended.available, axes="ass"))
    p[1, 0] = [0.5, 0.25, 0.25]  # of an action that is not available: not used
    same(ended, MDP(p, r, 0.8, [False, False, True], available=available))


def test_random_rewards_are_read_by_pair():
    laws = [[FiniteLaw([0, 1]), 5.0], [FiniteLaw([2, 3]), FiniteLaw([4, 5])]]
    mdp = MDP(np.full((2, 2, 2), 0.5), laws, 0.5, available=[[True, False], [True, True]])
    np.testing.assert_array_equal(mdp.expected_rewards, [[0.5, np.nan], [2.5, 4.5]])


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: MDP.from_outcomes(ruin(), 0.9).under(np.zeros((11, 11)) + 1 / 11),
            "plays action 1 in state 0 with pro",
        ),
        (
            lambda: MDP.from_outcomes(ruin(), 0.9).under(np.full(11, 2)),
            "action 2 in state 0 .*not available; .*there: 0",
        ),
        (lambda: MDP.from_outcomes(TWO_WAYS, 0.9).under([0, 1]), "action 1 in state 1 .*available there: 0, 2"),
        (lambda: MDP.from_outcomes(TWO_WAYS, 0.9).under([0, 3]), r"policy\[1\] is 3, not an action in 0..2"),
        (lambda: MDP.from_outcomes(ruin()[:1] + ruin()[4:], 0.9), "state 1 has no outcome; every state needs an avail"),
        (lambda: MDP.from_outcomes(TWO_WAYS[:1], 0.9), "state 1 has no outcome"),
        (lambda: MDP([np.eye(2)], [0, 1], 0.9, available=[[True], [False]]), r"available\[1\] marks no action"),
        (lambda: MDP([np.eye(2)], [0, 1], 0.9, available=[True, True]), r"available must be a mask of shape \(2, 1\)"),
        (lambda: MDP([np.eye(2)], [0, 1], 0.9, available=[[2], [1]]), "available must hold booleans"),
        (
            lambda: MDP([np.eye(2), np.diag([0.5, 0])], [0, 1], 0.9, available=[[True, True], [True, False]]),
            "state 0, action 1 sum to 0.5",
        ),
        (
            lambda: MDP([np.eye(2), np.diag([1, 0.5])], [0, 1], 0.9, available=[[True, True], [True, False]]),
            "action 1: state 1 is not available but its row sums to 0.5",
        ),
        (lambda: MDP([np.eye(2), np.diag([1, 0])], [0, 1], 0.9), "state 1, action 1 has no outcome"),
    ],
)
def test_a_refusal_names_state_and_action(build, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        build()
    assert "\n" not in str(caught.value)


@given(st.data())
def test_where_every_action_is_available_nothing_changes(data):
    model = data.draw(strategies.mdps(max_states=3))
    table = model.outcomes
    rows = [
        (int(source) // model.n_actions, int(source) % model.n_actions, *rest)
        for source, *rest in zip(
            table.sources, table.probs, table.next_states, table.rewards, table.terminals, strict=True
        )
    ]
    order = data.draw(st.permutations(range(len(rows))))
    again = MDP.from_outcomes([rows[k] for k in order], model.discount, absorbing="keep", states=model.n_states)
    same(again, model)
    assert again.choices.even and again.indptr.tolist() == [model.n_actions * s for s in range(model.n_states + 1)]
    given_mask = MDP.from_table(table, model.discount, available=np.ones((model.n_states, model.n_actions), bool))
    same(given_mask, model)
    drawn = [GenerativeModel(each).sample(7, rng=3) for each in (model, again, given_mask)]
    for other in drawn[1:]:
        same(drawn[0], other)


@given(st.data())
def test_a_policy_mixes_the_rows_of_the_pairs_it_plays(data):
    model = data.draw(strategies.uneven_mdps())
    policy = data.draw(strategies.policies(model))
    table, matrix, n = model.outcomes, model.policy_matrix(policy), model.n_states
    expected = np.zeros((n, n, 2))
    rewards = np.zeros(n)
    for source, p, successor, reward, end in zip(
        table.sources, table.probs, table.next_states, table.rewards, table.terminals, strict=True
    ):
        state, action = model.pairs[source]
        expected[state, successor, int(end)] += matrix[state, action] * p
        rewards[state] += matrix[state, action] * p * reward
    mixed = model.under(policy)
    found = np.zeros_like(expected)
    rows = mixed.outcomes.rows
    np.add.at(found, (rows.sources, rows.next_states, rows.terminals.astype(int)), rows.probs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15 * 8)
    np.testing.assert_allclose(mixed.expected_rewards, rewards, rtol=0, atol=1e-13)
    assert (matrix[~model.available] == 0.0).all()


# -- results


def test_action_returns_are_by_pair():
    rows, discount = MODELS["ruin"]
    mdp = MDP.from_outcomes(rows, discount)
    for method in (CategoricalFixedPoint(grid=Grid(0.0, 10.0, 41), solver="direct"), QuantileDP(20)):
        solution = evaluate(mdp, method, "uniform")
        laws, certificate = solution.action_returns, solution.action_certificate
        assert laws.batch_shape == certificate.w1.shape == (66,)
        expected = np.zeros(66)
        for state, action, p, successor, reward, _ in rows:
            pair = mdp.indptr[state] + action  # of state s: 0..s
            assert mdp.pairs[pair].tolist() == [state, action]
            expected[pair] += p * (reward + discount * solution.values[successor])
        gap = 1e-12 if isinstance(method, CategoricalFixedPoint) else certificate.w1
        assert (np.abs(laws.mean() - expected) <= gap).all()


def test_samples_are_drawn_and_counted_by_pair():
    mdp = MDP.from_outcomes(TWO_WAYS, 0.8)
    source = GenerativeModel(mdp)
    assert source.shape == (3,)
    empirical = source.sample(50, rng=0)
    assert isinstance(empirical, EmpiricalMDP) and empirical.drawn_from is source
    np.testing.assert_array_equal(empirical.sample_counts, [[50, 0, 0], [50, 0, 50]])
    np.testing.assert_array_equal(empirical.available, mdp.available)
    assert not empirical.unknown.any() and empirical.unknown.shape == (2, 3)
    more = source.sample([[1, 0, 0], [2, 0, 3]], rng=1, to=empirical)
    np.testing.assert_array_equal(more.sample_counts, [[51, 0, 0], [52, 0, 53]])
    np.testing.assert_array_equal(source.sample([5, 6, 7], rng=1).sample_counts, [[5, 0, 0], [6, 0, 7]])
    np.testing.assert_array_equal(more.redrawn(np.random.default_rng(0)).sample_counts, more.sample_counts)
    with pytest.raises(ValueError, match=r"n\[0, 1\] is 1, but action 1 is not available in state 0"):
        source.sample([[1, 1, 0], [2, 0, 3]])
    with pytest.raises(ValueError, match=r"n must be a whole number or have shape \(3,\), got shape \(6,\)"):
        source.sample(np.ones(6))


def test_estimates_are_of_available_pairs():
    rows = gambler(4)
    mdp = MDP.from_outcomes(rows, 0.9, initial=np.eye(5)[2])
    policy = random_policy(rows, 0)
    method = CategoricalFixedPoint(grid=Grid(0.0, 1.0, 11))
    est = estimate(mdp, method, policy, 400, rng=0)
    assert est.empirical.samples.totals.tolist() == [400] * len(mdp.pairs)
    for options in ({}, {"method": "bootstrap", "rng": 1, "resamples": 50}, {"method": "finite-sample"}):
        low, high = est.interval("mean", **options).T
        assert (low <= high).all()
        truth = dense(rows, policy, 0.9)
        assert (np.maximum(low - truth, truth - high) <= 0.1).all()
    adaptive = estimate(mdp, method, policy, rng=0, budget=600, allocate="adaptive", state=2)
    counts = adaptive.empirical.sample_counts
    assert counts.sum() == 600 and (counts[~mdp.available] == 0).all() and (counts[mdp.available] >= 2).all()
    learnt = estimate(mdp, CategoricalTD(grid=Grid(0.0, 1.0, 11)), policy, 400, rng=0)
    assert (np.abs(learnt.values - dense(rows, policy, 0.9)) <= 0.25).all()
    rolled = estimate(mdp, MonteCarlo(10), policy, 400, rng=0)
    assert rolled.values.shape == (5,)


def test_a_log_may_say_which_actions_there_are():
    log = [(0, 0, 1.0, 1, False), (0, 0, 0.0, 0, False), (1, 0, 2.0, 1, True), (1, 1, 3.0, 0, False)]
    with pytest.raises(ValueError, match="state 0, action 1 has no sample"):
        EmpiricalMDP(log, 0.9)
    available = [[True, False], [True, True]]
    model = EmpiricalMDP(log, 0.9, available=available)
    np.testing.assert_array_equal(model.expected_rewards, [[0.5, np.nan], [2.0, 3.0]])
    np.testing.assert_array_equal(model.sample_counts, [[2, 0], [1, 1]])
    prior = MDP.from_outcomes([(0, 0, 1.0, 0, 7.0, True), (1, 0, 1.0, 0, 8.0, True), (1, 1, 1.0, 0, 9.0, True)], 0.9)
    filled = EmpiricalMDP(log[:3], 0.9, actions=2, unvisited=prior)
    np.testing.assert_array_equal(filled.expected_rewards, [[0.5, np.nan], [2.0, 9.0]])
    marked = EmpiricalMDP(log[:3], 0.9, actions=2, unvisited="unknown", available=available)
    np.testing.assert_array_equal(marked.unknown, [[False, False], [False, True]])
    assert estimate(marked, CategoricalFixedPoint(11), [0, 0]).interval("mean").shape == (2, 2)
    with pytest.raises(ValueError, match=r"transitions\[3\] takes action 1 in state 1, where it is not available"):
        EmpiricalMDP(log, 0.9, available=[[True, True], [True, False]])


class Corridor:
    """Cells 0..3; every step costs 1; one may step back (action 1) only from cells 1 and 2; 3 is the end."""

    P = (
        {0: [(1.0, 1, -1.0, False)]},
        *({0: [(1.0, s + 1, -1.0, s == 2)], 1: [(1.0, s - 1, -1.0, False)]} for s in (1, 2)),
    )
    P = (*P, {0: [(1.0, 3, 0.0, True)], 1: []})

    def reset(self, seed=None):
        self.s = 0
        return 0, {}

    def step(self, action):
        _, self.s, reward, ended = self.P[self.s][action][0]
        return self.s, reward, ended, False, {}


def test_a_table_of_gymnasiums_kind_may_lack_actions():
    mdp = from_gymnasium(Corridor(), 0.9)
    assert mdp.available.tolist() == [[True, False], [True, True], [True, True], [True, False]]
    assert evaluate(mdp, distrl.Moments(1), [0, 0, 0, 0]).values[0] == pytest.approx(-2.71)
    with pytest.raises(ValueError, match=r"P\[0\] of .* is empty under every action"):
        from_gymnasium({0: {0: []}}, 0.9)


# -- names


NAMED = [
    ("low", "wait", 1.0, "low", 0.0, False),
    ("low", "climb", 0.5, "high", 1.0, False),
    ("low", "climb", 0.5, "out", -1.0, True),
    ("high", "climb", 1.0, "out", 5.0, True),
    ("out", "wait", 1.0, "out", 0.0, True),
]
POSITIONS = {"low": 0, "high": 1, "out": 2, "wait": 0, "climb": 1}


def test_text_in_the_columns_of_ids_is_names():
    mdp = MDP.from_outcomes(NAMED, 0.9)
    assert list(mdp.states) == ["low", "high", "out"] and list(mdp.actions) == ["wait", "climb"]
    assert mdp.states.index("out") == 2 and "nowhere" not in mdp.states
    numbered = MDP.from_outcomes([tuple(POSITIONS.get(each, each) for each in row) for row in NAMED], 0.9)
    assert list(numbered.states) == [0, 1, 2]
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(mdp.outcomes, field), getattr(numbered.outcomes, field))
    sorted_names = MDP.from_outcomes(NAMED, 0.9, states=["high", "low", "out"], actions=("climb", "wait"))
    assert sorted_names.pairs.tolist() == [[0, 0], [1, 0], [1, 1], [2, 1]]
    by_name = {"low": {"wait": 0.25, "climb": 0.75}, "high": "climb", "out": "wait"}
    values = [evaluate(each, distrl.Moments(1), by_name).values for each in (mdp, sorted_names)]
    np.testing.assert_allclose(values[0], values[1][[1, 0, 2]], rtol=0, atol=1e-14)


def test_names_come_back_in_tables_files_and_errors(tmp_path):
    mdp = MDP.from_outcomes(NAMED, 0.9)
    policy = {"low": "climb", "high": "climb", "out": "wait"}
    solution = evaluate(mdp, CategoricalFixedPoint(21), policy)
    first = [line.split()[0] for line in solution.summary().splitlines() if line]
    assert [word for word in first if word in mdp.states] == ["low", "high", "out"]
    solution.save(tmp_path / "s.csv")
    with open(tmp_path / "s.csv", newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["low", "high", "out"]
    with pytest.raises(ValueError, match=r"plays action 'wait' in state 'high' .*available there: 'climb'"):
        mdp.under({**policy, "high": "wait"})
    with pytest.raises(ValueError, match="the policy has no action for state 'out'"):
        mdp.under({"low": "climb", "high": "climb"})
    with pytest.raises(ValueError, match="plays 'jump' in state 'low', which is no action"):
        mdp.under({**policy, "low": "jump"})
    with pytest.raises(ValueError, match="an action for 'up', which is no state"):
        mdp.under({**policy, "up": "wait"})
    with pytest.raises(ValueError, match=r"policy\[1\] \(state 'high'\) sums to 0.5"):
        mdp.under([[1, 0], [0, 0.5], [1, 0]])
    with pytest.raises(ValueError, match="the probabilities of state 'high', action 'climb' sum to 2"):
        MDP.from_outcomes([*NAMED, NAMED[3]], 0.9)
    with pytest.raises(ValueError, match="state 'out' has no outcome; every state needs an available action"):
        MDP.from_outcomes(NAMED[:-1], 0.9)
    with pytest.raises(ValueError, match=r"rows: state\[3\] is 'high', which is none of states"):
        MDP.from_outcomes(NAMED, 0.9, states=["low", "out"])
    with pytest.raises(ValueError, match=r"states\[1\] is 'low', which is the name of states\[0\] too"):
        MDP.from_outcomes(NAMED, 0.9, states=["low", "low", "out"])
    with pytest.raises(ValueError, match=r"rows: next_state\[0\] is None, which names nothing"):
        MDP.from_outcomes([("a", 0, 1.0, None, 0.0, True)], 0.9)
    with pytest.raises(ValueError, match="from state 'a'"):
        distrl.MRP.from_outcomes([("a", 1.0, "a", 1.0, False)], 1.0).check_ends()


def test_arrays_take_names_too():
    mdp = MDP([np.eye(2)], [0, 1], 0.9, states=["a", "b"], actions=["stay"])
    assert list(mdp.under({"a": "stay", "b": "stay"}).states) == ["a", "b"]
    assert list(distrl.MRP(np.eye(2), [0, 1], 0.9, states=("x", "y")).states) == ["x", "y"]
    for names, sentence in (
        (["a"], "states holds 1 names, but there are 2 states"),
        ("ab", "states must be a sequence of names"),
        ([["a"], ["b"]], "names that can be looked up"),
    ):
        with pytest.raises((ValueError, TypeError), match=sentence):
            distrl.MRP(np.eye(2), [0, 1], 0.9, states=names)


def test_uneven_models_and_names_are_saved(tmp_path):
    mixed = [("a", 1), ("b", 2), 3, "d"]
    rows = [*((name, "go", 1.0, mixed[0], 1.0, True) for name in mixed), (3, "stop", 1.0, 3, 0.0, True)]
    for number, model in enumerate(
        (
            MDP.from_outcomes(ruin(), 0.9),
            MDP.from_outcomes(NAMED, 0.9),
            MDP.from_outcomes(rows, 0.9, states=mixed),
            distrl.MRP(np.eye(2), [0, 1], 0.9, states=["x", "y"]),
        )
    ):
        save(model, tmp_path / f"{number}.npz")
        back = load(tmp_path / f"{number}.npz")
        assert type(back) is type(model) and list(back.states) == list(model.states)
        if isinstance(model, MDP):
            same(back, model)
    solution = evaluate(MDP.from_outcomes(NAMED, 0.9), CategoricalFixedPoint(11), "uniform")
    est = estimate(MDP.from_outcomes(gambler(4), 0.9), CategoricalFixedPoint(grid=Grid(0, 1, 5)), "uniform", 20, rng=0)
    for number, result in enumerate((solution, est)):
        result.save(tmp_path / f"result{number}.npz")
        back = load(tmp_path / f"result{number}.npz")
        assert back.summary() == result.summary()
        same(back.mdp, result.mdp)
        np.testing.assert_array_equal(back.action_returns.probs, result.action_returns.probs)
    again = [each.interval("mean", method="bootstrap", resamples=9, rng=0) for each in (est, back)]
    np.testing.assert_array_equal(*again)
    with pytest.raises(ValueError, match=r"one of states, cannot be saved"):
        save(distrl.MRP([[1.0]], [0], 0.9, states=[frozenset()]), tmp_path / "n.npz")


def test_another_discount_keeps_everything_else():
    mdp = MDP.from_outcomes(NAMED, 0.9, initial=[1, 0, 0]).with_discount(0.5)
    assert mdp.discount == 0.5 and list(mdp.actions) == ["wait", "climb"] and not mdp.choices.even
    with pytest.raises(ValueError, match="discount must lie"):
        mdp.with_discount(2)
    with pytest.raises(ValueError, match="needs every return to end"):
        distrl.MRP(np.eye(1), [1], 0.5).with_discount(1).check_ends()
