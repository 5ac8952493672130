"""Runs go out as data sets that hold, at each update and replication, what the run itself says of them."""

import numpy as np
import pytest

import distrl

pytest.importorskip("xarray")

MRP = distrl.MRP([[0.5, 0.5], [0.25, 0.75]], [2.0, -1.0], 0.9, states=["up", "down"])
LEARNT = [
    (distrl.TD(), "mean", None),
    (distrl.CategoricalTD(atoms=7), "probability", "atom"),
    (distrl.QuantileTD(5), "value", "level"),
    (distrl.ExpectileTD(3), "expectile", "tau"),
    (distrl.SketchTD(atoms=5), "embedding", "feature"),
]


@pytest.mark.parametrize(("method", "name", "axis"), LEARNT, ids=[type(row[0]).__name__ for row in LEARNT])
def test_each_entry_is_what_the_run_says_of_it(method, name, axis):
    run = distrl.learn(MRP, method, updates=12, records=[0, 5, 12], replications=2, rng=1)
    found = run.to_xarray()
    assert found[name].dims == ("update", "replication", "state", *([] if axis is None else [axis]))
    assert found["update"].values.tolist() == [0, 5, 12] and found["state"].values.tolist() == ["up", "down"]
    for update in (0, 5, 12):
        laws = found.sel(update=update)
        arrays = [each.values for each in (*laws.data_vars.values(), *laws.coords.values())]
        for stated in run.at(update).arrays().values():
            assert any(np.array_equal(stated, array) for array in arrays)
    np.testing.assert_array_equal(found["visits"].sel(state="down"), run.visits[:, 1])
    assert found.attrs["status"] == "DONE" and found.attrs["updates"] == 12
    assert found.attrs["method"] == repr(run.method) and found.attrs["sampling"] == "synchronous"


def test_means_over_updates_are_those_of_the_run():
    run = distrl.learn(MRP, distrl.CategoricalTD(atoms=9), updates=20, records=4, replications=3, rng=0)
    found = run.to_xarray()
    np.testing.assert_allclose((found["probability"] * found["atom"]).sum("atom"), run.values, atol=1e-12)


def test_a_run_that_recorded_nothing_is_an_empty_data_set():
    run = distrl.learn(MRP, distrl.QuantileTD(4), updates=3, records=[3], replications=2, rng=0)
    empty = type(run)(**{**{name: getattr(run, name) for name in run.__dataclass_fields__}, **NOTHING})
    assert dict(empty.to_xarray().sizes) == {"update": 0, "replication": 2, "state": 2, "level": 4}


NOTHING = {"updates": np.empty(0, dtype=int), "estimates": ()}


@pytest.mark.parametrize("even", [True, False])
def test_a_run_that_learnt_to_act_has_an_axis_of_actions_or_pairs(even):
    rows = [(0, 0, 1.0, 1, 2.0, False), (0, 1, 1.0, 0, -1.0, False), (1, 0, 1.0, 0, 3.0, False)]
    rows += [(1, 1, 1.0, 1, 1.0, False)] if even else []
    mdp = distrl.MDP.from_outcomes(rows, 0.5)
    batch = ("state", "action") if even else ("pair",)
    for method, name, axis in (
        (distrl.MeanQ(), "mean", []),
        (distrl.CategoricalQ(5), "probability", ["atom"]),
        (distrl.TargetQ(4), "loss", ["target"]),
    ):
        run = distrl.learn(mdp, method, updates=6, records=[2, 6], replications=2, rng=1)
        found = run.to_xarray()
        assert found[name].dims == ("update", "replication", *batch, *axis)
        assert found["visits"].dims == ("replication", *batch) and (found["visits"] == 6).all()
        stated = run.at(6).arrays()[{"mean": "values", "probability": "probs", "loss": "losses"}[name]]
        np.testing.assert_array_equal(found[name].sel(update=6), stated)
