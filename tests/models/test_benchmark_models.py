"""Models of the PRISM benchmark suite come in by one line, and what is published of them comes out.

The files and their licence are in `data/prism`. Means are linear systems here; the least and the largest mean of a
decision process are found by value iteration over the outcomes, and probabilities by dense elimination.
"""

import pathlib

import numpy as np
import pytest

import distrl
from distrl.models import MDP, read_drn, read_prism, write_drn, write_prism

DATA = pathlib.Path(__file__).parent / "data" / "prism"


def mean(model):
    return float(distrl.evaluate(model, distrl.Moments()).values @ model.initial)


@pytest.mark.parametrize(
    ("name", "end", "value"),
    [
        ("leader_sync3_2", "target", 4 / 3),
        ("leader_sync4_3", "target", 1.35),
        ("haddad_monmege_20", "done", 3 * 2**19 - 2),
    ],
)
def test_published_means_of_chains(name, end, value):
    assert mean(read_prism(DATA / name, 1.0, terminal=end)) == pytest.approx(value, rel=1e-12)


def test_the_longest_mean_of_hermans_ring_of_five():
    ring = read_prism(DATA / "herman5", 1.0, terminal="target")
    assert ring.initial.tolist() == [1 / 32] * 32
    assert distrl.evaluate(ring, distrl.Moments()).values.max() == pytest.approx(3.2, rel=1e-12)


def test_the_crowd_sees_the_sender_as_often_as_is_published():
    crowds = read_prism(DATA / "crowds_3_5", 1.0)  # states without a way out are ends at discount 1
    target = crowds.labels["target"]
    matrix = np.where(target[:, None], 0.0, crowds.continuation.toarray())
    direct = np.bincount(  # the step that enters the target, which may be the walk's last
        crowds.outcomes.sources,
        weights=crowds.outcomes.probs * target[crowds.outcomes.next_states] * ~target[crowds.outcomes.sources],
        minlength=crowds.n_states,
    )
    matrix[:, target] = 0.0
    chance = np.linalg.solve(np.eye(crowds.n_states) - matrix, direct)
    assert float(chance @ crowds.initial) == pytest.approx(0.05296253509523565, rel=1e-12)


@pytest.mark.parametrize(("best", "value"), [(np.minimum, 48.0), (np.maximum, 75.0)])
def test_the_coins_of_two_processes_take_as_long_as_is_published(best, value):
    mdp = read_prism(DATA / "coin2_K2", 1.0, terminal="target")
    assert isinstance(mdp, MDP) and sorted(set(mdp.choices.numbers.tolist())) == [1, 2]
    table, found = mdp.outcomes, np.zeros(mdp.n_states)
    for _ in range(4000):  # steps until the rest is a 1e-12th
        after = table.probs * (table.rewards + np.where(table.terminals, 0.0, found[table.next_states]))
        found = best.reduceat(np.add.reduceat(after, table.indptr[:-1]), mdp.indptr[:-1])
    assert float(found @ mdp.initial) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", ["herman5", "leader_sync4_3", "coin2_K2", "crowds_3_5"])
def test_they_go_out_and_come_back(tmp_path, name):
    model = read_prism(DATA / name, 0.9, terminal="target")
    write_prism(model, tmp_path / "m", terminal="target")
    write_drn(model, tmp_path / "m.drn", terminal="target")
    for again in (read_prism(tmp_path / "m", 0.9, terminal="target"), read_drn(tmp_path / "m.drn", 0.9)):
        for field in ("indptr", "probs", "next_states", "rewards", "terminals"):
            np.testing.assert_array_equal(getattr(model.outcomes, field), getattr(again.outcomes, field))
        assert model.labels == again.labels
