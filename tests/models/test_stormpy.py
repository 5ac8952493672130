"""Models of stormpy: little is asked of one, so that a stand-in can say it; where stormpy is, so does the real one."""

from types import SimpleNamespace

import numpy as np
import pytest

import distrl
from distrl.models import MDP, MRP, from_stormpy, read_drn, write_drn

pytestmark = pytest.mark.fast


class Entry:
    def __init__(self, column, value):
        self.column, self._value = column, value

    def value(self):
        return self._value


class Matrix:
    """Rows of {column: value}, and the row at which each state begins."""

    def __init__(self, rows, starts):
        self.rows, self.starts, self.nr_rows = rows, starts, len(rows)

    def get_row(self, row):
        return [Entry(column, value) for column, value in self.rows[row].items()]

    def get_row_group_start(self, state):
        return self.starts[state]


def rewards(of_states=None, of_choices=None, of_transitions=None):
    return SimpleNamespace(
        has_state_rewards=of_states is not None,
        state_rewards=of_states,
        has_state_action_rewards=of_choices is not None,
        state_action_rewards=of_choices,
        has_transition_rewards=of_transitions is not None,
        transition_rewards=of_transitions,
    )


def model(kind="MDP", names=(("go",), ("stay",), ("go",), ()), **changes):
    """Three states: the first has two choices, the last is the goal."""
    mdp = kind == "MDP"
    rows = [{1: 0.5, 2: 0.5}, {0: 1.0}, {2: 1.0}, {2: 1.0}] if mdp else [{1: 0.5, 2: 0.5}, {2: 1.0}, {2: 1.0}]
    starts = [0, 2, 3] if mdp else [0, 1, 2]
    labels = {"init": [0], "goal": [2], "never": []}
    by_transition = Matrix([{2: 7.0}, {}, {}, {}] if mdp else [{2: 7.0}, {}, {}], starts)
    fields = {
        "model_type": SimpleNamespace(name=kind),
        "nr_states": 3,
        "transition_matrix": Matrix(rows, starts),
        "labeling": SimpleNamespace(get_labels=lambda: set(labels), get_states=labels.__getitem__),
        "reward_models": {
            "steps": rewards(of_states=[1.0, 1.0, 0.0]),
            "cost": rewards(None, [2.0, 3.0, 0.0, 0.0][: len(rows)], by_transition),
        },
        "has_choice_labeling": lambda: mdp,
        "choice_labeling": SimpleNamespace(get_labels_of_choice=lambda choice: set(names[choice])),
    }
    return SimpleNamespace(**{**fields, **changes})


def test_a_chain_becomes_an_mrp():
    mrp = from_stormpy(model("DTMC"), 1.0, "steps", terminal="goal")
    assert isinstance(mrp, MRP) and mrp.initial.tolist() == [1.0, 0.0, 0.0]
    assert distrl.evaluate(mrp, distrl.Moments()).values.tolist() == pytest.approx([1.5, 1.0, 0.0])
    assert {name: np.flatnonzero(mask).tolist() for name, mask in mrp.labels.items()} == {
        "goal": [2],
        "init": [0],
        "never": [],
    }
    costs = from_stormpy(model("DTMC"), 0.9, "cost")
    assert costs.expected_rewards.tolist() == [0.5 * 2 + 0.5 * 9, 3.0, 0.0]


def test_a_decision_process_keeps_the_names_of_its_choices():
    mdp = from_stormpy(model(), 0.9, 2)
    assert isinstance(mdp, MDP) and list(mdp.actions) == ["go", "stay", ""]
    assert mdp.available.tolist() == [[True, True, False], [True, False, False], [False, False, True]]
    assert mdp.under({0: "stay", 1: "go", 2: ""}).expected_rewards.tolist() == [3.0, 0.0, 0.0]
    assert mdp.under({0: "go", 1: "go", 2: ""}).expected_rewards.tolist() == [0.5 * 2 + 0.5 * 9, 0.0, 0.0]
    assert list(from_stormpy(model(), 0.9, 2, actions="positions").actions) == [0, 1]


def test_exact_numbers_are_rounded_once():
    class Rational:
        def __str__(self):
            return "1/3"

    rows = [{1: Rational(), 2: "2/3"}, {2: 1}, {2: "1"}]
    mrp = from_stormpy(model("DTMC", transition_matrix=Matrix(rows, [0, 1, 2])), 0.9, 1)
    assert mrp.outcomes.probs.tolist() == [1 / 3, 2 / 3, 1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"model_type": SimpleNamespace(name="CTMC")}, ValueError, "is of type CTMC"),
        ({"transition_matrix": None}, TypeError, "sparse model of stormpy"),
        ({"transition_matrix": Matrix([{1: "p"}, {2: 1}, {2: 1}], [0, 1, 2])}, ValueError, "has the value 'p'"),
        (
            {"transition_matrix": Matrix([{1: 0.5}, {2: 1}, {2: 1}], [0, 1, 2])},
            ValueError,
            "stormpy: .*state 0 sum to 0.5",
        ),
        ({"reward_models": {"a": None, "b": None}}, ValueError, "stormpy has the reward structures 'a', 'b'; choose"),
    ],
)
def test_what_is_no_such_model_is_refused(change, error, sentence):
    with pytest.raises(error, match=sentence):
        from_stormpy(model("DTMC", **{"reward_models": {}, **change}), 0.9)
    with pytest.raises(TypeError, match="sparse model of stormpy, got str"):
        from_stormpy("model", 0.9)


DICE = """mdp
module dice
  s : [0..3] init 0;
  [left] s=0 -> 0.25 : (s'=1) + 0.75 : (s'=2);
  [right] s=0 -> 1 : (s'=2);
  [left] s=1 -> 0.5 : (s'=0) + 0.5 : (s'=3);
  [right] s=2 -> 1/3 : (s'=1) + 2/3 : (s'=3);
  [done] s=3 -> true;
endmodule
label "goal" = s=3;
rewards "time" [left] true : 1; [right] true : 2; s=1 : 0.5; endrewards
"""


def test_what_stormpy_builds_and_computes_is_what_we_read_and_compute(tmp_path):
    stormpy = pytest.importorskip("stormpy")
    (tmp_path / "m.prism").write_text(DICE)
    program = stormpy.parse_prism_program(str(tmp_path / "m.prism"))
    options = stormpy.BuilderOptions()
    for switch in ("choice_labels", "all_labels", "all_reward_models"):
        getattr(options, f"set_build_{switch}")()
    older = getattr(stormpy, "build_sparse_model_with_options", None)
    built = older(program, options) if older else stormpy.build_model(program, options=options)
    mdp = from_stormpy(built, 1.0, "time", terminal="goal")
    assert set(mdp.actions) == {"left", "right"}
    for wanted, pick in (("max", max), ("min", min)):
        formula = stormpy.parse_properties(f'R{{"time"}}{wanted}=? [F "goal"]', program)[0]
        checked, start = stormpy.model_checking(built, formula), built.initial_states[0]
        found = checked.at(start) if hasattr(checked, "at") else checked.get_value(start)
        values = [
            distrl.evaluate(mdp, distrl.Moments(), policy=[mdp.actions.index(first), *rest]).values @ mdp.initial
            for first in ("left", "right")
            for rest in [rest_of(mdp)]
        ]
        assert pick(values) == pytest.approx(found, rel=1e-5)  # its own tolerance is 1e-6
    write_drn(from_stormpy(built, 0.9, "time"), tmp_path / "m.drn")
    again = from_stormpy(stormpy.build_model_from_drn(str(tmp_path / "m.drn")), 0.9)
    here = read_drn(tmp_path / "m.drn", 0.9)
    np.testing.assert_array_equal(again.outcomes.probs, here.outcomes.probs)
    np.testing.assert_array_equal(again.outcomes.rewards, here.outcomes.rewards)
    np.testing.assert_array_equal(again.outcomes.next_states, here.outcomes.next_states)


def rest_of(mdp):
    """The only action of every state but the first, or any where the return has ended."""
    return [int(np.argmax(mdp.available[state])) for state in range(1, mdp.n_states)]
