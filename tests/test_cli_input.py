"""What is typed on the command line is what the model is made of: options, reward structures, files with a mark."""

import gzip
import sys

import numpy as np
import pytest

import distrl
from distrl.cli import main, reading

gymnasium = pytest.importorskip("gymnasium")


@pytest.fixture
def read(monkeypatch, capsys, tmp_path):
    """The model and policy that `distrl evaluate ARGUMENTS` would evaluate, or (exit status, its sentence)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        found = []
        monkeypatch.setattr(distrl, "evaluate", lambda model, *_, **__: found.append(model) or sys.exit(0))
        monkeypatch.setattr(sys, "argv", ["distrl", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return found[0] if found else (end.value.code, capsys.readouterr().err)

    return call


def same(a, b):
    for field in ("indptr", "probs", "next_states", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(a.outcomes, field), getattr(b.outcomes, field))


@pytest.mark.parametrize("word", ["no", "No", "off", "false", "FALSE", "0", "False"])
def test_no_is_no(read, word):
    lake = distrl.from_gymnasium("FrozenLake-v1", 0.9, is_slippery=False).under("uniform")
    same(read("FrozenLake-v1", "--discount", 0.9, "--option", f"is_slippery={word}"), lake)


@pytest.mark.parametrize("word", ["yes", "ON", "true", "1"])
def test_yes_is_yes(read, word):
    lake = distrl.from_gymnasium("FrozenLake-v1", 0.9, is_slippery=True).under("uniform")
    same(read("FrozenLake-v1", "--discount", 0.9, "--option", f"is_slippery={word}"), lake)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["map_name=8x8"], {"map_name": "8x8"}),
        (["map_name='8x8'"], {"map_name": "8x8"}),
        (['desc=["SF", "FG"]'], {"desc": ["SF", "FG"]}),
        (["desc=('SF', 'FG')"], {"desc": ["SF", "FG"]}),
        (["success_rate=0.5", "is_slippery=yes"], {"success_rate": 0.5}),
        (["success_rate=5e-1"], {"success_rate": 0.5}),
        (["reward_schedule=(1,0.5,0)"], {"reward_schedule": (1, 0.5, 0)}),
        (["reward_schedule=1,0.5,0"], {"reward_schedule": (1, 0.5, 0)}),
    ],
)
def test_numbers_lists_and_text_are_what_they_look_like(read, options, expected):
    parameters = reading.constructor_defaults("FrozenLake-v1")
    if not set(expected) <= set(parameters):
        pytest.skip("this gymnasium has no such parameter")
    typed = [part for text in options for part in ("--option", text)]
    expected = distrl.from_gymnasium("FrozenLake-v1", 0.9, **expected).under("uniform")
    same(read("FrozenLake-v1", "--discount", 0.9, *typed), expected)


def test_text_stays_text_where_text_is_wanted(monkeypatch):
    monkeypatch.setattr(
        reading, "constructor_defaults", lambda name: {"map": "4x4", "slip": True, "size": 3, "extra": None}
    )
    texts = ["map=no", "slip=no", "size=7", "extra=no", "other=on"]
    expected = {"map": "no", "slip": False, "size": 7, "extra": False, "other": True}
    assert reading.make_options("Lake-v0", texts) == expected
    texts = ["map=8", "slip=maybe", "extra='no'", 'other="7"']
    assert reading.make_options("Lake-v0", texts) == {"map": "8", "slip": "maybe", "extra": "no", "other": "7"}
    assert reading.make_options("Lake-v0", ["map=none", "extra=None"]) == {"map": None, "extra": None}


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("is_slippery=maybe", "is_slippery of FrozenLake-v1 must be True or False, got 'maybe'"),
        ("is_slippery='no'", "must be True or False, got 'no'"),
        ("is_slippery=", "must be True or False, got ''"),
        ("is_slippery=2", "must be True or False, got 2"),
        ("is_slippery=none", "must be True or False, got None"),
        ("discount=0.5", "discount is no option of it"),
        ("check=no", "check is no option of it"),
        ("=3", "expected KEY=VALUE"),
    ],
)
def test_what_is_neither_is_refused(read, option, sentence):
    status, err = read("FrozenLake-v1", "--discount", 0.9, "--option", option)
    assert status == 2 and sentence in err and err.count("\n") == 1


def test_an_option_that_is_given_twice_is_refused(read):
    typed = ("--option", "is_slippery=no", "--option", "is_slippery=yes")
    status, err = read("FrozenLake-v1", "--discount", 0.9, *typed)
    assert status == 2 and "is_slippery is given twice" in err


def test_a_reward_structure_is_chosen_by_number_or_name(read, tmp_path):
    (tmp_path / "m.tra").write_text("1 1\n0 0 1\n")
    for number, name in ((1, "time"), (2, "energy")):
        (tmp_path / f"m{number}.srew").write_text(f'# Reward structure: "{name}"\n# State rewards\n1 1\n0 {number}\n')
    status, err = read("m.tra", "--discount", 0.5)
    assert status == 2 and "1 'time' (m1.srew); 2 'energy' (m2.srew)" in err
    for choice, reward in ((1, 1), (2, 2), ("time", 1), ("energy", 2)):
        model = read("m.tra", "--discount", 0.5, "--rewards", choice)
        assert model.expected_rewards.tolist() == [reward]
    status, err = read("m.tra", "--discount", 0.5, "--rewards", "3")
    assert status == 2 and "there is no 3" in err
    status, err = read("FrozenLake-v1", "--discount", 0.5, "--rewards", 1)
    assert status == 2 and "--rewards is for PRISM files" in err


def test_a_compressed_file_is_a_model_too(read, tmp_path):
    (tmp_path / "m.tra.gz").write_bytes(gzip.compress(b"1 1\n0 0 1\n"))
    (tmp_path / "m.srew.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf1 1\n0 4\n"))
    assert read("m.tra.gz", "--discount", 0.5).expected_rewards.tolist() == [4]


def test_a_drn_file_is_a_model_too(read, tmp_path):
    text = "@type: DTMC\n@parameters\n\n@reward_models\nsteps cost\n@nr_states\n2\n@model\nstate 0 [1, 5]\n\t1 : 1\n"
    text += "state 1 [0, 0] end\n\t1 : 1\n"
    (tmp_path / "m.drn").write_text(text)
    (tmp_path / "z.drn.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("m.drn", "z.drn.gz"):
        model = read(name, "--discount", 0.5, "--rewards", "cost", "--terminal", "end")
        assert model.expected_rewards.tolist() == [5, 0] and model.terminal.tolist() == [False, True]
    status, err = read("m.drn", "--discount", 0.5)
    assert status == 2 and "structures 'steps', 'cost'; choose one" in err


CASSANDRA = "{}values: reward\nstates: 2\nactions: 1\nT: * identity\nR: * : 1 : * 3\n"
COURSE = "numStates 2\nnumActions 1\nend 1\ntransition 0 0 1 5 1\n{}"


@pytest.mark.parametrize(
    ("name", "text", "said", "reader"),
    [
        ("m.MDP", CASSANDRA, "discount: 0.75\n", distrl.read_cassandra),
        ("m.mdp.gz", CASSANDRA, "discount: 0.75\n", distrl.read_cassandra),
        ("m.POMDP", CASSANDRA, "discount: 0.75\n", distrl.read_cassandra),
        ("m.txt", COURSE, "discount 0.75\n", distrl.read_text),
        ("m.txt.gz", COURSE, "discount 0.75\n", distrl.read_text),
    ],
)
def test_a_file_with_a_discount_is_read_with_it_or_with_the_given_one(read, tmp_path, name, text, said, reader):
    def put(line):
        data = text.format(line).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    put(said)
    expected = reader(tmp_path / name).under("uniform")
    assert read(name).discount == 0.75 and read(name, "--discount", 0.5).discount == 0.5
    same(read(name), expected)
    put("")
    assert read(name, "--discount", 0.5).discount == 0.5
    status, err = read(name)
    assert status == 2 and "has no " in err and "give discount=" in err


def test_a_pomdp_is_refused_in_its_readers_words(read, tmp_path):
    (tmp_path / "tiger.POMDP").write_text(CASSANDRA.format("discount: 0.75\nobservations: 2\n"))
    status, err = read("tiger.POMDP")
    assert status == 2 and "line 2: this is a POMDP" in err


@pytest.mark.parametrize("name", ["model.xyz", "folder/model", "model.csv.gz", "there", "there.zip"])
def test_an_ending_that_is_not_known_is_answered_by_those_that_are(read, tmp_path, name):
    for file in ("there", "there.zip"):
        (tmp_path / file).write_text("")
    status, err = read(name, "--discount", 0.9)
    assert status == 2 and f"cannot tell what {name} is; a model file ends in" in err
    assert err.endswith(".npz, .tra, .drn, .MDP, .POMDP or .txt\n")


def test_what_looks_like_an_id_is_left_to_gymnasium(read):
    for name in ("ALE/Nowhere-v5", "no.where:Nothing", "Nothing", "No.Thing-v3"):
        status, err = read(name, "--discount", 0.9)
        assert status == 2 and f"cannot make '{name}'" in err


def test_rounded_rows_are_divided_on_demand_with_a_note(read, tmp_path, capsys):
    (tmp_path / "m.tra").write_text("1 2\n0 0 0.5\n0 0 0.49\n")
    status, err = read("m.tra", "--discount", 0.5)
    assert status == 2 and "sum to 0.99" in err and "normalise" in err
    assert read("m.tra", "--discount", 0.5, "--normalise").outcomes.probs.tolist() == [1.0]
    note = capsys.readouterr().err
    assert note.startswith("distrl: note: normalise: 1 of 1 rows") and "state 0 summed to 0.99" in note
    (tmp_path / "m.txt").write_text(COURSE.format("discount 0.5\n").replace("5 1\n", "5 0.99\n"))
    assert read("m.txt", "--normalise").outcomes.probs.tolist() == [1.0, 1.0]
    (tmp_path / "m.MDP").write_text(CASSANDRA.format("discount: 0.5\n").replace("identity", "\n.9 0\n0 .9"))
    assert read("m.MDP", "--normalise").outcomes.probs.tolist() == [1.0, 1.0]
    for name in ("m.txt", "m.MDP"):
        status, err = read(name, "--normalise", "--terminal", "goal")
        assert status == 2 and "--terminal is for PRISM files and Storm's" in err
    status, err = read("FrozenLake-v1", "--discount", 0.5, "--normalise")
    assert status == 2 and "--normalise is for PRISM files and others of text" in err


@pytest.mark.parametrize("name", ["p.csv", "p.txt"])
def test_a_byte_order_mark_before_a_policy_is_passed_over(read, tmp_path, name):
    text = "\n".join("1" if name == "p.txt" else "0,1,0,0" for _ in range(16))
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    expected = distrl.from_gymnasium("FrozenLake-v1", 0.9).under([1] * 16)
    same(read("FrozenLake-v1", "--discount", 0.9, "--policy", name), expected)


class Liar(gymnasium.Env):
    """Its table says 1, its step pays 2."""

    observation_space = action_space = gymnasium.spaces.Discrete(1)
    P = ((((1.0, 0, 1.0, False),),),)

    def reset(self, seed=None, options=None):
        return 0, {}

    def step(self, action):
        return 0, 2.0, False, False, {}


def test_the_check_of_steps_can_be_switched_off(read, monkeypatch):
    monkeypatch.setitem(gymnasium.registry, "Liar-v0", gymnasium.envs.registration.EnvSpec("Liar-v0", Liar))
    status, err = read("Liar-v0", "--discount", 0.9)
    assert status == 2 and "its step does not follow its table P" in err
    assert read("Liar-v0", "--discount", 0.9, "--no-check").expected_rewards.tolist() == [1.0]
    status, err = read("m.tra", "--discount", 0.9, "--no-check")
    assert status == 2 and "--no-check" in err
