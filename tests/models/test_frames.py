"""Frames of other libraries come in, models go out as frames, and what goes out comes in again as it was."""

import datetime
import enum
import fractions

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrl.models import MDP, MRP, EmpiricalMDP, FiniteLaw
from distrl.models.tables.frames import frame_of
from distrl.testing import strategies as models

NAMES = ("state", "action", "probability", "next_state", "reward", "terminal")
ROWS = [("a", "l", 0.5, "a", 1.0, False), ("a", "l", 0.5, "b", 2.0, True), ("b", "r", 1.0, "b", 0.25, True)]
PLAIN = [(0, 0, 0.5, 0, 1.0, False), (0, 0, 0.5, 1, 2.0, True), (1, 1, 1.0, 1, 0.25, True)]


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


def columns(rows=ROWS, **changed):
    found = {name: [row[k] for row in rows] for k, name in enumerate(NAMES)}
    return {name: changed.get(name, found[name]) for name in NAMES if changed.get(name, found[name]) is not None}


def pandas_frame(table):
    return pytest.importorskip("pandas").DataFrame(table)


def polars_frame(table):
    return pytest.importorskip("polars").DataFrame(table, strict=False)


def arrow_table(table):
    return pytest.importorskip("pyarrow").table(table)


def lazy_frame(table):
    pytest.importorskip("narwhals")
    return polars_frame(table).lazy()


def wrapped_frame(table):
    return pytest.importorskip("narwhals").from_native(pandas_frame(table))


def plain_mapping(table):
    return table


EAGER = {each.__name__: each for each in (pandas_frame, polars_frame, arrow_table)}
FORMS = {**EAGER, **{each.__name__: each for each in (lazy_frame, wrapped_frame, plain_mapping)}}


def same(model, other):
    left, right = model.outcomes, other.outcomes
    arrays = ("indptr", "probs", "next_states", "rewards", "terminals", "laws")
    equal = all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in arrays)
    return equal and left.reward_laws == right.reward_laws and list(model.states) == list(other.states)


@pytest.mark.parametrize("form", FORMS)
def test_every_library_of_frames_gives_the_same_model(form):
    model = MDP.from_outcomes(FORMS[form](columns()), 0.9)
    assert list(model.states) == ["a", "b"] and list(model.actions) == ["l", "r"]
    assert same(model, MDP.from_outcomes(ROWS, 0.9))
    assert same(MDP.from_outcomes(FORMS[form](columns(PLAIN)), 0.9), MDP.from_outcomes(PLAIN, 0.9))


@pytest.mark.parametrize(
    "names",
    [
        (Level.LOW, Level.HIGH),
        (Number.TWO, Number.ONE),
        ((0, 1), (0, 0)),
        (datetime.date(2020, 2, 1), datetime.date(2020, 1, 1)),
        (datetime.datetime(2020, 2, 1, 3), datetime.datetime(2020, 1, 1)),
        ("b", 1),
        (frozenset([1]), frozenset()),
        (b"x", b"y"),
    ],
)
@pytest.mark.parametrize("form", ["rows", "mapping", "pandas"])
def test_ids_of_any_type_are_names_in_the_order_in_which_they_come(names, form):
    first, second = names
    if form == "pandas" and names[0] is Number.TWO:
        pytest.skip("pandas makes whole numbers of these")
    rows = [(first, 0, 1.0, second, 1.0, False), (second, 0, 1.0, first, 0.0, False)]
    table = {"rows": lambda: rows, "mapping": lambda: columns(rows), "pandas": lambda: pandas_frame(columns(rows))}[
        form
    ]()
    model = MDP.from_outcomes(table, 0.9)
    assert list(model.states) == [first, second] and model.outcomes.next_states.tolist() == [1, 0]


def test_categories_enums_dates_and_nullable_columns_of_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas_frame(columns()).astype({"state": "category", "next_state": "category", "action": "string"})
    frame["terminal"] = frame["terminal"].astype("boolean")
    frame["probability"] = frame["probability"].astype("Float64")
    assert same(MDP.from_outcomes(frame, 0.9), MDP.from_outcomes(ROWS, 0.9))
    for unit in ("ns", "us", "s"):
        days = pandas.to_datetime(["2020-01-02", "2020-01-02", "2020-01-01"]).astype(f"datetime64[{unit}]")
        dated = MDP.from_outcomes(frame.assign(state=days, next_state=days[[0, 2, 2]]), 0.9)
        assert list(dated.states) == [datetime.datetime(2020, 1, 2), datetime.datetime(2020, 1, 1)]
    polars = pytest.importorskip("polars")
    of_enum = polars_frame(columns()).with_columns(polars.col("state", "next_state").cast(polars.Enum(["b", "a"])))
    assert list(MDP.from_outcomes(of_enum, 0.9).states) == ["a", "b"]


@pytest.mark.parametrize("form", FORMS)
def test_whole_numbers_that_are_no_positions_are_names_in_their_order(form):
    rows = [(7, 2, 1.0, -1, 1.0, False), (-1, 1, 1.0, 7, 0.0, False)]
    model = MDP.from_outcomes(FORMS[form](columns(rows)), 0.9)
    assert list(model.states) == [-1, 7] and list(model.actions) == [1, 2]
    assert model.outcomes.next_states.tolist() == [1, 0] and model.choices.actions.tolist() == [0, 1]
    huge = [(10**15, 0, 1.0, 0, 1.0, False), (0, 0, 1.0, 10**15, 0.0, False)]
    assert list(MDP.from_outcomes(FORMS[form](columns(huge)), 0.9).states) == [0, 10**15]


def test_positions_stay_positions_and_rows_without_names_stay_strict():
    gap = [(0, 0, 1.0, 0, 0.0, True), (0, 2, 1.0, 0, 0.0, True), (0, 2, 0.0, 0, 1.0, True)]
    assert MDP.from_outcomes(columns(gap), 0.9).available.tolist() == [[True, False, True]]
    shifted = [(s + 1, a, p, y + 1, r, t) for s, a, p, y, r, t in PLAIN]
    assert list(MDP.from_outcomes(columns(shifted), 0.9).states) == [1, 2]
    with pytest.raises(ValueError, match="states are counted from 1 here"):
        MDP.from_outcomes(shifted, 0.9)
    with pytest.raises(ValueError, match="states are counted from 1 here"):
        MDP.from_outcomes(columns(shifted), 0.9, states=3)
    assert list(MDP.from_outcomes(shifted, 0.9, states=[2, 1]).states) == [2, 1]
    log = [(1, 0, 1.0, 3, True), (0, 0, 1.0, 1, False)]
    names = ("state", "action", "reward", "next_state", "terminal")
    logged = EmpiricalMDP({n: [row[k] for row in log] for k, n in enumerate(names)}, 0.9, unvisited="unknown")
    assert isinstance(logged.states, range) and logged.n_states == 4  # a log need not show every state


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_named_with_its_row_and_column(form, name):
    table = columns()
    table[name] = [table[name][0], None, table[name][2]]
    with pytest.raises((ValueError, TypeError), match=rf"rows: {name}\[1\] is (missing|None|nan)") as caught:
        MDP.from_outcomes(FORMS[form](table), 0.9)
    assert "\n" not in str(caught.value)


NAN = float("nan")
#: A column, what stands in it, what is said; each in every form that can hold it.
MALFORMED = [
    ("state", [0, 0.5, 1], r"state\[1\] is 0.5, not a whole number"),
    ("state", [[0], [0], [1]], r"state\[0\] is .*, which names nothing|must have 1 dimension|number"),
    ("state", [0, NAN, 1], r"state\[1\] is (nan|missing)"),
    ("next_state", [0, 1, 5], "state 5 has no outcome"),
    ("next_state", ["a", "b", "c"], "state 'c' has no outcome"),
    ("action", [0, NAN, 1], r"action\[1\] is (nan|missing)"),
    ("probability", [0.5, "x", 1.0], "probability must hold real numbers"),
    ("probability", [0.5, 0.25, 1.0], "the probabilities of state 0, action 0 sum to 0.75"),
    ("probability", [0.5, NAN, 1.0], r"probability\[1\] is (nan|missing)"),
    ("probability", [0.5, float("inf"), 1.0], r"probability\[1\] is inf"),
    ("probability", [1.5, -0.5, 1.0], "with probability -0.5"),
    ("probability", [[0.5], [0.5], [1.0]], "probability"),
    ("reward", [1.0, "ten", 2.0], r"reward\[\d\] must be a real number, got '|reward must"),
    ("reward", [1.0, NAN, 2.0], r"reward\[1\] is (nan|missing)|reward\[1\] must be finite"),
    ("reward", [1.0, float("-inf"), 2.0], r"reward\[1\] (is|must be finite, got) -inf"),
    ("reward", [1.0, 2j, 2.0], "reward"),
    ("reward", [1.0, 1e300, 2.0], "a reward of 1e"),
    ("terminal", [0, 2, 1], "terminal must hold booleans"),
    ("terminal", ["no", "yes", "yes"], "terminal must hold booleans"),
    ("terminal", [0.5, 1, 1], "terminal must hold booleans"),
]


@pytest.mark.parametrize("form", ["pandas_frame", "polars_frame", "arrow_table", "plain_mapping"])
@pytest.mark.parametrize(("name", "column", "sentence"), MALFORMED)
def test_a_malformed_frame_is_said_in_one_sentence(form, name, column, sentence):
    changed = {name: column}
    if name == "next_state" and isinstance(column[0], str):
        changed["state"] = ["a", "a", "b"]
    table = {**columns(PLAIN), **changed}
    try:
        frame = FORMS[form](table)
    except Exception:  # a library that cannot hold it has said so itself
        pytest.skip("no such frame")
    with pytest.raises((ValueError, TypeError), match=sentence.replace("state 0, action 0", "state .*")) as caught:
        MDP.from_outcomes(frame, 0.9)
    assert "\n" not in str(caught.value) or form == "arrow_table"


def test_a_lazy_frame_without_narwhals_is_told_what_to_install(monkeypatch):
    import distrl.models.tables.frames as frames

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(frames, "import_module", absent)
    assert same(MDP.from_outcomes(pandas_frame(columns()), 0.9), MDP.from_outcomes(ROWS, 0.9))

    class LazyFrame:
        columns = NAMES

        def collect(self):
            raise AssertionError

    with pytest.raises(ModuleNotFoundError, match=r"needs narwhals: pip install 'distrl\[io\]'"):
        MDP.from_outcomes(LazyFrame(), 0.9)
    with pytest.raises(ModuleNotFoundError, match="'pandas' needs pandas"):
        MDP.from_outcomes(ROWS, 0.9).to_frame()


BACKENDS = ("pandas", "polars", "pyarrow")


@pytest.mark.parametrize("backend", BACKENDS)
@given(model=models.mdps() | models.mrps(), data=st.data())
def test_a_model_that_goes_out_comes_in_as_it_was(backend, model, data):
    pytest.importorskip(backend)
    if backend == "pyarrow" and model.outcomes.reward_laws:
        return
    names = [f"s{k}" for k in data.draw(st.permutations(range(model.n_states)))]
    if isinstance(model, MDP):
        named = MDP.from_table(model.outcomes, model.discount, available=model.choices, states=names)
        again = MDP.from_outcomes(named.to_frame(backend), model.discount, absorbing="keep", actions=model.n_actions)
        assert again.choices.actions.tolist() == model.choices.actions.tolist()
        positions = MDP.from_outcomes(
            model.to_frame(backend), model.discount, absorbing="keep", actions=model.n_actions
        )
    else:
        named = MRP.from_table(model.outcomes, model.discount, states=names)
        again = MRP.from_outcomes(named.to_frame(backend), model.discount, absorbing="keep")
        positions = MRP.from_outcomes(model.to_frame(backend), model.discount, absorbing="keep")
    assert same(again, named) and same(positions, model) and isinstance(positions.states, range)


def test_names_and_laws_of_any_kind_go_out():
    coin = FiniteLaw([0, 1])
    rows = [((0, 1), 1.0, Level.LOW, coin, False), (Level.LOW, 1.0, (0, 1), 2.5, True)]
    model = MRP.from_outcomes(rows, 0.9)
    for backend in ("pandas", "polars"):
        pytest.importorskip(backend)
        assert same(MRP.from_outcomes(model.to_frame(backend), 0.9), model)
    with pytest.raises(ValueError, match="pyarrow cannot hold this table"):
        pytest.importorskip("pyarrow") and model.to_frame("pyarrow")
    counted = MDP.from_outcomes(columns([(s + 1, a, p, y + 1, r, t) for s, a, p, y, r, t in PLAIN]), 0.9)
    frame = counted.to_frame()
    assert frame["state"].tolist() == [1, 1, 2] and frame["state"].dtype == np.int64
    assert list(MDP.from_outcomes(frame, 0.9).states) == [1, 2]


def test_what_cannot_go_out_is_said():
    with pytest.raises(TypeError, match="backend must be the name of a library of frames"):
        frame_of({"x": [1]}, 3)
    pytest.importorskip("narwhals")
    with pytest.raises(ValueError, match="nothing of the kind cannot hold this table") as caught:
        frame_of({"x": [1]}, "nothing of the kind")
    assert "\n" not in str(caught.value)


def test_numbers_of_other_kinds_are_still_numbers():
    rows = [(fractions.Fraction(0), 0, fractions.Fraction(1), np.int64(0), 1, True)]
    assert isinstance(MDP.from_outcomes(rows, 0.9).states, range)
