"""Results go out as frames and data sets, with the names of states and actions and with what they are certified to."""

import numpy as np
import pytest

import distrl

ROWS = {
    "state": ["low", "low", "high", "high", "out"],
    "action": ["wait", "climb", "wait", "jump", "wait"],
    "probability": [1.0, 1.0, 1.0, 1.0, 1.0],
    "next_state": ["low", "high", "high", "out", "out"],
    "reward": [0.0, -1.0, 1.0, 5.0, 0.0],
    "terminal": [False, False, False, False, True],
}
MDP = distrl.MDP.from_outcomes(ROWS, 0.8)
POLICY = {"low": "climb", "high": {"wait": 0.5, "jump": 0.5}, "out": "wait"}
METHODS = [
    distrl.CategoricalFixedPoint(atoms=31),
    distrl.QuantileDP(20),
    distrl.ExpectileDP(5),
    distrl.ParticleDP(20),
    distrl.Moments(3),
    distrl.Brackets(atoms=31),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_result_is_a_data_set(method):
    pytest.importorskip("xarray")
    sol = distrl.evaluate(MDP, method, policy=POLICY)
    found = sol.to_xarray()
    assert found["state"].values.tolist() == ["low", "high", "out"] and found.attrs["status"] == sol.status.name
    for array in sol.returns.arrays().values():
        held = [*found.data_vars.values(), *found.coords.values()]
        assert any(each.shape == array.shape and np.array_equal(each.values, array) for each in held)
    if sol.certificate is not None:
        np.testing.assert_array_equal(found["w1"].values, sol.certificate.w1)
        assert found.attrs["certificate_of"] == "the true law"


def test_the_laws_of_actions_are_one_too():
    pytest.importorskip("xarray")
    sol = distrl.evaluate(MDP, distrl.CategoricalFixedPoint(atoms=31), policy=POLICY)
    found = sol.to_xarray(actions=True)
    assert found["probability"].dims == ("pair", "atom")
    pairs = list(zip(found["state"].values.tolist(), found["action"].values.tolist(), strict=True))
    assert pairs == [("low", "wait"), ("low", "climb"), ("high", "wait"), ("high", "jump"), ("out", "wait")]
    np.testing.assert_array_equal(found["probability"].values, sol.action_returns.probs)
    even = distrl.MDP([[[0.5, 0.5], [0, 1]], [[1, 0], [1, 0]]], [1.0, 0.0], 0.5, states=["x", "y"], actions=["a", "b"])
    sol = distrl.evaluate(even, distrl.QuantileDP(10), policy="uniform")
    found = sol.to_xarray(actions=True)
    assert dict(found.sizes) == {"state": 2, "action": 2, "level": 10}
    np.testing.assert_array_equal(found["w1"].values.ravel(), sol.action_certificate.w1)
    np.testing.assert_array_equal(found["value"].sel(state="y", action="a"), sol.action_returns[1, 0].values)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_the_table_is_a_frame(backend):
    pytest.importorskip(backend)
    sol = distrl.evaluate(MDP, distrl.CategoricalFixedPoint(atoms=31), policy=POLICY)
    frame = sol.to_frame(backend=backend)
    columns = {name: np.asarray(frame[name]) for name in ("state", *sol.table())}
    assert columns.pop("state").tolist() == ["low", "high", "out"]
    for name, column in sol.table().items():
        np.testing.assert_array_equal(columns[name], column)
    asked = sol.to_frame(distrl.CVaR(0.25), "variance", backend=backend)
    names = list(getattr(asked, "column_names", asked.columns))
    assert names[:4] == [
        "state",
        distrl.CVaR(0.25).label,
        f"{distrl.CVaR(0.25).label} >=",
        f"{distrl.CVaR(0.25).label} <=",
    ]
    np.testing.assert_array_equal(np.asarray(asked[names[1]]), sol.returns.cvar(0.25))


def test_an_estimate_says_that_its_intervals_are_statistical():
    pytest.importorskip("pandas")
    est = distrl.estimate(MDP, distrl.CategoricalFixedPoint(atoms=31), policy=POLICY, samples_per_state=50, rng=0)
    assert "mean 95% delta >=" in est.to_frame(distrl.Mean()).columns
