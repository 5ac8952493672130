"""What each solver takes where rewards have densities: `python -m benchmarks.continuous_rewards [chosen|held-out]`.

The rule of `auto` for such models was read off `CHOSEN_ON`; `HELD_OUT` is what it never saw. Times are those of the
process, best of two; applications are counted.
"""

import sys
import time

import numpy as np
from scipy import sparse, stats

from distrl import MRP, CategoricalFixedPoint, Grid, evaluate


def _with_laws(matrix, discount, kinds, share, seed):
    """Rewards of that share of the states from a few laws, constants elsewhere, on a grid of twelve deviations."""
    rng = np.random.default_rng(seed)
    n = matrix.shape[0]
    laws = [stats.norm(rng.normal(), 0.5 + rng.random()) for _ in range(kinds)]
    rewards = [laws[rng.integers(kinds)] if rng.random() < share else float(rng.normal()) for _ in range(n)]
    reach = 4.0 / (1.0 - discount) ** 0.5 + 2.0 / (1.0 - discount)
    return MRP(matrix, rewards, discount), (-reach, reach)


def dense(n, discount, seed, kinds=3, share=1.0):
    return _with_laws(np.random.default_rng(seed).dirichlet(np.ones(n), n), discount, kinds, share, seed)


def graph(n, branching, discount, seed, kinds=3, share=1.0):
    rng = np.random.default_rng(seed)
    rows, columns = np.repeat(np.arange(n), branching), rng.integers(0, n, n * branching)
    entries = rng.dirichlet(np.ones(branching), n).ravel()
    matrix = sparse.coo_array((entries, (rows, columns)), shape=(n, n)).tocsr()
    return _with_laws(matrix, discount, kinds, share, seed)


def walk(n, discount, seed, kinds=3, share=1.0):
    i = np.arange(n)
    matrix = sparse.coo_array(
        (np.full(2 * n, 0.5), (np.tile(i, 2), np.concatenate([np.minimum(i + 1, n - 1), np.maximum(i - 1, 0)]))),
        shape=(n, n),
    ).tocsr()
    return _with_laws(matrix, discount, kinds, share, seed)


CHOSEN_ON = {
    "dense 5": lambda g: dense(5, g, 0),
    "dense 60": lambda g: dense(60, g, 1),
    "graph 200": lambda g: graph(200, 4, g, 2),
    "walk 40": lambda g: walk(40, g, 3),
}
HELD_OUT = {
    "dense 8, half": lambda g: dense(8, g, 10, share=0.5),
    "dense 30": lambda g: dense(30, g, 11, kinds=6),
    "graph 120, a fifth": lambda g: graph(120, 3, g, 12, share=0.2),
    "walk 25": lambda g: walk(25, g, 13, kinds=1),
}


def measured(model, grid, solver):
    """(seconds of the process, applications, solver, reason)."""
    best, found = np.inf, None
    for _ in range(2):
        start = time.process_time()
        found = evaluate(model, CategoricalFixedPoint(grid=grid, solver=solver, threads=1), throw=False)
        best = min(best, time.process_time() - start)
        if best > 1.0:
            break
    return best, found.iterations, found.solver, found.reason, found.converged


def main():
    models = HELD_OUT if "held-out" in sys.argv else CHOSEN_ON
    for name, make in models.items():
        for discount in (0.5, 0.9, 0.99, 0.999):
            model, ends = make(discount)
            for atoms in (51, 201):
                line = f"{name:20} {discount:6} {atoms:4}"
                for solver in ("iterate", "krylov", "direct", "auto"):
                    unknowns = model.n_states * atoms
                    if (solver == "direct" and unknowns > 6_000) or (solver == "iterate" and discount > 0.99):
                        line += f" | {solver} -"
                        continue
                    seconds, applications, ran, reason, fine = measured(model, Grid(*ends, atoms), solver)
                    line += f" | {solver} {seconds:.3f} s {applications}{'' if fine else ' NOT CONVERGED'}"
                    if solver == "auto":
                        line += f" {ran}: {reason[:90]}"
                print(line, flush=True)


if __name__ == "__main__":
    main()
