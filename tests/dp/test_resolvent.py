"""Linear systems over states, against dense solves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from distrl._kernels.resolvent import bicgstab
from distrl.dp.resolvent import Resolvent

pytestmark = pytest.mark.fast


def chain(n, successors, rng):
    rows = np.repeat(np.arange(n), successors)
    columns = rng.integers(0, n, n * successors)
    return sparse.csr_array((rng.dirichlet(np.ones(successors), n).ravel(), (rows, columns)), shape=(n, n))


@given(st.integers(1, 30), st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.9, 0.99]), st.integers(0, 2**32 - 1))
def test_bicgstab_solves_or_says_that_it_does_not(n, successors, discount, seed):
    rng = np.random.default_rng(seed)
    matrix = sparse.csr_array(discount * chain(n, successors, rng))
    rhs, found = rng.normal(size=n), np.empty(n)
    pointers, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    if bicgstab(pointers, columns, matrix.data, rhs, 1e-10, 200, found):
        # its own residual, a recurrence, may drift from the true one; |u - v| <= |(I - A)^-1| |residual|
        expected = np.linalg.solve(np.eye(n) - matrix.toarray(), rhs)
        assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max() / (1.0 - discount)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.99])
def test_bicgstab_needs_few_iterations_on_random_graphs(discount):
    rng = np.random.default_rng(0)
    matrix = sparse.csr_array(discount * chain(500, 5, rng))
    rhs, found = rng.normal(size=500), np.empty(500)
    pointers, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    assert bicgstab(pointers, columns, matrix.data, rhs, 1e-10, 40, found)
    assert np.linalg.norm(rhs + matrix @ found - found) <= 1e-9 * np.linalg.norm(rhs)
    assert discount == 0.0 or not bicgstab(pointers, columns, matrix.data, rhs, 1e-10, 1, found)


@pytest.mark.parametrize("n", [100, 400, pytest.param(2000, marks=pytest.mark.slow_without_jit)])
@pytest.mark.parametrize("kind", ["random", "shuffled line", "forward"])
@pytest.mark.parametrize("discount", [0.9, 0.999])
def test_every_way_of_solving_is_exact_to_rounding(n, kind, discount):
    rng = np.random.default_rng(n)
    if kind == "random":
        matrix = chain(n, 4, rng)
    elif kind == "forward":
        rows = np.arange(n)
        matrix = sparse.csr_array((np.ones(n), (rows, np.minimum(rows + 1 + rows % 3, n - 1))), shape=(n, n))
    else:
        place = rng.permutation(n)
        rows = np.concatenate([place, place])
        columns = np.concatenate([place[np.r_[1:n, n - 1]], place[np.r_[0, 0 : n - 1]]])
        matrix = sparse.csr_array((np.full(2 * n, 0.5), (rows, columns)), shape=(n, n))
    rhs = rng.normal(size=n)
    resolvent = Resolvent(matrix, discount)
    expected = np.linalg.solve(np.eye(n) - discount * matrix.toarray(), rhs)
    assert np.abs(resolvent.solve(rhs) - expected).max() <= 1e-11 / (1.0 - discount)
    gain = np.linalg.solve(np.eye(n) - discount * matrix.toarray(), np.ones(n))
    assert (resolvent.gains >= gain * (1 - 1e-12)).all() and resolvent.gains.max() <= gain.max() * (1 + 1e-9)
    upper = resolvent.upper(np.abs(rhs))
    exact = np.linalg.solve(np.eye(n) - discount * matrix.toarray(), np.abs(rhs))
    assert (upper >= exact * (1 - 1e-13)).all() and (upper <= exact + 1e-9 / (1.0 - discount)).all()
