"""What files of model checkers say beside numbers: names, labels, deadlocks, ends, several forms; exact decimals."""

import gzip
import io
import lzma
import random
import tarfile
from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl.models import MDP, MRP, read_drn, read_prism
from distrl.models.explicit.table import read_table
from distrl.models.explicit.text import number, read_text

pytestmark = pytest.mark.fast

#: J. Knuth and A. Yao's die: a fair coin thrown until one of six faces is reached, after 11/3 throws on average.
DIE = [
    (0, 1),
    (0, 2),
    (1, 3),
    (1, 4),
    (2, 5),
    (2, 6),
    (3, 1),
    (3, 7),
    (4, 8),
    (4, 9),
    (5, 10),
    (5, 11),
    (6, 2),
    (6, 12),
]
ROBOT = {  # choices with names, as many as a state likes, and a state without any
    ".tra": "# Transitions (MDP)\n4 5 6\n0 0 1 0.5 east\n0 0 0 0.5 east\n0 1 2 1 south\n1 0 3 1 south\n1 1 0 1 west\n"
    "2 0 2 1 stuck\n",
    ".lab": '# Labels\n0="init" 1="deadlock" 2="goal"\n0: 0\n1: 0\n3: 1 2\n',
    ".trew": '# Reward structure "move"\n# Transition rewards\n4 5 2\n0 0 1 1\n0 1 2 2\n',
}


def write(folder, files, name="m"):
    for suffix, text in files.items():
        (folder / f"{name}{suffix}").write_text(text)
    return folder / name


def die(form):
    lines = [f"{s} {t} 0.5" for s, t in DIE] + [f"{s} {s} 1" for s in range(7, 13)]
    if form == "prism":
        return {
            ".tra": "\n".join(["13 20", *lines]),
            ".srew": "13 7\n" + "\n".join(f"{s} 1" for s in range(7)),
            ".lab": '0="init" 1="end" 2="six"\n0: 0\n' + "\n".join(f"{s}: 1" for s in range(7, 12)) + "\n12: 1 2",
        }
    if form == "storm":
        return {
            ".tra": "\n".join(["dtmc", *lines]),
            ".flips.trans.rew": "\n".join(f"{s} {t} 1" for s, t in DIE),
            ".lab": "#DECLARATION\ninit end six\n#END\n0 init\n12 six end\n"
            + "\n".join(f"{s} end" for s in range(7, 12)),
        }
    text = "@type: DTMC\n@parameters\n\n@reward_models\nflips\n@nr_states\n13\n@model\n"
    for state in range(13):
        labels = ["init"] * (state == 0) + ["end"] * (state > 6) + ["six"] * (state == 12)
        text += " ".join([f"state {state} [{int(state < 7)}]", *labels]) + "\n\taction 0 [0]\n"
        targets = [t for s, t in DIE if s == state]
        text += "".join(f"\t\t{t} : 0.5\n" for t in targets) or f"\t\t{state} : 1\n"
    return {".drn": text}


@pytest.mark.parametrize("form", ["prism", "storm", "drn"])
def test_knuths_die_needs_eleven_thirds_of_a_throw_in_every_form(tmp_path, form):
    path = write(tmp_path, die(form))
    read = read_prism if form != "drn" else read_drn
    model = read(path if form != "drn" else f"{path}.drn", 1.0)  # absorbing states are ends at discount 1
    assert isinstance(model, MRP) and model.terminal.sum() == 6
    assert distrl.evaluate(model, distrl.Moments()).values[0] == pytest.approx(11 / 3, rel=1e-12)
    assert sorted(model.labels) == ["end", "init", "six"]
    assert np.flatnonzero(model.labels["six"]).tolist() == [12] and model.labels["end"].sum() == 6
    assert model.initial.tolist() == [1.0] + [0.0] * 12
    again = read(path if form != "drn" else f"{path}.drn", 1.0, terminal="end")
    np.testing.assert_array_equal(model.outcomes.probs, again.outcomes.probs)
    kept = read(path if form != "drn" else f"{path}.drn", 0.9, absorbing=None)
    assert not kept.terminal.any()


def test_names_of_choices_are_the_actions_where_they_tell_them_apart(tmp_path):
    stem = write(tmp_path, ROBOT)
    mdp = read_prism(stem, 0.9, terminal="goal")
    assert list(mdp.actions) == ["east", "south", "west", "stuck"]
    assert mdp.available.tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]]
    policy = {0: "east", 1: "south", 2: "stuck", 3: "east"}
    assert mdp.under(policy).expected_rewards.tolist() == [0.5, 0.0, 0.0, 0.0]
    assert mdp.initial.tolist() == [0.5, 0.5, 0.0, 0.0]
    by_place = read_prism(stem, 0.9, terminal="goal", actions="positions")
    assert list(by_place.actions) == [0, 1] and by_place.available.tolist() == [[1, 1], [1, 1], [1, 0], [1, 1]]


def test_choices_without_names_or_with_one_name_twice_are_positions(tmp_path):
    for old, new in ((" south\n1 0", " east\n1 0"), (" east", "")):
        text = ROBOT[".tra"].replace(old, new)
        stem = write(tmp_path, {**ROBOT, ".tra": text.replace(" west", "").replace(" south", "") if not new else text})
        assert list(read_prism(stem, 0.9, terminal="goal").actions) == [0, 1]
        with pytest.raises(ValueError, match=r"m\.tra: two choices of state [01] have the name"):
            read_prism(stem, 0.9, terminal="goal", actions="names")
    write(tmp_path, {".tra": "1 1 1\n0 0 0 1\n"}, "bare")
    with pytest.raises(ValueError, match=r"bare\.tra: its choices have no names"):
        read_prism(tmp_path / "bare", 0.9, actions="names")


def test_a_table_of_names_that_is_mostly_empty_is_not_made(tmp_path):
    n = 400
    lines = [f"{s} 0 {s} 1 name{s}" for s in range(n)]
    stem = write(tmp_path, {".tra": "\n".join([f"{n} {n} {n}", *lines])})
    assert list(read_prism(stem, 0.9).actions) == [0]
    assert read_prism(stem, 0.9, actions="names").n_actions == n


def test_deadlocks_stay_where_they_are_and_it_is_said(tmp_path):
    stem = write(tmp_path, ROBOT)
    with pytest.warns(UserWarning, match=r"m\.tra: state 3 has no transitions and is given a loop"):
        mdp = read_prism(stem, 0.9)
    assert list(mdp.actions) == ["east", "south", "west", "stuck", ""]
    looped = read_prism(stem, 0.9, deadlocks="loop")
    assert looped.available[3].tolist() == [0, 0, 0, 0, 1] and not looped.terminal.any()
    ended = read_prism(stem, 0.9, deadlocks="end")
    assert ended.terminal.tolist() == [False, False, False, True]
    with pytest.raises(ValueError, match="state 3 has no transitions; give it some, or a label"):
        read_prism(stem, 0.9, deadlocks="refuse")
    # the file in which the loop is there says the same
    fixed = ROBOT[".tra"].replace("4 5 6", "4 6 7") + "3 0 3 1\n"
    same = read_prism(write(tmp_path, {**ROBOT, ".tra": fixed, ".trew": "4 6 2\n0 0 1 1\n0 1 2 2\n"}, "fixed"), 0.9)
    assert list(same.actions) == list(looped.actions) and np.array_equal(same.available, looped.available)
    np.testing.assert_array_equal(same.outcomes.rewards, looped.outcomes.rewards)


def test_a_deadlock_collects_what_its_state_pays(tmp_path):
    stem = write(tmp_path, {".tra": "2 1\n0 1 1\n", ".srew": "2 2\n0 1\n1 3\n"})
    mrp = read_prism(stem, 0.5, deadlocks="loop")
    assert distrl.evaluate(mrp, distrl.Moments()).values.tolist() == pytest.approx([4.0, 6.0])
    forever = read_prism(stem, 1.0, deadlocks="loop")
    with pytest.raises(ValueError, match="state 1 is never left and pays"):
        distrl.evaluate(forever, distrl.Moments())
    assert distrl.evaluate(forever, distrl.Moments(), horizon=3).values.tolist() == [7.0, 9.0]


def test_a_loop_of_less_than_probability_one_is_no_end(tmp_path):
    stem = write(tmp_path, {".tra": "2 2\n0 1 1\n1 1 0.5\n"})
    with pytest.raises(ValueError, match=r"state 1 sum to 0\.5"):
        read_prism(stem, 1.0)


def test_a_row_that_does_not_sum_to_one_is_named_by_its_line(tmp_path):
    for name, old, line in (("a", "1 0 3 1 south", 6), ("b", "0 0 0 0.5 east", 3)):
        text = ROBOT[".tra"].replace(old, old.replace(" 1 s", " 0.9 s").replace("0.5", "0.4"))
        write(tmp_path, {**ROBOT, ".tra": text}, name)
        with pytest.raises(
            ValueError, match=rf"{name}\.tra, line {line}: the probabilities of state ., action .* sum to"
        ):
            read_prism(tmp_path / name, 0.9, terminal="goal")
    text = DRN_HEAD.format("MDP", "double", "", "", 2).replace("@nr_choices\n1", "@nr_choices\n3")
    text += (
        "state 0\n// action 9\n\taction go\n\t\t0 : 1\n\taction stay\n\t\t0 : 0.5\nstate 1\n\taction go\n\t\t1 : 1\n"
    )
    write(tmp_path, {".drn": text})
    line = text.split("\n").index("\taction stay") + 1
    with pytest.raises(
        ValueError, match=rf"m\.drn, line {line}: the probabilities of state 0, action 'stay' sum to 0\.5"
    ):
        read_drn(tmp_path / "m.drn", 0.9)
    write(tmp_path, {".drn": "@type: DTMC\n@nr_states\n2\n@model\nstate 0\n0 : 1\nstate 1\n\n\t1 : .5\n"})
    with pytest.raises(ValueError, match=r"m\.drn, line 9: the probabilities of state 1 sum to 0\.5"):
        read_drn(tmp_path / "m.drn", 0.9)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"deadlocks": "stay"}, ValueError, "deadlocks must be 'loop', 'end', 'refuse' or None, got 'stay'"),
        ({"absorbing": True}, ValueError, "absorbing must be 'end', 'keep' or None"),
        ({"actions": "both"}, ValueError, "actions must be 'names', 'positions' or None"),
        ({"normalise": 1}, TypeError, "normalise must be True or False"),
        ({"terminal": 3}, TypeError, "terminal must be the name of a label"),
        ({"initial": [0]}, TypeError, "initial must be the name of a label"),
    ],
)
def test_options_are_looked_at_before_a_file_is(options, error, sentence):
    for read in (read_prism, read_drn):
        with pytest.raises(error, match=sentence):
            read("no such file", 0.9, **options)


def test_labels_of_storm_may_be_almost_anything(tmp_path):
    lab = '#DECLARATION\none \t9 &\ttwo  "\t\n three\n#END\n1 one \t\tthree\t\n2 two  "  \n3 three two two\n\n'
    model = read_prism(write(tmp_path, {".tra": "0 1 1\n1 2 1\n2 3 1\n3 0 1\n", ".lab": lab}), 0.9)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in model.labels.items()} == {
        "one": [1],
        "9": [],
        "&": [],
        "two": [2, 3],
        '"': [2],
        "three": [1, 3],
    }
    write(tmp_path, {".lab": "#DECLARATION\na b\n#END\n1 a c\n"})
    with pytest.raises(ValueError, match=r"m\.lab, line 4: expected 'state label label ...' .* declared labels"):
        read_prism(tmp_path / "m", 0.9)


def test_storms_rewards_are_found_by_the_names_of_their_files(tmp_path):
    chain = {".tra": "mDp\n0 0 1 1\n1 0 1 1\n1 1 0 1\n", ".state.rew": "0 1\n", ".cost.trans.rew": "1 1 0 5\n"}
    stem = write(tmp_path, chain)
    with pytest.raises(ValueError, match=r"1 \(m\.state\.rew\); 2 'cost' \(m\.cost\.trans\.rew\); choose one"):
        read_prism(stem, 0.9)
    assert read_prism(stem, 0.9, "cost").outcomes.rewards.tolist() == [0.0, 0.0, 5.0]
    assert read_prism(stem, 0.9, 1).outcomes.rewards.tolist() == [1.0, 0.0, 0.0]
    write(tmp_path, {".tra": chain[".tra"], ".rew": "0 0 1 7\n"}, "plain")
    assert read_prism(tmp_path / "plain", 0.9).outcomes.rewards.tolist() == [7.0, 0.0, 0.0]
    write(tmp_path, {".rew": "0 2\n"}, "plain")
    assert read_prism(tmp_path / "plain", 0.9).outcomes.rewards.tolist() == [2.0, 0.0, 0.0]


def test_one_file_may_hold_all_parts(tmp_path):
    parts = die("prism")
    whole = f"# Transitions (DTMC)\n{parts['.tra']}\n\n# States\n(s)\n0:(0)\n\n# Labels\n{parts['.lab']}\n\n"
    whole += f'# Reward structure "flips"\n# State rewards\n{parts[".srew"]}\n\n# Reward structure "flips"\n'
    whole += '# Transition rewards\n13 0\n\n# Reward structure "other"\n# State rewards\n13 1\n0 9\n'
    (tmp_path / "die.pexp").write_text(whole)
    (tmp_path / "packed.pexp.xz").write_bytes(lzma.compress(whole.encode()))
    for path in ("die.pexp", "die", "packed.pexp.xz", "packed"):
        model = read_prism(tmp_path / path, 1.0, "flips", terminal="end")
        assert distrl.evaluate(model, distrl.Moments()).values[0] == pytest.approx(11 / 3, rel=1e-12)
        assert read_prism(tmp_path / path, 1.0, 2, terminal="end").expected_rewards[0] == 9
    (tmp_path / "bad.pexp").write_text(whole.replace("3 7 0.5", "3 7 x"))
    with pytest.raises(ValueError, match=r"bad\.pexp, line 10: expected 'source target probability'"):
        read_prism(tmp_path / "bad.pexp", 1.0, 1)
    (tmp_path / "bad.pexp").write_text(whole.replace("\n4 1\n5 1", "\n4 1\n4 1"))
    line = whole.split("\n").index("5 1", 40) + 1
    with pytest.raises(ValueError, match=rf"bad\.pexp, line {line}: expected one reward an entry"):
        read_prism(tmp_path / "bad.pexp", 1.0, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# Transitions (CTMC)\n1 1\n0 0 1\n", "line 1: this is a model of type CTMC: rates"),
        ("# Transitions (IMDP)\n1 1 1\n0 0 0 [1,1]\n", "line 1: this is a model of type IMDP: intervals"),
        ("1 1 1 1\n- - 0 - 0\n0 0 0 1 0\n", "line 1: this is a model of type POMDP"),
        ("ctmc\n0 0 1\n", "line 1: this is a model of type CTMC"),
        ("1 1\n0 1:0\n", "line 1: this is PRISM's form with a line for each row"),
        ("P = sparse(1,1);\nP(1,1)=1;\n", "for MATLAB"),
        ("1 1 1\n0 0 0 1 go on\n", "line 2: expected 'source choice target probability'"),
        ("1 1 1\n0 0 0 1 0.5\n", "line 2: expected an action's name after the probability, found '0.5'"),
    ],
)
def test_models_of_other_types_are_named(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_prism(write(tmp_path, {".tra": text}), 0.9)


DRN_HEAD = "@type: {}\n@value_type: {}\n@parameters\n{}\n@reward_models\n{}\n@nr_states\n{}\n@nr_choices\n1\n@model\n"


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (("CTMC", "double", "", "", 1), "line 1: this is a model of type CTMC"),
        (("Markov Automaton", "double", "", "", 1), "line 1: this is a model of type MARKOV AUTOMATON"),
        (("POMDP", "double", "", "", 1), "line 1: this is a model of type POMDP"),
        (("DTMC", "double-interval", "", "", 1), "line 2: values are of type 'double-interval'"),
        (("DTMC", "parametric", "p q", "", 1), "line 2: values are of type 'parametric'"),
        (("DTMC", "double", "p q", "", 1), "line 4: the model has the parameters p q; give them values"),
        (("DTMC", "double", "", "a a", 1), "line 6: expected every reward structure once"),
        (("DTMC", "double", "", "", 0), "line 8: expected a number of states or choices"),
        (("DTMC", "double", "", "", 10**12), "announces 1000000000000 states"),
    ],
)
def test_heads_of_drn_files_that_cannot_be_read_say_why(tmp_path, head, sentence):
    (tmp_path / "m.drn").write_text(DRN_HEAD.format(*head) + "state 0\n\taction 0\n\t\t0 : 1\n")
    with pytest.raises(ValueError, match=sentence):
        read_drn(tmp_path / "m.drn", 0.9)


def test_drn_files_may_leave_out_what_goes_without_saying(tmp_path):
    body = '\nstate 0 "a label" init\n//[s=0]\n1 : 1/3\n 1 : 1/6\n0\t:\t5e-1\n\n    state 1\n'
    (tmp_path / "m.drn").write_text(
        "// by hand\n@type: DTMC\n@parameters\n\n@reward_models\n\n@nr_states\n2\n@model" + body
    )
    model = read_drn(tmp_path / "m.drn", 0.9, deadlocks="end")
    assert model.outcomes.probs.tolist() == [0.5, 1 / 3 + 1 / 6, 1.0] and list(model.labels) == ["a label", "init"]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        file.add(tmp_path / "m.drn", "m.drn")
    (tmp_path / "packed.drn.gz").write_bytes(archive.getvalue())
    packed = read_drn(tmp_path / "packed.drn", 0.9, deadlocks="end")
    np.testing.assert_array_equal(packed.outcomes.probs, model.outcomes.probs)


def test_a_reward_structure_of_a_drn_file_is_chosen_by_name_or_number(tmp_path):
    text = DRN_HEAD.format("MDP", "double", "", "steps cost", 1) + "state 0 [1, 0.5]\n\taction go [2, 1/4]\n\t\t0 : 1\n"
    (tmp_path / "m.drn").write_text(text)
    for choice, reward in (("steps", 3.0), ("cost", 0.75), (1, 3.0), (2, 0.75)):
        mdp = read_drn(tmp_path / "m.drn", 0.9, choice)
        assert isinstance(mdp, MDP) and mdp.outcomes.rewards.tolist() == [reward] and list(mdp.actions) == ["go"]
    for choice in ("time", 3):
        with pytest.raises(ValueError, match=rf"structures 'steps', 'cost'; there is no {choice!r}"):
            read_drn(tmp_path / "m.drn", 0.9, choice)
    with pytest.raises(ValueError, match="structures 'steps', 'cost'; choose one"):
        read_drn(tmp_path / "m.drn", 0.9)


def tokens(seed, count):
    """Decimals of every kind, near and exactly half way between two floats among them."""
    draw = random.Random(seed)
    for _ in range(count):
        half_way = (draw.getrandbits(53) | 1 << 52) << 1 | 1
        yield draw.choice(
            (
                repr(draw.random()),
                repr(draw.random() * 10.0 ** draw.randint(-300, 300)),
                f"{draw.random():.{draw.randint(1, 25)}g}",
                f"{draw.getrandbits(64)}e{draw.randint(-340, 285)}",
                str(half_way << draw.randint(0, 9)),
                f"{half_way * 5 ** draw.randint(1, 4)}e-{draw.randint(1, 4)}",
                f"{draw.getrandbits(12)}.{draw.getrandbits(30)}E+{draw.randint(0, 30)}",
                f"{draw.getrandbits(20)}/{draw.getrandbits(30) + 1}",
                f"{draw.getrandbits(80)}/{draw.getrandbits(70) + 1}",
                f"0.{'0' * draw.randint(0, 30)}{draw.getrandbits(40)}",
                f"{draw.randint(0, 9)}.",
                f".{draw.randint(0, 99)}",
                "4.9e-324",
                "2.2250738585072011e-308",
                "1.7976931348623157e308",
                "9007199254740993",
            )
        )


def test_decimals_are_rounded_as_python_rounds_them(tmp_path):
    listed = list(tokens(1, 3000))
    signed = [("-" if k % 3 == 0 else "+" if k % 3 == 1 else "") + token for k, token in enumerate(listed)]
    (tmp_path / "t").write_text("".join(f"{k} {token} name{k % 70}\r\n" for k, token in enumerate(signed)))
    table = read_table(read_text(tmp_path / "t"), 0, 1, [3000], "", negative=True, named=True, header=())
    wanted = [float(Fraction(token)) if "/" in token else float(token) for token in signed]
    assert [value.hex() for value in table.values.tolist()] == [value.hex() for value in wanted]
    assert [table.spelled[code] for code in table.codes] == [f"name{k % 70}" for k in range(3000)]
    assert table.index[0].tolist() == list(range(3000))


@pytest.mark.parametrize(
    "token", ["", "x", "1_0", "0x1", "inf", "nan", "1e999", "1/0", "1//2", "--1", "1e", ".", "٣", "1e9/2"]
)
def test_what_is_no_decimal_is_none(token):
    assert number(token) is None


def test_tables_are_read_in_pieces_where_much_is_odd(tmp_path):
    """More odd values and names than there is room for at first."""
    lines = [f"{k} 0.{'3' * 25} n{k}" for k in range(1000)]
    with gzip.open(tmp_path / "t.gz", "wt") as file:
        file.write("# comment\n\n" + "\n".join(lines))
    table = read_table(read_text(tmp_path / "t.gz"), 0, 1, [1000], "", negative=False, named=True, header=())
    assert (table.values == float("0." + "3" * 25)).all() and len(table.spelled) == 1000
