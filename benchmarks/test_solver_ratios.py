"""The fixed point against what a user would write otherwise, as ratios in one run; `make bench` prints the tables.

In the test suite each part runs once on a small problem and checks that both sides agree; nothing asserts on time.
"""

import time

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from benchmarks.problems import CHOSEN_ON, HELD_OUT, garnet
from distrl import CategoricalFixedPoint, Grid, evaluate, wasserstein
from distrl.operators import CategoricalBellman


def best_of(call, repeats):
    """Result and the smallest time of several calls."""
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return result, best


def against_sweeps(model, atoms, repeats=3):
    """(auto, iterate, time ratio) on one model; both must agree."""
    auto, ours = best_of(lambda: evaluate(model, CategoricalFixedPoint(atoms)), repeats)
    plain, theirs = best_of(lambda: evaluate(model, CategoricalFixedPoint(atoms, solver="iterate")), 1)
    assert wasserstein(auto.returns, plain.returns).max() <= auto.tol + plain.tol
    return auto, plain, theirs / ours


def same_system(model, grid):
    """I - A and b of the operator, as scipy wants them."""
    operator = CategoricalBellman(model, grid)
    size = model.n_states * (grid.atoms - 1)
    return sparse.csc_matrix(sparse.eye_array(size, format="csc") - operator.matrix().tocsc()), operator


def scipy_ways(model, atoms, dense=True):
    """{name: (time ratio, largest error)} of scipy on the same linear system; matrix assembly is not counted."""
    grid = Grid.covering(model, atoms)
    system, operator = same_system(model, grid)
    offset = operator.offset()
    ours, seconds = best_of(lambda: evaluate(model, CategoricalFixedPoint(grid=grid)), 3)
    expected = ours.returns.cdf_values[:, :-1].ravel()
    apply = operator.linear_operator()
    free = linalg.LinearOperator(apply.shape, matvec=lambda v: v - apply.matvec(v), dtype=np.float64)
    ways = {
        "spsolve": lambda: linalg.spsolve(system, offset),
        "bicgstab": lambda: linalg.bicgstab(free, offset, rtol=1e-12, maxiter=5000)[0],
        "gmres": lambda: linalg.gmres(free, offset, rtol=1e-12, restart=50, maxiter=200)[0],
    }
    if dense:
        matrix = system.toarray()
        ways["dense LU"] = lambda: np.linalg.solve(matrix, offset)
    ratios = {}
    for name, way in ways.items():
        found, theirs = best_of(way, 1)
        error = float(np.abs(found - expected).max())
        if name in ("spsolve", "dense LU"):  # generic Krylov methods may stop short; what they reached is reported
            assert error <= 1e-6, name
        ratios[name] = (theirs / seconds, error)
    return ours, ratios


@pytest.mark.parametrize("name", ["acyclic 500", "CliffWalking", "dirichlet 100"])
def test_auto_and_plain_sweeps_agree_on_the_problems_that_are_timed(name):
    against_sweeps(CHOSEN_ON[name](0.9), 31, repeats=1)


def test_every_held_out_problem_is_solved():
    for name, make in HELD_OUT.items():
        assert evaluate(make(0.9), CategoricalFixedPoint(21)).converged, name


def test_scipy_solves_the_same_system_to_the_same_answer():
    scipy_ways(garnet(20, 3, 0.9, 0), 21)
