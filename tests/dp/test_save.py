"""A saved solution states its laws again, whatever their representation."""

import csv

import numpy as np
import pytest

from distrl import MRP, Brackets, CategoricalFixedPoint, Moments, MonteCarlo, ParticleReturns, evaluate

pytestmark = pytest.mark.fast
MODEL = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9)


def saved(method, path):
    solution = evaluate(MODEL, method, rng=0)
    solution.save(path / "solution.npz")
    with np.load(path / "solution.npz", allow_pickle=False) as archive:
        return solution, {name: archive[name] for name in archive.files}


def test_categorical_laws_and_their_bound(tmp_path):
    solution, arrays = saved(CategoricalFixedPoint(21), tmp_path)
    np.testing.assert_allclose(arrays["probs"] @ arrays["atoms"], [6.5, 3.5], atol=1e-9)
    np.testing.assert_array_equal(arrays["w1_bound"], solution.certificate.w1)


def test_samples(tmp_path):
    _, arrays = saved(MonteCarlo(50), tmp_path)
    np.testing.assert_allclose((arrays["particles"] * arrays["weights"]).sum(axis=1), arrays["values"])


def test_moments(tmp_path):
    solution, arrays = saved(Moments(3), tmp_path)
    np.testing.assert_array_equal(arrays["central_moments"][2], solution.returns.var())


@pytest.mark.parametrize("order", ["convex", "stochastic"])
def test_both_laws_of_a_bracket_with_what_intervals_need(tmp_path, order):
    solution, arrays = saved(Brackets(21, order=order), tmp_path)
    upper = arrays["upper_probs"] @ arrays["upper_atoms"]
    np.testing.assert_allclose(upper, solution.returns.upper.mean(), rtol=1e-12)
    if order == "convex":
        lower = ParticleReturns(arrays["lower_particles"], arrays["lower_weights"])
        np.testing.assert_array_equal(lower.cvar(0.1), solution.returns.lower.cvar(0.1))
    else:
        assert "slack_mass" in arrays
    assert {"slack_lower", "slack_upper", "mean_error"} <= set(arrays)


def test_the_table_as_csv_and_other_names_refused(tmp_path):
    solution = evaluate(MODEL, CategoricalFixedPoint(21))
    solution.save(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["state", "mean"] and float(rows[1][1]) == solution.values[0]
    with pytest.raises(ValueError, match="npz or"):
        solution.save(tmp_path / "solution.xlsx")
