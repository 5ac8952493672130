"""MRP and MDP: the ways to build one agree, and every slip is named."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from distrl.models import MDP, MRP, FiniteLaw

pytestmark = pytest.mark.fast

COIN = [[0.5, 0.5], [0.5, 0.5]]
STAY = [[1.0, 0.0], [0.0, 1.0]]
FIELDS = ("indptr", "probs", "next_states", "rewards", "terminals", "laws")


def same(a, b):
    """Bit-equal outcome tables."""
    assert a.n_states == b.n_states
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(a.outcomes, field), getattr(b.outcomes, field))


def laws_of(model):
    """Per source, {(next state, reward, terminal): probability}."""
    table = model.outcomes
    found = []
    for source in range(table.n_sources):
        rows = range(table.indptr[source], table.indptr[source + 1])
        keys = [(int(table.next_states[i]), float(table.rewards[i]), bool(table.terminals[i])) for i in rows]
        assert len(set(keys)) == len(keys), "equal outcomes must be merged"
        found.append(dict(zip(keys, table.probs[table.indptr[source] : table.indptr[source + 1]], strict=True)))
    return found


def assert_laws(model, expected):
    for got, want in zip(laws_of(model), expected, strict=True):
        assert got.keys() == {key for key, p in want.items() if p > 0}
        for key, p in got.items():
            assert p == pytest.approx(want[key], abs=1e-14)


@st.composite
def rows(draw, shape):
    """Stochastic rows with zeros: integer weights over their sum."""
    n = shape[-1]
    flat = [
        draw(st.lists(st.integers(0, 4), min_size=n, max_size=n).filter(any)) for _ in range(int(np.prod(shape[:-1])))
    ]
    weights = np.array(flat, dtype=float).reshape(shape)
    return weights / weights.sum(axis=-1, keepdims=True)


@st.composite
def arrays(draw, actions=None):
    """(P, R, terminal) of an MRP, or of an MDP with that many actions."""
    n = draw(st.integers(1, 4))
    shape = (n, n) if actions is None else (actions, n, n)
    size = int(np.prod(shape))
    r = np.array(draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))).reshape(shape) / 2
    terminal = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    r[..., terminal, :] = 0.0
    return draw(rows(shape)), r, terminal


def expected_rows(p, r, terminal):
    """The contract, by hand: (state, probability, next, reward, terminal)."""
    listed = []
    for s in range(len(p)):
        if terminal[s]:
            listed.append((s, 1.0, s, 0.0, True))
            continue
        listed += [(s, p[s, y], y, r[s, y], bool(terminal[y])) for y in range(len(p))]
    return listed


@given(arrays())
def test_mrp_dense_sparse_and_outcomes_are_one_model(model):
    p, r, terminal = model
    dense = MRP(p, r, 0.9, terminal)
    for form in (sparse.csr_array, sparse.coo_array, sparse.csc_matrix):
        same(dense, MRP(form(p), form(r), 0.9, terminal))
    same(dense, MRP(p, sparse.csr_array(r), 0.9, terminal))
    same(dense, MRP.from_outcomes(expected_rows(p, r, terminal), 0.9, states=len(p)))


@given(st.data(), st.integers(1, 3))
def test_mdp_dense_sparse_and_outcomes_are_one_model(data, actions):
    p, r, terminal = data.draw(arrays(actions))
    dense = MDP(p, r, 0.9, terminal, axes="ass")
    assert dense.n_actions == actions and dense.n_states == p.shape[1]
    same(dense, MDP([sparse.csr_array(m) for m in p], [sparse.csr_array(m) for m in r], 0.9, terminal))
    by_action = [(s, a, *rest) for a in range(actions) for s, *rest in expected_rows(p[a], r[a], terminal)]
    same(dense, MDP.from_outcomes(by_action, 0.9, states=p.shape[1], actions=actions))


@given(arrays())
def test_mrp_round_trips_through_arrays(model):
    first = MRP(*model[:2], 0.9, model[2])
    for back in (first.to_sparse(), first.to_dense()):
        same(first, MRP(back.P, back.R, 0.9, back.terminal))


def test_a_state_that_only_moves_to_the_end_keeps_its_row():
    first = MRP([[0, 1], [0, 1]], [0.0, 0.0], 0.9, [False, True])
    assert first.terminal.all()  # its return is 0 as well
    back = first.to_sparse()
    assert back.terminal.tolist() == [False, True]
    same(first, MRP(back.P, back.R, 0.9, back.terminal))


@given(arrays(2))
def test_mdp_round_trips_through_arrays(model):
    first = MDP(*model[:2], 0.9, model[2], axes="ass")
    for back in (first.to_sparse(), first.to_dense()):
        same(first, MDP(back.P, back.R, 0.9, back.terminal, axes="ass"))


@given(st.data())
def test_under_mixes_the_actions_outcomes(data):
    p, r, terminal = data.draw(arrays(2))
    policy = data.draw(rows((p.shape[1], 2)))
    expected = [defaultdict(float) for _ in range(p.shape[1])]
    for a in range(2):
        for s, probability, successor, reward, ends in expected_rows(p[a], r[a], terminal):
            expected[s][successor, reward, ends] += policy[s, a] * probability
    assert_laws(MDP(p, r, 0.9, terminal, axes="ass").under(policy), expected)


@given(st.data())
def test_a_deterministic_policy_is_a_selection(data):
    p, r, terminal = data.draw(arrays(3))
    n = p.shape[1]
    policy = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    chosen = MRP(p[policy, range(n)], r[policy, range(n)], 0.9, terminal)
    same(MDP(p, r, 0.9, terminal, axes="ass").under(policy), chosen)


def test_uniform_is_the_even_mixture():
    mdp = MDP([COIN, STAY], [1.0, 2.0], 0.9)
    same(mdp.under("uniform"), mdp.under(np.full((2, 2), 0.5)))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_repeated_rows_add_up(weights):
    parts = np.array(weights) / sum(weights)
    model = MRP.from_outcomes([(0, q, 0, 1.0, False) for q in parts], 0.5)
    assert laws_of(model)[0] == {(0, 1.0, False): pytest.approx(1.0)}


def test_rows_that_differ_in_reward_or_flag_stay_apart():
    rows = [(0, 0.25, 0, 1.0, False), (0, 0.25, 0, 2.0, False), (0, 0.5, 0, 1.0, True)]
    assert laws_of(MRP.from_outcomes(rows, 1.0))[0] == {(0, r, end): q for _, q, _, r, end in rows}


def test_moving_into_a_terminal_state_ends_the_return_after_the_reward():
    model = MRP([[0.0, 1.0], [0.3, 0.7]], [3.0, 0.0], 0.9, terminal=[False, True])
    assert laws_of(model) == [{(1, 3.0, True): 1.0}, {(1, 0.0, True): 1.0}]
    assert model.terminal.tolist() == [False, True]
    assert model.continuation.nnz == 0
    assert model.expected_rewards.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("row", [[0.0, 0.0], [0.3, 0.7]])
def test_a_terminal_states_row_is_not_used(row):
    same(MRP([[0.5, 0.5], row], [1.0, 0.0], 0.9, [0, 1]), MRP([[0.5, 0.5], [0, 1]], [1.0, 0.0], 0.9, [0, 1]))


def test_rewards_by_state_and_by_transition_agree():
    same(MRP(COIN, [1.0, 2.0], 0.9), MRP(COIN, [[1.0, 1.0], [2.0, 2.0]], 0.9))
    by_pair = MDP([COIN, STAY], [[1.0, 2.0], [3.0, 4.0]], 0.9)
    same(by_pair, MDP([COIN, STAY], [[[1, 1], [3, 3]], [[2, 2], [4, 4]]], 0.9))
    same(MDP([COIN, STAY], [1.0, 3.0], 0.9), MDP([COIN, STAY], [[1.0, 1.0], [3.0, 3.0]], 0.9))


def test_an_mdp_of_one_action_is_its_mrp():
    same(MDP([COIN], [1.0, 2.0], 0.9).under([0, 0]), MRP(COIN, [1.0, 2.0], 0.9))


def test_laws_keep_their_place_and_equal_ones_are_stored_once():
    coin = FiniteLaw([0, 1])
    model = MRP(COIN, [coin, FiniteLaw([1, 0])], 0.9)
    assert model.outcomes.reward_laws == (coin,)
    mixed = MDP([COIN, STAY], [[coin, 2.0], stats.norm(1, 2)], 0.9)
    assert mixed.expected_rewards.tolist() == [[0.5, 2.0], [1.0, 1.0]]
    assert len(mixed.outcomes.reward_laws) == 2


def test_a_law_of_one_value_is_a_number():
    same(MRP(COIN, [FiniteLaw([2.0]), 3.0], 0.9), MRP(COIN, [2.0, 3.0], 0.9))


def test_a_table_of_rows_may_be_a_data_frame():
    pandas = pytest.importorskip("pandas")
    rows = [(0, 0, 0.5, 0, 1.0, False), (0, 0, 0.5, 1, 2.0, True), (1, 0, 1.0, 1, 0.0, True)]
    frame = pandas.DataFrame(rows, columns=["state", "action", "probability", "next_state", "reward", "terminal"])
    same(MDP.from_outcomes(frame, 0.9), MDP.from_outcomes(rows, 0.9))
    same(MDP.from_outcomes(np.array(rows, dtype=float), 0.9), MDP.from_outcomes(rows, 0.9))


def test_initial_and_layout_pass_through_a_policy():
    mdp = MDP([COIN], [1.0, 2.0], 0.9, initial=[0.25, 0.75], layout=(1, 2))
    mrp = mdp.under("uniform")
    assert mrp.layout == (1, 2) and mrp.initial.tolist() == [0.25, 0.75]


def test_discount_one_is_accepted_when_every_state_ends():
    MRP([[0.5, 0.5], [0.0, 0.0]], [1.0, 0.0], 1.0, terminal=[False, True])
    MDP([[[1.0, 0.0], [0.0, 1.0]]], [1.0, 0.0], 1.0)  # termination is a matter of the policy


def test_discount_one_names_a_looping_state_of_the_policy():
    ends, loops = [[0, 0, 1], [0, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 1, 0], [0, 0, 1]]
    mdp = MDP([ends, loops], [1.0, 1.0, 0.0], 1.0, terminal=[0, 0, 1])
    mdp.under([1, 0, 0])
    mdp.under("uniform")
    with pytest.raises(ValueError, match="state 1"):
        mdp.under([0, 1, 0])


def test_to_sparse_refuses_what_arrays_cannot_say():
    with pytest.raises(ValueError, match="state 1 has a random reward"):
        MRP(COIN, [1.0, FiniteLaw([0, 1])], 0.9).to_sparse()
    with pytest.raises(ValueError, match="state 0 reaches state 0 with different rewards"):
        MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 2.0, False)], 0.9).to_sparse()
    with pytest.raises(ValueError, match="goes on itself"):
        MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)], 0.9).to_dense()


def mrp(P=COIN, rewards=(1.0, 2.0), discount=0.9, **others):
    return lambda: MRP(P, rewards, discount, **others)


def mdp(P=(COIN, STAY), rewards=(1.0, 2.0), discount=0.9, **others):
    return lambda: MDP(P, rewards, discount, **others)


def under(policy):
    return lambda: MDP([COIN, STAY], [1.0, 2.0], 0.9).under(policy)


def outcomes(*rows, **others):
    return lambda: MDP.from_outcomes(list(rows), 0.9, **others)


ROW = (0, 0, 1.0, 0, 1.0, False)
BAD = {
    "rows that do not sum to 1": (mrp([[0.5, 0.5], [0.5, 0.4]]), "state 1 sum to 0.9, not 1"),
    "an action's rows": (mdp(([[1, 0], [0.5, 0.4]], STAY)), "state 1, action 0 sum to 0.9"),
    "sparse rows": (mrp(sparse.csr_array([[0.5, 0.5], [0.5, 0.4]])), "state 1 sum to 0.9"),
    "a row of zeros": (mrp([[0.5, 0.5], [0.0, 0.0]]), "state 1 has no outcome"),
    "a negative probability": (mrp([[1.5, -0.5], [0.5, 0.5]]), "state 0 goes to state 1 with probability -0.5"),
    "a NaN probability": (mrp([[np.nan, 0.5], [0.5, 0.5]]), r"P\[0, 0\] is nan"),
    "a sparse NaN": (mrp(sparse.csr_array([[np.nan, 0.5], [0.5, 0.5]])), "is nan"),
    "an infinite reward": (mrp(rewards=[1.0, np.inf]), r"rewards\[1\] is inf"),
    "a NaN reward": (mdp(rewards=[[1.0, np.nan], [0, 0]]), r"rewards\[0, 1\] is nan"),
    "a sparse NaN reward": (mrp(rewards=sparse.csr_array([[np.nan, 0.5], [0.5, 0.5]])), "is nan"),
    "a discount above 1": (mrp(discount=1.1), r"discount must lie in \[0, 1\], got 1.1"),
    "a negative discount": (mdp(discount=-0.1), r"discount must lie in \[0, 1\], got -0.1"),
    "a NaN discount": (mrp(discount=np.nan), "discount must be finite"),
    "P not square": (mrp([[1.0, 0.0]]), r"square .* got shape \(1, 2\)"),
    "P of one dimension": (mrp([1.0]), "P must have 2 dimension"),
    "P of an MDP flat": (mdp(COIN), "P must have 3 dimension"),
    "P a single sparse matrix": (mdp(sparse.csr_array(COIN)), "list of A sparse matrices"),
    "matrices of two sizes": (mdp([sparse.csr_array(COIN), sparse.csr_array([[1.0]])]), "differ in size"),
    "rewards of a wrong shape": (mrp(rewards=[1.0, 2.0, 3.0]), r"shape \(2,\) or \(2, 2\), got \(3,\)"),
    "rewards of an MDP": (mdp(rewards=np.ones((3, 2))), r"\(2,\), \(2, 2\) or \(2, 2, 2\), got \(3, 2\)"),
    "too few laws": (mrp(rewards=[FiniteLaw([0, 1])]), "each of the 2 states, got 1 entries"),
    "a terminal mask of a wrong shape": (mrp(terminal=[True]), r"mask of shape \(2,\), got shape \(1,\)"),
    "a terminal mask of indices": (mrp(terminal=[2, 3]), "booleans"),
    "a terminal mask of text": (mrp(terminal=["0", "1"]), "booleans"),
    "a broken terminal row": (
        mrp([[0.5, 0.5], [0.5, 0.4]], [1.0, 0.0], terminal=[0, 1]),
        "state 1 is terminal but its row sums",
    ),
    "an initial law of a wrong shape": (mrp(initial=[1.0]), r"initial must have shape \(2,\)"),
    "an initial law that does not sum to 1": (mrp(initial=[0.5, 0.4]), "initial sums to 0.9"),
    "a layout that does not fit": (mrp(layout=(2, 2)), "rows \\* columns = 2"),
    "a policy that is not a distribution": (under([[0.5, 0.5], [0.5, 0.4]]), r"policy\[1\] sums to 0.9"),
    "a negative policy": (under([[1.5, -0.5], [0.5, 0.5]]), r"policy\[0, 1\] is -0.5"),
    "a policy of a wrong shape": (under([0, 1, 0]), r"policy must have shape \(2,\) or \(2, 2\)"),
    "an action out of range": (under([0, 2]), r"policy\[1\] is 2, not an action in 0..1"),
    "a fractional action": (under([0, 0.5]), r"policy\[1\] is 0.5"),
    "an unknown policy": (under("greedy"), "'greedy' is not known"),
    "no rows": (outcomes(), "rows is empty"),
    "a short row": (outcomes(ROW[:5]), r"rows\[0\] has 5 entries"),
    "a next state out of range": (outcomes((0, 0, 1.0, 5, 1.0, False), states=2), "rows name index 5, but states=2"),
    "a state without rows": (outcomes((0, 0, 1.0, 1, 1.0, False)), "state 1 has no outcome"),
    "a state out of all proportion": (outcomes((0, 0, 1.0, 10**15, 1.0, False)), "state 1 has no outcome"),
    "an action out of all proportion": (outcomes(ROW, actions=2**63), "action 1 has no outcome"),
    "a negative index": (outcomes((-1, 0, 1.0, 0, 1.0, False)), r"state\[0\] is -1"),
    "a fractional index": (outcomes((0, 0, 1.0, 0.5, 1.0, False)), "0.5, not a whole number"),
    "rows that sum to 2": (outcomes(ROW, ROW), "state 0, action 0 sum to 2"),
    "a NaN reward in a row": (outcomes((0, 0, 1.0, 0, np.nan, False)), "reward.* must be finite"),
    "a fractional number of states": (outcomes(ROW, states=1.5), "states must be a whole number"),
    "a law of infinite mean": (mrp(rewards=[stats.cauchy(), 1.0]), "no finite mean"),
    "a law of infinite mean in an MDP": (mdp(rewards=[[stats.pareto(1), 1.0], [0, 0]]), "no finite mean"),
    "a law that is not frozen": (mrp(rewards=[stats.norm, 1.0]), "not frozen"),
    "a law with invalid parameters": (mrp(rewards=[stats.norm(0, -1), 1.0]), "rewards"),
    "a complex reward": (mrp(rewards=[FiniteLaw([0, 1]), np.complex128(1j)]), "real number"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_slip_is_named_in_one_sentence(case):
    build, sentence = BAD[case]
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        build()
    assert "\n" not in str(caught.value)
