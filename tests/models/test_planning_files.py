"""The text files of planning courses, against their published solutions."""

from pathlib import Path

import numpy as np
import pytest

from distrl import MDP, read_text
from tests.outside_models import assert_same_model, optimal_values
from tests.text_file_laws import TextFileLaws, assert_line_is_named, writer

pytestmark = pytest.mark.fast

COURSE = Path(__file__).parent / "data" / "planning"
TEXT = """numStates 4
numActions 2
start 1
end 2 3
transition 0 0 1 5.0 0.5

transition 0 0 0 -1 0.25   # a loop
transition 0 0 0 -1 0.25
transition 0 1 2 3 1.0
transition 1 0 2 1 0.75
transition 1 0 3 -1e1 0.25
transition 1 1 3 7 0
transition 2 0 2 0 1
mdptype episodic
discount  0.9
"""
ROWS = [
    (0, 0, 0.5, 1, 5.0, False),
    (0, 0, 0.5, 0, -1.0, False),
    (0, 1, 1.0, 2, 3.0, True),
    (1, 0, 0.75, 2, 1.0, True),
    (1, 0, 0.25, 3, -10.0, True),
    *((state, action, 1.0, state, 0.0, True) for state in (2, 3) for action in (0, 1)),
]


put = writer("plan.txt")


class TestItReadsAsEveryReaderDoes(TextFileLaws):
    read, name, text, discount = staticmethod(read_text), "plan.txt", TEXT, "discount  0.9\n"


@pytest.mark.parametrize("name", ["episodic-mdp-2-2", "episodic-mdp-10-5", "continuing-mdp-2-2", "continuing-mdp-10-5"])
def test_the_courses_files_have_its_solutions(name):
    mdp = read_text(COURSE / f"{name}.txt")
    solution = np.loadtxt(COURSE / f"sol-{name}.txt")  # six decimals of the value, and the action
    values, policy = optimal_values(mdp)
    np.testing.assert_allclose(values, solution[:, 0], atol=5.1e-7)
    live = ~mdp.terminal
    np.testing.assert_array_equal(policy[live], solution[live, 1])


def test_what_is_read_is_what_the_lines_say(put):
    mdp = read_text(put(TEXT))
    assert_same_model(mdp, MDP.from_outcomes(ROWS, 0.9))
    assert mdp.initial.tolist() == [0, 1, 0, 0] and mdp.terminal.tolist() == [False, False, True, True]
    assert mdp.available.tolist() == [[True, True], [True, False], [True, True], [True, True]]


def test_lines_may_come_in_any_order(put):
    assert_same_model(read_text(put("\n".join(reversed(TEXT.splitlines())))), MDP.from_outcomes(ROWS, 0.9))


def test_long_files_are_read_in_parts_that_nobody_sees(put):
    states = 20_050
    lines = [
        f"transition {s} 0 {min(s + 1, states - 1)} -0.5 {'1' if s % 7 else '1.0 # sure'}" for s in range(states - 1)
    ]
    head = [f"numStates {states}", "numActions 1", f"end {states - 1}", "discount 1"]
    mdp = read_text(put("\n".join([*head, *lines])))
    assert mdp.outcomes.next_states.tolist() == [*range(1, states), states - 1]
    assert mdp.outcomes.rewards[:-1].tolist() == [-0.5] * (states - 1)
    lines[15_000] = "transition 15000 0 one 0 1"
    with pytest.raises(ValueError, match=r"line 15005: expected 'transition"):
        read_text(put("\n".join([*head, *lines])))


def test_minus_one_says_that_there_is_none(put):
    text = "numStates 1\nnumActions 1\nstart -1\nend -1\ntransition 0 0 0 1 1\nmdptype continuing\ndiscount 0.5\n"
    mdp = read_text(put(text))
    assert mdp.initial is None and not mdp.outcomes.terminals.any()


def test_rows_are_divided_by_their_sum_on_request(put):
    path = put(TEXT.replace("5.0 0.5", "5.0 0.4"))
    with pytest.raises(ValueError, match=r"line 8: the probabilities of state 0, action 0 sum to 0.9"):
        read_text(path)
    with pytest.warns(UserWarning, match="normalise"):
        assert read_text(path, normalise=True).outcomes.probs[1] == pytest.approx(4 / 9)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("numStates 4", "numStates four", "line 1: expected 'numStates n'"),
        ("numStates 4", "numStates 3", "line 4: expected states < 3, as numStates says, found 'end 2 3'"),
        ("numStates 4", "", "has no line 'numStates'"),
        ("numStates 4", "numStates 99999999999999", "line 1: "),
        ("numActions 2", "numActions 1", "line 9: expected action < 1, as numActions says"),
        ("start 1", "start 7", "line 3: expected states < 4"),
        ("start 1", "start 1 2", "line 3: expected 'start s'"),
        ("start 1", "start 1\nstart 1", "line 4: expected start once; line 3 has it already"),
        ("end 2 3", "end two", "line 4: expected 'end' and numbers of states"),
        ("5.0 0.5", "5.0", "line 5: expected 'transition state action next-state reward probability'"),
        ("5.0 0.5", "5.0 1.5", "line 5: expected 'transition state action next-state reward probability', with a prob"),
        ("5.0 0.5", "5.0 -0.5", "line 5: "),
        ("5.0 0.5", "nan 0.5", "line 5: "),
        ("transition 0 0 1", "transition 0 0 9", "line 5: expected next state < 4"),
        ("transition 0 0 1", "move 0 0 1", "line 5: expected a line that begins with numStates"),
        ("2 0 2 0 1", "2 0 0 0 1", "line 13: expected no transition from state 2, which ends an episode (line 4)"),
        ("2 0 2 0 1", "2 0 2 5 1", "line 13: expected no transition from state 2"),
        ("episodic", "continuing", "line 4: expected 'end -1', since mdptype is continuing"),
        ("episodic", "sporadic", "line 14: expected 'mdptype episodic' or 'mdptype continuing'"),
        ("discount  0.9", "discount  2", "line 15: expected 'discount g' with a number in [0, 1]"),
        ("discount  0.9", "", "has no line 'discount'; give discount="),
        ("transition 1 0 2 1 0.75\ntransition 1 0 3 -1e1 0.25\n", "", "state 1 has no available action"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(put, old, new, sentence):
    assert_line_is_named(read_text, put, TEXT, old, new, sentence)
