"""from_gymnasium against the tables that Gymnasium publishes."""

import sys
import warnings
from collections import defaultdict

import numpy as np
import pytest

from distrl.models import MDP, from_gymnasium

gymnasium = pytest.importorskip("gymnasium")
TAXI = max((key for key in gymnasium.registry if key.startswith("Taxi-v")), key=lambda key: int(key[6:]))


def make(name, **kwargs):
    return gymnasium.make(name, **kwargs).unwrapped


def assert_same_as_table(mdp, table):
    """Every (state, action): repeated rows of `P` added up, nothing else changed."""
    outcomes = mdp.outcomes
    for state, actions in table.items():
        for action, rows in actions.items():
            expected = defaultdict(float)
            for probability, successor, reward, ends in rows:
                expected[int(successor), float(reward), bool(ends)] += probability
            source = state * len(actions) + action
            span = slice(outcomes.indptr[source], outcomes.indptr[source + 1])
            keys = zip(outcomes.next_states[span], outcomes.rewards[span], outcomes.terminals[span], strict=True)
            got = dict(zip(keys, outcomes.probs[span], strict=True))
            assert got == pytest.approx({key: p for key, p in expected.items() if p > 0}, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "kwargs", "layout"),
    [
        ("FrozenLake-v1", {"is_slippery": True}, (4, 4)),
        ("FrozenLake-v1", {"is_slippery": False}, (4, 4)),
        ("FrozenLake-v1", {"map_name": "8x8"}, (8, 8)),
        ("FrozenLake-v1", {"desc": ["SFF", "FHG"]}, (2, 3)),
        ("FrozenLake8x8-v1", {}, (8, 8)),
        ("CliffWalking-v1", {}, (4, 12)),
        (TAXI, {}, None),
    ],
)
def test_the_model_is_the_published_table(name, kwargs, layout):
    env = make(name, **kwargs)
    mdp = from_gymnasium(name, 0.9, **kwargs)
    assert mdp.layout == layout and mdp.discount == 0.9
    assert (mdp.n_states, mdp.n_actions) == (env.observation_space.n, env.action_space.n)  # no state is added
    assert_same_as_table(mdp, env.P)
    np.testing.assert_allclose(np.add.reduceat(mdp.outcomes.probs, mdp.outcomes.indptr[:-1]), 1.0, atol=1e-12)
    np.testing.assert_array_equal(mdp.initial, env.initial_state_distrib)


def test_the_terminal_flag_ends_the_return():
    """Deterministic lake, a path to the goal in 6 moves: discount^5, and nothing after the goal."""
    lake = from_gymnasium("FrozenLake-v1", discount=0.9, is_slippery=False)
    path = {0: 1, 4: 1, 8: 2, 9: 1, 13: 2, 14: 2}
    mrp = lake.under([path.get(s, 0) for s in range(16)])
    values = np.linalg.solve(np.eye(16) - 0.9 * mrp.continuation.toarray(), mrp.expected_rewards)
    np.testing.assert_allclose(values[list(path)], 0.9 ** np.arange(5, -1, -1))
    assert values[15] == 0 and mrp.terminal[15]


def test_a_terminal_states_own_rows_are_kept():
    cliff = from_gymnasium("CliffWalking-v1", 0.9)
    table = make("CliffWalking-v1").P
    assert not cliff.terminal.any()
    assert cliff.outcomes.next_states[47 * 4] == table[47][0][0][1] == 35


@pytest.mark.parametrize("wrap", [False, True])
def test_an_env_may_be_given_wrapped_or_not(wrap):
    env = gymnasium.make("FrozenLake-v1")
    mdp = from_gymnasium(env if wrap else env.unwrapped, discount=0.5)
    assert_same_as_table(mdp, env.unwrapped.P)


def test_changes_to_an_envs_table_are_seen():
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    env.unwrapped.P[0][0] = [(1.0, 0, -7.0, True)]
    assert from_gymnasium(env, 0.9).expected_rewards[0, 0] == -7.0


class Table:
    """What an environment needs for from_gymnasium, and no more."""

    def __init__(self, P, **attributes):
        self.P = P
        self.__dict__.update(attributes)


LOOP = (1.0, 0, 1.0, False)


def test_repeated_rows_add_up():
    mdp = from_gymnasium(Table({0: {0: [(0.5, 0, 1.0, False), (0.25, 0, 1.0, False), (0.25, 0, 1.0, True)]}}), 0.9)
    assert mdp.outcomes.probs.tolist() == [0.75, 0.25]


def test_lists_serve_as_tables_and_isd_as_initial_law():
    mdp = from_gymnasium(Table([[[(1, 1, 2, False)]], [[(1, 0, 3, True)]]], isd=np.array([0.5, 0.5])), 0.9)
    assert mdp.initial.tolist() == [0.5, 0.5] and mdp.expected_rewards.tolist() == [[2], [3]]


def test_a_shape_with_another_number_of_cells_is_no_layout():
    assert from_gymnasium(Table([[[LOOP]]], shape=(4, 4), nrow=2, ncol="x"), 0.9).layout is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_deprecated_id_leads_to_its_successor():
    if "Taxi-v3" in gymnasium.registry:
        pytest.skip("Taxi-v3 is current here")
    with pytest.warns(UserWarning, match=f"Taxi-v3 .*{TAXI}") as caught:
        mdp = from_gymnasium("Taxi-v3", 0.9)
    assert_same_as_table(mdp, make(TAXI).P)
    assert any(warning.filename == __file__ for warning in caught)


@pytest.mark.parametrize("message", ["Please use `Lake-v2` instead.", "This version is gone."])
def test_the_successor_is_named_or_the_latest_version(monkeypatch, message):
    def fake(name, **kwargs):
        if name == "Lake-v1":
            raise gymnasium.error.DeprecatedEnv(message)
        assert name == "Lake-v2" and kwargs == {"size": 3}
        return type("Env", (Table,), {"close": lambda self: None})([[[LOOP]]])

    monkeypatch.setattr(gymnasium, "make", fake)
    monkeypatch.setattr(gymnasium.envs.registration, "registry", {"Lake-v2": None, "Lake-v0": None, "Sea-v9": None})
    monkeypatch.setattr(gymnasium, "registry", {"Lake-v2": None, "Lake-v0": None, "Sea-v9": None})
    with pytest.warns(UserWarning, match="Lake-v1 is deprecated in gymnasium; using Lake-v2"):
        from_gymnasium("Lake-v1", 0.9, size=3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "kwargs", "sentence"),
    [
        ("CartPole-v1", {}, "'CartPole-v1' has no transition table `P`"),
        ("Blackjack-v1", {}, "'Blackjack-v1' has no transition table `P`"),
        ("Nope-v0", {}, "gymnasium cannot make 'Nope-v0'"),
        ("FrozenLake-v99", {}, "gymnasium cannot make 'FrozenLake-v99'"),
        ("", {}, "gymnasium cannot make ''"),
        ("no such module:Env-v0", {}, "gymnasium cannot make"),
        ("FrozenLake-v1", {"colour": "blue"}, "unexpected keyword argument 'colour'"),
        ("FrozenLake-v1", {"map_name": "9x9"}, "9x9"),
        (Table(None), {}, "Table has no transition table `P`"),
        (3, {}, "int has no transition table `P`"),
        (Table([[[LOOP]]]), {"is_slippery": True}, "is_slippery: keywords are for gymnasium.make"),
        (Table({}), {}, "the table P of Table is empty"),
        (Table({1: {0: [LOOP]}}), {}, "has no entry 0"),
        (Table({0: {0: []}}), {}, r"P\[0\] of Table is empty under every action"),
        (Table({0: {"left": [LOOP]}, 1: [[LOOP]]}), {}, "an entry of the table P of Table has names for its keys"),
        (Table({0: {0: [LOOP[:3]]}}), {}, "expected \\(probability, next state, reward, terminated\\)"),
        (Table("P"), {}, "expected a dict or a list"),
        (Table([[[(0.5, 0, 1.0, False)]]]), {}, "state 0, action 0 sum to 0.5"),
        (Table([[[(1.0, 7, 1.0, False)]]]), {}, "index 7"),
        (Table([[[LOOP]]], isd=[0.5, 0.5]), {}, "initial must have shape"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(name, kwargs, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        from_gymnasium(name, 0.9, **kwargs)
    assert "\n" not in str(caught.value)


def test_without_gymnasium_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        from_gymnasium("FrozenLake-v1", 0.9)
    assert isinstance(from_gymnasium(Table([[[LOOP]]]), 0.9), MDP)  # a table needs no gymnasium


def test_a_current_id_makes_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_gymnasium("FrozenLake-v1", discount=0.99, is_slippery=True)
