"""Solutions that the first version saved are what this version computes: laws, statuses, certificates, intervals."""

import pathlib

import numpy as np
import pytest

import distrl
from distrl import MRP, FiniteLaw, environments, evaluate

FOLDER = pathlib.Path(__file__).parent / "version1"
MODEL = MRP([[0.5, 0.5], [0.2, 0.8]], [FiniteLaw([0.0, 4.0]), -1.0], 0.9, initial=[0.25, 0.75])
DECISIONS = environments.garnet(6, 2, 3, discount=0.9, rng=0)
FIXED_POINT = distrl.CategoricalFixedPoint(21)
SAVED = {
    "cfp": lambda: evaluate(MODEL, FIXED_POINT),
    "qdp": lambda: evaluate(MODEL, distrl.QuantileDP(7)),
    "br": lambda: evaluate(MODEL, distrl.Brackets(21)),
    "pdp": lambda: evaluate(MODEL, distrl.ParticleDP(21)),
    "mom": lambda: evaluate(MODEL, distrl.Moments(3)),
    "mc": lambda: evaluate(MODEL, distrl.MonteCarlo(30), rng=0),
    "mdp": lambda: evaluate(DECISIONS, FIXED_POINT, "uniform"),
    "est": lambda: distrl.estimate(DECISIONS, FIXED_POINT, "uniform", samples_per_state=30, rng=0),
}


@pytest.mark.fast
@pytest.mark.parametrize("name", SAVED)
def test_a_solution_of_the_first_version_is_what_is_computed_today(name):
    """The files were written before a `Result` was told from a `Solution`, and by classes in other modules."""
    old, new = distrl.load(FOLDER / f"{name}.npz"), SAVED[name]()
    assert type(old) is type(new) and repr(old) == repr(new) and old.method == new.method
    assert (old.status, old.iterations, old.tol, old.solver, old.reason) == (
        (new.status, new.iterations, new.tol, new.solver, new.reason)
    )
    for key, array in new.returns.arrays().items():
        np.testing.assert_array_equal(old.returns.arrays()[key], array)
    if new.certificate is not None:
        np.testing.assert_array_equal(old.certificate.w1, new.certificate.w1)
    np.testing.assert_array_equal(old.interval("cvar", 0.2), new.interval("cvar", 0.2))
    np.testing.assert_array_equal(old.enclosure("mean"), new.enclosure("mean"))
