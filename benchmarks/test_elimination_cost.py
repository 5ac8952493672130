"""Elimination without subtraction against SciPy's sparse LU, as ratios in one run; `make bench` prints the table.

In the test suite each kind of graph runs once, small, and both sides must agree; nothing asserts on time.
"""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from benchmarks.problems import garnet, two_clusters, walk
from benchmarks.test_solver_ratios import best_of
from distrl import environments
from distrl.dp.elimination import Elimination
from distrl.dp.resolvent import Resolvent

GRAPHS = {
    "dirichlet 100": lambda g: environments.dirichlet(100, discount=g, rng=0),
    "dirichlet 500": lambda g: environments.dirichlet(500, discount=g, rng=0),
    "dirichlet 1500": lambda g: environments.dirichlet(1500, discount=g, rng=0),
    "garnet 500": lambda g: garnet(500, 5, g, 0),
    "garnet 2000": lambda g: garnet(2000, 5, g, 0),
    "clusters 2000": lambda g: two_clusters(2000, g),
    "walk 2000": lambda g: walk(2000, g),
    "walk 50000": lambda g: walk(50_000, g),
    "room 60x60": lambda g: environments.gridworld((60, 60), discount=g).under("uniform"),
}


class Row(NamedTuple):
    """Seconds of an elimination, and the other ways over it."""

    states: int
    seconds: float
    lu: float
    solve: float
    fill: float
    lu_fill: float
    default: float
    over_default: float
    how: str


def against_splu(model, repeats=3):
    """Times and fill of both on one model; the solutions must agree."""
    n, rhs = model.n_states, model.expected_rewards
    linear = Resolvent.of(model)
    matrix, excess, rounding = linear.data
    factors, ours = best_of(lambda: Elimination.of(matrix, excess, rounding, 10**12), repeats)
    system = sparse.csc_matrix(sparse.eye_array(n) - model.discount * model.continuation)
    lu, theirs = best_of(lambda: linalg.splu(system), repeats)
    found, solve = best_of(lambda: factors.solve(rhs), repeats)
    expected, lu_solve = best_of(lambda: lu.solve(rhs), repeats)
    assert np.abs(found - expected).max() <= 1e-9 * np.abs(expected).max()
    # a Resolvent keeps what it has found: a fresh one each time
    default, seconds = best_of(lambda: (fresh := Resolvent.of(model), fresh.gains)[0], repeats)
    stored = system.nnz
    return Row(
        n,
        ours,
        theirs / ours,
        lu_solve / solve,
        factors.fill / stored,
        (lu.L.nnz + lu.U.nnz) / stored,
        seconds,
        theirs / seconds,
        default.how,
    )


@pytest.mark.parametrize(
    "model",
    [
        environments.dirichlet(30, discount=0.9, rng=0),
        garnet(60, 3, 0.9, 0),
        walk(200, 0.9),
        environments.gridworld((6, 30), discount=0.9).under("uniform"),
    ],
)
def test_elimination_and_sparse_lu_agree(model):
    row = against_splu(model, repeats=1)  # compares the solutions
    assert row.fill <= row.lu_fill * 1.5  # neither order is the better one on every graph
