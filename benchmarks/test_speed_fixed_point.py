"""The categorical fixed point against what a user would write otherwise, in one run.

`make bench` times; in the test suite each runs once and checks that both sides give the same answer. A row's `ratio` is
baseline time / our time, in the table's extra columns and in the JSON that `--benchmark-json` writes.
"""

import time

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from distrl import CategoricalFixedPoint, Grid, environments, evaluate, from_gymnasium, wasserstein
from distrl.operators import CategoricalBellman


def frozen_lake(discount):
    return from_gymnasium("FrozenLake-v1", discount=discount, map_name="8x8", is_slippery=True).under("uniform")


def garnet(discount, states=100):
    return environments.garnet(states=states, actions=2, branching=4, discount=discount, rng=0).under("uniform")


PROBLEMS = {
    "frozen_lake": (frozen_lake, 101),
    "garnet": (garnet, 51),
    "cycle": (lambda g: environments.cycle(20, discount=g), 51),
}


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


@pytest.mark.parametrize("discount", [0.9, 0.99])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_auto_against_plain_sweeps(benchmark, problem, discount):
    make, atoms = PROBLEMS[problem]
    model = make(discount)
    evaluate(model, CategoricalFixedPoint(atoms, solver="iterate"))  # compile before either side is timed
    ours = benchmark(evaluate, model, CategoricalFixedPoint(atoms))
    sweeps, baseline = timed(lambda: evaluate(model, CategoricalFixedPoint(atoms, solver="iterate")))
    if benchmark.stats is not None:
        benchmark.extra_info["ratio"] = round(baseline / benchmark.stats["median"], 2)
        benchmark.extra_info["applications"] = f"{ours.iterations} against {sweeps.iterations}"
    assert wasserstein(ours.returns, sweeps.returns).max() <= ours.tol + sweeps.tol


@pytest.mark.parametrize("discount", [0.9, 0.99])
def test_auto_against_scipy_spsolve_on_the_same_matrix(benchmark, discount):
    model = garnet(discount, states=60)
    grid = Grid.covering(model, 101)
    operator = CategoricalBellman(model, grid)
    ours = benchmark(evaluate, model, CategoricalFixedPoint(grid=grid))
    system = sparse.eye_array(60 * 100, format="csc") - operator.matrix().tocsc()
    cdf, baseline = timed(lambda: linalg.spsolve(sparse.csc_matrix(system), operator.offset()))
    if benchmark.stats is not None:
        benchmark.extra_info["ratio"] = round(baseline / benchmark.stats["median"], 2)
    np.testing.assert_allclose(ours.returns.cdf_values[:, :-1].ravel(), cdf, atol=1e-9)


def test_one_application_against_the_dense_projection_formula(benchmark):
    """The dense O(m^2) formula of deep RL libraries, vectorised with NumPy over all outcomes."""
    model = garnet(0.99)
    grid = Grid.covering(model, 51)
    operator = CategoricalBellman(model, grid)
    probs = np.random.default_rng(0).dirichlet(np.ones(51), model.n_states)
    table, z = model.outcomes, grid.points

    def dense():
        targets = np.clip(table.rewards[:, None] + 0.99 * z, z[0], z[-1])
        weights = np.clip(1 - np.abs(targets[:, :, None] - z) / grid.spacing, 0, 1)
        rows = np.einsum("kj,kji->ki", probs[table.next_states], weights) * table.probs[:, None]
        return np.add.reduceat(rows, table.indptr[:-1])

    operator(probs)
    ours = benchmark(operator, probs)
    expected, baseline = timed(dense)
    if benchmark.stats is not None:
        benchmark.extra_info["ratio"] = round(baseline / benchmark.stats["median"], 1)
    np.testing.assert_allclose(ours, expected, atol=1e-10)
