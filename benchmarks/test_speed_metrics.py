"""W1 between laws on 1,000 atoms, a batch at a time, against SciPy and POT one pair at a time, and against reading.

Ratios are in the table's extra columns; `python -m benchmarks` prints them too.
"""

import time

import numpy as np
import pytest
from scipy import stats

from distrl import CategoricalReturns, Grid, ParticleReturns, wasserstein

ATOMS = 1000


def same_grid(rng, pairs):
    grid = Grid(0.0, 1.0, ATOMS)
    return tuple(CategoricalReturns(grid, rng.dirichlet(np.ones(ATOMS), pairs)) for _ in range(2))


def two_grids(rng, pairs):
    grids = Grid(0.0, 1.0, ATOMS), Grid(0.01, 1.1, ATOMS)
    return tuple(CategoricalReturns(grid, rng.dirichlet(np.ones(ATOMS), pairs)) for grid in grids)


def quantiles(rng, pairs):
    return tuple(ParticleReturns(rng.normal(size=(pairs, ATOMS))) for _ in range(2))


def particles(rng, pairs):
    return tuple(
        ParticleReturns(rng.normal(size=(pairs, ATOMS)), rng.dirichlet(np.ones(ATOMS), pairs)) for _ in range(2)
    )


KINDS = {"one grid": same_grid, "two grids": two_grids, "quantiles": quantiles, "weighted particles": particles}


def rows(returns, pairs):
    return [np.broadcast_to(part, (pairs, ATOMS)) for part in returns.support_weights()]


def by_scipy(first, second):
    (u, p), (v, q) = first, second
    return [stats.wasserstein_distance(*law) for law in zip(u, v, p, q, strict=True)]


def by_pot(first, second):
    ot = pytest.importorskip("ot")
    (u, p), (v, q) = first, second
    return [ot.wasserstein_1d(*law, p=1) for law in zip(u, v, p, q, strict=True)]


def seconds(call, repeats=5):
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def ratios(kind, pairs=500, asked=20):
    """{baseline: its time for a pair over ours}, and our time over one pass over the numbers that differ by pair."""
    both = KINDS[kind](np.random.default_rng(0), pairs)
    laws = [[part[:asked] for part in rows(returns, pairs)] for returns in both]
    wasserstein(*both)
    ours = seconds(lambda: wasserstein(*both)) / pairs
    data = [part for returns in both for part in returns.support_weights() if part.ndim > 1]
    reading = seconds(lambda: [part.sum() for part in data]) / pairs
    found = {"scipy": seconds(lambda: by_scipy(*laws), 2) / asked / ours}
    found["POT"] = seconds(lambda: by_pot(*laws), 2) / asked / ours
    return ours, found, ours / reading


@pytest.mark.parametrize("kind", KINDS)
def test_batched_w1_against_scipy(benchmark, kind):
    both = KINDS[kind](np.random.default_rng(0), 500)
    laws = [[part[:20] for part in rows(returns, 500)] for returns in both]
    ours = benchmark(wasserstein, *both)
    expected = by_scipy(*laws)
    if benchmark.stats is not None:
        baseline = seconds(lambda: by_scipy(*laws), 2) / 20 * 500
        benchmark.extra_info["ratio"] = round(baseline / benchmark.stats["median"], 1)
    np.testing.assert_allclose(ours[:20], expected, rtol=1e-9)


def test_pot_finds_the_same_distances():
    both = particles(np.random.default_rng(1), 3)
    np.testing.assert_allclose(wasserstein(*both), by_pot(*(rows(returns, 3) for returns in both)), rtol=1e-9)
