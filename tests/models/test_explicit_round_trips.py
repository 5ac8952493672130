"""What is written for model checkers reads back bit for bit, with names, labels and laws of first states."""

import gzip

import numpy as np
import pytest
from explicit_models import models, same
from hypothesis import given

from distrl.models import MDP, MRP, environments, read_drn, read_prism, write_drn, write_prism
from distrl.models.explicit.notes import known_of, note_of, tokens_of

pytestmark = pytest.mark.fast
OWN = ("init", "terminal")


@given(models())
def test_prism_files_read_back_bit_for_bit(tmp_path_factory, model):
    stem = tmp_path_factory.mktemp("prism") / "m"
    write_prism(model, stem)
    read = read_prism(stem, 0.5, terminal="terminal", absorbing="keep")
    same(model, read, OWN)
    assert (model.initial is None) == ("init" not in read.labels)
    assert read.labels["terminal"].tolist() == model.terminal.tolist() or model.outcomes.terminals.any()
    write_prism(read, stem.with_name("again"))
    for suffix in (".tra", ".srew", ".trew", ".lab"):
        first, second = (stem.with_name(f"{name}{suffix}").read_text() for name in ("m", "again"))
        if suffix != ".lab":  # in which labels have another order
            assert first == second


@given(models(of_transitions=False))
def test_drn_files_read_back_bit_for_bit_and_know_their_ends(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("drn") / "m.drn"
    write_drn(model, path)
    read = read_drn(path, 0.5)
    same(model, read, OWN)
    write_drn(read, path.with_name("again.drn"))
    same(read, read_drn(path.with_name("again.drn"), 0.5), OWN)


@pytest.mark.parametrize(
    "model", [environments.garnet(rng=0), environments.two_state(0.3), environments.cycle()], ids=repr
)
def test_named_environments_read_back_from_drn(tmp_path, model):
    write_drn(model, tmp_path / "m.drn")
    same(model, read_drn(tmp_path / "m.drn", model.discount), OWN)
    (tmp_path / "z.drn.gz").write_bytes(gzip.compress((tmp_path / "m.drn").read_bytes()))
    same(model, read_drn(tmp_path / "z.drn", model.discount), OWN)


def test_rewards_of_transitions_do_not_fit_a_drn_file(tmp_path):
    model = MDP([[[0.5, 0.5], [0, 1]]], [[[1.0, 2.0], [0, 0]]], 0.9, actions=["go"], states=["a", "b"], axes="ass")
    with pytest.raises(
        ValueError, match=r"state 'a', action 'go' has rewards that depend on the next state.*write_prism"
    ):
        write_drn(model, tmp_path / "m.drn")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [write_prism, write_drn])
def test_labels_that_mean_something_else_in_a_file_are_refused(tmp_path, write):
    chain = [[0.0, 1.0], [0.0, 1.0]]
    cases = (
        ({"init": [1]}, [1.0, 0.0], "label 'init' marks others than the states of the initial law"),
        ({"init": [1]}, None, "has a label 'init' and no initial law"),
        ({"terminal": [0]}, None, "label 'terminal' marks others than the states in which returns end"),
        ({"two words": [0]}, None, "'two words' has a blank"),
        ({'a"b': [0]}, None, "has a blank or a quotation mark"),
    )
    for labels, initial, sentence in cases:
        with pytest.raises(ValueError, match=sentence):
            write(MRP(chain, [1.0, 0.0], 0.9, [0, 1], initial, labels=labels), tmp_path / "m")
    model = MRP(chain, [1.0, 0.0], 0.9, [0, 1], labels={"terminal": [0]})
    write(model, tmp_path / "m", terminal="end")
    read = read_prism if write is write_prism else read_drn
    same(model, read(tmp_path / "m", 0.9, terminal="end"), ("end",))


def test_words_for_actions_are_identifiers_and_differ():
    assert tokens_of(["left", "a1", "go on", 3, ("x", 1)]) == ["left", "a1", "a2", "a3", "a4"]
    assert tokens_of(["go on", "a0"]) == ["aa0", "a0"]
    assert tokens_of(range(2)) == ["a0", "a1"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}', '{"states": 1}', '{"tokens": [1]}', '{"terminal": 3}'])
def test_damaged_comments_of_names_are_refused(text):
    with pytest.raises(ValueError, match="names that distrl wrote there are damaged"):
        known_of(text)
    for bad in ('{"tokens": ["a", "a"]}', '{"actions": ["a"]}', '{"states": [{}]}'):
        with pytest.raises(ValueError, match="damaged"):
            known_of(bad)


def test_names_that_no_text_can_hold_are_refused(tmp_path):
    model = MRP([[1.0]], [1.0], 0.5, states=[frozenset({1})])
    with pytest.raises(ValueError, match=r"frozenset\(\{1\}\), one of states, cannot be written"):
        write_prism(model, tmp_path / "m")
    assert note_of(MRP([[1.0]], [1.0], 0.5), None) == ""


def test_a_model_that_needs_no_names_has_no_comment(tmp_path):
    write_prism(MDP([np.eye(2), np.eye(2)], [1.0, 2.0], 0.9), tmp_path / "m")
    assert (tmp_path / "m.tra").read_text().startswith("2 4 4\n0 0 0 1.0\n")
