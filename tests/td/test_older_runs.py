"""Files that earlier versions wrote can be read and their runs resumed."""

import pathlib

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl.td import Polynomial

pytestmark = pytest.mark.fast


def test_a_run_of_the_first_version_goes_on_bit_for_bit():
    """The file was written before its classes and fields got the names that they have now."""
    run = distrl.load(pathlib.Path(__file__).parent / "version1.npz")
    model = distrl.MRP([[0.5, 0.5], [0.2, 0.8]], [stats.norm(2.0, 1.0), -1.0], 0.9)
    method = distrl.QuantileTD(4, average_from=2)
    common = {"step_size": Polynomial(exponent=0.6), "replications": 2, "rng": 0, "sampling": "trajectory"}
    whole = distrl.learn(model, method, updates=50, records=[10, 20, 50], **common)
    rest = distrl.learn(model, method, updates=30, records=1, resume=run)
    np.testing.assert_array_equal(rest.updates, whole.updates)
    np.testing.assert_array_equal(rest.values, whole.values)
    np.testing.assert_array_equal(rest.visits, whole.visits)
