"""Oracles that share no code with distrl: textbook definitions over the rationals, and true return laws.

A float is a rational number, so an instance is taken as it is; only probabilities are divided by their exact sum.
A law is a dict from value to mass.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cached_property

import numpy as np

from distrl._validation import FloatArray
from proofs_check.case import Case

FLOAT = 2.0**-52

#: What rounding may push a target off a grid that covers it, as a share of its width.
ROUNDED = 1e-12

ExactLaw = dict[Fraction, Fraction]
Outcome = tuple[Fraction, int, Fraction, bool]


class Exact:
    """A case over the rationals."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.g = Fraction(case.discount)
        self.outcomes: list[list[Outcome]] = [[] for _ in range(case.states if case.rows else 0)]
        for state, probability, successor, reward, terminal in case.rows:
            self.outcomes[state].append((Fraction(probability), successor, Fraction(reward), terminal))
        for state, rows in enumerate(self.outcomes):
            total = sum(row[0] for row in rows)
            self.outcomes[state] = [(row[0] / total, *row[1:]) for row in rows if row[0]]

    @cached_property
    def atoms(self) -> list[Fraction]:
        assert self.case.grid is not None
        low, high, count = Fraction(self.case.grid[0]), Fraction(self.case.grid[1]), self.case.grid[2]
        return [low + (high - low) * k / (count - 1) for k in range(count)]

    @property
    def spacing(self) -> Fraction:
        return self.atoms[1] - self.atoms[0]

    def laws(self, index: int) -> list[ExactLaw]:
        """Law `index` of the case, a dict a state."""
        result = []
        for state, weights in enumerate(self.case.weights[index]):
            masses = normalised(weights)
            values = self.case.values[index][state].tolist() if self.case.values else self.atoms
            result.append(add_up((Fraction(value), mass) for value, mass in zip(values, masses, strict=True)))
        return result

    def bellman(self, laws: Sequence[ExactLaw]) -> list[ExactLaw]:
        """T without projection."""
        return [
            add_up(
                pair
                for probability, successor, reward, terminal in rows
                for pair in (
                    [(reward, probability)]
                    if terminal
                    else [(reward + self.g * value, probability * mass) for value, mass in laws[successor].items()]
                )
            )
            for rows in self.outcomes
        ]

    def project(self, law: ExactLaw) -> ExactLaw:
        """Pi: mass split between the neighbours in proportion to nearness, after clipping."""
        return project(law, self.atoms)

    def image(self, laws: Sequence[ExactLaw]) -> list[ExactLaw]:
        """Pi T."""
        return [self.project(law) for law in self.bellman(laws)]

    def pmf(self, laws: Sequence[ExactLaw]) -> FloatArray:
        """(S, m) masses at the atoms as floats."""
        return np.array([[float(law.get(atom, Fraction(0))) for atom in self.atoms] for law in laws])

    def clips(self) -> bool:
        """Whether some outcome leads out of the grid's range from some atom, by more than `ROUNDED` of it."""
        room = Fraction(ROUNDED) * (self.atoms[-1] - self.atoms[0])
        low, high = self.atoms[0] - room, self.atoms[-1] + room
        for rows in self.outcomes:
            for _, _, reward, terminal in rows:
                ends = [reward] if terminal else [reward + self.g * z for z in (self.atoms[0], self.atoms[-1])]
                if min(ends) < low or max(ends) > high:
                    return True
        return False

    def quantiles(self, law: ExactLaw, count: int, flat: Fraction) -> list[Fraction]:
        """(1 - flat) F^{-1}(tau) + flat Fbar^{-1}(tau) at the mid-point levels."""
        points = sorted(law.items())
        result = []
        for i in range(count):
            level, total = Fraction(2 * i + 1, 2 * count), Fraction(0)
            lower = upper = None
            for value, mass in points:
                total += mass
                if lower is None and total >= level:
                    lower = value
                if upper is None and total > level:
                    upper = value
            assert lower is not None
            result.append((1 - flat) * lower + flat * (upper if upper is not None else points[-1][0]))
        return result


def normalised(weights: Iterable[float]) -> list[Fraction]:
    """Floats as rationals that sum to one."""
    masses = [Fraction(float(weight)) for weight in weights]
    total = sum(masses)
    return [mass / total for mass in masses]


def add_up(pairs: Iterable[tuple[Fraction, Fraction]]) -> ExactLaw:
    """A law from (value, mass) pairs."""
    law: ExactLaw = {}
    for value, mass in pairs:
        if mass:
            law[value] = law.get(value, Fraction(0)) + mass
    return law


def project(law: ExactLaw, atoms: Sequence[Fraction]) -> ExactLaw:
    """The hat projection on a uniform grid."""
    spacing = atoms[1] - atoms[0]
    pairs = []
    for value, mass in law.items():
        place = (min(max(value, atoms[0]), atoms[-1]) - atoms[0]) / spacing
        left = min(place.numerator // place.denominator, len(atoms) - 2)
        pairs += [(atoms[left], mass * (1 - (place - left))), (atoms[left + 1], mass * (place - left))]
    return add_up(pairs)


def mean(law: ExactLaw) -> Fraction:
    return sum((value * mass for value, mass in law.items()), Fraction(0))


def variance(law: ExactLaw) -> Fraction:
    centre = mean(law)
    return sum(((value - centre) ** 2 * mass for value, mass in law.items()), Fraction(0))


def _gaps(first: ExactLaw, second: ExactLaw) -> list[tuple[Fraction, Fraction]]:
    """(length, F - G) between consecutive values."""
    support = sorted({*first, *second})
    difference, pieces = Fraction(0), []
    for left, right in itertools.pairwise(support):
        difference += first.get(left, Fraction(0)) - second.get(left, Fraction(0))
        pieces.append((right - left, difference))
    return pieces


def w1(first: ExactLaw, second: ExactLaw) -> Fraction:
    """int |F - G|."""
    return sum((length * abs(gap) for length, gap in _gaps(first, second)), Fraction(0))


def cramer_squared(first: ExactLaw, second: ExactLaw) -> Fraction:
    """int (F - G)^2."""
    return sum((length * gap * gap for length, gap in _gaps(first, second)), Fraction(0))


def kolmogorov(first: ExactLaw, second: ExactLaw) -> Fraction:
    """sup |F - G|."""
    return max((abs(gap) for _, gap in _gaps(first, second)), default=Fraction(0))


def total_variation(first: ExactLaw, second: ExactLaw) -> Fraction:
    """Half the sum of |mass differences|."""
    return (
        sum((abs(first.get(v, Fraction(0)) - second.get(v, Fraction(0))) for v in {*first, *second}), Fraction(0)) / 2
    )


def transport_cost(first: ExactLaw, second: ExactLaw, power: int) -> Fraction:
    """W_p^p: int |F^{-1} - G^{-1}|^p by walking both laws from the left."""
    total, left, right = Fraction(0), sorted(first.items()), sorted(second.items())
    i = j = 0
    mass_left, mass_right = left[0][1], right[0][1]
    while True:
        moved = min(mass_left, mass_right)
        total += moved * abs(left[i][0] - right[j][0]) ** power
        mass_left, mass_right = mass_left - moved, mass_right - moved
        if mass_left == 0:
            i += 1
        if mass_right == 0:
            j += 1
        if i == len(left) or j == len(right):
            return total
        mass_left = left[i][1] if mass_left == 0 else mass_left
        mass_right = right[j][1] if mass_right == 0 else mass_right


def w_infinity(first: ExactLaw, second: ExactLaw) -> Fraction:
    """sup |F^{-1} - G^{-1}|."""
    worst, left, right = Fraction(0), sorted(first.items()), sorted(second.items())
    i = j = 0
    mass_left, mass_right = left[0][1], right[0][1]
    while True:
        worst = max(worst, abs(left[i][0] - right[j][0]))
        moved = min(mass_left, mass_right)
        mass_left, mass_right = mass_left - moved, mass_right - moved
        i, j = i + (mass_left == 0), j + (mass_right == 0)
        if i == len(left) or j == len(right):
            return worst
        mass_left = left[i][1] if mass_left == 0 else mass_left
        mass_right = right[j][1] if mass_right == 0 else mass_right


def stop_loss(law: ExactLaw, point: Fraction) -> Fraction:
    """E[(Y - point)+]."""
    return sum(((value - point) * mass for value, mass in law.items() if value > point), Fraction(0))


def sup(
    distance: Callable[[ExactLaw, ExactLaw], Fraction], first: Sequence[ExactLaw], second: Sequence[ExactLaw]
) -> Fraction:
    """The largest distance over the states."""
    return max(distance(a, b) for a, b in zip(first, second, strict=True))


def solve(matrix: list[list[Fraction]], rhs: list[Fraction]) -> list[Fraction]:
    """Gauss elimination."""
    n = len(rhs)
    system = [[*row, value] for row, value in zip(matrix, rhs, strict=True)]
    for column in range(n):
        pivot = next(row for row in range(column, n) if system[row][column] != 0)
        system[column], system[pivot] = system[pivot], system[column]
        inverse = 1 / system[column][column]
        system[column] = [entry * inverse for entry in system[column]]
        for row in range(n):
            factor = system[row][column]
            if row != column and factor:
                system[row] = [a - factor * b for a, b in zip(system[row], system[column], strict=True)]
    return [row[n] for row in system]


def resolvent(exact: Exact, power: int, rhs: list[Fraction]) -> list[Fraction]:
    """(I - g^power P)^{-1} rhs."""
    n = len(exact.outcomes)
    matrix = [[Fraction(int(x == y)) for y in range(n)] for x in range(n)]
    for x, rows in enumerate(exact.outcomes):
        for probability, successor, _, terminal in rows:
            if not terminal:
                matrix[x][successor] -= exact.g**power * probability
    return solve(matrix, rhs)


def values(exact: Exact) -> list[Fraction]:
    """Mean returns."""
    return resolvent(exact, 1, [sum((p * r for p, _, r, _ in rows), Fraction(0)) for rows in exact.outcomes])


def fixed_point(exact: Exact) -> list[ExactLaw]:
    """The categorical fixed point by Gauss elimination of F = Pi T F with the masses of a state adding up to one."""
    atoms, n = exact.atoms, len(exact.outcomes)
    m = len(atoms)
    size = n * m
    matrix = [[Fraction(int(i == j)) for j in range(size)] for i in range(size)]
    rhs = [Fraction(0)] * size
    place = {atom: k for k, atom in enumerate(atoms)}
    for x, rows in enumerate(exact.outcomes):
        for probability, successor, reward, terminal in rows:
            if terminal:
                for atom, mass in exact.project({reward: probability}).items():
                    rhs[x * m + place[atom]] += mass
            else:
                for j, source in enumerate(atoms):
                    for atom, mass in exact.project({reward + exact.g * source: probability}).items():
                        matrix[x * m + place[atom]][successor * m + j] -= mass
    for x in range(n):
        matrix[x * m + m - 1] = [Fraction(int(j // m == x)) for j in range(size)]
        rhs[x * m + m - 1] = Fraction(1)
    masses = solve(matrix, rhs)
    return [dict(zip(atoms, masses[x * m : (x + 1) * m], strict=True)) for x in range(n)]


# -- true return laws ------------------------------------------------------------------------------------------------


def true_laws(case: Case, bins: int = 4000) -> tuple[list[FloatArray], list[FloatArray], float]:
    """(values, weights) of each state's return, and a bound on their W1 error.

    Particles are pushed through the definition from the Diracs of the exact means; after each sweep those in one of
    `bins` cells are merged to their mean. The merges are martingale differences of at most a quarter of a cell's width
    squared, so they add in squares: error at most h / (2 sqrt(1 - g^2)), plus g^n times the range for the start.
    """
    n, g = case.states, case.discount
    p, r = np.zeros((n, n)), np.zeros(n)
    for state, probability, successor, reward, terminal in case.rows:
        r[state] += probability * reward
        if not terminal:
            p[state, successor] += probability
    v = np.linalg.solve(np.eye(n) - g * p, r)
    rewards = [row[3] for row in case.rows]
    high = max(max(row[3] / (1.0 if row[4] else 1.0 - g) for row in case.rows), max(rewards))
    low = min(min(row[3] / (1.0 if row[4] else 1.0 - g) for row in case.rows), min(rewards))
    width = max(high - low, 1e-300)
    h = width / bins
    values_, weights_ = [np.array([v[x]]) for x in range(n)], [np.ones(1) for _ in range(n)]
    sweeps = 1 if g == 0.0 else int(np.ceil(np.log(1e-6) / np.log(g))) + 1 if g < 1 else 10_000
    for _ in range(sweeps):
        pairs: list[list[tuple[FloatArray, FloatArray]]] = [[] for _ in range(n)]
        for state, probability, successor, reward, terminal in case.rows:
            if terminal:
                pairs[state].append((np.array([reward]), np.array([probability])))
            else:
                pairs[state].append((reward + g * values_[successor], probability * weights_[successor]))
        merged = [
            _merge(np.concatenate([a for a, _ in part]), np.concatenate([b for _, b in part]), low, h) for part in pairs
        ]
        values_, weights_ = [a for a, _ in merged], [b for _, b in merged]
    error = h / 2.0 / np.sqrt(1.0 - g * g) + g**sweeps * width + 1e-12 * (abs(low) + abs(high))
    return values_, weights_, float(error)


def _merge(values_: FloatArray, weights: FloatArray, low: float, h: float) -> tuple[FloatArray, FloatArray]:
    cell = np.floor((values_ - low) / h).astype(np.int64)
    cell -= cell.min()
    mass = np.bincount(cell, weights=weights)
    sums = np.bincount(cell, weights=weights * values_)
    kept = mass > 0
    return sums[kept] / mass[kept], mass[kept]


def w1_floats(first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray], power: int = 1) -> float:
    """int |F - G|^power of two weighted samples."""
    support = np.concatenate([first[0], second[0]])
    steps = np.concatenate([first[1], -second[1]])
    order = np.argsort(support, kind="stable")
    gaps = np.cumsum(steps[order])[:-1]
    return float((np.abs(gaps) ** power) @ np.diff(support[order]))
