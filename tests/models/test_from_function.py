"""Models that a function of the state and the action describes."""

import numpy as np
import pytest
from hypothesis import given

from distrl import MDP, FiniteLaw, from_function
from tests.outside_models import any_mdps, assert_same_model

pytestmark = pytest.mark.fast


def walk(state, action):
    return [(0.5, state + action, -1.0), (0.5, state, -1.0)]


def test_states_are_found_where_the_model_leads_breadth_first():
    mdp = from_function(None, lambda state: [-1, 1] if 0 < state < 5 else [], walk, 0.9, initial=[2])
    assert list(mdp.states) == [2, 1, 3, 0, 4, 5] and list(mdp.actions) == [-1, 1]
    assert mdp.terminal.tolist() == [name in (0, 5) for name in mdp.states]
    assert mdp.initial.tolist() == [1, 0, 0, 0, 0, 0]
    by_hand = [(mdp.states.index(s), k, 0.5, mdp.states.index(t), -1.0, t in (0, 5))
               for s in range(1, 5) for k, a in enumerate((-1, 1)) for t in (s, s + a)]  # fmt: skip
    ends = [(mdp.states.index(s), k, 1.0, mdp.states.index(s), 0.0, True) for s in (0, 5) for k in (0, 1)]
    assert_same_model(mdp, MDP.from_outcomes(by_hand + ends, 0.9), names=False)


@given(any_mdps(named=True))
def test_a_model_asked_for_its_own_outcomes_is_itself(mdp):
    def own(state, action):
        source = mdp.pairs.tolist().index([mdp.states.index(state), mdp.actions.index(action)])
        t = mdp.outcomes
        return [
            (t.probs[k], mdp.states[t.next_states[k]], t.rewards[k], t.terminals[k])
            for k in range(t.indptr[source], t.indptr[source + 1])
        ]

    def offered(state):
        return [mdp.actions[a] for a in np.flatnonzero(mdp.available[mdp.states.index(state)])]

    found = from_function(mdp.states, offered, own, mdp.discount, absorbing="keep")
    for state, row in zip(found.states, found.available, strict=True):
        assert {found.actions[a] for a in np.flatnonzero(row)} == set(offered(state))
    shown = from_function(list(mdp.states), list(mdp.actions), lambda s, a: own(s, a) if a in offered(s) else [],
                          mdp.discount, absorbing="keep")  # fmt: skip
    assert_same_model(mdp, shown, names=False)
    assert (list(mdp.states), list(mdp.actions)) == (list(shown.states), list(shown.actions))


def test_a_pair_of_a_dict_and_a_reward_says_the_same_as_tuples():
    law = FiniteLaw([1.0, 3.0])
    paired = from_function(["a", "b"], ["go"], lambda s, a: ({"a": 0.25, "b": 0.75}, law if s == "a" else 2), 0.9)
    listed = from_function(
        ["a", "b"], ["go"], lambda s, a: ((p, t, law if s == "a" else 2) for t, p in (("a", 0.25), ("b", 0.75))), 0.9
    )
    assert_same_model(paired, listed)
    assert paired.outcomes.reward_laws == (law,)


def test_numbers_of_states_and_actions_are_positions():
    mdp = from_function(3, 2, lambda s, a: [(1.0, (s + a) % 3, s)], 0.9)
    assert mdp.states == range(3) and mdp.actions == range(2)
    assert from_function([0, 1, 2], [0, 1], lambda s, a: [(1.0, (s + a) % 3, s)], 0.9).states == range(3)


def test_names_may_be_anything_that_has_a_hash():
    cells = [(x, y) for x in range(2) for y in range(2)]
    mdp = from_function(cells, ["x", "y"], lambda s, a: [(1.0, s[::-1] if a == "x" else s, 0)], 0.5)
    assert list(mdp.states) == cells and list(mdp.actions) == ["x", "y"]


def test_a_state_whose_actions_lead_nowhere_ends():
    mdp = from_function(["start", "end"], ["a", "b"], lambda s, a: [(1, "end", 3)] if s == "start" else [], 1.0)
    assert mdp.terminal.tolist() == [False, True] and mdp.available.all()
    assert mdp.outcomes.terminals.all()


def test_a_terminal_flag_ends_the_return_wherever_it_leads():
    mdp = from_function(["s"], ["a"], lambda s, a: [(0.5, "s", 1, False), (0.5, "s", 1, True)], 1.0)
    assert mdp.outcomes.terminals.tolist() == [False, True]


@pytest.mark.parametrize("initial", [{"a": 0.25, "b": 0.75}, ["a", "b"], ["b"]])
def test_the_first_law_is_by_name(initial):
    mdp = from_function(["a", "b"], 1, lambda s, a: [(1.0, "a", 0)], 0.9, initial=initial)
    expected = {2: [0.25, 0.75] if isinstance(initial, dict) else [0.5, 0.5], 1: [0, 1]}[len(initial)]
    assert mdp.initial.tolist() == expected


def test_what_the_function_raises_comes_through():
    def broken(state, action):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        from_function(2, 1, broken, 0.9)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((["a"], 1, lambda s, a: [(1.0, "b", 0)]), "state 'a', action 0 leads to 'b', which is none of the states"),
        ((["a"], 1, lambda s, a: [(1.0, [1], 0)]), r"state 'a', action 0 leads to \[1\], which cannot be a state"),
        ((["a"], 1, lambda s, a: [(0.5, "a", 0)]), "state 'a', action 0 sum to 0.5"),
        ((["a"], 1, lambda s, a: [(-0.5, "a", 0), (1.5, "a", 1)]), "probabilities cannot be negative"),
        ((["a"], 1, lambda s, a: [("half", "a", 0)]), r"model\('a', 0\): the probability of 'a'"),
        ((["a"], 1, lambda s, a: [(1.0, "a")]), r"model\('a', 0\) holds \(1.0, 'a'\); expected"),
        ((["a"], 1, lambda s, a: [(1.0, "a", "much")]), "rewards"),
        ((["a"], 1, lambda s, a: [(1.0, "a", 0, "yes")]), "terminal flags"),
        ((["a"], 1, lambda s, a: {"a": 1.0}), r"model\('a', 0\) gives"),
        ((["a"], 1, lambda s, a: None), r"model\('a', 0\) gives None; expected"),
        ((["a"], 1, lambda s, a: []), "no outcome in any state"),
        (([], 1, walk), "states is empty"),
        ((["a", "a"], 1, walk), r"states\[1\] is 'a'"),
        (("ab", 1, walk), "states must be a sequence of names"),
        ((3.5, 1, walk), "states must be a sequence of names"),
        ((0, 1, walk), "at least 1"),
        ((True, 1, walk), "states must be"),
        ((2, [], walk), "actions is empty"),
        ((2, lambda s: 3, walk), r"actions\(0\) gives 3"),
        ((2, lambda s: [[]], walk), r"actions\(0\) gives \[\], which cannot be an action"),
        ((2, lambda s: ["a", "a"], lambda s, a: [(1, 0, 0)]), r"actions\(0\) gives one action twice"),
        ((2, 1, "model"), "model must be a function"),
        ((None, 1, walk), "initial has to say where to start"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_said_with_its_place(arguments, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        from_function(*arguments, 0.9)


@pytest.mark.parametrize(
    ("initial", "sentence"),
    [
        (["c"], "initial names 'c'"),
        ("a", r"give \['a'\] for one state"),
        (("a", "b"), "for one state"),
        ([], "initial is empty"),
        ({"a": 0.5}, "initial sums to 0.5"),
        ({"a": "all"}, r"initial\['a'\]"),
    ],
)
def test_a_first_law_that_is_none_is_refused(initial, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        from_function(["a", "b"], 1, lambda s, a: [(1.0, "a", 0)], 0.9, initial=initial)


def test_a_model_that_leads_on_for_ever_is_stopped():
    with pytest.raises(ValueError, match="leads to 100, one more than 100 states; the model may lead on for ever"):
        from_function(None, 1, lambda s, a: [(1.0, s + 1, 0)], 0.9, initial=[0], max_states=100)
