"""For tests of what comes in from other libraries and goes back out: models of every shape, and optimal values."""

import numpy as np
from hypothesis import strategies as st

from distrl import MDP

COLUMNS = ("indptr", "probs", "next_states", "rewards", "terminals", "laws")


def assert_same_model(a, b, *, names=True):
    """Same outcomes, bit for bit, same available actions, and the same things said of states."""
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(a.outcomes, column), getattr(b.outcomes, column), err_msg=column)
    assert a.outcomes.reward_laws == b.outcomes.reward_laws
    np.testing.assert_array_equal(a.available, b.available)
    assert a.discount == b.discount
    assert not names or a.labels == b.labels
    if names:
        assert (list(a.states), list(a.actions)) == (list(b.states), list(b.actions))


@st.composite
def any_mdps(draw, rewards=None, terminals=True, named=False):
    """MDPs whose states have some of the actions; probabilities are quarters, so that sums of them are exact."""
    n, n_actions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rewards = st.integers(-3, 3).map(float) if rewards is None else rewards
    rows, offered = [], set()
    for state in range(n):
        some = draw(st.lists(st.integers(0, n_actions - 1), min_size=1, max_size=n_actions, unique=True))
        offered |= set(some)
        for action in some:
            shares = draw(st.sampled_from([(1.0,), (0.5, 0.5), (0.75, 0.25), (0.25, 0.5, 0.25)]))
            for share in shares:
                ends = terminals and draw(st.booleans())
                rows.append((state, action, share, draw(st.integers(0, n - 1)), draw(rewards), ends))
    kept = sorted(offered)  # an action that no state has would not come back
    rows = [(s, kept.index(a), *rest) for s, a, *rest in rows]
    discount = draw(st.sampled_from([0.0, 0.5, 0.95]))
    mdp = MDP.from_outcomes(rows, discount, states=n, actions=len(kept))
    if not named:
        return mdp
    initial = draw(st.sampled_from([None, np.full(n, 1.0 / n), np.eye(n)[0]]))
    labels = draw(st.sampled_from([None, {"goal": np.arange(n) == n - 1, "all": np.ones(n, dtype=bool)}]))
    names = {"labels": labels, "states": [f"s{k}" for k in range(n)], "actions": [("go", k) for k in range(len(kept))]}
    layout = draw(st.sampled_from([None, (1, n), (n, 1)]))
    return MDP.from_table(mdp.outcomes, discount, initial, layout, available=mdp.choices, **names)


def optimal_values(mdp, sweeps=200_000):
    """(S,) optimal mean returns and an optimal policy, by value iteration on dense arrays until nothing moves."""
    n, table = mdp.n_states, mdp.outcomes
    p, r = np.zeros((len(mdp.pairs), n)), np.zeros(len(mdp.pairs))
    for source in range(len(mdp.pairs)):
        for row in range(table.indptr[source], table.indptr[source + 1]):
            r[source] += table.probs[row] * table.rewards[row]
            if not table.terminals[row]:
                p[source, table.next_states[row]] += table.probs[row]
    values = np.zeros(n)
    for _ in range(sweeps):
        of_pairs = r + mdp.discount * (p @ values)
        new = np.maximum.reduceat(of_pairs, mdp.indptr[:-1])
        if np.abs(new - values).max() < 1e-13 * (1.0 + np.abs(new).max()):
            break
        values = new
    policy = [
        int(mdp.pairs[start + np.argmax(of_pairs[start:stop]), 1])
        for start, stop in zip(mdp.indptr[:-1], mdp.indptr[1:], strict=True)
    ]
    return new, np.array(policy)
