"""Whatever is certified of random trees with hostile numbers holds for their exact laws, in rational arithmetic."""

import itertools
import warnings
from fractions import Fraction

import numpy as np
import pytest

from distrl import MRP, Brackets, CategoricalFixedPoint, Grid, Moments, ParticleDP, QuantileDP, evaluate

DISCOUNTS = [0.0, 5e-324, 1e-300, 0.3, 0.5, 0.9, 0.99, 1 - 1e-12, 1.0]
SCALES = [1.0, 1.0, 1e-3, 1e6, 1e15, 1e-200, 1e80]
LEVELS = [1e-15, 1e-9, 0.05, 0.5, 0.95, 1 - 1e-9, 1.0]


def tree(rng):
    """(rows, discount, states): states lead to later ones only; tiny masses, huge and shifted rewards among them."""
    n, scale = int(rng.integers(1, 5)), float(rng.choice(SCALES))
    shift = float(rng.choice([0.0, 0.0, 0.0, 1e3, 1e8])) * scale
    rows = []
    for x in range(n):
        masses = rng.dirichlet(np.full(int(rng.integers(1, 4)), 0.7))
        if len(masses) > 1 and rng.random() < 0.4:
            masses = np.append(masses, 10.0 ** rng.uniform(-18, -8))
        for p in masses / masses.sum():
            reward = float(rng.choice([0, 1, -1, rng.normal(), 0.1 + 0.2, 3, 1 / 3])) * scale + shift
            if p < 1e-7 and rng.random() < 0.5:
                reward *= 10.0 ** int(rng.integers(0, 9))
            ends = x == n - 1 or rng.random() < 0.3
            if p > 0.0:
                rows.append((x, float(p), 0 if ends else int(rng.integers(x + 1, n)), reward, bool(ends)))
    return rows, float(rng.choice(DISCOUNTS)), n


def exact_laws(rows, discount, n):
    """{value: mass} of every state, rows divided by their sums."""
    laws = [{} for _ in range(n)]
    for x in reversed(range(n)):
        own = [row for row in rows if row[0] == x]
        total = sum(Fraction(row[1]) for row in own)
        for _, p, y, r, ends in own:
            for v, mass in ({Fraction(0): Fraction(1)} if ends else laws[y]).items():
                value = Fraction(r) + Fraction(discount) * v
                laws[x][value] = laws[x].get(value, Fraction(0)) + mass * Fraction(p) / total
        laws[x] = dict(sorted(laws[x].items()))
    return laws


def tail_mean(pieces, level):
    left, total = level, Fraction(0)
    for v, mass in pieces:
        total += min(mass, left) * v
        left -= min(mass, left)
    return total / level


def lower_quantile(law, level):
    total = Fraction(0)
    for v, mass in law.items():
        total += mass
        if total >= level:
            return v
    return max(law)


def distance(values, masses, law):
    points = {}
    for v, mass in zip(values, masses, strict=True):
        points[Fraction(float(v))] = points.get(Fraction(float(v)), Fraction(0)) + Fraction(float(mass))
    for v, mass in law.items():
        points[v] = points.get(v, Fraction(0)) - mass
    ordered, gap, total = sorted(points), Fraction(0), Fraction(0)
    for v, following in itertools.pairwise(ordered):
        gap += points[v]
        total += abs(gap) * (following - v)
    return total


def holds(interval, true):
    low, high = interval
    return (low == -np.inf or Fraction(float(low)) <= true) and (high == np.inf or true <= Fraction(float(high)))


def false_intervals(ask, laws, points):
    for functional in ("mean", "variance"):
        interval = ask(functional)
        for x, law in enumerate(laws):
            mean = sum(v * mass for v, mass in law.items())
            true = mean if functional == "mean" else sum(mass * (v - mean) ** 2 for v, mass in law.items())
            # below it a variance is no float any more
            if not holds(interval[x], true) and not 0 < true < Fraction(1, 10**300):
                yield functional, x
    found = {
        "cvar": ask("cvar", LEVELS),
        "upper cvar": ask("cvar", LEVELS, tail="upper"),
        "quantile": ask("quantile", [0.0, *LEVELS]),
        "cdf": ask("cdf", points),
        "stop_loss": ask("stop_loss", points),
    }
    for x, law in enumerate(laws):
        pieces = list(law.items())
        exact = {
            "cvar": [tail_mean(pieces, Fraction(a)) for a in LEVELS],
            "upper cvar": [tail_mean(pieces[::-1], Fraction(a)) for a in LEVELS],
            "quantile": [lower_quantile(law, Fraction(a)) for a in [0.0, *LEVELS]],
            "cdf": [sum((m for v, m in pieces if v <= Fraction(k)), Fraction(0)) for k in points],
            "stop_loss": [sum((m * max(v - Fraction(k), 0) for v, m in pieces), Fraction(0)) for k in points],
        }
        for name, values in exact.items():
            for k, true in enumerate(values):
                if not holds(found[name][x, k], true):
                    yield name, x, k, found[name][x, k].tolist(), float(true)


def false_statements(solution, laws, points):
    if solution.certificate is not None and not isinstance(solution.method, Brackets):
        values, masses = np.broadcast_arrays(*solution.returns.support_weights())
        for x, law in enumerate(laws):
            own = (values[x], masses[x]) if values.ndim > 1 else (values, masses)
            bound = float(solution.certificate.w1[x])
            if np.isfinite(bound) and distance(*own, law) > Fraction(bound):
                yield "W1", x
    yield from false_intervals(solution.interval, laws, points)
    if isinstance(solution.method, Brackets):
        yield from false_intervals(solution.returns.interval, laws, points)


@pytest.mark.parametrize(
    "seed", [1, pytest.param(7, marks=pytest.mark.nightly), pytest.param(46, marks=pytest.mark.nightly)]
)
def test_what_is_certified_of_a_hostile_tree_is_true_of_its_exact_law(seed):
    rng, tried = np.random.default_rng(seed), 0
    while tried < 8:
        rows, discount, n = tree(rng)
        model, laws = MRP.from_outcomes(rows, discount), exact_laws(rows, discount, n)
        ends = min(map(min, laws)), max(map(max, laws))
        low, width, atoms = float(ends[0]), float(ends[1] - ends[0]), int(rng.integers(2, 30))
        try:
            if rng.random() < 0.4:
                part = np.sort(rng.uniform(-0.5, 1.5, 2))
                grid = Grid(low + (width + 1e-9) * part[0], low + (width + 1e-9) * part[1], atoms)
            else:
                grid = (Grid.covering if discount < 1.0 else Grid.tight)(model, atoms)
        except ValueError:  # atoms too near to be told apart
            continue
        tried += 1
        points = [*map(float, ends), float(sum(ends) / 2), grid.low, grid.high, low - 1e17, low + width + 1e17]
        for method in (
            Brackets(grid=grid),
            Brackets(grid=grid, order="stochastic"),
            ParticleDP(grid=grid, sweeps=int(rng.integers(1, 8))),
            CategoricalFixedPoint(grid=grid),
            QuantileDP(7),
            Moments(2),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    solution = evaluate(model, method, throw=False)
                except ValueError as error:  # a sentence: the grid clips, numbers are beyond float64
                    assert len(str(error)) > 20
                    continue
                assert list(false_statements(solution, laws, points)) == [], (rows, discount, method)
