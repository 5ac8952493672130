"""One application of the operator, in one run with memory bandwidth and with the dense formula of deep RL libraries.

Ratios are in the table's extra columns and in the JSON that `--benchmark-json` writes; `python -m benchmarks` prints
those against bandwidth.
"""

import time

import numba
import numpy as np
import pytest

from benchmarks.problems import garnet, walk
from distrl import Grid, environments
from distrl._threads import Workers
from distrl.operators import CategoricalBellman
from distrl.operators.system import System

TRIAD_SIZE = 20_000_000  # 480 MB in three arrays: far beyond any cache
REPEATS = 7


@numba.njit(nogil=True)
def triad(a, b, c, start, stop):
    """a = b + 3 c in one pass; slices, for then the loop is compiled to vector instructions."""
    into, one, other = a[start:stop], b[start:stop], c[start:stop]
    for i in range(len(into)):
        into[i] = one[i] + 3.0 * other[i]


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def application_against_triad(model, atoms, threads, triad_size=TRIAD_SIZE):
    """Time of `System.linear` over that of its streams at triad bandwidth; GB/s of the triad.

    One stream for each successor's row and one for the result, without the line that a store reads first, on either
    side: 8 * atoms * (outcomes + states) bytes here, 24 bytes an entry there. Rows that stay in cache are counted each
    time they are read, so that a ratio below 1 is possible. Both run in turns on the same threads; the best of each.
    """
    system = System.whole(CategoricalBellman(model, Grid.covering(model, atoms)), threads)
    cdf = np.sort(np.random.default_rng(0).random((model.n_states, atoms)), axis=1)
    cdf[:, -1] = 1.0
    out = np.empty_like(cdf)
    a, b, c = np.zeros(triad_size), np.ones(triad_size), np.ones(triad_size)
    workers, best = Workers(threads, triad_size), [np.inf, np.inf]
    calls = max(1, 2_000_000 // cdf.size)  # enough for the clock
    for _ in range(REPEATS + 1):  # the first compiles and touches the pages
        ours = timed(lambda: [system.linear(cdf, out) for _ in range(calls)])[1] / calls
        theirs = timed(lambda: workers.rows(triad_size, triad, a, b, c))[1]
        best = [min(best[0], ours), min(best[1], theirs)]
    bandwidth = 24 * triad_size / best[1]
    return best[0] * bandwidth / (8 * atoms * (len(model.outcomes.probs) + model.n_states)), bandwidth / 1e9


TRAFFIC = {
    "local, walk 20000": lambda: walk(20_000, 0.99),
    "local, discount .9": lambda: walk(20_000, 0.9),
    "random, garnet 20000": lambda: garnet(20_000, 5, 0.99, 0),
    "random, garnet 100000": lambda: garnet(100_000, 5, 0.99, 0),
    "in cache, garnet 200": lambda: garnet(200, 5, 0.99, 0),
}


@pytest.mark.parametrize("threads", [1, 2])
def test_the_application_can_be_held_against_triad(threads):
    ratio, bandwidth = application_against_triad(garnet(200, 5, 0.99, 0), 51, threads, triad_size=10_000)
    assert ratio > 0.0
    assert bandwidth > 0.0


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
