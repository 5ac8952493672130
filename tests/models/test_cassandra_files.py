"""Cassandra's `.MDP` files against a reader of the test's own, which does what the statements say on dense arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrl import read_cassandra
from tests.text_file_laws import TextFileLaws, assert_line_is_named, writer

pytestmark = pytest.mark.fast

WEATHER = """# sunny days and rainy ones
discount: 0.95
values: reward
states: sunny rainy
 foggy
actions: stay go
start include: sunny foggy

T: stay : sunny : sunny 0.75   # one at a time
T: stay : sunny : rainy 0.25
T: stay : rainy   0.5 0.25
  0.25
T:stay:foggy uniform
T: go
identity
R: stay : sunny : *   2.0
R: * : rainy : * - 1.0
R: go
1 2 3
4 5 6
7 8 9
R: go : sunny
-1 -2 -3
R: go : 2 : foggy : * +1e1
"""


put = writer("weather.MDP")


class TestItReadsAsEveryReaderDoes(TextFileLaws):
    read, name, text, discount = staticmethod(read_cassandra), "weather.MDP", WEATHER, "discount: 0.95"


def test_every_form_is_read(put):
    mdp = read_cassandra(put(WEATHER))
    assert mdp.discount == 0.95 and mdp.initial.tolist() == [0.5, 0.0, 0.5]
    assert list(mdp.states) == ["sunny", "rainy", "foggy"] and list(mdp.actions) == ["stay", "go"]
    p, r, _ = mdp.to_dense()
    third = 1.0 / 3.0
    np.testing.assert_array_equal(p, [[[0.75, 0.25, 0], [0.5, 0.25, 0.25], [third] * 3], np.eye(3)])
    np.testing.assert_array_equal(r[0], [[2, 2, 0], [-1, -1, -1], [0, 0, 0]])
    np.testing.assert_array_equal(np.diag(r[1]), [-1, 5, 10])


def test_a_cost_is_a_reward_with_the_other_sign(put):
    reward, cost = (read_cassandra(put(WEATHER.replace("reward", kind))) for kind in ("reward", "cost"))
    np.testing.assert_array_equal(reward.expected_rewards, -cost.expected_rewards)


def test_numbers_name_what_names_name(put):
    numbers = WEATHER.replace("stay", "0").replace("T: go", "T: 1").replace("R: go", "R: 1").replace("rainy", "1")
    numbers = numbers.replace("states: sunny 1", "states: sunny rainy").replace("actions: 0 go", "actions: stay go")
    np.testing.assert_array_equal(read_cassandra(put(WEATHER)).to_dense().R, read_cassandra(put(numbers)).to_dense().R)


def test_counted_states_have_no_names(put):
    mdp = read_cassandra(put("discount: 1\nvalues: cost\nstates: 2\nactions: 1\nT: * uniform\nR: * : * : 1 1\n"))
    assert mdp.states == range(2) and mdp.actions == range(1) and mdp.initial is None


@pytest.mark.parametrize(
    ("start", "law"),
    [
        ("start: 0.25 0.75 0", [0.25, 0.75, 0]),
        ("start: 0 0\n1", [0, 0, 1]),
        ("start: rainy", [0, 1, 0]),
        ("start: 2", [0, 0, 1]),
        ("start: uniform", [1 / 3] * 3),
        ("start include: sunny 2", [0.5, 0, 0.5]),
        ("start exclude: sunny", [0, 0.5, 0.5]),
        ("start exclude: rainy\nfoggy", [1, 0, 0]),
    ],
)
def test_every_form_of_the_start_is_read(put, start, law):
    text = WEATHER.replace("start include: sunny foggy", start)
    assert read_cassandra(put(text)).initial.tolist() == law


def test_reset_goes_where_the_start_goes(put):
    mdp = read_cassandra(put(WEATHER.replace("T:stay:foggy uniform", "T:stay:foggy reset")))
    assert mdp.to_dense().P[0, 2].tolist() == [0.5, 0, 0.5]


# ---- random files


@st.composite
def statements(draw, states, actions):
    """`T` and `R` statements (kind, action, state, next state, numbers) after which every row sums to 1.

    None is a `*`; the state "each" says that the numbers are those of all states.
    """
    shares = st.sampled_from([[1.0], [0.5, 0.5], [0.25, 0.75]]).map(lambda few: few[:states] if states > 1 else [1.0])

    def row():
        law, few = np.zeros(states), draw(shares)
        law[draw(st.permutations(range(states)))[: len(few)]] = few
        return law.tolist()

    action = st.one_of(st.none(), st.integers(0, actions - 1))
    state = st.one_of(st.none(), st.integers(0, states - 1))
    first = st.sampled_from(["uniform", "identity"])
    found = [("T", None, "each", None, draw(first) if draw(st.booleans()) else [row() for _ in range(states)])]
    for _ in range(draw(st.integers(0, 5))):
        where = (draw(action), draw(state))
        form = draw(st.integers(0, 4))
        if form == 0:
            found.append(("T", where[0], "each", None, draw(first)))
        elif form == 1:
            found.append(("T", where[0], "each", None, [row() for _ in range(states)]))
        elif form == 2 and where[1] is not None:
            found.append(("T", *where, None, draw(st.sampled_from(["uniform", row()]))))
        elif form == 3:
            found.append(("T", *where, "*", [1.0 / states]))
        else:  # a row, cell by cell
            found += [("T", *where, successor, [share]) for successor, share in enumerate(row())]
    number = st.integers(-9, 9).map(float)
    for _ in range(draw(st.integers(0, 6))):
        where = (draw(action), draw(state))
        form = draw(st.integers(0, 2))
        if form == 0:
            rows = [[draw(number) for _ in range(states)] for _ in range(states)]
            found.append(("R", where[0], "each", None, rows))
        elif form == 1 and where[1] is not None:
            found.append(("R", *where, None, [draw(number) for _ in range(states)]))
        else:
            successor = draw(st.one_of(st.just("*"), st.integers(0, states - 1)))
            found.append(("R", *where, successor, [draw(number)]))
    return found


def as_text(found, states, actions):
    lines = [f"discount: 0.5\nvalues: reward\nstates: {states}\nactions: {actions}"]
    for kind, action, state, successor, numbers in found:
        head = f"{kind}: {'*' if action is None else action}"
        if state != "each":
            head += f" : {'*' if state is None else state}"
        if successor is not None:
            head += f" : {successor}"
        rows = [numbers] if isinstance(numbers, str) or not isinstance(numbers[0], list) else numbers
        lines.append(head + "\n" + "\n".join(row if isinstance(row, str) else " ".join(map(repr, row)) for row in rows))
    return "\n".join(lines) + "\n"


def carried_out(found, states, actions):
    """The statements, one after the other, on dense arrays."""
    arrays = {"T": np.zeros((actions, states, states)), "R": np.zeros((actions, states, states))}
    for kind, action, state, successor, numbers in found:
        for a in range(actions) if action is None else [action]:
            for s in range(states) if state in (None, "each") else [state]:
                into = arrays[kind][a, s]
                if successor is not None:
                    into[slice(None) if successor == "*" else successor] = numbers[0]
                elif numbers == "uniform":
                    into[:] = 1.0 / states
                elif numbers == "identity":
                    into[:] = np.eye(states)[s]
                else:
                    into[:] = numbers[s] if isinstance(numbers[0], list) else numbers
    return arrays["T"], arrays["R"]


@settings(max_examples=150)
@given(data=st.data())
def test_statements_do_what_they_say_one_after_the_other(tmp_path_factory, data):
    states, actions = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    found = data.draw(statements(states, actions))
    path = tmp_path_factory.mktemp("mdp") / "random.MDP"
    path.write_text(as_text(found, states, actions), encoding="utf-8")
    p, r = carried_out(found, states, actions)
    got = read_cassandra(path).to_dense()
    np.testing.assert_array_equal(got.P, p)
    np.testing.assert_array_equal(got.R, np.where(p > 0, r, 0.0))


# ---- what is refused


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("discount: 0.95", "discount: 1.5", "line 2: expected a discount in [0, 1], found 1.5"),
        ("discount: 0.95", "", "has no statement 'discount:'"),
        ("values: reward", "values: money", "line 3: expected 'reward' or 'cost', found 'money'"),
        ("values: reward", "", "line 9: values: is missing"),
        ("actions: stay go", "actions: stay stay", "line 6: 'stay' is there twice among the actions"),
        ("actions: stay go", "actions: 0", "line 6: expected actions"),
        ("actions: stay go", "actions: stay go\nobservations: 2", "line 7: this is a POMDP"),
        ("T: go\n", "O: go uniform\nT: go\n", "line 14: this is a POMDP"),
        ("start include: sunny foggy", "start: 0.5 0.4 0", "line 7: the probabilities of start sum to 0.9"),
        ("start include: sunny foggy", "start: moon", "line 7: expected uniform, one of the states"),
        ("start include: sunny foggy", "start exclude: 0 1 2", "line 7: start exclude: leaves no state"),
        ("start include: sunny foggy", "start include: *", "line 7: expected a state"),
        (
            "sunny : sunny 0.75",
            "sunny : sunny 0.7",
            "line 10: the probabilities of state 'sunny', action 'stay' sum to",
        ),
        ("sunny : sunny 0.75", "sunny : moon 0.75", "line 9: expected one of the 3 states: a name or a number below 3"),
        ("sunny : sunny 0.75", "sunny : 3 0.75", "line 9: expected one of the 3 states"),
        ("sunny : sunny 0.75", "sunny : sunny -0.75", "line 9: expected a probability in [0, 1], found -0.75"),
        ("sunny : sunny 0.75", "sunny : sunny much", "line 9: expected a probability, found 'much'"),
        ("  0.25\n", "", "line 12: expected uniform or reset, or a row of 3 probabilities, of which there are 2"),
        ("identity", "unity", "line 15: expected identity, uniform, or 3 rows of 3 probabilities: row 1"),
        ("7 8 9", "7 8", "line 22: expected 3 rows of 3 rewards: row 3, of which there are 2, found 'R'"),
        ("-1 -2 -3", "-1 -2 -3 -4", "line 23: expected a statement that begins with"),
        ("foggy : * +1e1", "foggy : wet 1", "line 24: expected a reward, which may come after ': *'"),
        ("foggy : * +1e1", "foggy : *", "expected a reward, found the end of the file"),
        ("T:stay:foggy uniform\n", "", "no T: says where state 'foggy', action 'stay' leads"),
        ("states: sunny", "states: 99999999999999\nstates: sunny", "line 5: states: is there a second time"),
        ("actions: stay go", "actions: 99999999999999", "are available; look at the numbers of states and actions"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(put, old, new, sentence):
    assert_line_is_named(read_cassandra, put, WEATHER, old, new, sentence)


def test_rows_that_are_rounded_are_divided_by_their_sum_on_request(put):
    path = put(WEATHER.replace("T:stay:foggy uniform", "T:stay:foggy 0.333 0.333 0.333"))
    with pytest.raises(ValueError, match=r"line 13.*sum to 0.999.*normalise=True"):
        read_cassandra(path)
    with pytest.warns(UserWarning, match="normalise"):
        assert read_cassandra(path, normalise=True).to_dense().P[0, 2].tolist() == [1 / 3] * 3


def test_what_holds_for_all_is_kept_once(put):
    """1e10 pairs of next state and reward are said in one line; a model of 1e5 states that stay is small."""
    text = "discount: .9\nvalues: reward\nstates: 100000\nactions: 1\nT: * identity\nR: * : * : * -1\nR: 0 : 7 : 7 2\n"
    mdp = read_cassandra(put(text))
    assert mdp.n_states == 100_000 and mdp.expected_rewards.sum() == -100_000 + 3
