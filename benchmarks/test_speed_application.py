"""One application of the operator against the dense formula that deep RL libraries use, in one run.

The ratio, baseline time / our time, is in the table's extra columns and in the JSON that `--benchmark-json` writes.
"""

import time

import numpy as np

from distrl import Grid, environments
from distrl.operators import CategoricalBellman


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def test_one_application_against_the_dense_projection_formula(benchmark):
    """The dense O(m^2) formula of deep RL libraries, vectorised with NumPy over all outcomes."""
    model = environments.garnet(100, 2, 4, discount=0.99, rng=0).under("uniform")
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
