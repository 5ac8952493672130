"""Tables are read by the names of their columns wherever these have names, and nothing in them is lost or guessed."""

import csv
import io
from collections import namedtuple
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrl.models import MDP, MRP, EmpiricalMDP, EmpiricalMRP, FiniteLaw

pytestmark = pytest.mark.fast

NAMES = ("state", "action", "probability", "next_state", "reward", "terminal")
ROWS = [(0, 0, 0.5, 0, 1.0, False), (0, 0, 0.5, 1, 2.0, True), (1, 0, 1.0, 1, 0.25, True)]
LOG_NAMES = ("state", "action", "reward", "next_state", "terminal")
LOG = [(0, 0, 1.0, 1, False), (0, 0, 0.0, 0, False), (1, 0, 2.0, 1, True)]
GYMNASIUM = ("obs", "action", "prob", "new_state", "reward", "terminated")
CSV_FAMILY = ("idstatefrom", "idaction", "probability", "idstateto", "reward")
#: three states, the last two absorbing, in the columns of the CSV family
FAMILY_ROWS = [(0, 0, 0.25, 1, 1.0), (0, 0, 0.75, 2, 3.0), (1, 0, 1.0, 1, 0.0), (2, 0, 1.0, 2, 0.0)]


def frame(names, rows):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({name: [row[k] for row in rows] for k, name in enumerate(names)})


def mapping(names, rows):
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


def records(names, rows):
    return [dict(zip(names, row, strict=True)) for row in rows]


def tuples(names, rows):
    return [namedtuple("Row", names)(*row) for row in rows]


def structured(names, rows):
    kinds = [int if all(isinstance(row[k], int) for row in rows) else float for k in range(len(names))]
    return np.array(rows, dtype=[*zip(names, kinds, strict=True)])


FORMS = {form.__name__: form for form in (frame, mapping, records, tuples, structured)}


def outcomes(model):
    table = model.outcomes
    columns = (table.sources, table.probs, table.next_states, table.rewards, table.terminals)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def shuffled(names, rows, order):
    return [names[k] for k in order], [tuple(row[k] for k in order) for row in rows]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (3, 5, 4, 2, 1, 0), (1, 0, 3, 2, 5, 4)])
def test_a_table_with_names_is_read_by_them_in_any_order(form, order):
    table = FORMS[form](*shuffled(NAMES, ROWS, order))
    assert outcomes(MDP.from_outcomes(table, 0.9)) == outcomes(MDP.from_outcomes(ROWS, 0.9))


@pytest.mark.parametrize("form", FORMS)
def test_an_mrps_table_and_a_log_are_read_by_name_too(form):
    without_action = [row[:1] + row[2:] for row in ROWS]
    names = (NAMES[0], *NAMES[2:])
    table = FORMS[form](*shuffled(names, without_action, (4, 2, 3, 0, 1)))
    assert outcomes(MRP.from_outcomes(table, 0.9)) == outcomes(MRP.from_outcomes(without_action, 0.9))
    log = FORMS[form](*shuffled(LOG_NAMES, LOG, (4, 2, 3, 0, 1)))
    assert outcomes(EmpiricalMDP(log, 0.9)) == outcomes(EmpiricalMDP(LOG, 0.9))
    without_action = [row[:1] + row[2:] for row in LOG]
    log = FORMS[form](*shuffled((LOG_NAMES[0], *LOG_NAMES[2:]), without_action, (3, 1, 2, 0)))
    assert outcomes(EmpiricalMRP(log, 0.9)) == outcomes(EmpiricalMRP(without_action, 0.9))


@pytest.mark.parametrize("attribute", ["columns", "column_names"])
def test_any_frame_that_gives_columns_by_name_will_do(attribute):
    """Polars has `columns`, an Arrow table `column_names`, whose `columns` are the data."""

    class Frame:
        columns = ([1.0], [2.0])

        def __init__(self, table):
            self.table = table
            setattr(self, attribute, list(table))

        def __getitem__(self, name):
            return self.table[name]

    table = Frame(mapping(*shuffled(NAMES, ROWS, (3, 5, 4, 2, 1, 0))))
    assert outcomes(MDP.from_outcomes(table, 0.9)) == outcomes(MDP.from_outcomes(ROWS, 0.9))


@given(st.permutations(range(6)), st.permutations(range(3)))
def test_the_order_of_columns_and_rows_makes_no_difference(columns, rows):
    table = records(*shuffled(NAMES, [ROWS[k] for k in rows], columns))
    assert outcomes(MDP.from_outcomes(table, 0.9)) == outcomes(MDP.from_outcomes(ROWS, 0.9))


@pytest.mark.parametrize(
    "names",
    [
        GYMNASIUM,
        ("idstatefrom", "idaction", "probability", "idstateto", "reward", "done"),
        ("State", "ACTION", " Prob ", "Next State", '"reward"', "Done"),
        ("\ufeffstate", "action", "probability", "next_state", "reward", "terminal"),
    ],
)
def test_the_usual_other_names_are_understood(names):
    assert outcomes(MDP.from_outcomes(mapping(names, ROWS), 0.9)) == outcomes(MDP.from_outcomes(ROWS, 0.9))


def test_the_names_of_logs_are_understood():
    names = ("observations", "actions", "rewards", "next_observations", "terminals")
    assert outcomes(EmpiricalMDP(mapping(names, LOG), 0.9)) == outcomes(EmpiricalMDP(LOG, 0.9))
    episode = {**mapping(LOG_NAMES[:4], LOG), "terminated": [False, False, True], "truncated": [False, True, False]}
    assert outcomes(EmpiricalMDP(episode, 0.9)) == outcomes(EmpiricalMDP(LOG, 0.9))  # cut off is not ended


def test_columns_may_be_renamed_to_any_names():
    theirs = ("s", "a", "p", "t", "r", "end")
    chosen = dict(zip(NAMES, theirs, strict=True))
    assert outcomes(MDP.from_outcomes(mapping(theirs, ROWS), 0.9, chosen)) == outcomes(MDP.from_outcomes(ROWS, 0.9))
    pandas = pytest.importorskip("pandas")
    numbered = pandas.DataFrame(ROWS)  # its columns are called 0, 1, 2, ...
    chosen = dict(zip(NAMES, range(6), strict=True))
    assert outcomes(MDP.from_outcomes(numbered, 0.9, chosen)) == outcomes(MDP.from_outcomes(ROWS, 0.9))
    log = mapping(("s", "a", "r", "t", "end"), LOG)
    chosen = {"state": "s", "action": "a", "reward": "r", "next_state": "t", "terminal": "end"}
    assert outcomes(EmpiricalMDP(log, 0.9, columns=chosen)) == outcomes(EmpiricalMDP(LOG, 0.9))


def test_our_own_name_goes_before_the_others():
    table = {**mapping(NAMES, ROWS), "done": [True, True, True]}
    assert outcomes(MDP.from_outcomes(table, 0.9)) == outcomes(MDP.from_outcomes(ROWS, 0.9))


def test_laws_may_stand_in_a_column_of_rewards():
    coin = FiniteLaw([0, 1])
    rows = [(0, 0, 1.0, 0, coin, True)]
    for form in (frame, mapping, records, tuples):
        model = MDP.from_outcomes(form(*shuffled(NAMES, rows, (5, 4, 3, 2, 1, 0))), 0.9)
        assert model.outcomes.reward_laws == (coin,)


def test_rows_may_come_from_an_iterator():
    for rows in (iter(ROWS), iter(tuples(NAMES, ROWS)), iter(records(NAMES, ROWS)), dict(enumerate(ROWS)).values()):
        assert outcomes(MDP.from_outcomes(rows, 0.9)) == outcomes(MDP.from_outcomes(ROWS, 0.9))
    reader = csv.DictReader(io.StringIO("reward,state,action,probability,next_state,terminal\n"))
    with pytest.raises(ValueError, match="rows is empty"):
        MDP.from_outcomes(reader, 0.9)


@pytest.mark.parametrize("missing", NAMES[:5])
@pytest.mark.parametrize("form", FORMS)
def test_a_missing_column_is_named_with_those_that_are_there(form, missing):
    keep = [k for k, name in enumerate(NAMES) if name != missing]
    table = FORMS[form](*shuffled(NAMES, ROWS, keep))
    there = ", ".join(name for name in NAMES if name != missing)
    with pytest.raises(ValueError, match=f"no column '{missing}': the columns of rows are {there}; give columns="):
        MDP.from_outcomes(table, 0.9)


def test_a_column_that_may_be_two_is_not_guessed():
    table = {**mapping(NAMES[:5], ROWS), "done": [False, True, True], "terminated": [False, False, True]}
    with pytest.raises(ValueError, match="'done' and 'terminated' may both be terminal"):
        MDP.from_outcomes(table, 0.9)
    assert MDP.from_outcomes(table, 0.9, {"terminal": "done"}).outcomes.terminals.tolist() == [False, True, True]
    pandas = pytest.importorskip("pandas")
    twice = pandas.DataFrame([[*row, 7.0] for row in ROWS], columns=[*NAMES, "reward"])
    with pytest.raises(ValueError, match="'reward' and 'reward' may both be reward"):
        MDP.from_outcomes(twice, 0.9)


def test_only_a_table_without_further_columns_may_lack_the_ends():
    table = mapping(NAMES[:5], ROWS)
    assert not MDP.from_outcomes(table, 0.9).outcomes.terminals.any()
    table["finished"] = [False, True, True]  # it may well say where returns end
    with pytest.raises(ValueError, match=r"no column 'terminal': the columns of rows are .*finished"):
        MDP.from_outcomes(table, 0.9)
    assert MDP.from_outcomes(table, 0.9, {"terminal": "finished"}).outcomes.terminals.tolist() == [False, True, True]
    assert not MDP.from_outcomes(table, 0.9, {"terminal": None}).outcomes.terminals.any()
    with pytest.raises(ValueError, match="no column 'terminal'"):
        EmpiricalMDP(mapping(LOG_NAMES[:4], LOG), 0.9)


@pytest.mark.parametrize(
    ("table", "columns", "sentence"),
    [
        ({**mapping(NAMES, ROWS), "discount": [1, 1, 0]}, None, "'discount' of rows cannot be read: .*one discount"),
        ({**mapping(NAMES, ROWS), "idoutcome": [0, 1, 0]}, None, "'idoutcome' of rows cannot be read"),
        (mapping(NAMES, ROWS), {"state": "s"}, "no column 's', which columns= gives for state: the columns of rows"),
        (mapping(NAMES, ROWS), {"s": "state"}, "columns must map some of state, action"),
        (mapping(NAMES, ROWS), ["state"], "columns must map some of state, action"),
        (mapping(NAMES, ROWS), {"action": None}, "no column None"),
        (mapping(NAMES, ROWS), {"state": "next_state"}, "'next_state' of rows is taken twice, for next_state too"),
        (ROWS, {"state": "s"}, "read by position"),
        ([{**row} for row in records(NAMES, ROWS)[:2]] + [{"state": 1}], None, "row 2 has no 'action'"),
        ([*records(NAMES, ROWS[:2]), ROWS[2]], None, r"rows\[2\] is unlike rows\[0\]"),
        ([*tuples(NAMES, ROWS[:2]), {}], None, "row 2 has no 'state'"),
        ({**mapping(NAMES, ROWS), "reward": [1.0, 2.0]}, None, "reward has 2 entries, probability has 3"),
        ({**mapping(NAMES, ROWS), "state": [0, 0]}, None, "state has 2 entries, other columns have 3"),
        ({**mapping(NAMES, ROWS), "reward": 1.0}, None, "reward must be a column"),
        ({name: [] for name in NAMES}, None, "rows is empty"),
        ({}, None, "the columns of rows are none"),
        ("outcomes.csv", None, r"rows must be a table or a sequence of \(state, .*, got 'outcomes.csv'"),
        (None, None, "rows must be a table"),
        (np.array(5.0), None, "rows must be a table"),
        ({0: {0: [(1.0, 0, 1.0, False)]}}, None, "no column 'state'.*the columns of rows are 0"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(table, columns, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        MDP.from_outcomes(table, 0.9, columns)
    assert "\n" not in str(caught.value)


def test_a_first_row_that_lacks_a_name_does_not_hide_it():
    rows = records(NAMES, ROWS)
    del rows[0]["terminal"]
    with pytest.raises(ValueError, match="row 0 has no 'terminal'"):
        MDP.from_outcomes(rows, 0.9)


def test_numbering_from_one_is_named():
    shifted = [(s + 1, a, p, y + 1, r, t) for s, a, p, y, r, t in ROWS]
    with pytest.raises(ValueError, match=r"state 0 has no outcome: states are counted from 1 here.*subtract 1"):
        MDP.from_outcomes(shifted, 0.9)
    with pytest.raises(ValueError, match="action 0 has no outcome: actions are counted from 1"):
        MDP.from_outcomes([(s, a + 1, *rest) for s, a, *rest in ROWS], 0.9)


def test_a_state_that_is_never_left_is_a_gap_and_named():
    with pytest.raises(ValueError, match=r"state 1, action 0 has no outcome|state 1 has no outcome"):
        MDP.from_outcomes([(0, 0, 0.5, 0, 1.0, False), (0, 0, 0.5, 2, 1.0, False), (2, 0, 1.0, 2, 0.0, False)], 0.9)


@pytest.mark.parametrize("order", list(permutations(range(5)))[::17])
def test_the_csv_family_reads_as_it_is(order):
    model = MDP.from_outcomes(mapping(*shuffled(CSV_FAMILY, FAMILY_ROWS, order)), 0.5)
    assert outcomes(model) == [(s, p, y, r, False) for s, _, p, y, r in FAMILY_ROWS]


def test_a_number_of_outcomes_that_is_always_the_same_says_nothing():
    table = {**mapping(CSV_FAMILY, FAMILY_ROWS), "idoutcome": [0] * 4}
    assert outcomes(MDP.from_outcomes(table, 0.5)) == outcomes(MDP.from_outcomes(mapping(CSV_FAMILY, FAMILY_ROWS), 0.5))


def test_loops_of_reward_zero_end_the_return_at_discount_one_and_not_below():
    table = mapping(CSV_FAMILY, FAMILY_ROWS)
    ended = MDP.from_outcomes(table, 1.0)
    assert ended.terminal.tolist() == [False, True, True] and ended.outcomes.terminals.all()
    assert not MDP.from_outcomes(table, 0.5).outcomes.terminals.any()
    assert outcomes(MDP.from_outcomes(table, 0.5, absorbing="end")) == outcomes(ended)
    assert not MDP.from_outcomes(table, 1.0, absorbing="keep").outcomes.terminals.any()
    mask = [False, True, True]
    p = [[[0, 0.25, 0.75], [0, 0, 0], [0, 0, 0]]]
    assert outcomes(ended) == outcomes(MDP(p, [[[0, 1, 3], [0] * 3, [0] * 3]], 1.0, terminal=mask))
    assert MRP.from_outcomes([(0, 1.0, 1, 2.0, False), (1, 1.0, 1, 0.0, False)], 1.0).terminal.tolist() == [False, True]
    with pytest.raises(ValueError, match="absorbing must be 'end', 'keep' or None, got 'stop'"):
        MDP.from_outcomes(table, 0.5, absorbing="stop")


def test_only_a_state_whose_every_action_loops_for_nothing_is_absorbing():
    loop = (1, 0, 1.0, 1, 0.0, False)
    for other in [(1, 1, 1.0, 1, 1.0, False), (1, 1, 1.0, 0, 0.0, False), (1, 1, 1.0, 1, FiniteLaw([-1, 1]), False)]:
        rows = [(0, 0, 1.0, 1, 1.0, False), (0, 1, 1.0, 1, 1.0, False), loop, other]
        assert not MDP.from_outcomes(rows, 1.0).outcomes.terminals.any()


def test_a_never_ending_chain_that_pays_is_still_refused():
    with pytest.raises(ValueError, match="no terminal outcome can be reached from state 0"):
        MRP.from_outcomes([(0, 1.0, 1, 0.0, False), (1, 1.0, 0, 2.0, False)], 1.0).check_ends()
    assert MRP.from_outcomes([(0, 1.0, 1, 0.0, False), (1, 1.0, 0, 0.0, False)], 1.0).terminal.all()
