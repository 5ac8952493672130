"""W1 between categorical laws on one grid, a batch at a time, against SciPy one pair at a time."""

import time

import numpy as np
from scipy import stats

from distrl import CategoricalReturns, Grid, wasserstein


def test_batched_w1_against_scipy(benchmark):
    rng = np.random.default_rng(0)
    grid = Grid(0.0, 1.0, 1000)
    first, second = (CategoricalReturns(grid, rng.dirichlet(np.ones(1000), 500)) for _ in range(2))
    wasserstein(first, second)
    ours = benchmark(wasserstein, first, second)
    pairs = 20
    start = time.perf_counter()
    expected = [
        stats.wasserstein_distance(grid.points, grid.points, first.probs[i], second.probs[i]) for i in range(pairs)
    ]
    baseline = (time.perf_counter() - start) / pairs * 500
    if benchmark.stats is not None:
        benchmark.extra_info["ratio"] = round(baseline / benchmark.stats["median"], 1)
    np.testing.assert_allclose(ours[:pairs], expected, rtol=1e-9)
