"""Labels of states: given with a model, kept by what is made of it, and understood wherever states are asked for."""

import copy
import pickle

import numpy as np
import pytest

import distrl
from distrl.models import MDP, MRP, load, save
from distrl.models.labels import states_of

pytestmark = pytest.mark.fast

P = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
LABELS = {"goal": [False, False, True], "init": [0], "nowhere": []}
MASKS = {"goal": [False, False, True], "init": [True, False, False], "nowhere": [False, False, False]}


def masks(model):
    return {name: mask.tolist() for name, mask in model.labels.items()}


def reward_process():
    return MRP(P, [1.0, 1.0, 0.0], 0.9, labels=LABELS)


def decision_process():
    return MDP([P, P], [1.0, 1.0, 0.0], 0.9, labels=LABELS)


@pytest.mark.parametrize("make", [reward_process, decision_process])
def test_what_is_made_of_a_model_keeps_its_labels(make, tmp_path):
    model = make()
    assert masks(model) == MASKS
    save(model, tmp_path / "m.npz")
    for other in (
        model.with_discount(0.5),
        load(tmp_path / "m.npz"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        type(model).from_table(model.outcomes, 0.9, labels=model.labels),
    ):
        assert other.labels == model.labels and masks(other) == MASKS
        with pytest.raises(ValueError, match="read-only"):
            other.labels["goal"][0] = True


def test_a_policy_keeps_the_labels():
    assert decision_process().under("uniform").labels == decision_process().labels


def test_models_have_no_labels_by_default():
    for model in (MRP([[1.0]], [1.0], 0.5), distrl.environments.gridworld(), distrl.environments.chain(3, 0.5)):
        assert dict(model.labels) == {}


def test_the_mapping_is_read_only_and_compares_by_content():
    labels = reward_process().labels
    with pytest.raises(TypeError):
        labels["new"] = np.ones(3, dtype=bool)
    assert labels == reward_process().labels and labels != {"goal": np.ones(3, dtype=bool)} and labels != 3
    assert repr(labels) == "StateLabels('goal': 1 states, 'init': 1 states, 'nowhere': 0 states)"


def test_a_label_a_mask_and_positions_mean_states():
    model = reward_process()
    for target in ("goal", [False, False, True], np.array([False, False, True]), 2, [2], np.array([2, 2])):
        assert states_of(model, target).tolist() == [False, False, True]
    assert states_of(model, [0, 1]).tolist() == [True, True, False]
    assert not states_of(model, []).any()
    own = states_of(model, "goal")
    own[0] = True  # a copy
    assert masks(model) == MASKS


@pytest.mark.parametrize(
    ("target", "error", "sentence"),
    [
        ("end", ValueError, "target: the model has no label 'end', its labels are 'goal', 'init', 'nowhere'"),
        ([True, False], ValueError, r"mask of shape \(3,\)"),
        ([0, 0, 1], ValueError, "whole numbers are positions"),
        ([3], ValueError, "outside the range 0..2"),
        (-1, ValueError, "outside the range"),
        ([0.0, 1.0], TypeError, "mask of booleans or positions"),
        (None, TypeError, "mask of booleans or positions"),
        ([[0], [1, 2]], ValueError, "must be a mask or positions"),
        (np.ma.array([0, 1], mask=[0, 1]), ValueError, "masked"),
    ],
)
def test_what_means_no_states_is_refused(target, error, sentence):
    with pytest.raises(error, match=sentence):
        states_of(reward_process(), target)


def test_a_model_without_labels_says_so_and_a_states_name_is_pointed_out():
    model = MRP([[0.0, 1.0], [0.0, 1.0]], [0.0, 0.0], 0.5, states=["start", "end"])
    with pytest.raises(ValueError, match=r"no label 'end', it has none; a state has this name.*position, 1"):
        states_of(model, "end")


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        ({"goal": [True]}, ValueError, r"labels\['goal'\] must be a mask of shape \(3,\)"),
        ({"goal": [5]}, ValueError, r"labels\['goal'\]\[0\] is 5"),
        ({3: [0]}, TypeError, "names that are text, got 3"),
        ({"": [0]}, TypeError, "names that are text"),
        ({"goal": "init"}, TypeError, r"labels\['goal'\] must be a mask"),
        (["goal"], TypeError, "labels must map names"),
    ],
)
def test_labels_that_mean_nothing_are_refused(labels, error, sentence):
    with pytest.raises(error, match=sentence):
        MRP(P, [1.0, 1.0, 0.0], 0.9, labels=labels)


def test_a_damaged_file_of_labels_is_refused(tmp_path):
    save(reward_process(), tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as archive:
        fields = dict(archive)
    for damaged in (fields["label_masks"][:2], fields["label_masks"].astype(float)):
        np.savez(tmp_path / "bad.npz", **{**fields, "label_masks": damaged})
        with pytest.raises(ValueError, match=r"bad\.npz.*label_masks are not"):
            load(tmp_path / "bad.npz")


@pytest.mark.parametrize("make", [reward_process, decision_process])
def test_what_is_saved_with_a_solution_keeps_them_too(make, tmp_path):
    policy = None if make is reward_process else "uniform"
    solution = distrl.evaluate(make(), distrl.Moments(), policy=policy)
    solution.save(tmp_path / "s.npz")
    model = distrl.load(tmp_path / "s.npz").model
    assert model.labels == make().labels and not model.labels["goal"].flags.writeable


@pytest.mark.parametrize("make", [reward_process, decision_process])
def test_a_model_of_samples_keeps_those_of_the_model_that_was_sampled(make):
    model = make()
    drawn = distrl.GenerativeModel(model).sample(5, rng=0)
    assert drawn.labels == model.labels
    if make is decision_process:
        assert drawn.under("uniform").labels == model.labels
