"""save and load: bit for bit, atomic, and no trust in files."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distrl.models import MDP, MRP, FiniteLaw, environments, load, save

FIELDS = ("indptr", "probs", "next_states", "rewards", "terminals", "laws")
LAWS = [
    FiniteLaw([0.1, 3.0], [1 / 3, 2 / 3]),
    stats.norm(1, 0.3),
    stats.gamma(2.5, scale=0.1),
    stats.poisson(3),
    stats.nbinom(4, 0.3, loc=2),
    stats.truncnorm(-1, 2, loc=0.5),
    stats.t(df=3),
    7.5,
]


def same(a, b):
    assert type(a) is type(b) and a.discount == b.discount and a.layout == b.layout
    for field in FIELDS:
        left, right = getattr(a.outcomes, field), getattr(b.outcomes, field)
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    assert [law.key for law in a.outcomes.reward_laws] == [law.key for law in b.outcomes.reward_laws]
    assert [type(law) for law in a.outcomes.reward_laws] == [type(law) for law in b.outcomes.reward_laws]
    assert (a.initial is None) == (b.initial is None)
    assert a.initial is None or np.array_equal(a.initial, b.initial)


def with_laws():
    n = len(LAWS)
    return MRP(np.full((n, n), 1 / n), LAWS, 0.95, initial=np.full(n, 1 / n), layout=(2, n // 2))


@pytest.mark.parametrize(
    "model",
    [
        with_laws(),
        MDP([np.eye(2), np.full((2, 2), 0.5)], [[LAWS[0], 1.0], [LAWS[1], LAWS[3]]], 0.5),
        environments.chain(5, 0.3, 1.0),
        environments.gridworld(slip=0.1),
        environments.garnet(30, 2, 3, rng=0),
        environments.cantor(),
    ],
    ids=repr,
)
def test_a_model_comes_back_bit_for_bit(tmp_path, model):
    save(model, tmp_path / "m.npz")
    same(model, load(tmp_path / "m.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


@given(st.data())
def test_random_tables_come_back_bit_for_bit(tmp_path_factory, data):
    n = data.draw(st.integers(1, 4))
    rows = []
    for state in range(n):
        weights = np.array(data.draw(st.lists(st.floats(1e-3, 1), min_size=1, max_size=5)))
        for p in weights / weights.sum():
            reward = data.draw(st.floats(-1e99, 1e99))
            rows.append((state, p, data.draw(st.integers(0, n - 1)), reward, data.draw(st.booleans())))
    model = MRP.from_outcomes(rows, data.draw(st.floats(0, 0.999)), states=n)
    path = tmp_path_factory.mktemp("models") / "m"
    save(model, path)
    same(model, load(path))


def test_the_path_is_taken_as_it_is_and_an_older_file_replaced(tmp_path):
    for model in (environments.cycle(), environments.cantor()):
        save(model, str(tmp_path / "model"))
    same(load(tmp_path / "model"), environments.cantor())


def test_the_file_needs_no_pickle(tmp_path):
    save(with_laws(), tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as archive:
        assert str(archive["format"]) == "distrl model" and archive["version"] == 1
        assert all(archive[name].dtype != object for name in archive.files)


def test_a_failed_save_leaves_the_older_file_and_no_scraps(tmp_path, monkeypatch):
    save(environments.cycle(), tmp_path / "m.npz")
    monkeypatch.setattr(np, "savez_compressed", lambda file, **fields: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(environments.cantor(), tmp_path / "m.npz")
    same(load(tmp_path / "m.npz"), environments.cycle())
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


class Own(stats.rv_continuous):
    def _pdf(self, x):
        return np.where((x > 0) & (x < 1), 1.0, 0.0)


def test_a_law_that_cannot_be_written_down_is_named(tmp_path):
    for law in (Own(a=0, b=1, name="uniform")(), Own(a=0, b=1, name="own")()):
        with pytest.raises(ValueError, match="cannot be saved"):
            save(MRP([[1.0]], [law], 0.9), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(TypeError, match="MRP or an MDP"):
        save({"P": 1}, tmp_path / "m")
    with pytest.raises(TypeError, match="path must be"):
        save(environments.cycle(), 3)
    with pytest.raises(TypeError, match="path must be"):
        load(None)
    with pytest.raises(ValueError, match="cannot be written"):
        save(environments.cycle(), tmp_path / "no folder" / "m")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"text", pickle.dumps({"a": 1}), b"\x93NUMPY\x01\x00" + b"\xff" * 20],
    ids=["empty", "zip head", "text", "pickle", "npy head"],
)
def test_foreign_bytes_are_refused(tmp_path, content):
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.npz is damaged or not a distrl model file"):
        load(path)


def test_missing_files_folders_and_other_archives_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"m\.npz does not exist"):
        load(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="not a file"):
        load(tmp_path)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match=r"other\.npz is not a distrl model file"):
        load(tmp_path / "other.npz")
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(ValueError, match="not a zip archive"):
        load(tmp_path / "array.npy")
    np.savez(tmp_path / "objects.npz", format=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="damaged or not"):
        load(tmp_path / "objects.npz")


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "m.npz"
    save(with_laws(), path)
    with np.load(path) as archive:
        return dict(archive)


def changed(fields, **changes):
    new = {**fields, **changes}
    return {name: value for name, value in new.items() if value is not None}


def poke(array, index, value):
    copy = array.copy()
    copy[index] = value
    return copy


def law_json(**entry):
    return np.array(json.dumps([None, {"name": "norm", "args": [], "kwds": {}, **entry}]))


BAD = {
    "a later version": (lambda f: {"version": np.array(2)}, "format version 2.*update distrl"),
    "a missing field": (lambda f: {"probs": None}, "no field 'probs'"),
    "no version": (lambda f: {"version": None}, "no field 'version'"),
    "a wrong kind": (lambda f: {"kind": np.array("POMDP")}, "kind is 'POMDP'"),
    "a negative probability": (lambda f: {"probs": poke(f["probs"], 0, -1)}, "negative"),
    "a NaN probability": (lambda f: {"probs": poke(f["probs"], 0, np.nan)}, "finite"),
    "a wrong probability": (lambda f: {"probs": f["probs"] * 0.9}, "sum to 0.9"),
    "a next state out of range": (lambda f: {"next_states": poke(f["next_states"], 3, 99)}, r"next_states\[3\] is 99"),
    "a negative next state": (lambda f: {"next_states": poke(f["next_states"], 3, -1)}, r"next_states\[3\] is -1"),
    "a law out of range": (lambda f: {"law_of_row": poke(f["law_of_row"], 0, 50)}, r"law_of_row\[0\] is 50"),
    "a column too short": (lambda f: {"rewards": f["rewards"][:-1]}, "entries for"),
    "a mask too short": (lambda f: {"terminals": f["terminals"][:-1]}, "terminals"),
    "an index that does not cut": (lambda f: {"indptr": f["indptr"][::-1].copy()}, "indptr"),
    "an index out of range": (lambda f: {"indptr": f["indptr"] + 1}, "indptr"),
    "another number of states": (lambda f: {"n_states": np.array(3)}, "do not fit 3 states|outside"),
    "a discount above 1": (lambda f: {"discount": np.array(1.5)}, "discount"),
    "an initial law": (lambda f: {"initial": f["initial"] * 2}, "initial sums to 2"),
    "a layout": (lambda f: {"layout": np.array([9, 9])}, "layout"),
    "laws that are not JSON": (lambda f: {"laws": np.array("{")}, "not JSON"),
    "laws that are no list": (lambda f: {"laws": np.array("3")}, "not a list"),
    "an unknown law": (lambda f: {"laws": law_json(name="os")}, "no distribution 'os'"),
    "a function for a law": (lambda f: {"laws": law_json(name="describe")}, "no distribution 'describe'"),
    "a law's parameters": (lambda f: {"laws": law_json(args=[1, 2, 3, 4])}, "does not take these parameters"),
    "a law of infinite mean": (lambda f: {"laws": law_json(name="cauchy")}, "no finite mean"),
    "a finite law's arrays": (lambda f: {"finite_indptr": np.array([0])}, "do not hold 1 laws"),
    "a finite law's weights": (lambda f: {"finite_probs": f["finite_probs"] * 2}, "sums to 2"),
    "complex rewards": (lambda f: {"rewards": f["rewards"] * 1j}, "rewards"),
}


@pytest.mark.parametrize("case", BAD)
def test_contents_are_validated(tmp_path, fields, case):
    change, sentence = BAD[case]
    path = tmp_path / "m.npz"
    np.savez(path, **changed(fields, **change(fields)))
    with pytest.raises(ValueError, match=sentence) as caught:
        load(path)
    assert "m.npz" in str(caught.value) and "\n" not in str(caught.value)


@given(st.data())
def test_any_damage_gives_a_model_or_a_value_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "m.npz"
    save(environments.two_state(), path)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        broken = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        broken = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    path.write_bytes(broken)
    sentence = "m.npz"
    try:
        same(load(path), environments.two_state())  # a byte that does not matter, or its own value
    except ValueError as error:
        sentence = str(error)
    assert "m.npz" in sentence
