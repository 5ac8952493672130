"""Processes over the rationals: operators as they are defined, fixed points and linear systems by elimination."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property

import numpy as np

from distrl._validation import FloatArray
from proofs_check.case import Case
from proofs_check.exact.laws import ExactLaw, add_up, mean, normalised, project
from proofs_check.rounding import ROUNDED

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

    def inside(self, law: ExactLaw) -> ExactLaw:
        """The law clipped to the grid's range."""
        return add_up((min(max(value, self.atoms[0]), self.atoms[-1]), mass) for value, mass in law.items())

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


class Decisions:
    """An MDP over the rationals; laws of (state, action) pairs, pair s * A + a."""

    def __init__(self, case: Case) -> None:
        self.g = Fraction(case.discount)
        self.states = 1 + max(row[0] for row in case.rows)
        self.actions = 1 + max(row[1] for row in case.rows)
        self.outcomes: list[list[tuple[Fraction, int, Fraction, bool]]] = [
            [] for _ in range(self.states * self.actions)
        ]
        for state, action, probability, successor, reward, terminal in case.rows:
            entry = (Fraction(probability), successor, Fraction(reward), terminal)
            self.outcomes[state * self.actions + action].append(entry)
        for pair, rows in enumerate(self.outcomes):
            total = sum(row[0] for row in rows)
            self.outcomes[pair] = [(row[0] / total, *row[1:]) for row in rows if row[0]]

    def greedy(self, laws: Sequence[ExactLaw], last: bool = False) -> list[int]:
        """Actions of the best mean; the first one of ties, or the last."""
        chosen = []
        for s in range(self.states):
            means = [mean(laws[s * self.actions + a]) for a in range(self.actions)]
            best = [a for a, mean in enumerate(means) if mean == max(means)]
            chosen.append(best[-1 if last else 0])
        return chosen

    def apply(self, laws: Sequence[ExactLaw], policy: Sequence[int]) -> list[ExactLaw]:
        """T with these actions after the first step."""
        result = []
        for rows in self.outcomes:
            pairs = []
            for probability, successor, reward, terminal in rows:
                if terminal:
                    pairs.append((reward, probability))
                else:
                    law = laws[successor * self.actions + policy[successor]]
                    pairs += [(reward + self.g * value, probability * mass) for value, mass in law.items()]
            result.append(add_up(pairs))
        return result

    def optimality(self, laws: Sequence[ExactLaw], last: bool = False) -> list[ExactLaw]:
        return self.apply(laws, self.greedy(laws, last))

    def laws(self, case: Case, index: int) -> list[ExactLaw]:
        """The laws of a case, one a pair."""
        rows = zip(case.values[index].tolist(), case.weights[index], strict=True)
        return [
            add_up((Fraction(v), m) for v, m in zip(values, normalised(weights), strict=True))
            for values, weights in rows
        ]

    def exact_laws(self, policy: Sequence[int], horizon: int) -> list[ExactLaw]:
        """Laws of all pairs when every path ends within `horizon` steps."""
        laws: list[ExactLaw] = [{Fraction(0): Fraction(1)} for _ in self.outcomes]
        for _ in range(horizon):
            laws = self.apply(laws, policy)
        return laws


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


def variances(exact: Exact) -> list[Fraction]:
    """Variances of the returns: those of the one-step errors R + g V(X') - V, through (I - g^2 P)^{-1}."""
    means = values(exact)
    noise = [
        sum((p * (r + (0 if end else exact.g * means[y]) - means[x]) ** 2 for p, y, r, end in rows), Fraction(0))
        for x, rows in enumerate(exact.outcomes)
    ]
    return resolvent(exact, 2, noise)


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


def optimal_values(model: Decisions) -> list[Fraction]:
    """Exact optimal action values: the best over all deterministic policies."""
    best: list[Fraction] | None = None
    for policy in itertools.product(range(model.actions), repeat=model.states):
        size = len(model.outcomes)
        matrix = [[Fraction(int(i == j)) for j in range(size)] for i in range(size)]
        rhs = [Fraction(0)] * size
        for pair, rows in enumerate(model.outcomes):
            for probability, successor, reward, terminal in rows:
                rhs[pair] += probability * reward
                if not terminal:
                    matrix[pair][successor * model.actions + policy[successor]] -= model.g * probability
        found = solve(matrix, rhs)
        best = found if best is None else [max(a, b) for a, b in zip(best, found, strict=True)]
    assert best is not None
    return best
