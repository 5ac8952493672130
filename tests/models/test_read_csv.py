"""Models in CSV files come in by one line, number for number; what is wrong in a file is said with line and column."""

import csv
import gzip
import itertools
import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distrl
from distrl.models.tables.csv_file import CsvText

pytestmark = pytest.mark.fast

NAMES = ("state", "action", "probability", "next_state", "reward", "terminal")
GOOD = "state,action,probability,next_state,reward,terminal\n0,0,0.5,0,1.5,0\n0,0,0.5,1,-2,1\n1,0,1,1,0,1\n"
FAMILY = "idstatefrom,idaction,idstateto,probability,reward\n1,1,1,0.25,1\n1,1,2,0.75,3\n2,1,2,1.0,0\n"


def write(folder, text, name="model.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def outcomes(model):
    table = model.outcomes
    columns = (table.sources, table.probs, table.next_states, table.rewards, table.terminals)
    return list(zip(*(column.tolist() for column in columns), strict=True))


WANTED = [(0, 0.5, 0, 1.5, False), (0, 0.5, 1, -2.0, True), (1, 1.0, 1, 0.0, True)]


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", "|"),
        GOOD.replace(",", " , "),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("\n", "\n\n"),
        GOOD.replace("\n", "\n  \n"),
        GOOD.rstrip("\n"),
        "\ufeff" + GOOD,
        "# a comment\n#another, with commas\n" + GOOD,
        GOOD.replace(",0\n", ",False\n").replace(",1\n", ",TRUE\n"),
        GOOD.replace(",0\n", ",f\n").replace(",1\n", ",1.0\n"),
        ",".join(f'"{name}"' for name in NAMES) + GOOD[GOOD.index("\n") :],
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in GOOD.splitlines()),
        GOOD.replace("0.5", "5e-1").replace("1.5", "+15.0E-1"),
        GOOD.replace("0,0,0.5,0,", "0.0,0.0,.5,0.0,"),
    ],
)
def test_every_dialect_reads_the_same(tmp_path, text):
    assert outcomes(distrl.read_csv(write(tmp_path, text), 0.9)) == WANTED


def test_compressed_files_and_other_orders_and_names_of_columns(tmp_path):
    assert outcomes(distrl.read_csv(write(tmp_path, gzip.compress(GOOD.encode()), "model.csv.gz"), 0.9)) == WANTED
    with_rows = "\n".join(f"{k},{line}" for k, line in enumerate(GOOD.splitlines())).replace("0,state", ",state", 1)
    assert outcomes(distrl.read_csv(write(tmp_path, with_rows), 0.9)) == WANTED  # a frame's row numbers, without a name
    numbered = "\n".join(f"{k},{line}" for k, line in enumerate(FAMILY.splitlines())).replace("0,id", ",id", 1)
    assert len(distrl.read_csv(write(tmp_path, numbered), 0.9).outcomes.probs) == 3
    other = GOOD.replace("state,action", "s,a", 1).replace("next_state", "t", 1)
    chosen = {"state": "s", "action": "a", "next_state": "t"}
    assert outcomes(distrl.read_csv(write(tmp_path, other), 0.9, chosen)) == WANTED


def test_the_family_that_counts_from_one_has_names_and_ends_at_discount_one(tmp_path):
    path = write(tmp_path, FAMILY)
    below, one = distrl.read_csv(path, 0.9), distrl.read_csv(path, 1.0)
    assert list(below.states) == [1, 2] and list(below.actions) == [1]
    assert outcomes(below) == [(0, 0.25, 0, 1.0, False), (0, 0.75, 1, 3.0, False), (1, 1.0, 1, 0.0, False)]
    assert one.terminal.tolist() == [False, True]
    assert distrl.read_csv(path, 0.9, absorbing="end").terminal.tolist() == [False, True]
    assert list(distrl.read_csv(path, 0.9, states=[2, 1]).states) == [2, 1]


def test_text_is_names_in_the_order_in_which_they_come(tmp_path):
    text = 'state,action,probability,next_state,reward,terminal\n"b ""x"", y",go,1,a,1,0\na,"stay",1,"b ""x"", y",2,0\n'
    model = distrl.read_csv(write(tmp_path, text), 0.9)
    assert list(model.states) == ['b "x", y', "a"] and list(model.actions) == ["go", "stay"]
    mixed = distrl.read_csv(write(tmp_path, GOOD.replace("1,0,1,1,0,1", "1,0,1,end,0,1\nend,0,1,end,0,1")), 0.9)
    assert list(mixed.states) == ["0", "1", "end"] and isinstance(mixed.actions, range)
    many = [f"state number {k % 5000} of many" for k in range(5001)]
    lines = [f"{here},0,1,{there},0,0" for here, there in itertools.pairwise(many)]
    model = distrl.read_csv(write(tmp_path, "\n".join([",".join(NAMES), *lines])), 0.9)
    assert list(model.states) == many[:-1] and model.outcomes.next_states.tolist() == [*range(1, 5000), 0]


def test_a_file_without_actions_is_a_process(tmp_path):
    text = "state,probability,next_state,reward\n1,1,2,5\n2,1,2,0\n"
    model = distrl.read_csv(write(tmp_path, text), 1.0)
    assert isinstance(model, distrl.MRP) and list(model.states) == [1, 2] and model.terminal.tolist() == [False, True]
    with pytest.raises(ValueError, match="no column of actions"):
        distrl.read_csv(write(tmp_path, text), 1.0, actions=2)


def decimals(count, seed):
    draw = random.Random(seed)
    for _ in range(count):
        number = draw.gauss(0, 1) * 10.0 ** draw.randint(-75, 75)
        yield draw.choice(
            [
                repr(number),
                f"{number:.5e}",
                f"{number:.20e}",
                f"{draw.random():.{draw.randint(1, 25)}f}",
                f"{draw.randint(10**15, 10**21)}e{draw.randint(-320, 280)}",
                f"{draw.randint(0, 99)}.{draw.randint(0, 9):05d}",
                f"{2**53 + draw.randint(-3, 3)}.{draw.choice(['0', '5', '49999', '50001'])}",
            ]
        )


def test_numbers_are_rounded_as_python_rounds_them(tmp_path):
    texts = [*decimals(4000, 0), "0", "-0", "1e-400", "9007199254740993", "0.1e1", "4.35", "123456789012345678901e-5"]
    path = write(tmp_path, "state,probability,next_state,reward\n" + "".join(f"0,1,0,{each}\n" for each in texts))
    read = CsvText(path).columns(("state", "probability", "next_state", "reward"), None)["reward"]
    wrong = [text for text, value in zip(texts, read.tolist(), strict=True) if value != float(text)]
    assert not wrong


@given(st.integers(0, 2**32 - 1))
def test_a_written_table_reads_as_the_csv_module_and_python_read_it(tmp_path_factory, seed):
    draw = random.Random(seed)
    names = [draw.choice(["n", 'q"', "a, b", " x", "é"]) + str(k) for k in range(draw.randint(1, 4))]
    rows = []
    for name in names:
        shares = [draw.random() for _ in names]
        rows += [
            (name, "go", share / sum(shares), other, draw.gauss(0, 1), 0)
            for share, other in zip(shares, names, strict=True)
        ]
    path = tmp_path_factory.mktemp("csv") / "model.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=draw.choice([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
        writer.writerows([NAMES, *rows])
    model = distrl.read_csv(path, 0.9)
    assert list(model.states) == names
    found = defaultdict(float)
    for source, p, successor, reward, _ in outcomes(model):
        found[names[source], names[successor], reward] += p
    assert found == {(s, y, r): p for s, _, p, y, r, _ in rows}


HEAD = ",".join(NAMES) + "\n"
ROW = "0,0,1,0,0,0\n"
#: What is wrong, the file, and what has to be said.
MALFORMED = {
    "nothing": ("", "is empty; expected a line that names the columns"),
    "blank lines alone": ("\n\n  \n", "is empty"),
    "a comment alone": ("# nothing\n", "is empty"),
    "a header alone": (HEAD, "has a header and no rows"),
    "one word": ("hello\n", r"line 1: expected names of columns, separated by commas, tabs, .* found 'hello'"),
    "blanks for separators": ("state action probability\n0 0 1\n", "line 1: expected names of columns"),
    "no header": ("0,0,1,0,0,0\n", "no column 'state' and 'action'|no column 'state'"),
    "a column is missing": (HEAD.replace("reward,", "") + "0,0,1,0,0\n", "no column 'reward': the columns of the file"),
    "two rewards": (HEAD.replace("\n", ",reward\n") + "0,0,1,0,0,0,0\n", "'reward' and 'reward' may both be reward"),
    "two ends": (HEAD.replace("terminal", "done,terminated") + "0,0,1,0,0,0,0\n", "may both be terminal"),
    "an unknown column that may be the end": (HEAD.replace("terminal", "over") + ROW, "no column 'terminal'"),
    "several laws": ("idoutcome," + HEAD + "0," + ROW + "1," + ROW, "'idoutcome' of the file cannot be read"),
    "a discount for each row": ("discount," + HEAD + "1," + ROW, "'discount' of the file cannot be read"),
    "too few cells": (HEAD + ROW + "0,0,1\n", "line 3, column 'next_state': the line has only 3 cells, the header 6"),
    "too many cells": (HEAD + "0,0,1,0,0,0,7\n", "line 2, column 'terminal': the line has more than 6 cells"),
    "cut short": (HEAD + ROW + "0,", "line 3, column 'action': the value is missing"),
    "other separators below": (HEAD + "0;0;1;0;0;0\n", "line 2, column 'action': the line has only 1 cells"),
    "a decimal comma": (
        HEAD.replace(",", ";") + "0;0;0,5;0;0;0\n",
        "a finite number .with a point, not a comma., found '0,5'",
    ),
    "a word for a probability": (
        HEAD + "0,0,half,0,0,0\n",
        "line 2, column 'probability': expected a finite number, found 'half'",
    ),
    "a word for a reward": (
        HEAD + ROW + "0,0,1,0,ten,0\n",
        "line 3, column 'reward': expected a finite number, found 'ten'",
    ),
    "a fraction": (HEAD + "0,0,1/2,0,0,0\n", "line 2, column 'probability': expected a finite number, found '1/2'"),
    "a percentage": (HEAD + "0,0,100%,0,0,0\n", "column 'probability': expected a finite number, found '100%'"),
    "a hexadecimal": (HEAD + "0,0,0x1,0,0,0\n", "found '0x1'"),
    "an underscore": (HEAD + "0,0,1,0,1_000,0\n", "found '1_000'"),
    "an infinite reward": (HEAD + "0,0,1,0,inf,0\n", "line 2, column 'reward': expected a finite number, found 'inf'"),
    "beyond floats": (HEAD + "0,0,1,0,1e999,0\n", "line 2, column 'reward': '1e999' is beyond the largest float"),
    "two numbers": (HEAD + "0,0,1,0,1 2,0\n", "found '1 2'"),
    "two points": (HEAD + "0,0,1,0,1.2.3,0\n", "found '1.2.3'"),
    "an exponent without a number": (HEAD + "0,0,1,0,1e,0\n", "found '1e'"),
    "a sign alone": (HEAD + "0,0,1,0,-,0\n", "found '-'"),
    "an empty probability": (HEAD + "0,0,,0,0,0\n", "line 2, column 'probability': the value is missing"),
    "an empty reward at the end": (HEAD + ROW + ROW + "0,0,1,0,,0\n", "line 4, column 'reward': the value is missing"),
    "NA": (HEAD + "0,0,1,0,NA,0\n", "line 2, column 'reward': the value is missing .'NA'"),
    "NaN": (HEAD + "0,0,nan,0,0,0\n", "column 'probability': the value is missing"),
    "null": (HEAD + "0,0,1,0,null,0\n", "column 'reward': the value is missing"),
    "an end that is missing": (HEAD + "0,0,1,0,0,\n", "line 2, column 'terminal': the value is missing"),
    "an end that is no truth": (
        HEAD + "0,0,1,0,0,2\n",
        "line 2, column 'terminal': expected 0, 1, true or false, found '2'",
    ),
    "an end in words": (HEAD + "0,0,1,0,0,never\n", "column 'terminal': expected 0, 1, true or false, found 'never'"),
    "a state that is missing": (HEAD + ",0,1,0,0,0\n", "line 2, column 'state': the value is missing"),
    "a name that is missing": (HEAD + "a,0,1,a,0,0\na,0,1,,0,0\n", "line 3, column 'next_state': the name is missing"),
    "a name that is NA": (
        HEAD + "a,0,1,NA,0,0\n",
        "line 2, column 'next_state': the name is missing .'NA'.; put it in quotes",
    ),
    "half a state": (HEAD + "0.5,0,1,0,0,0\n", "line 2, column 'state': '0.5' is not a whole number"),
    "half an action": (HEAD + "0,1.25,1,0,0,0\n", "line 2, column 'action': '1.25' is not a whole number"),
    "a quote that is not closed": (
        HEAD + '"a,0,1,0,0,0\n' + ROW,
        "line 2, column 'state': the quotation mark .* is never closed",
    ),
    "letters after a quote": (
        HEAD + '"a"b,0,1,0,0,0\n',
        "line 2, column 'state': something follows the closing quotation",
    ),
    "a negative probability": (
        HEAD + "0,0,-0.5,0,0,0\n0,0,1.5,0,0,0\n",
        "state 0, action 0 goes to state 0 with probability -0.5",
    ),
    "probabilities that do not add up": (HEAD + "0,0,0.5,0,0,0\n", "the probabilities of state 0, action 0 sum to 0.5"),
    "a state without rows": (HEAD + "0,0,1,1,0,0\n", "state 1 has no outcome"),
    "another encoding of the header": (
        "état,".encode("latin-1") + HEAD.encode() + b"0," + ROW.encode(),
        "line 1: the header is not UTF-8",
    ),
    "another encoding of a name": (
        HEAD.encode() + "é,0,1,é,0,0\n".encode("latin-1"),
        "line 2, column 'state': the text is not UTF-8",
    ),
    "UTF-16": ((HEAD + ROW).encode("utf-16"), "is not text in UTF-8"),
    "a binary file": (b"PK\x03\x04\x00\x00", "is not text in UTF-8"),
    "half an archive": (gzip.compress((HEAD + ROW * 99).encode())[:-9], "cannot be read"),
    "a reward beyond what is computed with": (HEAD + "0,0,1,0,1e300,0\n", "reward of 1e\\+300, beyond"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_said_in_one_sentence(tmp_path, case):
    text, sentence = MALFORMED[case]
    path = write(tmp_path, text)
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        distrl.read_csv(path, 0.9)
    told = str(caught.value)
    assert told.startswith(str(path)) and "\n" not in told and len(told) < 500


def test_a_file_that_is_not_there_and_a_path_that_is_none(tmp_path):
    with pytest.raises(ValueError, match=r"no\.csv does not exist"):
        distrl.read_csv(tmp_path / "no.csv", 0.9)
    with pytest.raises(ValueError, match="cannot be read"):
        distrl.read_csv(tmp_path, 0.9)
    with pytest.raises(TypeError, match="path must be a path"):
        distrl.read_csv(3, 0.9)
    with pytest.raises(ValueError, match=r"model.csv: no column 's', which columns= gives for state"):
        distrl.read_csv(write(tmp_path, GOOD), 0.9, {"state": "s"})
    with pytest.raises(ValueError, match="discount must lie in"):
        distrl.read_csv(write(tmp_path, GOOD), 2.0)


def test_rows_that_do_not_add_up_are_divided_on_request(tmp_path):
    path = write(tmp_path, GOOD.replace("0.5", "0.25"))
    with pytest.warns(UserWarning, match="were divided by their sum"):
        assert outcomes(distrl.read_csv(path, 0.9, normalise=True)) == WANTED


def test_random_damage_is_never_a_foreign_error(tmp_path):
    draw = random.Random(7)
    for _ in range(300):
        text = list(draw.choice([GOOD, FAMILY]))
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(text))
            text[place : place + draw.randint(0, 3)] = draw.choice(
                [*',;"\n\r\t .-e', "", "\x00", "é", "9" * 25, "a", '""', "inf"]
            )
        try:
            distrl.read_csv(write(tmp_path, "".join(text)), 0.9)
        except (ValueError, TypeError) as error:
            assert "\n" not in str(error), text


def test_numpy_is_the_only_dependency_of_the_reader(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.split(".")[0] in ("pandas", "polars", "pyarrow", "narwhals"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert np.isclose(distrl.read_csv(write(tmp_path, GOOD), 0.9).outcomes.probs.sum(), 2.0)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts for threads that are some lines long."""
    monkeypatch.setattr("distrl.models.tables.csv_scan._PART", 40)
    monkeypatch.setattr("distrl.models.tables.csv_scan._FIRST", 60)
    monkeypatch.setattr("distrl.models.tables.csv_scan.default_threads", lambda: 7)


def long_file(draw, text):
    """Lines of a process in which every state goes to two others, and the rows that they say."""
    rows = []
    for state in range(draw.randint(5, 60)):
        rows += [(state, 0, 0.25, 0, draw.gauss(0, 1), 0), (state, 0, 0.75, state, draw.randint(0, 9), 1)]
    named = (lambda s: f"s{s}") if text else str
    return [f"{named(s)},{a},{p!r},{named(y)},{r!r},{t}" for s, a, p, y, r, t in rows]


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n", "\r"])
def test_parts_give_what_the_whole_gives(tmp_path, small_parts, monkeypatch, text, ending):
    draw = random.Random(3)
    for _ in range(10):
        lines = long_file(draw, text)
        if draw.random() < 0.3:
            lines[draw.randrange(len(lines))] += ' "'[: draw.randint(0, 1)]
        path = write(tmp_path, ending.join([",".join(NAMES), *lines]) + draw.choice(["", ending]))
        in_parts = distrl.read_csv(path, 0.9)
        with monkeypatch.context() as alone:
            alone.setattr("distrl.models.tables.csv_scan.default_threads", lambda: 1)
            whole = distrl.read_csv(path, 0.9)
        assert outcomes(in_parts) == outcomes(whole) and list(in_parts.states) == list(whole.states)
        wanted = sorted((s, float(p)) for s, _, p, *_ in (line.replace("s", "").split(",") for line in lines))
        assert sorted((str(s), p) for s, p, *_ in outcomes(in_parts)) == wanted


def test_the_first_fault_of_a_long_file_is_the_one_that_is_named(tmp_path, small_parts):
    lines = long_file(random.Random(1), False)
    lines[7], lines[-1] = lines[7].replace("0.75", "much"), "0,0"
    with pytest.raises(ValueError, match=r"line 9, column 'probability': expected a finite number, found 'much'"):
        distrl.read_csv(write(tmp_path, "\n".join([",".join(NAMES), *lines])), 0.9)
    lines = long_file(random.Random(1), False)
    late = [*lines, "end,0,1,end,0,1"]  # text, after all that was looked at first
    assert distrl.read_csv(write(tmp_path, "\n".join([",".join(NAMES), *late])), 0.9).states[-1] == "end"
    lines[-2] = lines[-2].replace(",", ",,", 1)
    with pytest.raises(ValueError, match=rf"line {len(lines)}, column 'action': the value is missing"):
        distrl.read_csv(write(tmp_path, "\n".join([",".join(NAMES), *lines])), 0.9)


def test_cells_that_need_python_are_read_in_every_part(tmp_path, small_parts):
    texts = [*decimals(300, 5)]
    path = write(tmp_path, "state,probability,next_state,reward\n" + "".join(f"0,1,0,{each}\n" for each in texts))
    read = CsvText(path).columns(("state", "probability", "next_state", "reward"), None)["reward"]
    assert read.tolist() == [float(text) for text in texts]
