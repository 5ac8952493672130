"""A million rows as a model, over SciPy's CSR matrix and one sort of the same rows; CSV files over pandas.

python benchmarks/test_speed_tables.py      # ratios; CPU seconds, so that other processes count for nothing
"""

import importlib.util
import pathlib
import tempfile
import time

import numpy as np
import pytest
from scipy import sparse

from distrl import MDP, read_csv

NAMES = ("state", "action", "probability", "next_state", "reward", "terminal")


def million_rows(states=50_000, actions=4, successors=5, seed=0, shuffled=True):
    """Columns of a random decision process."""
    rng = np.random.default_rng(seed)
    pairs, n = states * actions, states * actions * successors
    columns = {
        "state": np.repeat(np.arange(states), actions * successors),
        "action": np.tile(np.repeat(np.arange(actions), successors), states),
        "probability": rng.dirichlet(np.ones(successors), size=pairs).ravel(),
        "next_state": rng.integers(states, size=n),
        "reward": rng.normal(size=n).round(2),
        "terminal": rng.random(n) < 0.01,
    }
    order = rng.permutation(n) if shuffled else np.arange(n)
    return {name: column[order] for name, column in columns.items()}


def best(call, times=5):
    taken = []
    for _ in range(times):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def table_over_scipy(columns):
    """{form: CPU time of `MDP.from_outcomes` over a CSR matrix and one sort}: quick, of the sources, and a lexsort."""
    n_actions = int(columns["action"].max()) + 1
    source = columns["state"] * n_actions + columns["action"]
    shape = (int(source.max()) + 1, int(columns["next_state"].max()) + 1)
    csr = best(lambda: sparse.coo_array((columns["probability"], (source, columns["next_state"])), shape=shape).tocsr())
    one, two = best(lambda: np.argsort(source)), best(lambda: np.lexsort((columns["next_state"], source)))
    array = np.stack([np.asarray(column, dtype=np.float64) for column in columns.values()], axis=1)
    MDP.from_outcomes(columns, 0.9)  # compiles
    ours = {
        "columns": best(lambda: MDP.from_outcomes(columns, 0.9)),
        "array": best(lambda: MDP.from_outcomes(array, 0.9)),
    }
    return {form: (taken / (csr + one), taken / (csr + two)) for form, taken in ours.items()}


def csv_over_pandas(columns, text):
    """CPU time of `read_csv`, model included, over that of `pandas.read_csv` of the same file."""
    import pandas

    frame = pandas.DataFrame(columns)
    if text:
        frame = frame.assign(**{name: "s" + frame[name].astype(str) for name in ("state", "action", "next_state")})
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.csv")
        frame.to_csv(path, index=False)
        read_csv(path, 0.9)  # compiles
        return best(lambda: read_csv(path, 0.9), 3) / best(lambda: pandas.read_csv(path), 3)


@pytest.mark.parametrize("shuffled", [True, False])
def test_a_table_is_built(benchmark, shuffled):
    columns = million_rows(states=5_000, shuffled=shuffled)
    benchmark(lambda: MDP.from_outcomes(columns, 0.9))


if __name__ == "__main__":
    for shuffled in (True, False):
        columns = million_rows(shuffled=shuffled)
        for form, (one, two) in table_over_scipy(columns).items():
            print(
                f"{'shuffled' if shuffled else 'sorted':9} {form:8} over CSR and argsort {one:.2f}, lexsort {two:.2f}"
            )
    if importlib.util.find_spec("pandas"):
        columns = million_rows(shuffled=False)  # as files are written
        for text in (False, True):
            print(f"CSV with {'text' if text else 'numbers':8} over pandas {csv_over_pandas(columns, text):.2f}")
