"""PRISM's explicit files: hand-written ones are understood, ours read back bit for bit, damage is located."""

import gzip

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distrl.models import MDP, MRP, FiniteLaw, environments, from_gymnasium, read_prism, write_prism

pytestmark = pytest.mark.fast

DTMC = {
    ".tra": "4 6\n0 1 0.5\n0 2 .5\n1 1 1/4\n1 3 3/4 go\n2 0 1\n3 3 1e0\n",
    ".srew": '# Reward structure "steps"\n# State rewards\n4 2\n0 1\n1 2.5\n',
    ".trew": "4 2\n1 3 -0.5\n0 2 10\n",
    ".lab": '# Labels\n0="init" 1="deadlock" 2="goal"\n0: 0\n2: 0 1\n3: 2\n',
}
MDP_FILES = {
    ".tra": "2 4 5\n0 0 0 0.5 b\n0 0 1 0.5 b\n0 1 1 1 a\n1 1 0 1\n1 0 1 1\n",
    ".srew": "2 1\n0 1\n",
    ".trew": "# Reward structure\n# Transition rewards\n2 4 2\n0 1 1 3.5\n1 0 1 -1\n",
}
FIELDS = ("indptr", "probs", "next_states", "rewards", "terminals")


@pytest.fixture
def put(tmp_path):
    """Write files beside each other; returns their stem."""

    def write(files, **changes):
        stem = tmp_path / "model.v1"
        for suffix, text in {**files, **{f".{key}": value for key, value in changes.items()}}.items():
            if text is not None:
                (tmp_path / f"model.v1{suffix}").write_text(text)
        return stem

    return write


def rows(model):
    table = model.outcomes
    return list(
        zip(
            table.sources.tolist(),
            table.probs.tolist(),
            table.next_states.tolist(),
            table.rewards.tolist(),
            table.terminals.tolist(),
            strict=True,
        )
    )


def same(a, b):
    assert type(a) is type(b)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(a.outcomes, field), getattr(b.outcomes, field))
    assert (a.initial is None) == (b.initial is None)
    assert a.initial is None or np.array_equal(a.initial, b.initial)


def test_a_dtmc_becomes_an_mrp_whose_rewards_are_the_states_plus_the_transitions(put):
    mrp = read_prism(put(DTMC), 0.9)
    assert isinstance(mrp, MRP)
    assert rows(mrp) == [
        (0, 0.5, 1, 1.0, False),
        (0, 0.5, 2, 11.0, False),
        (1, 0.75, 3, 2.0, False),
        (1, 0.25, 1, 2.5, False),
        (2, 1.0, 0, 0.0, False),
        (3, 1.0, 3, 0.0, False),
    ]
    assert mrp.initial.tolist() == [0.5, 0, 0.5, 0]


def test_the_label_of_the_terminal_states_ends_the_return(put):
    stem = put(DTMC)
    mrp = read_prism(stem, 1.0, terminal="goal")
    assert rows(mrp)[3] == (1, 0.75, 3, 2.0, True) and mrp.terminal.tolist() == [False] * 3 + [True]
    assert read_prism(stem, 0.9, initial="goal").initial.tolist() == [0, 0, 0, 1]
    assert read_prism(stem, 0.9, initial=None).initial is None


def test_an_mdp_keeps_its_choices_in_order(put):
    mdp = read_prism(put(MDP_FILES), 0.9)
    assert isinstance(mdp, MDP) and mdp.initial is None
    assert rows(mdp) == [
        (0, 0.5, 0, 1.0, False),
        (0, 0.5, 1, 1.0, False),
        (1, 1.0, 1, 4.5, False),
        (2, 1.0, 1, -1.0, False),
        (3, 1.0, 0, 0.0, False),
    ]


def test_path_may_be_the_stem_or_the_transition_file(put):
    stem = put(DTMC)
    same(read_prism(str(stem), 0.9), read_prism(f"{stem}.tra", 0.9))


def test_missing_reward_files_count_as_zeros_and_missing_labels_as_none(put):
    mrp = read_prism(put({".tra": DTMC[".tra"]}), 0.9)
    assert not mrp.outcomes.rewards.any() and mrp.initial is None


def test_one_of_several_reward_structures_is_chosen_by_its_number(put):
    stem = put({".tra": "1 1\n0 0 1\n"})
    for number in (1, 2):
        stem.with_name(f"{stem.name}{number}.srew").write_text(f"1 1\n0 {number}\n")
    assert read_prism(stem, 0.5, rewards=2).expected_rewards.tolist() == [2]
    with pytest.raises(ValueError, match="there is no 3"):
        read_prism(stem, 0.5, rewards=3)


def test_repeated_transitions_add_up(put):
    assert rows(read_prism(put({".tra": "1 2\n0 0 0.5\n0 0 0.5\n"}), 0.5)) == [(0, 1.0, 0, 0.0, False)]


def test_a_terminal_state_may_have_no_transitions_or_other_choices(put):
    files = {".tra": "3 3 3\n0 0 1 1\n0 1 2 1\n1 0 1 1\n", ".lab": '0="end"\n1: 0\n2: 0\n', ".srew": "3 1\n0 1\n"}
    mdp = read_prism(put(files), 1.0, terminal="end")
    assert mdp.n_actions == 2 and mdp.terminal.tolist() == [False, True, True]


def test_every_state_may_be_terminal(put):
    assert read_prism(put({".tra": "2 0\n", ".lab": '0="end"\n0: 0\n1: 0\n'}), 1.0, terminal="end").terminal.all()


@st.composite
def arrays(draw):
    n, actions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    weights = st.lists(st.floats(0, 1).map(lambda x: x if x > 1e-3 else 0.0), min_size=n, max_size=n).filter(any)
    p = np.array([[draw(weights) for _ in range(n)] for _ in range(actions)])
    p /= p.sum(axis=2, keepdims=True)
    r = draw(st.lists(st.floats(-1e6, 1e6), min_size=actions * n * n, max_size=actions * n * n))
    mask = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    starts = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=float)
    initial = starts / starts.sum() if starts.any() else None
    r = np.reshape(r, (actions, n, n))
    r[:, np.array(mask)] = 0.0
    return p, r, mask, initial


@given(arrays(), st.booleans())
@example((np.ones((2, 1, 1)), np.zeros((2, 1, 1)), [True], None), False)
def test_what_is_written_reads_back_bit_for_bit(tmp_path_factory, model, chain):
    p, r, mask, initial = model
    first = MRP(p[0], r[0], 0.5, mask, initial) if chain else MDP(p, r, 0.5, mask, initial, axes="ass")
    stem = tmp_path_factory.mktemp("prism") / "m"
    write_prism(first, stem)
    same(first, read_prism(stem, 0.5, terminal="terminal"))


@pytest.mark.parametrize(
    "model", [environments.cycle(), environments.two_state(0.3), environments.garnet(rng=0)], ids=repr
)
def test_named_environments_round_trip(tmp_path, model):
    write_prism(model, tmp_path / "m.tra")
    same(model, read_prism(tmp_path / "m", 0.9))


def test_the_written_files_are_prisms(tmp_path):
    write_prism(MRP([[0.5, 0.5], [0, 1]], [1.0, 0.0], 0.9, [0, 1], [1, 0]), tmp_path / "m")
    assert (tmp_path / "m.tra").read_text() == "2 3\n0 0 0.5\n0 1 0.5\n1 1 1.0\n"
    assert (tmp_path / "m.trew").read_text() == "2 2\n0 0 1.0\n0 1 1.0\n"
    assert (tmp_path / "m.srew").read_text() == "2 0\n"
    assert (tmp_path / "m.lab").read_text() == '0="init" 1="terminal"\n0: 0\n1: 1\n'
    write_prism(MDP([[[1.0]], [[1.0]]], [[1.0, 0.0]], 0.9), tmp_path / "m")
    assert (tmp_path / "m.tra").read_text() == "1 2 2\n0 0 0 1.0\n0 1 0 1.0\n"
    assert (tmp_path / "m.trew").read_text() == "1 2 1\n0 0 0 1.0\n"


def test_writing_replaces_an_older_models_rewards(put):
    stem = put(DTMC)
    model = MRP([[1.0]], [7.0], 0.9)
    write_prism(model, stem)
    same(model, read_prism(stem, 0.9))


def test_what_the_format_cannot_say_is_refused(tmp_path):
    for model, sentence in (
        (MRP([[1.0]], [FiniteLaw([0, 1])], 0.9), "random reward"),
        (environments.absorbing(), "goes on"),
        (MRP(np.eye(2), [0, 1], 0.9, initial=[0.25, 0.75]), "not uniform"),
    ):
        with pytest.raises(ValueError, match=sentence):
            write_prism(model, tmp_path / "m")
    with pytest.raises(TypeError, match="MRP or an MDP"):
        write_prism("model", tmp_path / "m")
    with pytest.raises(ValueError, match="cannot be written"):
        write_prism(environments.cycle(), tmp_path / "no such folder" / "m")


BAD = {
    "no file": (DTMC, {"tra": None}, "model.v1.tra does not exist"),
    "an empty file": (DTMC, {"tra": ""}, "model.v1.tra is empty; expected a first line 'states transitions' or"),
    "a header of one number": (DTMC, {"tra": "4\n"}, "model.v1.tra, line 1: expected a first line"),
    "a header of text": (DTMC, {"srew": "# c\nfour 1\n"}, "model.v1.srew, line 2: expected a first line 'states ent"),
    "a cut file": (DTMC, {"tra": "2 3\n0 1 1\n1 0 1\n"}, "line 1: .*announces 3 transitions, but the file has 2"),
    "a cut line": (DTMC, {"tra": "2 2\n0 1 1\n1 0\n"}, "line 3: expected 'source target probability'.*found '1 0'"),
    "a state out of range": (DTMC, {"tra": "2 2\n0 1 1\n1 2 1\n"}, "line 3: .*target < 2.*found '1 2 1'"),
    "a negative state": (DTMC, {"tra": "2 2\n0 1 1\n1 -1 1\n"}, "line 3"),
    "a probability of text": (DTMC, {"tra": "2 2\n0 1 1\n1 0 one\n"}, "line 3"),
    "a NaN probability": (DTMC, {"tra": "2 2\n0 1 1\n1 0 NaN\n"}, "line 3"),
    "a negative probability": (DTMC, {"tra": "2 2\n0 1 1\n1 0 -1\n"}, "line 3"),
    "an interval": (DTMC, {"tra": "2 2\n0 1 1\n1 0 [0.1,0.2]\n"}, "line 3"),
    "an infinite reward": (DTMC, {"srew": "4 1\n0 Infinity\n"}, "srew, line 2: expected 'state reward', state < 4"),
    "a division by zero": (DTMC, {"srew": "4 1\n0 1/0\n"}, "srew, line 2"),
    "rows of rates": (DTMC, {"tra": "1 1\n0 0 3\n", "srew": None, "trew": None, "lab": None}, "state 0 sum to 3"),
    "a reward on a deadlock": (
        DTMC,
        {"tra": "4 3\n0 1 1\n1 3 1\n3 3 1\n", "trew": "4 1\n2 0 1\n"},
        "trew, line 2: a rew",
    ),
    "states by the billion": (DTMC, {"tra": "999999999999 1\n0 0 1\n", "lab": None}, "announces 999999999999 states"),
    "rewards of another model": (DTMC, {"srew": "5 1\n0 1\n"}, "not of one model"),
    "transition rewards of an MDP": (DTMC, {"trew": "4 4 1\n0 0 2 1\n"}, "trew, line 1"),
    "a reward on no transition": (DTMC, {"trew": "4 2\n0 1 1\n0 3 1\n"}, "trew, line 3: a reward on a transition"),
    "two rewards": (DTMC, {"trew": "4 2\n0 1 1\n0 1 2\n"}, "trew, line 3: expected one reward"),
    "two state rewards": (DTMC, {"srew": "4 2\n1 1\n1 2\n"}, "srew, line 3: expected one reward"),
    "rewards too large": (DTMC, {"srew": "4 1\n0 1e308\n", "trew": "4 1\n0 1 1e308\n"}, "float64"),
    "a damaged label file": (DTMC, {"lab": "0=init\n"}, "lab, line 1: expected a first line such as"),
    "an empty label file": (DTMC, {"lab": "\n"}, "lab is empty"),
    "a label twice": (DTMC, {"lab": '0="init" 1="init"\n0: 0\n'}, "lab, line 1: expected every number"),
    "a number twice": (
        DTMC,
        {"lab": '0="init" 0="goal"\n0: 0\n'},
        "lab, line 1: expected every number and every label",
    ),
    "an unknown label number": (DTMC, {"lab": '0="init"\n0: 3\n'}, "lab, line 2: expected 'state: labels'"),
    "a label without a state": (DTMC, {"lab": '0="init"\n9: 0\n'}, "lab, line 2"),
    "choices with a gap": (MDP_FILES, {"tra": "1 3 3\n0 0 0 1\n0 1 0 1\n0 1 0 0\n"}, "announces 3 choices.* has 2"),
    "choices misnumbered": (
        MDP_FILES,
        {"tra": "2 4 4\n0 0 1 1\n0 3 1 1\n1 0 1 1\n1 1 1 1\n"},
        "state 0 are not numbered from 0 to 1",
    ),
    "a choice out of range": (MDP_FILES, {"tra": "1 1 1\n0 5 0 1\n"}, "line 2: .*choice < 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_damage_is_located(put, case):
    files, changes, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence) as caught:
        read_prism(put(files, **changes), 0.9)
    assert "model.v1" in str(caught.value) and "\n" not in str(caught.value)


def test_a_label_that_is_not_there_is_named_with_those_that_are(put):
    stem = put(DTMC)
    with pytest.raises(ValueError, match=r"no label 'end' \(labels: 'init', 'deadlock', 'goal'\)"):
        read_prism(stem, 0.9, terminal="end")
    (stem.parent / "model.v1.lab").write_text('0="init" 1="empty"\n0: 0\n')
    with pytest.raises(ValueError, match="no state has the label 'empty'"):
        read_prism(stem, 0.9, initial="empty")
    with pytest.raises(ValueError, match="no label 'start'"):
        read_prism(stem, 0.9, initial="start")


def test_a_file_that_is_no_text_is_refused(put):
    stem = put(DTMC)
    (stem.parent / "model.v1.srew").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(ValueError, match=r"model\.v1\.srew cannot be read as text"):
        read_prism(stem, 0.9)


@given(st.data())
def test_any_damage_gives_a_model_or_a_value_error(tmp_path_factory, data):
    stem = tmp_path_factory.mktemp("prism") / "m"
    for suffix, text in data.draw(st.sampled_from([DTMC, MDP_FILES])).items():
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(text)))
            text = text[:at] + data.draw(st.text('0123456789 .-\n:="#e/x', max_size=4)) + text[at + 1 :]
        stem.with_name("m" + suffix).write_text(text)
    try:
        model = read_prism(stem, 0.9)
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = str(stem)
        assert np.isfinite(model.outcomes.rewards).all()
    assert str(stem) in sentence


def test_frozen_lake_round_trips_where_arrays_can_say_it(tmp_path):
    pytest.importorskip("gymnasium")
    lake = from_gymnasium("FrozenLake-v1", 0.9)
    write_prism(lake, tmp_path / "lake")
    same(lake, read_prism(tmp_path / "lake", 0.9, terminal="terminal"))


ONE_STATE = {".tra": "1 1\n0 0 1\n"}


def structures(*files):
    """{suffix: text} of a state with rewards: (number, header, reward) or (number, header, reward, '.trew')."""
    found = dict(ONE_STATE)
    for number, header, reward, *suffix in files:
        entry = f"1 1\n0 0 {reward}\n" if suffix else f"1 1\n0 {reward}\n"
        found[f"{number}{suffix[0] if suffix else '.srew'}"] = f"{header}{entry}"
    return found


def write(folder, files):
    for suffix, text in files.items():
        (folder / f"m{suffix}").write_text(text)
    return folder / "m"


NAMED = '# Reward structure: "{}"\n# State rewards\n'
OLDER = '# Reward structure "{}"\n# State rewards\n'


def test_several_reward_structures_are_listed_and_none_is_taken_for_zeros(tmp_path):
    stem = write(tmp_path, structures((1, NAMED.format("time"), 3), (2, OLDER.format("energy"), 5), (10, "", 7)))
    with pytest.raises(ValueError, match=r"1 'time' \(m1\.srew\); 2 'energy' \(m2\.srew\); 10 \(m10\.srew\); choose"):
        read_prism(stem, 0.5)
    for choice, reward in (("time", 3), ("energy", 5), (1, 3), (2, 5), (10, 7)):
        assert read_prism(stem, 0.5, choice).expected_rewards.tolist() == [reward]
    for choice in (3, "steps", "", "2"):
        with pytest.raises(ValueError, match=rf"1 'time' .*there is no {choice!r}"):
            read_prism(stem, 0.5, choice)
    with pytest.raises(TypeError, match="rewards must be a whole number"):
        read_prism(stem, 0.5, 1.5)


def test_a_lone_reward_structure_needs_no_choice_whatever_its_number(tmp_path):
    for k, files in enumerate([(("", NAMED.format("r"), 3),), ((1, OLDER.format("r"), 3),), ((2, "", 3),)]):
        folder = tmp_path / str(k)
        folder.mkdir()
        stem = write(folder, structures(*files))
        for choice in (None, "r", 1)[: 3 - k]:
            assert read_prism(stem, 0.5, choice).expected_rewards.tolist() == [3]
    (tmp_path / "bare").mkdir()
    bare = write(tmp_path / "bare", ONE_STATE)
    with pytest.raises(ValueError, match=r"m\.tra has no reward files; there is no 'r'"):
        read_prism(bare, 0.5, "r")


def test_a_structure_has_state_and_transition_rewards_of_one_name(tmp_path):
    stem = write(tmp_path, structures((1, NAMED.format("a"), 3), (1, NAMED.format("a"), 4, ".trew"), (2, "", 9)))
    assert read_prism(stem, 0.5, "a").expected_rewards.tolist() == [7]
    write(tmp_path, structures((2, NAMED.format("a"), 3)))
    with pytest.raises(ValueError, match="'a' is the name of several, choose by number"):
        read_prism(stem, 0.5, "a")
    assert read_prism(stem, 0.5, 2).expected_rewards.tolist() == [3]
    write(tmp_path, structures((1, NAMED.format("b"), 4, ".trew")))
    with pytest.raises(ValueError, match="name two reward structures"):
        read_prism(stem, 0.5, 1)


def test_a_file_without_a_number_is_not_passed_over_for_those_with_one(tmp_path):
    stem = write(tmp_path, structures(("", NAMED.format("own"), 1), (1, NAMED.format("other"), 2)))
    with pytest.raises(ValueError, match=r"without a number 'own' \(m\.srew\); 1 'other' \(m1\.srew\)"):
        read_prism(stem, 0.5)
    assert read_prism(stem, 0.5, "own").expected_rewards.tolist() == [1]
    assert read_prism(stem, 0.5, 1).expected_rewards.tolist() == [2]


def test_files_of_another_model_are_no_structures_of_this_one(tmp_path):
    stem = write(tmp_path, {**structures(("", "", 1)), "2.tra": "2 2\n0 0 1\n1 1 1\n", "2.srew": "2 1\n1 5\n"})
    assert read_prism(stem, 0.5).expected_rewards.tolist() == [1]
    assert read_prism(f"{stem}2", 0.5).expected_rewards.tolist() == [0, 5]


def test_a_reward_on_a_target_is_not_collected_as_in_prism(put):
    files = {".tra": "2 2\n0 1 1\n1 1 1\n", ".srew": "2 2\n0 3\n1 9\n", ".lab": '0="end"\n1: 0\n'}
    assert read_prism(put(files), 1.0, terminal="end").expected_rewards.tolist() == [3, 0]


@pytest.mark.parametrize("files", [DTMC, MDP_FILES], ids=["dtmc", "mdp"])
def test_compressed_files_and_byte_order_marks_change_nothing(tmp_path, put, files):
    plain = read_prism(put(files), 0.9)
    for suffix, text in files.items():
        with gzip.open(tmp_path / f"z{suffix}.gz", "wt", encoding="utf-8-sig", newline="\r\n") as file:
            file.write(text)
        (tmp_path / f"b{suffix}").write_bytes(b"\xef\xbb\xbf" + text.encode())
    for path in ("z", "z.tra", "z.tra.gz", "b"):
        same(plain, read_prism(tmp_path / path, 0.9))
    (tmp_path / "z.tra").write_text(files[".tra"])  # some plain, some not
    same(plain, read_prism(tmp_path / "z", 0.9))


def test_a_damaged_archive_is_named(tmp_path):
    whole = gzip.compress(DTMC[".tra"].encode())
    for content in (whole[:-9], b"4 6\n0 1 1\n", whole[:12] + b"\xff" * 9 + whole[21:]):
        (tmp_path / "m.tra.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"m\.tra\.gz cannot be read as text"):
            read_prism(tmp_path / "m", 0.9)
    with pytest.raises(ValueError, match="written plain"):
        write_prism(environments.cycle(), tmp_path / "m.tra.gz")


def test_rounded_probabilities_are_divided_on_demand(put):
    stem = put({".tra": "2 4\n0 0 0.333\n0 1 0.666\n1 0 0.5\n1 1 0.5\n"})
    with pytest.raises(ValueError, match=r"state 0 sum to 0\.999.*normalise=True"):
        read_prism(stem, 0.9)
    with pytest.warns(UserWarning, match="state 0 summed to 0.999"):
        assert read_prism(stem, 0.9, normalise=True).outcomes.probs.tolist() == pytest.approx([1 / 3, 2 / 3, 0.5, 0.5])
