"""Linear systems x = A x + b, solved matrix-free, against dense ones."""

import numpy as np
import pytest

from distrl.operators import linear

pytestmark = pytest.mark.fast


def chain(n, keep, push):
    """keep I + push (a step along a chain): a contraction in a weighted norm if keep < 1, in the largest entry only if
    keep + push < 1; until what is pushed leaves the chain, the largest entry grows."""
    return keep * np.eye(n) + push * np.eye(n, k=-1)


@pytest.mark.parametrize("restarts", [0, linear._RESTARTS])  # sweeps alone, and after BiCGSTAB
def test_a_residual_that_grows_at_first_is_swept_away(monkeypatch, restarts):
    monkeypatch.setattr(linear, "_RESTARTS", restarts)
    matrix, b = chain(100, 0.5, 0.6), np.eye(100)[0]
    growth = [np.abs(np.linalg.matrix_power(matrix, k) @ b).max() for k in (1, 50, 51, 100)]
    assert growth[1] > growth[0] and growth[3] > growth[2]  # for longer than rounding is waited for
    found = linear.solve_contraction(lambda v: matrix @ v, b)
    np.testing.assert_allclose(found, np.linalg.solve(np.eye(100) - matrix, b), rtol=1e-5, atol=1e-6 * found.max())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # it overflows before it is refused
def test_what_does_not_contract_is_refused(monkeypatch):
    monkeypatch.setattr(linear, "_RESTARTS", 0)
    matrix = chain(5, 1.5, 0.1)
    with pytest.raises(ValueError, match="did not converge"):
        linear.solve_contraction(lambda v: matrix @ v, np.ones(5))
